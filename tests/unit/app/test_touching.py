"""What a remedy's dry run says it touches is what carrying it out writes: no more, no less."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from headwater.app.remedying import carry_out
from headwater.app.touching import touched
from headwater.core.records import Remedy
from unit.app.small_shop import Shop

LOGS = ("refund_served", "refund_predictions")


def written(shop: Shop) -> Counter[tuple[str, str]]:
    """How often each window of each dataset was written, as the events say."""
    graph = shop.line.state.graph
    refs = [shop.line.ref(name) for name in shop.line.assets]
    runs = [(ref, run) for ref in refs if ref in graph for run in graph.runs(ref)]
    return Counter((ref, key) for ref, run in runs if run.state == "COMPLETE" for key in run.contents)


def standing(shop: Shop) -> dict[str, Any]:
    """Everything else that a remedy can change."""
    state = shop.line.state
    loaded = state.deployments.get("refund")
    return {
        "parts": dict(loaded.parts),
        "champion": state.aliases.champion("refund").version,
        "pins": {name: pin["good"] for name, pin in state.pins.items()},
        "repairs": {name: item["repair"] for name, item in state.repairs.items()},
        "held": sorted((item.dataset, item.first, item.last) for item in state.quarantine.ranges),
    }


def contents(shop: Shop) -> dict[tuple[str, str], str | None]:
    tables = shop.line.services.tables
    return {(name, key): tables.content(name, key) for name in shop.line.assets for key in tables.keys(name)}


def promised(before: dict[str, Any], touches: dict[str, Any]) -> dict[str, Any]:
    """What stands after the remedy if the dry run tells everything."""
    after = {**before, "parts": dict(before["parts"]), "pins": dict(before["pins"]), "repairs": dict(before["repairs"])}
    for item in touches["deployments"]:
        after["parts"] |= {name: change["to"] for name, change in item["parts"].items()}
        after["champion"] = item.get("champion", {}).get("to", after["champion"])
    after["pins"] |= {item["asset"].rsplit("/", 1)[-1]: item["to"] for item in touches["code"]}
    after["repairs"] |= {item["dataset"].rsplit("/", 1)[-1]: item["repair"] for item in touches["standing"]}
    held = {(item["dataset"], item["first"], item["last"]) for item in touches["held"]}
    lifted = {(item["dataset"], item["first"], item["last"]) for item in touches["lifted"]}
    assert lifted <= set(before["held"])
    after["held"] = sorted({*before["held"], *held} - lifted)
    return after


def unit(shop: Shop) -> Shop:
    shop.feed(d3={"scale": 100}, d4={"scale": 100})
    shop.run(3)
    shop.run(4)
    return shop


def code(shop: Shop) -> Shop:
    shop.edit('euros=pl.col("amount"))', 'euros=pl.col("amount") * 1.5)')
    shop.run(3)
    return shop


def partial(shop: Shop) -> Shop:
    shop.feed(d3={"keep": 0.3})
    shop.run(3)
    return shop


def part(shop: Shop) -> Shop:
    shop.wait(minutes=1)
    shop.workspace.deploy(parts={"threshold": 0.05}, by="eve")
    shop.run(3)
    return shop


def served(shop: Shop) -> Shop:
    shop.edit(
        "def score(parts, served):", "def score(parts, served):\n    served = served.with_columns(age=pl.lit(99))"
    )
    shop.run(3)
    return shop


def labels(shop: Shop) -> Shop:
    shop.edit('return raw_returns.select("order", "at", "returned")',
              'return raw_returns.select("order", "at", returned=1 - pl.col("returned"))')  # fmt: skip
    shop.run(3)
    return shop


@pytest.mark.parametrize(
    ("fault", "action"),
    [
        (unit, "repair"),
        (code, "rollback_code"),
        (labels, "rollback_code"),
        (served, "rollback_code"),
        (part, "rollback_model"),
        (partial, "hold"),
    ],
    ids=lambda item: item if isinstance(item, str) else item.__name__,
)
def test_what_is_touched_is_what_was_said(fault, action, shop):
    fault(shop)
    shop.wait(minutes=1)
    said = shop.workspace.remedy("1")
    assert said["remedy"]["action"] == action
    touches, before, windows, rows = said["touches"], standing(shop), written(shop), contents(shop)
    records = shop.workspace.audit()["records"]
    assert shop.workspace.remedy("1") == said and shop.workspace.audit()["records"] == records, "it writes nothing"

    done = shop.workspace.remedy("1", apply=True, by="ann")
    assert done["touches"] == touches
    again = {place for place, count in (written(shop) - windows).items() if count}
    assert again == {(item["dataset"], key) for item in touches["datasets"] for key in item["windows"]}
    assert standing(shop) == promised(before, touches)
    moved = {place for place, content in contents(shop).items() if rows.get(place) != content}
    assert {(shop.line.ref(name), key) for name, key in moved} <= again
    assert not {name for name, _ in moved} & set(LOGS)


def test_rows_are_those_that_are_there(in_cents):
    touches = in_cents.workspace.remedy("1")["touches"]
    (first,) = [item for item in touches["datasets"] if item["dataset"] == "dataset:shop/raw_orders"]
    assert first["windows"] == [in_cents.day(3), in_cents.day(4)]
    assert first["rows"] == in_cents.frame("raw_orders", 3).height + in_cents.frame("raw_orders", 4).height
    assert first["owner"] == "order-desk"


def test_logs_are_named_and_left(in_cents):
    logs = {item["dataset"]: item for item in in_cents.workspace.remedy("1")["touches"]["logs"]}
    assert set(logs) == {f"dataset:shop/{name}" for name in LOGS}
    found = logs["dataset:shop/refund_predictions"]
    assert found["windows"] == [in_cents.day(3), in_cents.day(4)]
    assert found["rows"] == sum(in_cents.frame("refund_predictions", number).height for number in (3, 4))


def test_versions_trained_on_what_changes_are_named(in_cents):
    assert in_cents.workspace.remedy("1")["touches"]["trained"] == []
    in_cents.wait(minutes=1)
    made = in_cents.workspace.train(seed=3)
    (found,) = in_cents.workspace.remedy("1")["touches"]["trained"]
    assert (found["model"], found["champion"]) == (f"model:shop/refund@{made['version']}", False)
    assert in_cents.day(3) in found["windows"] and found["of"] > len(found["windows"])


def test_a_rollback_to_an_earlier_champion_makes_it_champion_again(shop):
    old = dict(shop.line.state.deployments.get("refund").parts)
    shop.wait(minutes=1)
    shop.workspace.release(shop.workspace.train(seed=4)["version"], by="ann")
    part(shop)
    incident = shop.line.state.incidents.get("1")
    verdict = incident.verdict
    remedy = Remedy.of({**verdict.remedy.body(), "parameters": {**verdict.remedy.parameters, "parts": old}})
    told = touched(shop.line, remedy, "incident:shop/1")
    assert told["deployments"][0]["champion"] == {"from": "2", "to": "1"}
    before = standing(shop)
    shop.wait(minutes=1)
    carry_out(shop.line, replace(incident, verdict=replace(verdict, remedy=remedy)), "ann")
    assert standing(shop) == promised(before, told)
    assert shop.line.state.aliases.champion("refund").version == "1"
    assert shop.line.state.deployments.get("refund").mismatch == ()


def test_training_again_makes_the_version_that_was_said_and_releases_nothing(recoded):
    incident = recoded.line.state.incidents.get("1")
    remedy = Remedy(
        action="retrain", target="model:shop/refund", parameters={"model": "refund", "since": recoded.day(1)}
    )
    world = replace(incident, verdict=replace(incident.verdict, remedy=remedy))
    recoded.workspace.quarantine_add("raw_orders", recoded.day(-3), recoded.day(-3), "a trial")
    told, before, windows = touched(recoded.line, remedy, incident.id), standing(recoded), written(recoded)
    (said,) = told["trains"]
    assert (said["model"], said["last"]) == ("model:shop/refund", recoded.day(2))
    recoded.wait(minutes=1)
    done = carry_out(recoded.line, world, "ann")
    made = recoded.line.state.graph.runs(f"model:shop/refund@{done['version']}")[-1]
    learned = {key for item in made.inputs for key in item.contents}
    assert (min(learned), max(learned), len(learned)) == (said["first"], said["last"], said["windows"])
    assert recoded.day(-3) not in learned
    assert (standing(recoded), written(recoded)) == (before, windows)
