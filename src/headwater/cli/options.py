"""Options that many commands share, and the way to the project they act on."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from headwater.core.errors import UsageError

if TYPE_CHECKING:
    from headwater.app.workspace import Workspace

Command = TypeVar("Command", bound=Callable[..., Any])


def project(function: Command) -> Command:
    """Add ``--project DIR``."""
    return click.option(
        "--project", metavar="DIR", help="The project's folder; else the nearest one above that has headwater.yaml."
    )(function)


def as_json(function: Command) -> Command:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON on stdout.")(function)


def by(function: Command) -> Command:
    """Add ``--by NAME``."""
    return click.option("--by", metavar="NAME", help="Who decides this; else your login name.")(function)


def span(required: bool) -> Callable[[Command], Command]:
    """Add ``--from`` and ``--to``, both windows included."""

    def add(function: Command) -> Command:
        function = click.option("--to", "last", metavar="D", required=required, help="Last window.")(function)
        return click.option("--from", "first", metavar="D", required=required, help="First window.")(function)

    return add


def both_or_neither(first: str | None, last: str | None) -> None:
    """Refuse half a range of windows."""
    if (first is None) != (last is None):
        missing = "--from" if first is None else "--to"
        raise UsageError(f"a range of windows needs {missing} too", hint="write --from FIRST --to LAST")


def person(name: str | None) -> str:
    """Return who acts: the name given, else the login name."""
    if name is not None:
        if not name.strip():
            raise UsageError("the name after --by is empty", hint="say who decides, or leave --by out")
        return name
    try:
        return getpass.getuser()
    except (OSError, KeyError) as error:
        raise UsageError("your login name is not known here", hint="say who decides with --by NAME") from error


def workspace(folder: str | None) -> Workspace:
    """Open the project in ``folder``, else the nearest at or above the current one."""
    from headwater.app.workspace import Workspace
    from headwater.cli import screen

    screen.keep_stdout()
    return Workspace.open(folder or click.get_current_context().find_root().obj)
