from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from headwater.adapters.sqlite_ledger import SqliteLedger
from headwater.testing.ledger_suite import CASES, Factory
from headwater.testing.memory_ledger import MemoryLedger


@pytest.fixture(params=["memory", "sqlite"])
def factory(request: pytest.FixtureRequest, tmp_path: Path) -> Factory:
    numbers = count()
    made: dict[str, Factory] = {
        "memory": MemoryLedger,
        "sqlite": lambda: SqliteLedger(tmp_path / f"{next(numbers)}" / "ledger.db"),
    }
    return made[request.param]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_ledger(case: Callable[[Factory], None], factory: Factory) -> None:
    case(factory)
