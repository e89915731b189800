"""Compare what the ledger acknowledges with what is there: its own chain, tables, stored code and model parts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from headwater.app.line import Line
from headwater.core.names import Ref

Problem = dict[str, Any]
_SPANS = 3


def audit(line: Line, *, deep: bool = False) -> dict[str, Any]:
    """Verify the ledger from the first record to the last, and that all it acknowledges can be given back.

    Args:
        line: The project.
        deep: Read and hash every row of every table again, instead of looking at its log and files.

    Raises:
        LedgerBroken: A record was changed, lost or reordered; what it acknowledges proves nothing then.
    """
    records = line.services.ledger.verify()
    known = _acknowledged(line)
    code, parts = _mechanisms(line)
    problems = [
        *(item for name, contents in known.items() for item in _table(line, name, contents, deep)),
        *_stored("code", code, line.services.code.flaw, "the next run stores it again if the project still has it"),
        *_stored("part", parts, line.services.parts.flaw, "or train a new version and release it"),
    ]
    return {
        "records": records,
        "datasets": len(known),
        "contents": sum(len(hashes) for contents in known.values() for hashes in contents.values()),
        "code": len(code),
        "parts": len(parts),
        "deep": deep,
        "verified": not problems,
        "problems": problems,
    }


def _acknowledged(line: Line) -> dict[str, dict[str, set[str]]]:
    """Every content hash that an event says was written, by dataset and window."""
    known: dict[str, dict[str, set[str]]] = {}
    for node in line.state.graph.nodes("dataset"):
        if node.namespace != line.project.name:
            continue
        contents: dict[str, set[str]] = defaultdict(set)
        for run in line.state.graph.runs(node.ref):
            for key, content in run.contents.items() if run.state == "COMPLETE" else ():
                contents[key].add(content)
        if contents:
            known[node.name] = contents
    return known


def _table(line: Line, name: str, contents: dict[str, set[str]], deep: bool) -> Iterator[Problem]:
    newest = {key: run.contents.get(key) for key in contents if (run := line.state.graph.run_of(line.ref(name), key))}
    for lost in line.services.tables.lost(name, contents, deep=deep):
        what = f"dataset `{name}`: {lost.why}"
        if lost.window:
            what = f"dataset `{name}`, window `{lost.window}`: {lost.why}"
        else:
            what += f"; it was delivered from {min(contents)} to {max(contents)}"
        replaced = bool(lost.window) and newest.get(lost.window) != lost.content
        yield {
            "subject": line.ref(name),
            "window": lost.window or None,
            "contents": lost.content or None,
            "message": what,
            "hint": _restoring(line, name, [lost.window] if lost.window else sorted(contents), replaced),
        }


def _restoring(line: Line, name: str, keys: list[str], replaced: bool) -> str:
    if replaced:
        return "it was replaced since, so that no delivery brings it back: restore the file from a backup"
    if name not in line.assets:
        return "the project has no such dataset any more: restore it from a backup"
    if line.is_log(name):
        return "it is the record of what was decided and cannot be made again: restore it from a backup"
    spans = [f"headwater backfill {name} --from {first} --to {last}" for first, last in _spans(line, keys)]
    more = f", and {len(spans) - _SPANS} more spans" if len(spans) > _SPANS else ""
    return f"restore it from a backup, or deliver it again: {'; '.join(spans[:_SPANS])}{more}"


def _spans(line: Line, keys: Iterable[str]) -> list[tuple[str, str]]:
    """Put windows that follow each other together."""
    found: list[tuple[str, str]] = []
    for key in keys:
        if found and line.calendar.shift(line.calendar.window(found[-1][1]), 1).key == key:
            found[-1] = (found[-1][0], key)
        else:
            found.append((key, key))
    return found


def _mechanisms(line: Line) -> tuple[dict[str, str], dict[str, str]]:
    """The hashes of all code and parts that ran, were trained, deployed or accepted, each with what last named it."""
    code: dict[str, str] = {}
    parts: dict[str, str] = {}
    for node in line.state.graph.nodes():
        for run in line.state.graph.runs(node.ref):
            if run.mechanism is not None and node.namespace == line.project.name:
                code[run.mechanism.code] = node.ref
                parts |= dict.fromkeys(run.mechanism.parts.values(), node.ref)
    for kind in ("version", "deployment"):
        for record in line.services.ledger.read(kind=kind):
            code[record.body["code"]] = record.subject
            parts |= dict.fromkeys(record.body["parts"].values(), record.subject)
    for name, mechanism in line.state.accepted.items():
        code.setdefault(mechanism.code, line.ref(name))
        for part in mechanism.parts.values():
            parts.setdefault(part, line.ref(name))
    return code, parts


def _stored(kind: str, named: dict[str, str], flaw: Any, hint: str) -> Iterator[Problem]:
    for each, subject in named.items():
        why = flaw(each)
        if why:
            yield {
                "subject": subject,
                "window": None,
                "contents": each,
                "message": f"{kind} {each[:12]} of `{Ref.parse(subject).name}`: {why}",
                "hint": f"restore .headwater/{kind}{'s' if kind == 'part' else ''} from a backup; {hint}",
            }
