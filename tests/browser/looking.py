"""A real headless browser, and its screenshots as pixels."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: pages are not looked at in a browser")


QUIET = [
    "--headless",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--enable-logging=stderr",
]


def browse(page: Path, tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM is not None
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return subprocess.run(
        [CHROMIUM, *QUIET, *sandbox, f"--user-data-dir={tmp_path / 'profile'}", *options, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


def shoot(page: Path, tmp_path: Path, width: int = 1400, height: int = 1500) -> tuple[list[bytes], str]:
    """Return the screenshot's rows of pixels and what the console said."""
    target = tmp_path / "page.png"
    done = browse(
        page, tmp_path, f"--screenshot={target}", f"--window-size={width},{height}", "--force-device-scale-factor=0.5"
    )
    return pixels(target), "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


def pixels(path: Path) -> list[bytes]:
    """Read an 8-bit RGB or RGBA PNG as rows of RGB bytes, as the format's filters say."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    position, packed, size, channels = 8, b"", (0, 0), 3
    while position < len(data):
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        chunk = data[position + 8 : position + 8 + length]
        if kind == b"IHDR":
            width, height, _depth, colours = struct.unpack(">IIBB", chunk[:10])
            size, channels = (width, height), {2: 3, 6: 4}[colours]
        elif kind == b"IDAT":
            packed += chunk
        position += 12 + length
    raw, stride = zlib.decompress(packed), size[0] * channels
    rows: list[bytes] = []
    before = bytes(stride)
    for start in range(0, len(raw), stride + 1):
        line = bytearray(raw[start + 1 : start + 1 + stride])
        _unfilter(raw[start], line, before, channels)
        before = bytes(line)
        rows.append(before if channels == 3 else bytes(b for i, b in enumerate(before) if i % 4 != 3))
    return rows


def _unfilter(kind: int, line: bytearray, before: bytes, step: int) -> None:
    for index in range(len(line)):
        left = line[index - step] if index >= step else 0
        up, corner = before[index], before[index - step] if index >= step else 0
        if kind == 1:
            line[index] = (line[index] + left) & 255
        elif kind == 2:
            line[index] = (line[index] + up) & 255
        elif kind == 3:
            line[index] = (line[index] + (left + up) // 2) & 255
        elif kind == 4:
            guess = left + up - corner
            near = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))[2]
            line[index] = (line[index] + near) & 255


def share(rows: list[bytes], wanted) -> float:  # type: ignore[no-untyped-def]
    """Return the share of pixels that are of a kind, every third one looked at."""
    seen = [tuple(row[index : index + 3]) for row in rows[::3] for index in range(0, len(row) - 2, 9)]
    return sum(wanted(*pixel) for pixel in seen) / len(seen)


def warm(red: int, green: int, blue: int) -> bool:
    return red > 150 and red - blue > 80 and red - green > 50
