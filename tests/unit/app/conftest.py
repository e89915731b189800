"""A shop that has learned and released once for the whole room; every test gets a copy of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from unit.app.small_shop import Shop, learned


@pytest.fixture(scope="session")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return learned(tmp_path_factory.mktemp("shop") / "project")


@pytest.fixture
def shop(grown: Shop, tmp_path: Path) -> Shop:
    return grown.at(tmp_path / "project")


@pytest.fixture(scope="session")
def unit_incident(grown: Shop, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Amounts came in cents for two days: judged, not yet remedied."""
    made = grown.at(tmp_path_factory.mktemp("unit") / "project")
    made.feed(d3={"scale": 100}, d4={"scale": 100})
    made.run(3)
    made.run(4)
    return made


@pytest.fixture(scope="session")
def code_incident(grown: Shop, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Somebody changed how euros are made: judged, not yet remedied."""
    made = grown.at(tmp_path_factory.mktemp("code") / "project")
    made.edit('euros=pl.col("amount"))', 'euros=pl.col("amount") * 1.5)')
    made.run(3)
    return made


@pytest.fixture
def in_cents(unit_incident: Shop, tmp_path: Path) -> Shop:
    return unit_incident.at(tmp_path / "in_cents")


@pytest.fixture
def recoded(code_incident: Shop, tmp_path: Path) -> Shop:
    return code_incident.at(tmp_path / "recoded")


def remedied(shop: Shop, number: int) -> Shop:
    """Apply the one incident's remedy and run a fresh day."""
    shop.wait(minutes=1)
    shop.workspace.remedy("1", apply=True, by="ann")
    shop.run(number)
    return shop


def signed(shop: Shop) -> Shop:
    shop.wait(minutes=1)
    shop.workspace.sign("1", "data", "ann", prevention_owner="ann")
    shop.workspace.sign("1", "ml", "bob")
    return shop


@pytest.fixture
def closed() -> Callable[[Shop, int], dict]:
    def close(shop: Shop, number: int) -> dict:
        """Take the one incident to its end: remedy, a fresh day, two signatures, closed."""
        signed(remedied(shop, number)).wait(minutes=1)
        return shop.workspace.close("1", "ann")

    return close
