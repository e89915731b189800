"""The words that verdicts use are documented, and no others are."""

from __future__ import annotations

import ast
import re
import typing

import pytest

from headwater.core.records import Remedy, Verdict
from house.tree import ROOT, modules

GUIDE = (ROOT / "docs/guides/plug-in.md").read_text()


def signatures() -> set[str]:
    """Second argument of every `Repair(...)` and first of every `lost(...)` in the room of signatures."""
    found = set()
    for path in modules():
        if path.parent.name != "signatures":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("Repair", "lost"):
                place = 1 if node.func.id == "Repair" else 0
                if len(node.args) > place and isinstance(node.args[place], ast.Constant):
                    found.add(str(node.args[place].value))
    return found


def test_every_signature_is_in_the_guide() -> None:
    listed = re.search(r"The signatures of sources: (.*?)\. Without one", GUIDE, re.S)
    assert listed
    assert set(re.findall(r"`([a-z_]+)`", listed[1])) == signatures()


@pytest.mark.parametrize(("record", "field"), [(Remedy, "action"), (Verdict, "status")])
def test_every_action_and_status_is_in_the_guide(record: type, field: str) -> None:
    words = typing.get_args(typing.get_type_hints(record)[field])
    assert len(words) > 3
    assert [word for word in words if f"`{word}`" not in GUIDE] == []
