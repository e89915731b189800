"""What a project declares is watched in every window; what it mutes wakes nobody."""

import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import polars as pl
import pytest

from headwater.app.workspace import Workspace
from headwater.core.clock import SimulatedClock
from headwater.core.errors import ProjectInvalid, UnknownName
from headwater.core.project import Project

BAD = "2024-02-01"
COUNTRIES = ("PL", "DE", "DE", "DE")


def shop(change=lambda frame: frame) -> Project:
    """Forty orders a day from two countries; `change` is what happens to them from `BAD` on."""
    project = Project("shop")

    @project.source(key=["order"], time="at")
    def orders(window):
        days = [window.start + timedelta(days=n) for n in range((window.end - window.start).days)]
        rows = [
            {
                "order": f"{day:%j}-{n}",
                "at": day,
                "amount": 20.0 + (day.day * 7 + n) % 11,
                "country": "DE" if n % 4 else "PL",
            }
            for day in days
            for n in range(40)
        ]
        frame = pl.DataFrame(rows)
        return change(frame) if f"{window.start:%Y-%m-%d}" >= BAD else frame

    return project


def ran(project: Project, folder) -> list[dict]:
    """Learn January, then run one day; return its findings."""
    workspace = Workspace.of(project, folder, SimulatedClock(datetime(2024, 2, 3, tzinfo=UTC)))
    workspace.run_range("2024-01-01", "2024-01-31")
    workspace.run(BAD)
    return [item for item in workspace.line.state.findings.get(BAD, ())]


def half_price_in_poland(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(amount=pl.when(pl.col("country") == "PL").then(pl.col("amount") / 2).otherwise("amount"))


def test_a_declared_function_is_watched_by_segment_against_its_own_history(tmp_path):
    project = shop(half_price_in_poland)

    @project.monitor("orders", by="country", severity="alarm")
    def average_order(orders):
        return orders["amount"].mean()

    [found] = [item for item in ran(project, tmp_path) if item.monitor == "watch"]
    assert (found.metric, found.severity) == ("average_order[PL]", "alarm")
    assert found.value == pytest.approx(found.expected / 2, rel=0.1) and found.score > 2


@pytest.mark.parametrize(("high", "alarms"), [(30, []), (28, ["orders_q95_amount"])])
def test_a_metric_is_held_to_its_bounds_from_the_first_window(tmp_path, high, alarms):
    project = shop()
    project.monitor("orders", metric="q95.amount", high=high, severity="alarm")
    workspace = Workspace.of(project, tmp_path, SimulatedClock(datetime(2024, 2, 3, tzinfo=UTC)))
    workspace.run(BAD)
    found = workspace.line.state.findings.get(BAD, ())
    assert [item.metric for item in found if item.severity == "alarm"] == alarms


def test_an_alarm_of_a_watch_opens_an_incident_and_the_line_goes_on(tmp_path):
    project = shop()
    project.monitor("orders", metric="rows", low=50, name="enough_orders", severity="alarm")
    workspace = Workspace.of(project, tmp_path, SimulatedClock(datetime(2024, 2, 3, tzinfo=UTC)))
    workspace.run_range("2024-01-01", "2024-01-31")
    answer = workspace.run(BAD)
    assert answer["failed"] == [] and len(workspace.incidents()) == 1
    assert "enough_orders is 40, at least 50" in str(answer["alarms"])


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        (lambda orders: orders["nothing"].sum(), "nothing"),
        (lambda orders: "many", "returned str, not a number"),
        (lambda orders: 1 / 0, "ZeroDivisionError"),
        (lambda orders: 10**400, "OverflowError"),
        (lambda orders: sys.exit("enough"), "SystemExit: enough"),
    ],
    ids=["no column", "no number", "an error", "too large", "an exit"],
)
def test_a_watch_that_cannot_be_measured_says_so(tmp_path, measure, said):
    project = shop()
    project.monitor("orders", measure, name="broken")
    [found] = [item for item in ran(project, tmp_path) if item.monitor == "unmeasured"]
    assert (found.severity, found.metric) == ("notice", "broken") and said in found.detail


def test_nothing_is_found_where_nothing_can_be_measured(tmp_path):
    project = shop()
    project.monitor("orders", lambda orders: None, name="absent", high=0)
    project.monitor("orders", lambda orders: float("nan"), name="undefined", high=0)
    assert [item for item in ran(project, tmp_path) if item.monitor in ("watch", "unmeasured")] == []


@pytest.mark.parametrize("number", [np.float32(7), np.int64(7), Decimal(7)], ids=["float32", "int64", "decimal"])
def test_numbers_of_every_library_are_numbers(tmp_path, number):
    project = shop()
    project.monitor("orders", lambda orders: number, name="seven", low=8)
    assert [item.value for item in ran(project, tmp_path) if item.monitor in ("watch", "unmeasured")] == [7.0]


def test_a_segment_that_cannot_be_measured_leaves_the_others(tmp_path):
    project = shop()
    project.monitor("orders", lambda rows: 1 / (rows["country"][0] != "PL"), name="odd", by="country", high=0)
    found = [(item.monitor, item.metric) for item in ran(project, tmp_path) if item.metric.startswith("odd")]
    assert sorted(found) == [("unmeasured", "odd"), ("watch", "odd[DE]")]


def test_what_a_watch_does_to_its_rows_no_other_sees(tmp_path):
    project = shop()

    def careless(orders):
        orders[0, "amount"] = 1e9
        return len(orders.drop_in_place("country"))

    project.monitor("orders", careless, name="careless", high=0)
    project.monitor("orders", lambda orders: orders["amount"].max() + orders["country"].len(), name="later", low=1e6)
    found = [(item.monitor, item.metric) for item in ran(project, tmp_path) if item.metric in ("careless", "later")]
    assert sorted(found) == [("watch", "careless"), ("watch", "later")]
    assert not [item for item in ran(project, tmp_path / "again") if item.metric == "q95.amount"]


def test_muted_metrics_wake_nobody_and_others_still_do(tmp_path):
    def ten_times(frame):
        return frame.with_columns(pl.col("amount") * 10, country=pl.lit("XX"))

    loud, quiet = shop(ten_times), shop(ten_times)
    quiet.mute("orders", "*.amount")
    heard = {item.metric.partition(".")[2] for item in ran(loud, tmp_path / "loud") if item.monitor != "signature"}
    still = {item.metric.partition(".")[2] for item in ran(quiet, tmp_path / "quiet") if item.monitor != "signature"}
    assert {"amount", "country"} <= heard
    assert "amount" not in still and "country" in still


def test_a_mix_that_turned_is_noticed_by_name_and_can_be_muted_by_it(tmp_path):
    def turned(frame):
        return frame.with_columns(
            country=pl.when(pl.int_range(pl.len()) % 4 > 0).then(pl.lit("PL")).otherwise("country")
        )

    loud, quiet = shop(turned), shop(turned)
    quiet.mute("orders", "share[DE].country", "share[PL].country")
    heard = [item for item in ran(loud, tmp_path / "loud") if item.metric.startswith("share[")]
    still = [item for item in ran(quiet, tmp_path / "quiet") if item.metric.startswith("share[")]
    assert [(item.metric.partition(".")[2], item.severity) for item in heard] == [("country", "notice")]
    assert abs(heard[0].value - heard[0].expected) == pytest.approx(0.75, abs=0.01)
    assert still == []


def test_declarations_are_checked_where_they_are_made():
    project = shop()
    for wrong in (
        {"metric": "rows", "low": 3, "high": 1},
        {"metric": "rows", "limit": 0},
        {"metric": "rows", "severity": "fatal"},
        {"metric": "rows", "name": "No Name"},
        {"measure": len, "metric": "rows", "name": "both"},
    ):
        with pytest.raises(ProjectInvalid):
            project.monitor("orders", **wrong)
    project.monitor("orders", metric="rows")
    with pytest.raises(ProjectInvalid, match="twice"):
        project.monitor("orders", metric="rows")
    with pytest.raises(UnknownName):
        project.monitor("ordres", metric="rows")
    with pytest.raises(UnknownName):
        project.mute("ordres", "*")


@pytest.mark.parametrize(
    ("metric", "said", "hint"),
    [
        ("nul_share.amount", "no metric `nul_share`", "did you mean `null_share.amount`"),
        ("null_share", "of which column", "null_share.amount"),
        ("share[DE]", "of which column", "share"),
        ("rows.amount", "no column", "`rows` alone"),
        ("key_match.customers", "no metric `key_match`", "known: "),
    ],
)
def test_a_metric_that_can_never_be_there_is_refused_where_it_is_declared(metric, said, hint):
    with pytest.raises(UnknownName, match=said) as told:
        shop().monitor("orders", metric=metric, high=0.1)
    assert hint in told.value.hint


def test_what_is_muted_is_a_metric_that_there_is():
    project = shop()
    with pytest.raises(UnknownName) as told:
        project.mute("orders", "meen.amount")
    assert "did you mean `mean.amount`?" in told.value.hint
    for pattern in ("mean.amount", "*.at", "q*.amount", "schema.at", "key_match.customers", "repeat_share", "rows"):
        project.mute("orders", pattern)


@pytest.mark.parametrize("severity", ["notice", "alarm"])
@pytest.mark.parametrize(
    "declared", [{"metric": "null_share.amuont", "high": 0.1}, {"measure": len, "by": "amuont"}], ids=["metric", "by"]
)
def test_a_column_that_is_not_there_is_said_of_the_monitor_as_loudly_as_it_was_declared(tmp_path, severity, declared):
    project = shop()
    project.monitor("orders", name="cents", severity=severity, **declared)
    [found] = [item for item in ran(project, tmp_path) if item.monitor == "unmeasured"]
    assert (found.severity, found.metric) == (severity, "cents")
    assert "monitor `cents` cannot be measured" in found.detail
    assert "no column `amuont`; did you mean `amount`?" in found.detail


def test_a_mistyped_column_that_is_muted_is_noticed_and_one_that_was_there_is_not(tmp_path):
    project = shop(lambda frame: frame.drop("country"))
    project.mute("orders", "mean.amuont", "share[DE].country", "rows")
    [found] = [item for item in ran(project, tmp_path) if item.monitor == "unmeasured"]
    assert (found.metric, found.severity) == ("mean.amuont", "notice")
    assert "muted in vain" in found.detail and "did you mean `amount`?" in found.detail


def test_a_mistake_in_a_notice_opens_no_incident(tmp_path):
    project = shop()
    project.monitor("orders", metric="null_share.amuont", high=0.1)
    workspace = Workspace.of(project, tmp_path, SimulatedClock(datetime(2024, 2, 3, tzinfo=UTC)))
    workspace.run_range("2024-01-01", "2024-01-31")
    answer = workspace.run(BAD)
    assert (answer["alarms"], answer["accepted"], workspace.incidents()) == ([], True, [])


def test_an_incident_of_a_monitor_says_so_and_ends_when_it_is_taken_out(tmp_path):
    project = shop()
    project.monitor("orders", metric="null_share.amuont", high=0.1, name="empty", severity="alarm")
    clock = SimulatedClock(datetime(2024, 2, 3, tzinfo=UTC))
    workspace = Workspace.of(project, tmp_path, clock)
    workspace.run_range("2024-01-01", "2024-01-31")
    workspace.run(BAD)
    told = workspace.why("1")
    assert told["status"] == "undetermined"
    assert "monitor `empty` cannot be measured" in told["text"]
    assert "Correct it there, or take it out." in told["text"]

    clock.move_to(clock.now() + timedelta(days=1))
    workspace = Workspace.of(shop(), tmp_path, clock)
    workspace.run("2024-02-02")
    told = workspace.why("1")
    assert (told["status"], told["text"]) == ("none", "Nothing is wrong: every alarm is explained by now.")
    for step in ("headwater remedy incident:shop/1 --apply", "headwater run", "headwater sign", "headwater close"):
        assert step in told["remedy"]["text"]

    workspace.remedy("1", apply=True, by="ann")
    clock.move_to(clock.now() + timedelta(days=1))
    workspace.run("2024-02-03")
    workspace.sign("1", "data", "ann", prevention_owner="ann")
    workspace.sign("1", "ml", "bob")
    assert workspace.close("1", "ann")["state"] == "closed"
    clock.move_to(clock.now() + timedelta(days=1))
    assert workspace.run("2024-02-04")["accepted"]


@pytest.mark.parametrize(
    "metric", ["rows", "null_share.amount", "mean.country", "share[DE].country", "unseen_share.order"]
)
def test_a_metric_that_is_not_defined_for_a_window_says_nothing(tmp_path, metric):
    project = shop()
    project.monitor("orders", metric=metric, low=-1)
    assert [item for item in ran(project, tmp_path) if item.monitor == "unmeasured"] == []
