"""Both table stores do the same."""

import pytest

from headwater.adapters.delta_tables import DeltaTables
from headwater.testing.memory_tables import MemoryTables
from headwater.testing.tables_suite import TablesSuite


class TestMemoryTables(TablesSuite):
    @pytest.fixture
    def store(self):
        return MemoryTables()


class TestDeltaTables(TablesSuite):
    @pytest.fixture
    def store(self, tmp_path):
        return DeltaTables(tmp_path / "tables")


class TestDeltaTablesOpenedAnew(TablesSuite):
    """Every call in a process of its own, as it were: nothing may depend on what a handle remembers."""

    @pytest.fixture
    def store(self, tmp_path):
        class Anew:
            def __getattr__(self, name):
                return getattr(DeltaTables(tmp_path / "tables"), name)

        return Anew()
