"""Time is passed in: only core/clock.py asks the machine for it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from house.tree import PACKAGE, modules, name_of, parsed

ASKING = {
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "time": {"time", "time_ns", "localtime", "gmtime", "ctime"},
}


def asks(tree: ast.Module) -> list[str]:
    """List the places that read the machine's clock, however the module was imported; durations are allowed."""
    meaning = {"datetime": "datetime", "date": "date", "time": "time"}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            meaning.update({alias.asname: alias.name for alias in node.names if alias.asname})
        elif isinstance(node, ast.ImportFrom) and node.module in ASKING:
            meaning.update({alias.asname or alias.name: alias.name for alias in node.names})
            if node.module == "time":
                found += [f"{node.lineno}: {a.name}" for a in node.names if a.name in ASKING["time"]]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        owner = node.value
        name = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
        if node.attr in ASKING.get(meaning.get(name, name), ()):
            found.append(f"{node.lineno}: {name}.{node.attr}")
    return found


@pytest.mark.parametrize("path", [p for p in modules() if p != PACKAGE / "core/clock.py"], ids=name_of)
def test_nobody_asks_the_machine_for_the_time(path: Path) -> None:
    assert asks(parsed(path)) == []


@pytest.mark.parametrize(
    "text",
    [
        "from datetime import datetime\ndatetime.now()",
        "import datetime as dt\ndt.datetime.now(dt.UTC)",
        "from datetime import datetime as moment\nmoment.utcnow()",
        "import time\ntime.time()",
        "import time as t\nt.time_ns()",
        "from time import time",
        "from datetime import date\nask = date.today",
    ],
)
def test_asking_is_seen(text: str) -> None:
    assert asks(ast.parse(text))


def test_a_clock_and_a_stopwatch_are_allowed() -> None:
    assert not asks(ast.parse("import time\nclock.now()\ntime.perf_counter()\ntime.monotonic()"))


def test_the_clock_itself_asks() -> None:
    assert asks(parsed(PACKAGE / "core/clock.py"))
