"""What every entry promises: pure sources, windows that add up, faults that change what they say and nothing else."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from headwater.core.errors import OutsideError, UsageError
from headwater.stats.frames.tables import compare
from headwater.testing.silent_failures.entry import LIVE_AFTER, QUIET_BEFORE, SHAPES, Draw, Entry, Fault
from headwater.testing.silent_failures.kinds import KINDS
from headwater.testing.silent_failures.pipelines import hotel, hotel_tables, landing, taxi, taxi_tables, wide
from unit.testing.silent_failures.pipelines.bench import Bench, below, fresh, played

SMALL = wide.wide(40)


@dataclass(frozen=True)
class Tried:
    """An entry, the short past it is tried on, and the onset."""

    entry: Entry
    first: str
    last: str
    onset: str
    kinds: int
    assets: tuple[int, int]


TRIED = {
    "hotel": Tried(hotel.ENTRY, "2016-06-20", "2016-10-08", "2016-10-11", 37, (12, 22)),
    "taxi": Tried(taxi.ENTRY, "2019-08-10", "2019-10-05", "2019-10-08", 37, (12, 18)),
    "wide40": Tried(SMALL, "2024-02-05", "2024-03-08", "2024-03-11", 25, (40, 40)),
}
WINDOWS = 2


def there(name: str) -> bool:
    folders = {"hotel": "hotel_bookings", "taxi": "nyc_taxi"}
    if name not in folders:
        return True
    place = os.environ.get(landing.VARIABLE)
    return bool(place) and os.path.isdir(os.path.join(place, folders[name]))


def tried(name: str) -> Tried:
    if not there(name):
        pytest.skip(f"{landing.VARIABLE} names no folder with the data of {name}")
    return TRIED[name]


@dataclass
class Stage:
    tried: Tried
    eve: Bench
    clean: Bench


_STAGES: dict[str, Stage] = {}


def stage(name: str) -> Stage:
    """The eve of the onset and the clean windows after it, made once."""
    if name not in _STAGES:
        what = tried(name)
        bench = Bench.of(what.entry, (what.first, what.last))
        calendar = bench.project.calendar
        for window in calendar.between(what.last, what.onset):
            if what.last < window.key < what.onset:
                bench.run(window.key)
        eve, clean = bench.fork(), bench.fork()
        for place in range(WINDOWS):
            clean.run(calendar.shift(calendar.window(what.onset), place).key)
        assert not bench.failed and not clean.failed
        _STAGES[name] = Stage(what, eve, clean)
    return _STAGES[name]


def bare(fault: Fault, entry: Entry) -> str:
    """The asset whose rows show a fault first."""
    if fault.asset.startswith("deployment:"):
        return f"{fault.asset.rpartition('/')[2]}_predictions"
    return fault.asset.rpartition("/")[2]


# --- what is declared -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("module", [hotel, taxi])
def test_without_the_data_it_says_what_is_missing(
    module: object, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.delenv(landing.VARIABLE, raising=False)
    with pytest.raises(OutsideError, match="nobody says where") as told:
        module.build()  # type: ignore[attr-defined]
    assert landing.VARIABLE in str(told.value)
    with pytest.raises(OutsideError, match="is not in"):
        module.build(str(tmp_path))  # type: ignore[attr-defined]


def test_a_lineage_has_as_many_assets_as_asked_for() -> None:
    for assets, models in ((12, 1), (17, 1), (18, 1), (40, 1), (100, 1), (300, 2), (500, 1), (500, 3)):
        project = wide.build(assets, models)
        assert len(project.ordered()) == assets
        assert len(project.models) == models
    with pytest.raises(UsageError):
        wide.build(11)


@pytest.mark.parametrize("name", TRIED)
def test_what_an_entry_declares_fits_together(name: str) -> None:
    what = tried(name)
    entry, project = what.entry, what.entry.build()
    assert what.assets[0] <= len(project.ordered()) <= what.assets[1]
    everything = (*entry.faults, *entry.worlds, *entry.decoys)
    names = [item.name for item in everything]
    assert len(set(names)) == len(names)
    assert len({fault.kind for fault in (*entry.faults, *entry.worlds)}) >= what.kinds
    assert len({decoy.kind for decoy in entry.decoys}) == 5
    known = {project.ref(asset) for asset in project.assets}
    known |= {project.ref(model, "deployment") for model in project.models}
    assert {item.asset for item in (*entry.faults, *entry.decoys)} <= known
    assert all(not world.asset and not world.side for world in entry.worlds)
    for fault in entry.faults:
        asset = project.assets.get(bare(fault, entry))
        assert asset is not None and fault.side == asset.side, fault.name
        assert fault.remedies and fault.describe
        assert set(fault.shapes or KINDS[fault.kind].shapes) <= set(SHAPES)


@pytest.mark.parametrize("entry", [hotel.ENTRY, taxi.ENTRY, wide.ENTRY, wide.WIDE_500], ids=lambda entry: entry.name)
def test_onsets_lie_where_they_must(entry: Entry) -> None:
    calendar = {"hotel": hotel_tables.CALENDAR, "taxi": taxi_tables.CALENDAR}.get(entry.name, wide.CALENDAR)
    live = [window.key for window in calendar.between(*entry.live)]
    assert entry.history[1] < live[0] and list(entry.onsets) == sorted(entry.onsets) and len(entry.onsets) >= 3
    for onset in entry.onsets:
        place = live.index(onset)
        assert place >= QUIET_BEFORE and len(live) - place >= LIVE_AFTER
    assert set(entry.storms) <= set(live)
    assert not set(entry.storms) & set(entry.onsets)


# --- sources and windows ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", TRIED)
def test_a_window_has_the_same_rows_however_it_is_asked_for(name: str) -> None:
    what = tried(name)
    project = what.entry.build()
    truth, calendar = fresh(what.entry), project.calendar
    first, second = (calendar.shift(calendar.window(what.onset), place) for place in (0, 1))
    both = calendar.span(first.key, second.key)
    sources = [asset for asset in project.assets.values() if asset.layer == "raw"]
    before = {asset.name: truth.rows(asset.name, first) for asset in sources}
    for module in (hotel_tables, taxi_tables):
        module.tables.cache_clear()
    wide.happened.cache_clear()
    again = fresh(what.entry)
    for asset in sources:
        one, other, range_ = (again.rows(asset.name, window) for window in (first, second, both))
        assert one is not None and other is not None and range_ is not None and one.height
        assert_frame_equal(one, before[asset.name])
        assert_frame_equal(range_, one if asset.snapshot else pl.concat([one, other]))
        assert one.select(asset.key).is_unique().all(), asset.name


@pytest.mark.parametrize("name", TRIED)
def test_days_give_what_their_range_gives(name: str) -> None:
    here = stage(name)
    calendar = here.eve.project.calendar
    whole = here.eve.fork()
    last = calendar.shift(calendar.window(here.tried.onset), WINDOWS - 1).key
    whole.loaded.clear()  # a range is history: nothing is scored in it
    whole.run(here.tried.onset, last)
    assert not whole.failed
    for asset in here.eve.project.assets.values():
        if asset.layer in ("served", "prediction") or asset.snapshot:
            continue
        for key in sorted(set(here.clean.tables.keys(asset.name)) - set(here.eve.tables.keys(asset.name))):
            alone, inside = (bench.tables.read(asset.name, [key]) for bench in (here.clean, whole))
            assert alone is not None and inside is not None and alone.schema == inside.schema
            assert not compare(inside, alone, asset.key).share, (asset.name, key)


# --- faults, decoys, worlds -------------------------------------------------------------------------------------------
FAULTS = [(name, fault.name) for name, what in TRIED.items() for fault in what.entry.faults]
DECOYS = [(name, decoy.name) for name, what in TRIED.items() for decoy in what.entry.decoys]
WORLDS = [(name, world.name) for name, what in TRIED.items() for world in what.entry.worlds]
LOUD = {"rename_or_type", "late_partition"}
"""Kinds that may stop what reads them; all others must let every window through."""


@pytest.mark.parametrize(("name", "fault"), FAULTS)
def test_a_fault_changes_what_it_says_and_nothing_else(name: str, fault: str) -> None:
    here = stage(name)
    what = next(item for item in here.tried.entry.faults if item.name == fault)
    effect = played(here.clean, here.eve, what, here.tried.onset, WINDOWS)
    asset = bare(what, here.tried.entry)
    assert asset in effect.changed
    assert set(effect.changed) <= below(here.eve.project, {asset})
    assert not effect.failed or what.kind in LOUD, effect.failed


@pytest.mark.parametrize(("name", "decoy"), DECOYS)
def test_a_decoy_changes_no_prediction_beyond_what_was_approved(name: str, decoy: str) -> None:
    here = stage(name)
    what = next(item for item in here.tried.entry.decoys if item.name == decoy)
    before = {asset: here.eve.project.functions[asset] for asset in here.eve.project.functions}
    effect = played(here.clean, here.eve, what, here.tried.onset, WINDOWS)
    assert not effect.failed
    if what.kind == "reseed":
        model = next(iter(here.eve.project.models.values()))
        assert set(effect.changed) == {model.predictions}
    else:
        assert effect.displaced < 0.003, "a tree may send a row the other way for its last digit, no more"
        assert not any(here.eve.project.assets[asset].layer == "label" for asset in effect.changed)
    assert before == here.eve.project.functions, "a fork leaves the eve as it was"


@pytest.mark.parametrize(("name", "world"), WORLDS)
def test_the_world_turns_through_feeds_alone(name: str, world: str) -> None:
    here = stage(name)
    what = next(item for item in here.tried.entry.worlds if item.name == world)
    effect = played(here.clean, here.eve, what, here.tried.onset, WINDOWS)
    sources = {asset.name for asset in here.eve.project.assets.values() if asset.layer == "raw"}
    moved = sources & set(effect.changed)
    assert moved and set(effect.changed) <= below(here.eve.project, moved) and not effect.failed
    (outcomes,) = {asset.name for asset in here.eve.project.assets.values() if asset.layer == "raw" and asset.lag}
    if what.kind == "concept":
        assert moved == {outcomes}
    else:
        assert effect.displaced > 0.02


@pytest.mark.parametrize("name", TRIED)
def test_a_changed_population_keeps_its_ids_and_whole_cases(name: str) -> None:
    here = stage(name)
    entry, onset = here.tried.entry, here.tried.onset
    world = next(item for item in entry.worlds if item.kind == "covariate")
    bench = here.eve.fork()
    world.plant(bench, Draw(3, 1.0, "abrupt", onset, bench.project.calendar))
    window = bench.project.calendar.window(onset)
    sources = [
        asset for asset in bench.project.assets.values() if asset.layer == "raw" and asset.name in bench.world.hooks
    ]
    kept: dict[str, pl.DataFrame] = {}
    for asset in sources:
        true, sent = bench.rows(asset.name, window), bench.world.send(asset.name, window)
        assert true is not None and true.schema == sent.schema
        assert true.select(asset.key).equals(sent.select(asset.key))
        kept[asset.name] = true.select((pl.concat_str(pl.all().cast(pl.String), ignore_nulls=True)).alias("row"))
        kept[asset.name] = kept[asset.name].with_columns(
            same=kept[asset.name]["row"]
            == sent.select(pl.concat_str(pl.all().cast(pl.String), ignore_nulls=True)).to_series()
        )
    first = next(iter(kept.values()))
    assert 0.05 < first["same"].mean() < 0.95  # type: ignore[operator]


@pytest.mark.parametrize("name", TRIED)
def test_before_its_onset_a_feed_sends_the_truth(name: str) -> None:
    here = stage(name)
    calendar = here.eve.project.calendar
    for change in (*here.tried.entry.faults, *here.tried.entry.worlds):
        bench = here.eve.fork()
        if change.asset.startswith("deployment:"):
            continue
        change.plant(bench, Draw(1, 1.0, "abrupt", here.tried.onset, calendar))
        for source in bench.world.hooks:
            eve = calendar.shift(calendar.window(here.tried.onset), -1 - bench.lag(source))
            true = bench.rows(source, eve)
            assert true is not None
            assert_frame_equal(bench.world.send(source, eve), true)


def test_entries_import_without_their_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(landing.VARIABLE, raising=False)
    for module in (hotel, taxi):
        assert importlib.import_module(module.__name__).ENTRY.faults
