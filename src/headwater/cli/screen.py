"""What is printed: data for people or as JSON on stdout, talk and errors on stderr."""

from __future__ import annotations

import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any, TextIO

import click

from headwater.core.errors import HeadwaterError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_OUT = "headwater.stdout"
_LONG = 200
"""How many characters of an endless word an error repeats."""
_ENDLESS = re.compile(rf"\S{{{2 * _LONG},}}")
NOTHING = "–"
"""Stands where there is no value."""
SHORT = 12
"""How much of a content hash people are shown."""


def coloured(stream: Any) -> bool:
    """Say whether ``stream`` takes colours: a terminal, and NO_COLOR is not set."""
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR")


def console(*, talk: bool = False) -> Console:
    """Return a rich console on stdout, or on stderr for talk and progress."""
    from rich.console import Console

    out: TextIO | None = None if talk else stdout()
    # A pipe has no width of its own: wide enough that the widest table keeps its names whole.
    width = None if (out or sys.stderr).isatty() or os.environ.get("COLUMNS") else 200
    return Console(
        file=out, stderr=talk, no_color=bool(os.environ.get("NO_COLOR")) or None, highlight=False, width=width
    )


def data(value: Any) -> None:
    """Print a value as one JSON document on stdout."""
    click.echo(json.dumps(_finite(value), indent=2, ensure_ascii=False, default=str, allow_nan=False), file=stdout())


def _finite(value: Any) -> Any:
    """Put null where JSON has no number: NaN and the infinities."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def stdout() -> TextIO:
    """Return the stream for answers, also while a project's own prints are kept out of them."""
    context = click.get_current_context(silent=True)
    kept: TextIO | None = None if context is None else context.find_root().meta.get(_OUT)
    return kept or sys.stdout


def keep_stdout() -> None:
    """Send what a project's functions print to stderr until the command ends: stdout is for the answer alone."""
    root = click.get_current_context().find_root()
    if _OUT not in root.meta:
        root.meta[_OUT] = sys.stdout
        root.with_resource(redirect_stdout(sys.stderr))


def talk(text: str) -> None:
    """Say something to the person at the terminal, on stderr."""
    click.echo(text, err=True)


def complain(error: HeadwaterError) -> None:
    """Say an error on stderr in the house's three lines: error, while, hint."""
    plain = not coloured(sys.stderr)

    def say(label: str, text: str, colour: str) -> None:
        click.echo((label if plain else click.style(label, fg=colour, bold=True)) + " " + tame(text), err=True)

    say("error:", error.message, "red")
    if error.doing:
        say("  while:", error.doing, "yellow")
    if error.hint:
        say("hint:", error.hint, "cyan")


def tame(text: str) -> str:
    """Shorten what is endless in a text and spell out what would steer a terminal."""
    text = _ENDLESS.sub(lambda found: f"{found[0][:_LONG]}...", text)
    return "".join(one if one.isprintable() or one == "\n" else one.encode("unicode_escape").decode() for one in text)


@contextmanager
def progress(what: str) -> Iterator[Callable[[str], None]]:
    """Show what is being done on stderr while it is done, if somebody watches; yields what to tell each step to."""
    if not sys.stderr.isatty():
        yield lambda step: None
        return
    with console(talk=True).status(what) as status:
        yield lambda step: status.update(f"{what} [dim]{step}[/]")


def answer(value: Any, as_json: bool, draw: Callable[[Console, Any], None] | None = None) -> None:
    """Print a command's answer: JSON if asked, else drawn for people."""
    if as_json:
        data(value)
    elif draw is None:
        facts(console(), value)
    else:
        draw(console(), value)


def facts(out: Console, value: Any) -> None:
    """Print plain data of any shape: a mapping as labelled lines, a list of mappings as a table."""
    if isinstance(value, Mapping):
        lines = {key: item for key, item in value.items() if not _nested(item) and item not in (None, "", [], {})}
        if lines:
            out.print(labelled(lines))
        for key, item in value.items():
            if _nested(item):
                out.print()
                out.print(f"[bold]{words(key)}[/]")
                facts(out, item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        rows = [item if isinstance(item, Mapping) else {"": item} for item in value]
        out.print(table(rows) if rows else "[dim]none[/]")
    elif value is not None:
        out.print(cell(value))


def labelled(lines: Mapping[str, Any]) -> RenderableType:
    """Return labels and values side by side."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for key, item in lines.items():
        grid.add_row(words(key), cell(item))
    return grid


def table(rows: Sequence[Mapping[str, Any]], columns: Iterable[str] | None = None, title: str = "") -> RenderableType:
    """Return rows as a table; columns that are empty everywhere are left out."""
    from rich import box
    from rich.table import Table

    names = list(columns) if columns is not None else list(dict.fromkeys(key for row in rows for key in row))
    names = [name for name in names if any(row.get(name) not in (None, "", [], {}) for row in rows)]
    made = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", title_style="bold", pad_edge=False)
    for name in names:
        numeric = all(isinstance(row.get(name), (int, float, type(None))) for row in rows)
        numeric = numeric and not any(isinstance(row.get(name), bool) for row in rows)
        made.add_column(words(name), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        made.add_row(*(cell(row.get(name)) for name in names))
    return made


def cell(value: Any) -> str:
    """Write one value for people: short hashes, four figures, lists with commas; markup in it is not obeyed."""
    from rich.markup import escape

    if value is None or value == "":
        return f"[dim]{NOTHING}[/]"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return figure(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{words(key)} {cell(item)}" for key, item in value.items()) or f"[dim]{NOTHING}[/]"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(cell(item) for item in value) or f"[dim]{NOTHING}[/]"
    return escape(shorten(str(value)))


def figure(value: float) -> str:
    """Write a number with four figures.

    Example:
        >>> figure(1234.5), figure(0.123456)
        ('1,234', '0.1235')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def shorten(text: str) -> str:
    """Cut a bare content hash to the part people compare.

    Example:
        >>> shorten("a" * 64)
        'aaaaaaaaaaaa'
        >>> shorten("dataset:nyc/weather")
        'dataset:nyc/weather'
    """
    whole = len(text) in (40, 64) and all(letter in "0123456789abcdef" for letter in text)
    return text[:SHORT] if whole else text


def percent(value: Any) -> str:
    """Write a share as a percentage that never rounds up to certainty; what is no number stays as it is.

    Example:
        >>> percent(0.974), percent(0.9996), percent(1.0)
        ('97 %', 'over 99 %', '100 %')
    """
    if not isinstance(value, (int, float)):
        return str(value)
    return "over 99 %" if 0.995 <= value < 1 else f"{value * 100:.0f} %"


def amount(value: Any, unit: str = "", low: Any = None, high: Any = None) -> str:
    """Write a number with its unit and its interval, as plain text that `cell` is still to escape.

    Example:
        >>> amount(1234.5, "seat-minutes", 1000, 1500)
        '1,234 seat-minutes (1,000 to 1,500)'
    """
    if not isinstance(value, (int, float)):
        return NOTHING if value in (None, "") else str(value)
    interval = f" ({figure(float(low))} to {figure(float(high))})" if low is not None and high is not None else ""
    return f"{figure(float(value))} {unit}".rstrip() + interval


def words(name: str) -> str:
    """Write a field's name as words.

    Example:
        >>> words("start_window")
        'start window'
    """
    return str(name).replace("_", " ")


def _nested(item: Any) -> bool:
    if isinstance(item, Mapping):
        return bool(item) and (len(item) > 4 or any(isinstance(part, (Mapping, list)) for part in item.values()))
    return isinstance(item, (list, tuple)) and any(isinstance(part, Mapping) for part in item)
