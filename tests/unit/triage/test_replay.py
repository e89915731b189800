"""Recomputing with something repaired equals having run it so in the first place."""

import sys

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.core.assets import Asset, Mechanism, Read
from headwater.core.errors import DataError, ModelError, StorageError
from headwater.triage.replay import Plan, window_keys
from unit.triage.pipelines import DAYS, Pipeline, day, made, source


def three(frames, window, parts):
    """A source: three rows whose numbers follow from the day."""
    return pl.DataFrame({"id": [0, 1, 2], "x": [window.start.day * 7 % 11 + n for n in range(3)]})


def weighted(weight):
    """A dataset: all rows read, summed by id, in integers so that order cannot matter."""

    def compute(frames, window, parts):
        stacked = pl.concat([frame.select("id", pl.col("x") * (3 + n)) for n, frame in enumerate(frames.values())])
        totals = stacked.group_by("id", maintain_order=True).agg(pl.col("x").sum() * weight % 10_007).sort("id")
        return totals

    return compute


def chain(**options):
    """raw -> middle -> last, where `last` looks two windows back."""
    assets = (source("raw"), made("middle", "raw"), made("last", Read("middle", 2)))
    code = {"raw": three, "middle": weighted(2), "bad": weighted(5), "last": weighted(1)}
    return Pipeline(assets, code)


def broken_chain(days=6, since=4):
    """The chain with `middle` broken from a day on."""
    line = chain()
    for number in range(days):
        if number == since:
            line.current["middle"] = Mechanism("bad")
        line.run(day(number))
    return line


REPAIRED = Plan(mechanisms={"middle": Mechanism("middle")})


# --- the law ----------------------------------------------------------------------------------------------------------
@st.composite
def pipelines(draw):
    """4 to 7 assets: sources, a snapshot, late ones, lookbacks; and one asset whose code changes on some day."""
    count = draw(st.integers(4, 7))
    assets: list[Asset] = [source("a0", lag=draw(st.integers(0, 1)))]
    if draw(st.booleans()):
        assets.append(source("a1", snapshot=True, lag=draw(st.integers(0, 1))))
    while len(assets) < count:
        parents = draw(st.lists(st.sampled_from(assets), min_size=1, max_size=2, unique_by=lambda asset: asset.name))
        lag = draw(st.integers(0, 2))
        least = [0 if parent.snapshot else max(0, parent.lag - lag) for parent in parents]
        reads = [Read(parent.name, draw(st.integers(low, low + 2))) for parent, low in zip(parents, least, strict=True)]
        snapshot = len(assets) < count - 1 and draw(st.integers(0, 4)) == 0
        assets.append(made(f"a{len(assets)}", *reads, lag=lag, snapshot=snapshot))
    changed = draw(st.sampled_from([asset.name for asset in assets if asset.recomputable]))
    return assets, changed, draw(st.integers(0, 5)), draw(st.sets(st.integers(0, 5), max_size=2))


def built(assets, changed, since, closed, bad):
    """Deliver six days; sources of closed days fail, and the changed asset's code is bad from a day on."""
    shut = {day(number) for number in closed}

    def opened(frames, window, parts):
        if window.key in shut:
            raise ValueError("closed")
        return three(frames, window, parts)

    code = {asset.name: weighted(2 + n) if asset.recomputable else opened for n, asset in enumerate(assets)}
    line = Pipeline(assets, code | {"bad": weighted(99)})
    for number in range(6):
        if number == since and bad:
            line.current[changed] = Mechanism("bad")
        line.run(day(number))
    return line


@settings(max_examples=25, deadline=None)
@given(pipelines())
def test_a_replay_with_the_good_function_equals_delivering_everything_with_it(drawn):
    assets, changed, since, closed = drawn
    observed = built(assets, changed, since, closed, bad=True)
    good = built(assets, changed, since, closed, bad=False)
    replay, plan = observed.replay(), Plan(mechanisms={changed: Mechanism(changed)})
    for name in observed.assets:
        assert observed.tables.keys(name) == good.tables.keys(name)
        for key in observed.tables.keys(name):
            assert replay.value(name, key, plan).equals(good.tables.read(name, [key])), (name, key)


@settings(max_examples=15, deadline=None)
@given(pipelines())
def test_rerunning_what_made_a_window_gives_the_window(drawn):
    assets, changed, since, closed = drawn
    line = built(assets, changed, since, closed, bad=True)
    replay = line.replay()
    for name, key in line.made:
        if line.assets[name].recomputable:
            assert replay.rerun(name, key, line.made[(name, key)]).equals(replay.observed(name, key)), (name, key)


@settings(max_examples=12, deadline=None)
@given(pipelines())
def test_breaking_the_good_pipeline_equals_delivering_the_broken_one(drawn):
    assets, changed, _, closed = drawn
    good, bad = (built(assets, changed, 0, closed, bad=state) for state in (False, True))
    replay, plan = good.replay(), Plan(mechanisms={changed: Mechanism("bad")})
    last = assets[-1].name
    for key in good.tables.keys(last):
        assert replay.value(last, key, plan).equals(bad.tables.read(last, [key]))


# --- what a plan does -------------------------------------------------------------------------------------------------
def test_the_plan_changes_what_it_reaches_and_nothing_else():
    line = broken_chain()
    replay = line.replay()
    assert not replay.value("middle", day(4), REPAIRED).equals(replay.observed("middle", day(4)))
    assert replay.value("middle", day(3), REPAIRED) is replay.observed("middle", day(3))
    assert replay.value("last", day(3), REPAIRED) is replay.observed("last", day(3))
    assert replay.value("raw", day(4), REPAIRED) is replay.observed("raw", day(4))
    assert {(asset, key) for asset, key, _ in line.computed} == {("middle", day(4))}


def test_an_empty_plan_runs_nothing():
    line = broken_chain()
    replay = line.replay()
    for name in line.assets:
        assert replay.value(name, day(5), Plan()) is replay.observed(name, day(5))
    assert line.computed == []


def test_a_frame_of_the_plan_stands_in_for_a_stored_one_and_flows_down():
    line = broken_chain()
    replay = line.replay()
    stand_in = three({}, DAYS.window(day(4)), {}).with_columns(x=pl.lit(100))
    plan = Plan(frames={("raw", day(4)): stand_in})
    assert replay.value("raw", day(4), plan) is stand_in
    assert replay.value("middle", day(4), plan)["x"].to_list() == [1500, 1500, 1500]  # by the code that made it: bad
    assert not replay.value("last", day(5), plan).equals(replay.observed("last", day(5)))
    assert replay.value("last", day(3), plan) is replay.observed("last", day(3))
    both = Plan(mechanisms=REPAIRED.mechanisms, frames=plan.frames)
    assert replay.value("middle", day(4), both)["x"].to_list() == [600, 600, 600]


def test_a_frame_of_the_plan_wins_over_a_mechanism_for_the_same_asset():
    line = broken_chain()
    stand_in = pl.DataFrame({"id": [0], "x": [1]})
    plan = Plan(mechanisms=REPAIRED.mechanisms, frames={("middle", day(4)): stand_in})
    replay = line.replay()
    assert replay.value("middle", day(4), plan) is stand_in
    assert replay.value("middle", day(5), plan)["x"].to_list() == line.code["middle"](
        {"raw": replay.observed("raw", day(5))}, DAYS.window(day(5)), {}
    )["x"].to_list()  # fmt: skip


def test_a_stand_in_for_a_window_that_was_never_delivered_is_read():
    line = broken_chain()
    plan = Plan(frames={("raw", day(9)): three({}, DAYS.window(day(9)), {})})
    assert line.replay().value("raw", day(9), plan) is plan.frames[("raw", day(9))]
    assert line.replay().value("middle", day(9), plan) is None  # nobody made it: there is nothing to replay


def test_a_frozen_asset_stays_as_it_is_and_shields_what_is_below():
    line = broken_chain()
    replay = line.replay()
    frozen = Plan(mechanisms=REPAIRED.mechanisms, frozen=frozenset({"middle"}))
    assert replay.value("middle", day(5), frozen) is replay.observed("middle", day(5))
    assert replay.value("last", day(5), frozen) is replay.observed("last", day(5))
    lower = Plan(mechanisms=REPAIRED.mechanisms, frozen=frozenset({"last"}))
    assert replay.value("last", day(5), lower) is replay.observed("last", day(5))
    assert not replay.value("middle", day(5), lower).equals(replay.observed("middle", day(5)))


def test_a_source_is_never_computed_not_even_by_a_plan():
    line = broken_chain()
    replay = line.replay()
    assert replay.value("raw", day(4), Plan(mechanisms={"raw": Mechanism("bad")})) is replay.observed("raw", day(4))
    assert line.computed == []


def test_a_window_of_unknown_making_is_taken_as_it_is():
    line = broken_chain()
    del line.made[("middle", day(4))]
    replay = line.replay()
    assert replay.value("middle", day(4), REPAIRED) is replay.observed("middle", day(4))
    assert replay.made("middle", day(4)) is None


def test_parts_make_another_mechanism_even_with_the_same_code():
    def scored(frames, window, parts):
        return frames["raw"].with_columns(x=pl.col("x") * parts["factor"])

    line = Pipeline((source("raw"), made("scores", "raw")), {"raw": three, "score": scored})
    line.parts = {"p1": 1, "p2": 2}
    line.current["scores"] = Mechanism("score", {"factor": "p2"})
    line.run(day(0))
    replay = line.replay()
    repaired = replay.value("scores", day(0), Plan(mechanisms={"scores": Mechanism("score", {"factor": "p1"})}))
    assert (repaired["x"] * 2).to_list() == replay.observed("scores", day(0))["x"].to_list()
    assert replay.rerun("scores", day(0), line.current["scores"]).equals(replay.observed("scores", day(0)))


# --- which windows are read -------------------------------------------------------------------------------------------
def test_a_snapshot_is_read_as_it_stood_at_the_window():
    line = Pipeline(
        (source("raw"), source("fleet", snapshot=True), made("joined", "raw", "fleet")),
        {"raw": three, "fleet": three, "joined": weighted(1)},
    )
    for number in range(4):
        line.run(day(number))
    replay = line.replay()
    assert replay.keys_read(line.assets["joined"], "fleet", day(2)) == [day(2)]
    assert replay.keys_read(line.assets["joined"], "fleet", day(9)) == [day(3)]
    assert replay.keys_read(line.assets["joined"], "fleet", day(-1)) == []
    plan = Plan(frames={("fleet", day(1)): three({}, DAYS.window(day(1)), {}).with_columns(x=0 * pl.col("x"))})
    assert replay.value("joined", day(0), plan) is replay.observed("joined", day(0))
    assert not replay.value("joined", day(1), plan).equals(replay.observed("joined", day(1)))
    assert replay.value("joined", day(2), plan) is replay.observed("joined", day(2))


def test_a_late_snapshot_is_read_as_it_was_known_at_the_run():
    assets = (source("raw"), source("fleet", snapshot=True, lag=1), made("joined", "raw", "fleet"))
    line = Pipeline(assets, {"raw": three, "fleet": three, "joined": weighted(1)})
    for number in range(1, 4):
        line.run(day(number))
    replay = line.replay()
    read = [replay.keys_read(line.assets["joined"], "fleet", day(number)) for number in range(4)]
    assert read == [[day(0)], [day(0)], [day(1)], [day(2)]]  # of day 0 itself nothing earlier is there


@pytest.mark.parametrize(
    ("lag", "lookback", "late", "keys"),
    [
        (0, 0, 0, [5]),
        (0, 2, 0, [3, 4, 5]),
        (0, 2, 1, [3, 4]),
        (1, 2, 1, [3, 4, 5]),
        (3, 2, 1, [3, 4, 5]),
        (0, 1, 2, []),
    ],
)
def test_window_keys(lag, lookback, late, keys):
    child, parent = made("child", Read("parent", lookback), lag=lag), made("parent", lag=late)
    assert window_keys(DAYS, child, lookback, parent, day(5), day(5)) == [day(number) for number in keys]
    if keys:
        assert window_keys(DAYS, child, lookback, parent, day(5), day(7))[-1] == day(keys[-1] + 2)


def test_ancestors_and_descendants():
    assets = (source("a"), source("b"), made("c", "a"), made("d", "b", "c"), made("e", "d"), made("f", "a"))
    replay = Pipeline(assets, {}).replay()
    assert replay.descendants("a") == {"c", "d", "e", "f"}
    assert replay.ancestors("e") == {"a", "b", "c", "d"}
    assert replay.descendants("e") == replay.ancestors("a") == set()


# --- sharing, failing -------------------------------------------------------------------------------------------------
def test_a_shared_cache_computes_nothing_twice():
    line = broken_chain()
    replay, cache = line.replay(), {}
    first = replay.value("last", day(5), REPAIRED, cache)
    assert replay.value("last", day(5), REPAIRED, cache) is first
    assert sorted(line.computed) == sorted(
        [("middle", day(4), "middle"), ("middle", day(5), "middle"), ("last", day(5), "last")]
    )


def test_two_plans_do_not_see_each_others_values():
    replay = broken_chain().replay()
    repaired = replay.value("last", day(5), REPAIRED)
    assert replay.value("last", day(5), Plan()) is replay.observed("last", day(5))
    assert not repaired.equals(replay.observed("last", day(5)))
    assert replay.value("last", day(5), REPAIRED).equals(repaired)


def test_stored_tables_are_read_once_and_absent_ones_are_none():
    line = broken_chain()
    replay = line.replay()
    assert replay.observed("raw", day(1)) is replay.observed("raw", day(1))
    assert replay.observed("raw", day(9)) is None
    assert replay.value("middle", day(9), REPAIRED) is None


def panic():
    """What an extension in Rust raises when it breaks is no `Exception`."""
    raise type("Panic", (BaseException,), {})("index out of bounds")


@pytest.mark.parametrize(
    ("function", "error", "said"),
    [
        (lambda *_: 1 / 0, DataError, "the replay of `middle` failed: division by zero"),
        (lambda *_: None, DataError, "the replay of `middle` gave a NoneType, not a frame"),
        (lambda frames, *_: frames["raw"].select("gone"), DataError, "the replay of `middle` failed"),
        (lambda *_: panic(), DataError, "the replay of `middle` failed: index out of bounds"),
        (lambda *_: sys.exit(3), DataError, "the replay of `middle` failed: 3"),
    ],
)
def test_a_replay_that_fails_says_where(function, error, said):
    line = broken_chain()
    line.code["good"] = function
    replay = line.replay()
    for ask in (
        lambda: replay.rerun("middle", day(4), Mechanism("good")),
        lambda: replay.value("last", day(4), Plan(mechanisms={"middle": Mechanism("good")})),
    ):
        with pytest.raises(error, match=said):
            ask()


def test_an_error_of_our_own_is_a_failed_replay_too():
    """Scoring refuses with a model error; whoever replays is ready for data errors alone."""

    def refuse(frames, window, parts):
        raise ModelError("p is outside 0..1")

    line = broken_chain()
    line.code["good"] = refuse
    with pytest.raises(DataError, match=r"p is outside 0\.\.1"):
        line.replay().rerun("middle", day(4), Mechanism("good"))


@pytest.mark.parametrize("error", [StorageError("disk full"), MemoryError(), DataError("its own words")])
def test_trouble_outside_and_words_of_its_own_pass_through(error):
    def fail(frames, window, parts):
        raise error

    line = broken_chain()
    line.code["good"] = fail
    with pytest.raises(type(error)) as told:
        line.replay().rerun("middle", day(4), Mechanism("good"))
    assert told.value is error


def test_without_any_parent_rows_there_is_nothing_to_replay():
    line = broken_chain()
    with pytest.raises(DataError, match="`raw` has no rows to replay"):
        line.replay().rerun("middle", day(9), Mechanism("middle"))


def test_parents_whose_schema_drifted_are_stacked_as_delivery_stacks_them():
    def drifting(frames, window, parts):
        rows = three(frames, window, parts)
        if window.key < day(2):
            return rows
        return rows.select(pl.lit("new").alias("note"), "x", "id")

    def seen(frames, window, parts):
        frame = frames["raw"]
        return frame.select(pl.lit(",".join(frame.columns)).alias("columns"), "id")

    line = Pipeline((source("raw"), made("child", Read("raw", 2))), {"raw": drifting, "child": seen})
    for number in range(4):
        line.run(day(number))
    replay = line.replay()
    for number in range(4):
        assert replay.rerun("child", day(number), Mechanism("child")).equals(replay.observed("child", day(number)))


def test_parents_that_cannot_be_stacked_are_a_failed_replay():
    def odd(frames, window, parts):
        return pl.DataFrame({"id": [1], "x": [1] if window.key == day(0) else [[1]]})

    line = Pipeline((source("raw"), made("child", Read("raw", 1))), {"raw": odd, "child": weighted(1)})
    for number in range(2):
        line.run(day(number))
    with pytest.raises(DataError):
        line.replay().rerun("child", day(1), Mechanism("child"))
