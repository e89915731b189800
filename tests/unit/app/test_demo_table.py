"""Tables of plays: which worlds are played, and how plays are scored that break."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.app.demo import DECOY_DAYS, LIVE, Options, decoy_days
from headwater.app.demo_table import Play, _broken, _by_fault, _share, run_table
from headwater.core.errors import UsageError
from headwater.testing.faults import DECOYS
from headwater.testing.flights_world import CALENDAR

DAYS = [window.key for window in CALENDAR.between(*LIVE)][1:-1]


def test_every_harmless_world_has_its_changes_on_other_days():
    assert decoy_days(0, DAYS) == DECOY_DAYS
    worlds = [decoy_days(seed, DAYS) for seed in range(1, 30)]
    for world in worlds:
        assert sorted(world.values()) == sorted(DECOYS) and set(world) <= set(DAYS)
    assert len({tuple(world.items()) for world in worlds}) == len(worlds)
    assert decoy_days(7, DAYS) == decoy_days(7, DAYS)


@pytest.mark.parametrize("fault", ["weather_offset", "none"])
def test_a_play_that_breaks_is_a_row_that_is_wrong(fault):
    row = _broken(Play("somewhere", fault, "2013-07-17", "2013-07-29", 0), UsageError("no room"))
    assert "no room" in row["said"] and _share([row], "right") == 0.0
    if fault != "none":
        (line,) = _by_fault([row])
        assert (line["fault"], line["plays"], line["right"]) == (fault, 1, 0)


def test_there_are_no_more_start_days_than_there_are(tmp_path: Path):
    with pytest.raises(UsageError, match="3 start days, not 4"):
        run_table(Options(tmp_path / "x", "weather_offset", repeat=4), ["weather_offset"], lambda text, share: None)
    assert not (tmp_path / "x").exists()
