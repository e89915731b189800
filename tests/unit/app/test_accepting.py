"""A change of level that somebody accepts is learned, its incident is judged again, and all of it can be undone."""

from dataclasses import replace

import pytest

from headwater.app.judging import signature_finding
from headwater.core.errors import DataError, UsageError
from headwater.core.ports import Entry
from headwater.core.records import Finding
from headwater.observe.history import History


def bigger(shop, first, last, scale=3.0):
    shop.feed(**{f"d{number}": {"scale": scale} for number in range(first, last + 1)})


@pytest.fixture
def dearer(shop):
    """Prices are three times what they were from the third day on, and two days of it were run."""
    bigger(shop, 3, 12)
    shop.run(3)
    shop.run(4)
    return shop


def alarmed(report):
    return {(item["subject"].rpartition("/")[2], item["metric"]) for item in report["alarms"]}


def test_without_it_a_new_level_alarms_for_ever_and_with_it_no_more(dearer):
    assert alarmed(dearer.run(5)), "windows in alarm are never learned"
    dearer.wait(minutes=1)
    answer = dearer.workspace.accept("raw_orders", by="ann", reason="the shop went upmarket")
    assert (answer["from"], answer["accepted"]) == (dearer.day(3), True)
    assert "dataset:shop/orders" in answer["below"], "what follows from there is normal too"
    assert answer["judged_again"] == ["incident:shop/1"]
    for number in (6, 7):
        report = dearer.run(number)
        assert not alarmed(report)
    incident = dearer.only()
    assert incident["verdict"]["status"] == "none"
    assert "accepted as the new normal" in str(incident["timeline"])
    (told,) = dearer.workspace.why("1")["accepted"]
    assert told.endswith("by ann: the shop went upmarket")


def test_another_process_knows_and_a_further_change_alarms(dearer):
    dearer.wait(minutes=1)
    dearer.workspace.accept("raw_orders", by="ann", reason="upmarket")
    dearer.run(5)
    bigger(dearer, 6, 6, scale=300.0)
    dearer.workspace = dearer.opened()
    found = alarmed(dearer.run(6))
    assert any(name in ("raw_orders", "orders") for name, _ in found)


def test_the_incident_it_explains_can_be_closed_by_both_sides(dearer):
    dearer.wait(minutes=1)
    dearer.workspace.accept("raw_orders", by="ann", reason="upmarket")
    dearer.wait(minutes=1)
    dearer.workspace.remedy("1", apply=True, by="ann")
    dearer.run(5)
    dearer.wait(minutes=1)
    dearer.workspace.sign("1", "data", "ann", prevention_owner="ann")
    dearer.workspace.sign("1", "ml", "bob")
    assert dearer.workspace.close("1", "ann")["state"] == "closed"


def test_undone_it_alarms_again(dearer):
    dearer.wait(minutes=1)
    dearer.workspace.accept("raw_orders", by="ann", reason="upmarket")
    assert not alarmed(dearer.run(5))
    dearer.wait(minutes=1)
    done = dearer.workspace.accept("raw_orders", by="bob", reason="it was a wrong unit after all", undo=True)
    assert done["accepted"] is False
    assert alarmed(dearer.run(6))
    assert "no longer accepted, says bob" in str(dearer.workspace.incidents(all=True)[0]["timeline"])
    with pytest.raises(DataError, match="nothing of `dataset:shop/raw_orders` is accepted"):
        dearer.workspace.accept("raw_orders", by="bob", reason="again", undo=True)


def test_asked_again_it_does_not_walk_back_into_the_past(dearer):
    name, time = "dataset:shop/raw_orders", dearer.line.services.clock.now()
    unusual = Finding(monitor="distribution", subject=name, window=dearer.day(1), severity="notice",
                      metric="mean.amount", score=2.5, time=time)  # fmt: skip
    dearer.line.record([Entry("finding", name, unusual.body(), time)])
    dearer.wait(minutes=1)
    assert dearer.workspace.accept("raw_orders", by="ann", reason="upmarket")["from"] == dearer.day(3)
    with pytest.raises(DataError, match=f"is out of its band since {dearer.day(3)}"):
        dearer.workspace.accept("raw_orders", by="ann", reason="upmarket")
    asked = dearer.workspace.accept("raw_orders", first=dearer.day(1), by="ann", reason="upmarket", dry_run=True)
    assert asked["from"] == dearer.day(1), "but it can be asked for by name"


def test_a_dry_run_records_nothing(dearer):
    before = dearer.workspace.audit()["records"]
    answer = dearer.workspace.accept("raw_orders", dry_run=True)
    assert answer["findings"] and not answer["accepted"]
    assert all({"window", "metric", "severity", "detail"} <= set(item) for item in answer["findings"])
    assert dearer.workspace.audit()["records"] == before


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"by": " ", "reason": "x"}, UsageError, "needs a name"),
        ({"by": "ann", "reason": ""}, UsageError, "needs a reason"),
        ({"by": "ann", "reason": "x", "first": "yesterday"}, UsageError, "is not a window"),
        ({"by": "ann", "reason": "x", "metric": "null_share.age"}, DataError, "is out of its band"),
        ({"by": "ann", "reason": "x", "first": "2024-05-01"}, DataError, "is out of its band since 2024-05-01"),
    ],
)
def test_what_cannot_be_accepted_is_refused(dearer, asked, error, said):
    with pytest.raises(error, match=said) as told:
        dearer.workspace.accept("raw_orders", **asked)
    assert told.value.hint


def test_nothing_is_accepted_where_nothing_alarmed(shop):
    with pytest.raises(DataError, match="nothing of `dataset:shop/raw_shops` is out of its band"):
        shop.workspace.accept("raw_shops", by="ann", reason="x")
    with pytest.raises(UsageError, match="raw_shpos"):
        shop.workspace.accept("raw_shpos", by="ann", reason="x")


def test_a_signature_about_a_column_is_accepted_with_the_column(shop):
    """Beside the metrics of the column a fault of its unit is named."""
    bigger(shop, 3, 12, scale=100)
    shop.run(3)
    found = [item for item in shop.line.state.findings[shop.day(3)] if item.subject == "dataset:shop/raw_orders"]
    assert ("signature", "unit") in {(item.monitor, item.metric) for item in found if item.severity == "alarm"}
    assert shop.line.state.history.columns(next(item for item in found if item.monitor == "signature")) == ("amount",)
    shop.wait(minutes=1)
    answer = shop.workspace.accept("raw_orders", metric="amount", by="ann", reason="in cents from now on")
    covered = {(item["subject"], item["metric"]) for item in answer["findings"]}
    assert ("dataset:shop/raw_orders", "unit") in covered
    left = {(item["subject"], item["metric"]): item["why"] for item in answer["not_covered"]}
    assert not covered & set(left) and "dataset:shop/raw_orders" not in {subject for subject, _ in left}
    told = left[("dataset:shop/orders", next(metric for subject, metric in left if subject == "dataset:shop/orders"))]
    assert "without --metric what follows from dataset:shop/raw_orders is accepted with it" in told
    opened = shop.opened().line.state.history
    assert all(opened.settled(item.id) for item in found if item.severity == "alarm"), "another process knows"
    assert answer["judged_again"] == ["incident:shop/1"] and shop.only()["verdict"]["status"] != "named"


def test_a_signature_of_another_column_is_not(shop):
    bigger(shop, 3, 3, scale=100)
    shop.run(3)
    with pytest.raises(DataError, match="nothing of `age`"):
        shop.workspace.accept("raw_orders", metric="age", by="ann", reason="x")


def test_an_older_signature_tells_its_columns_by_its_repair(shop):
    bigger(shop, 3, 3, scale=100)
    shop.run(3)
    made = shop.line.state.evidence[("signature", "dataset:shop/raw_orders")][shop.day(3)]
    old = replace(made, values={name: value for name, value in made.values.items() if name != "columns"})
    history = History(shop.line.calendar)
    history.add_evidence(old)
    assert history.columns(signature_finding(old)) == ("amount",)
