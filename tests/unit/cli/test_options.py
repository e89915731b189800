"""Options that many commands share."""

from __future__ import annotations

import pytest

from headwater.cli import options
from headwater.core.errors import UsageError


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
    for empty in ("", "  "):
        with pytest.raises(UsageError, match="--by"):
            options.person(empty)
