"""Repair operators for source tables: plain descriptions of an inverse, applied to frames without side effects.

A `Repair` is plain data, so that it can be stored with an incident and applied again to later windows of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from headwater.core.errors import DataError, UnknownName
from headwater.stats.signatures.reference import Reference
from headwater.stats.signatures.rows import hit_rows
from headwater.stats.signatures.texts import canonical_form, parse
from headwater.stats.signatures.views import hours, kind_of, numbers, texts, whole

CAST, FILL, RECODE = "cast", "fill", "recode"


@dataclass(frozen=True)
class Repair:
    """One operator with its parameters (plain JSON), and the kind of fault that it undoes.

    Example:
        >>> Repair.of({"operator": "affine", "fault": "unit",
        ...            "parameters": {"columns": {"temp": {"scale": 1.8, "shift": 32.0}}}}).fault
        'unit'
    """

    operator: str
    fault: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the repair as plain JSON data."""
        return {"operator": self.operator, "fault": self.fault, "parameters": dict(self.parameters)}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Repair:
        """Read a repair back from its plain data.

        Raises:
            UnknownName: The operator is not known.
        """
        operator = str(data["operator"])
        if operator not in _OPERATORS:
            raise UnknownName.of("repair operator", operator, _OPERATORS)
        return cls(operator, str(data["fault"]), dict(data.get("parameters", {})))

    @property
    def invertible(self) -> bool:
        """Whether applying it restores values; False for `redeliver`, which only the sender can do."""
        return self.operator != "redeliver"

    def columns(self) -> tuple[str, ...] | None:
        """Return the columns it changes; None when it changes which rows there are."""
        named = self.parameters.get("columns", ())
        if self.operator in ("deduplicate", "drop_delivered", "previous_snapshot", "redeliver"):
            return None
        if self.operator == "rename":
            return (*named, *named.values())
        return (*named, *self.parameters.get("calendar", {}))


def apply(repair: Repair, frame: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Return the frame with the repair applied; columns it does not know are kept.

    Raises:
        DataError: The repair has no inverse (`redeliver`), or its columns are not in the frame.
        UnknownName: The operator is not known.
    """
    if repair.operator not in _OPERATORS:
        raise UnknownName.of("repair operator", repair.operator, _OPERATORS)
    try:
        return _OPERATORS[repair.operator](repair.parameters, frame, reference)
    except (pl.exceptions.PolarsError, KeyError) as error:
        raise DataError(f"repair `{repair.operator}` cannot be applied to this frame: {error}") from error


def _affine(parameters: Mapping[str, Any], frame: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Multiply and shift numeric columns, on all rows or on those that a rule picks (see `rows.hit_rows`)."""
    columns = []
    where = parameters.get("where")
    for name, factor in parameters["columns"].items():
        value = pl.col(name).cast(pl.Float64) * float(factor["scale"]) + float(factor["shift"])
        places = reference.decimals.get(name, 9)
        # Otherwise undo only the last bits that the arithmetic added, so that 45.0 is 45.0 again.
        value = value.round(places) if factor.get("round") and places <= 8 else value.round_sig_figs(12)
        if where:
            value = (
                pl.when(pl.Series(hit_rows(where, name, factor, frame, reference))).then(value).otherwise(pl.col(name))
            )
        columns.append(value.alias(name))
    return _settled(frame.with_columns(columns), parameters["columns"], reference)


def _settled(frame: pl.DataFrame, names: Iterable[str], reference: Reference) -> pl.DataFrame:
    """Give repaired numbers their usual type back where that loses nothing."""
    columns = []
    for name in names:
        dtype, series = reference.schema.get(name), frame.get_column(name)
        if dtype is None or not (dtype.is_numeric() and series.dtype.is_float() and dtype.is_integer()):
            continue
        if whole(series):
            columns.append(series.round().cast(dtype, strict=False))
    return frame.with_columns(columns)


def _time_shift(parameters: Mapping[str, Any], frame: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Move time columns by a number of seconds, and recompute the calendar columns that were moved with them."""
    seconds = int(parameters["seconds"])
    moved = frame.with_columns(
        (pl.col(name).cast(pl.Datetime("us")) + pl.duration(seconds=seconds)).cast(pl.Date).alias(name)
        if frame.schema[name] == pl.Date
        else (pl.col(name) + pl.duration(seconds=seconds)).alias(name)
        for name in parameters["columns"]
    )
    named = parameters.get("calendar", {})
    if not named:
        return moved
    source, zone = parameters["source"], float(parameters["zone_hours"])
    calendars = {one.column: one for one in reference.calendars}
    columns = []
    for name in named:
        calendar = calendars[name]
        clock = _clock(frame.get_column(source), zone, reference)
        if source in parameters["columns"]:
            clock = clock + seconds / 3600
        columns.append(_as_column(name, calendar.expected(clock, zone), moved))
    return moved.with_columns(columns)


def _clock(series: pl.Series, zone: float, reference: Reference) -> Any:
    naive = getattr(series.dtype, "time_zone", None) is None
    return hours(series) - (zone if naive and reference.naive_local else 0.0)


def _as_column(name: str, values: Any, frame: pl.DataFrame) -> pl.Series:
    series = values if isinstance(values, pl.Series) else pl.Series(values).fill_nan(None)
    dtype = frame.schema[name] if name in frame.columns else series.dtype
    if dtype.is_integer():
        series = series.round()
    return series.cast(dtype, strict=False).alias(name)


def _calendar(parameters: Mapping[str, Any], frame: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Recompute calendar columns from the time column."""
    source, zone = parameters["source"], float(parameters["zone_hours"])
    clock = _clock(frame.get_column(source), zone, reference)
    calendars = {one.column: one for one in reference.calendars}
    return frame.with_columns(
        _as_column(name, calendars[name].expected(clock, zone), frame) for name in parameters["columns"]
    )


def _deduplicate(parameters: Mapping[str, Any], frame: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Keep the first row of each key; without a key, one of every ``copies`` equal rows."""
    key = list(parameters.get("key") or [])
    if key:
        return frame.unique(key, keep="first", maintain_order=True)
    copies = int(parameters.get("copies", 0))
    if copies < 2:
        return frame.unique(keep="first", maintain_order=True)
    place = frame.select(
        pl.int_range(pl.len()).over(frame.columns).alias("place"), pl.len().over(frame.columns).alias("size")
    )
    keep = place.get_column("place") < (place.get_column("size") / copies).ceil()
    return frame.filter(keep)


def _drop_delivered(parameters: Mapping[str, Any], frame: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Drop the rows that an earlier window already delivered."""
    columns = [name for name in frame.columns if name in reference.schema]
    same = frame.with_columns(pl.col(name).cast(reference.schema[name], strict=False) for name in columns)
    earlier = pl.concat([one.select(columns) for one in reference.frames[-7:]], how="vertical_relaxed")
    marked = same.with_row_index("\0row").join(earlier, on=columns, how="anti", nulls_equal=True)
    return frame[marked.get_column("\0row").sort().to_list()]


def _previous_snapshot(parameters: Mapping[str, Any], frame: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Stand the last accepted snapshot in for this one."""
    return reference.frames[-1]


def _recode(parameters: Mapping[str, Any], frame: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Map values back: by a rule of writing (case, spaces, affixes, padding) or by an explicit map."""
    columns = []
    for name, change in parameters["columns"].items():
        series = frame.get_column(name)
        if change.get("rule"):
            columns.append(_by_rule(series, change, reference).alias(name))
            continue
        pairs = change["map"]
        old = [pair[0] for pair in pairs]
        new = [pair[1] for pair in pairs]
        if series.dtype.is_numeric():
            columns.append(series.replace(pl.Series(old).cast(series.dtype), pl.Series(new).cast(series.dtype)))
        else:
            mapped = texts(series).replace([str(one) for one in old], [str(one) for one in new])
            columns.append(_back(mapped, series.dtype, reference.schema.get(name)).alias(name))
    return frame.with_columns(columns)


def _back(values: pl.Series, dtype: pl.DataType, expected: pl.DataType | None) -> pl.Series:
    if dtype == pl.Boolean:
        return values == "true"
    return values if expected is None or dtype == pl.String else values.cast(expected, strict=False)


def _by_rule(series: pl.Series, change: Mapping[str, Any], reference: Reference) -> pl.Series:
    vocabulary = reference.vocabularies[series.name]
    known = vocabulary.values
    forms = known.to_frame("known").with_columns(
        canonical_form(known, change["rule"], str(change.get("usual", ""))).alias("form")
    )
    forms = forms.unique("form", keep="first", maintain_order=True)
    values = texts(series)
    given = canonical_form(values, change["rule"], str(change.get("affix", "")))
    mapped = given.replace_strict(forms.get_column("form"), forms.get_column("known"), default=None)
    seen = values.is_in(known.implode())
    fallback = given if change["rule"] in ("prefix", "suffix") else values
    return values.zip_with(seen, mapped.zip_with(mapped.is_not_null(), fallback))


def _rename(parameters: Mapping[str, Any], frame: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Give columns their names back (``{present name: usual name}``)."""
    return frame.rename(dict(parameters["columns"]))


def _cast(parameters: Mapping[str, Any], frame: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Read columns back into their usual types."""
    return frame.with_columns(
        parse(frame.get_column(name), reference.schema[name], str(how)).alias(name)
        for name, how in parameters["columns"].items()
    )


def _to_null(parameters: Mapping[str, Any], frame: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Turn stand-in values into nulls."""
    columns = []
    for name, values in parameters["columns"].items():
        series = frame.get_column(name)
        if kind_of(series.dtype) == "number":
            hit = pl.Series(np.isin(numbers(series), np.array(values, dtype=float)))
        else:
            hit = series.cast(pl.String).is_in([str(value) for value in values]).fill_null(False)
        columns.append(series.set(hit, None).alias(name))
    return _settled(frame.with_columns(columns), parameters["columns"], reference)


def _fill(parameters: Mapping[str, Any], frame: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Take attributes from what their id is known to have: where they are null, or everywhere."""
    view = reference.view(frame, reference.windows[-1])
    lookups = {(one.by, one.column): one for one in reference.lookups}
    columns = []
    for name, by in parameters["columns"].items():
        lookup = lookups[(by, name)]
        expected = lookup.expected(reference.vocabularies[by].codes(view, by))
        dtype = reference.schema[name]
        if reference.kind(name) == "number":
            values = pl.Series(expected).fill_nan(None)
            known = (values.round() if dtype.is_integer() else values).cast(dtype, strict=False)
        else:
            vocabulary = reference.vocabularies[name].values
            place = pl.Series(np.where(np.isfinite(expected), expected, -1).astype(np.int64))
            known = vocabulary.gather(place.set(place < 0, None))
            known = known == "true" if dtype == pl.Boolean else known.cast(dtype)
        own = frame.get_column(name) if name in frame.columns else pl.Series([None] * frame.height, dtype=dtype)
        own = own.cast(dtype) if own.dtype == pl.Null else own
        first, second = (known, own) if parameters.get("overwrite") else (own, known)
        columns.append(first.zip_with(first.is_not_null(), second.cast(first.dtype, strict=False)).alias(name))
    return frame.with_columns(columns)


def _rebuild(parameters: Mapping[str, Any], frame: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Recompute a column as its usual weighted sum of others, where all of them are given."""
    columns = []
    for name, recipe in parameters["columns"].items():
        value = pl.lit(float(recipe["constant"]))
        for other, weight in recipe["weights"].items():
            value = value + pl.col(other).cast(pl.Float64) * float(weight)
        places = min(reference.decimals.get(name, 9), 9)
        whole = frame.select(value.round(places if places < 9 else 12).alias(name)).get_column(name)
        own = frame.get_column(name).cast(pl.Float64, strict=False)
        series = whole.zip_with(whole.is_not_null(), own)
        dtype = reference.schema[name]
        columns.append((series.round() if dtype.is_integer() else series).cast(dtype, strict=False).alias(name))
    return frame.with_columns(columns)


def _swap(parameters: Mapping[str, Any], frame: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Exchange the contents of two columns."""
    one, other = parameters["columns"]
    order = frame.columns
    return frame.rename({one: other, other: one}).select(order)


def _realign(parameters: Mapping[str, Any], frame: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    """Move columns by rows against the others, around the end."""
    rows = int(parameters["rows"])
    return frame.with_columns(
        pl.concat([frame.get_column(name)[-rows:], frame.get_column(name)[:-rows]]).alias(name)
        for name in parameters["columns"]
    )


def _redeliver(parameters: Mapping[str, Any], frame: pl.DataFrame, reference: Reference) -> pl.DataFrame:
    raise DataError("what was lost cannot be computed from what is here", hint="ask the source to deliver it again")


_OPERATORS: dict[str, Callable[[Mapping[str, Any], pl.DataFrame, Reference], pl.DataFrame]] = {
    "affine": _affine,
    "time_shift": _time_shift,
    "calendar": _calendar,
    "deduplicate": _deduplicate,
    "drop_delivered": _drop_delivered,
    "previous_snapshot": _previous_snapshot,
    RECODE: _recode,
    "rename": _rename,
    CAST: _cast,
    "to_null": _to_null,
    FILL: _fill,
    "rebuild": _rebuild,
    "swap": _swap,
    "realign": _realign,
    "redeliver": _redeliver,
}
OPERATORS = tuple(_OPERATORS)
