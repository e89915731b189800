"""What a table store must survive: damage, a full disk, a killed writer, two writers, other readers."""

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import polars as pl
import pytest
from deltalake import DeltaTable

from headwater.adapters.delta_tables import DeltaTables
from headwater.core.errors import CorruptTable, StorageError
from headwater.stats.frames.content import content_hash


def frame(number, rows=3):
    return pl.DataFrame({"x": [number + index / 8 for index in range(rows)], "name": [f"n{number}"] * rows})


@pytest.fixture
def tables(tmp_path):
    store = DeltaTables(tmp_path / "tables")
    store.write("trips", {f"2013-07-{day:02}": frame(day) for day in range(1, 5)}, run_id="r1")
    return store


def file_of(tables, key):
    return next((tables.folder / "trips").glob(f"_window={key}/*.parquet"))


def anew(tables):
    return DeltaTables(tables.folder)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-50])


def overwrite_inside(path):
    content = bytearray(path.read_bytes())
    content[4:60] = bytes(56)
    path.write_bytes(content)


def put_other_rows(path):
    """Valid parquet of the right length with another window's rows: only the content hash can tell."""
    others = [file for file in path.parents[1].glob("_window=*/*.parquet") if file != path]
    same = [file for file in others if file.stat().st_size == path.stat().st_size]
    path.write_bytes(same[0].read_bytes())


@pytest.mark.parametrize("damage", [os.unlink, truncate, overwrite_inside, put_other_rows])
def test_a_damaged_file_is_named_and_mended_by_a_backfill(tables, damage):
    path = file_of(tables, "2013-07-02")
    before = tables.version("trips")
    damage(path)
    store = anew(tables)
    keys = ["2013-07-01", "2013-07-02", "2013-07-03"]
    with pytest.raises(CorruptTable) as caught:
        store.read("trips", keys)
    assert "`trips`, window `2013-07-02`" in caught.value.message and str(path) in caught.value.message
    assert "headwater backfill trips --from 2013-07-02 --to 2013-07-02" in caught.value.hint
    with pytest.raises(CorruptTable):
        anew(tables).verify("trips")
    assert store.read("trips", ["2013-07-01", "2013-07-03"]).height == 6, "the other windows are still readable"
    mended = store.write("trips", {"2013-07-02": frame(2)}, run_id="backfill")
    assert mended.version == before + 1, "the same content must be written again when the stored file is damaged"
    assert anew(tables).read("trips", keys).height == 9 and anew(tables).verify("trips") == 4


@pytest.mark.parametrize("damage", [os.unlink, truncate, overwrite_inside, put_other_rows])
def test_a_file_that_is_damaged_after_it_was_read_is_not_served_from_memory(tables, damage):
    for _ in range(2):
        assert tables.read("trips", ["2013-07-02"]).height == 3
    damage(file_of(tables, "2013-07-02"))
    for _ in range(2):
        with pytest.raises(CorruptTable, match="2013-07-02"):
            tables.read("trips", ["2013-07-02"])
    tables.write("trips", {"2013-07-02": frame(2)}, run_id="backfill")
    assert tables.read("trips", ["2013-07-02"]).height == 3


@pytest.mark.parametrize("writes", [1, 2, 13])
def test_a_table_that_was_removed_and_made_anew_is_seen_as_it_is_now(tables, writes):
    """With as many versions as before, or fewer, or more: nothing of the old table is remembered."""
    tables.write("trips", {"2013-07-09": frame(9)}, run_id="r2")
    assert len(tables.keys("trips", 0)) == 4
    shutil.rmtree(tables.folder / "trips")
    other = anew(tables)
    for number in range(writes):
        other.write("trips", {f"2014-01-{number + 1:02}": frame(number)}, run_id="new")
    assert tables.keys("trips") == other.keys("trips") and tables.version("trips") == writes - 1
    assert tables.keys("trips", 0) == ["2014-01-01"]
    assert tables.read("trips", ["2013-07-01"]) is None and tables.read("trips", ["2014-01-01"]).height == 3
    assert tables.write("trips", {"2014-02-01": frame(1)}, run_id="r3").version == writes


def test_verify_looks_again_at_what_was_read_before(tables):
    assert tables.verify("trips") == 4
    put_other_rows(file_of(tables, "2013-07-03"))
    with pytest.raises(CorruptTable, match="2013-07-03"):
        tables.verify("trips")


@pytest.mark.parametrize("text", ["", "not json", '{"add": {"path": 1}}'])
def test_a_damaged_log_is_named(tables, text):
    (tables.folder / "trips/_delta_log" / f"{0:020}.json").write_text(text)
    with pytest.raises(CorruptTable, match=r"the log in .* is damaged") as caught:
        anew(tables).keys("trips")
    assert "backfill trips" in caught.value.hint


def test_rows_that_something_else_wrote_are_refused_by_name(tables):
    from deltalake import write_deltalake

    write_deltalake(tables.folder / "trips", frame(9).with_columns(_window=pl.lit("2013-07-09")), mode="append")
    with pytest.raises(CorruptTable, match="2013-07-09` was written by something else"):
        tables.keys("trips")


def test_other_readers_see_a_plain_delta_table(tables):
    tables.write("trips", {"2013-07-05": pl.DataFrame({"x": ["n/a"], "extra": [True]})}, run_id="r2")
    table = DeltaTable(tables.folder / "trips")
    seen = pl.read_delta(str(tables.folder / "trips"))
    assert seen.height == 13 and seen["_window"].n_unique() == 5
    assert {"x", "x__string", "name", "extra", "_window"} == set(seen.columns)
    assert seen.filter(pl.col("_window") == "2013-07-05").select("x", "x__string").rows() == [(None, "n/a")]
    last, first = table.history()
    assert first["runId"] == "r1" and last["runId"] == "r2"
    assert json.loads(last["rows"]) == {"2013-07-05": 1}
    assert json.loads(last["contents"]) == {"2013-07-05": tables.content("trips", "2013-07-05")}
    settings = table.metadata().configuration
    assert settings["delta.enableExpiredLogCleanup"] == "false", "old versions must stay readable"


def test_versions_survive_checkpoints(tables):
    versions = [tables.write("trips", {"2013-07-01": frame(n)}, run_id=f"r{n}").version for n in range(10, 115)]
    assert list((tables.folder / "trips/_delta_log").glob("*.checkpoint*.parquet")), "there is no checkpoint to test"
    store = anew(tables)
    for number, version in list(zip(range(10, 115), versions, strict=True))[::26]:
        assert content_hash(store.read("trips", ["2013-07-01"], version)) == content_hash(frame(number))


def test_a_commit_that_came_through_counts_even_if_the_checkpoint_after_it_fails(tables):
    for number in range(99):
        tables.write("trips", {"2013-07-01": frame(100 + number)}, run_id="r")
    assert tables.version("trips") == 99
    blocked = tables.folder / "trips/_delta_log" / f"{100:020}.checkpoint.parquet"
    (blocked / "in the way").mkdir(parents=True)
    written = tables.write("trips", {"2013-07-01": frame(7)}, run_id="r")
    assert written.version == tables.version("trips") == 100
    assert content_hash(tables.read("trips", ["2013-07-01"])) == content_hash(frame(7))


def test_a_handle_sees_what_another_wrote(tables):
    other = anew(tables)
    other.write("trips", {"2013-07-09": frame(9)}, run_id="r2")
    assert tables.keys("trips")[-1] == "2013-07-09" and tables.version("trips") == 1
    tables.write("trips", {"2013-07-10": frame(10)}, run_id="r3")
    assert other.keys("trips")[-2:] == ["2013-07-09", "2013-07-10"]


WRITER = """
    import sys, polars as pl
    from pathlib import Path
    from headwater.adapters.delta_tables import DeltaTables
    store, name, first = DeltaTables(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
    print("ready", flush=True)
    for number in range(first, first + int(sys.argv[4])):
        frames = {f"{name}{window}": pl.DataFrame({"x": [number] * 2000, "w": [window] * 2000}) for window in range(3)}
        print(store.write("trips", frames, run_id=f"{name}{number}").version, flush=True)
"""


def start_writer(folder, name, first, count):
    source = [os.path.abspath(path) for path in sys.path if path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(source), "POLARS_MAX_THREADS": "1"}
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(folder), name, str(first), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def whole(store):
    """Check that every window of every version is all of one write."""
    for version in range(store.version("trips") + 1):
        for name in {key[0] for key in store.keys("trips", version)}:
            read = store.read("trips", [f"{name}{window}" for window in range(3)], version)
            assert read.height == 6000 and read["x"].n_unique() == 1, f"version {version} is half a write"


def test_a_killed_writer_leaves_the_last_version(tmp_path):
    acknowledged, first = -1, 0
    for round_ in range(5):
        process = start_writer(tmp_path, "a", first, 10_000)
        assert process.stdout.readline() == "ready\n"
        lines = [process.stdout.readline() for _ in range(round_)]
        time.sleep(0.03 + 0.011 * round_)
        process.send_signal(signal.SIGKILL)
        lines += process.communicate()[0].split()
        acknowledged = max([acknowledged, *map(int, lines)])
        store = DeltaTables(tmp_path)
        newest = store.version("trips")
        assert (-1 if newest is None else newest) >= acknowledged, "an acknowledged write is gone"
        first += 100_000
    assert acknowledged >= 9, "every round but the first writes before it is killed"
    store.write("trips", {"a0": pl.DataFrame({"x": [1]})}, run_id="after")
    store.write("trips", {f"a{w}": pl.DataFrame({"x": [0] * 2000, "w": [w] * 2000}) for w in range(3)}, run_id="after")
    assert DeltaTables(tmp_path).verify("trips") == 3


def test_two_writers_take_turns(tmp_path):
    processes = [start_writer(tmp_path, name, 0, 8) for name in "ab"]
    answers = [process.communicate()[0].split()[1:] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(int(version) for lines in answers for version in lines) == list(range(16))
    whole(DeltaTables(tmp_path))


@contextlib.contextmanager
def small_disk(folder, size):
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if made.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root; the file-size limit is tested anyway")
def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path):
    with small_disk(tmp_path / "disk", "1m") as disk:
        store = DeltaTables(disk)
        reserve = disk / "reserve"
        reserve.write_bytes(bytes(50_000))
        good = pl.DataFrame({"x": list(os.urandom(20_000))})
        store.write("trips", {"1": good}, run_id="r1")
        for attempt in range(30):
            with contextlib.suppress(StorageError):
                store.write("trips", {f"more{attempt}": pl.DataFrame({"x": list(os.urandom(40_000))})}, run_id="r")
        with pytest.raises(StorageError, match="cannot be written") as caught:
            store.write("trips", {"1": pl.DataFrame({"x": list(os.urandom(900_000))})}, run_id="r2")
        assert "room" in caught.value.hint
        for reader in (store, DeltaTables(disk)):
            assert content_hash(reader.read("trips", ["1"])) == content_hash(good)
            assert reader.verify("trips") == len(reader.keys("trips")) > 5
        listed = {path for _, path in named_files(store)}
        assert {str(path) for path in (disk / "trips").glob("_window=*/*")} == listed, "files of failed writes stay"
        filler = disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(512))
        with pytest.raises(StorageError):
            DeltaTables(disk).write("fresh", {"1": good}, run_id="r3")
        assert "fresh" not in store.datasets() and store.keys("fresh") == []
        filler.unlink()
        reserve.unlink()
        assert store.write("fresh", {"1": good[:10]}, run_id="r4").version == 0


def named_files(store):
    table = DeltaTable(store.folder / "trips")
    listing = pl.DataFrame(table.get_add_actions(flatten=True))
    return [
        (key, str(store.folder / "trips" / path)) for key, path in listing.select("partition._window", "path").rows()
    ]


def test_a_write_that_the_system_cuts_off_is_said(tables):
    """The limit on a file's size stands for a disk that fills up in the middle of a file."""
    before = tables.version("trips")
    big = pl.DataFrame({"x": list(os.urandom(300_000))})
    code = f"""
        import os, resource, polars as pl
        from pathlib import Path
        from headwater.adapters.delta_tables import DeltaTables
        from headwater.core.errors import StorageError
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        store = DeltaTables(Path({str(tables.folder)!r}))
        try:
            store.write("trips", {{"2013-07-01": pl.DataFrame({{"x": list(os.urandom({big.height}))}})}}, run_id="r")
        except StorageError as error:
            print(error.code, store.read("trips", ["2013-07-01"]).height)
    """
    source = [os.path.abspath(path) for path in sys.path if path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(source)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, env=environment
    )
    assert done.stdout.split() == ["storage", "3"], done.stderr
    assert resource.getrlimit(resource.RLIMIT_FSIZE) != (100_000, 100_000)
    assert tables.version("trips") == before and anew(tables).verify("trips") == 4


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_said(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StorageError, match="cannot be written"):
        DeltaTables(tmp_path / "tables").write("trips", {"1": frame(1)}, run_id="r")


def test_a_file_in_place_of_the_folder_is_said(tmp_path):
    (tmp_path / "tables").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        DeltaTables(tmp_path / "tables").write("trips", {"1": frame(1)}, run_id="r")
