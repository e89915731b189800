"""Write contracts: add a check to a file without touching the rest of its text, and draft one from a frame."""

from __future__ import annotations

import contextlib
import os
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from headwater.core.canonical import plain
from headwater.core.errors import ProjectInvalid, StorageError, UnknownName, UsageError
from headwater.dataops.contract_files import load_contracts, parse_contracts
from headwater.dataops.contract_terms import OPERATORS, Contract, check_type

_WIDTH = 100
_SAYS = ("type", "metric", "rule", "arguments", "query", "engine", "implementation", "unit", *OPERATORS)


def add_check(folder: Path, dataset: str, check: Mapping[str, Any]) -> Path:
    """Append a quality check to a dataset's contract and raise the contract's minor version.

    The rest of the file keeps its text: comments, layout and the other contracts in it. The new text is read back and
    compared before it replaces the file, atomically; if it says anything else than intended, nothing is written.

    Args:
        folder: The contracts' folder.
        dataset: Whose contract.
        check: A quality check in the words of the standard.

    Returns:
        The file that was changed.

    Raises:
        UnknownName: The dataset has no contract.
        UsageError: The contract has a check of that name, or one that says the same.
        ProjectInvalid: The check is not one, or the file is written in a way that cannot be edited safely.
        StorageError: The file cannot be written; it is as it was.
    """
    contracts = load_contracts(folder)
    if dataset not in contracts:
        raise UnknownName.of("contract for dataset", dataset, contracts)
    contract = contracts[dataset]
    assert contract.path is not None
    added = {name: plain(value) for name, value in check.items() if value is not None}
    _no_twin(contract, added)
    text = contract.path.read_bytes().decode("utf-8")
    edited = _edited(text, contract, added)
    _as_meant(text, edited, contract, added)
    _replace(contract.path, edited)
    return contract.path


def draft(dataset: str, frame: pl.DataFrame, owner: str, side: str) -> str:
    """Write a contract for a frame: its columns, their types, which have no nulls, and that there are rows.

    It promises what one frame happens to show; a person should read it before it refuses a delivery.

    Example:
        >>> import polars as pl
        >>> print(draft("trips", pl.DataFrame({"id": [1]}), "rail-desk", "data"))
        apiVersion: v3.1.0
        kind: DataContract
        id: trips
        version: 1.0.0
        status: draft
        team: {name: rail-desk}
        customProperties:
        - {property: side, value: data}
        schema:
        - name: trips
          properties:
          - {name: id, logicalType: integer, physicalType: Int64, required: true}
          quality:
          - {metric: rowCount, mustBeGreaterThan: 0}
        <BLANKLINE>
    """
    made: dict[str, Any] = {
        "name": dataset,
        "properties": [_drafted(series) for series in frame.iter_columns()],
    }
    if frame.height:
        made["quality"] = [{"metric": "rowCount", "mustBeGreaterThan": 0}]
    document = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": dataset,
        "version": "1.0.0",
        "status": "draft",
        "team": {"name": owner},
        "customProperties": [{"property": "side", "value": side}],
        "schema": [made],
    }
    return str(yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=_WIDTH, allow_unicode=True))


def _drafted(series: pl.Series) -> dict[str, Any]:
    found: dict[str, Any] = {"name": series.name, **_typed(series.dtype)}
    if len(series) and not series.null_count():
        found["required"] = True
    return found


def _typed(dtype: Any) -> dict[str, Any]:
    logical = _logical(dtype)
    found: dict[str, Any] = {} if logical is None else {"logicalType": logical}
    found["physicalType"] = str(dtype)
    if isinstance(dtype, pl.Datetime):
        found["logicalTypeOptions"] = {"timezone": dtype.time_zone is not None}
    elif isinstance(dtype, pl.Struct):
        found["properties"] = [{"name": field.name, **_typed(field.dtype)} for field in dtype.fields]
    elif isinstance(dtype, (pl.List, pl.Array)):
        found["items"] = _typed(dtype.inner)
    return found


def _logical(dtype: Any) -> str | None:
    if dtype.is_integer():
        return "integer"
    if dtype.is_numeric():
        return "number"
    known: dict[str, tuple[Any, ...]] = {
        "string": (pl.String, pl.Categorical, pl.Enum),
        "boolean": (pl.Boolean,),
        "timestamp": (pl.Datetime,),
        "date": (pl.Date,),
        "time": (pl.Time,),
        "object": (pl.Struct,),
        "array": (pl.List, pl.Array),
    }
    return next((name for name, kinds in known.items() if isinstance(dtype, kinds)), None)


def _no_twin(contract: Contract, added: Mapping[str, Any]) -> None:
    says = _said(added)
    for column, check in contract.checks():
        same_name = added.get("name") is not None and check.get("name") == added["name"]
        if same_name or (column is None and _said(check) == says):
            raise UsageError(
                f"the contract of `{contract.dataset}` has this check already: "
                f"`{check.get('name') or check.get('metric') or check_type(check)}`",
                doing=f"adding a check to {contract.path}",
                hint="give it another name, or change the check that is there",
            )


def _said(check: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": check_type(check), **{name: check[name] for name in _SAYS if name in check and name != "type"}}


def _edited(text: str, contract: Contract, added: Mapping[str, Any]) -> str:
    root = next(
        node
        for node in yaml.compose_all(text, Loader=yaml.SafeLoader)
        if node is not None and node.start_mark.line + 1 == contract.line
    )
    version = _value(root, "version")
    made = _value(root, "schema").value[0]
    quality = _value(made, "quality")
    if quality is None:
        place, insert = _list_with(text, made, added)
    elif isinstance(quality, yaml.SequenceNode):
        place, insert = _item_behind(text, quality, added)
    else:  # `quality:` with nothing after it
        place, insert = quality.end_mark.index, f" [{_flow(added)}]"
    insert = insert.replace("\n", "\r\n") if "\r\n" in text else insert
    start, end = version.start_mark.index, version.end_mark.index
    bumped = text[start:end].replace(contract.version, _raised(contract.version))
    edits = sorted([(place, place, insert), (start, end, bumped)], reverse=True)
    for first, last, new in edits:
        text = text[:first] + new + text[last:]
    return text


def _list_with(text: str, made: Any, added: Mapping[str, Any]) -> tuple[int, str]:
    """Put a `quality` list behind the object's name."""
    name = _value(made, "name")
    column = made.value[0][0].start_mark.column
    if made.flow_style:
        below = re.compile(r"[^\n]*\n( *)\S").match(text, _end(text, name))
        column = len(below[1]) if below and below.end() <= made.end_mark.index else column
        return _end(text, name), f",\n{' ' * column}quality: [{_flow(added, column)}]"
    return _line_end(text, _end(text, name)), f"\n{' ' * column}quality:\n{_block(added, column + 2)}"


def _item_behind(text: str, quality: Any, added: Mapping[str, Any]) -> tuple[int, str]:
    """Put an item behind the last one of a `quality` list."""
    column = quality.start_mark.column
    if quality.flow_style and quality.value:
        return _end(text, quality.value[-1]), f",\n{' ' * (column + 1)}{_flow(added, column + 1)}"
    if quality.flow_style:
        return quality.start_mark.index + 1, _flow(added)
    return _line_end(text, _end(text, quality.value[-1])), f"\n{_block(added, column)}"


def _end(text: str, node: Any) -> int:
    """Return where a node's own text ends; block nodes' marks lie behind the comments and blank lines that follow."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(text, last[1] if isinstance(last, tuple) else last)
    end: int = node.end_mark.index
    while end > node.start_mark.index and text[end - 1] in " \t\r\n":
        end -= 1
    return end


def _line_end(text: str, index: int) -> int:
    match = re.compile(r"\r?\n|\Z").search(text, index)
    return match.start() if match else len(text)


def _flow(added: Mapping[str, Any], column: int = 0) -> str:
    """Write a check in braces, broken between its fields where lines get long."""
    lines = [""]
    for name, value in added.items():
        made = yaml.safe_dump({name: value}, default_flow_style=True, width=10**6, allow_unicode=True)
        field = str(made).strip()[1:-1]
        if lines[-1] and column + len(lines[-1]) + len(field) > _WIDTH:
            lines.append("")
        lines[-1] += f"{field}, "
    return "{" + ("\n" + " " * (column + 1)).join(line.rstrip() for line in lines).rstrip(",") + "}"


def _block(added: Mapping[str, Any], column: int) -> str:
    made = yaml.safe_dump(
        [dict(added)], sort_keys=False, default_flow_style=None, width=_WIDTH - column, allow_unicode=True
    )
    return textwrap.indent(str(made).rstrip("\n"), " " * column)


def _raised(version: str) -> str:
    """Raise the minor number; a version of another form gets one."""
    match = re.fullmatch(r"(v?\d+)\.(\d+)((?:\.\d+)?)", version)
    if match is None:
        return f"{version}.1"
    return f"{match[1]}.{int(match[2]) + 1}{'.0' if match[3] else ''}"


def _as_meant(text: str, edited: str, contract: Contract, added: Mapping[str, Any]) -> None:
    """Refuse an edit that would change anything else than intended, e.g. a list that two contracts share."""
    assert contract.path is not None
    before = parse_contracts(text, contract.path)
    try:
        after = parse_contracts(edited, contract.path)
    except ProjectInvalid as error:
        raise ProjectInvalid(
            f"the check does not fit into the contract of `{contract.dataset}`: {error.message}",
            doing=f"adding a check to {contract.path}; nothing was written",
            hint=error.hint,
        ) from error
    same = len(before) == len(after)
    for old, new in zip(before, after, strict=False):
        expected = dict(old.raw)
        if old.dataset == contract.dataset:
            made = dict(old.raw["schema"][0])
            made["quality"] = [*(made.get("quality") or []), dict(added)]
            expected.update(version=_raised(old.version), schema=[made])
        same = same and expected == new.raw
    if not same:
        raise ProjectInvalid(
            f"the contract of `{contract.dataset}` cannot be edited safely",
            doing=f"adding a check to {contract.path}; nothing was written",
            hint=f"it may share text through an anchor; add it by hand: {_flow(added)}",
        )


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        beside.chmod(path.stat().st_mode & 0o7777)
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise StorageError(
            f"{path} cannot be written: {error.strerror or error}",
            hint="it is as it was; is there room and permission?",
        ) from error


def _value(node: Any, name: str) -> Any:
    return next((value for key, value in node.value if key.value == name), None)
