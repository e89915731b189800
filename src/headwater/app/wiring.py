"""Put the adapters together. This is the only module that names one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwater.core.clock import Clock, SystemClock
from headwater.core.errors import StorageError
from headwater.core.ports import CodeStore, Frame, Ledger, PartStore, TableStore, Tracking

if TYPE_CHECKING:
    from headwater.adapters.engine_windows import EngineWindows
    from headwater.core.windows import Calendar
    from headwater.stats.profiling.summaries import Summary


@dataclass(frozen=True)
class Services:
    """The outside systems a workspace stands on.

    ``tracking`` is a function because MLflow is slow to import and few commands need it.
    """

    ledger: Ledger
    tables: TableStore
    code: CodeStore
    parts: PartStore
    tracking: Callable[[], Tracking]
    clock: Clock


def embedded(state: Path, clock: Clock | None = None) -> Services:
    """Wire the embedded defaults in one folder: SQLite ledger, Delta tables, files for code and parts, MLflow."""
    from headwater.adapters.code_store import FileCodeStore
    from headwater.adapters.delta_tables import DeltaTables
    from headwater.adapters.part_store import FilePartStore
    from headwater.adapters.sqlite_ledger import SqliteLedger

    @cache  # opening MLflow's database costs more than a second
    def tracking() -> Tracking:
        from headwater.adapters.mlflow_tracking import MlflowTracking

        return MlflowTracking(state / "mlflow")

    try:
        state.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{state} cannot be made: {error.strerror}") from error
    return Services(
        ledger=SqliteLedger(state / "ledger.db"),
        tables=DeltaTables(state / "tables"),
        code=FileCodeStore(state / "code"),
        parts=FilePartStore(state / "parts"),
        tracking=tracking,
        clock=clock or SystemClock(),
    )


def batches(source: Path, columns: Sequence[str] | None = None) -> tuple[int, Iterator[Frame]]:
    """Read a Parquet file, a folder of them or a Delta table in bounded memory: how many rows, and the rows."""
    from headwater.adapters.batches import delta_batches, parquet_batches, rows_of

    if (source / "_delta_log").is_dir():
        return rows_of(source, delta=True), delta_batches(source, columns=columns)
    pattern = source / "**/*.parquet" if source.is_dir() else source
    return rows_of(pattern), parquet_batches(pattern, columns=columns)


def in_engine(data: Any) -> bool:
    """Tell whether a table is an expression of Ibis, to be computed where its rows lie."""
    return type(data).__module__.partition(".")[0] == "ibis"


def engine_summaries(
    table: Any, by: Any, like: Summary | None, columns: Sequence[str] | None
) -> Summary | dict[Any, Summary]:
    """Summarise an Ibis table inside its engine, as a whole or by window or segment."""
    from headwater.adapters.engine_summaries import summarise_table, summarise_windows

    if by is None:
        return summarise_table(table, like=like, columns=columns)
    return summarise_windows(table, by, like=like, columns=columns)


def engine_columns(table: Any) -> Any:
    """Return the columns of an Ibis table as a Polars frame without rows."""
    from headwater.adapters.engine_windows import columns_of

    return columns_of(table)


def engine_windows(table: Any, time: str, calendar: Calendar) -> EngineWindows:
    """Cut an Ibis table into windows inside its engine."""
    from headwater.adapters.engine_windows import EngineWindows

    return EngineWindows(table, time, calendar)
