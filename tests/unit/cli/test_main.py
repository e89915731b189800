"""The front door: errors become three lines and an exit code."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys

import click
import pytest

from headwater.cli import main as door
from headwater.core.errors import ContractBroken, HeadwaterError, StorageError, UnknownName


def raising(error: BaseException) -> click.Command:
    @click.command("datasets")
    @click.option("--json", "as_json", is_flag=True)
    def command(as_json: bool) -> None:
        raise error

    return command


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Let the command `datasets` end with an error, and return its exit code."""
    monkeypatch.delenv("HEADWATER_DEBUG", raising=False)

    def run(error: BaseException, *options: str) -> int:
        monkeypatch.setattr("headwater.cli.datasets.command", raising(error))
        return door.attempt(["datasets", *options])

    return run


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ContractBroken("`weather` broke its contract"), 1),
        (UnknownName.of("dataset", "wether", ["weather"]), 2),
        (StorageError("the store is gone"), 3),
        (OSError(errno.ENOSPC, "No space left on device", "ledger.db"), 3),
        (PermissionError(errno.EACCES, "Permission denied", "tables"), 3),
        (RuntimeError("surprise"), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_codes(fails, error, code, capsys) -> None:  # type: ignore[no-untyped-def]
    assert fails(error) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert "Traceback" not in said.err


def test_an_error_has_three_lines(fails, capsys) -> None:  # type: ignore[no-untyped-def]
    fails(HeadwaterError("it broke", doing="checking `weather`", hint="look again"))
    assert capsys.readouterr().err == "error: it broke\n  while: checking `weather`\nhint: look again\n"


def test_a_full_disk_says_so(fails, capsys) -> None:  # type: ignore[no-untyped-def]
    fails(OSError(errno.ENOSPC, "No space left on device", "ledger.db"))
    assert "the disk is full: ledger.db" in capsys.readouterr().err


def test_the_unforeseen_is_one_line_and_a_way_to_the_traceback(fails, capsys, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    fails(RuntimeError("two\nlines"))
    said = capsys.readouterr().err
    assert said.startswith("error: RuntimeError: two lines\n")
    assert "HEADWATER_DEBUG=1" in said
    monkeypatch.setenv("HEADWATER_DEBUG", "1")
    with pytest.raises(RuntimeError):
        fails(RuntimeError("two\nlines"))


def test_what_is_no_exception_is_told_too(fails, capsys) -> None:  # type: ignore[no-untyped-def]
    fails(type("Panic", (BaseException,), {})("index out of bounds"))
    assert capsys.readouterr().err.startswith("error: Panic: index out of bounds\n")


def test_json_carries_the_error(fails, capsys) -> None:  # type: ignore[no-untyped-def]
    fails(UnknownName.of("dataset", "wether", ["weather"]), "--json")
    told = json.loads(capsys.readouterr().out)["error"]
    assert told["code"] == "unknown-name"
    assert "did you mean `weather`?" in told["hint"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["incidens"], "did you mean `headwater incidents`?"),
        (["zzz"], "headwater --help"),
        (["run", "--windo", "2013-07-01"], "did you mean `--window`?"),
        (["why"], "headwater why --help"),
        (["sign", "1", "--side", "ops", "--as", "x"], "headwater sign --help"),
        (["run", "--from", "2013-07-01"], "--from FIRST --to LAST"),
        (["trace", "model:x/y", "--as-of", "yesterday"], "2013-07-01T00:00:00+00:00"),
        (["trace", "model:x/y", "--as-of", "2013-07-01"], "offset"),
        (["quarantine", "add", "x"], "headwater quarantine add --help"),
    ],
)
def test_mistyping_is_exit_code_2_with_a_way_on(words, hint, capsys, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    assert door.attempt(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert hint in said.err.splitlines()[-1]


def test_outside_a_project_every_command_says_so(tmp_path, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    for words in (["datasets"], ["incidents"], ["audit", "verify"], ["quarantine"], ["--project", ".", "datasets"]):
        assert door.attempt(words) == 2
        assert "headwater.yaml" in capsys.readouterr().err


def test_a_reader_that_leaves_is_not_an_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-m", "headwater", "--help"], stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (done.returncode, done.stderr) == (door.BROKEN_PIPE, b"")


def test_version_and_help_are_fine(capsys) -> None:  # type: ignore[no-untyped-def]
    assert door.attempt(["--version"]) == 0
    assert door.attempt(["run", "--help"]) == 0
    assert door.attempt([]) == 2 or "Usage" in capsys.readouterr().out


def test_the_list_of_commands_cuts_no_sentence_off(capsys: pytest.CaptureFixture[str]) -> None:
    assert door.attempt(["--help"]) == 0
    listed = capsys.readouterr().out.partition("Commands:")[2]
    assert "profile" in listed and "..." not in listed
