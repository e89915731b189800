"""What wakes somebody of what a source's signatures say: what comes twice, and rows that came again under new keys."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from headwater.app.arrival import reference
from headwater.app.workspace import Workspace
from headwater.core.clock import SimulatedClock
from headwater.core.project import Project

TWICE, REKEYED, ONCE = ("2013-07-25", "2013-07-26"), "2013-08-02", "2013-08-08"
SUBJECT = "dataset:depot/raw_parcels"


@pytest.fixture(scope="module")
def depot(tmp_path_factory):
    """A month of parcels of four depots, of which one is gone for two days and another for one; a batch comes again."""
    project = Project("depot")

    @project.source(key=["id"], time="at")
    def raw_parcels(window):
        frames = []
        for number in range((window.end - window.start).days):
            start = window.start + timedelta(days=number)
            random, day = np.random.default_rng(start.toordinal()), start.date().isoformat()
            count = int(random.integers(190, 230))
            depots = random.choice(["north", "east", "south", "west"], count)
            at = [start + timedelta(seconds=int(one)) for one in np.sort(random.integers(0, 86_000, count))]
            frame = pl.DataFrame(
                {
                    "id": [f"{day}-{one}" for one in range(count)],
                    "at": at,
                    "depot": depots,
                    "weight": random.gamma(2.0, 3.0, count).round(2),
                }
            )
            gone = {"2013-07-25": "east", "2013-07-26": "east", "2013-08-08": "west"}.get(day)
            frame = frame.filter(pl.col("depot") != (gone or ""))
            if day == "2013-08-02":
                frame = pl.concat([frame, frame.head(60).with_columns(pl.col("id") + "-again")])
            frames.append(frame)
        return pl.concat(frames)

    @project.dataset(key=["id"])
    def parcels(raw_parcels):
        return raw_parcels.select("id", "depot", kilos=pl.col("weight"))

    clock = SimulatedClock(datetime(2013, 8, 20, tzinfo=UTC))
    workspace = Workspace.of(project, tmp_path_factory.mktemp("depot"), clock)
    workspace.run_range("2013-07-01", "2013-07-20")
    for window in project.calendar.between("2013-07-21", "2013-08-09"):
        workspace.run(window.key)
    return workspace


def alarms(workspace, window):
    told = workspace.line.state.findings.get(window, ())
    return {item.metric for item in told if (item.monitor, item.severity) == ("signature", "alarm")}


def test_a_loss_that_comes_once_wakes_nobody(depot):
    fired = depot.line.state.evidence[("signature", SUBJECT)][ONCE]
    assert fired.values["confidence"] >= 0.5 and not fired.values["invertible"]
    assert not alarms(depot, ONCE)


def test_a_loss_that_comes_in_the_next_window_too_is_an_alarm(depot):
    assert not alarms(depot, TWICE[0])
    assert alarms(depot, TWICE[1])
    (incident,) = [item for item in depot.line.state.incidents.all() if item.window == TWICE[1]]
    assert (incident.verdict.status, incident.verdict.subject) == ("named", SUBJECT)


def test_what_came_twice_is_not_what_is_normal_and_what_came_once_is(depot):
    line = depot.line

    def learned(before):
        return {window.key for window in reference(line, "raw_parcels", before).windows}

    assert ONCE not in learned("2013-08-09"), "it may stay"
    assert ONCE in learned("2013-08-11")
    assert not set(TWICE) & learned("2013-07-30")


def test_rows_that_came_again_under_new_keys_are_an_alarm_at_once(depot):
    assert alarms(depot, REKEYED) == {"duplicate_load"}


def test_what_is_in_order_wakes_nobody(depot):
    odd = {ONCE, *TWICE, REKEYED}
    assert not any(alarms(depot, window) for window in depot.line.state.runs if window not in odd)
