"""One year of flights, delivered as one range, and a model trained on its first half: shared by the tests here."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import headwater.app
from headwater.testing.flights_world import FIRST, LAST, World
from unit.testing.tiny_line import TinyLine, load

TEMPLATE = Path(headwater.app.__file__).parent / "templates" / "flights"


def copy_template(folder: Path) -> Path:
    return Path(shutil.copytree(TEMPLATE, folder / "project"))


@pytest.fixture(scope="session")
def year(tmp_path_factory: pytest.TempPathFactory) -> TinyLine:
    folder = copy_template(tmp_path_factory.mktemp("year"))
    World(folder).deliver_range(FIRST, LAST)
    line = TinyLine(load(folder / "pipeline.py"))
    line.run(FIRST, LAST)
    return line


@pytest.fixture(scope="session")
def parts(year: TinyLine) -> dict[str, Any]:
    model = year.project.models["delay"]
    return dict(model.train(year.training("delay", FIRST, "2013-06-29"), 7))


@pytest.fixture
def resume(year: TinyLine, tmp_path: Path) -> Callable[[str], tuple[TinyLine, World]]:
    """Stand in the morning of a day: the project on disk, its world, and all that was delivered before."""

    def stand(day: str) -> tuple[TinyLine, World]:
        folder = copy_template(tmp_path)
        calendar = year.project.calendar
        yesterday = calendar.shift(calendar.window(day), -1)
        line = TinyLine(load(folder / "pipeline.py"))
        for name, table in year.tables.items():
            last = calendar.shift(yesterday, -year.project.assets[name].lag).key
            line.tables[name] = {key: frame for key, frame in table.items() if key <= last}
        return line, World(folder)

    return stand
