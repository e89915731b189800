"""The benchmark's own errors: said before anything is played."""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.app.bench import silent_failures, tables
from headwater.core.errors import OutsideError, ProjectInvalid, UnknownName, UsageError
from headwater.testing.silent_failures import pipelines


def test_a_pipeline_that_there_is_not_is_told_from_one_that_is() -> None:
    with pytest.raises(UnknownName, match="fligts") as told:
        silent_failures(["fligts"])
    assert "flights" in (told.value.hint or "")
    with pytest.raises(UsageError, match="cannot be loaded"):
        silent_failures(["headwater.testing.webshop:ENTRY"])
    with pytest.raises(UsageError, match="not an Entry"):
        silent_failures(["headwater.testing.webshop:build"])


def test_a_detective_that_there_is_not_is_said_at_once() -> None:
    with pytest.raises(UnknownName, match="holmes"):
        silent_failures(["flights"], detectives=["holmes"])


def test_an_entry_is_checked_before_anything_is_played() -> None:
    with pytest.raises(ProjectInvalid, match="onset 2024-01-11T20 has 3 live windows before it"):
        silent_failures(["unit.testing.silent_failures.shop_entry:ENTRY"])


def test_a_module_that_breaks_is_told_by_its_error(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "broken_entry.py").write_text("ENTRY = {}['units']")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UsageError, match="KeyError: 'units'"):
        silent_failures(["broken_entry:ENTRY"])


def test_data_that_is_not_there_is_asked_for_by_name(tmp_path: Path) -> None:
    with pytest.raises(OutsideError, match="hotel_bookings"):
        silent_failures(["hotel"], data=tmp_path)


def test_without_its_data_a_pipeline_is_passed_over_unless_asked_for(tmp_path: Path, monkeypatch) -> None:
    from headwater.app import bench

    monkeypatch.setenv(bench.VARIABLE, str(tmp_path))
    entries, skipped = bench._loaded(["flights", "hotel"], explicit=False)
    assert list(entries) == ["flights"] and "hotel_bookings" in skipped["hotel"]


def test_every_pipeline_that_comes_along_has_its_place() -> None:
    assert {"flights", "hotel", "taxi", "wide100"} <= set(pipelines.NAMES)
    assert tables([]) == {}


def test_what_a_killed_run_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    import os
    import subprocess
    import sys

    from headwater.app import bench

    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    names = [f"silent-failures-{gone.pid}-a", f"silent-failures-{os.getpid()}-b", "silent-failures-c", "other-1-d"]
    for name in names:
        (tmp_path / name).mkdir()
    bench._sweep(tmp_path)
    assert {item.name for item in tmp_path.iterdir()} == set(names[1:])


def test_a_worker_ends_when_what_started_it_was_killed() -> None:
    import os
    import subprocess
    import sys
    import time

    code = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from headwater.app.bench import _follow
if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_follow, initargs=(os.getpid(),))
    print(pool.submit(os.getpid).result(), flush=True)
    time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    os.kill(worker, 0)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(200):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    os.kill(worker, 9)
    raise AssertionError("the worker lived on")
