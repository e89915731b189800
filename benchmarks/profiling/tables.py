"""The two tables that every contestant profiles: 19 columns made from a seed, the current one with planted shifts.

They are written once, as uncompressed Arrow files and as Parquet (zstd), under the cache folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SEED = 20261122
EDITION = 1  # raise when what is generated changes, so that no stale file is measured
NUMBERS = (
    *("normal", "lognormal", "heavy", "price", "fee", "rate", "score", "temperature"),
    *("quantity", "day", "minute", "balance"),
)
TEXTS = {"status": 5, "region": 50, "brand": 300, "product": 1000}
IDS = ("customer", "invoice")
TIME = "placed"
CHUNK = 1_000_000
_START = 1_760_000_000_000_000  # microseconds since 1970


def numbers(chance: np.random.Generator, rows: int, shifted: bool) -> dict[str, np.ndarray]:
    """Draw the twelve numeric columns."""
    lift, drift = (1.12, 0.3) if shifted else (1.0, 0.0)
    fee = np.round(chance.exponential(9.0, rows), 2)
    fee[chance.random(rows) < 0.7] = 0.0
    return {
        "normal": chance.normal(drift, 1.0, rows),
        "lognormal": chance.lognormal(1.0, 1.2, rows),
        "heavy": chance.standard_t(2.2, rows),
        "price": np.round(chance.lognormal(3.0, 1.0, rows) * lift, 2),
        "fee": fee,
        "rate": chance.beta(2.0, 5.0, rows),
        "score": chance.random(rows, dtype=np.float32),
        "temperature": np.round(chance.normal(12.0, 9.0, rows), 1).astype(np.float32),
        "quantity": (1 + chance.poisson(2.0, rows)).astype(np.int32),
        "day": chance.integers(1, 32, rows).astype(np.int16),
        "minute": chance.integers(0, 1440, rows).astype(np.int32),
        "balance": chance.normal(250.0, 4000.0, rows),
    }


def chunk(number: int, rows: int, *, shifted: bool) -> pa.RecordBatch:
    """Make one batch; batch ``number`` is the same whatever was made before it."""
    chance = np.random.default_rng([SEED, int(shifted), number])
    arrays: dict[str, pa.Array] = {}
    for name, values in numbers(chance, rows, shifted).items():
        share = 0.05 if shifted and name == "score" else 0.02
        arrays[name] = pa.array(values, mask=chance.random(rows) < share)
    for name, size in TEXTS.items():
        weights = 1.0 / (np.arange(size) + 2.0)
        if shifted and name == "region":
            weights = weights[::-1] * 0.15 + weights
        codes = np.searchsorted(np.cumsum(weights) / weights.sum(), chance.random(rows)).clip(0, size - 1)
        indices = pa.array(codes.astype(np.int32), mask=chance.random(rows) < 0.02)
        words = pa.array([f"{name}-{place * 7919 % 100_003:05d}" for place in range(size)])
        arrays[name] = pa.DictionaryArray.from_arrays(indices, words)
    arrays["customer"] = pa.array(np.minimum(chance.zipf(1.3, rows), 50_000_000) % 2_000_003)
    arrays["invoice"] = pa.array(chance.integers(0, 1_000_000_000_000, rows))
    arrays[TIME] = pa.array(
        np.sort(chance.integers(0, 7 * 86_400_000_000, rows)) + _START + number * 604_800_000_000,
        pa.timestamp("us", "UTC"),
    )
    return pa.RecordBatch.from_pydict(arrays)


def batches(rows: int, *, shifted: bool) -> Iterator[pa.RecordBatch]:
    """Make a table batch by batch."""
    for number in range(-(-rows // CHUNK)):
        yield chunk(number, min(CHUNK, rows - number * CHUNK), shifted=shifted)


def written(folder: Path, name: str, rows: int) -> Path:
    """Write a table as ``.arrow`` and ``.parquet`` unless it is there; return the path without a suffix."""
    path = folder / f"{name}-{rows}-{EDITION}"
    arrow, parquet = path.with_suffix(".arrow"), path.with_suffix(".parquet")
    if not (arrow.exists() and parquet.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_batches(batches(rows, shifted=name == "current")).combine_chunks()
        with pa.ipc.new_file(arrow.with_suffix(".part"), table.schema) as file:
            file.write_table(table)
        pq.write_table(table, parquet.with_suffix(".part.parquet"), compression="zstd", row_group_size=CHUNK)
        parquet.with_suffix(".part.parquet").rename(parquet)
        arrow.with_suffix(".part").rename(arrow)
    return path


def written_big(folder: Path, rows: int) -> Path:
    """Write a Parquet file of ``rows`` rows and 20 columns, one row group at a time, unless it is there."""
    path = folder / f"big-{rows}-{EDITION}.parquet"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    writer = None
    for batch in batches(rows, shifted=True):
        table = pa.Table.from_batches([batch])
        table = table.append_column("flag", pa.array(np.asarray(table["day"].fill_null(0)) % 3 == 0))
        writer = writer or pq.ParquetWriter(part, table.schema, compression="zstd", compression_level=1)
        writer.write_table(table, row_group_size=CHUNK)
    assert writer is not None
    writer.close()
    part.rename(path)
    return path


def loaded(path: Path, rows: int | None = None) -> pa.Table:
    """Read an Arrow file into memory of this process (not mapped: its pages are paid for before the clock starts)."""
    with pa.OSFile(str(path.with_suffix(".arrow"))) as file:
        table = pa.ipc.open_file(file).read_all()
    return table if rows is None else table.slice(0, rows).combine_chunks()
