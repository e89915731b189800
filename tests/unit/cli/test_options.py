"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.cli import options
from headwater.core.errors import UsageError


def test_the_nearest_project_above_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "headwater.yaml").write_text("module: pipeline.py\n")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert options.find_project(None) == tmp_path
    (inner / "headwater.yaml").write_text("module: pipeline.py\n")
    assert options.find_project(None) == inner


def test_a_named_folder_is_not_left(tmp_path: Path) -> None:
    (tmp_path / "headwater.yaml").write_text("module: pipeline.py\n")
    (tmp_path / "below").mkdir()
    assert options.find_project(str(tmp_path)) == tmp_path
    with pytest.raises(UsageError, match=r"no headwater\.yaml in"):
        options.find_project(str(tmp_path / "below"))


@pytest.mark.parametrize(("first", "last", "missing"), [("a", None, "--to"), (None, "b", "--from")])
def test_half_a_range_is_refused(first: str | None, last: str | None, missing: str) -> None:
    with pytest.raises(UsageError, match=missing):
        options.both_or_neither(first, last)
    options.both_or_neither("a", "b")
    options.both_or_neither(None, None)


def test_who_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert options.person("ada") == "ada"
    monkeypatch.setattr("getpass.getuser", lambda: "login")
    assert options.person(None) == "login"
