"""Cut a table into days or hours where it lies, summarise each there, and fetch no more than a sample of its rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from headwater.adapters.engine_columns import field_of, stored
from headwater.adapters.engine_summaries import summarise_windows
from headwater.core.windows import Calendar
from headwater.stats.profiling.mixes import frequent_in, texts
from headwater.stats.profiling.summaries import Summary

if TYPE_CHECKING:
    import polars as pl

_START, _PLACE = "headwater_start", "headwater_place"
_ORIGIN = 50_000  # days before 1970 from which remainders are taken: engines disagree on those of negative numbers
_TOGETHER = 192
"""Windows that are asked for in one go: each go compiles its queries anew, which takes longer than they do for small
tables; a summary of many columns takes half a megabyte."""
_EPOCH = date(1970, 1, 1)
Expression = Any


@dataclass(frozen=True)
class EngineWindows:
    """The windows of a table in an engine, by the values of one of its columns.

    Attributes:
        table: An Ibis table.
        time: Its column of dates or times.
        calendar: What cuts time into windows; a time without a zone is read as UTC, a date as it is.
    """

    table: Any
    time: str
    calendar: Calendar

    @cached_property
    def found(self) -> dict[str, tuple[int, float | None]]:
        """Window key to its rows and its newest time in seconds since 1970 (None for dates), oldest first."""
        counted = self._marked.group_by(_START).aggregate(rows=self._marked.count(), newest=self._marked[_PLACE].max())
        rows = sorted(self._fetched(counted).iter_rows())
        return {
            self._key(start): (rows, None if self._dated else newest / self._second) for start, rows, newest in rows
        }

    def metrics(
        self, keys: Sequence[str], *, like: Summary, columns: Sequence[str], key: Sequence[str]
    ) -> Iterator[tuple[str, dict[str, float], dict[str, Mapping[str, int]]]]:
        """Yield the metrics of some windows, made in the engine: those of `Summary.metrics`, and a key's duplicates.

        And the texts of columns with a closed list, with their counts.
        """
        frequent = frequent_in(like.columns)
        for at in range(0, len(keys), _TOGETHER):
            chosen = keys[at : at + _TOGETHER]
            part = self._between(chosen[0], chosen[-1])
            made = summarise_windows(part, _START, like=like, columns=columns)
            twice = self._duplicates(part, key)
            for start, summary in made.items():
                if (name := self._key(start)) in chosen:
                    window = self.calendar.window(name)
                    measured = summary.metrics(window=window, frequent=frequent) | twice.get(start, {})
                    yield name, measured, texts(summary.columns)

    def rows(self, keys: Sequence[str], columns: Sequence[str], most: int) -> dict[str, pl.DataFrame]:
        """Fetch a random sample of the rows of some neighbouring windows, of each about the same share.

        Args:
            keys: The windows, in order.
            columns: What to fetch of them.
            most: Rows of a window that are fetched at most, on average.
        """
        import ibis

        part = self._between(keys[0], keys[-1])
        held = max(self.found[name][0] for name in keys)
        if held > most:
            part = part.filter(ibis.random() < most / held)
        frame = self._fetched(part.order_by(_PLACE).select(_START, *columns))
        named = {
            self._key(start): rows.drop(_START) for (start,), rows in frame.partition_by(_START, as_dict=True).items()
        }
        return {name: named.get(name, frame.head(0).drop(_START)) for name in keys}

    def _duplicates(self, part: Expression, key: Sequence[str]) -> dict[Any, dict[str, float]]:
        if not key:
            return {}
        single = part.group_by(_START, *key).aggregate(times=part.count())
        counted = single.group_by(_START).aggregate(rows=single["times"].sum(), different=single.count())
        return {
            start: {"duplicate_share": 1 - float(different) / float(rows)}
            for start, rows, different in self._fetched(counted).iter_rows()
        }

    # --- where windows begin, in stored units of the column

    @cached_property
    def _field(self) -> Any:
        return field_of(self.time, self.table.schema()[self.time])

    @property
    def _dated(self) -> bool:
        return bool(self._field.dtype == "date32")

    @property
    def _second(self) -> int:
        return int(self._field.per_second)

    @property
    def _unit(self) -> int:
        """Length of a window in stored units; dates are stored in days."""
        if self._dated:
            return 1
        return self._second * (86_400 if self.calendar.every == "1d" else 3600)

    @cached_property
    def _marked(self) -> Expression:
        """The rows that have a time, with its number and the number at which its window begins, both in local time."""
        import ibis

        table = self.table
        moment = stored(table[self.time], self._field, table.get_backend().name)
        timed = table.filter(table[self.time].notnull()).mutate(**{_PLACE: moment})
        if self._dated:
            return timed.mutate(**{_START: timed[_PLACE]})
        local = timed[_PLACE] + self._shift(timed) if self._local else timed[_PLACE]
        far = ibis.literal(_ORIGIN * 86_400 * self._second, "int64")
        return timed.mutate(**{_START: local - (local + far) % self._unit})

    @property
    def _local(self) -> bool:
        return self.calendar.every == "1d" and self.calendar.timezone != "UTC"

    def _shift(self, timed: Expression) -> Expression:
        """Return what a clock in the calendar's zone shows beyond UTC: one case for each change of that clock."""
        import ibis

        day = 86_400 * self._second
        far = ibis.literal(_ORIGIN * day, "int64")
        days = timed.select(**{_START: timed[_PLACE] - (timed[_PLACE] + far) % day}).distinct()
        seen = sorted(int(start) // day for (start,) in self._fetched(days).iter_rows())
        steps = _offsets(seen, ZoneInfo(self.calendar.timezone))
        *before, (_, last) = [(until, ibis.literal(offset * self._second, "int64")) for until, offset in steps]
        if not before:
            return last
        return ibis.cases(*((timed[_PLACE] < until * self._second, offset) for until, offset in before), else_=last)

    def _between(self, first: str, last: str) -> Expression:
        starts = [self._place(name) for name in (first, last)]
        return self._marked.filter((self._marked[_START] >= starts[0]) & (self._marked[_START] <= starts[1]))

    def _place(self, name: str) -> int:
        moment = datetime.strptime(name, "%Y-%m-%d" if len(name) == 10 else "%Y-%m-%dT%H").replace(tzinfo=UTC)
        since = moment - datetime(1970, 1, 1, tzinfo=UTC)
        return since.days if self._dated else round(since.total_seconds()) * self._second

    def _key(self, start: int) -> str:
        if self._dated:
            day = _EPOCH + timedelta(days=int(start))
            return f"{day}" if self.calendar.every == "1d" else f"{day}T00"
        moment = datetime(1970, 1, 1) + timedelta(seconds=int(start) // self._second)
        return f"{moment:%Y-%m-%d}" if self.calendar.every == "1d" else f"{moment:%Y-%m-%dT%H}"

    def _fetched(self, query: Expression) -> pl.DataFrame:
        import polars as pl

        found = pl.from_arrow(self.table.get_backend().to_pyarrow(query))
        assert isinstance(found, pl.DataFrame)
        return found


def columns_of(table: Any) -> pl.DataFrame:
    """Return the columns and types of an Ibis table as a frame without rows."""
    import polars as pl

    return pl.DataFrame(schema=dict(table.schema().to_polars()))


def _offsets(days: Sequence[int], zone: ZoneInfo) -> list[tuple[int, int]]:
    """Return what a zone's clock shows beyond UTC on some UTC days: until which second, how many seconds."""
    steps: list[tuple[int, int]] = []
    for day in days:
        at, end = day * 86_400, (day + 1) * 86_400
        offset = _offset(at, zone)
        if steps and steps[-1][1] != offset:
            steps[-1] = (at, steps[-1][1])
        if not steps or steps[-1][1] != offset:
            steps.append((end, offset))
        if _offset(end - 1, zone) != offset:
            change = _change(at, end - 1, offset, zone)
            steps[-1] = (change, offset)
            steps.append((end, _offset(end - 1, zone)))
    return steps


def _change(same: int, other: int, offset: int, zone: ZoneInfo) -> int:
    """Return the first second with another offset."""
    while other - same > 1:
        middle = (same + other) // 2
        same, other = (middle, other) if _offset(middle, zone) == offset else (same, middle)
    return other


def _offset(second: int, zone: ZoneInfo) -> int:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    beyond = moment.astimezone(zone).utcoffset()
    assert beyond is not None
    return round(beyond.total_seconds())
