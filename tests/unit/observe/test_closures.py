"""A closure that was in order is an exception: what comes after it is judged by what was before it."""

import numpy as np
import pytest

from headwater.core.ports import Record
from headwater.observe.acceptance import releveled
from headwater.observe.closures import closures
from headwater.observe.distribution import DistributionMonitor
from headwater.observe.history import History
from headwater.observe.structure import StructureMonitor
from headwater.stats.alarms.slots import Slots
from unit.observe.worlds import CALENDAR, DAYS, NOW, TABLE, evidence, table

FIRST, LAST = 100, 111  # the days from and to which the shop is shut
BEFORE, DURING, AFTER = range(FIRST), range(FIRST, LAST), range(LAST, LAST + 40)


class Shop:
    """A shop that rests on Saturdays, and the monitors that watch its table."""

    def __init__(self):
        self.history, self.random, self.found = History(CALENDAR), np.random.default_rng(3), []
        for index in BEFORE:
            self.history.add_evidence(self.day(index))

    def day(self, index, *, shut=False):
        rests = shut or index % 7 == 4  # 2013-01-05, of index 4, was a Saturday
        return evidence(DAYS[index], {"rows": 0.0} if rests else table(index, self.random))

    def live(self, index, *, shut=False):
        item = self.day(index, shut=shut)
        self.history.add_evidence(item)
        found = [finding for monitor in (StructureMonitor(), DistributionMonitor())
                 for finding in monitor.evaluate([item], self.history, CALENDAR, NOW)]  # fmt: skip
        for finding in found:
            self.history.add_finding(finding)
        self.found += found
        return {(finding.monitor, finding.metric) for finding in found if finding.severity == "alarm"}

    def record(self, kind, **body):
        self.history.add(Record(1, "id", kind, TABLE, body, NOW, "hash"))

    def accept(self, index, metric="", state="set"):
        said = {"by": "ann", "reason": "it is shut", "state": state}
        self.record("acceptance", subject=TABLE, subjects=[TABLE], metric=metric, first=DAYS[index], **said)

    def acquit(self, status):
        self.record("verdict", incident="incident:nyc/1", status=status)
        self.record("incident", incident="incident:nyc/1", findings=[item.id for item in self.found], state="closed")

    def score(self, index, rows):
        return self.history.baseline("profile", TABLE, DAYS[index]).score(DAYS[index], {"rows": rows})["rows"]


@pytest.fixture
def shop():
    return Shop()


def accepted(shop):
    shop.accept(FIRST)


def accepted_by_name(shop):
    shop.accept(FIRST, "rows")


def of_the_world(shop):
    shop.acquit("world")


def nothing(shop):
    shop.acquit("none")


WORDS = [accepted, accepted_by_name, of_the_world, nothing]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("when", [FIRST, FIRST + 5, LAST - 1])
def test_after_a_closure_all_is_as_before(shop, word, when):
    before = shop.score(AFTER[0], 1000.0)
    for index in DURING:
        alarms = shop.live(index, shut=True)
        assert bool(alarms) == (index <= when and index % 7 != 4), DAYS[index]
        if index == when:
            word(shop)
    after = shop.score(AFTER[0], 1000.0)
    assert (after.expected, after.spread) == pytest.approx((before.expected, before.spread), rel=0.2)
    alarms = {DAYS[index]: shop.live(index) for index in AFTER}
    assert not any(alarms.values()), "neither a day of trade nor a Saturday, and no drift of rows"
    assert {DAYS[index] for index in AFTER} <= set(shop.history.baseline("profile", TABLE, DAYS[200]).keys)
    assert not {DAYS[index] for index in DURING if index % 7 != 4} & set(
        shop.history.baseline("profile", TABLE, DAYS[200]).keys
    )


def test_it_stands_though_its_first_days_are_still_in_alarm(shop):
    for index in range(FIRST, FIRST + 5):
        shop.live(index, shut=True)
    shop.accept(FIRST + 3)  # after the Saturday, on which nothing alarmed
    assert shop.history.in_alarm(TABLE, DAYS[FIRST])
    assert not any(shop.live(index, shut=True) for index in range(FIRST + 5, LAST))


def test_of_a_retired_source_nothing_more_is_heard(shop):
    assert shop.live(FIRST, shut=True)
    shop.accept(FIRST)
    assert not any(shop.live(index, shut=True) for index in range(FIRST + 1, FIRST + 90))


def test_an_empty_day_after_it_is_a_fault_again(shop):
    for index in DURING:
        shop.live(index, shut=True)
    shop.accept(FIRST)
    for index in AFTER[:10]:
        shop.live(index)
    assert ("structure", "rows") in shop.live(AFTER[10], shut=True)


def test_undone_it_was_no_closure(shop):
    shop.live(FIRST, shut=True)
    shop.accept(FIRST)
    assert not shop.live(FIRST + 1, shut=True)
    shop.accept(FIRST, state="lifted")
    assert shop.live(FIRST + 3, shut=True)


def test_rows_that_come_late_open_the_window_again(shop):
    shop.live(FIRST, shut=True)
    shop.accept(FIRST)
    shop.history.add_evidence(shop.day(FIRST))
    assert DAYS[FIRST] in shop.history.baseline("profile", TABLE, DAYS[FIRST + 1]).keys
    assert shop.live(FIRST + 1, shut=True), "no closure stands"


def test_a_level_that_is_accepted_lifts_no_day_of_rest():
    old = {"1": {"rows": 100.0}, "2": {"rows": 0.0}, "3": {"rows": 100.0}}
    new = {"4": {"rows": 0.0}, "5": {"rows": 200.0}}
    moved = releveled(old | new, {"rows": "4"})
    assert [moved[window]["rows"] for window in "12345"] == pytest.approx([200.0, 0.0, 200.0, 0.0, 200.0])
    assert releveled(old, {"rows": "4"}) == {"1": {}, "2": {}, "3": {}}, "it is not known where it lies now"


def test_who_rests_on_a_weekday_from_now_on_is_excused_on_that_weekday_alone():
    thursdays, shut = range(2, 60, 7), {24, 25}  # 2013-01-03, of index 2, was a Thursday
    rests = [index for index in thursdays if index >= 30]
    rows = {DAYS[index]: 0.0 if index in rests or index in shut else 9.0 for index in range(60)}
    assert closures(rows, {DAYS[rests[0]]}, Slots(CALENDAR)) == {DAYS[index] for index in rests}
