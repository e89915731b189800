"""Arrow columns of types that Polars has not: read as one that it has where that is the same, else counted alone."""

from __future__ import annotations

from typing import Any

_DIGITS = 38  # of the longest decimal that Polars has


def is_pyarrow(data: Any) -> bool:
    """Tell whether this is a table, a batch or a reader of pyarrow."""
    return type(data).__module__.partition(".")[0] == "pyarrow" and hasattr(data, "schema")


def readable(data: Any) -> Any:
    """Return a pyarrow table that Polars reads; a type that it refuses would be a panic, or cost the other columns.

    Long decimals become shorter ones where they fit, else floats; run-end-encoded columns are decoded. Of unions and
    intervals is kept which rows are null, in a column of empty bytes.
    """
    if all(_is_known(field.type) for field in data.schema):
        return data
    import pyarrow as pa

    table = data.read_all() if hasattr(data, "read_all") else data
    table = pa.Table.from_batches([table]) if isinstance(table, pa.RecordBatch) else table
    columns = [
        column if _is_known(column.type) else _readable(column)
        for column in (table.column(at) for at in range(table.num_columns))
    ]
    return pa.table(columns, names=table.column_names)


def _is_known(kind: Any) -> bool:
    import pyarrow.types as types

    if types.is_decimal(kind):
        return not types.is_decimal256(kind) and kind.scale >= 0
    named = (types.is_run_end_encoded, types.is_union, types.is_interval, types.is_list_view, types.is_large_list_view)
    if any(check(kind) for check in named):
        return False
    return all(_is_known(kind.field(at).type) for at in range(kind.num_fields)) and (
        not types.is_dictionary(kind) or _is_known(kind.value_type)
    )


def _readable(column: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as types

    kind = column.type
    if types.is_run_end_encoded(kind):
        decoded = pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks], kind.value_type)
        return decoded if _is_known(decoded.type) else _readable(decoded)
    if types.is_decimal(kind):
        scale = max(kind.scale, 0)
        try:
            return column.cast(pa.decimal128(min(kind.precision - min(kind.scale, 0), _DIGITS), scale))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError):
            return column.cast(pa.float64())
    return pa.chunked_array([_marked(chunk) for chunk in column.chunks], pa.binary())


def _marked(chunk: Any) -> Any:
    import pyarrow as pa

    return pa.array([None if gone else b"" for gone in chunk.is_null().to_pylist()], pa.binary())
