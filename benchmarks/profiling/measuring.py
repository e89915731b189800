"""The protocol between the runner and a contestant: a process of its own that prints one line of JSON.

This file and the contestants run in the peers' environments too, so they need nothing but pyarrow and the peer.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def arguments() -> argparse.Namespace:
    """Parse what the runner passes to every contestant."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--current", type=Path, required=True)
    parser.add_argument("--reference", type=Path, required=True)
    parser.add_argument(
        "--rows", type=int, help="take only so many of the current rows, and a fifth of it as reference"
    )
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--form", default="")
    parser.add_argument("--answers", action="store_true")
    return parser.parse_args()


def sizes(given: argparse.Namespace) -> tuple[int | None, int | None]:
    """Rows of the current and of the reference table that are taken; None means all."""
    return given.rows, None if given.rows is None else max(given.rows // 5, 1)


def peak() -> float:
    """Peak resident memory of this process in MB since `forget_peak`."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def forget_peak() -> float:
    """Start the peak anew at what is resident now, where the system allows it, and return that in MB."""
    gc.collect()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return peak()


def cpu() -> float:
    """CPU seconds of this process and of its finished children."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def measure(steps: dict[str, Callable[[], Any]], repeats: int) -> dict[str, Any]:
    """Run the named steps in turn, ``repeats`` times; return seconds, CPU seconds and the peak above the start."""
    told: dict[str, Any] = {"wall": {}, "cpu": {}}
    before = forget_peak()
    for _ in range(repeats):
        for name, step in steps.items():
            started, spent = time.perf_counter(), cpu()
            step()
            told["wall"].setdefault(name, []).append(time.perf_counter() - started)
            told["cpu"].setdefault(name, []).append(cpu() - spent)
    return told | {"peak_mb": peak() - before, "held_mb": before}


def tell(told: dict[str, Any]) -> None:
    """Print the result as the last line, and end without waiting for the peers' background threads."""
    sys.stdout.flush()
    print("\n" + json.dumps(told, default=float), flush=True)
    os._exit(0)
