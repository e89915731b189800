"""What a workspace answers about itself: its audit, its incidents, and a quiet project."""

import shutil
import sqlite3

import pytest

from headwater.core.errors import LedgerBroken, UnknownName, UsageError
from unit.app.small_shop import Shop


def tampered(shop, *statements):
    """Change the ledger's file behind its back; its own triggers would refuse."""
    with sqlite3.connect(shop.folder / ".headwater/ledger.db") as connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        (table,) = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if "body" in {column[1] for column in connection.execute(f"PRAGMA table_info({name})")}
        ]  # fmt: skip
        for statement in statements:
            assert connection.execute(statement.format(table=table)).rowcount > 0
    connection.close()


def test_an_audit_counts_every_record(shop):
    before = shop.workspace.audit()
    assert (before["records"], before["verified"], before["problems"]) == (shop.line.state.seq, True, [])
    shop.run(3)
    assert shop.workspace.audit()["records"] > before["records"]


@pytest.mark.parametrize(
    ("statement", "first"),
    [
        ("UPDATE {table} SET body = replace(body, '2024', '2023') WHERE seq = 7", 7),
        ("UPDATE {table} SET subject = 'dataset:shop/other' WHERE seq = 12", 12),
        ("UPDATE {table} SET time = '2020-01-01T00:00:00+00:00' WHERE seq = 5", 5),
        ("DELETE FROM {table} WHERE seq = 9", 9),
        ("DELETE FROM {table} WHERE seq = (SELECT max(seq) FROM {table})", None),
    ],
)
def test_an_audit_names_the_first_record_that_was_tampered_with(shop, statement, first):
    last = shop.line.state.seq
    tampered(shop, statement)
    with pytest.raises(LedgerBroken, match=f"record {first or last} does not verify"):
        shop.opened().audit()


@pytest.mark.parametrize(
    "change",
    ["body = '{{}}'", "body = 'no json'", "body = '[1]'", "body = replace(body, '2', 'x')", "time = 'noon'",
     "kind = 'verdict'", "subject = ''"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["event", "evidence", "accepted", "run", "alias", "deployment", "version"])
def test_a_record_that_cannot_even_be_read_any_more_is_named(grown, tmp_path, kind, change):
    shop = Shop.__new__(Shop)
    shop.folder = shutil.copytree(grown.folder, tmp_path / "project")
    shop.tracking, shop.clock = grown.tracking, grown.clock
    (seq,) = [max(record.seq for record in grown.line.services.ledger.read(kind=kind))]
    tampered(shop, f"UPDATE {{table}} SET {change} WHERE seq = {seq}")
    with pytest.raises(LedgerBroken, match=f"record {seq} does not verify"):
        shop.opened().audit()


def test_a_quiet_model_says_so_and_lists_what_was_cleared(shop):
    shop.edit("raw_orders.with_columns(euros=", "raw_orders.clone().with_columns(euros=")
    assert shop.run(3)["alarms"] == []
    answer = shop.workspace.why("model:shop/refund")
    assert answer["status"] == "quiet"
    assert [(item["subject"], item["change"]) for item in answer["cleared"]] == [("dataset:shop/orders", "new code")]


def test_why_finds_the_incident_that_touches_a_model(recoded):
    answer = recoded.workspace.why("model:shop/refund")
    assert (answer["incident"], answer["subject"], answer["state"]) == (
        "incident:shop/1", "dataset:shop/orders", "verdict",
    )  # fmt: skip
    assert answer == recoded.workspace.why("incident:shop/1") == recoded.workspace.why("1")


def test_incidents_are_listed_active_or_all(recoded, closed):
    assert [item["incident"] for item in recoded.workspace.incidents()] == ["incident:shop/1"]
    closed(recoded, 4)
    assert recoded.workspace.incidents() == []
    assert recoded.workspace.incidents(all=True)[0]["state"] == "closed"


def test_one_cause_is_one_incident_over_all_its_windows(in_cents):
    found = in_cents.only()
    assert found["window"] == in_cents.day(3)
    assert found["verdict"]["remedy"]["windows"] == [in_cents.day(3), in_cents.day(4)]
    assert found["verdict"]["start_window"] == in_cents.day(3)


@pytest.mark.parametrize(("ref", "error"), [("incident:shop/9", UnknownName), ("model:shop/other", UnknownName),
                                            ("model:", UsageError)])  # fmt: skip
def test_what_is_not_there_is_said(shop, ref, error):
    with pytest.raises(error):
        shop.workspace.why(ref)


def test_a_late_feature_view_has_its_release_watched_too(shop):
    """The model scores a day late; a part loaded past the registry is an incident all the same."""
    shop.edit('@project.features(key=["order"], time="at")', '@project.features(key=["order"], time="at", lag=1)')
    shop.run(3)
    shop.wait(minutes=1)
    shop.workspace.deploy(parts={"threshold": 0.05}, by="eve")
    answer = shop.run(4)
    assert "mismatch" in {item["metric"] for item in answer["alarms"]}
    assert shop.only()["verdict"]["subject"] == "deployment:shop/refund"
