"""Run a guide: its fenced blocks, in order, in one empty folder.

A block's first word is its language, and what follows says what becomes of it:

- ```` ```bash ```` is run by bash, which stops at the first error; ``headwater`` and ``python`` are this environment's.
- ```` ```python ```` is run as a script of its own, in a fresh interpreter.
- ```` ```<language> <file> ```` (any language) is written to that file.
- every other block is for reading.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(?P<language>[a-z]+)[ \t]*(?P<file>[^\s`]*)[^\n]*\n(?P<text>.*?)^```[ \t]*$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    line: int
    language: str
    file: str
    text: str


def blocks(text: str) -> list[Block]:
    """Find the fenced blocks of a guide."""
    return [
        Block(text.count("\n", 0, match.start()) + 1, match["language"], match["file"], match["text"])
        for match in FENCE.finditer(text)
    ]


def run(guide: Path, folder: Path) -> int:
    """Run a guide's blocks in ``folder``; return how many were run or written, and stop at the first that fails."""
    done = 0
    for block in blocks(guide.read_text()):
        place = f"{guide.name}:{block.line}"
        if block.file:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        elif block.language == "bash":
            call(["bash", "-euo", "pipefail", "-c", block.text], folder, place)
        elif block.language == "python":
            call([sys.executable, "-c", block.text], folder, place)
        else:
            continue
        done += 1
    return done


def call(command: list[str], folder: Path, place: str) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(folder),
        "NO_COLOR": "1",
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{place}: exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
