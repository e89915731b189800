"""Starting is cheap. Counted in modules, because a timed test lies on a busy machine; `make bench-start` times it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from headwater.cli.main import COMMANDS

HEAVY = {
    "polars",
    "numpy",
    "pandas",
    "deltalake",
    "mlflow",
    "lightgbm",
    "sklearn",
    "scipy",
    "sqlalchemy",
    "rich",
    "yaml",
}


def loaded_by(code: str) -> set[str]:
    """Run code in a fresh interpreter and return the modules it leaves loaded."""
    code += "\nimport json, sys\nprint(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_import_headwater_loads_next_to_nothing() -> None:
    before = loaded_by("")
    after = loaded_by("import headwater")
    added = {name for name in after - before if name.startswith("headwater")}
    assert added == {"headwater"}
    assert not HEAVY & after


def test_the_lazy_names_are_there() -> None:
    import headwater

    assert set(dir(headwater)) == set(headwater.__all__)
    for name in headwater.__all__:
        assert getattr(headwater, name)
    with pytest.raises(AttributeError, match="Nothing"):
        _ = headwater.Nothing


def test_help_loads_nothing_heavy() -> None:
    after = loaded_by("from headwater.cli.main import attempt\nattempt(['--help'])")
    assert not HEAVY & after
    rooms = {name.split(".")[1] for name in after if name.startswith("headwater.")}
    assert rooms <= {"cli", "core"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_commands_help_loads_nothing_heavy(command: str) -> None:
    assert not HEAVY & loaded_by(f"from headwater.cli.main import attempt\nattempt(['{command}', '--help'])")
