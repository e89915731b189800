"""A content-addressed store of functions, so that the last good code can be run again after the project has changed."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headwater.adapters.code_text import Bodies
from headwater.adapters.files import DAMAGED, missing, seal, unseal, write_whole
from headwater.adapters.fingerprint import Fingerprint, Reached
from headwater.core.errors import CorruptTable, MissingExtra, StorageError, UsageError

_FORMAT = 1
_AGAIN = "deliver the window again with the present code"
_LOST = "restore the file from a backup; if the project still has this code, the next run stores it again"
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


class FileCodeStore:
    """Functions as files, named by what they mean.

    The code hash covers the function's syntax tree (not comments, layout, docstrings, annotations, its own name) and
    all it reaches in the project: helpers, classes, constants, closure cells, defaults, the state of callable objects.
    Installed packages count by name only, so an upgrade of a package is not seen. A stored function runs again only on
    the Python minor version that stored it, because its payload holds bytecode.

    Loading runs pickled code: the folder must be as trusted as the project itself.

    Args:
        folder: Where the files live; made on first use.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._fingerprint = Fingerprint()
        self._stored: set[str] = set()
        self._loaded: dict[str, Any] = {}
        self._scanned: set[str] = set()

    def put(self, function: Any) -> str:
        """Store a function (or any callable object) and return its code hash.

        A function that holds something no pickle can hold (a lock, a connection) has a hash all the same; only loading
        it fails, with the reason.

        Raises:
            UsageError: it is not callable.
            StorageError: the disk is full or not writable.
        """
        if not callable(function):
            raise UsageError(f"a {type(function).__name__} is not a function", hint="pass a callable")
        code, reached = self._hash(function)
        if code not in self._stored:
            path = self._path(code)
            if not _sound(path):
                write_whole(path, seal(self._content(function, reached)))
            self._stored.add(code)
        return code

    def load(self, code: str) -> Any:
        """Return the function with this hash, as it was stored; the same object each time it is asked for.

        Raises:
            CorruptTable: the file is not there, or not what was written.
            StorageError: it was stored by another Python, or could not be pickled when it was stored.
        """
        if code not in self._loaded:
            self._loaded[code] = self._load(code)
        return self._loaded[code]

    def _load(self, code: str) -> Any:
        from headwater.adapters.by_value import load

        path = self._path(code)
        if not path.exists():
            raise missing(path, _LOST)
        header, payload = _parse(path)
        doing = f"loading code {code[:12]} ({header['name']})"
        if header["unstorable"]:
            raise StorageError(
                f"this code cannot be run again: {header['unstorable']}",
                doing=doing,
                hint="keep locks, connections and open files out of what the function refers to",
            )
        if header["python"] != _PYTHON:
            raise StorageError(
                f"this code was stored by Python {header['python']} and this is {_PYTHON}",
                doing=doing,
                hint=f"run with Python {header['python']}; {_AGAIN}",
            )
        try:
            function = load(payload)
        except Exception as error:
            raise StorageError(
                f"stored code does not load: {error}", doing=doing, hint="are the packages it uses installed?"
            ) from error
        # the loaded code objects keep the identity they were stored with, whatever the file on disk says now
        known = {bytecode: (body, text) for bytecode, (body, text) in header["bodies"].items()}
        own = Fingerprint(Bodies(known=known, stored=True))
        if own.of(function)[0] != code:
            raise CorruptTable("stored code does not come back as it was stored", doing=doing, hint=_AGAIN)
        self._fingerprint.bodies.adopt(own.bodies)
        return function

    def source(self, code: str) -> str:
        """Return the source text stored with a code: the function, its helpers and constants; empty when unknown."""
        path = self._path(code)
        return str(_parse(path)[0]["source"]) if path.exists() else ""

    def flaw(self, code: str) -> str:
        """Say why the code with this hash cannot be given back as it was stored; empty when it can."""
        path = self._path(code)
        if not path.exists():
            return "it is missing"
        try:
            _parse(path)
        except (CorruptTable, StorageError, ValueError) as error:
            return error.message if isinstance(error, StorageError) else DAMAGED
        return ""

    def _hash(self, function: Any) -> tuple[str, Reached]:
        code, reached = self._fingerprint.of(function)
        if any(body.startswith("bytecode ") for body, _ in reached.bodies.values()) and self._learn():
            self._fingerprint.bodies.forget()
            code, reached = self._fingerprint.of(function)
        return code, reached

    def _learn(self) -> bool:
        """Read what syntax the stored bytecode had; True when there was something new to read."""
        new = [code for code in self._codes() if code not in self._scanned]
        for code in new:
            self._scanned.add(code)
            with contextlib.suppress(CorruptTable, StorageError):
                for bytecode, (body, text) in _parse(self._path(code))[0]["bodies"].items():
                    self._fingerprint.bodies.known.setdefault(bytecode, (body, text))
        return bool(new)

    def _content(self, function: Any, reached: Reached) -> bytes:
        unstorable, payload = "", b""
        try:
            from headwater.adapters.by_value import dump

            payload = dump(function, self._fingerprint, reached)
        except ModuleNotFoundError as error:
            raise MissingExtra.of("cloudpickle", "flow") from error
        except Exception as error:
            unstorable = f"{type(error).__name__}: {error}"
        header = {
            "format": _FORMAT,
            "python": _PYTHON,
            "name": getattr(function, "__qualname__", type(function).__qualname__),
            "unstorable": unstorable,
            "bodies": reached.bodies,
            "source": "\n\n".join(text.strip("\n") for text in reached.texts.values()) + "\n",
        }
        return json.dumps(header, sort_keys=True).encode() + b"\n" + payload

    def _codes(self) -> Iterator[str]:
        return iter(sorted(path.stem for path in self.folder.glob("*.code")))

    def _path(self, code: str) -> Path:
        return self.folder / f"{code}.code"


def _parse(path: Path) -> tuple[dict[str, Any], bytes]:
    head, _, payload = unseal(path, _LOST).partition(b"\n")
    header: dict[str, Any] = json.loads(head)
    return header, payload


def _sound(path: Path) -> bool:
    try:
        return path.exists() and bool(unseal(path))
    except CorruptTable:
        return False
