"""`profile` and `compare`: tables in files, without a project."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from headwater.cli import main as door


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    random = np.random.default_rng(3)
    frame = pl.DataFrame({"temp": random.normal(70, 5, 6000), "station[/]": random.choice(["a", "b"], 6000)})
    frame[:5000].write_parquet(tmp_path / "old.parquet")
    frame[5000:].write_parquet(tmp_path / "same.parquet")
    frame[5000:].with_columns((pl.col("temp") - 32) / 1.8).write_parquet(tmp_path / "celsius.parquet")
    (tmp_path / "broken.parquet").write_text("nothing")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_file_is_profiled(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert door.attempt(["profile", "old.parquet", "--html", "old.html"]) == 0
    shown = capsys.readouterr()
    assert "5,000 rows" in shown.out and "station[/]" in shown.out and "old.html" in shown.err
    assert (files / "old.html").read_text().startswith("<!doctype html>")
    assert door.attempt(["profile", "old.parquet", "--columns", "temp", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told["columns"]) == ["temp"] and told["columns"]["temp"]["mean"] == pytest.approx(70, abs=1)


def test_two_files_are_compared_and_a_break_is_exit_code_1(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert door.attempt(["compare", "old.parquet", "same.parquet"]) == 0
    assert "As it was" in capsys.readouterr().out
    assert door.attempt(["compare", "old.parquet", "celsius.parquet", "--json", "--html", "c.html"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [item["column"] for item in told["changes"]] == ["temp"] and told["diagnoses"][0]["fault"] == "unit"
    assert (files / "c.html").exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["profile", "nowhere.parquet"], 2),
        (["profile", "broken.parquet"], 3),
        (["profile", "old.parquet", "--columns", "tmep"], 2),
        (["compare", "old.parquet", "nowhere.parquet"], 2),
        (["compare", "old.parquet", "broken.parquet"], 3),
        (["compare", "old.parquet", "same.parquet", "--time", "temp"], 2),
        (["compare", "old.parquet", "same.parquet", "--key", "id"], 2),
        (["profile", "old.parquet", "--html", "old.parquet/x.html"], 3),
    ],
    ids=lambda item: " ".join(item) if isinstance(item, list) else None,
)
def test_mistakes_end_with_their_exit_code(
    files: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int
) -> None:
    assert door.attempt(words) == code
    assert "hint:" in capsys.readouterr().err
