"""An environment of its own for each peer, made once under the cache folder from a list of pinned versions."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

PINS = Path(__file__).parent / "peers"


class Unavailable(Exception):
    """A peer cannot be installed on any Python that is here; the message says why."""


def interpreters() -> list[str]:
    """List this Python and the others on the machine that a peer may want instead, without the too old and too new."""
    found = [sys.executable]
    for minor in (11, 12, 10, 13):
        on_path = shutil.which(f"python3.{minor}")
        kept = sorted(
            Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/3.{minor}.*/bin/python")
        )
        found += [str(path) for path in (on_path, *kept) if path]
    return list(dict.fromkeys(found))


def environment(name: str, cache: Path, pinned: Path = PINS) -> Path:
    """Return the interpreter of a peer's environment, making the environment where it is not there or its pins changed.

    Args:
        name: The peer's.
        cache: Where environments are kept.
        pinned: The folder with its list of pinned versions.

    Raises:
        Unavailable: No interpreter takes the pinned versions.
    """
    pins = pinned / f"{name}.txt"
    mark = hashlib.sha256(pins.read_bytes()).hexdigest()[:8]
    folder = cache / f"{name}-{mark}"
    python = folder / "bin" / "python"
    if (folder / "ready").exists():
        return python
    problems = []
    for interpreter in interpreters():
        shutil.rmtree(folder, ignore_errors=True)
        print(f"making the environment of {name} with {interpreter}", file=sys.stderr)
        made = subprocess.run([interpreter, "-m", "venv", str(folder)], capture_output=True, text=True)
        if made.returncode == 0:
            install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", pins]
            made = subprocess.run([*map(str, install)], capture_output=True, text=True)
        if made.returncode == 0:
            (folder / "ready").touch()
            return python
        problems.append(f"{interpreter}: {made.stderr.strip().splitlines()[-1:]}")
    shutil.rmtree(folder, ignore_errors=True)
    raise Unavailable("; ".join(problems))
