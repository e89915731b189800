"""Answer: which dataset trained this model?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from headwater.cli import options, screen
from headwater.cli.screen import cell
from headwater.core.clock import aware
from headwater.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.tree import Tree


@click.command("trace")
@click.argument("reference", metavar="REF")
@click.option("--as-of", "as_of", metavar="TIME", help="As it was at this time (ISO 8601 with an offset).")
@options.project
@options.as_json
def command(reference: str, as_of: str | None, project: str | None, as_json: bool) -> None:
    """Show what REF was made from, down to the sources.

    Versions, content hashes, code, parameters and environment of everything on the way. REF is e.g.
    model:nyc/delay@champion or dataset:nyc/weather@12.
    """
    moment = None if as_of is None else moment_of(as_of)
    screen.answer(options.workspace(project).trace(reference, as_of=moment), as_json, draw)


def moment_of(text: str) -> datetime:
    """Read a time with its offset; a bare day is refused, because it is not one moment."""
    try:
        return aware(datetime.fromisoformat(text))
    except ValueError as error:
        raise UsageError(f"`{text}` is not a time", hint="write it like 2013-07-01T00:00:00+00:00") from error


def draw(out: Console, node: dict[str, Any]) -> None:
    """Draw the tree of versions, the asked-for thing on top and the sources at the tips."""
    from rich.tree import Tree

    root = Tree(_label(node), guide_style="dim")
    _grow(root, node)
    out.print(root)


def _grow(tree: Tree, node: Mapping[str, Any]) -> None:
    for below in node.get("inputs") or ():
        _grow(tree.add(_label(below)), below)


def _label(node: Mapping[str, Any]) -> str:
    version = node.get("version")
    title = f"{node.get('ref')}@{version}" if version else str(node.get("ref"))
    if node.get("repeated"):
        return f"{cell(title)} [dim](shown above)[/]"
    facts = [_span(node), *_hashes(node), f"{node.get('owner')} ({node.get('side')} side)" if node.get("owner") else ""]
    lines = [f"[bold]{cell(title)}[/]  [dim]{cell(' · '.join(fact for fact in facts if fact))}[/]"]
    if alias := node.get("alias"):
        why = f": {alias['reason']}" if alias.get("reason") else ""
        lines.append(f"[dim]{cell(alias['name'])} since {cell(alias['since'])}, by {cell(alias['by'])}{cell(why)}[/]")
    run = node.get("run") or {}
    for name in ("params", "metrics", "environment", "parts"):
        if run.get(name) and "params" in run:
            lines.append(f"[dim]{name}: {cell(run[name])}[/]")
    return "\n".join(lines)


def _span(node: Mapping[str, Any]) -> str:
    first, last, windows = node.get("first"), node.get("last"), node.get("windows") or 0
    span = str(first or "") if first == last else f"{first}..{last}, {windows} windows"
    rows = f"{node['rows']:,} rows" if isinstance(node.get("rows"), int) else ""
    return ", ".join(part for part in (span, rows) if part)


def _hashes(node: Mapping[str, Any]) -> list[str]:
    """Name what was read and what ran, so that two traces can be compared by eye."""
    found = [f"content {str(node['contents'])[: screen.SHORT]}"] if node.get("contents") else []
    codes = node.get("codes") or []
    if codes:
        more = f" and {len(codes) - 1} more" if len(codes) > 1 else ""
        found.append(f"code {str(codes[0])[: screen.SHORT]}{more}")
    seed = (node.get("run") or {}).get("seed")
    return found if seed is None else [*found, f"seed {seed}"]
