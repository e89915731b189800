"""Sources whose rows came twice: by the key they are known by, or under new keys that find no partner."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import polars as pl

from headwater.triage.case import Case

COPIES = 0.9
"""Share of rows without a partner that are copies of rows with one, from which the partner is not what is missing."""
_MORE = 0.3  # by which that share exceeds the one of rows that are alike anyway
_FEWEST = 10
_BEFORE = 7  # earlier windows in which a key was never there twice
_IDS = 0.9
Origins = Callable[[Case, str, str], set[str]]
Twice = Callable[[str, str], float]


@dataclass(frozen=True)
class Copies:
    """A source whose rows came twice.

    Attributes:
        source: Its name.
        since: Its first window with copies.
        share: Share of the rows in question that are copies.
        text: What was seen.
        instead: Sources that seem to have lost rows and did not.
    """

    source: str
    since: str
    share: float
    text: str
    instead: frozenset[str] = frozenset()


def copies(case: Case, origins: Origins) -> dict[str, Copies]:
    """Find the sources whose rows came twice, as far as alarms downstream show them.

    A key that is there twice, and never was, is followed up to the source that brought it. Copies under new keys show
    as rows that find no partner in a table beside: where those rows are, ids aside, the very rows that did find one,
    nothing is missing in the table beside. It misleads where rows are alike by nature, so those are counted as well.

    Args:
        case: The case.
        origins: Follows a metric of an asset up to sources.
    """
    if not case.rows:
        return {}
    seen: list[Copies] = []
    twice = cache(partial(_twice, case))  # earlier windows of a source are asked about for each window of an alarm
    for finding in case.findings:
        asset = case.named.get(finding.subject)
        if asset is None or finding.severity != "alarm" or finding.monitor != "structure":
            continue
        kind, _, parent = finding.metric.partition(".")
        if kind == "duplicate_share":
            seen += _by_key(case, asset, finding.window, twice)
        elif kind == "key_match" and parent in case.assets[asset].parents:
            seen += _by_content(case, asset, parent, finding.window, origins)
    found: dict[str, Copies] = {}
    for told in sorted(seen, key=lambda item: item.since):
        first = found.get(told.source, told)
        found[told.source] = replace(first, instead=first.instead | told.instead)
    return found


def _by_key(case: Case, asset: str, key: str, twice: Twice) -> list[Copies]:
    """Follow a key that is there twice up to the source that brought it twice; of several, to the one with most."""
    left, seen = [asset], {asset}
    found: list[Copies] = []
    while left:
        name = left.pop(0)
        made = case.assets[name]
        if not made.reads and (told := _doubled(case, name, key, twice)) is not None:
            found.append(told)
        for parent in made.parents:
            if parent not in seen and twice(parent, key):
                seen.add(parent)
                left.append(parent)
    return sorted(found, key=lambda told: -told.share)[:1]


def _doubled(case: Case, source: str, key: str, twice: Twice) -> Copies | None:
    share = twice(source, key)
    calendar = case.replay.calendar
    earlier = [calendar.shift(calendar.window(case.keys(source)[0]), -back).key for back in range(1, _BEFORE + 1)]
    known = [item for item in earlier if case.replay.observed(source, item) is not None]
    if not share or not known or any(twice(source, item) for item in known):
        return None
    names = ", ".join(f"`{name}`" for name in case.assets[source].key)
    text = (
        f"{share:.0%} of its rows of {key} have a {names} that came before in it, and none had in {len(known)} windows"
    )
    return Copies(source, key, share, text)


def _twice(case: Case, name: str, key: str) -> float:
    """Return the share of rows whose key came before in the same window; a key that is not given is none."""
    frame, columns = case.replay.observed(name, key), list(case.assets[name].key)
    if frame is None or not frame.height or not columns or not set(columns) <= set(frame.columns):
        return 0.0
    given = frame.select(columns).drop_nulls()
    return (given.height - given.n_unique()) / frame.height


def _by_content(case: Case, asset: str, parent: str, key: str, origins: Origins) -> list[Copies]:
    """See whether the rows that find no partner are copies of those that do, and name the source that brought them."""
    partner, by = case.replay.observed(parent, key), list(case.assets[parent].key)
    if partner is None or not by or not set(by) <= set(partner.columns):
        return []
    known, found = partner.select(by).unique(), []
    for name in case.assets[asset].parents:
        frame = case.replay.observed(name, key)
        if name == parent or frame is None or not _joins(frame, known):
            continue
        alone = frame.join(known, on=by, how="anti", nulls_equal=True)
        met = frame.join(known, on=by, how="semi", nulls_equal=True)
        share = _copied(met, alone, [*case.assets[name].key, *by])
        source = None if share is None else _bringer(case, name, key, alone.select(by))
        if share is None or source is None:
            continue
        text = (
            f"{share:.0%} of the rows of `{name}` that find nothing in `{parent}` at {key} are copies, under new keys, "
            "of rows that do"
        )
        found.append(Copies(source, key, share, text, frozenset(origins(case, parent, "rows") - {source})))
    return found


def _bringer(case: Case, name: str, key: str, alone: pl.DataFrame) -> str | None:
    """Follow rows up by their keys to the one source that has them."""
    while case.assets[name].reads:
        having = []
        for parent in case.assets[name].parents:
            frame = case.replay.observed(parent, key)
            if frame is None or not _joins(frame, alone):
                continue
            if alone.join(frame, on=alone.columns, how="semi", nulls_equal=True).height >= COPIES * alone.height:
                having.append(parent)
        if len(having) != 1:
            return None
        name = having[0]
    return name


def _joins(frame: pl.DataFrame, other: pl.DataFrame) -> bool:
    return all(frame.schema.get(name) == dtype for name, dtype in other.schema.items())


def _copied(met: pl.DataFrame, alone: pl.DataFrame, keys: Sequence[str]) -> float | None:
    """Return the share of rows without a partner that are copies of rows with one; None where it does not tell."""
    content = [
        name
        for name in met.columns
        if name not in keys and (not _identifies(met[name]) or _shared(met[name], alone[name]))
    ]
    if met.height < _FEWEST or alone.height < _FEWEST or not content:
        return None
    marks = met.select(content).hash_rows()
    share = float(alone.select(content).hash_rows().is_in(marks.implode()).mean() or 0.0)  # type: ignore[arg-type]
    alike = float(marks.is_duplicated().mean() or 0.0)  # type: ignore[arg-type]
    return share if share >= COPIES and share - alike >= _MORE else None


def _identifies(column: pl.Series) -> bool:
    """Tell whether a column of numbers or texts hardly ever repeats a value, as ids do."""
    if column.dtype.is_nested():
        return True
    return not (column.dtype.is_float() or column.dtype.is_temporal()) and column.n_unique() > _IDS * len(column)


def _shared(met: pl.Series, alone: pl.Series) -> bool:
    """Tell whether nearly all values came again, as amounts in cents do and new ids do not."""
    return not met.dtype.is_nested() and float(alone.is_in(met.implode()).mean() or 0.0) >= COPIES  # type: ignore[arg-type]


def instead(found: Mapping[str, Copies]) -> dict[str, str]:
    """Return, by source that seems to have lost rows, the one whose rows came twice."""
    return {lost: item.source for item in found.values() for lost in item.instead}
