"""The lineage graph, folded from OpenLineage events alone, ours and foreign ones alike."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from headwater.core.assets import LAYERS, Read
from headwater.core.clock import aware
from headwater.core.errors import DataError, UnknownName
from headwater.core.ports import Record
from headwater.observe.runs import Course, DatasetRun, FailedTest, Input, Runs, Touched, mapping

__all__ = ["DatasetRun", "Graph", "Input", "Node"]

_KINDS = {"MODEL": "model", "DEPLOYMENT": "deployment"}


@dataclass(slots=True)
class Node:
    """A dataset, model, model version or deployment, as its events describe it.

    Attributes:
        ref: Its reference; foreign names may hold characters that ours cannot, so compare it whole, never split it.
        kind: ``dataset``, ``model`` or ``deployment``.
        namespace: Its namespace, e.g. the project.
        name: Bare name.
        version: The version, for the node of a model version; else None.
        layer: From ``raw`` to ``label``; None when no event says.
        side: ``data`` or ``ml``; ``data`` for datasets of which no event says it.
        owner: Who answers for it; empty when no event says.
        lag: Windows by which it trails.
        snapshot: Whether each window holds the full state.
        key: Columns that identify a row.
        reads: How it reads its parents, by bare name.
        facets: The newest of each dataset facet, known and unknown.
    """

    ref: str
    kind: str
    namespace: str
    name: str
    version: str | None = None
    layer: str | None = None
    side: str = "data"
    owner: str = ""
    lag: int = 0
    snapshot: bool = False
    key: tuple[str, ...] = ()
    reads: tuple[Read, ...] = ()
    facets: dict[str, Any] = field(default_factory=dict)

    @property
    def bare(self) -> str:
        """The reference without a model's version."""
        return f"{self.kind}:{self.namespace}/{self.name}"


class Graph:
    """Datasets, models and deployments, what flows into what, and the runs that made it so.

    Events may come twice, out of order and in parts (START with the inputs, COMPLETE with the outputs): they add up
    by run id. Edges run from the inputs to the outputs of a run, and from the parents an asset says it reads. A model
    version is a node of its own beside the bare model; ways lead through the bare model, so ask for a version to see
    what flowed into and out of that version alone.

    Example:
        >>> graph = Graph()
        >>> graph.add({
        ...     "eventTime": "2013-07-01T00:00:00Z",
        ...     "eventType": "COMPLETE",
        ...     "run": {"runId": "6f1f0c8e-2b0e-5d0e-9a51-7d1f3c2b9e44"},
        ...     "job": {"namespace": "dbt", "name": "clean"},
        ...     "inputs": [{"namespace": "nyc", "name": "raw"}],
        ...     "outputs": [{"namespace": "nyc", "name": "clean"}],
        ... })
        >>> graph.path("dataset:nyc/raw", "dataset:nyc/clean")
        ['dataset:nyc/raw', 'dataset:nyc/clean']
    """

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._facet_times: dict[tuple[str, str], datetime] = {}
        self._up: dict[str, dict[str, None]] = {}
        self._down: dict[str, dict[str, None]] = {}
        self._runs = Runs()

    @classmethod
    def of(cls, records: Iterable[Record]) -> Graph:
        """Fold ledger records of kind ``event``; others are passed over."""
        graph = cls()
        for record in records:
            if record.kind == "event":
                graph.add(record.body)
        return graph

    def add(self, record_body: Mapping[str, Any]) -> None:
        """Fold one parsed event: of a run, a job or a dataset.

        Raises:
            DataError: It is not an event that `headwater.observe.events.parse` accepts.
        """
        try:
            self._add(record_body, aware(datetime.fromisoformat(record_body["eventTime"])))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DataError(
                f"this is not a parsed event: {error!r}",
                doing="folding an event into the lineage graph",
                hint="parse events from outside before they are recorded",
            ) from error

    def __contains__(self, ref: object) -> bool:
        return str(ref) in self._nodes

    def nodes(self, kind: str | None = None) -> list[Node]:
        """Return all nodes, or those of one kind, in order of appearance."""
        return [node for node in self._nodes.values() if kind in (None, node.kind)]

    def node(self, ref: str) -> Node:
        """Return a node; raise `UnknownName` with the nearest known name."""
        found = self._nodes.get(str(ref))
        if found is None:
            raise UnknownName.of("dataset or model", str(ref), self._nodes, command="headwater datasets")
        return found

    def owner(self, ref: str) -> str:
        """Return who answers for a node; empty when no event says."""
        return self.node(ref).owner

    def side(self, ref: str) -> str:
        """Return the side that answers for a node: ``data`` or ``ml``."""
        return self.node(ref).side

    def parents(self, ref: str) -> list[str]:
        """Return what flows directly into a node, in order of appearance."""
        return list(self._up.get(self.node(ref).ref, ()))

    def children(self, ref: str) -> list[str]:
        """Return what a node flows directly into, in order of appearance."""
        return list(self._down.get(self.node(ref).ref, ()))

    def ancestors(self, ref: str) -> list[str]:
        """Return everything upstream of a node, nearest first, without the node."""
        return list(_reached(self._up, self.node(ref).ref))[1:]

    def descendants(self, ref: str) -> list[str]:
        """Return everything downstream of a node, nearest first, without the node."""
        return list(_reached(self._down, self.node(ref).ref))[1:]

    def path(self, upstream: str, downstream: str) -> list[str] | None:
        """Return the shortest way from one node down to another, both included; None when there is none."""
        start, goal = self.node(upstream).ref, self.node(downstream).ref
        came = _reached(self._down, start)
        if goal not in came:  # ways lead through bare models: a version is entered from what flows into it
            door = next((found for found in came if found in self._up.get(goal, ())), None)
            if door is None or self._nodes[goal].version is None:
                return None
            came[goal] = door
        way: list[str] = []
        step: str | None = goal
        while step is not None:
            way.append(step)
            step = came[step]
        return way[::-1]

    def order(self, refs: Iterable[str] | None = None) -> list[str]:
        """Return nodes (all, when none are given) with everything upstream before what is downstream of it.

        Where datasets feed each other in a circle through time (predictions that become features), the circle is cut
        at the edge that closes it.
        """
        wanted = [self.node(ref) for ref in dict.fromkeys(map(str, self._nodes if refs is None else refs))]
        rank = {ref: place for place, ref in enumerate(self._upstream_first())}
        return [node.ref for node in sorted(wanted, key=lambda node: (rank[node.bare], node.version or ""))]

    def runs(self, ref: str) -> list[DatasetRun]:
        """Return the runs that wrote, or tried to write, a dataset or model (version), oldest first."""
        return self._runs.of(self.node(ref).ref)

    def windows(self, ref: str) -> list[str]:
        """Return the keys of the windows of a dataset that a COMPLETE run wrote, sorted."""
        return self._runs.windows(self.node(ref).ref)

    def run_of(self, ref: str, window: str, known_at: datetime | None = None) -> DatasetRun | None:
        """Return the newest COMPLETE run that wrote this window, at or before ``known_at``; None when none did."""
        return self._runs.writer(self.node(ref).ref, window, known_at and aware(known_at))

    def writers(self, ref: str, window: str, known_at: datetime | None = None) -> list[DatasetRun]:
        """Return every COMPLETE run that wrote this window, at or before ``known_at``, oldest first."""
        return self._runs.writers(self.node(ref).ref, window, known_at and aware(known_at))

    def courses(self, besides: str) -> list[Course]:
        """Return how the runs of all jobs went, those of one namespace aside, in order of appearance."""
        return self._runs.courses(besides)

    def _add(self, event: Mapping[str, Any], time: datetime) -> None:
        if not event.get("job"):
            self._describe(event["dataset"], time)
            return
        inputs = [one for made in event.get("inputs") or () for one in self._describe(made, time)]
        outputs = [one for made in event.get("outputs") or () for one in self._describe(made, time)]
        read: Iterable[str] = [one.ref for one in inputs]
        wrote: Iterable[str] = [one.ref for one in outputs]
        run = event.get("run")
        if run:
            read, wrote = self._runs.add(
                run["runId"],
                event["job"]["name"],
                state=event.get("eventType") or "OTHER",
                time=time,
                facets=run.get("facets") or {},
                inputs=inputs,
                outputs=outputs,
                namespace=event["job"]["namespace"],
                tests=_failed_tests(event),
            )
        self._connect(read, wrote)

    def _describe(self, made: Mapping[str, Any], time: datetime) -> list[Touched]:
        """Fold what an event says of a dataset into its node; return it, and a model version's model after it."""
        facets = mapping(made.get("facets"))
        kind = _KINDS.get(str(mapping(facets.get("datasetType")).get("datasetType")).upper(), "dataset")
        name = made["name"] if kind == "dataset" else made["name"].removeprefix(f"{kind}.")
        told = mapping(facets.get("headwater_contents"))
        version = mapping(facets.get("version")).get("datasetVersion")
        version = None if version is None else str(version)
        bare = self._note(kind, made["namespace"], name, None, facets, time)
        rows = mapping(told.get("rows")) or _row_count(made)
        touched = Touched(bare.ref, version, mapping(told.get("contents")), rows)
        if kind != "model" or version is None:
            return [touched]
        return [touched._replace(ref=self._note(kind, made["namespace"], name, version, facets, time).ref), touched]

    def _note(
        self, kind: str, namespace: str, name: str, version: str | None, facets: Mapping[str, Any], time: datetime
    ) -> Node:
        ref = f"{kind}:{namespace}/{name}" + (f"@{version}" if version else "")
        node = self._nodes.get(ref)
        if node is None:
            side = "data" if kind == "dataset" else "ml"
            node = self._nodes[ref] = Node(ref, kind, namespace, name, version, side=side)
        for facet_name, facet in facets.items():
            if facet_name == "headwater_contents" or node.facets.get(facet_name) == facet:
                continue  # contents belong to a run, not to the node
            if self._facet_times.get((ref, facet_name), time) <= time:
                self._facet_times[ref, facet_name] = time
                self._set_facet(node, facet_name, mapping(facet), time)
        return node

    def _set_facet(self, node: Node, name: str, facet: Mapping[str, Any], time: datetime) -> None:
        if facet.get("_deleted") is True:
            node.facets.pop(name, None)
            facet = {}
        else:
            node.facets[name] = facet
        if name == "ownership":
            node.owner = _owner(facet)
        elif name == "headwater_asset":
            _place(node, facet)
            for read in node.reads:
                self._edge(self._note("dataset", node.namespace, read.parent, None, {}, time).ref, node.ref)

    def _connect(self, inputs: Iterable[str], outputs: Iterable[str]) -> None:
        for upper in inputs:
            for lower in outputs:
                above, below = self._nodes[upper], self._nodes[lower]
                if above.version is None and below.version is None:
                    self._edge(upper, lower)
                elif below.version is None:
                    self._down.setdefault(upper, {})[lower] = None
                elif above.version is None:
                    self._up.setdefault(lower, {})[upper] = None

    def _edge(self, upper: str, lower: str) -> None:
        if upper != lower:  # a table that is rewritten from itself is no parent of itself
            self._up.setdefault(lower, {})[upper] = None
            self._down.setdefault(upper, {})[lower] = None

    def _upstream_first(self) -> list[str]:
        """Order all nodes by a depth-first walk; an edge back into the walk's own way closes a circle and is cut."""
        done: dict[str, None] = {}
        entered: set[str] = set()
        for ref in self._nodes:
            walk: list[tuple[str, Iterator[str]]] = []
            step: str | None = ref if ref not in entered else None
            while step is not None or walk:
                if step is not None:
                    entered.add(step)
                    walk.append((step, iter(self._up.get(step, ()))))
                step = next((parent for parent in walk[-1][1] if parent not in entered), None)
                if step is None:
                    done[walk.pop()[0]] = None
        return list(done)


def _reached(edges: Mapping[str, Mapping[str, None]], start: str) -> dict[str, str | None]:
    """Walk breadth first and return each node that was reached with the node it was reached from."""
    came: dict[str, str | None] = {start: None}
    waiting = deque([start])
    while waiting:
        here = waiting.popleft()
        for following in edges.get(here, ()):
            if following not in came:
                came[following] = here
                waiting.append(following)
    return came


def _row_count(made: Mapping[str, Any]) -> Mapping[str, int]:
    """The number of rows a foreign run says it wrote, of a window that it does not name."""
    count = mapping(mapping(made.get("outputFacets")).get("outputStatistics")).get("rowCount")
    return {"": count} if isinstance(count, int) else {}


def _failed_tests(event: Mapping[str, Any]) -> list[FailedTest]:
    """Collect the tests that an event says have failed, from the facets of its inputs and of its run."""
    found = []
    for made in event.get("inputs") or ():
        ref = f"dataset:{made['namespace']}/{made['name']}"
        for holder in ("inputFacets", "facets"):
            told = mapping(mapping(made.get(holder)).get("dataQualityAssertions")).get("assertions")
            for one in map(mapping, told if isinstance(told, list) else []):
                if one.get("success") is False:
                    name = str(one.get("name") or one.get("assertion") or "test")
                    column = f" of {one['column']}" if one.get("column") else ""
                    found.append(FailedTest(ref, f"{name}{column}", str(one.get("severity") or "error")))
    told = mapping(mapping(event["run"].get("facets")).get("test")).get("tests")
    for one in map(mapping, told if isinstance(told, list) else []):
        if one.get("status") == "fail":
            found.append(FailedTest("", str(one.get("name") or "test"), str(one.get("severity") or "error")))
    return found


def _owner(facet: Mapping[str, Any]) -> str:
    owners = facet.get("owners")
    named = [mapping(one).get("name") for one in owners] if isinstance(owners, list) else []
    return str(named[0]) if named and named[0] else ""


def _place(node: Node, facet: Mapping[str, Any]) -> None:
    """Take an asset's place from our facet; what a foreign hand wrote wrongly into it is left out."""
    layer, side, lag = facet.get("layer"), facet.get("side"), facet.get("lag")
    key, reads = facet.get("key"), facet.get("reads")
    node.layer = layer if layer in LAYERS else None
    node.side = side if side in ("data", "ml") else "data"
    node.lag = lag if isinstance(lag, int) else 0
    node.snapshot = facet.get("snapshot") is True
    node.key = tuple(map(str, key)) if isinstance(key, list) else ()
    told = [mapping(read) for read in reads] if isinstance(reads, list) else []
    node.reads = tuple(
        Read(str(read["parent"]), read["lookback"] if isinstance(read.get("lookback"), int) else 0)
        for read in told
        if read.get("parent")
    )
