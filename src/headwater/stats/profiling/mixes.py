"""The mix of a column's categories: the share that each of its frequent values has of the rows that are not null.

Which values are followed is learned once, from history, and then carried in the names of the metrics,
``share[<value>].<column>``: a share that falls to nothing is still measured. Booleans have ``true_share``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

import polars as pl

from headwater.stats.profiling.columns import OPEN, ColumnSummary
from headwater.stats.profiling.links import WINDOW

FOLLOWED = 5
"""Most values of a column whose shares are measured when they are learned."""
_LEAST_SHARE = 0.02  # of the rows: what is rarer moves by as much as one row more or less
_MOST_TEXTS, _MOST_NUMBERS = 500, 12
_STAMPED = 0.95  # share of windows with one value only: a row or two may come in a neighbour's file
_EARLY = 0.75  # of the rows, that say which texts there are
_TEXT = (pl.String, pl.Categorical, pl.Enum)
_PREFIX = "share["


def share_metric(column: str, value: object) -> str:
    """Name the metric of a value's share; a point in the value is written ``%2E``, as names are split at points.

    Example:
        >>> share_metric("carrier", "U.S. Air"), share_metric("payment_type", 2)
        ('share[U%2ES%2E Air].carrier', 'share[2].payment_type')
    """
    return f"{_PREFIX}{quote(str(value), safe=' /:,;()&+-').replace('.', '%2E')}].{column}"


def followed(metrics: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Read from metric names which values of which columns are followed.

    Example:
        >>> followed(["rows", share_metric("carrier", "U.S. Air"), share_metric("carrier", "AA")])
        {'carrier': ('U.S. Air', 'AA')}
    """
    found: dict[str, tuple[str, ...]] = {}
    for metric in metrics:
        if metric.startswith(_PREFIX):
            value, _, column = metric[len(_PREFIX) :].partition("].")
            found[column] = (*found.get(column, ()), unquote(value))
    return found


def frequent_values(frame: pl.DataFrame) -> dict[str, tuple[str, ...]]:
    """Choose the values whose shares are worth following: at most five of a column, each in 2 % of its rows.

    Looked at are text columns with up to 500 values and integer columns with up to 12, where there are two at least.
    Left out are stamps, which hold one value in nearly every window and not the same one in all of them.

    Args:
        frame: Past rows; with a column ``_window``, stamps are told apart.

    Returns:
        Column to values written as text, the most frequent first.

    Example:
        >>> frequent_values(pl.DataFrame({"origin": ["JFK", "LGA", "JFK"], "x": [0.5, 1.0, 2.0]}))
        {'origin': ('JFK', 'LGA')}
    """
    limits = {name: _most(dtype) for name, dtype in frame.schema.items() if name != WINDOW and _most(dtype)}
    few = frame.select(pl.col(name).n_unique() for name in limits).row(0) if limits and frame.height else ()
    names = [name for name, count in zip(limits, few, strict=False) if 2 <= count <= limits[name] + 1]
    unwanted = stamps(frame, names)
    found = {}
    for name in names:
        present = frame.get_column(name).drop_nulls().cast(pl.String)
        counts = present.value_counts(name="\x00rows").sort("\x00rows", name, descending=[True, False])
        kept = counts.filter(pl.col("\x00rows") >= _LEAST_SHARE * present.len()).get_column(name).to_list()[:FOLLOWED]
        if name not in unwanted and 2 <= counts.height <= limits[name] and kept:
            found[name] = tuple(kept)
    return found


def frequent_in(columns: Mapping[str, ColumnSummary]) -> dict[str, tuple[str, ...]]:
    """Choose the same values from the summary of past rows; stamps are not told apart (see `stamped`)."""
    found: dict[str, tuple[str, ...]] = {}
    for name, column in columns.items():
        whole = column.kind == "number" and not column.field.is_float and column.field.factor == 1
        most = _MOST_TEXTS if column.kind == "text" else _MOST_NUMBERS if whole else 0
        if 2 <= (column.distinct or 0) <= most:
            kept = [str(value) for value, times in column.top[:FOLLOWED] if times >= _LEAST_SHARE * column.count]
            found |= {name: tuple(kept)} if kept else {}
    return found


def stamped(windows: Sequence[Mapping[str, float]]) -> set[str]:
    """Return the columns that hold one value in nearly every window, by the windows' metrics."""
    single: dict[str, int] = {}
    for values in windows:
        for metric, value in values.items():
            name, _, column = metric.partition(".")
            if (name == "distinct" and value <= 1) or (name == "max" and value == values.get(f"min.{column}")):
                single[column] = single.get(column, 0) + 1
    return {column for column, times in single.items() if times >= _STAMPED * len(windows)}


def texts(columns: Mapping[str, ColumnSummary]) -> dict[str, Mapping[str, int]]:
    """Return the counted texts of the columns that are compared with a closed list, for `opened`."""
    return {
        name: {str(value): times for value, times in column.top}
        for name, column in columns.items()
        if column.kind == "text" and column.known is not None
    }


def opened(windows: Sequence[Mapping[str, Mapping[str, int]]]) -> set[str]:
    """Return the columns that have no closed list, though each of their texts fills thousands of rows.

    Their newest windows bring texts that those before them did not have, or nearly every window has one text and not
    all the same: names of months do both.

    Args:
        windows: The texts of past windows and their counts by column, oldest first.

    Example:
        >>> months = [{"month": {f"2018-0{1 + day // 30}": 50}, "shop": {"north": 30, "web": 20}} for day in range(120)]
        >>> sorted(opened(months))
        ['month']
    """
    found = set()
    for name in dict.fromkeys(name for window in windows for name in window):
        counts = [window.get(name, {}) for window in windows]
        rows = [sum(count.values()) for count in counts]
        before, seen, late, new = 0, set[str](), 0, 0
        for count, held in zip(counts, rows, strict=True):
            if before + held <= _EARLY * sum(rows):
                seen.update(count)
            else:
                late += held
                new += sum(times for text, times in count.items() if text not in seen)
            before += held
        singles = [next(iter(count)) for count in counts if len(count) == 1]
        stamp = len(singles) >= _STAMPED * sum(map(bool, rows)) and len(set(singles)) > 1
        if stamp or new > OPEN * late:
            found.add(name)
    return found


def _most(dtype: Any) -> int:
    return _MOST_TEXTS if dtype in _TEXT else _MOST_NUMBERS if dtype.is_integer() else 0


def stamps(frame: pl.DataFrame, names: Sequence[str]) -> set[str]:
    """Return the columns that hold one value in nearly every window, and not the same one in all of these."""
    if not names or WINDOW not in frame.columns or frame.get_column(WINDOW).n_unique() < 2:
        return set()  # of one window nothing says that its value is not that of all
    texts = [pl.col(name).cast(pl.String).drop_nulls() for name in names]
    kinds = frame.group_by(WINDOW).agg(
        *(text.n_unique().alias(f"kinds{place}") for place, text in enumerate(texts)),
        *(text.first().alias(f"first{place}") for place, text in enumerate(texts)),
    )
    found = set()
    for place, name in enumerate(names):
        single = kinds.get_column(f"kinds{place}") <= 1
        firsts = kinds.get_column(f"first{place}").filter(single).drop_nulls()
        if float(single.mean()) >= _STAMPED and firsts.n_unique() > 1:  # type: ignore[arg-type]
            found.add(name)
    return found


def measures(name: str, dtype: Any, values: Iterable[str]) -> list[pl.Expr]:
    """Return the expressions that measure the shares of a column's values."""
    column = pl.col(name)
    if dtype in _TEXT:
        text = column.cast(pl.String)
        return [(text == value).mean().alias(share_metric(name, value)) for value in values]
    if not dtype.is_numeric():
        return []
    present = column.filter(column.is_finite()) if dtype.is_float() else column
    numbers = {value: number for value in values if (number := _whole(value)) is not None}
    return [(present == number).mean().alias(share_metric(name, value)) for value, number in numbers.items()]


def shares(column: ColumnSummary, values: Iterable[str]) -> dict[str, float]:
    """Return the same numbers from a summary; a share that is not known exactly is left out."""
    if not column.count or column.kind not in ("text", "number"):
        return {}
    wanted = {value: value if column.kind == "text" else _whole(value) for value in values}
    counts = {value: column.times(key) for value, key in wanted.items() if key is not None}
    return {share_metric(column.name, value): n / column.count for value, n in counts.items() if n is not None}


def _whole(value: str) -> int | None:
    try:
        return int(value)
    except ValueError:
        return None
