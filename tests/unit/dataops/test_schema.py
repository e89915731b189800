"""Schema changes and whom they break."""

import polars as pl
import pytest

from headwater.dataops.schema import changes, holds_values_of

OLD = {"id": "Int64", "temp": "Float64", "origin": "String", "at": "Datetime(time_unit='us', time_zone='UTC')"}


def kinds(new, consumed=tuple(OLD), old=None):
    return [(item.column, item.kind, item.severity) for item in changes(old or OLD, new, consumed)]


def test_the_same_schema_has_no_changes_whatever_its_order_and_spelling():
    assert changes(OLD, dict(reversed(OLD.items())), OLD) == []
    polars = {"id": pl.Int64, "temp": pl.Float64, "origin": pl.String, "at": pl.Datetime("us", "UTC")}
    ours = {"id": "int64", "temp": "float64", "origin": "string", "at": "datetime[us,UTC]"}
    assert changes(OLD, polars, OLD) == changes(ours, OLD, OLD) == changes(ours, polars, OLD) == []


def test_a_new_column_is_additive():
    assert kinds({**OLD, "extra": "Int8"}) == [("extra", "added", "additive")]


def test_a_column_that_goes_breaks_only_who_reads_it():
    new = {name: dtype for name, dtype in OLD.items() if name != "origin"}
    assert kinds(new) == [("origin", "removed", "breaking")]
    assert kinds(new, consumed=["id"]) == [("origin", "removed", "additive")]


@pytest.mark.parametrize("now", ["temp_f", "Temp", "temperature", "zzz"])
def test_a_rename_is_guessed_when_one_goes_and_one_comes(now):
    new = {name: dtype for name, dtype in OLD.items() if name != "temp"} | {now: "Float64"}
    (change,) = changes(OLD, new, OLD)
    assert (change.kind, change.now, change.severity) == ("renamed", now, "breaking")
    assert f"`{now}`" in change.text


def test_a_new_column_of_another_type_is_no_rename():
    new = {name: dtype for name, dtype in OLD.items() if name != "temp"} | {"flag": "Boolean"}
    assert kinds(new) == [("temp", "removed", "breaking"), ("flag", "added", "additive")]


def test_several_renames_are_paired_by_likeness_each_once():
    old = {"wind_speed": "Float64", "wind_dir": "Float64", "gone": "Float64"}
    new = {"windDir": "Float64", "windSpeed": "Float64", "unrelated": "Float64"}
    found = {item.column: item.now for item in changes(old, new, old) if item.kind == "renamed"}
    assert found == {"wind_speed": "windSpeed", "wind_dir": "windDir"}


@pytest.mark.parametrize(
    ("before", "after", "holds"),
    [
        ("Int32", "Int64", True), ("Int64", "Int32", False), ("Int32", "Float64", True), ("Float64", "Int64", False),
        ("Int64", "Float64", False), ("Float32", "Float64", True), ("UInt32", "Int64", True),
        ("UInt64", "Int64", False),
        ("UInt8", "UInt16", True), ("Int8", "UInt8", False), ("Int64", "String", False), ("String", "Int64", False),
        ("Categorical", "String", True), ("Null", "String", True), ("String", "Null", False),
        ("Boolean", "Int8", False),
        ("Datetime(time_unit='ms', time_zone='UTC')", "Datetime(time_unit='us', time_zone='UTC')", True),
        ("Datetime(time_unit='us', time_zone='UTC')", "Datetime(time_unit='ms', time_zone='UTC')", False),
        ("Datetime(time_unit='us', time_zone='UTC')", "Datetime(time_unit='us', time_zone=None)", False),
        ("Datetime(time_unit='us', time_zone='UTC')", "Datetime(time_unit='us', time_zone='Europe/Berlin')", False),
        ("Enum(categories=['Zulu'])", "Enum(categories=['UTC'])", False),
        ("Date", "String", False), ("List(Int64)", "List(Int64)", True), ("List(Int64)", "List(String)", False),
    ],
)  # fmt: skip
def test_a_type_that_holds_the_old_values_widens_and_any_other_breaks(before, after, holds):
    assert holds_values_of(after, before) is holds
    found = kinds({"x": after}, ["x"], {"x": before})
    if before == after:
        assert found == []
    elif holds:
        assert found == [("x", "widened", "additive")]
    elif after == "Null":
        assert found == [("x", "emptied", "additive")], "what holds nothing is a matter of its nulls"
    else:
        narrowed = holds_values_of(before, after)
        assert found == [("x", "narrowed" if narrowed else "retyped", "breaking")]


@pytest.mark.parametrize(("before", "after"), [("Int64", "Int32"), ("Float64", "Float32"), ("Int16", "UInt8")])
def test_a_narrower_type_may_have_cut_values_and_breaks_whoever_reads_them(before, after):
    (change,) = changes({"x": before}, {"x": after}, ["x"])
    assert (change.kind, change.severity) == ("narrowed", "breaking")
    assert change.text == f"column `x` is narrowed from {before} to {after}"
    assert changes({"x": before}, {"x": after}, [])[0].severity == "additive"


def test_a_type_change_that_nobody_reads_breaks_nobody():
    assert kinds({**OLD, "temp": "String"}, consumed=["id"]) == [("temp", "retyped", "additive")]


def test_breaking_changes_come_first():
    new = {"id": "String", "origin": "String", "aaa": "Boolean", "at": OLD["at"]}
    assert [item.severity for item in changes(OLD, new, OLD)] == ["breaking", "breaking", "additive"]


@pytest.mark.parametrize("name", ["Etc/UTC", "Zulu", "+00:00", "UCT"])
def test_utc_by_another_name_is_no_change(name):
    assert kinds({"x": f"Datetime(time_unit='us', time_zone='{name}')"}, ["x"], {"x": pl.Datetime("us", "UTC")}) == []
