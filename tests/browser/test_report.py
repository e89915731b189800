"""The report in a real browser: pixels, no console errors, works without JavaScript."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from browser.looking import browse, needs_browser, share, shoot, warm
from headwater.app.report import write
from unit.app.report_samples import SAMPLES
from unit.app.test_report import hostile

pytestmark = needs_browser


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
