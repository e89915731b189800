"""Find a workspace's folder, read its configuration and load its project module."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import linecache
import os
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from headwater.core.errors import HeadwaterError, ProjectInvalid, UsageError
from headwater.core.project import Project

FILE = "headwater.yaml"
_KNOWN = {"module": str, "contracts": str, "state": str, "gate": dict, "policy": dict}


@dataclass(frozen=True, slots=True)
class Config:
    """What ``headwater.yaml`` says.

    Attributes:
        folder: The workspace's folder.
        module: Python file that defines ``project``.
        contracts: Folder of contracts.
        state: Folder of the ledger, tables, code, parts and registry.
        gate: Limits of the release gate, by name.
        policy: Automatic remedies and the like.
    """

    folder: Path
    module: Path
    contracts: Path
    state: Path
    gate: Mapping[str, Any]
    policy: Mapping[str, Any]


def find(folder: Path | None = None) -> Path:
    """Return the nearest folder at or above ``folder`` that holds a workspace."""
    start = (folder or Path.cwd()).resolve()
    for place in (start, *start.parents):
        if (place / FILE).is_file():
            return place
    raise UsageError(f"no workspace here: {start} has no {FILE}", hint="make one with `headwater init DIR`")


def load_config(folder: Path) -> Config:
    """Read ``headwater.yaml``; raise `ProjectInvalid` with line and hint when it is broken."""
    import yaml

    from headwater.dataops.contract_files import twin_of

    file = folder / FILE
    try:
        text = file.read_text(encoding="utf-8")
        twin = twin_of(yaml.compose(text, Loader=yaml.SafeLoader))
        found = yaml.safe_load(text) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectInvalid(f"{file.name} cannot be read: {error}", hint="it must be UTF-8 text") from error
    except RecursionError as error:
        raise ProjectInvalid(f"{file.name} is nested too deeply", hint="for example `module: pipeline.py`") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        raise ProjectInvalid(
            f"{file.name}{line} is not valid YAML", hint=str(getattr(error, "problem", "") or error)
        ) from error
    if twin is not None:
        raise ProjectInvalid(
            f"{file.name} line {twin.start_mark.line + 1}: `{twin.value}` is written twice",
            hint="keep one; YAML drops the first",
        )
    if not isinstance(found, dict):
        raise ProjectInvalid(f"{file.name} is not a mapping", hint="for example `module: pipeline.py`")
    for name, value in found.items():
        if name not in _KNOWN:
            raise ProjectInvalid(f"{file.name} has an unknown setting `{name}`", hint=f"known: {', '.join(_KNOWN)}")
        if not isinstance(value, _KNOWN[name]):
            wanted = "a mapping" if _KNOWN[name] is dict else "text"
            raise ProjectInvalid(f"{file.name}: `{name}` is not {wanted}", hint=f"it is a {type(value).__name__}")
    for name in ("module", "contracts", "state"):
        if name in found:
            _sound_path(file.name, name, found[name])
    if "contracts" in found and not (folder / found["contracts"]).is_dir():
        raise ProjectInvalid(
            f"{file.name}: `contracts` names `{found['contracts']}`, which is not a folder",
            hint="without it no contract would be checked; make the folder, or leave the setting out",
        )
    return Config(
        folder=folder,
        module=folder / found.get("module", "pipeline.py"),
        contracts=folder / found.get("contracts", "contracts"),
        state=folder / found.get("state", ".headwater"),
        gate=found.get("gate", {}),
        policy=found.get("policy", {}),
    )


def _sound_path(file: str, setting: str, text: str) -> None:
    if not text.strip() or not text.isprintable() or any(len(part.encode()) > 255 for part in Path(text).parts):
        raise ProjectInvalid(f"{file}: `{setting}` does not name a file or folder", hint="for example `pipeline.py`")


def code_stamp(config: Config) -> str:
    """Return a hash over the project's Python files, those it imports from below its folder too."""
    within = _within(config.folder)
    imported = {Path(place) for made in sys.modules.values() if (place := _file(made)).startswith(within)}
    stamp = hashlib.sha256()
    for file in sorted({*config.folder.resolve().glob("*.py"), *imported}):
        if file.is_file():
            stamp.update(str(file).encode() + b"\0" + file.read_bytes())
    return stamp.hexdigest()


def load_project(config: Config) -> Project:
    """Import the project's module afresh and return its ``project``."""
    if not config.module.is_file():
        raise ProjectInvalid(f"{config.module.name} is not there", hint=f"{FILE} names it under `module`")
    module = _import(config.module, config.folder)
    project = getattr(module, "project", None)
    if not isinstance(project, Project):
        raise ProjectInvalid(f"{config.module.name} defines no `project`", hint='project = headwater.Project("name")')
    project.ordered()
    return project


def _import(file: Path, folder: Path) -> ModuleType:
    name = f"headwater_project_{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ProjectInvalid(f"{file.name} is not a Python file", hint=f"{FILE} names it under `module`")
    _LOADED.add(_within(folder))
    for other in [other for other, made in sys.modules.items() if _file(made).startswith(tuple(_LOADED))]:
        del sys.modules[other]
    importlib.invalidate_caches()
    linecache.clearcache()
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    path = str(folder)
    sys.path.insert(0, path)
    writes = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        source = file.read_text(encoding="utf-8")
        exec(compile(source, str(file), "exec"), module.__dict__)
    except SyntaxError as error:
        line = f" line {error.lineno}" if error.lineno else ""
        raise ProjectInvalid(f"{Path(error.filename or file).name}{line}: {error.msg}") from error
    except UsageError as error:
        place = _place(error, folder)
        said = f"{place}: {error.message}" if place else error.message
        raise ProjectInvalid(said, doing=error.doing, hint=error.hint) from error
    except HeadwaterError:
        raise
    except (Exception, SystemExit) as error:
        place = _place(error, folder) or file.name
        raise ProjectInvalid(
            f"{file.name} cannot be imported: {type(error).__name__}: {error}",
            hint=f"it was raised in {place}",
        ) from error
    finally:
        sys.dont_write_bytecode = writes
        sys.path.remove(path)
    return module


def _place(error: BaseException, folder: Path) -> str:
    """Name the file and line of the project where an error came up; empty where none of its lines took part."""
    lines = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    mine = [(path, number) for path, number in lines if str(path.resolve()).startswith(_within(folder))]
    own = [(path, number) for path, number in mine if "site-packages" not in path.parts]  # of an environment in there
    if not own:
        return ""
    path, number = own[-1]
    return f"{path.resolve().relative_to(folder.resolve())} line {number}"


_LOADED: set[str] = set()
"""Folders that projects were imported from: two projects may have modules of the same name."""


def _within(folder: Path) -> str:
    return f"{folder.resolve()}{os.sep}"


def _file(module: ModuleType) -> str:
    """Where a module comes from; for a package without a file of its own, its folder."""
    file = getattr(module, "__file__", None)
    places = getattr(module, "__path__", None)
    if not file and type(places).__name__ == "_NamespacePath":
        file = next(iter(places or ()), "")
    return str(file or "")
