"""Who reads which columns of a dataset, as far as can be told."""

from __future__ import annotations

import types
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from typing import Any

from headwater.app.line import Line
from headwater.core.assets import Asset
from headwater.observe.runs import mapping

_DEPTH = 3


def readers(line: Line, asset: Asset, columns: Collection[str]) -> dict[str, list[str]]:
    """Return who reads each of some columns: who promised it, names it in code, carries it on, or says so in lineage.

    Code names a column when its text is a constant of the function, of a helper beside it, or of a list in its module:
    rather one reader too many than a break that nobody hears of. Carrying it on counts where somebody further down
    reads it, or where the line ends. A job of others counts by its column lineage alone; one that sends none is not
    seen.
    """
    found: dict[str, list[str]] = defaultdict(list)

    def told(names: Collection[str], who: str) -> None:
        for column in columns:
            if column in names and who not in found[column]:
                found[column].append(who)

    contract = line.contracts.get(asset.name)
    if contract is not None:
        told({str(item["name"]) for item in contract.properties}, "its contract")
    for child in line.assets.values():
        if asset.name in child.parents:
            told(_named(line.project.functions[child.name]) | _used(line, child, columns), line.ref(child.name))
    for model in line.project.models.values():
        if asset.name in (model.features, model.served):
            told({model.entity, *model.columns, *model.carry}, line.project.ref(model.name, "model"))
    for ref, names in _lineage(line, asset):
        told(names, ref)
    return {column: who for column, who in found.items() if who}


def _used(line: Line, child: Asset, columns: Collection[str]) -> set[str]:
    """The columns that a child carries on to somebody who reads them, or to the end of the line."""
    carried = _carried(line, child) & set(columns)
    passes = any(child.name in other.parents for other in line.assets.values())
    return set(readers(line, child, carried)) if carried and passes else carried


def _carried(line: Line, child: Asset) -> set[str]:
    """The columns of a child as it is, and as it last was in order: it loses with its parent what it passes on."""
    ref, keys = line.ref(child.name), line.services.tables.keys(child.name)
    sound = next((key for key in reversed(keys[:-1]) if line.state.history.learnable(ref, key)), None)
    frames = (line.services.tables.read(child.name, [key]) for key in {*keys[-1:], *([sound] if sound else [])})
    return {name for frame in frames if frame is not None for name in frame.columns}


def _lineage(line: Line, asset: Asset) -> Iterator[tuple[str, set[str]]]:
    """The columns that the column lineage of each child names as its inputs."""
    graph, ref = line.state.graph, line.ref(asset.name)
    for child in graph.children(ref) if ref in graph else ():
        fields = mapping(mapping(graph.node(child).facets.get("columnLineage")).get("fields"))
        read = {
            str(mapping(one).get("field"))
            for made in fields.values()
            for one in mapping(made).get("inputFields") or ()
            if f"dataset:{mapping(one).get('namespace')}/{mapping(one).get('name')}" == ref
        }
        if read:
            yield child, read


def _named(function: Callable[..., Any]) -> set[str]:
    """The texts that a function, and the functions and lists beside it that it uses, hold as constants."""
    found: set[str] = set()
    waiting: list[tuple[Any, int]] = [(function, 0)]
    seen: set[int] = set()
    while waiting:
        made, depth = waiting.pop()
        code = getattr(made, "__code__", None)
        if code is None or id(code) in seen or depth > _DEPTH:
            continue
        seen.add(id(code))
        for part in _parts(code):
            found |= {text for constant in part.co_consts for text in _texts(constant)}
            for name in part.co_names:
                beside = made.__globals__.get(name)
                found |= set(_texts(beside))
                if isinstance(beside, types.FunctionType) and beside.__module__ == made.__module__:
                    waiting.append((beside, depth + 1))
    return found


def _parts(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _parts(constant)


def _texts(made: Any) -> Iterator[str]:
    if isinstance(made, str):
        yield made
    elif isinstance(made, (tuple, list, set, frozenset, dict)):
        yield from (item for item in made if isinstance(item, str))
