"""Windows kept out of training: ranges set and lifted by incidents, folded from the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from headwater.core.errors import DataError
from headwater.core.ports import Record

_DAY, _HOUR = "%Y-%m-%d", "%Y-%m-%dT%H"


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """Windows of a dataset from ``first`` to ``last``, both included, that are not to be trained on."""

    dataset: str
    first: str
    last: str
    reason: str = ""
    incident: str = ""

    def __str__(self) -> str:
        span = self.first if self.first == self.last else f"{self.first}..{self.last}"
        why = f" ({self.incident})" if self.incident else f" ({self.reason})" if self.reason else ""
        return f"{self.dataset} {span}{why}"


class Quarantine:
    """The quarantined ranges of all datasets.

    A range is lifted whole or in part, by the incident that set it; a lift that names no incident lifts whatever is
    there. Two incidents may hold the same windows: both must let go.

    Example:
        >>> held = Quarantine()
        >>> held.set(Range("weather", "2013-07-01", "2013-07-05", "shifted hours", "incident:nyc/1"))
        >>> held.lift(Range("weather", "2013-07-02", "2013-07-03", incident="incident:nyc/1"))
        >>> [str(found) for found in held.covering(["weather"], "2013-07-01", "2013-07-04")]
        ['weather 2013-07-01 (incident:nyc/1)', 'weather 2013-07-04..2013-07-05 (incident:nyc/1)']
    """

    def __init__(self) -> None:
        self._ranges: list[Range] = []

    @classmethod
    def of(cls, records: Iterable[Record]) -> Quarantine:
        """Fold ledger records; those of other kinds are passed over."""
        folded = cls()
        for record in records:
            folded.add(record)
        return folded

    @property
    def ranges(self) -> tuple[Range, ...]:
        """Every range that is quarantined now, in the order it was set."""
        return tuple(self._ranges)

    def add(self, record: Record) -> None:
        """Take in one ledger record; those of other kinds are passed over.

        Raises:
            DataError: the record lacks a field, or its first window comes after its last.
        """
        if record.kind != "quarantine":
            return
        body = record.body
        try:
            held = Range(
                dataset=str(body["dataset"]),
                first=str(body["first"]),
                last=str(body["last"]),
                reason=str(body.get("reason") or ""),
                incident=str(body.get("incident") or ""),
            )
            state = body["state"]
        except KeyError as error:
            raise DataError(f"record {record.seq} is not a quarantine record: no {error}") from error
        if state not in ("set", "lifted"):
            raise DataError(f"record {record.seq} has the unknown quarantine state `{state}`")
        if state == "set":
            self.set(held)
        else:
            self.lift(held)

    def set(self, held: Range) -> None:
        """Quarantine a range."""
        _check(held)
        if held not in self._ranges:
            self._ranges.append(held)

    def lift(self, lifted: Range) -> None:
        """Lift the windows from ``first`` to ``last``, where they are held by the same incident (or by any)."""
        _check(lifted)
        self._ranges = [left for held in self._ranges for left in _without(held, lifted)]

    def covering(self, datasets: str | Iterable[str], first: str, last: str | None = None) -> tuple[Range, ...]:
        """Return the ranges of these datasets that touch any window from ``first`` to ``last``.

        Datasets may be given by reference or by bare name.
        """
        asked = {_bare(name) for name in ([datasets] if isinstance(datasets, str) else datasets)}
        last = last or first
        return tuple(
            held for held in self._ranges if _bare(held.dataset) in asked and held.first <= last and first <= held.last
        )

    def windows(self, datasets: str | Iterable[str], keys: Sequence[str]) -> dict[str, Range]:
        """Return which of these windows are quarantined, and by which range (the first that was set)."""
        found: dict[str, Range] = {}
        for key in keys:
            if held := self.covering(datasets, key):
                found[key] = held[0]
        return found


def _without(held: Range, lifted: Range) -> list[Range]:
    apart = lifted.last < held.first or held.last < lifted.first
    if apart or _bare(held.dataset) != _bare(lifted.dataset) or lifted.incident not in ("", held.incident):
        return [held]
    left = []
    if held.first < lifted.first:
        left.append(Range(held.dataset, held.first, _shift(lifted.first, -1), held.reason, held.incident))
    if lifted.last < held.last:
        left.append(Range(held.dataset, _shift(lifted.last, 1), held.last, held.reason, held.incident))
    return left


def _shift(key: str, count: int) -> str:
    """Return the next or previous window's key; keys are plain dates or UTC hours, so no zone is needed."""
    form, step = (_DAY, timedelta(days=count)) if "T" not in key else (_HOUR, timedelta(hours=count))
    return f"{datetime.strptime(key, form) + step:{form}}"


def _check(held: Range) -> None:
    for key in (held.first, held.last):
        try:
            _shift(key, 0)
        except ValueError as error:
            raise DataError(f"`{key}` in a quarantine of `{held.dataset}` is not a window") from error
    if held.last < held.first:
        raise DataError(f"a quarantine of `{held.dataset}` ends ({held.last}) before it begins ({held.first})")


def _bare(name: str) -> str:
    return name.partition(":")[2].partition("/")[2].partition("@")[0] if ":" in name else name
