"""Read contracts from YAML files, and say where one cannot be read."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from headwater.core.errors import ProjectInvalid
from headwater.dataops.contract_shape import Place, contract_of
from headwater.dataops.contract_terms import Contract

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc, unused-ignore]
    """The C loader, but times stay text: the standard writes them without quotes and means text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in _Base.yaml_implicit_resolvers.items()
}


def load_contracts(folder: Path) -> dict[str, Contract]:
    """Read all contracts of a folder: ``*.yaml`` and ``*.yml``, one or several documents per file.

    Files that did not change since the last call are not read again.

    Returns:
        Contracts by dataset.

    Raises:
        ProjectInvalid: A document is not a contract, or two speak of the same dataset; names file, line and remedy.
    """
    contracts: dict[str, Contract] = {}
    ids: dict[str, Contract] = {}
    for path in sorted(item for item in folder.iterdir() if item.suffix in (".yaml", ".yml") and item.is_file()):
        stat = path.stat()
        for contract in _of_file(path, stat.st_mtime_ns, stat.st_size):
            twin = contracts.get(contract.dataset) or ids.get(contract.id)
            if twin is not None:
                same = f"dataset `{contract.dataset}`" if contract.dataset in contracts else f"id `{contract.id}`"
                raise ProjectInvalid(
                    f"{path}:{contract.line}: {same} has a contract already, in {twin.path}:{twin.line}",
                    doing="reading contracts",
                    hint="keep one of them; a contract is about one dataset and its id is its own",
                )
            contracts[contract.dataset] = ids[contract.id] = contract
    return contracts


def parse_contracts(text: str, path: Path) -> list[Contract]:
    """Read the contracts of one file's text."""
    return [contract_of(document, Place(path, node)) for node, document in _documents(text, path)]


@functools.lru_cache(maxsize=256)
def _of_file(path: Path, changed: int, size: int) -> tuple[Contract, ...]:
    try:
        return tuple(parse_contracts(path.read_text(encoding="utf-8"), path))
    except UnicodeDecodeError as error:
        raise ProjectInvalid(f"{path}: is not UTF-8 text: {error.reason}", doing="reading contracts") from error


def _documents(text: str, path: Path) -> Iterator[tuple[Any, Any]]:
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            _no_twins(node, path)
            document = loader.construct_document(node)
            if document is not None:
                yield node, document
    except RecursionError as error:
        raise ProjectInvalid(
            f"{path}: it is nested too deeply", doing="reading contracts", hint="is an anchor part of itself?"
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ProjectInvalid(
            f"{path}{line}: this is not YAML: {problem}",
            doing="reading contracts",
            hint="look at this line and the one before: indentation, a missing quote, a tab, an open bracket",
        ) from error
    finally:
        loader.dispose()


def twin_of(node: Any) -> Any:
    """Return the node of a key that is written twice in one mapping, anywhere below a node; None when there is none.

    YAML itself would drop the first without a word.
    """
    if isinstance(node, yaml.SequenceNode):
        return next((found for item in node.value if (found := twin_of(item)) is not None), None)
    if not isinstance(node, yaml.MappingNode):
        return None
    seen: set[str] = set()
    for key, value in node.value:
        if isinstance(key, yaml.ScalarNode):
            if key.value in seen:
                return key
            seen.add(key.value)
        found = twin_of(value)
        if found is not None:
            return found
    return None


def _no_twins(node: Any, path: Path) -> None:
    key = twin_of(node)
    if key is not None:
        raise Place(path, key).wrong(f"`{key.value}` is written twice", hint="keep one; YAML drops the first")
