"""Every number of an evidence chain can be computed again by the command that stands beside it."""

from __future__ import annotations

import json
import shlex

import pytest

from headwater.app import arrival
from headwater.app.arrival import reference
from headwater.cli import main as door
from headwater.core.errors import CorruptTable, DataError, LedgerBroken, UnknownName, UsageError
from headwater.core.records import Evidence
from unit.app.conftest import remedied
from unit.app.test_workspace import tampered


def ran(shop, capsys, command, code=0):
    """Run a command as it is written in the chain, through the door that people use."""
    program, *words = shlex.split(command)
    assert program == "headwater"
    capsys.readouterr()
    assert door.attempt([*words, "--project", str(shop.folder)]) == code, capsys.readouterr().err
    assert door.attempt([*words, "--project", str(shop.folder), "--json"]) == code
    told = capsys.readouterr().out
    return json.loads(told[told.index("\n{\n") + 1 :])


def chain(shop):
    return shop.workspace.why("1")["chain"]


def reproduced(shop, capsys):
    steps = chain(shop)
    assert len(steps) >= 4
    for step in steps:
        answer = ran(shop, capsys, step["command"])
        (line,) = answer["values"]
        assert line["recomputed"] == pytest.approx(step["value"])
        assert line["same"] is answer["same"] is True
        assert answer["id"] in step["causes"]
    assert len({step["command"] for step in steps}) == len(steps)
    return steps


@pytest.mark.parametrize("made", ["in_cents", "recoded"])
def test_every_step_of_a_chain_is_reproduced_by_its_own_command(request, capsys, made):
    shop = request.getfixturevalue(made)
    before = shop.line.state.seq, shop.line.services.tables.version("orders")
    first, *_ = reproduced(shop, capsys)
    assert first["value"] > 0
    again = shop.opened().line
    assert (again.state.seq, again.services.tables.version("orders")) == before  # it only reads


@pytest.mark.parametrize("made", ["in_cents", "recoded"])
def test_a_chain_is_reproduced_after_the_fault_was_repaired(request, capsys, made):
    """The tables hold repaired rows by then; the numbers are about those that were there."""
    shop = request.getfixturevalue(made)
    remedied(shop, 5)
    reproduced(shop, capsys)


def test_a_failed_delivery_is_reproduced(shop, capsys):
    shop.edit('euros=pl.col("amount"))', 'euros=pl.col("price"))')
    shop.run(3)
    step = chain(shop)[0]
    answer = ran(shop, capsys, step["command"])
    assert answer["values"] == [{"value": "state", "recorded": "FAIL", "recomputed": "FAIL", "same": True}]


@pytest.mark.parametrize(
    ("old", "new", "told", "test"),
    [
        ('[f"s{n}" for n in range(4)], "size"', '[f"z{n}" for n in range(4)], "size"', {}, "elimination"),
        ("p = 1 / (1 + np.exp(-(a +", "p = 1 / (1 + np.exp((a +", {}, "exact mechanism test"),
        ("", "", {"missing": True}, "delivery"),
    ],
)
def test_whatever_a_verdict_rests_on_can_be_computed_again(shop, old, new, told, test):
    if old:
        shop.edit(old, new)
    shop.feed(d3=told)
    shop.run(3)
    steps = chain(shop)
    assert steps[0]["test"] == test
    for place, step in enumerate(steps):
        if place and step["value"] is None:  # it was held up, and shows no number
            assert step["command"] == "" and "was not delivered" in step["text"]
            continue
        _, command, name, value = shlex.split(step["command"])
        assert command == "recompute"
        answer = shop.workspace.recompute(name, value)
        assert answer["same"]
        assert step["value"] in (None, answer["values"][0]["recomputed"])


def test_all_evidence_and_findings_of_an_incident_are_reproduced(in_cents):
    """Whatever was measured in live windows comes out the same from the same functions."""
    live = {in_cents.day(number) for number in (1, 2, 3, 4)}
    cannot, told = set(), set()
    for record in list(in_cents.line.services.ledger.read()):
        if record.kind in ("evidence", "finding") and record.body["window"] in live:
            if record.kind == "evidence" and record.body["type"] in ("vocabulary", "estimate"):
                with pytest.raises(DataError, match="cannot be computed again"):
                    in_cents.workspace.recompute(record.id)
                cannot.add(record.body["type"])
                continue
            answer = in_cents.workspace.recompute(record.id)
            assert answer["same"], (answer["type"], [item for item in answer["values"] if not item["same"]])
            told.add(answer["type"])
    assert {"profile", "mechanism", "release", "performance", "business", "calibration", "filling", "arrival",
            "contract", "signature", "replay"} <= told  # fmt: skip


def test_what_only_older_windows_could_tell_is_reproduced(shop, monkeypatch):
    """The last windows before an incident may be hit as well: a signature that shows only without them is one."""
    shop.feed(d3={"scale": 100}, d4={"scale": 100})
    shop.run(3)
    before, told = shop.line.state.seq, set()
    monkeypatch.setattr(
        arrival, "reference", lambda *args, newest=True: None if newest else reference(*args, newest=False)
    )
    shop.run(4)
    for record in list(shop.line.services.ledger.read(kind="evidence")):
        if record.seq > before and record.body["type"] in ("signature", "replay"):
            answer = shop.workspace.recompute(record.id)
            assert answer["same"], (answer["type"], [item for item in answer["values"] if not item["same"]])
            told.add(answer["type"])
    assert told == {"signature", "replay"}


def test_evidence_of_history_is_reproduced(shop):
    some = [
        record.id for record in shop.line.services.ledger.read(kind="evidence")
        if record.body["window"] == "2024-02-20" and record.body["type"] in ("profile", "performance")
    ]  # fmt: skip
    assert some
    for name in some:
        answer = shop.workspace.recompute(name)
        assert answer["same"], (answer["subject"], [item for item in answer["values"] if not item["same"]])


def test_a_table_file_that_was_changed_is_named(recoded):
    step = chain(recoded)[0]
    _, _, name, value = shlex.split(step["command"])
    key = recoded.day(3)
    for file in (recoded.folder / ".headwater/tables/orders").glob(f"_window={key}/*.parquet"):
        file.write_bytes(file.read_bytes()[:-8] + b"\0" * 8)
    with pytest.raises(CorruptTable, match=rf"dataset `orders`, window `{key}`"):
        recoded.opened().recompute(name, value)


def test_a_number_that_was_forged_into_the_ledger_differs(recoded, capsys):
    step = chain(recoded)[0]
    evidence = next(
        record for record in recoded.line.services.ledger.read(kind="evidence")
        if Evidence.of(record.body).id in step["causes"] and record.body["type"] == "mechanism"
    )  # fmt: skip
    share = repr(evidence.body["values"]["share"])
    tampered(recoded, f"UPDATE {{table}} SET body = replace(body, '\"share\":{share}', '\"share\":0.01') "
                      f"WHERE seq = {evidence.seq}")  # fmt: skip
    with pytest.raises(LedgerBroken, match=f"record {evidence.seq}"):  # by its old name it is not there any more
        recoded.opened().recompute(shlex.split(step["command"])[2])
    answer = ran(recoded, capsys, f"headwater recompute {evidence.id} share", code=1)
    assert (answer["values"][0]["recorded"], answer["same"]) == (0.01, False)


def test_a_wrong_id_is_a_mistype(recoded):
    whole = next(
        Evidence.of(record.body).id for record in recoded.line.services.ledger.read(kind="evidence")
    )  # fmt: skip
    assert recoded.workspace.recompute(whole[:10].upper())["id"] == whole
    for name, said, error in (
        ("0000000000ff", "no evidence or finding", UnknownName),
        ("abc", "too short", UsageError),
        ("", "too short", UsageError),
    ):
        with pytest.raises(error, match=said):
            recoded.workspace.recompute(name)
    with pytest.raises(UnknownName, match="value `shore`"):
        recoded.workspace.recompute(whole, "shore")
