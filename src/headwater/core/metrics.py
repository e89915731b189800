"""The metrics of a profile by name: what a project may declare to be watched or muted."""

from __future__ import annotations

import difflib

from headwater.core.errors import UnknownName

OF_TABLES = frozenset({"rows", "duplicate_share"})
_SHARES = frozenset({"null_share", "nan_share", "zero_share", "true_share", "top_share", "unseen_share"})
_NUMBERS = frozenset({"mean", "std", "min", "max", "q05", "q25", "q50", "q75", "q95", "distinct", "length_mean"})
_TIMES = frozenset({"min_hours", "mean_hours", "max_hours", "offset", "offset_wall"})
OF_COLUMNS = _SHARES | _NUMBERS | _TIMES
_BESIDE = frozenset({"repeat_share", "echo_share", "key_match", "schema"})
"""What only monitors that are there anyway look at: it needs other windows or other tables."""


def parts(metric: str) -> tuple[str, str]:
    """Split a metric's name into what it measures and the column.

    Example:
        >>> parts("null_share.amount"), parts("share[a.b].country"), parts("rows")
        (('null_share', 'amount'), ('share[a.b]', 'country'), ('rows', ''))
    """
    if metric.startswith("share["):
        value, closed, column = metric.rpartition("].")
        return (f"{value}]", column) if closed else (metric, "")
    name, _, column = metric.partition(".")
    return name, column


def check_watched(metric: str) -> None:
    """Refuse a metric that no window will ever have: a monitor that is mistyped must not look like one that is calm.

    Raises:
        UnknownName: Nothing is measured by that name, or of that kind of thing.
    """
    name, column = parts(metric)
    if name in OF_TABLES:
        if column:
            raise UnknownName(f"`{name}` is of the table and has no column `{column}`", hint=f"write `{name}` alone")
        return
    if name not in OF_COLUMNS and not name.startswith("share["):
        raise _unknown(name, column, OF_TABLES | OF_COLUMNS)
    if not column:
        raise UnknownName(f"`{metric}` of which column?", hint=f"for example {name}.amount")


def check_muted(pattern: str) -> None:
    """Refuse a name to be muted that no finding will ever have; ``*`` stands for any.

    Raises:
        UnknownName: Nothing is measured by that name.
    """
    name, column = parts(pattern)
    known = OF_TABLES | OF_COLUMNS | _BESIDE
    if not set("*?") & set(name) and name not in known and not name.startswith("share["):
        raise _unknown(name, column, known)


def _unknown(name: str, column: str, known: frozenset[str]) -> UnknownName:
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    meant = f"did you mean `{near[0]}{'.' + column if column else ''}`? " if near else ""
    return UnknownName(f"there is no metric `{name}` to declare", hint=f"{meant}known: {', '.join(sorted(known))}")
