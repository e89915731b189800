"""What is printed: JSON for programs, tables for people, no colour when asked."""

from __future__ import annotations

import json

import pytest

from headwater.cli import screen

ROWS = [{"name": "weather", "rows": 26115, "owner": None}, {"name": "[planes]", "rows": 3322, "owner": None}]


def test_json_is_the_answer_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    screen.answer({"a": [1, {"ö": None}]}, as_json=True)
    said = capsys.readouterr()
    assert json.loads(said.out) == {"a": [1, {"ö": None}]}
    assert said.err == ""


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        [],
        "done",
        3,
        ROWS,
        {"state": "open", "rows": ROWS, "deep": {"a": {"b": [1, 2]}}},
        [1, "two"],
        [[1], [2]],
    ],
)
def test_any_plain_data_can_be_drawn(answer: object, capsys: pytest.CaptureFixture[str]) -> None:
    screen.answer(answer, as_json=False)
    assert "Traceback" not in capsys.readouterr().out


def test_tables_leave_empty_columns_out_and_do_not_obey_markup(capsys: pytest.CaptureFixture[str]) -> None:
    screen.answer(ROWS, as_json=False)
    said = capsys.readouterr().out
    assert "[planes]" in said
    assert "owner" not in said


def test_no_colour_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    screen.answer(ROWS, as_json=False)
    assert "\x1b" not in capsys.readouterr().out


def test_no_color_is_obeyed_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert screen.coloured(Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not screen.coloured(Terminal())
    assert screen.console().no_color


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "yes"), (0.123456, "0.1235"), (12345.6, "12,346"), (["a", 1], "a, 1"), (None, "[dim]–[/]")],
)
def test_cells(value: object, text: str) -> None:
    assert screen.cell(value) == text


def test_what_is_no_number_is_no_markup_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert screen.amount(None, "euro") == screen.amount("") == "–"
    screen.facts(screen.console(), {"gain": screen.amount(None), "rows": [{"gain": screen.amount(None), "in": []}]})
    said = capsys.readouterr().out
    assert "[" not in said and "gain  –" in said
