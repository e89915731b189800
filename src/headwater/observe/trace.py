"""What was it made from? The tree from a model or dataset version down to the sources, with the evidence at each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from headwater.core.canonical import digest, plain
from headwater.core.clock import aware
from headwater.core.errors import UnknownName
from headwater.observe.lineage import Graph, Node
from headwater.observe.runs import DatasetRun, mapping

Needed = dict[str, dict[str, datetime]]
"""Window key to the content hashes with which it was read, and when each was read last."""


@dataclass(frozen=True, slots=True)
class TraceNode:
    """One dataset or model version in the tree, and what it was made from.

    Attributes:
        ref: Reference without version.
        version: The version read: the newest one when several were.
        kind: ``dataset``, ``model`` or ``deployment``.
        layer: Layer of a dataset.
        side: ``data`` or ``ml``.
        owner: Who answers for it.
        first: First window that was needed, by key; empty when unknown.
        last: Last window that was needed.
        windows: How many windows were needed.
        rows: Rows in these windows; None when an event of one of them is missing.
        contents: One digest over the sorted (window, content hash) pairs; empty when no event told them.
        codes: Code hashes that made these windows, in order of first use.
        runs: How many runs made them.
        run: The run that made it, for a single one: run_id, job, time, code, parts; and for a training run params,
            metrics, seed and environment.
        inputs: What it was made from.
        repeated: True when this node stands in full, with its inputs, further up.
        unknown: How many of the windows no recorded run wrote.
    """

    ref: str
    version: str | None
    kind: str
    layer: str | None
    side: str
    owner: str
    first: str = ""
    last: str = ""
    windows: int = 0
    rows: int | None = None
    contents: str = ""
    codes: tuple[str, ...] = ()
    runs: int = 0
    run: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[TraceNode, ...] = ()
    repeated: bool = False
    unknown: int = 0

    @property
    def name(self) -> str:
        """The reference with its version."""
        return f"{self.ref}@{self.version}" if self.version else self.ref

    def as_dict(self) -> dict[str, Any]:
        """Return the tree as plain data; a repeated node has its name and ``"repeated": true`` alone."""
        if self.repeated:
            return {"ref": self.ref, "version": self.version, "repeated": True}
        made = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("inputs", "repeated")}
        return {**plain(made), "inputs": [one.as_dict() for one in self.inputs]}

    def lines(self) -> list[str]:
        """Return the tree as lines of text for a terminal."""
        return list(self._lines("", ""))

    def _lines(self, lead: str, below: str) -> Iterator[str]:
        yield lead + self._title()
        if self.repeated:
            return
        rest = "│  " if self.inputs else "   "
        for line in self._training():
            yield below + rest + line
        for place, one in enumerate(self.inputs):
            last = place == len(self.inputs) - 1
            yield from one._lines(below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "))

    def _title(self) -> str:
        if self.repeated:
            return f"{self.name}  (shown above)"
        parts = [self.name]
        if self.windows and not self._is_trained:
            span = self.first if self.first == self.last else f"{self.first}..{self.last}"
            parts.append(f"{span} ({self.windows} windows)" if self.windows > 1 else span)
            parts.append("rows unknown" if self.rows is None else f"{self.rows:,} rows")
        if self.contents:
            parts.append(f"content {self.contents[:12]}")
        if self.codes and not self._is_trained:
            more = f" +{len(self.codes) - 1} more" if len(self.codes) > 1 else ""
            parts.append(f"code {self.codes[0][:12]}{more}")
        if self.owner:
            parts.append(f"{self.owner} ({self.side})")
        if self.unknown:
            parts.append(f"{self.unknown} windows not recorded")
        return "  ".join(parts)

    @property
    def _is_trained(self) -> bool:
        return self.kind == "model"

    def _training(self) -> Iterator[str]:
        if not self._is_trained or not self.run:
            return
        run = self.run
        span = f" on {self.first}..{self.last}" if self.windows else ""
        yield f"trained {run['time']}{span}  run {run['run_id'][:8]}  code {run['code'][:12]}  seed {run.get('seed')}"
        for name in ("params", "metrics", "environment", "parts"):
            told = mapping(run.get(name))
            if told:
                short = {key: str(value)[:12] if name == "parts" else _short(value) for key, value in told.items()}
                yield f"{name}: " + ", ".join(f"{key}={value}" for key, value in short.items())


def trace(graph: Graph, ref: str, version: str | None = None, known_at: datetime | None = None) -> TraceNode:
    """Trace a model version or a dataset (version) down to the sources.

    Each dataset is shown with exactly the windows that were needed of it on any way, and with the runs that made them
    with the content that was read, even when windows were rewritten later.

    Args:
        graph: The lineage graph.
        ref: ``model:nyc/delay``, ``model:nyc/delay@7``, ``dataset:nyc/weather`` or ``dataset:nyc/weather@12``. An
            alias must have been resolved to a version before.
        version: The version, when the reference has none. None: the newest.
        known_at: Leave out what was recorded as done after this moment.

    Raises:
        UnknownName: No event names this dataset, model or version.
    """
    until = None if known_at is None else aware(known_at)
    bare, wanted = _split(graph, ref, version)
    node = graph.node(bare)
    tracer = _Tracer(graph, until)
    if node.kind == "dataset":
        tracer.need_table(node, wanted)
    else:
        tracer.need_run(_made(graph, node, wanted, until))
    return tracer.tree(node.ref)


def _split(graph: Graph, ref: str, version: str | None) -> tuple[str, str | None]:
    """Tell the known name from the version; foreign names can hold an @ themselves."""
    if version is not None:
        return ref, version
    node = graph.node(ref) if ref in graph else None
    if node is not None:
        return node.bare, node.version
    bare, at, tail = ref.rpartition("@")
    return (bare, tail) if at and bare in graph else (ref, None)


def _made(graph: Graph, node: Node, version: str | None, until: datetime | None) -> DatasetRun:
    """Return the newest completed run that made a model version or deployment."""
    name = node.ref if version is None or node.kind != "model" else f"{node.ref}@{version}"
    runs = [run for run in graph.runs(name) if _done(run, until)] if name in graph else []
    if not runs:
        known = [one.ref for one in graph.nodes(node.kind) if one.bare == node.ref and graph.runs(one.ref)]
        raise UnknownName.of(f"{node.kind} version", name, known)
    return runs[-1]


def _done(run: DatasetRun, until: datetime | None) -> bool:
    return run.state == "COMPLETE" and (until is None or run.time <= until)


class _Tracer:
    """Collect, downstream first, which windows are needed of each dataset and which runs made them."""

    def __init__(self, graph: Graph, until: datetime | None) -> None:
        self._graph = graph
        self._until = until
        self._needed: dict[str, Needed] = {}
        self._versions: dict[str, dict[str, None]] = {}
        self._found: dict[str, dict[str, DatasetRun]] = {}
        self._rows: dict[str, int | None] = {}
        self._unknown: dict[str, int] = {}

    def need_table(self, node: Node, version: str | None) -> None:
        """Ask for all windows of a dataset as they stand at a version."""
        held = [run for run in self._graph.runs(node.ref) if _done(run, self._until)]
        if version is not None:
            held = [run for run in held if _upto(run.version, version)]
            if not any(run.version == version for run in held):
                known = [f"{node.ref}@{run.version}" for run in self._graph.runs(node.ref) if run.version]
                raise UnknownName.of("dataset version", f"{node.ref}@{version}", dict.fromkeys(known))
        needed = self._needed.setdefault(node.ref, {})
        for run in held:  # oldest first: the newest write of a window stands
            for window, content in run.contents.items():
                needed[window] = {content: run.time}
        if held:
            self._versions.setdefault(node.ref, {})[version or held[-1].version or ""] = None
            if not needed:
                self._found.setdefault(node.ref, {})[held[-1].run_id] = held[-1]

    def need_run(self, run: DatasetRun) -> None:
        """Ask for what one run made."""
        ref = self._graph.node(run.dataset).bare
        self._found.setdefault(ref, {})[run.run_id] = run
        if run.version:
            self._versions.setdefault(ref, {})[run.version] = None

    def tree(self, ref: str) -> TraceNode:
        """Resolve everything upstream of a node, each after all that read it, and draw the tree."""
        for one in reversed(self._graph.order([*self._graph.ancestors(ref), ref])):
            if one in self._needed or one in self._found:
                self._resolve(one)
                for run in self._found.get(one, {}).values():
                    self._need_inputs(run)
        return self._draw(ref, set())

    def _need_inputs(self, run: DatasetRun) -> None:
        for read in run.inputs:
            node = self._graph.node(read.ref)
            if node.kind == "model":
                made = [one for one in self._graph.runs(read.ref) if one.state == "COMPLETE" and one.time <= run.time]
                self._versions.setdefault(node.bare, {})[node.version or ""] = None
                if made:
                    self.need_run(made[-1])
                continue
            if read.version:
                self._versions.setdefault(read.ref, {})[read.version] = None
            needed = self._needed.setdefault(read.ref, {})
            for window, content in read.contents.items():
                when = needed.setdefault(window, {})
                when[content] = max(run.time, when.get(content, run.time))
            if not read.contents:
                self._need_foreign(read.ref, read.version, run.time)

    def _need_foreign(self, ref: str, version: str | None, time: datetime) -> None:
        """Without windows, take the newest run that wrote this version, or any, before it was read."""
        made = [run for run in self._graph.runs(ref) if run.state == "COMPLETE" and run.time <= time]
        same = [run for run in made if version is not None and run.version == version]
        if same or made:
            self.need_run((same or made)[-1])

    def _resolve(self, ref: str) -> None:
        """Find the runs that wrote the needed windows with the content that was read."""
        found, rows = self._found.setdefault(ref, {}), 0
        complete = True
        for window, read in self._needed.get(ref, {}).items():
            writers = self._graph.writers(ref, window)
            for content, when in read.items():
                same = [one for one in writers if one.contents.get(window) == content]
                if not same:
                    self._unknown[ref] = self._unknown.get(ref, 0) + 1
                    complete = False
                    continue
                run = next((one for one in reversed(same) if one.time <= when), same[0])
                found[run.run_id] = run
                count = run.rows.get(window)
                complete = complete and isinstance(count, int)
                rows += count if isinstance(count, int) else 0
        self._rows[ref] = rows if complete and self._needed.get(ref) else None

    def _draw(self, ref: str, seen: set[str]) -> TraceNode:
        node = self._graph.node(ref)
        version = _newest(self._versions.get(ref, {}))
        common: dict[str, Any] = {"layer": node.layer, "side": node.side, "owner": node.owner}
        if ref in seen:
            return TraceNode(ref, version, node.kind, **common, repeated=True)
        seen.add(ref)
        runs = sorted(self._found.get(ref, {}).values(), key=lambda run: run.time)
        needed = self._needed.get(ref, {})
        pairs = sorted((window, content) for window, read in needed.items() for content in read)
        windows = sorted(needed) or sorted({window for run in runs for window in run.windows})
        below = [one for one in self._graph.parents(ref) if one in self._needed or one in self._found]
        read = {self._graph.node(one.ref).bare for run in runs for one in run.inputs}
        return TraceNode(
            ref,
            version,
            node.kind,
            **common,
            first=windows[0] if windows else "",
            last=windows[-1] if windows else "",
            windows=len(windows),
            rows=self._rows.get(ref),
            contents=digest(pairs) if pairs else "",
            codes=tuple(dict.fromkeys(run.mechanism.code for run in runs if run.mechanism)),
            runs=len(runs),
            run=_told(runs[0]) if len(runs) == 1 else {},
            inputs=tuple(self._draw(one, seen) for one in below if one in read),
            unknown=self._unknown.get(ref, 0),
        )


def _told(run: DatasetRun) -> dict[str, Any]:
    made = run.mechanism
    told: dict[str, Any] = {
        "run_id": run.run_id,
        "job": run.job,
        "time": run.time.isoformat(),
        "code": made.code if made else "",
        "parts": dict(made.parts) if made else {},
    }
    training = mapping(run.facets.get("headwater_training"))
    return told | {name: training[name] for name in ("params", "metrics", "seed", "environment") if name in training}


def _number(version: str) -> tuple[int, int, str]:
    return (1, int(version), "") if version.isdecimal() else (0, 0, version)


def _newest(versions: Iterable[str]) -> str | None:
    return max(versions, key=_number, default="") or None


def _upto(version: str | None, limit: str) -> bool:
    if version is None or not (version.isdecimal() and limit.isdecimal()):
        return version == limit
    return int(version) <= int(limit)


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
