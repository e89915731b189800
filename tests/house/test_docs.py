"""The docs cannot lie: commands are all there, examples and guides run."""

from __future__ import annotations

import doctest
import re
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest

from headwater.cli.main import COMMANDS, cli
from house import guides
from house.tree import ROOT, modules, name_of

REFERENCE = (ROOT / "docs/reference/commands.md").read_text()
GUIDES = sorted([*(ROOT / "docs/start").glob("*.md"), *(ROOT / "docs/guides").glob("*.md")])


def commands() -> Iterator[tuple[str, click.Command]]:
    """Walk all commands and their subcommands."""
    context = click.Context(cli, info_name="headwater")
    for name in COMMANDS:
        command = cli.get_command(context, name)  # type: ignore[attr-defined]
        assert command is not None
        yield f"headwater {name}", command
        if isinstance(command, click.Group):
            for below, inner in command.commands.items():
                yield f"headwater {name} {below}", inner


@pytest.mark.parametrize(("path", "command"), list(commands()))
def test_every_command_is_documented(path: str, command: click.Command) -> None:
    found = re.search(rf"^##+ `{re.escape(path)}[^\n]*`\n(.*?)(?=^##|\Z)", REFERENCE, re.M | re.S)
    assert found, f"docs/reference/commands.md has no heading for `{path}`"
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name not in ("help", "project"):
            for option in parameter.opts:
                assert f"`{option}" in found[1], f"`{path}` in docs/reference/commands.md says nothing of {option}"


def test_no_command_is_documented_that_is_not_there() -> None:
    documented = set(re.findall(r"^##+ `(headwater [a-z]+(?: [a-z-]+)?)", REFERENCE, re.M))
    assert documented == {path for path, _ in commands()}


@pytest.mark.parametrize("name", [name_of(path) for path in modules() if path.name != "__main__.py"])
def test_docstring_examples_run(name: str) -> None:
    result = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.stem)
def test_guides_run(guide: Path, tmp_path: Path) -> None:
    if guide.stem == "engines":
        pytest.importorskip("ibis", reason="ibis is not installed: make engines")
    assert guides.run(guide, tmp_path) > 0


def test_links_between_the_docs_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_the_runner_runs_writes_and_fails(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        textwrap.dedent("""\
            ```python names.py
            NAME = "river"
            ```
            ```bash
            echo mouth > there
            ```
            ```python
            import names
            assert names.NAME == "river" and open("there").read() == "mouth\\n"
            ```
            ```text
            not run
            ```
            """)
    )
    assert guides.run(page, tmp_path) == 3
    page.write_text("```bash\nfalse\ntrue\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md:1"):
        guides.run(page, tmp_path)
