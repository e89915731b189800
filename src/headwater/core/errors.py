"""The one tree of errors. Each class has a stable ``code``; doors map codes to exit codes and HTTP status."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HeadwaterError(Exception):
    """Say what went wrong, while doing what, and what to try.

    Args:
        message: What is wrong and which one.
        doing: What was being done, e.g. ``"checking contract `weather` 1.2.0"``.
        hint: What the reader can do now.
    """

    code = "headwater"
    exit_code = 1

    def __init__(self, message: str, *, doing: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.doing = doing
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.message]
        if self.doing:
            lines.append(f"  while: {self.doing}")
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, str | None]:
        """Return the error as plain data for ``--json``."""
        return {"code": self.code, "message": self.message, "while": self.doing, "hint": self.hint}


class DataError(HeadwaterError):
    """The data is bad: a contract broke, a table is corrupt, rows conflict."""

    code = "data"


class ContractBroken(DataError):
    """A dataset broke its contract on write; nothing was written."""

    code = "contract-broken"


class CorruptTable(DataError):
    """A stored table cannot be read back as it was written."""

    code = "corrupt-table"


class WindowConflict(DataError):
    """A window is delivered twice with different content, or out of the calendar."""

    code = "window-conflict"


class Quarantined(DataError):
    """A read for training touches windows that are quarantined."""

    code = "quarantined"


class LedgerBroken(DataError):
    """The evidence ledger does not verify: a record was changed, lost or reordered."""

    code = "ledger-broken"


class ModelError(HeadwaterError):
    """The model or its release is bad: gate refused, parts missing, labels missing."""

    code = "model"


class GateRefused(ModelError):
    """The release gate refused a model version."""

    code = "gate-refused"


class IncidentError(HeadwaterError):
    """An incident cannot move that way: e.g. closing without both signatures."""

    code = "incident"


class UsageError(HeadwaterError):
    """The caller mistyped: unknown name, broken reference, broken configuration."""

    code = "usage"
    exit_code = 2


class UnknownName(UsageError):
    """A name is not in this workspace, or a column not in a table."""

    code = "unknown-name"

    @classmethod
    def of(
        cls, kind: str, name: str, known: Iterable[str], *, command: str | None = None, where: str = "in this workspace"
    ) -> UnknownName:
        """Build the error with a hint at the nearest known name."""
        listing = f"list them with `{command}`" if command else ""
        return cls(f"{kind} `{name}` is not {where}", hint=_near(name, known, listing))

    @classmethod
    def column(cls, name: str, known: Iterable[str], what: str = "the table") -> UnknownName:
        """Build the error of a table that lacks a column, which has nothing to do with a workspace."""
        return cls(f"{what} has no column `{name}`", hint=_near(name, known))


def _near(name: str, known: Iterable[str], listing: str = "") -> str:
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    more = f" and {len(known) - 12} more" if len(known) > 12 else ""
    listing = listing or f"known: {', '.join(known[:12]) or 'none'}{more}"
    return f"did you mean `{near[0]}`? {listing}" if near else listing


class ProjectInvalid(UsageError):
    """The project's own definition is wrong: a circle, a missing parent, a broken YAML."""

    code = "project-invalid"


class OutsideError(HeadwaterError):
    """The outside world is broken: disk full, database locked, a missing optional package."""

    code = "outside"
    exit_code = 3


class StorageError(OutsideError):
    """A store cannot be read or written; what was there before is still there."""

    code = "storage"


class MissingExtra(OutsideError):
    """An optional package is needed and not installed."""

    code = "missing-extra"

    @classmethod
    def of(cls, package: str, extra: str) -> MissingExtra:
        """Build the error that names the extra to install."""
        return cls(f"package `{package}` is not installed", hint=f"pip install 'headwater[{extra}]'")
