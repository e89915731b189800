"""Make a project from a template."""

from __future__ import annotations

import click

from headwater.cli import options, screen


@click.command("init")
@click.argument("folder", metavar="DIR")
@click.option("--template", metavar="NAME", default="flights", show_default=True, help="What to start from.")
@options.as_json
def command(folder: str, template: str, as_json: bool) -> None:
    """Make a project in DIR from a template.

    It is yours from then on: headwater.yaml, pipeline.py and contracts/, plain Python and YAML.
    """
    from headwater.app.init import init

    made = init(folder, template)
    screen.answer(made, as_json)
    if not as_json:
        screen.talk(f"read {folder}/pipeline.py, then: cd {folder} && headwater datasets")
        screen.talk(
            "its sources read files that you put into feeds/; `headwater demo` makes such a project with its feeds"
        )
