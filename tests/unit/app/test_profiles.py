"""Tables are profiled in memory or batch by batch, to the same numbers."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from deltalake import write_deltalake

import headwater
from headwater.core.errors import StorageError, UnknownName, UsageError


@pytest.fixture
def frame() -> pl.DataFrame:
    random = np.random.default_rng(9)
    rows = 30_000
    return pl.DataFrame(
        {
            "amount": random.lognormal(3, 1, rows),
            "items": random.poisson(3, rows),
            "country": random.choice(["DE", "FR", None], rows),
            "gift": random.random(rows) < 0.1,
        }
    )


def test_stored_tables_have_the_numbers_of_the_frame(frame: pl.DataFrame, tmp_path: Path) -> None:
    frame.write_parquet(tmp_path / "one.parquet", row_group_size=1000)
    (tmp_path / "parts").mkdir()
    frame[:9000].write_parquet(tmp_path / "parts/0.parquet")
    frame[9000:].write_parquet(tmp_path / "parts/1.parquet")
    write_deltalake(tmp_path / "delta", frame.to_arrow())
    whole = headwater.profile(frame).as_dict()["columns"]
    for stored in ("one.parquet", "parts", "delta"):
        made = headwater.profile(tmp_path / stored).as_dict()
        assert made["name"].endswith(stored)
        for name, column in whole.items():
            told = dict(made["columns"][name])
            assert told.pop("type") and told.pop("mean", 0) == pytest.approx(column.get("mean", 0), rel=1e-12)
            left_out = {"type", "mean", "std", "skew", "kurtosis"}
            assert {key: told[key] for key in told if key not in left_out} == {
                key: column[key] for key in column if key not in left_out
            }


def test_progress_is_told_while_a_stored_table_is_read(frame: pl.DataFrame, tmp_path: Path) -> None:
    frame.write_parquet(tmp_path / "one.parquet")
    told: list[tuple[int, int]] = []
    headwater.profile(tmp_path / "one.parquet", progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (frame.height, frame.height) and told == sorted(told)


def test_profiles_made_alike_merge_to_the_whole(frame: pl.DataFrame) -> None:
    first = headwater.profile(frame[:10_000], name="orders")
    both = first.merge(headwater.profile(frame[10_000:], like=first))
    whole = headwater.profile(frame, like=first)
    assert both.name == "orders" and both.summary.rows == frame.height
    for name in frame.columns:
        one, other = both.summary.columns[name], whole.summary.columns[name]
        assert (one.nulls, one.distinct, one.minimum) == (other.nulls, other.distinct, other.minimum)
        assert one.top_slack is None or one.top == other.top
    with pytest.raises(UsageError, match="like"):
        first.merge(headwater.profile(frame[10_000:].with_columns(pl.col("amount") * 3)))


def test_only_chosen_columns_are_read(frame: pl.DataFrame, tmp_path: Path) -> None:
    frame.write_parquet(tmp_path / "one.parquet")
    assert list(headwater.profile(tmp_path / "one.parquet", columns=["gift"]).summary.columns) == ["gift"]
    with pytest.raises(UnknownName, match="gfit"):
        headwater.profile(tmp_path / "one.parquet", columns=["gfit"])


def test_what_is_no_stored_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_text("nothing")
    with pytest.raises(StorageError):
        headwater.profile(tmp_path / "broken.parquet")
    with pytest.raises(UsageError, match="not there"):
        headwater.profile(tmp_path / "nowhere.parquet")


def test_segments_are_profiled_by_themselves_and_merge_to_the_whole(frame: pl.DataFrame) -> None:
    parts = headwater.profile_by(frame, "country", columns=["amount", "gift"])
    assert list(parts) == ["DE", "FR"]
    assert parts["DE"].summary.columns["amount"].mean == pytest.approx(
        frame.filter(pl.col("country") == "DE")["amount"].mean()
    )
    both = parts["DE"].merge(parts["FR"])
    assert both.summary.rows == frame["country"].drop_nulls().len()
    assert both.summary.columns["amount"].maximum == frame.filter(pl.col("country").is_not_null())["amount"].max()
    with pytest.raises(UnknownName):
        headwater.profile_by(frame, "land")


def test_a_table_in_an_engine_is_profiled_there_and_not_fetched(frame: pl.DataFrame) -> None:
    ibis = pytest.importorskip("ibis", reason="ibis is not installed: no engine to profile in")
    connection = ibis.duckdb.connect()
    connection.con.register("orders", frame.to_arrow())
    table = connection.table("orders")
    here = headwater.profile(frame)
    there = headwater.profile(table, like=here)
    assert there.as_dict()["columns"]["amount"]["q95"] == here.as_dict()["columns"]["amount"]["q95"]
    assert there.merge(here).summary.rows == 2 * frame.height
    assert list(headwater.profile_by(table, "country", like=here)) == ["DE", "FR"]
    assert not headwater.compare(table, frame).changes


def test_segments_by_several_columns_are_named_by_tuples(frame: pl.DataFrame) -> None:
    made = headwater.profile_by(frame, ["country", "gift"])
    assert list(made) == [("DE", False), ("DE", True), ("FR", False), ("FR", True)]
    assert sum(one.summary.rows for one in made.values()) == frame.drop_nulls("country").height


def test_mistakes_are_told_in_words(frame: pl.DataFrame, tmp_path: Path) -> None:
    for like in (frame, headwater.profile(frame).summary):
        with pytest.raises(UsageError, match="`like` is a"):
            headwater.profile(frame, like=like)
    with pytest.raises(UsageError, match="no column"):
        headwater.profile(frame, columns=[])
    with pytest.raises(UnknownName, match="has no column `country_code`") as caught:
        headwater.profile_by(frame, "country_code")
    assert "workspace" not in str(caught.value) and "`country`" in str(caught.value)
    with pytest.raises(UsageError) as told:
        headwater.profile("s3://bucket/orders.parquet")
    assert "this machine" in str(told.value.hint)
    (tmp_path / "empty").mkdir()
    with pytest.raises(StorageError, match="no Parquet file"):
        headwater.profile(tmp_path / "empty")
    (tmp_path / "mixed").mkdir()
    frame.write_parquet(tmp_path / "mixed/0.parquet")
    frame.drop("gift").write_parquet(tmp_path / "mixed/1.parquet")
    with pytest.raises(StorageError) as mixed:
        headwater.profile(tmp_path / "mixed")
    assert "columns" in str(mixed.value.hint) and "expanded paths" not in str(mixed.value)


def test_a_value_written_unlike_all_others_is_shown(frame: pl.DataFrame) -> None:
    bands = np.array(["0-10%", "10-20", "20-30%", "30-40%", "40-50%", "50-60%"])
    made = headwater.profile(frame.with_columns(band=pl.Series(np.resize(bands, frame.height))))
    assert made.odd_writings("band") == {"10-20": "10-20%"} and made.odd_writings("country") == {}
    assert made.as_dict()["columns"]["band"]["odd_writings"] == {"10-20": "10-20%"}
    assert "odd_writings" not in made.as_dict()["columns"]["country"]
    for shown in (str(made), made._repr_html_()):
        assert "written unlike all other values" in shown
    assert "unlike" not in str(headwater.profile(frame))


def test_times_are_told_as_times_on_their_own_clock() -> None:
    at = pl.Series(["2024-07-01T22:30:00", "2024-07-03T04:00:00"]).str.to_datetime(time_zone="UTC")
    made = headwater.profile({"at": at.dt.convert_time_zone("Europe/Berlin"), "day": at.dt.date()})
    told = made.as_dict()["columns"]
    assert told["at"]["minimum"] == "2024-07-01T22:30:00+00:00"
    assert (told["day"]["minimum"], told["day"]["maximum"]) == ("2024-07-01", "2024-07-03")
    assert "2024-07-02 00:30" in str(made).replace("2024-07-02  ", "2024-07-02 00:30")


def test_numbers_are_shown_as_they_are() -> None:
    made = str(headwater.profile({"big": pl.Series([2**64 - 1, 0], dtype=pl.UInt64), "year": [2013, 2013]}))
    assert "18,446,744,073,709,551,615" in made and "2,013" not in made
    page = headwater.profile({"year": [2013] * 9})._repr_html_()
    assert "1006" not in page and "1,006" not in page
    times = headwater.profile({"wait": pl.Series([1, 2], dtype=pl.Duration("us")), "raw": [b"a", b"b"]})
    assert "binary" in str(times) and "1.0e-06 s" in str(times)


def test_text_shows_means_and_frequent_numbers_and_marks_what_is_read_off_cells():
    random = np.random.default_rng(1)
    said = str(
        headwater.profile({"x": random.lognormal(0, 1, 9000), "code": random.choice([1, 2], 9000, p=[0.9, 0.1])})
    )
    x, code = (next(line for line in said.splitlines() if line.startswith(name)) for name in ("x", "code"))
    assert "mean" in said and "~" in x.split("float64")[1] and "1 (90 %)" in code and "~" not in code


def test_what_is_no_profile_or_no_column_is_refused_with_a_hint():
    made = headwater.profile({"x": [1, 2], "colour": ["red", "blue"]})
    with pytest.raises(UsageError, match="a dict is no profile") as told:
        made.merge({"x": [3]})
    assert "headwater.profile(data, like=this_one)" in told.value.hint
    with pytest.raises(UnknownName, match="no column `color`") as told:
        made.odd_writings("color")
    assert "did you mean `colour`?" in told.value.hint
