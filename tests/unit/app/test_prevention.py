"""The check that would have caught it: it fails on the bad windows, passes on the good ones, and stays quiet after."""

from datetime import UTC, datetime

import pytest
import yaml

from headwater.core.ports import Entry
from headwater.dataops.contracts import load_contracts
from headwater.testing.memory_tracking import MemoryTracking
from unit.app.conftest import remedied, signed
from unit.app.small_shop import FIRST, LEARNED, Shop
from unit.app.small_shop import written as written_anew


def written(shop, name):
    """The quality checks in a contract's file."""
    document = yaml.safe_load((shop.folder / f"contracts/{name}.yaml").read_text())
    return document["schema"][0].get("quality", [])


def profiles(shop, name, *numbers):
    found = shop.line.state.evidence[("profile", shop.line.ref(name))]
    return [found[shop.day(number)].values for number in numbers]


@pytest.fixture
def mended(in_cents, closed):
    """Amounts came in cents on days 3 and 4; repaired, verified on day 5, closed. Returns the shop and the check."""
    bad = profiles(in_cents, "raw_orders", 3, 4)
    return in_cents, closed(in_cents, 5)["prevention"], bad


def test_the_check_of_a_source_would_have_caught_the_bad_windows_and_no_good_one(mended):
    shop, check, bad = mended
    metric, (low, high) = check["implementation"]["metric"], check["mustBeBetween"]
    assert check["dataset"] == "dataset:shop/raw_orders"
    assert "amount" in metric
    assert len(bad) == check["caught"] == 2
    assert all(not low <= values[metric] <= high for values in bad)
    history = shop.line.state.evidence[("profile", "dataset:shop/raw_orders")]
    good = [item.values[metric] for key, item in history.items() if key < shop.day(3)]
    assert len(good) == check["history"]
    assert check["false_alarms"] == 0
    assert all(low <= value <= high for value in good)


def test_the_check_is_in_the_contract_and_the_rest_of_the_file_is_as_it_was(mended):
    shop, check, _ = mended
    (found,) = written(shop, "raw_orders")
    assert {name: check[name] for name in found} == found
    text = (shop.folder / "contracts/raw_orders.yaml").read_text()
    assert "# what order-desk promises" in text
    assert load_contracts(shop.folder / "contracts")["raw_orders"].version == "1.1.0"
    assert written(shop, "orders") == []


def test_the_check_is_executed_and_quiet_on_the_next_clean_windows(mended):
    shop = mended[0]
    for number in (6, 7):
        assert shop.run(number)["alarms"] == []
        values = shop.line.state.evidence[("contract", "dataset:shop/raw_orders")][shop.day(number)].values
        assert values["failed"] == []
        assert values["executed"] >= 2
    assert shop.line.state.accepted["raw_orders"]


def test_the_check_fires_when_the_fault_comes_back_another_way(mended):
    shop, check, _ = mended
    shop.feed(d6={"scale": 1.5})
    alarms = shop.run(6)["alarms"]
    assert (check["name"], "contract") in {(item["metric"], item["monitor"]) for item in alarms}
    assert shop.frame("raw_orders", 6) is not None  # it warns; it does not refuse the delivery


def test_changed_code_is_bounded_by_what_it_changes(recoded, closed):
    check = closed(recoded, 4)["prevention"]
    assert (check["dataset"], check["implementation"]["metric"]) == ("dataset:shop/orders", "change.share")
    assert written(recoded, "orders")[0]["name"] == check["name"]
    assert recoded.run(5)["alarms"] == []
    recoded.edit('euros=pl.col("amount") * 1.5)', 'euros=pl.col("amount") * 1.0)')
    assert recoded.run(6)["alarms"] == []  # a refactor
    recoded.edit('euros=pl.col("amount") * 1.0)', 'euros=pl.col("amount") + 3)')
    assert ("contract", check["name"]) in {(item["monitor"], item["metric"]) for item in recoded.run(7)["alarms"]}


def checked(shop, name, number):
    return shop.line.state.evidence[("contract", f"dataset:shop/{name}")][shop.day(number)].values


def test_the_checks_of_a_change_hold_for_every_window_of_a_range(recoded, closed):
    closed(recoded, 4)
    recoded.wait(days=4)
    assert recoded.workspace.run_range(recoded.day(5), recoded.day(7))["failed"] == []
    assert checked(recoded, "orders", 7)["failed"] == []
    recoded.edit('euros=pl.col("amount") * 1.5)', 'euros=pl.col("amount") + (pl.col("at").dt.day() == 24))')
    recoded.wait(days=3)
    assert recoded.workspace.run_range(recoded.day(8), recoded.day(10))["failed"] == []
    [failed] = checked(recoded, "orders", 10)["failed"]
    assert failed["name"] == "change_share" and f"in window {recoded.day(9)}" in failed["detail"]


def test_a_project_with_checks_of_metrics_loads_its_history(tmp_path):
    folder = written_anew(tmp_path / "new")
    for name, metric, bounds in (
        ("raw_orders", "rows", "[30, 90]"), ("orders", "change.share", "[0, 0.001]"), ("orders", "rows", "[66, 90]"),
        ("order_features", "null_share.size", "[0, 0]"),
    ):  # fmt: skip
        file = folder / f"contracts/{name}.yaml"
        head = "" if "quality" in file.read_text() else "    quality:\n"
        file.write_text(
            file.read_text() + f"{head}      - {{name: {metric.replace('.', '_')}, type: custom, engine: headwater, "
            f"severity: warning, implementation: {{metric: {metric}}}, mustBeBetween: {bounds}}}\n"
        )
    shop = Shop(folder, MemoryTracking(), datetime(2024, 3, 16, 6, tzinfo=UTC))
    assert shop.workspace.run_range(FIRST, LEARNED)["failed"] == []
    assert checked(shop, "raw_orders", 0)["failed"] == checked(shop, "order_features", 0)["failed"] == []
    [failed] = checked(shop, "orders", 0)["failed"]
    assert failed["detail"].startswith("rows is 6") and "more of 44 windows" in failed["detail"]


def test_code_that_cannot_be_compared_is_a_change_not_a_crash(recoded, closed):
    """The column that the accepted code reads is gone: it cannot run any more, and the check says so."""
    closed(recoded, 4)
    recoded.edit(
        "frames.append(frame.head(", 'frame = frame.rename({"amount": "worth"})\n        frames.append(frame.head('
    )
    recoded.edit('euros=pl.col("amount") * 1.5)', 'euros=pl.col("worth"))')
    (recoded.folder / "contracts/raw_orders.yaml").unlink()
    answer = recoded.run(5)
    assert answer["failed"] == []
    assert "change_share" in {item["metric"] for item in answer["alarms"]}


def test_an_unapproved_part_is_bounded_at_the_deployment(shop):
    shop.wait(minutes=1)
    shop.workspace.deploy(parts={"threshold": 0.05}, by="eve")
    shop.run(3)
    signed(remedied(shop, 4)).wait(minutes=1)
    check = shop.workspace.close("1", "ann")["prevention"]
    assert check["implementation"]["metric"] == "release.mismatch"
    assert check["mustBeLessThan"] == 1


def test_a_check_that_is_there_already_is_not_written_twice(recoded, closed):
    file = recoded.folder / "contracts/orders.yaml"
    own = {"name": "ours", "type": "custom", "engine": "headwater", "implementation": {"metric": "change.share"},
           "mustBeLessThan": 0.001}  # fmt: skip
    document = yaml.safe_load(file.read_text())
    document["schema"][0]["quality"] = [own]
    file.write_text(yaml.safe_dump(document))
    assert closed(recoded, 4)["state"] == "closed"
    assert written(recoded, "orders") == [own]


def test_a_fault_that_no_metric_shows_writes_no_check_that_could_not_catch_it(shop):
    """A feed that did not come left nothing to measure: no bound on its rows would have told."""
    shop.feed(d3={"missing": True})
    shop.run(3)
    assert shop.only()["verdict"]["subject"] == "dataset:shop/raw_orders"
    signed(remedied(shop, 4)).wait(minutes=1)
    done = shop.workspace.close("1", "ann")
    assert (done["state"], done["prevention"]) == ("closed", None)
    assert written(shop, "raw_orders") == []


def test_the_second_time_the_first_bad_windows_are_not_taken_for_good_ones(mended):
    shop, first, _ = mended
    written_anew(shop.folder)  # without the check of the first time
    lifted = {"asset": "raw_orders", "repair": {}}
    body = {"action": "repair", "state": "lifted", "parameters": lifted, "incident": ""}
    shop.line.record([Entry("remedy", "incident:shop/1", body, shop.clock.now())])
    shop.feed(d6={"scale": 100}, d7={"scale": 100})
    shop.run(6)
    shop.run(7)
    name = shop.only()["incident"]
    shop.wait(minutes=1)
    shop.workspace.remedy(name, apply=True, by="ann")
    shop.run(8)
    shop.workspace.sign(name, "data", "ann", prevention_owner="ann")
    shop.workspace.sign(name, "ml", "bob")
    second = shop.workspace.close(name, "ann")["prevention"]
    assert second["implementation"]["metric"] == first["implementation"]["metric"]
    assert second["mustBeBetween"][1] < 40
    assert second["false_alarms"] == 0
