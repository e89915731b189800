"""Profiles and comparisons in a real browser: what broke is seen, in light and dark, wide and narrow."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import headwater
from browser.looking import browse, needs_browser, share, shoot, warm

pytestmark = needs_browser


def weather(rows: int) -> pl.DataFrame:
    random = np.random.default_rng(4)
    return pl.DataFrame(
        {
            "temp": random.normal(70, 5, rows),
            "station": random.choice(["EWR", "JFK", "LGA"], rows),
            "a_name_that_is_far_longer_than_any_card_is_wide_and_has_no_blank_in_it": random.random(rows) < 0.2,
            "<b>bold</b>": random.choice(["<img src=x onerror=alert(1)>", "\u202egnp.exe"], rows),
        }
    )


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    frame = weather(6000)
    found = headwater.compare(frame[:5000], frame[5000:].with_columns((pl.col("temp") - 32) / 1.8))
    return found.save(tmp_path / "broken.html")


def test_what_broke_is_seen_and_what_did_not_is_calm(broken: Path, tmp_path: Path) -> None:
    rows, said = shoot(broken, tmp_path, height=900)
    assert share(rows, warm) > 0.002 and said == ""
    frame = weather(6000)
    calm = headwater.compare(frame[:5000], frame[5000:]).save(tmp_path / "calm.html")
    rows, said = shoot(calm, tmp_path, height=900)
    assert share(rows, warm) == 0 and said == ""


def test_nothing_sticks_out_of_a_narrow_page_and_hostile_names_stay_text(broken: Path, tmp_path: Path) -> None:
    text = broken.read_text()
    # The page allows no script; the copy that is measured does, and writes down what it measures.
    probe = (
        "<script>addEventListener('load',()=>{document.title="
        "document.documentElement.scrollWidth+' '+document.querySelectorAll('img,b').length})</script></body>"
    )
    measured = tmp_path / "measured.html"
    measured.write_text(re.sub(r"<meta http-equiv[^>]*>", "", text).replace("</body>", probe))
    for width in (1400, 500):
        done = browse(measured, tmp_path, f"--window-size={width},900", "--dump-dom")
        found = re.search(r"<title>(\d+) (\d+)</title>", done.stdout)
        assert found is not None
        assert int(found[1]) <= width and found[2] == "0"


def test_a_profile_is_drawn_in_the_dark(tmp_path: Path) -> None:
    page = headwater.profile(weather(3000), name="weather").save(tmp_path / "profile.html")
    rows, said = shoot(page, tmp_path, height=700)
    light = share(rows, lambda red, green, blue: red + green + blue > 600)
    dark = tmp_path / "dark.html"
    dark.write_text(page.read_text().replace("(prefers-color-scheme:dark)", "all"))
    rows, _ = shoot(dark, tmp_path, height=700)
    assert said == "" and light > 0.5
    assert share(rows, lambda red, green, blue: red + green + blue < 150) > 0.5
