"""What would settle it: the test that tells the two leading suspects apart, on which window, by which command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from headwater.core.assets import Asset
from headwater.core.records import Suspect

_LOADED = "loaded_"


class Ground(NamedTuple):
    """What a test needs to know of the project.

    Attributes:
        assets: The project's assets by name.
        named: Asset names by the references that suspects go by.
        window: Gives an asset's own newest window of the incident.
        due: Gives the run in which the labels of that window come; empty where there are no models.
    """

    assets: Mapping[str, Asset]
    named: Mapping[str, str]
    window: Callable[[str], str]
    due: str


def next_test(suspects: Sequence[Suspect], ground: Ground, incident: str) -> str:
    """Say which test would tell the two leading suspects apart.

    Each kind of suspect has a test that can refute it: a source is delivered again and compared, changed code is run
    beside the code it replaced on past windows, a stale run is run again, what a server loaded is judged by labels. The
    first suspect's test comes first; what its outcome would mean for the second is said.

    Args:
        suspects: The suspects as a verdict lists them.
        ground: The project as far as tests need it.
        incident: The incident's id.
    """
    known = [item for item in suspects if item.subject in ground.named]
    standing = sorted((item for item in known if not item.exonerated), key=lambda item: -item.probability)
    rest = sorted((item for item in known if item.exonerated and item.numbers), key=lambda item: -item.probability)
    leading = (standing + rest)[:2]
    if not leading:
        return await_labels(ground, incident)
    first, other = leading[0], leading[1] if len(leading) > 1 else None
    said, command = _test(first, ground, incident)
    name = ground.named[first.subject]
    if other is None:
        after = f"if it does not, no asset that is known here failed: {await_labels(ground, incident)}"
    else:
        then, second = _test(other, ground, incident)
        after = f"if it does not, `{ground.named[other.subject]}` is next: {then} ({second})"
    return f"`{name}` failed if {said} ({command}); {after}"


def _test(suspect: Suspect, ground: Ground, incident: str) -> tuple[str, str]:
    """Return what would be seen if this suspect failed, and the command that shows it."""
    name = ground.named[suspect.subject]
    asset, key = ground.assets[name], ground.window(name)
    again = f"headwater backfill {name} --from {key} --to {key}"
    if suspect.subject.startswith("deployment:") or suspect.fault.startswith(_LOADED):
        return (
            f"the labels of window {key} show it to do worse than the version before",
            f"headwater run --window {ground.due}, then headwater why {incident}",
        )
    if suspect.fault == "stale_run":
        return f"running window {key} again on its present inputs gives other rows", again
    if asset.recomputable:
        return (
            "its present code gives other rows than the code before it on windows that came before",
            f"headwater approve {name} --dry-run",
        )
    if not asset.reads:
        missing = "missing" in suspect.fault
        seen = "comes now" if missing else "comes with other rows when its owner delivers it again"
        return f"window {key} {seen}", f"headwater run --window {key}" if missing and not asset.lag else again
    return (
        f"its owner's job gives other rows for window {key} when it is run again with the code before its last change",
        f"headwater trace {suspect.subject}",
    )


def await_labels(ground: Ground, incident: str) -> str:
    """Say when the labels come that tell whether the world changed."""
    if not ground.due:
        return f"run the next window, the case is judged again on it (headwater run, then headwater why {incident})"
    return (
        "the labels that come next tell whether outcomes still follow the predictions "
        f"(headwater run --window {ground.due}, then headwater why {incident})"
    )
