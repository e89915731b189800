"""Structural breaks wake somebody in their first window; weather, holidays and odd rows do not."""

import numpy as np
import pytest

from headwater.core.windows import Calendar
from headwater.observe.history import History
from headwater.observe.structure import StructureMonitor
from unit.observe.worlds import CALENDAR, DAYS, NOW, TABLE, evidence, learned, table


def judge(changed, days=120, day=None):
    history, random = learned(days)
    item = evidence(day or DAYS[days], table(days, random, **changed))
    history.add_evidence(item)
    return StructureMonitor().evaluate([item], history, CALENDAR, NOW)


def alarms(changed, **options):
    return {item.metric for item in judge(changed, **options) if item.severity == "alarm"}


@pytest.mark.parametrize(
    ("changed", "metric"),
    [
        ({"null_share.x": 0.3}, "null_share.x"),
        ({"null_share.delay": 0.6}, "null_share.delay"),
        ({"duplicate_share": 0.3}, "duplicate_share"),
        ({"repeat_share": 0.98}, "repeat_share"),
        ({"key_match.planes": 0.4}, "key_match.planes"),
        ({"unseen_share.carrier": 0.25}, "unseen_share.carrier"),
        ({"rows": 150.0}, "rows"),
        ({"rows": 0.0}, "rows"),
        ({"rows": 4000.0}, "rows"),
        ({"max_hours.t": 14.0}, "max_hours.t"),
    ],
)
def test_a_break_alarms_in_its_first_window(changed, metric):
    assert metric in alarms(changed)


def test_a_wrong_zone_alarms_by_both_ends_and_by_the_clock():
    shifted = {"min_hours.t": 1.0, "max_hours.t": 19.0, "offset.t.hour": -4.0, "offset_wall.t.hour": 0.0}
    assert alarms(shifted) == {"min_hours.t", "max_hours.t", "offset.t.hour"}


def test_a_number_that_no_longer_follows_the_clock_alarms():
    assert alarms({"offset.t.hour": None, "offset_wall.t.hour": None}) == {"offset.t.hour"}


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"offset_wall.t.hour": 5.0},  # summer time ends
        {"min_hours.t": 1.0},  # one row at night
        {"rows": 560.0},  # a holiday
        {"null_share.delay": 0.03},
        {"key_match.planes": 0.99},  # better than ever
        {"null_share.x": 0.002},  # two rows
        {"null_share.x": 0.05},  # some hours are missing
    ],
)
def test_nobody_is_woken_for(changed):
    assert alarms(changed) == set()


def test_a_small_gap_is_a_notice():
    (found,) = judge({"null_share.x": 0.06})
    assert (found.severity, found.metric, found.monitor, found.subject) == (
        "notice",
        "null_share.x",
        "structure",
        TABLE,
    )
    assert found.score > 2
    assert found.value == pytest.approx(0.06)
    assert found.expected == 0.0


def test_columns_that_go_change_or_come():
    gone = {"null_share.x": None, "zero_share.x": None}
    assert alarms(gone) == {"column.x"}
    assert alarms({"zero_share.x": None, "distinct.x": 3.0}) == {"column.x"}
    assert alarms({"zero_share.x": None, "null_share.x": 1.0}) == {"null_share.x"}
    (new,) = judge({"null_share.fresh": 0.0})
    assert (new.metric, new.severity) == ("column.fresh", "notice")


@pytest.mark.parametrize(("there", "severity"), [(lambda day: day % 2, "notice"), (lambda day: day > 57, "notice"),
                                                (lambda day: day > 40, "alarm")])  # fmt: skip
def test_a_column_that_came_lately_or_now_and_then_wakes_nobody_when_it_is_gone(there, severity):
    history = History(CALENDAR)
    for day in range(60):
        batch = {"null_share.batch": 0.0} if there(day) else {}
        history.add_evidence(evidence(DAYS[day], {"rows": 3300.0, "null_share.x": 0.0, **batch}))
    item = evidence(DAYS[60], {"rows": 3300.0, "null_share.x": 0.0})
    (found,) = StructureMonitor().evaluate([item], history, CALENDAR, NOW)
    assert (found.metric, found.severity) == ("column.batch", severity)


def test_an_odd_row_of_a_tiny_table_is_no_finding():
    history = History(CALENDAR)
    for day in DAYS[:60]:
        history.add_evidence(evidence(day, {"rows": 8.0, "null_share.x": 0.0, "zero_share.x": 0.0}))
    item = evidence(DAYS[60], {"rows": 7.0, "null_share.x": 1 / 7, "zero_share.x": 0.0})
    assert StructureMonitor().evaluate([item], history, CALENDAR, NOW) == []


def test_a_dimension_that_never_moves_alarms_on_a_truncation_that_a_feed_may_have():
    history = History(CALENDAR)
    for day in DAYS[:60]:
        history.add_evidence(evidence(day, {"rows": 3300.0, "null_share.x": 0.0}))
    item = evidence(DAYS[60], {"rows": 2300.0, "null_share.x": 0.0})
    (found,) = StructureMonitor().evaluate([item], history, CALENDAR, NOW)
    assert (found.metric, found.severity) == ("rows", "alarm")


def test_before_two_weeks_only_what_needs_no_band():
    assert alarms({"null_share.x": 0.4}, days=8) == set()
    assert alarms({"rows": 0.0}, days=8) == {"rows"}
    assert alarms({"null_share.x": None, "zero_share.x": None}, days=8) == {"column.x"}
    assert judge({"rows": 0.0}, days=0) == []


SNAPSHOT = {"rows": 300.0, "null_share.size": 0.1, "unseen_share.kind": 0.0, "key_match.makers": 1.0}


def young(windows, changed, usual=SNAPSHOT):
    """A snapshot of which a few windows are there, all alike."""
    history = History(CALENDAR)
    for day in DAYS[:windows]:
        history.add_evidence(evidence(day, usual))
    item = evidence(DAYS[windows], usual | changed)
    return {found.metric for found in StructureMonitor().evaluate([item], history, CALENDAR, NOW)}


def test_what_never_moved_in_a_young_table_and_jumps_is_a_break():
    assert young(3, {"unseen_share.kind": 1.0}) == {"unseen_share.kind"}
    assert young(3, {"rows": 120.0}) == {"rows"}
    assert young(5, {"key_match.makers": 0.3, "null_share.size": 0.8}) == {"key_match.makers", "null_share.size"}


def test_a_young_table_may_grow_and_must_have_been_seen_some_times():
    assert young(5, {"rows": 340.0, "unseen_share.kind": 0.3}) == set()
    assert young(2, {"unseen_share.kind": 1.0, "rows": 120.0}) == set()


@pytest.mark.parametrize(("usual", "noticed"), [((1.0, 1.0), True), ((0.97, 1.0), True), ((0.9, 1.0), False)])
def test_zeros_that_end_in_a_young_table_are_a_notice(usual, noticed):
    history = History(CALENDAR)
    for place, day in enumerate(DAYS[:6]):
        history.add_evidence(evidence(day, SNAPSHOT | {"zero_share.fee": usual[place % 2]}))
    item = evidence(DAYS[6], SNAPSHOT | {"zero_share.fee": 0.2})
    found = StructureMonitor().evaluate([item], history, CALENDAR, NOW)
    assert [(one.metric, one.severity) for one in found] == [("zero_share.fee", "notice")] * noticed


@pytest.mark.parametrize("windows", [3, 8, 13])
def test_a_young_table_that_is_always_empty_is_no_finding(windows):
    """Rejected rows, for one: a table that is empty for weeks is as it should be."""
    assert young(windows, {"rows": 0.0}, usual={"rows": 0.0}) == set()
    assert young(windows, {"rows": 40.0}, usual={"rows": 0.0}) == {"rows"}


def test_hourly_windows_are_judged_too():
    calendar = Calendar("1h", "UTC")
    history = History(calendar)
    keys = [window.key for window in calendar.between("2013-05-01T00", "2013-05-20T00")]
    for key in keys[:-1]:
        history.add_evidence(evidence(key, {"rows": 50.0 + int(key[-2:]), "null_share.x": 0.0}))
    item = evidence(keys[-1], {"rows": 50.0, "null_share.x": 0.5})
    assert [f.metric for f in StructureMonitor().evaluate([item], history, calendar, NOW)] == ["null_share.x"]


def lived(values, monitor=None):
    """Judge windows as they come, each learned unless it alarms; return the findings by day."""
    history, found = History(CALENDAR), []
    for place, made in enumerate(values):
        item = evidence(DAYS[place], {"rows": 400.0, **made})
        history.add_evidence(item)
        fresh = (monitor or StructureMonitor()).evaluate([item], history, CALENDAR, NOW)
        for one in fresh:
            history.add_finding(one)
        found.append({one.metric: one for one in fresh})
    return found


@pytest.mark.parametrize(("metric", "sign"), [("null_share.x", 1), ("key_match.p", -1)])
def test_a_share_that_creeps_is_learned_every_day_and_alarms_at_last(metric, sign):
    base = 0.004 if sign > 0 else 0.996
    rates = [base] * 80 + [base + sign * 0.0008 * day for day in range(120)]
    found = lived([{metric: rate + 0.002 * (day % 3)} for day, rate in enumerate(rates)])
    first = next(day for day, told in enumerate(found) if metric in told and told[metric].severity == "alarm")
    assert not any(metric in told for told in found[:80])
    assert 0.03 < abs(rates[first] - base) < 0.08
    assert metric in found[-1], "it stays in alarm: what alarms is not learned"
    better = lived([{metric: 2 * base - rate} for rate in rates] if sign < 0 else [{metric: 0.1 - r} for r in rates])
    assert not any(told[metric].severity == "alarm" for told in better if metric in told)


def test_nulls_that_are_gone_for_good_are_said_once():
    here = [{"null_share.x": 0.3 * (day % 2)} for day in range(90)]
    found = lived(here + [{"null_share.x": 0.0}] * 40)
    told = [(day, one["null_share.x"].severity) for day, one in enumerate(found) if "null_share.x" in one]
    assert [severity for _, severity in told] == ["notice"] * len(told)
    assert 1 <= len(told) <= 3
    assert 90 + 13 <= told[0][0] <= 90 + 16


def stuck_now(values, now, rows=400.0):
    """Judge a window of two columns after forty that held ``values``."""
    history = History(CALENDAR)
    for day, made in zip(DAYS, values, strict=False):
        history.add_evidence(evidence(day, {"rows": 400.0, "null_share.x": 0.0, **made}))
    item = evidence(DAYS[len(values)], {"rows": rows, "null_share.x": 0.0, **now})
    history.add_evidence(item)
    found = StructureMonitor().evaluate([item], history, CALENDAR, NOW)
    return {one.metric for one in found if one.severity == "alarm"}


BODY = ("q05.x", "q25.x", "q50.x", "q75.x", "q95.x")
ZERO = {**dict.fromkeys((*BODY, "min.x", "max.x", "mean.x", "std.x"), 0.0), "zero_share.x": 1.0}
VARIED = [{name: 10.0 * at + day % 7 for at, name in enumerate(BODY, 1)} | {"max.x": 90.0} for day in range(40)]


def test_a_column_that_always_varied_and_holds_one_value_now_is_stuck():
    assert "max.x" in stuck_now(VARIED, ZERO)
    assert "max.x" not in stuck_now(VARIED, ZERO, rows=30.0), "so few rows may be alike by chance"
    assert "max.x" not in stuck_now(VARIED, {**ZERO, "null_share.x": 0.95}), "and so may those that are not null"
    assert "max.x" not in stuck_now(VARIED[:10], ZERO), "so little history says little"
    calm = [*VARIED[:20], {**VARIED[0], **ZERO}, *VARIED[21:]]
    assert "max.x" not in stuck_now(calm, ZERO), "a calm day was there before"
    rare = [{**one, "q05.x": 0.0, "q25.x": 0.0} for one in VARIED]
    assert "max.x" not in stuck_now(rare, ZERO), "a quarter of the rows held it always"


def test_a_text_that_always_varied_and_is_one_now_is_stuck():
    texts = [{"null_share.c": 0.2, "distinct.c": 4.0 + day % 2, "top_share.c": 0.3} for day in range(40)]
    now = {"null_share.c": 0.2, "distinct.c": 1.0, "top_share.c": 0.8}
    assert "distinct.c" in stuck_now(texts, now)
    assert "distinct.c" not in stuck_now([{**one, "top_share.c": 0.5} for one in texts], now), "of those not null"
    one_coupon = [{**one, "distinct.c": 1.0, "null_share.c": 0.7} for one in texts]
    assert "distinct.c" not in stuck_now(one_coupon, {**now, "null_share.c": 0.7})


def fed(rows, calendar=CALENDAR, keys=DAYS):
    """Judge windows as they come, by their rows alone; return place and severity of what was found."""
    history, found = History(calendar), []
    for place, count in enumerate(rows):
        item = evidence(keys[place], {"rows": float(count)})
        fresh = StructureMonitor().evaluate([item], history, calendar, NOW)
        for one in fresh:
            history.add_finding(one)
            found.append((place, one.severity))
        history.add_evidence(item)
    return found


HOURLY = Calendar("1h", "UTC")
HOURS = [window.key for window in HOURLY.between("2013-05-01T00", "2013-07-15T00")]


@pytest.fixture
def draw():
    return np.random.default_rng(3)


@pytest.mark.parametrize("begin", range(7))
def test_a_feed_that_is_empty_on_weekends_wakes_nobody_whenever_it_begins(begin, draw):
    rows = [0 if (day + begin) % 7 >= 5 else draw.poisson(1000) for day in range(80)]
    found = fed(rows)
    assert all(severity == "notice" for _, severity in found)
    assert len(found) <= 2, "the first Saturday is a notice, and it is learned"
    assert (16, "alarm") in fed([*rows[:16], 0]) or (16 + begin) % 7 >= 5, "a loss on a known day is one"


def at_night(hour, _):
    return 0.3 if hour < 6 else 200.0


def in_a_shop(hour, day):
    return 200.0 if 8 <= hour < 20 and day < 5 else 0.0


def in_a_web_shop(hour, day):
    return (200.0 if 8 <= hour < 20 else 30.0) if day < 5 else 0.0


@pytest.mark.parametrize("usual", [at_night, in_a_shop, in_a_web_shop])
@pytest.mark.parametrize("begin", [0, 2, 5])
def test_an_hourly_feed_with_quiet_nights_and_weekends_wakes_nobody(usual, begin, draw):
    rows = [draw.poisson(usual(at % 24, (at // 24 + begin) % 7)) for at in range(24 * 7 * 5)]
    assert [place for place, severity in fed(rows, HOURLY, HOURS) if severity == "alarm"] == []


@pytest.mark.parametrize("usual", [at_night, in_a_web_shop])
def test_an_hour_of_the_day_that_was_full_twice_and_is_empty_now_is_an_alarm(usual, draw):
    rows = [draw.poisson(usual(at % 24, 0)) for at in range(59)]
    assert fed([*rows, 0], HOURLY, HOURS)[-1:] == [(59, "alarm")]


@pytest.mark.parametrize("mean", [0.5, 3.0, 5.0])
def test_few_rows_that_come_by_chance_are_no_alarm(mean, draw):
    alarmed = [place for place, severity in fed(draw.poisson(mean, 240)) if severity == "alarm"]
    assert alarmed == []


def test_a_spike_of_every_month_is_known_once_two_were_accepted(draw):
    history = History(CALENDAR)
    for place, day in enumerate(DAYS[:90]):
        history.add_evidence(evidence(day, {"rows": 4000.0 if place in (30, 60) else 1000.0 + draw.poisson(30)}))
    spike = evidence(DAYS[90], {"rows": 4000.0})
    assert StructureMonitor().evaluate([spike], history, CALENDAR, NOW) == []


def test_one_infinity_in_a_column_that_never_had_one_is_a_notice_and_said_once():
    history, random = History(CALENDAR), np.random.default_rng(7)
    for index, day in enumerate(DAYS[:120]):
        history.add_evidence(evidence(day, table(index, random, **{"nan_share.x": 0.0})))
    found = []
    for day in DAYS[120:122]:
        item = evidence(day, table(int(day[-2:]), random, **{"nan_share.x": 0.001}))
        fresh = [one for one in StructureMonitor().evaluate([item], history, CALENDAR, NOW) if "nan" in one.metric]
        history.add_evidence(item)
        for one in fresh:
            history.add_finding(one)
        found.append([(one.metric, one.severity) for one in fresh])
    assert found == [[("nan_share.x", "notice")], []]


def test_rows_that_come_again_because_a_column_is_empty_are_that_columns_alarm():
    assert alarms({"null_share.x": 1.0, "repeat_share": 0.54}) == {"null_share.x"}
    assert alarms({"null_share.x": 0.3, "repeat_share": 0.98}) == {"null_share.x", "repeat_share"}


def in_a_row(values, metric, days=120):
    """The severities of a metric in windows after one another, each judged before the next comes."""
    history, random = learned(days)
    told = []
    for place, value in enumerate(values):
        item = evidence(DAYS[days + place], table(days + place, random, **{metric: value}))
        history.add_evidence(item)
        found = StructureMonitor().evaluate([item], history, CALENDAR, NOW)
        told.append(next((one.severity for one in found if one.metric == metric), ""))
        for one in found:
            history.add_finding(one)
    return told


def test_a_small_gap_that_stays_alarms_in_its_third_window():
    assert in_a_row([0.06, 0.05, 0.07], "null_share.x") == ["notice", "notice", "alarm"]


def test_a_small_gap_that_comes_again_and_again_alarms_in_the_third():
    told = in_a_row([0.06, 0.0, 0.06, 0.0, 0.07], "null_share.x")
    assert told == ["notice", "", "notice", "", "alarm"]


@pytest.mark.parametrize("values", [[0.06, 0.06, 0.0, 0.0, 0.0, 0.06], [0.02, 0.02, 0.02]])
def test_gaps_that_close_or_are_tiny_wake_nobody(values):
    assert "alarm" not in in_a_row(values, "null_share.x")


def test_one_row_that_comes_again_and_again_alarms_in_its_third_window():
    history = History(CALENDAR)
    told = []
    for place in range(66):
        again = float(place >= 60)
        item = evidence(DAYS[place], {"rows": 1.0, "repeat_share": again, "null_share.high": 0.0})
        history.add_evidence(item)
        found = StructureMonitor().evaluate([item], history, CALENDAR, NOW)
        told += [place for one in found if one.severity == "alarm"]
        for one in found:
            history.add_finding(one)
    assert told[:1] == [62]
