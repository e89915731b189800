"""What the tests of the commands share: a way to ask for JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headwater.cli import main as door

Ask = Callable[..., Any]


@pytest.fixture
def ask(shop: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Ask a command for JSON in the module's shop: whatever happens, stdout holds one document."""

    def asked(*words: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert door.attempt([*words, "--json"]) == code, capsys.readouterr()
        return json.loads(capsys.readouterr().out)

    return asked
