"""A content-addressed store of model parts: scaler, model, calibrator, threshold."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from headwater.adapters.files import DAMAGED, corrupt, missing, read_whole, write_whole
from headwater.adapters.fingerprint import Fingerprint, Reached
from headwater.core.errors import ModelError, StorageError

_JSON, _PICKLE = b"json\n", b"pickle\n"
_LOST = "restore the file from a backup, or train a new version and release it"


class FilePartStore:
    """Parts as files, named by the SHA-256 of their bytes.

    Numbers, strings and None are stored as JSON, all else as a pickle that carries the project's own classes and
    functions by value. The hash is of bytes, so it is checked before anything is unpickled: a part whose hash stands in
    the ledger is the part that was put. A part that means the same as one already stored (a loaded copy, say, which
    pickles to other bytes) gets that one's hash.

    Args:
        folder: Where the files live; made on first use.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._fingerprint = Fingerprint()

    def put(self, part: Any) -> str:
        """Store a part and return its content hash.

        Raises:
            ModelError: the part cannot be pickled.
            StorageError: the disk is full or not writable.
        """
        if hasattr(part, "dtype") and hasattr(part, "item") and getattr(part, "ndim", None) == 0:
            part = part.item()  # a numpy scalar is the number it holds
        if part is None or type(part) in (bool, int, float, str):
            return self._write(_JSON + json.dumps(part).encode())
        meaning, reached = self._fingerprint.of(part)
        pointer = self.folder / f"{meaning}.same"
        if not reached.opaque and pointer.exists():
            known = read_whole(pointer).decode(errors="replace")
            if self._sound(known):
                return known
        name = self._write(_PICKLE + self._pickle(part, reached))
        if not reached.opaque:
            write_whole(pointer, name.encode())
        return name

    def load(self, part: str) -> Any:
        """Return a new copy of the part with this hash.

        Raises:
            CorruptTable: the file is not there, or not what was written; nothing of it was run.
            ModelError: it cannot be unpickled here, e.g. because a library is missing.
        """
        path = self._path(part)
        if not path.exists():
            raise missing(path, _LOST)
        content = read_whole(path)
        if hashlib.sha256(content).hexdigest() != part:
            raise corrupt(path, _LOST)
        if content.startswith(_JSON):
            return json.loads(content[len(_JSON) :])
        from headwater.adapters.by_value import load

        try:
            return load(content[len(_PICKLE) :])
        except Exception as error:
            raise ModelError(
                f"a stored model part does not load: {type(error).__name__}: {error}",
                doing=f"loading part {part[:12]}",
                hint="are the libraries it was trained with installed, in the same versions?",
            ) from error

    def flaw(self, part: str) -> str:
        """Say why the part with this hash cannot be given back as it was stored; empty when it can."""
        if not self._path(part).exists():
            return "it is missing"
        try:
            return "" if self._sound(part) else DAMAGED
        except StorageError as error:
            return error.message

    def _write(self, content: bytes) -> str:
        name = hashlib.sha256(content).hexdigest()
        if not self._sound(name):
            write_whole(self._path(name), content)
        return name

    def _sound(self, name: str) -> bool:
        path = self._path(name)
        return path.exists() and hashlib.sha256(read_whole(path)).hexdigest() == name

    def _pickle(self, part: Any, reached: Reached) -> bytes:
        from headwater.adapters.by_value import dump

        try:
            return dump(part, self._fingerprint, reached)
        except Exception as error:
            raise ModelError(
                f"a {type(part).__name__} cannot be stored as a model part: {error}",
                hint="keep locks, connections and open files out of the parts that train returns",
            ) from error

    def _path(self, part: str) -> Path:
        return self.folder / f"{part}.part"
