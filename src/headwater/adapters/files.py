"""Files that are written whole or not at all, and read back only as they were written."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from headwater.core.errors import CorruptTable, StorageError

DAMAGED = "its content does not match its hash"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash at any moment, sees all of it or none of it.

    Raises:
        StorageError: the disk is full or not writable; what was there before is still there.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:16]}-", suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        raise StorageError(
            f"cannot write {path.name}: {error.strerror or error}",
            doing=f"storing in {path.parent}",
            hint="check that the disk has room and the folder is writable; nothing was half-written",
        ) from error


def seal(content: bytes) -> bytes:
    """Put the SHA-256 of some content in front of it."""
    return hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def unseal(path: Path, hint: str = "restore the file from a backup") -> bytes:
    """Read a sealed file and return its content; ``hint`` says what to do when it is damaged.

    Raises:
        StorageError: the file is not there or not readable.
        CorruptTable: the content is not what was written.
    """
    content = read_whole(path)
    mark, _, body = content.partition(b"\n")
    if mark != hashlib.sha256(body).hexdigest().encode():
        raise corrupt(path, hint)
    return body


def read_whole(path: Path) -> bytes:
    """Read a file; raise `StorageError` when it is not there or not readable."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError(f"cannot read {path.name}: {error.strerror or error}", doing=f"reading {path}") from error


def corrupt(path: Path, hint: str) -> CorruptTable:
    """Build the error for a file that is not what was written."""
    return CorruptTable(f"{path.name} is damaged: {DAMAGED}", doing=f"reading {path}", hint=hint)


def missing(path: Path, hint: str) -> CorruptTable:
    """Build the error for a file that was written and is not there any more."""
    return CorruptTable(f"{path.name} is not there any more", doing=f"reading {path}", hint=hint)


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; some file systems refuse it on folders, and the rename is still atomic there."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
