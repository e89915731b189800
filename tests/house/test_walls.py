"""The walls between the rooms stand, and would be seen to fall."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from house.tree import PACKAGE, ROOT, name_of, parsed

LINT = "import sys; from importlinter.cli import lint_imports_command as lint; lint(['--no-cache', '--no-logo'])"


def lint(source: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LINT],
        cwd=source.parent,
        env={**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
    )


def test_import_walls_stand() -> None:
    result = lint(ROOT / "src")
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-1000:]


ROOMS = "The rooms stand on each other"
BLIND = "Detection and triage cannot know"
WIRING = "Only app.wiring names an adapter"
CIRCLES = "No circles at any depth"


@pytest.mark.parametrize(
    ("contract", "lines"),
    [
        (BLIND, {"observe/__init__.py": "import headwater.testing"}),
        (BLIND, {"triage/__init__.py": "def late():\n    import headwater.testing"}),
        (ROOMS, {"mlops/__init__.py": "import headwater.dataops"}),
        (
            ROOMS,
            {"dataops/__init__.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import headwater.mlops"},
        ),
        (ROOMS, {"stats/__init__.py": "import headwater.observe"}),
        (ROOMS, {"attic/__init__.py": ""}),
        (WIRING, {"app/config.py": "import headwater.adapters"}),
        (CIRCLES, {"core/names.py": "import headwater.core.ports", "core/ports.py": "import headwater.core.names"}),
    ],
)
def test_a_hole_in_a_wall_is_seen(tmp_path: Path, contract: str, lines: dict[str, str]) -> None:
    source = tmp_path / "src"
    shutil.copytree(PACKAGE, source / "headwater", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for module, text in lines.items():
        path = source / "headwater" / module
        path.parent.mkdir(exist_ok=True)
        path.write_text((path.read_text() if path.exists() else "") + f"\n{text}\n")
    result = lint(source)
    assert result.returncode != 0
    assert any(line.startswith(contract) and "BROKEN" in line for line in result.stdout.splitlines()), (
        result.stdout + result.stderr
    )


def imported(tree: ast.Module) -> set[str]:
    """Return what a module imports at any depth, by full name; relative imports are named with a dot."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
    return names


@pytest.mark.parametrize("path", sorted((PACKAGE / "core").rglob("*.py")), ids=name_of)
def test_core_imports_the_standard_library_only(path: Path) -> None:
    foreign = {
        name
        for name in imported(parsed(path))
        if name.split(".")[0] not in sys.stdlib_module_names and not name.startswith("headwater.core")
    }
    assert not foreign
