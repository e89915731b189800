"""Who was champion when, and since when do we know: alias history with both times.

An alias record says "from ``valid_from`` on, this alias means this version", and the ledger knows when it was told.
A later record for the same or an earlier ``valid_from`` corrects history without rewriting it.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from headwater.core.clock import aware
from headwater.core.errors import DataError, UsageError
from headwater.core.ports import Entry, Record

CHAMPION = "champion"


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasChange:
    """One statement about an alias.

    Attributes:
        model: The model, as the release wrote it.
        alias: The alias, e.g. ``champion``.
        version: The version it means from ``valid_from`` on; None: the alias is taken away.
        valid_from: When it became (or becomes) so in the business.
        known_at: When it was recorded.
        by: Who moved it.
        reason: Why.
        displacement: Approved mean absolute change of the predictions by this move; None when it was not measured.
        record: Id of the ledger record.
    """

    model: str
    alias: str = CHAMPION
    version: str | None
    valid_from: datetime
    known_at: datetime
    by: str = ""
    reason: str = ""
    displacement: float | None = None
    record: str = field(default="", compare=False)

    @classmethod
    def of(cls, record: Record) -> AliasChange:
        """Read a ledger record of kind ``alias``; raise `DataError` when it is not one."""
        body = record.body
        try:
            version, displacement = body["version"], body.get("displacement")
            return cls(
                model=str(body["model"]),
                alias=str(body.get("alias") or CHAMPION),
                version=None if version is None else str(version),
                valid_from=aware(datetime.fromisoformat(body["valid_from"])),
                known_at=record.time,
                by=str(body.get("by") or ""),
                reason=str(body.get("reason") or ""),
                displacement=None if displacement is None else float(displacement),
                record=record.id,
            )
        except (KeyError, TypeError, ValueError, UsageError) as error:
            raise DataError(
                f"record {record.seq} is not an alias record: {error!r}",
                doing="reading the alias history",
                hint="it needs model, version and valid_from (ISO time with a zone)",
            ) from error

    def body(self) -> dict[str, Any]:
        """The ledger body of this statement."""
        return {
            "model": self.model,
            "alias": self.alias,
            "version": self.version,
            "valid_from": aware(self.valid_from).isoformat(),
            "by": self.by,
            "reason": self.reason,
            "displacement": self.displacement,
        }

    def entry(self) -> Entry:
        """The ledger entry that records this statement, at ``known_at``."""
        return Entry("alias", self.model, self.body(), self.known_at)


class Aliases:
    """All alias statements of the ledger, in the order in which they became known.

    Example:
        >>> from datetime import UTC
        >>> day = lambda number: datetime(2013, 7, number, tzinfo=UTC)
        >>> first = AliasChange(model="delay", version="1", valid_from=day(1), known_at=day(1))
        >>> late = AliasChange(model="delay", version="2", valid_from=day(3), known_at=day(5))
        >>> aliases = Aliases([first, late])
        >>> aliases.champion("delay", as_of=day(4)).version
        '2'
        >>> aliases.champion("delay", as_of=day(4), known_at=day(4)).version
        '1'
    """

    def __init__(self, changes: Iterable[AliasChange] = ()) -> None:
        self._changes: dict[str, list[AliasChange]] = {}
        for change in changes:
            self._take(change)

    @classmethod
    def of(cls, records: Iterable[Record]) -> Aliases:
        """Fold ledger records; those of other kinds are passed over."""
        return cls(AliasChange.of(record) for record in records if record.kind == "alias")

    def add(self, record: Record) -> None:
        """Fold one more ledger record; those of other kinds are passed over."""
        if record.kind == "alias":
            self._take(AliasChange.of(record))

    def champion(
        self,
        model: str,
        alias: str = CHAMPION,
        as_of: datetime | None = None,
        known_at: datetime | None = None,
    ) -> AliasChange | None:
        """Return the statement that held at ``as_of``, as far as was known at ``known_at``; None when there was none.

        The statement with the latest ``valid_from`` not after ``as_of`` holds; of several for the same instant, the
        last one told. So a correction of the past holds up to the next known change after it, not over it.

        Args:
            model: The model, as the release wrote it.
            alias: The alias.
            as_of: The moment asked about; None: the latest there is a statement for.
            known_at: Leave out what became known after this moment; None: use everything known.
        """
        asked = None if as_of is None else aware(as_of)
        knowing = None if known_at is None else aware(known_at)
        holding: AliasChange | None = None
        for change in self._changes.get(model, ()):
            if change.alias != alias or (asked is not None and change.valid_from > asked):
                continue
            if knowing is not None and change.known_at > knowing:
                break
            if holding is None or change.valid_from >= holding.valid_from:
                holding = change
        return None if holding is None or holding.version is None else holding

    def history(self, model: str, alias: str | None = None) -> list[AliasChange]:
        """Return every statement about a model's aliases in the order in which it became known."""
        return [change for change in self._changes.get(model, ()) if alias in (None, change.alias)]

    def models(self) -> list[str]:
        """Return the models that have any history, sorted."""
        return sorted(self._changes)

    def _take(self, change: AliasChange) -> None:
        # To the right of equals: among statements recorded at the same time, ledger order decides.
        insort(self._changes.setdefault(change.model, []), change, key=lambda known: known.known_at)
