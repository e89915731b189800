"""Every command on a small real project: what it answers, and how it refuses."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from headwater.cli import main as door
from unit.cli.conftest import Ask

PIPELINE = """
from datetime import timedelta
import polars as pl
from headwater import Project

project = Project("shop")

@project.source(key=["order"], time="day")
def raw_orders(window):
    days = [(window.start + timedelta(days=n)).date() for n in range((window.end - window.start).days)]
    rows = [{"order": f"{day}-{n}", "day": day, "cents": 100 * n + day.day} for day in days for n in range(20)]
    return pl.DataFrame(rows)

@project.dataset(layer="staged", key=["order"], time="day")
def orders(raw_orders):
    return raw_orders.with_columns(euros=pl.col("cents") / 100)

@project.dataset(key=["day"], time="day")
def revenue(orders):
    return orders.group_by("day").agg(pl.col("euros").sum())
"""
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
team: {name: order-desk}
schema:
  - name: orders
    properties:
      - {name: euros, logicalType: number, required: true, logicalTypeOptions: {minimum: 0, maximum: 1000}}
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "headwater.yaml").write_text("module: pipeline.py\n")
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts/orders.yaml").write_text(CONTRACT)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    monkeypatch.delenv("HEADWATER_DEBUG", raising=False)
    return tmp_path


@pytest.fixture
def delivered(ask: Ask) -> Ask:
    ask("run", "--from", "2024-01-01", "--to", "2024-01-05")
    return ask


def edit(shop: Path, old: str, new: str) -> None:
    text = (shop / "pipeline.py").read_text()
    assert old in text
    (shop / "pipeline.py").write_text(text.replace(old, new))


def test_a_window_is_delivered_from_a_folder_below_and_a_rerun_changes_nothing(ask: Ask) -> None:
    assert ask("run", "--window", "2024-01-01")["delivered"] == 3
    before = ask("datasets")
    ask("run", "--window", "2024-01-01")
    assert ask("datasets") == before
    assert ask("run")["window"] == "2024-01-02"


def test_datasets_name_layer_side_and_owner(delivered: Ask) -> None:
    found = {item["dataset"]: item for item in delivered("datasets")}
    assert found["dataset:shop/orders"]["owner"] == "order-desk"
    assert found["dataset:shop/revenue"]["newest"] == "2024-01-05"


def test_trace_leads_down_to_the_source(delivered: Ask) -> None:
    tree = delivered("trace", "dataset:shop/revenue")
    assert tree["inputs"][0]["inputs"][0]["ref"] == "dataset:shop/raw_orders"


def test_backfill_plans_without_writing(delivered: Ask) -> None:
    before = delivered("datasets")
    plan = delivered("backfill", "raw_orders", "--from", "2024-01-02", "--to", "2024-01-03", "--dry-run")
    assert plan["applied"] is False
    assert set(plan["datasets"]) == {"raw_orders", "orders", "revenue"}
    assert delivered("datasets") == before


def test_quarantine_is_set_listed_and_lifted(delivered: Ask) -> None:
    span = ("--from", "2024-01-02", "--to", "2024-01-03")
    delivered("quarantine", "add", "orders", *span, "--reason", "double load")
    (held,) = delivered("quarantine")
    assert (held["dataset"], held["reason"]) == ("dataset:shop/orders", "double load")
    assert delivered("quarantine", "list") == [held]
    delivered("quarantine", "lift", "orders", *span)
    assert delivered("quarantine", "list") == []


def test_audit_counts_and_finds_a_changed_record(delivered: Ask, shop: Path) -> None:
    assert delivered("audit", "verify")["records"] > 0
    ledger = shop / ".headwater/ledger.db"
    with sqlite3.connect(ledger) as connection:
        (table,) = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if "body" in {column[1] for column in connection.execute(f"PRAGMA table_info({name})")}
        ]
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute(f"UPDATE {table} SET body = replace(body, 'orders', 'borders') WHERE rowid = 3")
    connection.close()
    told = delivered("audit", "verify", code=1)
    assert told["error"]["code"] == "ledger-broken"


def test_no_command_takes_a_lost_ledger_for_a_quiet_project(delivered: Ask, shop: Path) -> None:
    for file in (shop / ".headwater").glob("ledger.db*"):
        file.unlink()
    for command in (
        ["incidents"],
        ["datasets"],
        ["notices"],
        ["arrivals"],
        ["quarantine"],
        ["trace", "dataset:shop/orders"],
    ):
        assert delivered(*command, code=1)["error"]["code"] == "ledger-broken", command


def test_a_quiet_project_says_so(delivered: Ask) -> None:
    assert delivered("incidents") == delivered("incidents", "--all") == []


def test_a_dry_run_of_an_approval_asks_for_no_reason_and_an_approval_does(delivered: Ask, shop: Path) -> None:
    delivered("run")
    edit(shop, 'pl.col("cents") / 100', 'pl.col("cents") / 50')
    assert delivered("approve", "orders", "--dry-run")["approved"] is False
    assert "--reason" in delivered("approve", "orders", code=2)["error"]["hint"]


def test_a_range_that_failed_is_to_be_run_again(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(shop, 'pl.col("cents") / 100', 'pl.col("cents") * 100')
    assert door.attempt(["run", "--from", "2024-01-01", "--to", "2024-01-03"]) == 1
    assert "headwater run --from 2024-01-01 --to 2024-01-03" in capsys.readouterr().err


def test_a_run_names_the_incidents_that_keep_its_window_from_being_accepted(
    delivered: Ask, shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(shop, 'pl.col("cents") / 100', 'pl.col("cents") * 100')
    delivered("run", code=1)
    edit(shop, 'pl.col("cents") * 100', 'pl.col("cents") / 100')
    answer = delivered("run", "--window", "2024-01-07")
    assert [item["incident"] for item in answer["incidents"]] == ["incident:shop/1"]
    assert answer["accepted"] is False
    capsys.readouterr()
    assert door.attempt(["run"]) == 0
    assert "incident:shop/1" in capsys.readouterr().out


def test_a_broken_contract_is_exit_code_1_and_nothing_is_written(delivered: Ask, shop: Path) -> None:
    edit(shop, 'pl.col("cents") / 100', 'pl.col("cents") * 100')
    answer = delivered("run", code=1)
    assert [item["dataset"] for item in answer["failed"]] == ["orders", "revenue"]
    assert answer["failed"][0]["error"]["code"] == "contract-broken"
    newest = {item["dataset"]: item["newest"] for item in delivered("datasets")}
    assert newest["dataset:shop/raw_orders"] == "2024-01-06"
    assert newest["dataset:shop/orders"] == "2024-01-05"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("run", "--window", "January"), "2013-07-01"),
        (("backfill", "ordres", "--from", "2024-01-01", "--to", "2024-01-01"), "did you mean `orders`?"),
        (("trace", "orders"), "kind:namespace/name"),
        (("trace", "dataset:shop/odrers"), "did you mean `orders`?"),
        (("why", "incident:shop/9"), "headwater incidents"),
        (("remedy", "incident:shop/9"), "headwater incidents"),
        (("release", "3"), ""),
        (("train", "--model", "none"), ""),
        (("quarantine", "add", "orders", "--from", "2024-01-03", "--to", "2024-01-01", "--reason", "x"), "--from"),
    ],
)
def test_wrong_references_are_exit_code_2_with_a_hint(delivered: Ask, words: tuple[str, ...], hint: str) -> None:
    assert hint in str(delivered(*words, code=2)["error"]["hint"])


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("headwater.yaml", "module: [", "headwater.yaml"),
        ("headwater.yaml", "modul: pipeline.py", "modul"),
        ("pipeline.py", "project = ", "pipeline.py"),
        ("pipeline.py", "import nowhere_to_be_found", "pipeline.py"),
        ("contracts/orders.yaml", "schema: [", "orders.yaml"),
    ],
)
def test_a_broken_file_is_named(shop: Path, ask: Ask, file: str, text: str, said: str) -> None:
    (shop / file).write_text(text)
    error = ask("datasets", code=2)["error"]
    assert said in error["message"] + str(error["while"])
    assert error["hint"] or "line" in error["message"] or "import" in error["message"]


def test_notices_are_counted_by_a_run_and_listed_by_their_command(
    shop: Path, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask("notices") == []
    ask("run", "--from", "2024-01-01", "--to", "2024-02-20")
    edit(shop, "100 * n + day.day", "(100 * n + day.day) * (2 if n % 2 else 1)")
    assert door.attempt(["run"]) == 0
    said = capsys.readouterr().out
    listed = ask("notices", "--window", "2024-02-21")
    assert listed and {item["severity"] for item in listed} == {"notice"}
    assert f"{len(listed)} notice" in said and "headwater notices" in said
    assert ask("notices") == listed and ask("notices", "--window", "2024-02-20") == []
    assert "window" in ask("notices", "--window", "Tuesday", code=2)["error"]["message"]
    assert door.attempt(["notices"]) == 0 and "2024-02-21" in capsys.readouterr().out


def test_arrivals_say_what_has_no_deadline_and_leave_with_1_while_something_is_missing(
    delivered: Ask, shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(delivered("arrivals")["unjudged"]) == 3
    assert door.attempt(["arrivals"]) == 0
    said = capsys.readouterr().out
    assert "of what has a deadline" in said and "without a deadline, so never late: raw_orders" in said
    promise = "slaProperties: [{property: latency, value: 4, unit: h}]\n"
    (shop / "contracts/orders.yaml").write_text(CONTRACT + promise)
    assert door.attempt(["arrivals", "--record"]) == 1
    assert "see headwater why incident:shop/1" in capsys.readouterr().out


def test_a_run_says_which_monitors_have_no_band_yet(delivered: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    assert door.attempt(["run"]) == 0
    said = capsys.readouterr().out
    assert "no band yet: structure and distribution of 3 of 3 datasets, for 8 windows more" in said
    delivered("run", "--from", "2024-01-07", "--to", "2024-01-20")
    assert delivered("run")["warming"] == []


@pytest.mark.parametrize("words", [("datasets",), ("incidents",), ("quarantine",), ("trace", "dataset:shop/revenue")])
def test_answers_are_drawn_for_people_too(
    delivered: Ask, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert door.attempt(list(words)) == 0
    said = capsys.readouterr()
    assert said.out.strip()
    assert "{" not in said.out


def test_a_project_is_named_before_or_after_the_command(
    shop: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert door.attempt(["datasets"]) == 2
    assert door.attempt(["--project", str(shop), "datasets"]) == 0
    assert door.attempt(["datasets", "--project", str(shop)]) == 0


def test_init_makes_a_project_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tmp_path / "mine"
    assert door.attempt(["init", str(made)]) == 0
    assert door.attempt(["--project", str(made), "datasets"]) == 0
    assert door.attempt(["init", str(made)]) == 2
    assert door.attempt(["init", str(tmp_path / "other"), "--template", "flihgts"]) == 2
    assert "did you mean `flights`?" in capsys.readouterr().err
