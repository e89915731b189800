"""The ``headwater`` command: finds commands, translates errors, and decides the exit code.

Exit codes: 0 fine, 1 the data or the model is bad, 2 you mistyped, 3 the outside world is broken, 130 interrupted.
"""

from __future__ import annotations

import difflib
import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import click

from headwater import __version__
from headwater.cli import screen
from headwater.core.errors import DataError, HeadwaterError, OutsideError, UsageError

COMMANDS = (
    "init",
    "demo",
    "run",
    "backfill",
    "train",
    "release",
    "rollback",
    "approve",
    "accept",
    "incidents",
    "notices",
    "why",
    "recompute",
    "trace",
    "remedy",
    "sign",
    "close",
    "quarantine",
    "datasets",
    "profile",
    "compare",
    "arrivals",
    "audit",
    "bench",
)
INTERRUPTED = 130
BROKEN_PIPE = 141


class Doors(click.Group):
    """A group that imports a command's module when the command is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands in the order in which they are first needed."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import the module of command ``name`` and return its command."""
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"headwater.cli.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was asked for, or say which one was probably meant."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            meant = f"did you mean `headwater {near[0]}`? " if near else ""
            raise UsageError(f"`{args[0]}` is not a command", hint=f"{meant}list them with `headwater --help`")
        return super().resolve_command(ctx, args)


@click.command(cls=Doors, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="headwater %(version)s")
@click.option(
    "--project", metavar="DIR", help="The project's folder; else the nearest one above that has headwater.yaml."
)
@click.pass_context
def cli(context: click.Context, project: str | None) -> None:
    """Deliver data, release models, and follow a silent failure up to the asset that failed.

    Exit codes: 0 fine, 1 the data or the model is bad, 2 you mistyped, 3 the outside world is broken.
    """
    context.obj = project


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code."""
    sys.exit(attempt(list(sys.argv[1:] if arguments is None else arguments)))


def attempt(arguments: list[str]) -> int:
    """Run one command and return its exit code; errors are said on stderr."""
    try:
        with cli.make_context("headwater", arguments.copy()) as context:
            cli.invoke(context)
        if sys.stdout is not None:  # it is None when the caller closed it
            sys.stdout.flush()
        return 0
    except click.exceptions.Exit as asked:
        return int(asked.exit_code)
    except click.ClickException as mistyped:
        return _tell(_mistyped(mistyped), arguments)
    except HeadwaterError as error:
        return _tell(error, arguments)
    except (KeyboardInterrupt, click.Abort):
        screen.talk("interrupted; what was acknowledged before is kept")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has gone; the interpreter's own flush at exit must not complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except SystemExit as left:
        ended = DataError(
            f"the project's code ended the program with exit code {left.code}",
            hint="take the call of exit() out of its functions, and run the command again",
        )
        return _tell(ended, arguments)
    except BaseException as error:  # what breaks in an extension need not be an Exception
        if os.environ.get("HEADWATER_DEBUG"):
            raise
        return _tell(_unexpected(error), arguments)


def _tell(error: HeadwaterError, arguments: list[str]) -> int:
    screen.complain(error)
    if "--json" in arguments:
        screen.data({"error": error.as_dict()})
    if os.environ.get("HEADWATER_DEBUG"):
        raise error
    return error.exit_code


def _mistyped(mistyped: click.ClickException) -> HeadwaterError:
    message = mistyped.format_message().rstrip(".")
    message = message[:1].lower() + message[1:]
    if isinstance(mistyped, click.NoSuchOption) and mistyped.possibilities:
        near = mistyped.possibilities[0]
        return UsageError(f"no such option: {mistyped.option_name}", hint=f"did you mean `{near}`?")
    context = getattr(mistyped, "ctx", None)
    path = context.command_path if context is not None else "headwater"
    return UsageError(message, hint=f"see `{path} --help`")


def _unexpected(error: BaseException) -> HeadwaterError:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutsideError(
            f"the disk is full: {error.filename or error.strerror}", hint="make room and run the same command again"
        )
    if isinstance(error, OSError) and error.strerror:
        return OutsideError(f"{error.strerror}: {error.filename or 'no file named'}")
    text = " ".join(str(error).split())
    return OutsideError(
        f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__,
        doing="something Headwater did not foresee",
        hint="set HEADWATER_DEBUG=1 for the traceback",
    )
