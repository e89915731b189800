"""What a contract document must look like: fields, types, known words. Errors point at file and line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from headwater.core.errors import ProjectInvalid
from headwater.core.names import NAME
from headwater.core.records import SIDES
from headwater.dataops.contract_terms import (
    DEADLINES,
    OPERATORS,
    SEVERITIES,
    Contract,
    check_type,
    hours_of,
    operators_of,
)
from headwater.dataops.contract_times import zone_of
from headwater.dataops.time_of_day import TimeOfDay, time_of_day

METRICS = ("nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount")
LOGICAL_TYPES = (
    "string", "date", "timestamp", "time", "number", "integer", "object", "array", "boolean", "map", "vector",
)  # fmt: skip
_API = re.compile(r"v3\.[0-2]\.\d+")
_REQUIRED = ("version", "apiVersion", "kind", "id", "status")
_COMMON = {
    "id": str, "name": str, "physicalName": str, "physicalType": str, "description": str, "businessName": str,
    "logicalType": str, "tags": list, "customProperties": list, "authoritativeDefinitions": list, "quality": list,
    "properties": list, "relationships": list, "deprecated": bool, "synonyms": list,
}  # fmt: skip
_FIELDS: dict[str, dict[str, Any]] = {
    "contract": {
        "version": str, "apiVersion": str, "kind": str, "id": str, "status": str, "name": str, "tenant": str,
        "domain": str, "dataProduct": str, "description": (dict, str), "schema": list, "team": (dict, list),
        "support": list, "slaProperties": list, "slaDefaultElement": str, "customProperties": list, "tags": list,
        "servers": list, "price": dict, "roles": list, "authoritativeDefinitions": list, "context": (dict, str),
        "contractCreatedTs": str,
    },
    "object": {**_COMMON, "dataGranularityDescription": str, "context": (dict, str)},
    "property": {
        **_COMMON, "required": bool, "unique": bool, "primaryKey": bool, "primaryKeyPosition": int,
        "logicalTypeOptions": dict, "semanticType": str, "partitioned": bool, "partitionKeyPosition": int,
        "classification": str, "encryptedName": str, "transformSourceObjects": list, "transformLogic": str,
        "transformDescription": str, "examples": list, "enum": list, "criticalDataElement": bool, "items": dict,
        "map": dict,
    },
    "check": {
        "id": str, "name": str, "type": str, "metric": str, "rule": str, "arguments": dict, "query": str,
        "engine": str, "implementation": (dict, str), "unit": str, "dimension": str, "severity": str,
        "description": str, "method": str, "businessImpact": str, "schedule": str, "scheduler": str, "tags": list,
        "customProperties": list, "authoritativeDefinitions": list, "validValues": list,
        "mustBe": object, "mustNotBe": object, "mustBeBetween": list, "mustNotBeBetween": list,
        **{name: (int, float) for name in list(OPERATORS)[2:6]},
    },
    "sla": {
        "id": str, "property": str, "value": object, "valueExt": object, "unit": str, "element": str, "driver": str,
        "description": str, "scheduler": str, "schedule": str, "customProperties": list,
        "authoritativeDefinitions": list,
    },
}  # fmt: skip
LEVELS = (
    "latency", "freshness", "frequency", "timeOfAvailability", "generalAvailability", "availability", "retention",
    "endOfSupport", "endOfLife", "throughput", "errorRate", "severity", "timeToDetect", "timeToNotify", "timeToRepair",
)  # fmt: skip
"""The service levels that ODCS names; a contract may have others of its own, of which nothing is read."""
_KINDS = {
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a mapping",
}


class Place:
    """Where in a file something stands, so that an error can point at it."""

    def __init__(self, path: Path, node: Any) -> None:
        self.path = path
        self.node = node

    def at(self, *steps: str | int) -> Place:
        """Go to a key or an item, as far as the document has it."""
        node = self.node
        for step in steps:
            node = _child(node, step) or node
        return Place(self.path, node)

    def text(self, value: Any) -> str:
        """Return a scalar as it is written: YAML reads 10:30 without quotes as the number 630."""
        return str(self.node.value if isinstance(self.node, yaml.ScalarNode) else value)

    def wrong(self, message: str, hint: str | None = None) -> ProjectInvalid:
        """Build the error that points here."""
        line = self.node.start_mark.line + 1
        return ProjectInvalid(f"{self.path}:{line}: {message}", doing="reading contracts", hint=hint)


def contract_of(document: Any, place: Place) -> Contract:
    """Turn one document into a contract, or raise `ProjectInvalid` where it is not one."""
    if not isinstance(document, dict):
        raise place.wrong(f"a contract is a mapping, not {_named(document)}")
    _check_head(document, place)
    objects = document.get("schema") or []
    if len(objects) != 1:
        raise place.at("schema").wrong(
            f"a contract here is about one dataset; this one has {len(objects)} in `schema`",
            hint="write `schema: [{name: <dataset>, properties: [...]}]`, one document per dataset",
        )
    made, at = objects[0], place.at("schema", 0)
    _fields("object", made, at)
    if not NAME.fullmatch(made.get("name") or ""):
        raise at.wrong(f"`{made.get('name')}` cannot name a dataset", hint="use lower-case letters, digits and _")
    _quality(made.get("quality"), at.at("quality"), None)
    _properties(made.get("properties"), at.at("properties"))
    side = _side(document, place)
    return Contract(
        dataset=made["name"],
        id=document["id"],
        version=document["version"],
        owner=_owner(document.get("team")),
        side=side,
        channel=_channel(document.get("support")),
        properties=tuple(made.get("properties") or ()),
        quality=tuple(made.get("quality") or ()),
        **_service(document, place),
        raw=document,
        path=place.path,
        line=place.node.start_mark.line + 1,
    )


def _check_head(document: Mapping[str, Any], place: Place) -> None:
    missing = [name for name in _REQUIRED if document.get(name) in (None, "")]
    if missing:
        raise place.wrong(
            f"the contract has no {', '.join(f'`{name}`' for name in missing)}",
            hint="every contract needs version, apiVersion (v3.1.0), kind (DataContract), id and status",
        )
    _fields("contract", document, place)
    if not _API.fullmatch(document["apiVersion"]):
        raise place.at("apiVersion").wrong(
            f"apiVersion `{document['apiVersion']}` is not known", hint="write v3.1.0; v3.0, v3.1 and v3.2 are read"
        )
    if document["kind"] != "DataContract":
        raise place.at("kind").wrong(f"kind `{document['kind']}` is not a contract", hint="write kind: DataContract")


def _properties(items: Any, place: Place) -> None:
    names: set[str] = set()
    for index, item in enumerate(items or ()):
        at = place.at(index)
        _fields("property", item, at)
        if not item.get("name"):
            raise at.wrong("a property has no name")
        if item["name"] in names:
            raise at.wrong(f"property `{item['name']}` is there twice")
        names.add(item["name"])
        _logical(item, at)
        _quality(item.get("quality"), at.at("quality"), item["name"])
        _properties(item.get("properties"), at.at("properties"))
        if item.get("items"):
            _fields("property", item["items"], at.at("items"))
            _logical(item["items"], at.at("items"))


def _logical(item: Mapping[str, Any], at: Place) -> None:
    kind = item.get("logicalType")
    if kind is not None and kind not in LOGICAL_TYPES:
        raise at.at("logicalType").wrong(
            f"logicalType `{kind}` is not known", hint=_near(kind, LOGICAL_TYPES) + f"one of {', '.join(LOGICAL_TYPES)}"
        )
    for value in item.get("enum") or ():
        if not isinstance(value, dict) or "value" not in value:
            raise at.at("enum").wrong("an `enum` entry needs a `value`", hint="write enum: [{value: A}, {value: B}]")


def _quality(checks: Any, place: Place, column: str | None) -> None:
    for index, check in enumerate(checks or ()):
        at = place.at(index)
        _fields("check", check, at)
        kind = check_type(check)
        severity = str(check.get("severity") or "error").lower()
        if severity not in SEVERITIES:
            raise at.at("severity").wrong(f"severity `{severity}` is not known", hint="write error or warning")
        if kind == "library":
            _library(check, at, column)
        elif kind == "sql" and not check.get("query"):
            raise at.wrong("a check of type sql needs a `query`")
        elif kind == "custom" and check.get("engine") == "headwater" and not _metric(check):
            raise at.wrong(
                "a headwater check needs a metric",
                hint="write implementation: {metric: null_share.temp}, and an operator",
            )
        elif kind not in ("sql", "custom", "text"):
            raise at.wrong(f"a check of type `{kind}` is not known", hint="library, sql, custom or text")
        if (kind in ("library", "sql") or check.get("engine") == "headwater") and not operators_of(check):
            raise at.wrong("a check needs an operator", hint=f"one of {', '.join(OPERATORS)}")
        for name in ("mustBeBetween", "mustNotBeBetween"):
            ends = check.get(name)
            if ends is not None and (len(ends) != 2 or not all(isinstance(end, (int, float)) for end in ends)):
                raise at.at(name).wrong(f"`{name}` needs two numbers", hint=f"write {name}: [0, 100]")
            if ends is not None and ends[0] > ends[1]:
                raise at.at(name).wrong(f"`{name}` has its smaller number last: {ends}")


def _library(check: Mapping[str, Any], at: Place, column: str | None) -> None:
    metric = check.get("metric") or check.get("rule")
    if metric not in METRICS:
        raise at.at("metric").wrong(
            f"metric `{metric}` is not in the standard's library",
            hint=_near(str(metric), METRICS) + f"one of {', '.join(METRICS)}",
        )
    columns = (check.get("arguments") or {}).get("properties")
    if metric != "rowCount" and column is None and not columns:
        raise at.wrong(
            f"metric `{metric}` needs a column", hint="put the check under a property, or give arguments: properties"
        )


def _metric(check: Mapping[str, Any]) -> Any:
    made = check.get("implementation")
    return made.get("metric") if isinstance(made, dict) else made


def _side(document: Mapping[str, Any], place: Place) -> str:
    for index, item in enumerate(document.get("customProperties") or ()):
        if isinstance(item, dict) and item.get("property") == "side":
            side = item.get("value")
            if side not in SIDES:
                raise place.at("customProperties", index).wrong(f"side `{side}` is not known", hint="write data or ml")
            return str(side)
    return ""


def _owner(team: Any) -> str:
    """Name the team; in the older form, a list of people, the one whose role says owner, else the first."""
    if isinstance(team, dict):
        return str(team.get("name") or "") or _owner(team.get("members"))
    people = [item for item in team or () if isinstance(item, dict)]
    people.sort(key=lambda item: "owner" not in str(item.get("role") or "").lower())
    return next((str(item.get("name") or item.get("username") or "") for item in people), "")


def _channel(support: Any) -> str:
    places = [item for item in support or () if isinstance(item, dict)]
    places.sort(key=lambda item: item.get("scope") not in ("issues", "interactive"))
    return next((str(item.get("channel") or item.get("url") or "") for item in places), "")


def _service(document: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """Read the service levels, and what of them says when data must be there."""
    levels: dict[str, Mapping[str, Any]] = {}
    hours: dict[str, list[float]] = {name: [] for name in (*DEADLINES, "frequency")}
    available: list[TimeOfDay] = []
    for index, item in enumerate(document.get("slaProperties") or ()):
        at = place.at("slaProperties", index)
        _fields("sla", item, at)
        if not item.get("property"):
            raise at.wrong("a service level has no `property`", hint="e.g. {property: latency, value: 4, unit: h}")
        name = item["property"]
        if name not in LEVELS and (near := difflib.get_close_matches(name, LEVELS, n=1, cutoff=0.8)):
            raise at.at("property").wrong(
                f"no service level is called `{name}`",
                hint=f"did you mean `{near[0]}`? own ones are named unlike these",
            )
        levels.setdefault(name, item)
        try:
            if name in hours:
                hours[name].append(hours_of(item.get("value"), item.get("unit")))
            elif name == "timeOfAvailability":
                available.append(time_of_day(at.at("value").text(item.get("value")), zone_of(item, document)))
        except ValueError as error:
            raise at.wrong(f"{name}: {str(error).partition('; ')[0]}", str(error).partition("; ")[2]) from error
    deadlines = [value for name in DEADLINES for value in hours[name]]
    return {
        "sla": levels,
        "deadline": min(deadlines, default=None),
        "available": tuple(available),
        "frequency": min(hours["frequency"], default=None),
    }


def _fields(kind: str, item: Any, at: Place) -> None:
    known = _FIELDS[kind]
    if not isinstance(item, dict):
        raise at.wrong(f"a {kind} is a mapping, not {_named(item)}")
    for name, value in item.items():
        if name not in known:
            raise at.at(name).wrong(
                f"a {kind} has no field `{name}`", hint=_near(str(name), known) + "own fields go to customProperties"
            )
        wanted = known[name] if isinstance(known[name], tuple) else (known[name],)
        if value is None or object in wanted:
            continue
        if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
            kinds = " or ".join(_KINDS[item] for item in wanted)
            hint = (
                f"put it in quotes: {name}: '{value}'"
                if str in wanted and not isinstance(value, (dict, list))
                else None
            )
            raise at.at(name).wrong(f"`{name}` must be {kinds}, not {_named(value)}", hint=hint)


def _child(node: Any, step: str | int) -> Any:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step]
    return None


def _named(value: Any) -> str:
    return "nothing" if value is None else f"{_KINDS.get(type(value), type(value).__name__)} (`{str(value)[:40]}`)"


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`? " if near else ""
