from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from headwater.adapters.sqlite_ledger import SqliteLedger
from headwater.core.errors import LedgerBroken, StorageError
from headwater.testing.ledger_suite import entry


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "ledger.db"


def filled(path: Path, count: int = 10) -> SqliteLedger:
    ledger = SqliteLedger(path)
    for number in range(count):
        ledger.append([entry(number)])
    return ledger


def tamper(path: Path, *statements: str) -> None:
    """Change the file as somebody with write access and SQLite would: the triggers go first."""
    with sqlite3.connect(path) as connection:
        for name in ("entries_no_update", "entries_no_delete", "entries_in_order"):
            connection.execute(f"DROP TRIGGER IF EXISTS {name}")
        for statement in statements:
            connection.execute(statement)
    connection.close()


def head(path: Path) -> dict[str, object]:
    return json.loads(path.with_suffix(".head").read_text())


def test_records_survive_reopening(path: Path) -> None:
    ledger = filled(path)
    records = list(ledger.read())
    ledger.close()
    again = SqliteLedger(path)
    assert list(again.read()) == records
    assert again.verify() == 10
    assert head(path) == {"seq": 10, "hash": records[-1].hash}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET body = '{}' WHERE seq = 3",
        "UPDATE entries SET seq = 30 WHERE seq = 3",
        "DELETE FROM entries",
        "REPLACE INTO entries SELECT seq, id, kind, subject, time, '{}', hash FROM entries WHERE seq = 3",
        "INSERT INTO entries SELECT 12, 'other', kind, subject, time, body, hash FROM entries WHERE seq = 3",
    ],
)
def test_the_file_itself_refuses_changes(path: Path, statement: str) -> None:
    filled(path)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"), sqlite3.connect(path) as connection:
        connection.execute(statement)
    assert SqliteLedger(path).verify() == 10


SWAP = (
    "UPDATE entries SET seq = -1 WHERE seq = 4",
    "UPDATE entries SET seq = 4 WHERE seq = 7",
    "UPDATE entries SET seq = 7 WHERE seq = -1",
)


@pytest.mark.parametrize(
    ("statements", "bad"),
    [
        (["UPDATE entries SET body = replace(body, '4', '5') WHERE seq = 5"], 5),
        (["UPDATE entries SET body = body || ' ' WHERE seq = 5"], 5),
        (["UPDATE entries SET subject = 'dataset:nyc/else' WHERE seq = 2"], 2),
        (["UPDATE entries SET kind = 'alias' WHERE seq = 10"], 10),
        (["UPDATE entries SET time = '2013-07-01T00:00:01.5+00:00' WHERE seq = 1"], 1),
        (["UPDATE entries SET hash = replace(hash, substr(hash, 1, 1), 'x') WHERE seq = 6"], 6),
        (["UPDATE entries SET id = 'ff' || substr(id, 3) WHERE seq = 6"], 6),
        (["DELETE FROM entries WHERE seq = 1"], 1),
        (["DELETE FROM entries WHERE seq = 8"], 8),
        (["DELETE FROM entries WHERE seq = 8", "UPDATE entries SET seq = seq - 1 WHERE seq > 8"], 8),
        (SWAP, 4),
        (["DELETE FROM entries WHERE seq = 10"], 10),
        (["DELETE FROM entries WHERE seq > 6"], 7),
        (["DELETE FROM entries"], 1),
    ],
)
def test_verify_names_the_first_bad_record(path: Path, statements: list[str], bad: int) -> None:
    filled(path).close()
    tamper(path, *statements)
    with pytest.raises(LedgerBroken, match=rf"record {bad} ") as caught:
        SqliteLedger(path).verify()
    assert caught.value.hint


def test_a_rewritten_chain_does_not_fit_the_head(path: Path, tmp_path: Path) -> None:
    filled(path, 5).close()
    other = SqliteLedger(tmp_path / "other.db")
    other.append([entry(number, forged=True) for number in range(6)])
    other.close()
    path.write_bytes((tmp_path / "other.db").read_bytes())
    with pytest.raises(LedgerBroken, match=r"record 5 .*rewritten"):
        SqliteLedger(path).verify()
    with pytest.raises(LedgerBroken, match=r"record 5 .*rewritten"):
        SqliteLedger(path).append([entry(99)])


def test_a_cut_tail_cannot_be_written_over(path: Path) -> None:
    filled(path).close()
    tamper(path, "DELETE FROM entries WHERE seq > 8")
    ledger = SqliteLedger(path)
    with pytest.raises(LedgerBroken, match=r"record 9 .*there were 10"):
        ledger.append([entry(n) for n in range(20, 30)])
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM entries").fetchone() == (8,)
    connection.close()


def test_a_lost_file_is_noticed(path: Path) -> None:
    filled(path).close()
    path.unlink()
    with pytest.raises(LedgerBroken, match="record 1 "):
        SqliteLedger(path).verify()
    with pytest.raises(LedgerBroken, match="record 1 "):
        SqliteLedger(path).append([entry(1)])


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"seq": 3}', b'{"seq": "x", "hash": "y"}', b"\xff"])
def test_a_lost_or_damaged_head_is_noticed(path: Path, content: bytes | None) -> None:
    filled(path).close()
    head_path = path.with_suffix(".head")
    head_path.unlink() if content is None else head_path.write_bytes(content)
    for act in (SqliteLedger.verify, lambda ledger: ledger.append([entry(50)])):
        with pytest.raises(LedgerBroken, match="head file"):
            act(SqliteLedger(path))


def test_a_head_that_lags_after_a_crash_is_fine_and_catches_up(path: Path) -> None:
    ledger = filled(path, 5)
    lagging = path.with_suffix(".head").read_bytes()
    ledger.append([entry(6), entry(7)])
    path.with_suffix(".head").write_bytes(lagging)
    assert SqliteLedger(path).verify() == 7
    [last] = SqliteLedger(path).append([entry(8)])
    assert head(path) == {"seq": 8, "hash": last.hash}


def test_a_head_that_cannot_be_written_does_not_undo_a_committed_record(path: Path) -> None:
    ledger = filled(path, 2)
    path.with_suffix(".head.new").mkdir()
    [record] = ledger.append([entry(5)])
    path.with_suffix(".head.new").rmdir()
    assert head(path)["seq"] == 2
    assert SqliteLedger(path).get(record.id) == record
    assert ledger.verify() == 3


def test_a_full_disk_writes_nothing_and_goes_on_afterwards(path: Path) -> None:
    ledger = filled(path, 3)
    [(pages,)] = ledger._connection.execute("PRAGMA page_count").fetchall()
    ledger._connection.execute(f"PRAGMA max_page_count = {pages + 5}")
    with pytest.raises(StorageError, match="disk is full") as caught:
        ledger.append([entry(10), entry(11, big="x" * 100_000)])
    assert caught.value.exit_code == 3 and "space" in str(caught.value.hint)
    assert ledger.verify() == 3
    ledger._connection.execute("PRAGMA max_page_count = 1000000")
    ledger.append([entry(10), entry(11, big="x" * 100_000)])
    assert ledger.verify() == SqliteLedger(path).verify() == 5


def test_a_locked_ledger_is_a_clear_error_after_patience(path: Path) -> None:
    filled(path, 1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    ledger = SqliteLedger(path, patience=0.05)
    with pytest.raises(StorageError, match="locked by another process") as caught:
        ledger.append([entry(2)])
    assert caught.value.hint
    assert [one.seq for one in ledger.read()] == [1], "reading goes on while another process writes"
    other.execute("ROLLBACK")
    assert ledger.append([entry(2)])[0].seq == 2


@pytest.mark.parametrize("content", [b"not a database, and longer than the header of one " * 10, b"short"])
def test_another_file_is_not_a_ledger(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StorageError, match="not a ledger"):
        SqliteLedger(path)
    assert path.read_bytes() == content


def test_another_database_is_not_a_ledger(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (a)")
    with pytest.raises(StorageError, match="not a ledger"):
        SqliteLedger(path)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]


def test_a_ledger_of_a_later_version_is_left_alone(path: Path) -> None:
    filled(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(StorageError, match="format 2"):
        SqliteLedger(path)


def test_a_damaged_file_is_a_clear_error(path: Path) -> None:
    filled(path, 200).close()
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 6] = b"\xaa" * 4096 * 3
    path.write_bytes(bytes(content))
    with pytest.raises((StorageError, LedgerBroken)):
        SqliteLedger(path).verify()


def test_a_folder_where_the_file_should_be(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StorageError) as caught:
        SqliteLedger(path)
    assert caught.value.hint


def as_nobody(act: Callable[[], object]) -> str:
    """Run ``act`` in a child that is not root and return what it raised or returned, as text."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            told = repr(act())
        except BaseException as error:
            told = f"{type(error).__name__}: {error}"
        os.write(writing, told.encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        return pipe.read()


@pytest.fixture(params=["open elsewhere", "closed", "killed"])
def readonly_ledger(request: pytest.FixtureRequest) -> object:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ledger = filled(folder / "ledger.db", 3)
        if request.param == "closed":
            ledger.close()
            assert not (folder / "ledger.db-wal").exists()
        if request.param == "killed":
            kept = {path.name: path.read_bytes() for path in folder.iterdir()}
            ledger.close()
            for left in (*kept, "ledger.db-shm"):
                (folder / left).write_bytes(kept[left])
            assert (folder / "ledger.db-wal").stat().st_size
        folder.chmod(0o555)
        for file in folder.iterdir():
            file.chmod(0o444)
        yield folder / "ledger.db"
        folder.chmod(0o755)
        ledger.close()


def test_a_readonly_ledger_can_be_read_and_refuses_clearly(readonly_ledger: Path) -> None:
    assert stat.S_IMODE(readonly_ledger.stat().st_mode) == 0o444
    assert as_nobody(lambda: len(list(SqliteLedger(readonly_ledger).read()))) == "3"
    told = as_nobody(lambda: SqliteLedger(readonly_ledger).append([entry(9)]))
    assert told.startswith("StorageError") and "read-only" in told and "hint: make the file" in told
    told = as_nobody(lambda: SqliteLedger(readonly_ledger.parent / "new" / "ledger.db"))
    assert told.startswith("StorageError") and "hint:" in told


def test_a_forked_child_appends_with_its_own_connection(path: Path) -> None:
    ledger = filled(path, 1)
    child = os.fork()
    if child == 0:
        try:
            inherited = ledger._connection
            ledger.append([entry(7)])
            os._exit(int(ledger._connection is inherited))
        except BaseException:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    ledger.append([entry(8)])
    assert ledger.verify() == 3


WRITER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from headwater.adapters.sqlite_ledger import SqliteLedger
    from headwater.testing.ledger_suite import entry
    ledger, start, count = SqliteLedger(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
    for number in range(start, start + count):
        for record in ledger.append([entry(number), entry(number, second=True, padding="x" * (number % 7) * 500)]):
            print(record.seq, record.id, flush=True)
    """
)


def writer(path: Path, start: int, count: int) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WRITER, str(path), str(start), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)


def acknowledged(output: bytes) -> list[tuple[int, str]]:
    """Whole lines only: the last one may be cut by the kill."""
    lines = [line.split() for line in output.decode().splitlines(keepends=True) if line.endswith("\n")]
    return [(int(seq), record_id) for seq, record_id in lines]


def test_no_acknowledged_record_is_lost_on_kill_9(path: Path) -> None:
    rng = random.Random(9)
    known: dict[int, str] = {}
    for round_number in range(8):
        child = writer(path, 100_000 * round_number, 100_000)
        assert child.stdout is not None
        told = child.stdout.readline()  # it is at work now
        with ThreadPoolExecutor(1) as pool:
            rest = pool.submit(child.stdout.read)
            try:
                child.wait(timeout=rng.uniform(0.0, 0.25))
            except subprocess.TimeoutExpired:
                os.kill(child.pid, signal.SIGKILL)
            told += rest.result()
        child.stdout.close()
        assert child.wait() == -signal.SIGKILL
        fresh = acknowledged(told)
        assert fresh, "the child acknowledged nothing"
        known.update(fresh)
        ledger = SqliteLedger(path)
        records = {record.seq: record.id for record in ledger.read()}
        assert known.items() <= records.items()
        assert ledger.verify() == len(records)
        assert len(records) % 2 == 0, "an append was half there"
        kept = head(path)["seq"]
        assert isinstance(kept, int) and len(records) - kept in (0, 2)
        ledger.close()


def test_several_processes_append_at_once(path: Path) -> None:
    children = [writer(path, 1000 * number, 40) for number in (1, 2, 2)]  # two of them write the same
    told = [acknowledged(child.communicate(timeout=120)[0]) for child in children]
    assert [child.returncode for child in children] == [0, 0, 0]
    ledger = SqliteLedger(path)
    assert ledger.verify() == 160
    assert told[1] == told[2]
    assert dict(told[0] + told[1]) == {record.seq: record.id for record in ledger.read()}
    assert head(path)["seq"] == 160


@pytest.mark.parametrize("left", ["nothing", "an empty file", "no records", "fewer records"])
def test_a_ledger_that_lost_records_does_not_read_as_one_that_has_few(path: Path, left: str) -> None:
    ledger = SqliteLedger(path)
    [*_, last] = ledger.append([entry(number) for number in range(5)])
    ledger.close()
    if left in ("nothing", "an empty file"):
        for beside in path.parent.glob("ledger.db*"):
            beside.unlink()
        if left == "an empty file":
            path.touch()
    else:
        with sqlite3.connect(path) as connection:
            connection.execute("DROP TRIGGER entries_no_delete")
            connection.execute("DELETE FROM entries WHERE seq > ?", (0 if left == "no records" else 3,))
        connection.close()
    for read in (lambda found: list(found.read()), lambda found: found.get(last.id)):
        with pytest.raises(LedgerBroken, match="there were 5"):
            read(SqliteLedger(path))
