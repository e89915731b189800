"""OpenLineage events from outside: hostile until parsed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from headwater.core.canonical import canonical
from headwater.core.errors import DataError

STATES = ("START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER")
_HINT = "see the OpenLineage 2-0-2 schema; the official clients send it right"
_LONGEST = 2_000


def parse(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check an event from outside and return it as plain JSON data of its own, otherwise unchanged.

    Run events, dataset events and job events are known; facets we do not know are kept. A nulled optional field
    (``inputs: null``) is taken as absent.

    Raises:
        DataError: A required field is missing or of the wrong type, a run id is not a UUID, or a time has no zone;
            the message names the field.
    """
    if not isinstance(raw, Mapping):
        raise _wrong("the event", raw, "a JSON object")
    doing = f"reading an event of {_origin(raw)}"
    try:
        event: dict[str, Any] = json.loads(canonical(raw))
        _check_event(event)
    except DataError as error:
        raise DataError(error.message, doing=doing, hint=error.hint or _HINT) from error
    except (RecursionError, UnicodeEncodeError, ValueError, TypeError) as error:
        raise DataError(f"the event is not plain JSON: {error}", doing=doing, hint=_HINT) from error
    return event


def _check_event(event: dict[str, Any]) -> None:
    _check_time(_text(event, "eventTime"), "eventTime")
    _text(event, "producer")
    _text(event, "schemaURL")
    if event.get("run") is not None:
        _check_run(event)
    elif event.get("eventType") is not None or event["schemaURL"].endswith("/RunEvent"):
        raise DataError("`run` is missing")
    elif event.get("dataset") is not None:
        _check_dataset(event["dataset"], "dataset", ("facets",))
        return
    _check_named(event, "job")
    for side, facet_keys in (("inputs", ("facets", "inputFacets")), ("outputs", ("facets", "outputFacets"))):
        listed = event.get(side)
        if listed is None:
            event[side] = []
        elif not isinstance(listed, list):
            raise _wrong(side, listed, "a list of datasets")
        for index, one in enumerate(event[side]):
            _check_dataset(one, f"{side}[{index}]", facet_keys)


def _check_run(event: dict[str, Any]) -> None:
    run = event["run"]
    if not isinstance(run, dict):
        raise _wrong("run", run, "an object")
    run_id = _text(run, "runId", "run.")
    try:
        run["runId"] = str(uuid.UUID(run_id))
    except ValueError:
        raise _wrong("run.runId", run_id, "a UUID") from None
    _check_facets(run, "facets", "run.")
    state = event.get("eventType")
    if state is not None and state not in STATES:
        raise _wrong("eventType", state, f"one of {', '.join(STATES)}")


def _check_dataset(made: Any, where: str, facet_keys: tuple[str, ...]) -> None:
    if not isinstance(made, dict):
        raise _wrong(where, made, "an object")
    _text(made, "namespace", f"{where}.")
    _text(made, "name", f"{where}.")
    for key in facet_keys:
        _check_facets(made, key, f"{where}.")


def _check_named(event: dict[str, Any], key: str) -> None:
    made = event.get(key)
    if made is None:
        raise DataError(f"`{key}` is missing")
    _check_dataset(made, key, ("facets",))


def _check_facets(holder: dict[str, Any], key: str, where: str) -> None:
    found = holder.get(key)
    if found is None:
        holder[key] = {}
        return
    if not isinstance(found, dict):
        raise _wrong(f"{where}{key}", found, "an object of facets by name")
    for name, facet in found.items():
        if facet is not None and not isinstance(facet, dict):
            raise _wrong(f"{where}{key}.{name}", facet, "a facet (an object)")
    holder[key] = {name: facet for name, facet in found.items() if facet is not None}


def _check_time(text: str, where: str) -> None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise _wrong(where, text, "an ISO 8601 time with a zone, e.g. 2013-07-01T00:00:00Z") from None
    if time.tzinfo is None or "t" not in text.lower():
        raise _wrong(where, text, "a time with a zone, e.g. 2013-07-01T00:00:00Z")


def _text(holder: Mapping[str, Any], key: str, where: str = "") -> str:
    value = holder.get(key)
    if value is None:
        raise DataError(f"`{where}{key}` is missing")
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST:
        raise _wrong(f"{where}{key}", value, "a text that is not empty")
    return value


def _origin(raw: Mapping[str, Any]) -> str:
    job = raw.get("job")
    if isinstance(job, Mapping) and isinstance(job.get("name"), str):
        return f"job `{job['name'][:80]}`"
    return f"producer `{str(raw.get('producer'))[:80]}`"


def _wrong(where: str, value: Any, wanted: str) -> DataError:
    told = repr(value)
    shown = told if len(told) <= 60 else f"{told[:57]}..."
    return DataError(f"`{where}` is {shown}, not {wanted}", hint=_HINT)
