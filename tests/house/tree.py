"""What the house tests look at: the package's modules and the repository's files."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "headwater"
TEMPLATES = PACKAGE / "app" / "templates"


def modules() -> list[Path]:
    """List the package's modules, without the templates (those are a user's code)."""
    return sorted(path for path in PACKAGE.rglob("*.py") if TEMPLATES not in path.parents)


def name_of(path: Path) -> str:
    """Return a module's dotted name."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def parsed(path: Path) -> ast.Module:
    """Return a module's syntax tree."""
    return ast.parse(path.read_text(), filename=str(path))


def repository_files() -> Iterator[Path]:
    """List the files that are in the repository, or would be with the next commit; all files outside of git."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True
    )
    if listed.returncode == 0:
        names = [name for name in listed.stdout.decode().split("\0") if name]
    else:
        found = [path.relative_to(ROOT) for path in ROOT.rglob("*")]
        aside = {"build", "dist", "demo", "__pycache__"}
        names = [str(path) for path in found if not any(part in aside or part[0] == "." for part in path.parts)]
    for name in names:
        if (ROOT / name).is_file():
            yield ROOT / name
