"""Profile a table that lies in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from headwater.cli import options, screen

if TYPE_CHECKING:
    from rich.console import Console


@click.command("profile", short_help="Show what a table in a file holds, column by column.")
@click.argument("table", metavar="TABLE")
@click.option("--columns", metavar="A,B", help="Columns to look at; all unless said otherwise.")
@click.option("--html", metavar="FILE", help="Draw it on a page.")
@options.as_json
def command(table: str, columns: str | None, html: str | None, as_json: bool) -> None:
    """Show what a table holds: nulls, distinct and top values, mean, quantiles and range of every column.

    TABLE is a Parquet file, a folder of them, or a Delta table. It needs no project.
    """
    from headwater.app.profiles import profile

    made = profile(table, columns=names(columns), name=table)
    if html is not None:
        screen.talk(f"drawn in {made.save(html)}")
    screen.answer(made.as_dict(), as_json, lambda out, _: plainly(out, str(made)))


def names(text: str | None) -> list[str] | None:
    """Read a list of columns; None when none is given."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def plainly(out: Console, text: str) -> None:
    """Print text as it is: names in it are data, not markup."""
    out.print(screen.tame(text), markup=False, soft_wrap=True)
