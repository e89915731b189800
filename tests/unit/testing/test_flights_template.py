from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from headwater.dataops.contracts import broken, execute, load_contracts
from headwater.testing.flights_world import FIRST, LAST, World
from unit.testing.conftest import TEMPLATE, copy_template
from unit.testing.tiny_line import TinyLine, load

Resume = Callable[[str], tuple[TinyLine, World]]
CONTRACTS = load_contracts(TEMPLATE / "contracts")
WEATHER = ("temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib")


def breaches(name: str, frame: pl.DataFrame) -> list[str]:
    """What one window's rows break of the contract that the template ships for them."""
    return [result.detail for result in broken(execute(CONTRACTS[name], frame))]


def test_a_reader_gets_through_it_at_a_sitting() -> None:
    files = [path for path in TEMPLATE.rglob("*") if path.suffix in (".py", ".yaml")]
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files) < 350


def test_every_asset_has_a_contract_with_owner_and_side(year: TinyLine) -> None:
    assert {name: asset.side for name, asset in year.project.assets.items()} == {
        name: contract.side for name, contract in CONTRACTS.items()
    }
    assert all(contract.owner for contract in CONTRACTS.values())


def test_contracts_hold_on_the_whole_year(year: TinyLine) -> None:
    for name, table in year.tables.items():
        broken_windows = {key: found for key, frame in table.items() if (found := breaches(name, frame))}
        assert not broken_windows, name


@pytest.mark.parametrize(("first", "last"), [("2013-07-01", "2013-07-07"), ("2013-11-01", "2013-11-05")])
def test_days_give_what_their_range_gives(year: TinyLine, resume: Resume, first: str, last: str) -> None:
    """Also across the end of daylight saving time."""
    line, world = resume(first)
    for window in year.project.calendar.between(first, last):
        world.deliver(window.key)
        line.run(window.key)
    for name, asset in year.project.assets.items():
        if asset.layer in ("served", "prediction") or asset.snapshot:
            continue
        keys = [key for key in line.tables[name] if key >= first]
        assert len(keys) >= 4, name
        for key in keys:
            assert_frame_equal(line.tables[name][key], year.tables[name][key], check_exact=True)


def test_no_join_loses_or_doubles_a_flight(year: TinyLine) -> None:
    flights = year.frame("schedule", FIRST, LAST)["flight_id"].sort()
    for name in ("flight_weather", "flight_fleet", "departures", "delay_features"):
        assert year.frame(name, FIRST, LAST)["flight_id"].sort().equals(flights), name


def test_history_holds_nothing_of_its_own_day(year: TinyLine) -> None:
    """Checked against a plain loop over the outcomes of the seven days before."""
    calendar = year.project.calendar
    for day in ("2013-03-11", "2013-07-09", "2013-11-04"):
        window = calendar.window(day)
        week = year.frame("outcomes", calendar.shift(window, -7).key, calendar.shift(window, -1).key)
        week = week.drop_nulls("delay_minutes")
        rates = {
            str(key[0]): (part["delay_minutes"] > 15).sum() / part.height
            for key, part in week.partition_by("carrier", as_dict=True).items()
        }
        for carrier, rate in year.frame("delay_features", day).select("carrier", "carrier_late_rate").unique().rows():
            assert rate == rates.get(carrier), (day, carrier)


def test_unreported_flights_have_no_label(year: TinyLine, resume: Resume) -> None:
    line, world = resume("2013-07-03")
    world.transform["raw_arrivals"] = lambda frame, key: frame.head(400)
    world.deliver("2013-07-03")
    line.run("2013-07-03")
    outcomes, labels = line.frame("outcomes", "2013-07-02"), line.frame("delay_labels", "2013-07-02")
    assert outcomes["delay_minutes"].null_count() == outcomes.height - labels.height > 400


def test_a_feed_that_has_not_landed_is_named(tmp_path: Any) -> None:
    folder = copy_template(tmp_path)
    World(folder).deliver("2013-07-01")
    project = load(folder / "pipeline.py")
    with pytest.raises(FileNotFoundError, match=r"1 of 2 files for 2013-07-01..2013-07-02 have landed.*raw_weather"):
        project.functions["raw_weather"](project.calendar.span("2013-07-01", "2013-07-02"))
    with pytest.raises(FileNotFoundError, match="raw_planes"):
        project.functions["raw_planes"](project.calendar.window("2013-06-01"))


def test_the_model_is_worth_having_and_needs_the_weather(year: TinyLine, parts: dict[str, Any]) -> None:
    from sklearn.metrics import roc_auc_score

    model = year.project.models["delay"]
    rows = year.training("delay", "2013-07-01", "2013-12-29")
    blind = rows.with_columns(pl.lit(None, dtype=pl.Float64).alias(name) for name in WEATHER)
    late = rows["late"].to_numpy()
    assert roc_auc_score(late, model.score(parts, rows)["p"]) > 0.715
    assert roc_auc_score(late, model.score(parts, blind)["p"]) < 0.68


def test_training_again_gives_the_same_model(year: TinyLine, parts: dict[str, Any]) -> None:
    model = year.project.models["delay"]
    rows = year.training("delay", "2013-05-20", "2013-06-29")
    served = year.frame("delay_features", "2013-07-01")
    first, again, other = (model.score(model.train(rows, seed), served)["p"] for seed in (1, 1, 2))
    assert first.equals(again) and not first.equals(other)


def test_the_metric_counts_only_what_was_missed(year: TinyLine) -> None:
    rows = pl.DataFrame(
        {"late": [1, 1, 0, 1], "decision": [0, 1, 0, 0], "seats": [100, 100, 100, None],
         "delay_minutes": [30, 30, 5, None]}
    )  # fmt: skip
    cost = year.project.models["delay"].cost
    assert cost is not None and cost(rows).to_list() == [3000, 0, 0, 9000]


def test_ten_days_are_enough_to_train_on(year: TinyLine) -> None:
    model = year.project.models["delay"]
    made = model.train(year.training("delay", "2013-06-20", "2013-06-29"), 1)
    assert set(made) == {"scaler", "model", "calibrator", "threshold"} and 0 < made["threshold"] < 1
    assert model.score(made, year.frame("delay_features", "2013-07-01"))["p"].is_between(0, 1).all()
