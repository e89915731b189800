"""Tables as Delta Lake tables on a local folder: one folder per dataset, one file per window, one commit per write.

A file's name carries the hash of its window's content and its footer the exact schema, so a version's list of files
is at the same time the map of its contents: there is no second record that could disagree after a crash.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from deltalake import CommitProperties, DeltaTable, Schema
from deltalake.transaction import AddAction, create_table_with_add_actions

from headwater.adapters.delta_layout import (
    PARTITION,
    Layout,
    delta_field,
    lay_out,
)
from headwater.adapters.delta_log import Added, added
from headwater.adapters.window_files import UNREADABLE, Part, Stamp, WindowFiles, stamp
from headwater.core.errors import CorruptTable, DataError, StorageError, UsageError
from headwater.core.names import NAME
from headwater.core.ports import Lost, TableVersion
from headwater.stats.frames.content import content_hashes
from headwater.stats.frames.stacking import stack

_FILE = re.compile(r"(?P<content>[0-9a-f]{64})-(?P<layout>[0-9a-f]{12})-[0-9a-f]{8}\.parquet")
_REMEMBERED = 200_000
_SETTINGS = {  # every version stays readable: neither old files nor old commits may be cleaned up
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
    "delta.enableExpiredLogCleanup": "false",
    "delta.checkpointInterval": "10",  # a commit reads the log since the last checkpoint
}


@dataclass(slots=True)
class _Head:
    """The newest version of a dataset, kept open."""

    table: DeltaTable
    version: int
    parts: dict[str, Part]
    commit: Stamp | None


class DeltaTables:
    """Immutable versioned tables in Delta Lake format, readable by anything that reads Delta.

    Writers of one dataset take turns, also across processes, by a lock that the system frees when a process dies. A
    process killed at any moment leaves the last version as it was, plus perhaps files that no version names.

    Outside readers see the column ``_window`` beside the frame's own, and columns of types that Delta lacks in the
    nearest one (see `headwater.adapters.delta_layout`).

    Args:
        folder: Where the tables are; made on the first write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._heads: dict[str, _Head] = {}
        self._past: OrderedDict[tuple[str, int], dict[str, Part]] = OrderedDict()
        self._laid_out: dict[str, tuple[Layout | None, dict[str, Any]]] = {}
        self._files = WindowFiles(self.folder)
        self._lock = threading.RLock()

    def write(self, dataset: str, frames: Mapping[str, pl.DataFrame], *, run_id: str) -> TableVersion:
        """Replace the given windows, all or none, as one new version. Unchanged content makes no new version.

        A window counts as unchanged only if what is stored can be read back: writing a damaged window again mends it.

        Raises:
            UsageError: No window, an empty key, or a name that cannot be a dataset's.
            DataError: A frame cannot be stored as it is.
            StorageError: The disk is full or not writable; the table is as it was.
            CorruptTable: The table's log cannot be read.
        """
        _check(dataset, frames)
        contents = content_hashes(frames)
        rows = {key: frame.height for key, frame in frames.items()}
        with self._lock, self._turn(dataset):
            head = self._head(dataset)
            changed = [key for key in sorted(frames) if not self._holds(dataset, head, key, contents[key])]
            if head is None or changed:
                version = self._commit(dataset, head, {key: (frames[key], contents[key]) for key in changed}, run_id)
                if len(changed) == 1:
                    self._files.keep(self._heads[dataset].parts[changed[0]], frames[changed[0]])
            else:
                version = head.version
        return TableVersion(dataset, version, contents, rows)

    def read(self, dataset: str, keys: Sequence[str], version: int | None = None) -> pl.DataFrame | None:
        """Return the rows of the given windows, in key order and stored row order; None when none is there.

        Windows whose schemas differ are aligned by column name (`stats.frames.stacking.stack`). The first time a
        file is read, its content is compared with the hash it was written under.

        Raises:
            CorruptTable: A file or the log is missing or damaged; names the window and the file.
        """
        parts = self._parts(dataset, version)
        wanted = [(key, parts[key]) for key in dict.fromkeys(keys) if key in parts]
        if not wanted:
            return None
        return stack(self._files.read(dataset, wanted))

    def keys(self, dataset: str, version: int | None = None) -> list[str]:
        """Return the keys of the windows that are there, sorted; empty for an unknown dataset."""
        return sorted(self._parts(dataset, version))

    def version(self, dataset: str) -> int | None:
        """Return the newest version's number; None for an unknown dataset."""
        with self._lock:
            head = self._head(dataset)
        return None if head is None else head.version

    def content(self, dataset: str, key: str, version: int | None = None) -> str | None:
        """Return the content hash of one window as recorded when it was written."""
        part = self._parts(dataset, version).get(key)
        return None if part is None else part.content

    def datasets(self) -> list[str]:
        """Return the names of all stored datasets."""
        try:
            return sorted(path.parent.name for path in self.folder.glob("*/_delta_log") if _begun(path))
        except OSError as error:
            raise StorageError(f"tables in {self.folder} cannot be listed: {error}") from error

    def verify(self, dataset: str, version: int | None = None) -> int:
        """Read every window of a version and compare it with its recorded content hash.

        Returns:
            The number of windows, all as they were written.

        Raises:
            CorruptTable: At the first window that is not.
        """
        parts = self._parts(dataset, version)
        for key in sorted(parts):
            self._files.prove(dataset, key, parts[key])
        return len(parts)

    def lost(self, dataset: str, contents: Mapping[str, Collection[str]], *, deep: bool = False) -> list[Lost]:
        """Return what cannot be given back of the content hashes, by window, that were acknowledged at any time.

        A window that was delivered again with the same content is whole: its lost file is not missed.
        """
        folder = self.folder / dataset
        try:
            there = self._parts(dataset, None)
        except (CorruptTable, StorageError) as error:
            return [Lost("", "", error.message)]
        if not there:
            return [Lost("", "", f"its folder {folder} is {'empty' if folder.is_dir() else 'not there'}")]
        files, broken = added(folder / "_delta_log")
        found = [Lost("", "", f"commit {name} in {folder / '_delta_log'} cannot be read") for name in broken]
        for key, wanted in sorted(contents.items()):
            for content in sorted(wanted):
                made = [item for item in files.get(key, ()) if f"/{content}-" in item.path]
                flaws = [self._flaw(dataset, item, content, deep) for item in reversed(made)]
                if all(flaws):
                    found.append(Lost(key, content, flaws[0] if flaws else "no version of the table holds it"))
        return found

    def _flaw(self, dataset: str, item: Added, content: str, deep: bool) -> str:
        part = Part(item.path, content, item.path.split("-")[-2], item.rows, item.size)
        if deep:
            try:
                self._files.prove(dataset, item.window, part)
            except CorruptTable as error:
                return error.message.rpartition(": file ")[2]
            return ""
        flaw = self._files.flaw(dataset, part)
        return f"{self.folder / dataset / item.path} is damaged: {flaw}" if flaw else ""

    def _commit(
        self, dataset: str, head: _Head | None, changed: dict[str, tuple[pl.DataFrame, str]], run_id: str
    ) -> int:
        local = _local_times(head, [frame for frame, _ in changed.values()])
        fields = {} if head is None else {field["name"]: field["type"] for field in _fields(head.table)}
        fields.pop(PARTITION, None)
        parts: dict[str, Part] = {}
        layout, known = self._laid_out.get(dataset, (None, {}))
        layout = layout if known == fields else None
        try:
            for key, (frame, content) in changed.items():
                if layout is None or not layout.fits(frame):
                    layout, fields = lay_out(frame, fields, local_times=local)
                parts[key] = self._files.save(dataset, key, frame, content, layout, local)
            version = self._log(dataset, head, parts, fields, run_id)
            if layout is not None:
                self._laid_out[dataset] = (layout, fields)
            return version
        except BaseException as error:
            landed = self._landed(dataset, head, parts)
            if landed is False:
                for part in parts.values():
                    with contextlib.suppress(OSError):
                        (self.folder / dataset / part.path).unlink()
            if isinstance(error, DataError) or not isinstance(error, Exception):
                raise
            if isinstance(landed, int) and landed is not False:
                return landed
            raise StorageError(
                f"dataset `{dataset}` cannot be written: {_first_line(error)}",
                doing=f"writing windows {', '.join(list(changed)[:4])}{' ...' if len(changed) > 4 else ''}",
                hint=f"the version before is still there; is there room and permission in {self.folder}?",
            ) from error

    def _log(
        self, dataset: str, head: _Head | None, parts: dict[str, Part], fields: Mapping[str, Any], run_id: str
    ) -> int:
        names = [delta_field(name, kind) for name, kind in [*fields.items(), (PARTITION, "string")]]
        schema = Schema.from_json(json.dumps({"type": "struct", "fields": names}))
        actions: list[Any] = [_add(key, part) for key, part in parts.items()]
        record = {
            "runId": run_id,
            "contents": json.dumps({key: part.content for key, part in parts.items()}),
            "rows": json.dumps({key: part.rows for key, part in parts.items()}),
        }
        properties = CommitProperties(custom_metadata=record)
        if head is None:
            uri = str(self.folder / dataset)
            create_table_with_add_actions(
                uri, schema, actions, "error", [PARTITION], configuration=_SETTINGS, commit_properties=properties
            )
            self._remember(dataset, table := DeltaTable(uri), dict(parts))
            return table.version()
        added = not head.parts.keys() & parts.keys() and len(names) == len(_fields(head.table))
        head.table.create_write_transaction(
            actions,
            "append" if added else "overwrite",  # an overwrite reads every file's entry, an append keeps the schema
            schema,
            [PARTITION],
            None if added else [(PARTITION, "in", list(parts))],
            commit_properties=properties,
        )
        head.table.update_incremental()
        self._remember(dataset, head.table, {**head.parts, **parts})
        return head.table.version()

    def _landed(self, dataset: str, head: _Head | None, parts: dict[str, Part]) -> int | bool | None:
        """Return the version that holds these parts if the commit came through before what failed after it.

        False when it did not, so that the files can go; None when that cannot be told, so that they must stay.
        """
        self._heads.pop(dataset, None)
        try:
            now = self._head(dataset)
        except CorruptTable:
            return None
        if now is None or (head is not None and now.version <= head.version):
            return False
        return now.version if all(now.parts.get(key) == part for key, part in parts.items()) else None

    def _holds(self, dataset: str, head: _Head | None, key: str, content: str) -> bool:
        part = None if head is None else head.parts.get(key)
        if part is None or part.content != content:
            return False
        try:
            self._files.prove(dataset, key, part)
        except CorruptTable:
            return False
        return True

    def _parts(self, dataset: str, version: int | None) -> dict[str, Part]:
        with self._lock:
            head = self._head(dataset)
            if head is None:
                return {}
            if version is None or version == head.version:
                return head.parts
            if (dataset, version) not in self._past:
                if not 0 <= version <= head.version:
                    raise UsageError(
                        f"dataset `{dataset}` has no version {version}", hint=f"it has versions 0 to {head.version}"
                    )
                with _readable(dataset, self.folder):
                    table = DeltaTable(str(self.folder / dataset), version=version)
                    self._keep(dataset, version, _parts_of(table))
            self._past.move_to_end((dataset, version))
            return self._past[dataset, version]

    def _head(self, dataset: str) -> _Head | None:
        """Return the newest version, having looked whether another process wrote one."""
        head = self._heads.get(dataset)
        log = self.folder / dataset / "_delta_log"
        if head is not None and (_commit_stamp(log, head.version) or ()) != head.commit:  # removed, perhaps made anew
            self._forget(dataset)
            head = None
        if head is not None and not _commit_file(log, head.version + 1).exists():
            return head
        if head is None and not (NAME.fullmatch(dataset) and _begun(log)):
            return None
        with _readable(dataset, self.folder):
            if head is None:
                table = DeltaTable(str(self.folder / dataset))
            else:
                table = head.table
                table.update_incremental()
            self._remember(dataset, table, _parts_of(table))
        return self._heads[dataset]

    def _forget(self, dataset: str) -> None:
        self._heads.pop(dataset, None)
        self._laid_out.pop(dataset, None)
        for place in [place for place in self._past if place[0] == dataset]:
            del self._past[place]

    def _remember(self, dataset: str, table: DeltaTable, parts: dict[str, Part]) -> None:
        version = table.version()
        head = _Head(table, version, parts, _commit_stamp(self.folder / dataset / "_delta_log", version))
        before = self._heads.get(dataset)
        if before is not None and before.version != head.version:
            self._keep(dataset, before.version, before.parts)
        self._heads[dataset] = head

    def _keep(self, dataset: str, version: int, parts: dict[str, Part]) -> None:
        self._past[dataset, version] = parts
        while len(self._past) > 1 and sum(map(len, self._past.values())) > _REMEMBERED:
            self._past.popitem(last=False)

    @contextlib.contextmanager
    def _turn(self, dataset: str) -> Iterator[None]:
        """Hold the dataset's write lock; it goes with the process, however that ends."""
        try:
            (self.folder / dataset).mkdir(parents=True, exist_ok=True)
            lock = (self.folder / dataset / "_headwater.lock").open("a")
        except OSError as error:
            raise StorageError(
                f"dataset `{dataset}` cannot be written: {error}", hint=f"may this user write to {self.folder}?"
            ) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _check(dataset: str, frames: Mapping[str, Any]) -> None:
    if not NAME.fullmatch(dataset):
        raise UsageError(f"`{dataset}` cannot name a dataset", hint="use lower-case letters, digits and _")
    if not frames:
        raise UsageError(f"there is no window of `{dataset}` to write")
    for key, frame in frames.items():
        if not key:
            raise UsageError(f"the empty string is not a window of `{dataset}`")
        if not isinstance(frame, pl.DataFrame):
            raise DataError(
                f"window `{key}` of `{dataset}` is a {type(frame).__name__}, not a Polars DataFrame",
                hint="return a pl.DataFrame, e.g. by .collect()",
            )


@contextlib.contextmanager
def _readable(dataset: str, folder: Path) -> Iterator[None]:
    try:
        yield
    except CorruptTable:
        raise
    except UNREADABLE as error:
        raise CorruptTable(
            f"dataset `{dataset}`: the log in {folder / dataset / '_delta_log'} is damaged: {_first_line(error)}",
            doing=f"opening dataset `{dataset}`",
            hint=f"restore the folder from a copy, or remove it and run headwater backfill {dataset} --from .. --to ..",
        ) from error


def _parts_of(table: DeltaTable) -> dict[str, Part]:
    listing = pl.DataFrame(table.get_add_actions(flatten=True))
    parts: dict[str, Part] = {}
    if not listing.height:
        return parts
    columns = ["path", "size_bytes", "num_records", f"partition.{PARTITION}"]
    for path, size, rows, key in listing.select(columns).iter_rows():
        match = _FILE.fullmatch(path.rpartition("/")[2])
        if match is None or key in parts:
            raise DataError(f"file {path} of window `{key}` was written by something else")
        parts[key] = Part(path, match["content"], match["layout"], rows, size)
    return parts


def _add(key: str, part: Part) -> AddAction:
    stats = json.dumps({"numRecords": part.rows})
    return AddAction(part.path, part.size, {PARTITION: key}, 0, True, stats)


def _fields(table: DeltaTable) -> list[dict[str, Any]]:
    fields: list[dict[str, Any]] = json.loads(table.schema().to_json())["fields"]
    return fields


def _local_times(head: _Head | None, frames: list[pl.DataFrame]) -> bool:
    """Tell whether the table may hold times without a zone: Delta decides that when a table is made."""
    if head is None:
        return any(isinstance(dtype, pl.Datetime) and dtype.time_zone is None for f in frames for dtype in f.dtypes)
    return "timestampNtz" in (head.table.protocol().writer_features or [])


def _begun(log: Path) -> bool:
    """Tell whether a log has a version; a write that was killed may leave a folder without one."""
    return any(re.match(r"\d{20}\.", file.name) for file in log.iterdir()) if log.is_dir() else False


def _commit_file(log: Path, version: int) -> Path:
    return log / f"{version:020d}.json"


def _commit_stamp(log: Path, version: int) -> Stamp | None:
    """Return what tells a commit from one of the same number in a table that was made anew; None when it is gone."""
    try:
        return stamp(_commit_file(log, version).stat())
    except OSError:
        return None


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0]
