"""What feeds send when something is wrong with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from headwater.core.windows import Calendar, Window
from headwater.testing.silent_failures import planting as plant
from headwater.testing.silent_failures.entry import Draw

CALENDAR = Calendar("1d", "UTC")
ONSET = "2024-05-10"
ROWS = 200


def rows(key: str) -> pl.DataFrame:
    start = datetime.fromisoformat(key).replace(tzinfo=UTC)
    at = pl.Series([start + timedelta(minutes=n) for n in range(ROWS)], dtype=pl.Datetime("us", "UTC"))
    number = int(key[-2:])
    return pl.DataFrame({
        "id": [f"{key}-{n}" for n in range(ROWS)], "at": at, "code": [f"c{n % 5}" for n in range(ROWS)],
        "value": [float(number * 1000 + n) for n in range(ROWS)], "count": list(range(ROWS)),
    })  # fmt: skip


class Feeds:
    """Doors of which only the feed is used."""

    def __init__(self, lag: int = 0) -> None:
        self.hooks: list = []
        self._lag = lag

    def feed(self, source, hook) -> None:
        self.hooks.append(hook)

    def lag(self, asset: str) -> int:
        return self._lag

    def rows(self, source: str, window: Window) -> pl.DataFrame:
        return rows(window.key)

    def sent(self, key: str, empty: bool = False) -> pl.DataFrame | None:
        frame: pl.DataFrame | None = rows(key).clear() if empty else rows(key)
        for hook in self.hooks:
            frame = None if frame is None else hook(frame, CALENDAR.window(key))
        return frame


def planted(begin, severity: float = 1.0, shape="abrupt", lag: int = 0) -> Feeds:
    feeds = Feeds(lag)
    begin(feeds, Draw(11, severity, shape, ONSET, CALENDAR))
    return feeds


ALL = {
    "late_partition": plant.late_partition("s"),
    "partial": plant.partial("s", 0.5),
    "duplicated_load": plant.duplicated_load("s", 1.0, lambda frame: frame.with_columns(pl.col("id") + "b")),
    "frozen": plant.frozen("s", ["at"]),
    "out_of_order_backfill": plant.out_of_order_backfill("s"),
    "truncated_snapshot": plant.truncated_snapshot("s"),
    "unit": plant.unit("s", "value", lambda column: column * 2),
    "scale_currency": plant.scale_currency("s", "value"),
    "enum_recode": plant.enum_recode("s", "code", {"c1": "d1", "c2": "d2"}),
    "time_offset": plant.time_offset("s", "at", 5),
    "rename_or_type": plant.rename_or_type("s", "value", "worth"),
    "null_burst_or_sentinel": plant.null_burst_or_sentinel("s", ["value", "count"], share=0.7),
    "late_positives": plant.late_positives("s", pl.col("count") > 100),
    "covariate": plant.covariate("s", pl.col("code") == "c1", lambda frame: frame.with_columns(pl.col("id") + "b")),
    "other_season": plant.other_season({"s": ["at"]}, -7),
    "concept_global": plant.concept_global("s", {"value": lambda column: column + 1}),
}


MORE = {
    "late_partition_empty": plant.late_partition("s", empty=True),
    "partial_by": plant.partial("s", 0.5, by="code"),
    "backfill_in_place": plant.out_of_order_backfill("s", replace=True),
    "time_offset_also": plant.time_offset("s", "at", 5, lambda frame: frame.with_columns(pl.col("value") + 1)),
    "cast": plant.rename_or_type("s", "value"),
    "covariate_lost": plant.covariate("s", pl.col("code") == "c1"),
    "concept_slice": plant.concept_slice("s", {"value": lambda column: column + 1}, pl.col("code") == "c1"),
    "together": plant.together(plant.partial("s", 0.5), plant.unit("s", "value", lambda column: column * 2)),
    "reorder": plant.reorder("s", "dataset:a/s").plant,
    "added_column": plant.added_column("s", "dataset:a/s").plant,
}


@pytest.mark.parametrize("begin", ALL.values(), ids=list(ALL))
def test_the_truth_is_sent_before_the_onset_and_something_else_after_it(begin) -> None:
    feeds = planted(begin)
    before, after = feeds.sent("2024-05-09"), feeds.sent(ONSET)
    assert before is not None and before.equals(rows("2024-05-09"))
    assert after is None or not after.equals(rows(ONSET))


@pytest.mark.parametrize("severity", [1.0, 0.5])
@pytest.mark.parametrize("name", [*ALL, *MORE])
def test_a_window_without_rows_is_changed_without_an_error(name: str, severity: float) -> None:
    feeds = planted({**ALL, **MORE}[name], severity)
    sent = feeds.sent(ONSET, empty=True)
    if name in ("frozen", "out_of_order_backfill", "backfill_in_place", "other_season"):
        assert sent.height, "rows of another window come"
    elif name != "late_partition":
        assert sent.height == 0 and set(rows(ONSET).columns) - {"value"} <= set(sent.columns)


@pytest.mark.parametrize("begin", ALL.values(), ids=list(ALL))
def test_the_same_draw_sends_the_same(begin) -> None:
    one, other = planted(begin, 0.5).sent("2024-05-11"), planted(begin, 0.5).sent("2024-05-11")
    assert (one is None and other is None) or one.equals(other)


def test_a_late_feed_is_hit_where_its_windows_arrive() -> None:
    feeds = planted(plant.partial("s", 0.5), lag=2)
    assert feeds.sent("2024-05-07").height == ROWS
    assert feeds.sent("2024-05-08").height < ROWS


def test_severity_is_the_share_that_is_hit() -> None:
    lost = {severity: ROWS - planted(plant.partial("s", 0.5), severity).sent(ONSET).height for severity in (0.2, 1.0)}
    assert lost[0.2] < 0.2 * ROWS and 0.35 * ROWS < lost[1.0] < 0.65 * ROWS


def test_whole_values_are_hit_and_the_same_ones_every_window() -> None:
    feeds = planted(plant.partial("s", 0.5, by="code"), 0.6)
    kept = [set(feeds.sent(key)["code"]) for key in (ONSET, "2024-05-14")]
    assert kept[0] == kept[1] and 0 < len(kept[0]) < 5
    assert feeds.sent(ONSET).group_by("code").len()["len"].to_list() == [ROWS // 5] * len(kept[0])


def test_whole_numbers_stay_whole_in_another_unit() -> None:
    sent = planted(plant.unit("s", "count", lambda column: column * 1.609, digits=2)).sent(ONSET)
    assert sent.schema["count"] == pl.Int64 and sent["count"][10] == 16


def test_frozen_rows_carry_todays_stamps() -> None:
    sent = planted(plant.frozen("s", ["at"])).sent("2024-05-12")
    assert sent["value"].to_list() == rows("2024-05-09")["value"].to_list()
    assert sent["at"].to_list() == rows("2024-05-12")["at"].to_list()


def test_a_backfill_in_place_of_today_leaves_nothing_of_today() -> None:
    sent = planted(plant.out_of_order_backfill("s", 3, 1.0, replace=True)).sent(ONSET)
    assert sent.equals(rows("2024-05-07"))


def test_a_backfill_beside_today_brings_both() -> None:
    sent = planted(plant.out_of_order_backfill("s", 3, 1.0)).sent(ONSET)
    assert sent.height == 2 * ROWS


def test_nulls_and_sentinels() -> None:
    assert planted(plant.null_burst_or_sentinel("s", "value")).sent(ONSET)["value"].null_count() == ROWS
    assert set(planted(plant.null_burst_or_sentinel("s", "value", -1.0)).sent(ONSET)["value"]) == {-1.0}


def test_positives_do_not_come_and_all_others_do() -> None:
    sent = planted(plant.late_positives("s", pl.col("count") > 100)).sent(ONSET)
    assert sent["count"].to_list() == list(range(101))


def test_other_cases_come_in_the_same_number() -> None:
    new = plant.covariate("s", pl.col("code") == "c1", lambda frame: frame.with_columns(pl.col("id") + "b"))
    sent = planted(new).sent(ONSET)
    assert sent.height == ROWS and (sent["code"] == "c1").sum() > ROWS / 2


def test_a_slice_ends_differently_and_nothing_else() -> None:
    begin = plant.concept_slice("s", {"value": lambda column: column + 0.5}, pl.col("code") == "c1")
    sent, true = planted(begin).sent(ONSET), rows(ONSET)
    moved = sent["value"] != true["value"]
    assert moved.to_list() == (true["code"] == "c1").to_list()


def test_another_season_comes_under_todays_date() -> None:
    sent = planted(plant.other_season({"s": ["at"]}, -7), lag=1).sent(ONSET)
    assert sent["at"].to_list() == rows(ONSET)["at"].to_list()
    assert sent["value"].to_list() == rows("2024-05-03")["value"].to_list()


def test_days_are_moved_by_local_time_across_a_clock_change() -> None:
    zone = Calendar("1d", "America/New_York")
    there, here = zone.window("2024-03-09"), zone.window("2024-03-11")
    from headwater.testing.silent_failures.feeds import moved

    noon = pl.DataFrame({"at": [datetime(2024, 3, 9, 17, tzinfo=UTC)]}, {"at": pl.Datetime("us", "UTC")})
    made = moved(noon, there, here, Draw(1, 1.0, "abrupt", "2024-03-11", zone), ["at"])
    assert made["at"][0].hour == 16  # noon again, an hour earlier in UTC
