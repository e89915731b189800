"""Writings of values: canonical forms of category names, and numbers and dates written as text."""

from __future__ import annotations

import polars as pl

from headwater.stats.signatures.views import whole

RULES = ("case", "space", "punctuation", "zeros", "decimal", "prefix", "suffix")
DATE_FORMATS = (
    "%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%d %H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M:%S%.fZ", "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d", "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y",
    "%Y%m%d%H%M%S", "%Y%m%d",
)  # fmt: skip
EPOCHS = {"epoch_s": 1, "epoch_ms": 1_000, "epoch_us": 1_000_000, "epoch_ns": 1_000_000_000}


def canonical_form(values: pl.Series, rule: str, affix: str) -> pl.Series:
    """Return texts in a form that two writings of one name share.

    Args:
        values: Texts.
        rule: One of `RULES`.
        affix: For ``prefix`` and ``suffix``: what to cut off (nothing for names that are already right).
    """
    if rule == "case":
        return values.str.strip_chars().str.to_lowercase()
    if rule == "space":
        return values.str.strip_chars().str.replace_all(r"\s+", " ")
    if rule == "punctuation":
        return values.str.to_lowercase().str.replace_all(r"[\s\-_./,]+", "")
    if rule == "zeros":
        return values.str.strip_chars().str.replace(r"^0+(.)", "$1")
    if rule == "decimal":
        return values.str.strip_chars().str.replace(r"\.0+$", "")
    if rule == "prefix":
        return values.str.strip_prefix(affix) if affix else values
    return values.str.strip_suffix(affix) if affix else values


def parse(series: pl.Series, dtype: pl.DataType, how: str) -> pl.Series:
    """Read a column into a type; ``how`` is a way that `ways` proposed. What cannot be read becomes null."""
    if isinstance(dtype, (pl.Datetime, pl.Date)):
        return _parse_time(series, dtype, how)
    if dtype == pl.String:
        return _write(series, how)
    if dtype == pl.Boolean:
        if series.dtype == pl.String:
            low = series.str.strip_chars().str.to_lowercase()
            truth = low.is_in(["true", "t", "yes", "y", "1", "1.0"])
            return truth.set(~(truth | low.is_in(["false", "f", "no", "n", "0", "0.0"])), None)
        return series.cast(pl.Boolean, strict=False)
    if series.dtype == pl.String:
        text = series.str.strip_chars()
        if how == "comma":
            text = text.str.replace_all(r"[.\s']", "").str.replace(",", ".", literal=True)
        else:
            text = text.str.replace_all(r"[,\s'$€£%]", "")
        values = text.cast(pl.Float64, strict=False)
    else:
        values = series.cast(pl.Float64, strict=False)
    return (values.round() if dtype.is_integer() else values).cast(dtype, strict=False)


def _write(series: pl.Series, how: str) -> pl.Series:
    if series.dtype.is_float() and how != "float":
        return series.round().cast(pl.Int64, strict=False).cast(pl.String)
    return series.cast(pl.String)


def _parse_time(series: pl.Series, dtype: pl.DataType, how: str) -> pl.Series:
    if how in EPOCHS:
        micros = (
            (series.cast(pl.Float64, strict=False) * (1_000_000 / EPOCHS[how])).round().cast(pl.Int64, strict=False)
        )
        moments = micros.cast(pl.Datetime("us"))
    elif series.dtype == pl.String:
        moments = series.str.strip_chars().str.to_datetime(how, strict=False, time_unit="us", ambiguous="earliest")
        if isinstance(moments.dtype, pl.Datetime) and moments.dtype.time_zone is not None:
            moments = moments.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    else:
        zone = getattr(series.dtype, "time_zone", None)
        moments = (
            series.dt.convert_time_zone("UTC").dt.replace_time_zone(None) if zone else series.cast(pl.Datetime("us"))
        )
    if dtype == pl.Date:
        return moments.dt.date()
    zone = getattr(dtype, "time_zone", None)
    if zone is None:
        return moments.cast(dtype)
    return moments.dt.replace_time_zone("UTC").dt.convert_time_zone(zone).cast(dtype)


def ways(series: pl.Series, dtype: pl.DataType) -> list[str]:
    """Propose ways to read a column into a type, the likeliest first."""
    if isinstance(dtype, (pl.Datetime, pl.Date)):
        if series.dtype == pl.String:
            sample = series.drop_nulls().head(50)
            found = []
            for form in DATE_FORMATS:
                try:
                    read = sample.str.strip_chars().str.to_datetime(
                        form, strict=False, time_unit="us", ambiguous="earliest"
                    )
                except pl.exceptions.PolarsError:
                    continue
                if read.len() and read.null_count() <= 0.05 * read.len():
                    found.append(form)
            return found
        if series.dtype.is_numeric():
            size = series.cast(pl.Float64).abs().median()
            if not isinstance(size, float) or size <= 0:
                return []
            near = {name: abs(size / scale - 1.5e9) for name, scale in EPOCHS.items() if 1e8 < size / scale < 5e9}
            return sorted(near, key=lambda name: near[name])
        return ["same"]
    if dtype == pl.String:
        return ["whole", "float"] if series.dtype.is_float() else ["same"]
    if series.dtype == pl.String and dtype.is_numeric():
        return ["point", "comma"]
    if series.dtype.is_float() and dtype.is_integer():
        # Fractions are not a matter of type: cutting them off would hide what happened.
        return ["same"] if whole(series) else []
    return ["same"]
