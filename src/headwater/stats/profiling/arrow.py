"""Read tables through the Arrow C stream and C data interfaces with ctypes: no copy, and no Arrow library needed.

Any object with ``__arrow_c_stream__`` (Polars, pandas, pyarrow, a DuckDB relation) or ``__arrow_c_array__`` will do.
The interface carries addresses without lengths, so a producer that lies about a buffer's size cannot be caught; what
can be checked (formats, counts of buffers, offsets, views, dictionary codes) is checked before it is used.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Iterable, Iterator
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_int64, c_void_p
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.core.errors import DataError, UsageError
from headwater.stats.profiling.fields import Field, read_field

Bytes = npt.NDArray[np.uint8]
_DOING = "reading a table through the Arrow interface"


class _Schema(Structure):
    pass


class _Array(Structure):
    pass


class _Stream(Structure):
    pass


_RELEASE_SCHEMA = ctypes.CFUNCTYPE(None, POINTER(_Schema))
_RELEASE_ARRAY = ctypes.CFUNCTYPE(None, POINTER(_Array))
_Schema._fields_ = [
    ("format", c_char_p),
    ("name", c_char_p),
    ("metadata", c_void_p),
    ("flags", c_int64),
    ("n_children", c_int64),
    ("children", POINTER(POINTER(_Schema))),
    ("dictionary", POINTER(_Schema)),
    ("release", _RELEASE_SCHEMA),
    ("private_data", c_void_p),
]
_Array._fields_ = [
    ("length", c_int64),
    ("null_count", c_int64),
    ("offset", c_int64),
    ("n_buffers", c_int64),
    ("n_children", c_int64),
    ("buffers", POINTER(c_void_p)),
    ("children", POINTER(POINTER(_Array))),
    ("dictionary", POINTER(_Array)),
    ("release", _RELEASE_ARRAY),
    ("private_data", c_void_p),
]
_Stream._fields_ = [
    ("get_schema", ctypes.CFUNCTYPE(c_int, POINTER(_Stream), POINTER(_Schema))),
    ("get_next", ctypes.CFUNCTYPE(c_int, POINTER(_Stream), POINTER(_Array))),
    ("get_last_error", ctypes.CFUNCTYPE(c_char_p, POINTER(_Stream))),
    ("release", ctypes.CFUNCTYPE(None, POINTER(_Stream))),
    ("private_data", c_void_p),
]
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype = c_void_p
_pointer.argtypes = [ctypes.py_object, c_char_p]


@dataclass(frozen=True, eq=False)
class Chunk:
    """One column of one batch, as views of the producer's memory.

    Attributes:
        field: What the column is.
        length: Rows.
        offset: Rows to skip in front; ``values`` has them cut off already, bitmaps, texts and views have not.
        validity: Bitmap with one bit per row from bit ``offset`` on, or None when no row is null.
        values: Fixed-width numbers or dictionary codes, one per row; None for the other forms.
        bits: Bitmap of booleans, from bit ``offset`` on.
        buffers: Byte buffers of text: offsets and data, or views and data.
        addresses: Where the data buffers of text lie, in order.
        dictionary: The values that codes point to.
    """

    field: Field
    length: int
    offset: int
    validity: Bytes | None
    values: npt.NDArray[Any] | None = None
    bits: Bytes | None = None
    buffers: tuple[npt.NDArray[Any], ...] = ()
    dictionary: Chunk | None = None
    owner: object = None

    @property
    def nulls(self) -> int:
        """Count the null rows by the bitmap; the producer's own count is not trusted."""
        if self.field.form == "null":
            return self.length
        if self.validity is None:
            return 0
        return self.length - count_bits(self.validity, self.offset, self.length)

    def valid(self, start: int = 0, stop: int | None = None) -> npt.NDArray[np.bool_] | None:
        """Unpack the bitmap of some rows; None when all are valid."""
        stop = self.length if stop is None else stop
        if self.field.form == "null":
            return np.zeros(stop - start, dtype=bool)
        return None if self.validity is None else unpack_bits(self.validity, self.offset + start, stop - start)


@dataclass(frozen=True, eq=False)
class Batch:
    """Some rows of a table.

    Attributes:
        rows: How many.
        columns: One chunk per column, in the schema's order.
    """

    rows: int
    columns: tuple[Chunk, ...]


def count_bits(bitmap: Bytes, offset: int, length: int) -> int:
    """Count the set bits among ``length`` bits from bit ``offset`` on."""
    if length <= 0:
        return 0
    first, last = offset // 8, (offset + length + 7) // 8
    part = bitmap[first:last]
    total = int(np.bitwise_count(part).sum(dtype=np.int64)) if hasattr(np, "bitwise_count") else _count(part)
    head, tail = offset % 8, last * 8 - offset - length
    if head:
        total -= int(part[0] & ((1 << head) - 1)).bit_count()
    if tail:
        total -= int(part[-1] >> (8 - tail)).bit_count()
    return total


def _count(part: Bytes) -> int:
    return sum(int(np.unpackbits(part[at : at + (1 << 20)]).sum()) for at in range(0, len(part), 1 << 20))


def unpack_bits(bitmap: Bytes, offset: int, length: int) -> npt.NDArray[np.bool_]:
    """Unpack ``length`` bits from bit ``offset`` on."""
    first, head = offset // 8, offset % 8
    part = bitmap[first : (offset + length + 7) // 8]
    return np.unpackbits(part, bitorder="little")[head : head + length].view(np.bool_)


def is_arrow(frame: Any) -> bool:
    """Tell whether an object offers one of the Arrow interfaces."""
    return hasattr(frame, "__arrow_c_stream__") or hasattr(frame, "__arrow_c_array__")


def read_frame(frame: Any) -> tuple[tuple[Field, ...], Iterator[Batch]]:
    """Open a table: its columns, and its batches as they come.

    Args:
        frame: Anything with ``__arrow_c_stream__`` or ``__arrow_c_array__``, or an iterable of such batches, all with
            the columns of the first.

    Returns:
        The columns and an iterator over the batches; a batch's memory lives as long as the batch.

    Raises:
        UsageError: The object offers no Arrow interface, or is not a table.
        DataError: The producer fails, or what it says contradicts itself.

    Example:
        >>> import polars as pl
        >>> fields, batches = read_frame(pl.DataFrame({"x": [1, 2, None]}))
        >>> fields[0].name, [batch.columns[0].nulls for batch in batches]
        ('x', [1])
    """
    _refuse_nul(frame)
    if hasattr(frame, "__arrow_c_stream__"):
        return _read_stream(frame)
    if hasattr(frame, "__arrow_c_array__"):
        schema, array = frame.__arrow_c_array__()
        return _read_pair(schema, array)
    if isinstance(frame, Iterable) and not isinstance(frame, (str, bytes, dict)):
        return _read_each(iter(frame))
    raise UsageError(
        f"cannot read a table from `{type(frame).__name__}`",
        doing=_DOING,
        hint="pass a Polars or pandas frame, a pyarrow table, a DuckDB relation, or an iterator of such batches",
    )


def _refuse_nul(frame: Any) -> None:
    """Refuse names that the interface cannot carry before it is entered: there a producer ends the whole process."""
    names = getattr(frame, "column_names", None) or getattr(frame, "columns", None)
    names = [name for name in names if isinstance(name, str)] if isinstance(names, Iterable) else []
    kinds = getattr(frame, "dtypes", None)
    for name in [*names, *_inner_names(kinds if isinstance(kinds, list) else ())]:
        if "\0" in name:
            raise DataError(
                f"a column is called {name!r}, and no name may hold a NUL", doing=_DOING, hint="rename the column"
            )


def _inner_names(kinds: Iterable[Any]) -> Iterator[str]:
    """Yield the names of fields inside of columns, of a frame that tells its types as Polars does."""
    for kind in kinds:
        for field in getattr(kind, "fields", None) or ():
            yield str(getattr(field, "name", ""))
            yield from _inner_names([getattr(field, "dtype", None)])
        if (inner := getattr(kind, "inner", None)) is not None:
            yield from _inner_names([inner])


def _read_each(parts: Iterator[Any]) -> tuple[tuple[Field, ...], Iterator[Batch]]:
    first = next(parts, None)
    if first is None:
        return (), iter(())
    if not is_arrow(first):
        raise UsageError(f"a batch is a `{type(first).__name__}`, which offers no Arrow interface", doing=_DOING)
    fields, batches = read_frame(first)

    def every() -> Iterator[Batch]:
        yield from batches
        for part in parts:
            others, more = read_frame(part)
            if [(f.name, f.dtype) for f in others] != [(f.name, f.dtype) for f in fields]:
                raise DataError(
                    "the batches do not have the same columns: " + ", ".join(_differences(fields, others)),
                    doing=_DOING,
                    hint="cast them to one schema, or summarise each kind apart",
                )
            yield from more

    return fields, every()


def _differences(fields: Iterable[Field], others: Iterable[Field]) -> list[str]:
    before, after = {f.name: f.dtype for f in fields}, {f.name: f.dtype for f in others}
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return [f"`{name}` {before.get(name, 'missing')} then {after.get(name, 'missing')}" for name in names] or ["order"]


def _capsule(capsule: Any, name: bytes) -> int:
    try:
        return int(_pointer(capsule, name))
    except (ValueError, TypeError, ctypes.ArgumentError) as error:
        raise DataError(f"not an Arrow capsule `{name.decode()}`: {error}", doing=_DOING) from None


def _read_pair(schema_capsule: Any, array_capsule: Any) -> tuple[tuple[Field, ...], Iterator[Batch]]:
    schema = _Schema.from_address(_capsule(schema_capsule, b"arrow_schema"))
    array = _Array.from_address(_capsule(array_capsule, b"arrow_array"))
    fields = _fields(schema)
    return fields, iter((_batch(fields, array, owner=(schema_capsule, array_capsule)),))


def _read_stream(frame: Any) -> tuple[tuple[Field, ...], Iterator[Batch]]:
    capsule = frame.__arrow_c_stream__()
    stream = _Stream.from_address(_capsule(capsule, b"arrow_array_stream"))
    schema = _Schema()
    _ask(stream, stream.get_schema(byref(stream), byref(schema)))
    try:
        fields = _fields(schema)
    finally:
        if schema.release:
            schema.release(byref(schema))
    return fields, _batches(capsule, stream, fields)


def _batches(capsule: Any, stream: _Stream, fields: tuple[Field, ...]) -> Iterator[Batch]:
    held = capsule  # the stream lives as long as its capsule
    while True:
        array = _Array()
        _ask(stream, stream.get_next(byref(stream), byref(array)))
        if not array.release:
            del held
            return
        yield _batch(fields, array, owner=_Owned(array))


class _Owned:
    """Give an array's memory back once nothing refers to it any more."""

    def __init__(self, array: _Array) -> None:
        weakref.finalize(self, _give_back, array).atexit = False


def _give_back(array: _Array) -> None:
    if array.release:
        array.release(byref(array))


def _ask(stream: _Stream, code: int) -> None:
    if code:
        told = stream.get_last_error(byref(stream)) if stream.get_last_error else None
        text = told.decode(errors="replace") if told else f"error {code}"
        raise DataError(f"the producer of the table failed: {text}", doing=_DOING)


def _fields(schema: _Schema) -> tuple[Field, ...]:
    if not schema.format or not schema.release:
        raise DataError("the Arrow schema is empty or already released", doing=_DOING)
    if schema.format != b"+s":
        raise UsageError(
            f"this is one array of format `{schema.format.decode(errors='replace')}`, not a table",
            doing=_DOING,
            hint="pass a frame, e.g. `series.to_frame()`",
        )
    fields = tuple(_field(schema.children[at].contents) for at in range(schema.n_children))
    names = [field.name for field in fields]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"column `{twice}` is there twice", doing=_DOING, hint="rename one of them")
    return fields


def _field(schema: _Schema) -> Field:
    name = (schema.name or b"").decode("utf-8", errors="replace")
    values = _field(schema.dictionary.contents) if schema.dictionary else None
    return read_field(name, (schema.format or b"").decode("utf-8", errors="replace"), values)


def _batch(fields: tuple[Field, ...], array: _Array, owner: object) -> Batch:
    if array.length < 0 or array.offset < 0 or array.n_children != len(fields):
        raise DataError("a batch does not fit its schema", doing=_DOING)
    if array.null_count > 0:
        raise DataError("a batch has null rows as a whole, which no table has", doing=_DOING)
    chunks = tuple(
        _chunk(field, array.children[at].contents, array.offset, array.length, owner) for at, field in enumerate(fields)
    )
    return Batch(array.length, chunks)


def _chunk(field: Field, array: _Array, skip: int, length: int, owner: object) -> Chunk:
    """View one column's buffers; ``skip`` and ``length`` are the slice that the table takes of it."""
    if array.length < skip + length or array.offset < 0:
        raise DataError(f"column `{field.name}` has {array.length} rows where {skip + length} are due", doing=_DOING)
    offset = array.offset + skip
    validity = None
    if array.null_count != 0 and array.n_buffers > 0 and array.buffers[0] and field.form not in ("null", "union"):
        validity = _view(array.buffers[0], (offset + length + 7) // 8, np.dtype(np.uint8), owner)
    if array.null_count > 0 and validity is None and length and field.form not in ("null", "union", "other"):
        raise DataError(f"column `{field.name}` has nulls but no bitmap", doing=_DOING)
    chunk = Chunk(field, length, offset, validity, owner=owner)
    if field.form in ("int", "float", "decimal", "code"):
        values = _buffer(field, array, 1, offset + length, field.storage, owner)[offset:]
        dictionary = None
        if field.form == "code":
            if not array.dictionary or field.values is None:
                raise DataError(f"dictionary column `{field.name}` has no dictionary", doing=_DOING)
            inner = array.dictionary.contents
            dictionary = _chunk(field.values, inner, 0, inner.length, owner)
        return Chunk(field, length, offset, validity, values=values, dictionary=dictionary, owner=owner)
    if field.form == "bool":
        bits = _buffer(field, array, 1, (offset + length + 7) // 8, np.dtype(np.uint8), owner)
        return Chunk(field, length, offset, validity, bits=bits, owner=owner)
    if field.form == "text":
        return Chunk(field, length, offset, validity, buffers=_text(field, array, offset, length, owner), owner=owner)
    if field.form == "view":
        return Chunk(field, length, offset, validity, buffers=_views(field, array, offset, length, owner), owner=owner)
    return chunk


def _text(field: Field, array: _Array, offset: int, length: int, owner: object) -> tuple[npt.NDArray[Any], ...]:
    if not length:
        return (np.zeros(1, dtype=field.storage), np.empty(0, dtype=np.uint8))
    offsets = _buffer(field, array, 1, offset + length + 1, field.storage, owner)[offset:]
    if offsets[0] < 0 or bool((offsets[1:] < offsets[:-1]).any()):
        raise DataError(f"text column `{field.name}` has offsets that run backwards", doing=_DOING)
    return offsets, _buffer(field, array, 2, int(offsets[-1]), np.dtype(np.uint8), owner)


def _views(field: Field, array: _Array, offset: int, length: int, owner: object) -> tuple[npt.NDArray[Any], ...]:
    """View 16-byte views as rows of four int32, then the data buffers they point into."""
    views = _buffer(field, array, 1, (offset + length) * 4, np.dtype(np.int32), owner).reshape(-1, 4)[offset:]
    extra = max(array.n_buffers - 3, 0)
    sizes = _buffer(field, array, 2 + extra, extra, np.dtype(np.int64), owner) if extra else np.empty(0, dtype=np.int64)
    data = [_buffer(field, array, 2 + at, int(sizes[at]), np.dtype(np.uint8), owner) for at in range(extra)]
    chunk = Chunk(field, length, offset, None)
    del chunk
    return (views, *data)


def _buffer(field: Field, array: _Array, at: int, count: int, dtype: np.dtype[Any], owner: object) -> npt.NDArray[Any]:
    if count == 0:
        return np.empty(0, dtype=dtype)
    if at >= array.n_buffers or not array.buffers[at] or count < 0:
        raise DataError(f"column `{field.name}` ({field.dtype}) lacks a buffer", doing=_DOING)
    return _view(array.buffers[at], count, dtype, owner)


class _Memory:
    """Let numpy view foreign memory and keep its owner alive."""

    def __init__(self, address: int, count: int, dtype: np.dtype[Any], owner: object) -> None:
        self.owner = owner
        self.__array_interface__ = {"data": (address, True), "shape": (count,), "typestr": dtype.str, "version": 3}


def _view(address: int, count: int, dtype: np.dtype[Any], owner: object) -> npt.NDArray[Any]:
    return np.asarray(_Memory(address, count, dtype, owner))
