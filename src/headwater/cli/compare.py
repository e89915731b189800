"""Compare two tables that lie in files."""

from __future__ import annotations

import click

from headwater.cli import options, screen
from headwater.cli.profile import names, plainly

BAD = 1


@click.command("compare", short_help="Tell how a table differs from an older one.")
@click.argument("reference", metavar="REFERENCE")
@click.argument("current", metavar="CURRENT")
@click.option("--time", metavar="COLUMN", help="A date or time column; both are cut into its days or hours.")
@click.option("--every", type=click.Choice(["1d", "1h"]), default="1d", show_default=True, help="Length of a window.")
@click.option("--timezone", metavar="ZONE", default="UTC", show_default=True, help="IANA zone that days are cut in.")
@click.option("--holidays", metavar="A,B", help="Days that are unlike others, or a public calendar: US-NY.")
@click.option("--key", metavar="A,B", help="Columns that identify a row.")
@click.option("--columns", metavar="A,B", help="Columns to look at; all unless said otherwise.")
@click.option("--html", metavar="FILE", help="Draw it on a page.")
@options.as_json
def command(
    reference: str,
    current: str,
    time: str | None,
    every: str,
    timezone: str,
    holidays: str | None,
    key: str | None,
    columns: str | None,
    html: str | None,
    as_json: bool,
) -> None:
    """Tell how CURRENT differs from REFERENCE, as the monitors of a project would, and what would undo it.

    Both are Parquet files, folders of them, or Delta tables. It needs no project. Exit code 1 when something broke.
    """
    from headwater.app.comparison import compare

    made = compare(
        reference,
        current,
        time=time,
        every=every,
        timezone=timezone,
        holidays=_calendar(holidays),
        key=names(key) or (),
        columns=names(columns),
    )
    if html is not None:
        screen.talk(f"drawn in {made.save(html)}")
    screen.answer(made.as_dict(), as_json, lambda out, _: plainly(out, str(made)))
    if made.alarms:
        click.get_current_context().exit(BAD)


def _calendar(text: str | None) -> str | list[str]:
    """Read days, or the name of a public calendar, which begins with a letter."""
    return text if text and text[:1].isalpha() else names(text) or []
