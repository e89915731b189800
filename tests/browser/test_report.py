"""The report in a real browser: pixels, no console errors, works without JavaScript."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from headwater.app.report import write
from unit.app.report_samples import SAMPLES
from unit.app.test_report import hostile

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on PATH: the report is not looked at in a browser"
)


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


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return write(SAMPLES["repaired"](), tmp_path / "report.html")


def test_the_incident_is_seen_and_the_console_is_silent(page: Path, tmp_path: Path) -> None:
    rows, console = shoot(page, tmp_path)
    assert console == ""
    assert 0.002 < share(rows, warm) < 0.1
    assert share(rows, lambda red, green, blue: red + green + blue < 240) > 0.004, "there is no text"


def test_a_quiet_month_has_no_warm_water(tmp_path: Path) -> None:
    rows, console = shoot(write(SAMPLES["quiet"](), tmp_path / "report.html"), tmp_path)
    assert console == ""
    assert share(rows, warm) < 0.0008


def test_the_page_stands_without_javascript_in_the_dark_and_narrow(page: Path, tmp_path: Path) -> None:
    text = page.read_text("utf-8")
    bare = re.sub(r"<script>.*?</script>", "", text, flags=re.S).replace('lang="en"', 'lang="en" data-theme="dark"', 1)
    page.write_text(bare, "utf-8")
    rows, console = shoot(page, tmp_path, width=900)
    assert console == ""
    assert share(rows, lambda red, green, blue: red + green + blue < 150) > 0.6
    assert share(rows, warm) > 0.002


def test_the_script_wakes_up_and_hostile_names_do_not(tmp_path: Path) -> None:
    page = write(hostile(), tmp_path / "report.html")
    done = browse(page, tmp_path, "--dump-dom")
    assert "CONSOLE" not in done.stderr
    assert re.search(r'<button type="button" class="theme"[^>]*aria-label="[^"]*">(Dark|Light)</button>', done.stdout)
    assert "<img" not in done.stdout
    assert 'class="hit"' not in done.stdout, "the script replaces the titles of the map by its own tooltip"


def test_the_hover_tells_the_numbers(page: Path, tmp_path: Path) -> None:
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text("utf-8"))
    probe = """<script>addEventListener('load', function () {
      var map = document.querySelector('.rows'), box = map.getBoundingClientRect();
      map.dispatchEvent(new MouseEvent('mousemove', {clientX: box.left + box.width * 23.5 / 60,
        clientY: box.top + 60, bubbles: true}));
    });</script>"""
    page.write_text(text.replace("</body>", probe + "</body>"), "utf-8")
    shown = browse(page, tmp_path, "--dump-dom", "--window-size=1400,1500").stdout
    tip = re.search(r'<div class="tip"[^>]*>(.*?)</div>', shown, re.S)
    assert tip and "dataset:nyc/weather_raw" in tip[1] and "24 Jul 2013" in tip[1] and "× the alarm limit" in tip[1]


def test_the_largest_line_still_draws(tmp_path: Path) -> None:
    page = write(SAMPLES["worst"](), tmp_path / "report.html")
    rows, console = shoot(page, tmp_path)
    assert console == ""
    assert share(rows, warm) > 0.05
