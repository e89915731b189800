"""State is nothing but the ledger, folded: opening a workspace anew finds everything as it was left."""

from dataclasses import fields

import pytest

from headwater.app.state import State
from unit.app.conftest import remedied, signed
from unit.app.small_shop import Shop


def told(state: State) -> dict:
    """Everything a state holds, as values that can be compared."""
    graph = state.graph
    whole = {item.name: getattr(state, item.name) for item in fields(State)}
    return whole | {
        "graph": {
            node.ref: (node.owner, graph.parents(node.ref), graph.children(node.ref), graph.windows(node.ref))
            for node in graph.nodes()
        },
        "runs of datasets": {node.ref: graph.runs(node.ref) for node in graph.nodes("dataset")},
        "aliases": {name: state.aliases.history(name) for name in state.aliases.models()},
        "deployments": {name: state.deployments.get(name) for name in state.deployments.models()},
        "quarantine": state.quarantine.ranges,
        "incidents": [item.as_dict() for item in state.incidents.all()],
        "evidence": {place: dict(found) for place, found in state.evidence.items() if found},
        "findings": {window: list(found) for window, found in state.findings.items() if found},
        "history": {
            (kind, node.ref): {window: state.history.values(kind, node.ref, window)
                               for window in state.history.windows(kind, node.ref)}
            for node in graph.nodes() for kind in ("profile", "performance", "business")
        },
    }  # fmt: skip


def same(shop: Shop) -> dict:
    live, opened = told(shop.line.state), told(shop.opened().line.state)
    for name, value in live.items():
        assert opened[name] == value, name
    return live


def test_a_grown_workspace_is_found_as_it_was(shop):
    state = same(shop)
    assert len(state["runs"]) == 46
    assert state["aliases"]["refund"][0].version == "1"
    assert state["accepted"]["refund_predictions"].parts
    assert state["incidents"] == []


def test_every_stage_of_an_incident_is_found_as_it_was(recoded):
    assert same(recoded)["incidents"][0]["state"] == "verdict"
    remedied(recoded, 4)
    state = same(recoded)
    assert state["pins"]["orders"]["good"] != state["pins"]["orders"]["bad"]
    assert (state["incidents"][0]["state"], state["incidents"][0]["verified"]) == ("verifying", True)
    signed(recoded)
    assert set(same(recoded)["incidents"][0]["signoffs"]) == {"data", "ml"}
    recoded.workspace.close("1", "ann")
    assert same(recoded)["incidents"][0]["state"] == "closed"


def test_repairs_and_holds_are_found_as_they_were(in_cents):
    remedied(in_cents, 5)
    assert list(same(in_cents)["repairs"]) == ["raw_orders"]
    in_cents.workspace.quarantine_add("orders", in_cents.day(1), in_cents.day(2), "odd")
    assert same(in_cents)["quarantine"]
    in_cents.wait(minutes=1)
    in_cents.workspace.quarantine_lift("orders", in_cents.day(2), in_cents.day(2))
    (held,) = same(in_cents)["quarantine"]
    assert (held.first, held.last) == (in_cents.day(1), in_cents.day(1))


def test_deployments_and_aliases_are_found_as_they_were(shop):
    shop.wait(minutes=1)
    shop.workspace.deploy(parts={"threshold": 0.9}, by="eve")
    assert same(shop)["deployments"]["refund"].mismatch == ("threshold",)


@pytest.mark.parametrize("number", [3])
def test_a_workspace_opened_anew_runs_on_as_the_old_one_would_have(shop, tmp_path, number):
    other = shop.at(tmp_path / "other")
    other.workspace = other.opened()
    shop.run(number)
    other.run(number)
    for name in shop.line.assets:
        key = shop.day(number - shop.line.assets[name].lag)
        assert shop.line.services.tables.content(name, key) == other.line.services.tables.content(name, key)
    assert told(shop.line.state)["evidence"] == told(other.line.state)["evidence"]


def test_folding_in_pieces_is_folding_at_once(grown):
    records = list(grown.line.services.ledger.read())
    whole, slowly = State(), State()
    whole.fold(records)
    for record in records:
        slowly.fold([record])
    assert whole.seq == slowly.seq == len(records)
    assert told(whole) == told(slowly)
