"""Bad input through the real commands: a clear error with a hint, the right exit code, nothing half-written."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.adapters.delta_tables import DeltaTables
from headwater.cli import main as door
from unit.cli.conftest import Ask

QUICKSTART = Path(__file__).parents[3] / "docs/start/quickstart.md"
RATIO = 'pl.col("cents") / 100'
LABELS = 'return orders.select("order", "day").join(back'
COST = 'return ((rows["refunded"] == 1) & (rows["decision"] == 0)).cast(pl.Float64)'


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The quickstart's shop: history delivered, a model released, one window run."""
    folder = tmp_path_factory.mktemp("shop")
    for name, body in re.findall(r"```\w+ (\S+)\n(.*?)```", QUICKSTART.read_text(), re.S):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(body)
    for words in ("run --from 2024-01-01 --to 2024-01-28", "train", "release 1 --by milo", "run --window 2024-01-29"):
        assert door.attempt(["--project", str(folder), *words.split()]) == 0
    return folder


@pytest.fixture
def shop(released: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(released, tmp_path / "shop")
    monkeypatch.chdir(tmp_path / "shop")
    monkeypatch.delenv("HEADWATER_DEBUG", raising=False)
    return tmp_path / "shop"


def edit(shop: Path, old: str, new: str) -> None:
    text = (shop / "pipeline.py").read_text()
    assert old in text
    (shop / "pipeline.py").write_text(text.replace(old, new))


def contents(shop: Path) -> dict[tuple[str, str], str | None]:
    """Every stored window's content; each file is read and compared with its hash."""
    tables = DeltaTables(shop / ".headwater/tables")
    for name in tables.datasets():
        tables.verify(name)
    return {(name, key): tables.content(name, key) for name in tables.datasets() for key in tables.keys(name)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("module: " + "x" * 5000, "does not name a file"),
        ('module: "pipe\\0line.py"', "does not name a file"),
        ("[" * 5000, "headwater.yaml"),
        ("contracts: contrcats", "not a folder"),
        ("gate: [1]", "not a mapping"),
        ("module: 3", "not text"),
    ],
)
def test_a_broken_configuration_is_exit_code_2(shop: Path, ask: Ask, text: str, said: str) -> None:
    (shop / "headwater.yaml").write_text(text)
    assert said in ask("datasets", code=2)["error"]["message"]


@pytest.mark.parametrize("gate", ["{auc: high}", "{1: 2}", "{auc: .nan}", "{acu: 0.6}"])
def test_a_broken_gate_limit_is_exit_code_2(shop: Path, ask: Ask, gate: str) -> None:
    (shop / "headwater.yaml").write_text(f"module: pipeline.py\ngate: {gate}\n")
    assert ask("release", "1", code=2)["error"]["hint"]


def test_a_contract_that_contains_itself_is_exit_code_2(shop: Path, ask: Ask) -> None:
    (shop / "contracts/orders.yaml").write_text("a: &a [*a]\n")
    assert "orders.yaml" in ask("datasets", code=2)["error"]["message"]


@pytest.mark.parametrize("code", ["raise SystemExit(0)", "import sys; sys.exit(5)"])
def test_a_project_cannot_end_the_program(shop: Path, ask: Ask, code: str) -> None:
    edit(shop, "project = Project", f"{code}\nproject = Project")
    assert "SystemExit" in ask("datasets", code=2)["error"]["message"]


def test_a_function_that_exits_fails_its_dataset_only(shop: Path, ask: Ask) -> None:
    edit(shop, f"return raw_orders.with_columns(euros={RATIO})", "raise SystemExit(0)")
    answer = ask("run", code=1)
    assert "SystemExit" in answer["failed"][0]["error"]["message"]
    assert answer["verdicts"][0]["subject"] == "dataset:shop/orders"


def test_a_failed_window_says_that_it_is_tried_again_and_how_to_go_on(
    shop: Path, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(shop, f"return raw_orders.with_columns(euros={RATIO})", "raise SystemExit(0)")
    for again in (False, True):
        assert door.attempt(["run"]) == 1
        said = capsys.readouterr().err
        assert "to go on without what failed: headwater run --window 2024-01-31" in said
        assert ("window 2024-01-30 was run again: orders" in said) is again


def test_what_a_project_prints_stays_out_of_the_answer(
    shop: Path, ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(shop, "project = Project", 'print("loading")\nproject = Project')
    edit(shop, f"return raw_orders.with_columns(euros={RATIO})",
         f'print("working"); return raw_orders.with_columns(euros={RATIO})')  # fmt: skip
    assert ask("run")["delivered"] == 7
    assert door.attempt(["datasets", "--json"]) == 0
    said = capsys.readouterr()
    assert "loading" in said.err
    assert "loading" not in said.out
    assert "raw_orders" in said.out


@pytest.mark.parametrize(
    "key", ["2024-1-30", "2013-02-30", "9999-12-31", "0000-01-01", "2024-01-30 ", "2024-01-30T05", "", "x" * 5000]
)
def test_a_wrong_window_is_exit_code_2_wherever_it_is_given(shop: Path, ask: Ask, key: str) -> None:
    before = contents(shop)
    ask("run", "--window", key, code=2)
    ask("run", "--from", "2024-02-01", "--to", key, code=2)
    ask("backfill", "orders", "--from", key, "--to", "2024-01-30", code=2)
    ask("quarantine", "add", "orders", "--from", "2024-01-01", "--to", key, "--reason", "r", code=2)
    if key:
        ask("train", "--from", "2024-01-01", "--to", key, code=2)
    assert contents(shop) == before


@pytest.mark.parametrize("name", ["dataset:other/orders", "../orders", "model:shop/orders", "other/orders", "ordres"])
def test_a_dataset_of_elsewhere_is_exit_code_2(ask: Ask, name: str) -> None:
    span = ("--from", "2024-01-05", "--to", "2024-01-05")
    assert "orders" in str(ask("backfill", name, *span, "--dry-run", code=2)["error"])
    ask("quarantine", "add", name, *span, "--reason", "r", code=2)


def test_a_model_of_elsewhere_is_exit_code_2(ask: Ask) -> None:
    for words in (("why", "model:nyc/refund"), ("trace", "model:nyc/refund@champion"), ("why", "model:shop/rfund")):
        assert "refund" in ask(*words, code=2)["error"]["hint"]


def test_what_steers_a_terminal_is_spelled_out(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    assert door.attempt(["trace", "model:shop/re\x1b[2Jfund"]) == 2
    assert door.attempt(["trace", "x" * 5000]) == 2
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert len(said) < 2000


def test_there_was_no_champion_before_the_first_release(ask: Ask) -> None:
    early = ask("trace", "model:shop/refund@champion", "--as-of", "2020-01-01T00:00:00+00:00", code=2)["error"]
    assert "first release" in early["hint"]


def test_nothing_was_run_yet(shop: Path, ask: Ask) -> None:
    shutil.rmtree(shop / ".headwater")
    assert ask("why", "model:shop/refund")["status"] == "quiet"
    assert "never released" in ask("trace", "model:shop/refund@champion", code=2)["error"]["message"]
    assert "never released" in ask("rollback", code=1)["error"]["message"]


def test_rolling_back_to_the_champion_is_refused(ask: Ask) -> None:
    before = ask("audit", "verify")["records"]
    assert "champion already" in ask("rollback", "--to", "1", code=1)["error"]["message"]
    assert ask("audit", "verify")["records"] == before


def test_a_quarantine_needs_a_reason_and_is_lifted_once(ask: Ask) -> None:
    span = ("--from", "2024-01-05", "--to", "2024-01-06")
    ask("quarantine", "add", "orders", *span, "--reason", " ", code=2)
    ask("quarantine", "lift", "orders", *span, code=2)
    ask("quarantine", "add", "orders", *span, "--reason", "double load")
    assert "--skip-quarantined" in ask("train", code=1)["error"]["hint"]
    assert "quarantined" in ask("release", "1", code=1)["error"]["message"]
    ask("quarantine", "lift", "orders", *span)
    ask("quarantine", "lift", "orders", *span, code=2)


@pytest.mark.parametrize(
    "code",
    [
        'both = orders.select("order", "day").with_columns(refunded=pl.lit(0))\n'
        "    return pl.concat([both, both.with_columns(refunded=pl.lit(1))])",
        'return orders.select("order", "day").with_columns(refunded=pl.lit("yes"))',
        'return orders.select("order", "day").with_columns(refunded=pl.lit(2))',
        'return orders.select("order", "day")',
    ],
    ids=["contradicting", "text", "neither 0 nor 1", "no outcome"],
)
def test_labels_that_cannot_be_used_are_refused_and_found_and_can_be_mended(shop: Path, ask: Ask, code: str) -> None:
    whole = (shop / "pipeline.py").read_text()
    before = contents(shop)
    edit(shop, LABELS, f"{code}\n    {LABELS}")
    answer = ask("run", code=1)
    assert [item["dataset"] for item in answer["failed"]] == ["refund_labels"]
    assert answer["verdicts"][0]["subject"] == "dataset:shop/refund_labels"
    assert {name for name, key in contents(shop).keys() - before.keys()} >= {"orders", "refund_predictions"}
    (shop / "pipeline.py").write_text(whole)
    assert ask("run", "--window", "2024-01-30")["failed"] == []


@pytest.mark.parametrize("code", ['raise KeyError("zip")', 'return rows["p"] * float("nan")'])
def test_a_cost_that_cannot_be_computed_is_found_and_the_line_goes_on(shop: Path, ask: Ask, code: str) -> None:
    whole = (shop / "pipeline.py").read_text()
    edit(shop, COST, code)
    (alarm,) = ask("run")["alarms"]
    assert (alarm["subject"], alarm["monitor"]) == ("model:shop/refund", "unmeasured")
    (shop / "pipeline.py").write_text(whole)
    assert ask("run")["alarms"] == []


def test_a_dispute_is_judged_again_in_the_next_run_and_can_still_be_closed(shop: Path, ask: Ask) -> None:
    edit(shop, RATIO, RATIO.replace("100", "1000"))
    ask("run")
    assert "misses" not in ask("close", "1", code=1)["error"]["message"]
    ask("remedy", "1", "--apply")
    assert "applied already" in ask("remedy", "1", "--apply", code=1)["error"]["message"]
    ask("sign", "1", "--side", "data", "--as", "ann")
    assert "two people" in ask("sign", "1", "--side", "ml", "--as", " Ann", code=1)["error"]["hint"]
    ask("sign", "1", "--side", "ml", "--as", "bob", "--disagree", "it was the storm")
    ask("close", "1", code=1)
    ask("run")
    (incident,) = ask("incidents")
    assert incident["state"] == "verdict"
    assert incident["signoffs"] == {}
    ask("remedy", "1", "--apply")
    ask("run")
    ask("sign", "1", "--side", "data", "--as", "ann", "--prevention-owner", "ann")
    assert "ml side" in ask("close", "1", code=1)["error"]["message"]
    ask("sign", "1", "--side", "ml", "--as", "bob")
    assert ask("close", "1")["state"] == "closed"
    ask("sign", "1", "--side", "ml", "--as", "bob", code=1)
    assert ask("audit", "verify")["verified"]


KILLED = """
import os, signal, sys
from headwater.adapters.sqlite_ledger import SqliteLedger
from headwater.cli.main import main
left, append = int(sys.argv[1]), SqliteLedger.append
def counted(self, entries):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return append(self, entries)
SqliteLedger.append = counted
main(sys.argv[2:])
"""


def killed(shop: Path, records: int, *words: str) -> bool:
    """Run a command that is killed when it asks for one more append after ``records`` of them."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(records), *words],
        cwd=shop,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
    return done.returncode != 0


def test_a_repair_killed_at_any_record_is_not_made_twice(shop: Path, ask: Ask) -> None:
    edit(shop, 'return days(window).drop("refunded")',
         'return days(window).drop("refunded").with_columns(cents=pl.col("cents") * 10)')  # fmt: skip
    ask("run")
    ask("run")
    assert ask("remedy", "1")["remedy"]["action"] == "repair"
    shutil.copytree(shop, shop.parent / "before")
    ask("remedy", "1", "--apply")
    wanted = contents(shop)
    for records in (1, 2, 4):
        again = shop.parent / f"killed{records}"
        shutil.copytree(shop.parent / "before", again)
        assert killed(again, records, "remedy", "1", "--apply")
        ask("--project", str(again), "audit", "verify")
        assert ask("--project", str(again), "remedy", "1", "--apply")["applied"]
        assert contents(again) == wanted
        assert ask("--project", str(again), "incidents")[0]["state"] == "remedied"


def test_a_run_killed_at_any_record_goes_on_where_it_stopped(shop: Path, ask: Ask) -> None:
    shutil.copytree(shop, shop.parent / "before")
    ask("run")
    wanted = contents(shop)
    for records in (0, 1, 2):
        again = shop.parent / f"killed{records}"
        shutil.copytree(shop.parent / "before", again)
        assert killed(again, records, "run")
        ask("--project", str(again), "audit", "verify")
        answer = ask("--project", str(again), "run")
        assert (answer["window"], answer["failed"], answer["alarms"]) == ("2024-01-30", [], [])
        assert contents(again) == wanted


AS_NOBODY = """
import contextlib, io, json, os, sys
from headwater.cli import main as door

def asked(folder, words):
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        code = door.attempt(["--project", folder, *words.split()])
    return words, code, told.getvalue()

folder, spare, *commands = json.load(sys.stdin)
for words in commands:
    asked(spare, words)  # imports what it needs while root may read it
if os.geteuid() == 0:
    os.setgroups([])
    os.setuid(65534)
for words in commands:
    print(json.dumps(asked(folder, words)))
"""


def as_nobody(folder: Path, *commands: str) -> list[tuple[str, int, str]]:
    """Run commands one after the other as somebody who is not root: each with its exit code and what it printed."""
    with tempfile.TemporaryDirectory() as name:
        spare = shutil.copytree(folder, Path(name, "spare"), copy_function=shutil.copyfile)
        for place, _, _ in os.walk(spare):
            Path(place).chmod(0o755)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY],
            input=json.dumps([str(folder), str(spare), *commands]),
            cwd=folder,
            text=True,
            capture_output=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "200"},
        )
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.fixture
def readonly(released: Path) -> Iterator[Path]:
    """The shop with an incident, in a folder that nobody may write to."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        folder = Path(name, "shop")
        shutil.copytree(released, folder)
        edit(folder, RATIO, RATIO + " * 3")
        words = [
            sys.executable,
            "-m",
            "headwater",
            "--project",
            str(folder),
            "run",
        ]  # a process that ends leaves nothing
        path = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}  # open that would be closed, and written, later
        assert subprocess.run(words, env=path, capture_output=True).returncode in (0, 1)
        for place, _, files in os.walk(folder):
            for file in files:
                Path(place, file).chmod(0o444)
            Path(place).chmod(0o555)
        yield folder
        for place, _, _ in os.walk(folder):
            Path(place).chmod(0o755)


def test_who_may_only_read_can_ask_everything(readonly: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in readonly.rglob("*")}
    answers = as_nobody(
        readonly, "incidents", "why model:shop/refund", "datasets", "trace model:shop/refund@champion",
        "audit verify --deep", "quarantine list", "remedy 1",
        "backfill orders --from 2024-01-20 --to 2024-01-20 --dry-run",
    )  # fmt: skip
    assert len(answers) == 8
    for words, code, told in answers:
        assert code == 0 and "error:" not in told, (words, told)
    assert {path: path.stat().st_mtime_ns for path in readonly.rglob("*")} == before


def test_who_may_only_read_is_told_so_when_writing(readonly: Path) -> None:
    answers = as_nobody(
        readonly, "run", "train", "release 1 --by x",
        "quarantine add orders --from 2024-01-20 --to 2024-01-20 --reason x",
        "backfill orders --from 2024-01-20 --to 2024-01-20", "sign 1 --side ml --as x", "remedy 1 --apply --by x",
    )  # fmt: skip
    assert len(answers) == 7
    for words, code, told in answers:
        assert code == 3 and re.search("writable|permission|read-only", told, re.I), (words, code, told)
