"""What a contract says of a frame."""

import dataclasses
import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from headwater.dataops.contract_sql import ask
from headwater.dataops.contracts import broken, execute, parse_contracts

NOON = dt.datetime(2013, 7, 1, 12, tzinfo=dt.UTC)
HEAD = "{apiVersion: %s, kind: DataContract, id: t, version: 1.0.0, status: active, schema: [{name: trips, %s}]}"


def contract(body, api="v3.1.0"):
    return parse_contracts(HEAD % (api, body), Path("t.yaml"))[0]


def run(body, frame, metrics=None, api="v3.1.0"):
    return execute(contract(body, api), frame, window="2013-07-01", metrics=metrics)


def one(body, frame, metrics=None):
    (result,) = run(body, frame, metrics)
    return result


def column(options, values, **kinds):
    series = values if isinstance(values, pl.Series) else pl.Series(values, **kinds)
    results = run(f"properties: [{{name: x, {options}}}]", pl.DataFrame({"x": series}))
    return {result.check: result for result in results}


def test_a_good_frame_passes_everything():
    results = run(
        "quality: [{metric: rowCount, mustBe: 2}], properties: [{name: id, logicalType: integer, required: true, "
        "unique: true, primaryKey: true}, {name: t, logicalType: timestamp, logicalTypeOptions: {timezone: true}}]",
        pl.DataFrame({"id": [1, 2], "t": [NOON, None], "more": ["a", "b"]}),
    )
    assert len(results) == 7 and all(result.passed and not result.detail for result in results)
    assert broken(results) == []


def test_a_missing_column_breaks_the_schema():
    (result,) = run("properties: [{name: gone, logicalType: string}]", pl.DataFrame({"x": [1]}))
    assert broken([result]) == [result] and result.detail == "column `gone` is missing"


@pytest.mark.parametrize(
    ("logical", "good", "bad"),
    [
        ("string", [pl.String, pl.Categorical, pl.Enum(["a"])], [pl.Int64, pl.Binary]),
        ("integer", [pl.Int8, pl.UInt64, pl.Int128], [pl.Float64, pl.String, pl.Boolean]),
        ("number", [pl.Int8, pl.Float32, pl.Decimal(10, 2)], [pl.String, pl.Boolean]),
        ("boolean", [pl.Boolean], [pl.Int8]),
        ("date", [pl.Date], [pl.Datetime("us"), pl.String]),
        ("timestamp", [pl.Datetime("us"), pl.Datetime("ms", "UTC")], [pl.Date, pl.String]),
        ("time", [pl.Time], [pl.Datetime("us")]),
        ("object", [pl.Struct({"a": pl.Int8})], [pl.List(pl.Int8)]),
        ("array", [pl.List(pl.Int8), pl.Array(pl.Int8, 2)], [pl.Struct({"a": pl.Int8})]),
    ],
)
def test_a_column_of_another_type_breaks_the_schema(logical, good, bad):
    for dtype in [*good, pl.Null]:
        assert column(f"logicalType: {logical}", pl.Series([None], dtype=dtype))["logicalType"].passed
    for dtype in bad:
        result = column(f"logicalType: {logical}, logicalTypeOptions: {{minimum: 1}}", pl.Series([None], dtype=dtype))
        assert broken(result.values()) == [result["logicalType"]], "options cannot be checked on another type"
        assert f"promised {logical}" in result["logicalType"].detail


def test_date_of_the_older_standard_is_also_a_timestamp():
    frame, body = pl.DataFrame({"x": [NOON]}), "properties: [{name: x, logicalType: date}]"
    assert run(body, frame, api="v3.0.2")[0].passed and not run(body, frame, api="v3.1.0")[0].passed


@pytest.mark.parametrize(
    ("promise", "check", "values", "bad", "good"),
    [
        ("required: true", "required", [1, None, None], 2, 0),
        ("required: true", "required", [1.0, float("nan")], 1, 0),
        ("unique: true", "unique", [1, 1, 1, 2, None, None], 2, 0),
        ("logicalTypeOptions: {minimum: 0}", "minimum", [0, -1, None, -2], 2, 0),
        ("logicalTypeOptions: {maximum: 10}", "maximum", [10.0, 10.5, float("nan")], 1, 0),
        ("logicalTypeOptions: {exclusiveMinimum: 0}", "exclusiveMinimum", [0, 1], 1, 1),
        ("logicalTypeOptions: {exclusiveMaximum: 10}", "exclusiveMaximum", [10, 9], 1, 1),
        ("logicalTypeOptions: {multipleOf: 0.1}", "multipleOf", [0.3, 0.7, 0.25, None], 1, 0),
        ("logicalTypeOptions: {pattern: '^[A-Z]{3}$'}", "pattern", ["JFK", "jfk", None, "LGAX"], 2, 0),
        ("logicalTypeOptions: {pattern: '^(?!X)'}", "pattern", ["JFK", "XNA", None], 1, 0),
        ("logicalTypeOptions: {minLength: 2}", "minLength", ["ab", "a", None], 1, 0),
        ("logicalTypeOptions: {maxLength: 2}", "maxLength", ["äö", "abc"], 1, 0),
        ("logicalTypeOptions: {format: uuid}", "format", ["8d1c9a3e-0000-4000-8000-000000000000", "x"], 1, 0),
        ("logicalTypeOptions: {format: i8}", "format", [1, 300], 1, 0),
        ("logicalTypeOptions: {minItems: 2}", "minItems", [[1], [1, 2], None], 1, 1),
        ("enum: [{value: a}, {value: b}]", "enum", ["a", "c", None, "b"], 1, 0),
        ("enum: [{value: 1}, {value: 2}]", "enum", [1, 3], 1, 0),
        ("logicalTypeOptions: {enum: [a]}", "enum", ["a", "b"], 1, 0),
    ],
)
def test_what_a_column_promises_is_counted(promise, check, values, bad, good):
    result = column(promise, values)[check]
    assert not result.passed and result.actual == bad and "`x`" in result.detail
    assert column(promise, [values[good], values[good]] if check != "unique" else [values[good]])[check].passed


def test_limits_of_times_assume_no_zone():
    zoned, local = pl.Series([NOON]), pl.Series([NOON.replace(tzinfo=None)])

    def limit(series, text):
        return column(f"logicalTypeOptions: {{{text}}}", series)["minimum"]

    assert limit(zoned, "minimum: '2013-07-01T12:00:00+00:00'").passed
    assert limit(zoned, "minimum: '2013-07-01T12:00:00-04:00'").actual == 1
    assert limit(zoned.dt.convert_time_zone("Asia/Tokyo"), "minimum: '2013-07-01T12:00:00+00:00'").passed
    assert limit(local, "minimum: 2013-07-01").passed
    unclear = limit(zoned, "minimum: 2013-07-01")
    assert not unclear.passed and "defaultTimezone" in unclear.detail
    assert limit(zoned, "minimum: '2013-07-01T09:00:00', defaultTimezone: America/New_York").actual == 1
    assert limit(zoned, "minimum: '2013-07-01T08:00:00', defaultTimezone: America/New_York").passed
    assert not column("logicalTypeOptions: {timezone: true}", local)["timezone"].passed
    assert not column("logicalTypeOptions: {timezone: false}", zoned)["timezone"].passed


def test_a_primary_key_is_unique_together_and_never_null():
    keys = "properties: [{name: b, primaryKey: true, primaryKeyPosition: 2}, {name: a, primaryKey: true}]"
    assert one(keys, pl.DataFrame({"a": [1, 1], "b": [1, 2]})).passed
    result = one(keys, pl.DataFrame({"a": [1, 1, None], "b": [1, 1, 2]}))
    assert result.actual == 2 and "(a, b): 1 rows repeat one, 1 rows have a null" in result.detail


def test_what_is_inside_objects_and_lists_is_checked():
    frame = pl.DataFrame({"o": [{"p": 1}, {"p": None}, None], "l": [[1, 20], [], None]})
    results = run(
        "properties: [{name: o, properties: [{name: p, required: true, quality: [{metric: nullValues, mustBe: 0}]}, "
        "{name: q}]}, {name: l, items: {name: item, logicalTypeOptions: {maximum: 10}}}]",
        frame,
    )
    failed = {result.name: result.actual for result in results if not result.passed}
    assert failed == {"o.p.required": 1, "o.q.present": "missing", "o.p.nullValues": 2, "l[].maximum": 1}


@pytest.mark.parametrize(
    ("check", "actual"),
    [
        ("metric: nullValues, mustBe: 2", 2),
        ("metric: nullValues, mustBeLessThan: 50, unit: percent", 40.0),
        ("metric: missingValues, arguments: {missingValues: [null, '', 'n/a']}, mustBe: 4", 4),
        ("metric: missingValues, mustBe: 2", 2),
        ("metric: missingValues, arguments: {missingValues: ['']}, mustBe: 1", 1),
        ("metric: invalidValues, arguments: {validValues: [a, '']}, mustBe: 1", 1),
        ("metric: invalidValues, arguments: {pattern: '^[a-z]$'}, mustBe: 2", 2),
        ("rule: invalidValues, validValues: [a, '', n/a], mustBe: 0", 0),
        ("metric: duplicateValues, mustBe: 0", 0),
    ],
)
def test_library_metrics_of_a_column(check, actual):
    frame = pl.DataFrame({"x": ["a", None, "", "n/a", None]})
    result = one(f"properties: [{{name: x, quality: [{{{check}}}]}}]", frame)
    assert result.passed and result.actual == actual and result.column == "x"


def test_library_metrics_of_the_whole():
    frame = pl.DataFrame({"a": [1, 1, 1], "b": [1, 1, None]})
    assert one("quality: [{metric: rowCount, mustBeBetween: [1, 3]}]", frame).passed
    pair = "quality: [{metric: duplicateValues, arguments: {properties: [a, b]}, mustBe: 0, unit: rows}]"
    assert one(pair, frame).actual == 1
    assert one("quality: [{metric: nullValues, arguments: {properties: [a, b]}, mustBe: 1}]", frame).passed
    gone = one("quality: [{metric: nullValues, arguments: {properties: [z]}, mustBe: 0}]", frame)
    assert not gone.passed and "`z` is not in the frame" in gone.detail


def test_a_percentage_of_no_rows_is_zero():
    body = "properties: [{name: x, quality: [{metric: nullValues, mustBeLessThan: 1, unit: percent}]}]"
    assert one(body, pl.DataFrame({"x": []}, schema={"x": pl.Int64})).passed


def test_all_operators_of_a_check_must_hold():
    body = "quality: [{metric: rowCount, mustBeGreaterThan: 1, mustBeLessThan: 3}]"
    assert one(body, pl.DataFrame({"x": [1, 2]})).passed
    result = one(body, pl.DataFrame({"x": [1, 2, 3]}))
    assert not result.passed and result.expected == "> 1 and < 3" and "in window 2013-07-01" in result.detail


@pytest.mark.parametrize(
    "query",
    [
        "SELECT COUNT(*) FROM {object} WHERE {property} > 1",
        "SELECT COUNT(*) FROM ${table} WHERE ${column} > 1;",
        'select count(*) from "{object}" where "{column}" > 1 -- a note; of mine',
        "WITH big AS (SELECT * FROM trips WHERE `{column}` > 1) SELECT COUNT(*) FROM big",
        "SELECT COUNT(*) FROM {object} WHERE {property} > 1 AND '{property}' = 'a b'' \"c;'",
    ],
)
def test_sql_is_asked_of_the_frame(query):
    name = "a b' \"c;"
    assert ask(query, pl.DataFrame({name: [1, 2, 3]}), "trips", name) == 2


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("DROP TABLE trips", "one SELECT"),
        ("SELECT 1; SELECT 2", "one SELECT"),
        ("SELECT COUNT(*) FROM read_csv('secret.csv')", "one SELECT"),
        ("SELECT x FROM trips", "not one"),
        ("SELECT COUNT(*) FROM elsewhere", "elsewhere"),
        ("SELECT COUNT(*) FROM trips WHERE", "query was"),
        ("SELECT COUNT({property}) FROM trips", "needs a column"),
    ],
)
def test_sql_that_cannot_be_asked_fails_with_a_reason(query, says):
    document = contract("properties: [{name: x}]")
    check = {"type": "sql", "query": query, "mustBe": 3}
    asked = dataclasses.replace(document, properties=(), quality=(check,))
    (result,) = execute(asked, pl.DataFrame({"x": [1, 2, 3]}))
    assert not result.passed and says in result.detail and broken([result])


def test_checks_of_the_profile_take_any_metric():
    body = (
        "quality: [{type: custom, engine: headwater, implementation: {metric: mean.temp}, mustBeBetween: [0, 40], "
        "severity: warning, name: plausible}]"
    )
    frame = pl.DataFrame({"temp": [1]})
    assert one(body, frame, {"mean.temp": 20.0}).passed
    failed = one(body, frame, {"mean.temp": 99.0})
    assert failed.name == "plausible" and failed.actual == 99.0 and failed.check == "mean.temp"
    assert broken([failed]) == [], "a warning refuses nothing"
    missing = one(body, frame, {})
    assert not missing.passed and "`mean.temp` is not in this window's profile" in missing.detail
    assert not one(body, frame, {"mean.temp": float("nan")}).passed


def test_words_and_other_engines_are_not_executed():
    results = run(
        "quality: [{type: text, description: it looks right}, {type: custom, engine: soda, implementation: 'x: 1'}]",
        pl.DataFrame({"x": [1]}),
    )
    assert [result.executed for result in results] == [False, False] and broken(results) == []
    assert results[0].detail == "not executed, it is written for people: it looks right"
    assert results[0].as_dict()["executed"] is False


@pytest.mark.parametrize(
    ("severity", "refuses"), [("error", True), ("high", True), ("warning", False), ("info", False)]
)
def test_severity_decides_what_refuses(severity, refuses):
    result = one(f"quality: [{{metric: rowCount, mustBe: 9, severity: {severity}}}]", pl.DataFrame({"x": [1]}))
    assert bool(broken([result])) is refuses


RANGE = "quality: [{metric: rowCount, mustBeBetween: [1, 2]}, {type: custom, engine: headwater, name: mean, " \
    "implementation: {metric: mean.x}, mustBeLessThan: 10}]"  # fmt: skip


def in_range(each):
    return execute(contract(RANGE), pl.DataFrame({"x": [1, 2, 3, 4]}), window="2013-07-01..2013-07-03", each=each)


def test_what_is_said_of_a_window_is_asked_of_every_window_of_a_range():
    days = {f"2013-07-0{day}": {"rows": 2.0, "mean.x": 3.0} for day in (1, 2, 3)}
    assert [(item.name, item.passed) for item in in_range(days)] == [("rowCount", True), ("mean", True)]
    rows, mean = in_range(days | {key: {"rows": 3.0, "mean.x": 12.0} for key in ("2013-07-02", "2013-07-03")})
    assert (rows.passed, mean.passed) == (False, False)
    assert (
        rows.detail == "rowCount is 3 in window 2013-07-02, promised between [1, 2], and fails in 1 more of 3 windows"
    )
    assert mean.detail == "mean.x is 12 in window 2013-07-02, promised < 10, and fails in 1 more of 3 windows"


def test_a_metric_that_a_window_of_a_range_cannot_have_is_not_asked_of_it():
    days = {"2013-07-01": {"rows": 1.0}, "2013-07-02": {"rows": 1.0, "mean.x": 3.0}}
    assert all(item.passed for item in in_range(days))
    _, mean = in_range({key: {"rows": 1.0} for key in days})
    assert not mean.passed and mean.detail == "mean cannot be measured: metric `mean.x` is not in this window's profile"
