"""What an incident cost is priced again by the labels that came after its verdict, and the first estimate stays."""

import pytest

from headwater.app.repricing import price_again
from headwater.cli import main as door
from headwater.cli import screen
from headwater.core.errors import DataError
from headwater.core.records import Effect
from unit.app.conftest import remedied, signed


def evidence(shop):
    return list(shop.line.state.evidence[("cost", "incident:shop/1")].values())


def incident(shop):
    return shop.line.state.incidents.get("1")


def paid(rows):
    """What the shop's decisions cost, by its own rule: seven for a return nobody expected, two for a warning."""
    return (rows["returned"] * (1 - rows["decision"]) * 7 + rows["decision"] * 2).sum()


def turned_out(shop, healthy, *days):
    """What the decisions of some days cost more than a healthy shop's, all outcomes known."""
    total = 0
    for day in days:
        truth = healthy.frame("returns", day).select("order", "returned")
        made, good = (
            item.frame("refund_predictions", day).select("order", "decision").join(truth, on="order")
            for item in (shop, healthy)
        )
        total += paid(made) - paid(good)
    return total


def test_at_its_verification_an_incident_costs_what_came(in_cents, shop):
    first = incident(in_cents).verdict.effect
    assert first.low < first.value < first.high and 0 < first.known_outcomes < first.affected_predictions
    remedied(in_cents, 5)
    for number in (3, 4, 5):
        shop.run(number)
    cost = incident(in_cents).cost
    assert cost.value == pytest.approx(turned_out(in_cents, shop, 3, 4))
    assert cost.low == cost.high == cost.value
    assert cost.known_outcomes == cost.affected_predictions == first.affected_predictions
    assert cost.windows == first.windows
    assert first.low <= cost.value <= first.high


def test_the_first_estimate_stays_in_the_record_and_what_was_signed_stays_signed(in_cents):
    before = incident(in_cents).verdict
    remedied(in_cents, 5)
    after = in_cents.only()
    assert incident(in_cents).verdict == before
    assert after["verdict"]["effect"] == before.effect.body()
    assert in_cents.workspace.why("1")["evidence_hash"] == before.evidence_hash
    (made,) = evidence(in_cents)
    assert made.causes == (before.id,)
    assert after["cost"]["evidence"] == made.id and after["cost"]["window"] == in_cents.day(5)
    assert Effect.of(after["cost"]) == incident(in_cents).cost != before.effect


def test_another_process_finds_the_new_price(in_cents):
    remedied(in_cents, 5)
    again = in_cents.opened()
    assert again.incidents() == in_cents.workspace.incidents()


def test_it_is_computed_again_from_the_record(in_cents):
    remedied(in_cents, 5)
    (made,) = evidence(in_cents)
    in_cents.run(6)
    answer = in_cents.workspace.recompute(made.id)
    assert answer["same"], [item for item in answer["values"] if not item["same"]]
    assert {"value", "low", "high", "known_outcomes", "labels"} <= {item["value"] for item in answer["values"]}


def test_where_no_label_came_the_estimate_stands(in_cents):
    in_cents.edit('frame = drawn(day).select("order", "at", "returned")', 'raise FileNotFoundError("not yet")')
    first = incident(in_cents).verdict.effect
    remedied(in_cents, 5)
    assert incident(in_cents).state == "verifying"
    assert evidence(in_cents) == []
    assert incident(in_cents).cost == first


def test_labels_that_are_frozen_are_not_read(in_cents):
    in_cents.wait(minutes=1)
    in_cents.workspace.quarantine_add("returns", in_cents.day(4), in_cents.day(4), reason="in doubt")
    remedied(in_cents, 5)
    assert evidence(in_cents) == []
    in_cents.wait(minutes=1)
    in_cents.workspace.quarantine_lift("returns", in_cents.day(4), in_cents.day(4))
    signed(in_cents).wait(minutes=1)
    in_cents.workspace.close("1", "ann")
    (made,) = evidence(in_cents)
    assert made.values["known_outcomes"] == made.values["affected_predictions"]
    assert in_cents.workspace.recompute(made.id)["same"]


def test_at_closing_it_is_priced_again_only_if_labels_came_in_between(in_cents):
    remedied(in_cents, 5)
    (made,) = evidence(in_cents)
    in_cents.run(6)
    signed(in_cents).wait(minutes=1)
    in_cents.workspace.close("1", "ann")
    assert evidence(in_cents) == [made]


def test_a_new_verdict_voids_the_price_of_the_one_before(in_cents):
    remedied(in_cents, 5)
    assert incident(in_cents).cost != incident(in_cents).verdict.effect
    in_cents.wait(minutes=1)
    in_cents.workspace.sign("1", "ml", "bob", disagree="look again")
    in_cents.run(6)
    assert incident(in_cents).cost == incident(in_cents).verdict.effect


def test_what_cannot_be_priced_again_does_not_stand_in_the_way(in_cents, monkeypatch):
    def gone(*args):
        raise DataError("an old version of the table is gone")

    monkeypatch.setattr("headwater.app.repricing.as_judged", gone)
    remedied(in_cents, 5)
    assert (in_cents.only()["state"], evidence(in_cents)) == ("verifying", [])
    assert price_again(in_cents.line, incident(in_cents), in_cents.day(5)) is None


def test_a_part_that_was_loaded_wrong_is_priced_by_the_log_as_it_was(shop):
    healthy = shop.at(shop.folder.parent / "healthy")
    shop.wait(minutes=1)
    shop.workspace.deploy(parts={"threshold": 0.05}, by="eve")
    shop.run(3)
    remedied(shop, 4)
    healthy.run(3)
    healthy.run(4)
    assert incident(shop).cost.value == pytest.approx(turned_out(shop, healthy, 3))


@pytest.mark.parametrize("command", [["why", "1"], ["incidents"]])
def test_commands_show_the_price_and_how_many_outcomes_are_known(in_cents, capsys, command):
    first = incident(in_cents).verdict.effect
    remedied(in_cents, 5)
    assert door.attempt([*command, "--project", str(in_cents.folder)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    cost = incident(in_cents).cost
    assert screen.amount(cost.value, "euro") in said
    if command[0] == "why":
        assert f"all {cost.affected_predictions} outcomes known" in said
        assert f"first estimate {screen.amount(first.value, 'euro')}" in said


def test_outcomes_of_rows_that_only_one_side_has_are_known_too(shop):
    shop.edit("    return raw_orders.with_columns(", "    return raw_orders.head(40).with_columns(")
    shop.run(3)
    lost = shop.only()["verdict"]["effect"]
    assert lost["known_outcomes"] == 0 < lost["affected_predictions"]
    remedied(shop, 4)
    cost = incident(shop).cost
    assert cost.known_outcomes == cost.affected_predictions == lost["affected_predictions"]
