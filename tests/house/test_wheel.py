"""The wheel holds what it should, installs beside its core dependencies alone, and runs there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest

from house.tree import PACKAGE, ROOT, TEMPLATES, modules

EXTRAS = ("mlflow", "lightgbm", "sklearn", "pandas", "pytest")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("tree")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    shutil.copytree(PACKAGE, tree / "src/headwater", ignore=shutil.ignore_patterns("__pycache__"))
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tree / "dist"), str(tree))
    (made,) = (tree / "dist").glob("headwater-*.whl")
    return made


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an environment with the core dependencies as they are pinned here, nothing else, and the wheel."""
    environment = tmp_path_factory.mktemp("bare") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", str(environment))
    python = environment / "bin/python"
    target = Path(run(str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    for needed in core_distributions():
        place(needed, target)
    run(sys.executable, "-m", "pip", "-qq", f"--python={python}", "install", "--no-deps", "--no-index", str(wheel))
    run(sys.executable, "-m", "pip", f"--python={python}", "check")
    return environment / "bin"


def core_distributions() -> list[Distribution]:
    """Return what the core needs, without extras, down to the last."""
    found: dict[str, Distribution] = {}
    waiting = required(distribution("headwater"))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = distribution(name)
            waiting += required(found[name])
    return list(found.values())


def required(one: Distribution) -> list[str]:
    from packaging.requirements import Requirement

    wanted = [Requirement(text) for text in one.requires or ()]
    return [item.name.lower() for item in wanted if item.marker is None or item.marker.evaluate({"extra": ""})]


def place(one: Distribution, target: Path) -> None:
    """Link an installed distribution's files into another environment."""
    for file in one.files or ():
        source = Path(str(one.locate_file(file)))
        if ".." in file.parts or file.suffix == ".pyc" or not source.is_file():
            continue
        aim = target / file
        aim.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, aim)
        except OSError:
            shutil.copy(source, aim)


def run(*command: str, code: int = 0, cwd: Path | None = None) -> str:
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, env=clean, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == code, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout + (done.stderr if code else "")


def test_the_wheel_holds_every_module_and_template_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    inside = {name for name in names if ".dist-info/" not in name}
    expected = {str(path.relative_to(PACKAGE.parent)) for path in modules()}
    expected |= {
        str(path.relative_to(PACKAGE.parent))
        for path in TEMPLATES.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    expected |= {str(path.relative_to(PACKAGE.parent)) for path in (PACKAGE / "app/runbooks").glob("*.md")}
    assert expected <= inside
    assert "headwater/py.typed" in inside
    strange = {name for name in inside - expected if re.search(r"\.pyc$|(^|/)tests?/|\.py$", name)}
    assert not strange
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_core_stays_small() -> None:
    assert len(core_distributions()) <= 25


def test_the_bare_environment_is_bare(bare: Path) -> None:
    for name in EXTRAS:
        run(str(bare / "python"), "-c", f"import {name}", code=1)


def test_help_runs_from_the_wheel(bare: Path) -> None:
    assert "headwater" in run(str(bare / "headwater"), "--help")
    assert run(str(bare / "headwater"), "--version").strip() == f"headwater {distribution('headwater').version}"


def test_init_runs_from_the_wheel(bare: Path, tmp_path: Path) -> None:
    run(str(bare / "headwater"), "init", str(tmp_path / "mine"), "--template", "flights")
    assert (tmp_path / "mine/headwater.yaml").is_file()
    assert (tmp_path / "mine/pipeline.py").is_file()
    assert list((tmp_path / "mine/contracts").glob("*.yaml"))


def test_every_module_imports_without_extras(bare: Path) -> None:
    """Only the public test suites may need something more: the test runner of whoever runs them."""
    code = (
        "import importlib, pkgutil, headwater\n"
        "for one in pkgutil.walk_packages(headwater.__path__, 'headwater.'):\n"
        "    if one.name == 'headwater.__main__': continue\n"
        "    try: importlib.import_module(one.name)\n"
        "    except ModuleNotFoundError as error:\n"
        "        if not (one.name.startswith('headwater.testing.') and error.name in ('pytest', 'hypothesis')): raise\n"
    )
    run(str(bare / "python"), "-c", code)


def test_a_missing_extra_is_named(bare: Path, tmp_path: Path) -> None:
    said = run(str(bare / "headwater"), "demo", "--dir", str(tmp_path / "demo"), code=3)
    assert "pip install 'headwater[demo]'" in said
