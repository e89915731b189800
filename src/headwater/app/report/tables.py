"""What is shown of single tables, without a workspace, as plain frozen data."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.core.errors import UnknownName
from headwater.stats.profiling.summaries import Summary
from headwater.stats.signatures.signatures import Diagnosis
from headwater.stats.signatures.writings import odd_writings

_LISTED = 500
"""Values up to which a column is taken for a list that somebody keeps."""


@dataclass(frozen=True, repr=False)
class TableProfile:
    """What a table holds.

    Attributes:
        summary: The mergeable summary of every column.
        name: What the table is called.
    """

    summary: Summary
    name: str = ""

    def odd_writings(self, column: str) -> dict[str, str]:
        """Return the values of a closed list that are written unlike all others, each as the others are written.

        It is a hint for people: see `headwater.stats.signatures.writings.odd_writings` for when it misleads.

        Raises:
            UnknownName: There is no such column.
        """
        if column not in self.summary.columns:
            raise UnknownName.column(column, self.summary.columns)
        listed = self.summary.columns[column].vocabulary
        return odd_writings(listed) if listed and len(listed) <= _LISTED else {}


@dataclass(frozen=True, slots=True)
class Change:
    """What differs in one column, or in the table as a whole (``column`` is then empty).

    Attributes:
        column: The column.
        severity: ``alarm`` for what would wake somebody in a workspace, else ``notice``.
        metric: The metric that is furthest out of its band.
        score: How far, in limits: above 1 is beyond what the monitor allows.
        value: What it is in the piece where it is furthest out; of a drift, since it began.
        expected: What it was to be.
        detail: All of this for people.
        pieces: Labels of the pieces of the current table in which it was found.
        worst: Label of the piece whose numbers these are.
    """

    column: str
    severity: str
    metric: str
    score: float
    value: float | None
    expected: float | None
    detail: str
    pieces: tuple[str, ...]
    worst: str = ""


@dataclass(frozen=True, repr=False)
class TableComparison:
    """What differs between a reference and a table.

    Attributes:
        reference: Summary of the reference.
        current: Summary of the current table, on the reference's grids.
        changes: What differs, the gravest first; empty when the current table is as the reference was.
        diagnoses: Named faults that explain it, with the repair that would undo each; the best explanation first.
        basis: What "usual" rests on.
        pieces: How many pieces of the current table were looked at.
        unit: What a piece is: ``day``, ``hour`` or ``block``.
        banded: Whether there was enough to say what is usual; otherwise only the schema was compared.
    """

    reference: Summary
    current: Summary
    changes: tuple[Change, ...]
    diagnoses: tuple[Diagnosis, ...]
    basis: str
    pieces: int
    unit: str
    banded: bool = True

    @property
    def alarms(self) -> tuple[Change, ...]:
        """The changes that would wake somebody."""
        return tuple(change for change in self.changes if change.severity == "alarm")
