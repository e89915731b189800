"""Make a project from a template."""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path
from typing import Any

from headwater.app.config import FILE
from headwater.core.errors import StorageError, UnknownName, UsageError


def templates() -> list[str]:
    """Return the names of the templates."""
    folder = resources.files("headwater.app") / "templates"
    return sorted(item.name for item in folder.iterdir() if item.is_dir() and not item.name.startswith("_"))


def init(folder: Path | str, template: str = "flights") -> dict[str, Any]:
    """Copy a template into a folder that is empty or does not exist yet."""
    target = Path(folder)
    if template not in templates():
        raise UnknownName.of("template", template, templates())
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} is not empty", hint="give a new folder")
    try:
        with resources.as_file(resources.files("headwater.app") / "templates" / template) as source:
            shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error.strerror or error}") from error
    files = sorted(str(file.relative_to(target)) for file in target.rglob("*") if file.is_file())
    return {"project": str(target), "template": template, "config": FILE, "files": files}
