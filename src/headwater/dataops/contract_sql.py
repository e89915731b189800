"""Run a contract's SQL check on one frame, and on nothing else."""

from __future__ import annotations

import re
from typing import Any

import polars as pl

_PLACE = re.compile(r"(?P<quote>[\"`]?)\$?\{\s*(?P<name>object|table|property|column)\s*\}(?P=quote)")
_LITERAL = re.compile(r"'(?:[^']|'')*'")
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_OUTSIDE = re.compile(r"\b(read_\w+|scan_\w+)\s*\(", re.IGNORECASE)


class QueryRefused(Exception):
    """The query cannot be run here, or does not answer with one value."""


def ask(query: str, frame: pl.DataFrame, table: str, column: str | None) -> Any:
    """Run one SELECT over the frame and return its one value.

    ``{object}``, ``{table}``, ``{property}`` and ``{column}``, with or without ``$`` and quotes around them, become
    quoted names. The query sees the frame alone: functions that read files, and anything but a SELECT, are refused.

    Raises:
        QueryRefused: It is not one SELECT, reads elsewhere, names a column where there is none, or gives no one value.

    Example:
        >>> import polars as pl
        >>> ask("SELECT COUNT(*) FROM {object} WHERE {property} > 1", pl.DataFrame({"x": [1, 2, 3]}), "t", "x")
        2
    """
    text = _COMMENT.sub(" ", query).strip().rstrip(";").strip()
    bare = _LITERAL.sub("''", text)
    if not re.match(r"(select|with)\b", text, re.IGNORECASE) or ";" in bare or _OUTSIDE.search(bare):
        raise QueryRefused("a check is one SELECT over the dataset itself")
    made = _filled(text, table, column)
    try:
        answer = pl.SQLContext({table: frame}, eager=True).execute(made)
    except (pl.exceptions.PolarsError, TypeError, ValueError) as error:
        raise QueryRefused(f"{str(error).splitlines()[0]} (the query was: {made})") from error
    if not isinstance(answer, pl.DataFrame) or answer.shape != (1, 1):
        raise QueryRefused(f"the query gives {getattr(answer, 'shape', 'no table')} values, not one")
    return answer.item()


def _filled(query: str, table: str, column: str | None) -> str:
    """Put names in, as identifiers outside of text literals and as text inside of them."""

    def name(match: re.Match[str]) -> str:
        if match["name"] in ("object", "table"):
            return table
        if column is None:
            raise QueryRefused(f"{{{match['name']}}} needs a column; put the check under a property")
        return column

    def quoted(match: re.Match[str]) -> str:
        return '"' + name(match).replace('"', '""') + '"'

    def literal(match: re.Match[str]) -> str:
        return name(match).replace("'", "''")

    made, last = [], 0
    for found in _LITERAL.finditer(query):
        made += [_PLACE.sub(quoted, query[last : found.start()]), _PLACE.sub(literal, found[0])]
        last = found.end()
    return "".join([*made, _PLACE.sub(quoted, query[last:])])
