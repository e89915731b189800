from __future__ import annotations

from pathlib import Path

import pytest

from line.shop import Live, begin


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Live:
    """The shop after its history and one live hour; go on in a copy."""
    return begin(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def live(shop: Live, tmp_path: Path) -> Live:
    return shop.copy(tmp_path / "shop")
