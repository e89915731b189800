"""Which rows of a column a change of unit hit, when it did not hit all of them: rules as plain data.

A rule says it by another column's values (a station, a vendor), by size (what lies above or below a cut), by form (a
value that was never seen or has too many digits, and is an ordinary one once converted back), or by agreement (a value
that is nearer to what the other columns let expect once converted back).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import polars as pl

from headwater.stats.signatures.gauge import Gauge
from headwater.stats.signatures.views import Bools, Floats, numbers
from headwater.stats.signatures.vocabulary import UNSEEN


def hit_rows(
    where: Mapping[str, Any], column: str, factor: Mapping[str, Any], frame: pl.DataFrame, gauge: Gauge
) -> Bools:
    """Return which rows a rule picks; a null or an endless value is never picked, nor is one that cannot change.

    Args:
        where: ``{"column": name, "values": [...]}``, ``{"above": size}``, ``{"below": size}``, ``{"form": true}`` or
            ``{"agreement": true}``.
        column: The numeric column that was hit.
        factor: Its inverse, ``usual = observed * scale + shift``.
        frame: The table.
        gauge: What is known of the table.
    """
    values = numbers(frame.get_column(column))
    if "column" in where:
        named = where.get("values", [where.get("value")])
        return cast(Bools, frame.get_column(where["column"]).cast(pl.String).is_in(named).fill_null(False).to_numpy())
    with np.errstate(all="ignore"):
        back = values * float(factor["scale"]) + float(factor["shift"])
        given = np.isfinite(values) & np.isfinite(back) & (values != back)
        if "above" in where:
            return cast(Bools, given & (np.abs(values) > float(where["above"])))
        if "below" in where:
            return cast(Bools, given & (np.abs(values) < float(where["below"])))
        if "form" in where:
            return cast(Bools, given & (strangeness(gauge, column, back) < strangeness(gauge, column, values)))
        expected = expected_values(gauge, column, frame)
        if expected is None:
            return np.zeros(len(values), dtype=bool)
        return cast(Bools, given & (np.abs(back - expected) < np.abs(values - expected)))


def strangeness(gauge: Gauge, column: str, values: Floats) -> Floats:
    """Return 2 for values with more digits than the column ever has, 1 for others never seen, 0 for known ones."""
    known, places = gauge.vocabularies[column], gauge.decimals[column]
    with np.errstate(all="ignore"):
        strange = (known.near(values, 0.0) == UNSEEN).astype(float)
        if places < 9:
            scaled = values * 10.0**places
            strange += np.abs(scaled - np.round(scaled)) > 1e-6 * np.maximum(1.0, np.abs(scaled))
    return cast(Floats, strange)


def expected_values(gauge: Gauge, column: str, frame: pl.DataFrame) -> Floats | None:
    """Return what the other columns let expect of a column, by the sharpest relation there is; None when none is."""
    view = gauge.view(frame, gauge.windows[-1])
    for lookup in gauge.lookups:
        if lookup.column == column and view.present(lookup.by):
            return lookup.expected(gauge.vocabularies[lookup.by].codes(view, lookup.by))
    for linear in gauge.linears:
        if linear.column == column and all(view.present(name) for name in linear.weights):
            return linear.expected(view)
    if gauge.consistency is None:
        return None
    return gauge.consistency.predicted(view, column)
