"""The pipelines that are in the benchmark from the start; others come as ``module:attribute``."""

from __future__ import annotations

from importlib import import_module

from headwater.core.errors import HeadwaterError, UnknownName, UsageError
from headwater.testing.silent_failures.entry import Entry

HERE = "headwater.testing.silent_failures.pipelines"
NAMES: dict[str, str] = {
    "flights": f"{HERE}.flights:ENTRY",
    "hotel": f"{HERE}.hotel:ENTRY",
    "taxi": f"{HERE}.taxi:ENTRY",
    "wide100": f"{HERE}.wide:ENTRY",
}
"""Where each pipeline's `Entry` is."""


def load(name: str) -> Entry:
    """Return a pipeline by name, or one of your own by ``module:attribute``.

    Raises:
        UnknownName: There is no such pipeline.
        UsageError: The module or its attribute is not there, or is no entry.
    """
    place = NAMES.get(name, name)
    if ":" not in place:
        raise UnknownName.of("pipeline", name, NAMES, where="one of the benchmark's")
    module, _, attribute = place.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except HeadwaterError:
        raise
    except Exception as error:  # the module is the entrant's, and may raise anything
        told = str(error) if isinstance(error, (ImportError, AttributeError)) else f"{type(error).__name__}: {error}"
        raise UsageError(
            f"pipeline `{name}` cannot be loaded: {told}", hint="name it as module:attribute, importable from here"
        ) from error
    if not isinstance(found, Entry):
        raise UsageError(f"`{place}` is a {type(found).__name__}, not an Entry", hint="see the guide")
    return found
