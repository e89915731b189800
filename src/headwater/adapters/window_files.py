"""The parquet files of windows: written once under the hash of their content, checked when they are first read."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import polars as pl
from deltalake.exceptions import DeltaError

from headwater.adapters.delta_layout import FOOTER, PARTITION, Layout, decode, encode, has_blobs
from headwater.adapters.frame_cache import FrameCache
from headwater.core.errors import CorruptTable, DataError
from headwater.stats.frames.content import content_hash
from headwater.stats.frames.stacking import stack

UNREADABLE = (OSError, DeltaError, pl.exceptions.PolarsError, DataError, ValueError, KeyError)
_KEPT_BYTES = 96 * 2**20
_KEPT_WINDOWS = 40


Stamp = tuple[int, int, int]


def stamp(stat: os.stat_result) -> Stamp:
    """What a file that was written again, or replaced, does not share with the one before."""
    return stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns


@dataclass(frozen=True, slots=True)
class Part:
    """The file that holds one window in one version."""

    path: str
    content: str
    layout: str
    rows: int
    size: int


class WindowFiles:
    """Write and read the files of windows; what was used last stays in memory.

    Args:
        folder: Where the tables are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._layouts: dict[str, Layout] = {}
        self._trusted: dict[str, Stamp] = {}
        self._cache = FrameCache(_KEPT_BYTES)

    def save(self, dataset: str, key: str, frame: pl.DataFrame, content: str, layout: Layout, local: bool) -> Part:
        """Write one window to a file of its own; nothing stays of it when that fails."""
        slug = re.sub(r"[^A-Za-z0-9_.-]", "_", key)[:80]
        name = f"{PARTITION}={slug}/{content}-{layout.id}-{uuid.uuid4().hex[:8]}.parquet"
        file = self.folder / dataset / name
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            stored = encode(frame, layout, local_times=local)
            stored.write_parquet(file, compression="zstd", compression_level=1, metadata={FOOTER: layout.text})
            self._layouts[layout.id] = layout
            stat = file.stat()
            self._trusted[name] = stamp(stat)
            return Part(name, content, layout.id, frame.height, stat.st_size)
        except BaseException:
            file.unlink(missing_ok=True)
            raise

    def keep(self, part: Part, frame: pl.DataFrame) -> None:
        """Keep the frame of a part in memory, for the reads that follow its writing."""
        self._cache.put(part.path, frame)

    def read(self, dataset: str, wanted: Sequence[tuple[str, Part]]) -> list[pl.DataFrame]:
        """Return the frames of windows in order, those of one layout perhaps as one.

        Raises:
            CorruptTable: A file is missing or damaged; names the window and the file.
        """
        self._check(dataset, wanted)
        frames: list[pl.DataFrame] = []
        kept = {part.path: self._cache.get(part.path) for _, part in wanted}
        for (_, cached), run in groupby(wanted, key=lambda item: (item[1].layout, kept[item[1].path] is not None)):
            group = list(run)
            if cached:
                frames.extend(frame for _, part in group if (frame := kept[part.path]) is not None)
            else:
                read = self._read(dataset, group)
                self._keep(group, read)
                frames.extend(read)
        return frames

    def prove(self, dataset: str, key: str, part: Part) -> None:
        """Read a window from its file, whatever is known of it, and compare it with its hash.

        Raises:
            CorruptTable: It is not what was written.
        """
        self._forget(part)
        self._read(dataset, [(key, part)])

    def flaw(self, dataset: str, part: Part) -> str:
        """Say what is wrong with a file at first sight: it is missing or has another size; empty when neither."""
        return self._look(dataset, part)[0]

    def _look(self, dataset: str, part: Part) -> tuple[str, Stamp]:
        """Say what is wrong with a file; one that was replaced since it was read is not known any more."""
        try:
            stat = (self.folder / dataset / part.path).stat()
        except OSError as error:
            return f"it is missing ({error.strerror})", (0, 0, 0)
        now = stamp(stat)
        if self._trusted.get(part.path, now) != now:
            self._forget(part)
        return "" if stat.st_size == part.size else f"it has {stat.st_size} bytes instead of {part.size}", now

    def _forget(self, part: Part) -> None:
        """Look into a file again, whatever was read from it before."""
        self._trusted.pop(part.path, None)
        self._cache.drop(part.path)

    def _check(self, dataset: str, group: Sequence[tuple[str, Part]]) -> list[Stamp]:
        stamps: list[Stamp] = []
        for key, part in group:
            flaw, seen = self._look(dataset, part)
            if flaw:
                raise self._corrupt(dataset, key, part, flaw)
            stamps.append(seen)
        return stamps

    def _read(self, dataset: str, group: list[tuple[str, Part]]) -> list[pl.DataFrame]:
        """Read files of one layout: together if that works, else one by one to find the damaged one."""
        stamps = self._check(dataset, group)
        try:
            frame = self._decoded(dataset, [part for _, part in group])
        except UNREADABLE as error:
            if len(group) == 1:
                raise self._corrupt(dataset, *group[0], str(error).strip().partition("\n")[0]) from error
            return [frame for item in group for frame in self._read(dataset, [item])]
        first = 0
        for (key, part), seen in zip(group, stamps, strict=True):
            if part.path not in self._trusted:
                if content_hash(frame[first : first + part.rows]) != part.content:
                    raise self._corrupt(dataset, key, part, "its content is not what was written")
                self._trusted[part.path] = seen
            first += part.rows
        return [frame]

    def _keep(self, group: list[tuple[str, Part]], read: list[pl.DataFrame]) -> None:
        """Keep what was read; of many windows at once nothing, as every slice would hold on to the whole."""
        if len(read) == 1 and len(group) <= _KEPT_WINDOWS:
            first = 0
            for _, part in group:
                self.keep(part, read[0][first : first + part.rows])
                first += part.rows

    def _decoded(self, dataset: str, parts: list[Part]) -> pl.DataFrame:
        files = [self.folder / dataset / part.path for part in parts]
        if parts[0].layout not in self._layouts:
            self._layouts[parts[0].layout] = Layout.parse(pl.read_parquet_metadata(files[0])[FOOTER])
        layout = self._layouts[parts[0].layout]
        batches = [[file] for file in files] if has_blobs(layout) else [files]
        frame = stack([decode(_parquet(batch), layout) for batch in batches])
        if frame.height != sum(part.rows for part in parts):
            raise DataError("the number of rows is not what was written")
        return frame

    def _corrupt(self, dataset: str, key: str, part: Part, why: str) -> CorruptTable:
        return CorruptTable(
            f"dataset `{dataset}`, window `{key}`: file {self.folder / dataset / part.path} is damaged: {why}",
            doing=f"reading dataset `{dataset}`",
            hint=f"deliver it again: headwater backfill {dataset} --from {key} --to {key}",
        )


def _parquet(files: list[Path]) -> pl.DataFrame:
    return pl.read_parquet(files, glob=False, hive_partitioning=False)
