"""Every fault that a verdict can name has a runbook, every runbook is of such a fault, and its commands exist."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from headwater.app.remembering import page_of, parsed
from headwater.cli.main import COMMANDS, cli
from house.test_words import signatures
from house.tree import PACKAGE, ROOT

FOLDER = PACKAGE / "app/runbooks"
PAGES = sorted(page for page in FOLDER.glob("*.md") if page.stem != "README")
FAMILIES = {"loaded_": "loaded_part", "abnormal_": "abnormal"}


def said() -> set[str]:
    """The faults that the code of triage can name: what is given as `fault`, in any of the ways that is done there."""
    found: set[str] = set()
    for path in (PACKAGE / "triage").glob("*.py"):
        for value in values(ast.parse(path.read_text())):
            found |= set(words(value))
    return {word for word in found if re.search("[a-z]", word)}


def values(tree: ast.AST) -> Iterator[ast.AST]:
    """Everything in a module that is given as a fault."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Weighed":
            yield from node.args[1:2]
        if isinstance(node, ast.keyword) and node.arg == "fault":
            yield node.value
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id in ("fault", "Fault"):
                    yield node.value
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    pairs = zip(target.elts, node.value.elts, strict=False)
                    yield from (value for one, value in pairs if isinstance(one, ast.Name) and one.id == "fault")
        if isinstance(node, ast.FunctionDef) and "fault" in node.name:
            yield from (one.value for one in ast.walk(node) if isinstance(one, ast.Return) and one.value)


def words(value: ast.AST) -> Iterator[str]:
    """The names in an expression; of a composed one how it begins."""
    if isinstance(value, ast.JoinedStr):
        value = value.values[0]
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
    elif isinstance(value, (ast.IfExp, ast.Call, ast.Dict, ast.BinOp, ast.Subscript, ast.Tuple, ast.Attribute)):
        inner = [value.body, value.orelse] if isinstance(value, ast.IfExp) else (
            value.values if isinstance(value, ast.Dict) else list(ast.iter_child_nodes(value))
        )  # fmt: skip
        for one in inner:
            yield from words(one)


FAULTS = sorted(signatures() | said() | {"world", "none", "undetermined"})


def test_faults_are_found_in_the_code() -> None:
    assert {"stale_run", "transform_code", "label_code", "missing", "missing_rows", "loaded_", "abnormal_"} <= set(
        FAULTS
    )


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_has_a_runbook(fault: str) -> None:
    name = fault if not fault.endswith("_") else f"{fault}anything"
    page = page_of(name)
    assert page, f"no src/headwater/app/runbooks/{FAMILIES.get(fault, fault)}.md"
    title, steps = parsed(page)
    assert title and len(steps) >= 3


def test_no_runbook_is_of_a_fault_that_nobody_says() -> None:
    known = {FAMILIES.get(fault, fault) for fault in FAULTS}
    assert {page.stem for page in PAGES} - known - set(FAMILIES.values()) - {"loaded_version"} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_runbook_names_commands_that_exist(page: Path) -> None:
    text = " ".join(page.read_text().split())
    context = click.Context(cli, info_name="headwater")
    for name, rest in re.findall(r"`headwater ([a-z]+)([^`]*)`", text):
        assert name in COMMANDS, f"`headwater {name}`"
        command = cli.get_command(context, name)
        options = {option for item in command.params for option in item.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= options, f"`headwater {name}{rest}`"


def test_runbooks_are_in_the_docs_and_listed() -> None:
    assert (ROOT / "docs/runbooks").resolve() == FOLDER
    listed = re.findall(r"\| \[`([a-z_]+)`\]\(\1\.md\)", (FOLDER / "README.md").read_text())
    assert listed == [page.stem for page in PAGES]


def test_an_unknown_fault_has_none() -> None:
    assert page_of("no_such_fault") is None
    assert page_of("../closing") is None
    assert page_of("README") is None
