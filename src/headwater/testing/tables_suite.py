"""What every table store must do. Subclass it in a test module and say how to make an empty store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl
import pytest

from headwater.core.errors import DataError, UsageError
from headwater.core.ports import TableStore
from headwater.stats.frames.content import content_hash

MORNING = datetime(2013, 7, 1, 5, 30, 0, 123456, tzinfo=UTC)

EVERY_TYPE = pl.DataFrame(
    {
        "byte": pl.Series([1, None], dtype=pl.UInt8),
        "huge": pl.Series([2**64 - 1, None], dtype=pl.UInt64),
        "wide": pl.Series([2**100, None], dtype=pl.Int128),
        "half": pl.Series([1.5, None], dtype=pl.Float32),
        "float": pl.Series([float("nan"), None]),
        "flag": [True, None],
        "text": ["", None],
        "bytes": [b"\x00", None],
        "category": pl.Series(["a", None], dtype=pl.Categorical),
        "enum": pl.Series(["b", None], dtype=pl.Enum(["b", "a"])),
        "day": [date(2013, 7, 1), None],
        "clock": [time(5, 30), None],
        "span": pl.Series([timedelta(hours=1), None], dtype=pl.Duration("ms")),
        "local": pl.Series([MORNING.replace(tzinfo=None), None]),
        "zoned": pl.Series([MORNING, None]).dt.convert_time_zone("America/New_York"),
        "coarse": pl.Series([MORNING, None]).dt.cast_time_unit("ms"),
        "fine": pl.Series([MORNING, None]).dt.cast_time_unit("ns"),
        "money": pl.Series(["1.10", None]).cast(pl.Decimal(12, 2)),
        "list": pl.Series([["a", None], None]),
        "record": pl.Series([{"x": 1, "y": [0.5]}, None]),
        "hollow": pl.Series([{}, None], dtype=pl.Struct([])),
        "nothing": pl.Series([None, None]),
    }
)


class TablesSuite:
    """Conformance of a `TableStore`. Override `store` with a fixture that returns a fresh, empty one.

    Example:
        >>> class TestMine(TablesSuite):
        ...     @pytest.fixture
        ...     def store(self):
        ...         return MyTables()
    """

    @pytest.fixture
    def store(self) -> TableStore:
        """Return an empty store."""
        raise NotImplementedError("override the fixture `store`")

    def test_an_empty_store_has_nothing(self, store: TableStore) -> None:
        """Asking an empty store is no error."""
        assert store.datasets() == [] and store.keys("trips") == []
        assert store.version("trips") is None and store.read("trips", ["1"]) is None
        assert store.content("trips", "1") is None

    def test_what_was_ever_written_is_not_lost(self, store: TableStore) -> None:
        """What a later version replaced is still there; what was never written, or not so, is not."""
        first = store.write("trips", {"a": pl.DataFrame({"id": [1]}), "b": pl.DataFrame({"id": [2]})}, run_id="r1")
        second = store.write("trips", {"a": pl.DataFrame({"id": [3]})}, run_id="r2")
        known = {"a": {first.contents["a"], second.contents["a"]}, "b": {first.contents["b"]}}
        assert store.lost("trips", known) == store.lost("trips", known, deep=True) == []
        wrong = store.lost("trips", {"a": {second.contents["a"]}, "b": {second.contents["a"]}, "c": {"0" * 64}})
        assert [(item.window, item.content) for item in wrong] == [("b", second.contents["a"]), ("c", "0" * 64)]
        (gone,) = store.lost("rides", known)
        assert (gone.window, gone.content) == ("", "") and gone.why

    def test_what_is_written_is_read(self, store: TableStore) -> None:
        """A write answers with what it wrote, and reading gives it back."""
        frame = pl.DataFrame({"id": [3, 1, 2], "name": ["c", None, "b"]})
        written = store.write("trips", {"2013-07-01": frame}, run_id="r1")
        assert written.dataset == "trips" and written.version == store.version("trips")
        assert written.contents == {"2013-07-01": content_hash(frame)} and written.rows == {"2013-07-01": 3}
        assert same(store.read("trips", ["2013-07-01"]), frame)
        assert store.content("trips", "2013-07-01") == content_hash(frame)
        assert store.datasets() == ["trips"] and store.keys("trips") == ["2013-07-01"]
        assert store.read("trips", ["2013-07-02"]) is None

    def test_every_type_comes_back_as_it_was(self, store: TableStore) -> None:
        """Types, zones, units, nulls and NaN survive, full and empty."""
        store.write("types", {"1": EVERY_TYPE, "2": EVERY_TYPE.clear()}, run_id="r1")
        assert same(store.read("types", ["1"]), EVERY_TYPE)
        assert same(store.read("types", ["2"]), EVERY_TYPE.clear())
        assert same(store.read("types", ["1", "2"]), EVERY_TYPE)

    def test_odd_column_names_and_keys_come_back(self, store: TableStore) -> None:
        """A feed's names are its own: also empty, only different in case, or like ours."""
        frame = pl.DataFrame({"": [1], "A": [2], "a": [3], "x y;{}": [4], "_window": ["w"], "ü%20/..": [5]})
        store.write("odd", {"../a b%20": frame, "2013-07-01T05": frame[:0]}, run_id="r1")
        assert store.keys("odd") == ["../a b%20", "2013-07-01T05"]
        assert same(store.read("odd", ["../a b%20"]), frame)

    def test_rows_come_in_key_order_and_stored_order(self, store: TableStore) -> None:
        """The order of the keys asked for, and within a window the order written."""
        frames = {f"{number:02}": pl.DataFrame({"x": [number, -number]}) for number in range(1, 13)}
        store.write("trips", frames, run_id="r1")
        store.write("trips", {"05": pl.DataFrame({"x": [50, -50]})}, run_id="r2")
        got = store.read("trips", sorted(frames))
        assert got is not None
        assert got["x"].to_list() == [x for n in range(1, 13) for x in ((50, -50) if n == 5 else (n, -n))]
        some = store.read("trips", ["11", "missing", "02"])
        assert some is not None and some["x"].to_list() == [11, -11, 2, -2]

    def test_only_the_given_windows_are_replaced_and_versions_stay(self, store: TableStore) -> None:
        """An old version gives identical content for ever."""
        one, two, new = (pl.DataFrame({"x": [value]}) for value in (1.0, 2.0, 3.0))
        first = store.write("trips", {"1": one, "2": two}, run_id="r1")
        second = store.write("trips", {"2": new, "3": new}, run_id="r2")
        assert second.version > first.version and set(second.contents) == {"2", "3"}
        assert store.keys("trips") == ["1", "2", "3"] and store.keys("trips", first.version) == ["1", "2"]
        assert same(store.read("trips", ["2"]), new) and same(store.read("trips", ["2"], first.version), two)
        assert store.content("trips", "2", first.version) == content_hash(two)
        assert store.content("trips", "3", first.version) is None
        assert store.read("trips", ["3"], first.version) is None

    def test_unchanged_content_makes_no_version(self, store: TableStore) -> None:
        """A rerun is idempotent, however its frame lies in memory."""
        frame = pl.DataFrame({"x": [0.0, None, 2.0]})
        first = store.write("trips", {"1": frame, "2": frame[:1]}, run_id="r1")
        again = store.write("trips", {"1": pl.concat([frame[:1], frame[1:]], rechunk=False)}, run_id="r2")
        assert again.version == first.version == store.version("trips")
        assert again.contents == {"1": content_hash(frame)} and again.rows == {"1": 3}

    def test_a_repair_and_its_way_back_are_versions(self, store: TableStore) -> None:
        """Content that was there before and went may come again."""
        good, bad = pl.DataFrame({"x": [1]}), pl.DataFrame({"x": [-1]})
        versions = [store.write("trips", {"1": frame}, run_id="r").version for frame in (good, bad, good)]
        assert len(set(versions)) == 3
        assert [store.content("trips", "1", version) for version in versions] == [
            content_hash(frame) for frame in (good, bad, good)
        ]
        assert same(store.read("trips", ["1"]), good) and same(store.read("trips", ["1"], versions[1]), bad)

    def test_an_empty_window_is_a_delivered_window(self, store: TableStore) -> None:
        """No rows is a fact that is kept, with the schema."""
        empty = pl.DataFrame(schema={"id": pl.Int64, "at": pl.Datetime("us", "Europe/Berlin")})
        written = store.write("trips", {"1": empty}, run_id="r1")
        assert written.rows == {"1": 0} and store.keys("trips") == ["1"]
        assert same(store.read("trips", ["1"]), empty)
        store.write("trips", {"2": pl.DataFrame()}, run_id="r2")
        assert same(store.read("trips", ["2"]), pl.DataFrame())

    @pytest.mark.parametrize("order", [1, -1])
    def test_a_schema_may_drift_between_windows(self, store: TableStore, order: int) -> None:
        """A new, missing, renamed or retyped column is stored as observed; together they are aligned by name."""
        frames = [
            pl.DataFrame({"id": [1], "temp": [20.5], "gone": ["g"]}),
            pl.DataFrame({"id": [2], "temp": ["n/a"]}),
            pl.DataFrame({"ID": [3], "temp": [7], "new": [MORNING]}),
            pl.DataFrame({"id": ["4"], "temp": [None], "new": [MORNING.replace(tzinfo=None)]}),
        ][::order]
        for number, frame in enumerate(frames):
            store.write("weather", {str(number): frame}, run_id="r")
        for number, frame in enumerate(frames):
            assert same(store.read("weather", [str(number)]), frame)
            assert same(store.read("weather", [str(number)], store.version("weather")), frame)
        both = store.read("weather", [str(frames.index(frames[0])), "1"])
        assert both is not None and both.height == 2
        together = store.read("weather", ["0", "1", "2", "3"])
        assert together is not None and together.height == 4
        assert {"id", "ID", "temp", "new", "gone"} == set(together.columns)
        assert together.schema["temp"] == pl.String and "n/a" in together["temp"].to_list()

    def test_many_windows_of_many_schemas_in_one_write(self, store: TableStore) -> None:
        """One write is one version, whatever its windows look like."""
        frames = {f"{n:03}": pl.DataFrame({"x": [n], f"extra{n % 3}": [n % 2]}) for n in range(30)}
        written = store.write("trips", frames, run_id="r1")
        assert store.version("trips") == written.version and len(written.contents) == 30
        for key, frame in frames.items():
            assert same(store.read("trips", [key]), frame)

    def test_datasets_do_not_meet(self, store: TableStore) -> None:
        """Each dataset has its own windows and versions."""
        store.write("trips", {"1": pl.DataFrame({"x": [1]})}, run_id="r1")
        store.write("weather", {"2": pl.DataFrame({"y": [1]})}, run_id="r1")
        assert store.datasets() == ["trips", "weather"]
        assert store.keys("trips") == ["1"] and store.keys("weather") == ["2"]

    def test_a_frame_taken_out_can_be_changed_without_changing_the_store(self, store: TableStore) -> None:
        """What is stored is immutable."""
        frame = pl.DataFrame({"x": [1, 2]})
        store.write("trips", {"1": frame}, run_id="r1")
        frame[0, "x"] = 99
        got = store.read("trips", ["1"])
        assert got is not None
        got[1, "x"] = 77
        assert same(store.read("trips", ["1"]), pl.DataFrame({"x": [1, 2]}))

    @pytest.mark.parametrize(
        ("write", "error"),
        [
            (lambda store: store.write("../trips", {"1": EVERY_TYPE}, run_id="r"), UsageError),
            (lambda store: store.write("trips", {"": EVERY_TYPE}, run_id="r"), UsageError),
            (lambda store: store.write("trips", {}, run_id="r"), UsageError),
            (lambda store: store.write("trips", {"1": EVERY_TYPE, "2": "a frame"}, run_id="r"), DataError),
            (
                lambda store: store.write(
                    "trips",
                    {"1": EVERY_TYPE, "2": pl.DataFrame({"x": pl.Series([object()], dtype=pl.Object)})},
                    run_id="r",
                ),
                DataError,
            ),
        ],
    )
    def test_a_refused_write_leaves_nothing(
        self, store: TableStore, write: Callable[[TableStore], Any], error: type[Exception]
    ) -> None:
        """All windows or none, and no dataset that nobody asked for."""
        with pytest.raises(error):
            write(store)
        assert store.datasets() == [] and store.keys("trips") == [] and store.version("trips") is None

    def test_an_unknown_version_is_refused(self, store: TableStore) -> None:
        """The error says which versions there are."""
        newest = store.write("trips", {"1": pl.DataFrame({"x": [1]})}, run_id="r1").version
        with pytest.raises(UsageError, match="no version"):
            store.read("trips", ["1"], newest + 5)
        with pytest.raises(UsageError, match="no version"):
            store.keys("trips", -1)


def same(got: Any, expected: pl.DataFrame) -> bool:
    """Tell whether a frame came back exactly: schema, order and content."""
    return (
        isinstance(got, pl.DataFrame)
        and list(got.schema.items()) == list(expected.schema.items())
        and content_hash(got) == content_hash(expected)
    )
