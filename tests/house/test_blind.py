"""Who judges cannot know what was planted: faults come from outside, by code that judging never loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from house.test_walls import imported
from house.tree import PACKAGE, modules, name_of, parsed

PLAYERS = {"bench", "forking", "demo", "demo_table"}
"""Modules of app that play benchmark and demo; the line itself is not among them."""
PLANTING = sorted((PACKAGE / "testing" / "silent_failures").rglob("*.py"))
OUTSIDE = ("headwater.core", "headwater.testing")
"""All of Headwater that whoever plants a fault may know."""


def knows_testing(path: Path) -> bool:
    return any(name == "headwater.testing" or name.startswith("headwater.testing.") for name in imported(parsed(path)))


@pytest.mark.parametrize("path", [path for path in modules() if path.parent.name != "testing"], ids=name_of)
def test_only_players_know_what_is_planted(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0]
    if room in ("testing", "cli") or (room == "app" and path.stem in PLAYERS):
        pytest.skip("plays, and does not judge")
    assert not knows_testing(path)


def test_the_line_runs_without_any_of_it() -> None:
    code = "import sys, headwater.app.flow, headwater.app.workspace; print([m for m in sys.modules if '.testing' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = [name for name in ast.literal_eval(done.stdout) if name.startswith("headwater")]
    assert loaded == []


@pytest.mark.parametrize("path", PLANTING, ids=name_of)
def test_planting_knows_nothing_of_who_judges(path: Path) -> None:
    known = {name for name in imported(parsed(path)) if name.startswith("headwater")}
    assert not {name for name in known if not name.startswith(OUTSIDE)}
