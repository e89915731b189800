"""Small things that rot when nobody looks: docstrings, sizes, words, addresses."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from house.tree import ROOT, TEMPLATES, modules, name_of, parsed, repository_files

BANNED = re.compile(r"(^|_)(manager|helper|util|utils|handler|processor|base|info|misc|common|v2|new|legacy)(_|$)")
LONGEST_MODULE = 500
LONGEST_FUNCTION = 80
# Written in pieces, so that this file does not hold what it looks for.
ADDRESSES = re.compile(
    "|".join(
        [
            "pypi" + r"\.org",
            "python" + r"hosted\.",
            r"--(extra-)?index" + "-url",
            r"--find" + "-links",
            r"(?<![\w.])(10|192\.168)" + r"(\.\d{1,3}){2,3}(?![\w.])",
            r"(?<![\w/.])/(home|Users|work|" + r"root)/\w+",
            r"(?<![\w/.])/" + "tmp/" + r"[a-z]/",
        ]
    )
)
# Whole texts that come from outside and are kept as they are.
FOREIGN = {"LICENSE"}


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(parsed(path)), f"{name_of(path)} has no docstring"


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_sizes_are_sane(path: Path) -> None:
    lines = path.read_text().count("\n")
    assert lines <= LONGEST_MODULE
    too_long = [
        f"{function.name}: {length} lines"
        for function in functions(parsed(path))
        if (length := (function.end_lineno or 0) - function.lineno + 1) > LONGEST_FUNCTION
    ]
    assert not too_long


def test_functions_are_short_as_a_rule() -> None:
    lengths = [(f.end_lineno or 0) - f.lineno + 1 for path in modules() for f in functions(parsed(path))]
    assert statistics.quantiles(lengths, n=10)[-1] <= 35


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_names_are_words_of_the_field(path: Path) -> None:
    names = [path.stem] if path.stem != "__init__" else []
    for node in ast.walk(parsed(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.append(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", node.name).lower())
    assert [name for name in names if BANNED.search(name)] == []


def test_templates_stay_readable() -> None:
    for template in (path for path in TEMPLATES.iterdir() if path.is_dir() and path.name != "__pycache__"):
        files = [path for path in template.rglob("*") if path.suffix in (".py", ".yaml")]
        plain = [path for path in files if "contracts" not in path.parts]
        assert sum(path.read_text().count("\n") for path in plain) < 350, template.name


def test_no_addresses_and_no_machine_paths() -> None:
    found = []
    for path in repository_files():
        if str(path.relative_to(ROOT)) in FOREIGN:
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in ADDRESSES.finditer(text)]
    assert found == []


def test_constraints_are_pinned_and_hashed() -> None:
    for file in ("build.txt", "dev.txt", "engines.txt"):
        text = (ROOT / "constraints" / file).read_text()
        entries = re.split(r"\n(?=\S)", text.strip())
        assert entries
        for entry in entries:
            assert re.match(r"[a-z0-9.-]+==\S+", entry), entry[:80]
            assert "--hash=sha256:" in entry, entry[:80]
            assert "://" not in entry


def test_no_template_knowledge_outside_the_templates() -> None:
    told = re.compile(r"(?<![A-Za-z])(flights?|airlines?|carriers?|nycflights13)(?![A-Za-z])", re.IGNORECASE)
    # The demo plays the template, and the name of the default template has to stand somewhere.
    allowed = ("headwater.testing", "headwater.app.demo", "headwater.cli.demo", "headwater.cli.init")
    default = {"headwater.app.init", "headwater.app.workspace"}
    found = [
        f"{name_of(path)}: {word}"
        for path in modules()
        if not name_of(path).startswith(allowed)
        for word in spoken(parsed(path))
        if told.search(word) and not (word == "flights" and name_of(path) in default)
    ]
    assert found == []


def spoken(tree: ast.Module) -> Iterator[str]:
    """Yield what the code itself says: names and texts, not docstrings and comments."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value
