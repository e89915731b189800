from __future__ import annotations

import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from headwater.core.assets import Mechanism, Read
from headwater.core.errors import DataError, UnknownName
from headwater.observe import events
from headwater.observe.events import parse
from headwater.observe.lineage import Graph
from unit.observe.pipeline_events import CALENDAR, lived

START = datetime(2013, 7, 1, tzinfo=UTC)
D = "dataset:nyc/"


def foreign(
    inputs: list[str],
    outputs: list[str],
    *,
    run: int = 1,
    state: str | None = "COMPLETE",
    minutes: int = 0,
    **more: Any,
) -> dict[str, Any]:
    def listed(names: list[str]) -> list[dict[str, Any]]:
        return [{"namespace": "nyc", "name": name, "facets": more.get(name, {})} for name in names]

    return dict(
        parse(
            {
                "eventType": state,
                "eventTime": (START + timedelta(minutes=minutes)).isoformat(),
                "producer": "https://example.org/other",
                "schemaURL": events.SCHEMA,
                "run": {"runId": str(uuid.UUID(int=run)), "facets": more.get("facets", {})},
                "job": {"namespace": "airflow", "name": "job"},
                "inputs": listed(inputs),
                "outputs": listed(outputs),
            }
        )
    )


def graph_of(*made: dict[str, Any]) -> Graph:
    graph = Graph()
    for event in made:
        graph.add(event)
    return graph


def told(graph: Graph) -> Any:
    """Everything a graph tells, for comparing two."""
    refs = sorted(node.ref for node in graph.nodes())
    return [
        (
            graph.node(ref).owner,
            graph.node(ref).facets,
            sorted(graph.parents(ref)),
            sorted(graph.children(ref)),
            sorted(
                (run.run_id, run.state, run.time, run.version, str(sorted(run.contents.items())))
                for run in graph.runs(ref)
            ),
            [(window, graph.run_of(ref, window).run_id) for window in graph.windows(ref)],  # type: ignore[union-attr]
        )
        for ref in refs
    ]


def test_nodes_tell_what_their_events_told() -> None:
    graph = lived().graph
    node = graph.node(D + "features")
    assert (node.layer, node.side, node.owner, node.lag, node.snapshot) == ("feature", "ml", "features-team", 0, False)
    assert node.reads == (Read("flights"), Read("weather", 1))
    assert graph.node(D + "labels").lag == 1
    assert graph.side(D + "raw_weather") == "data"
    assert graph.owner(D + "raw_weather") == "raw_weather-team"
    assert graph.side("model:nyc/delay@1") == "ml"
    assert graph.owner("model:nyc/delay@1") == graph.owner("model:nyc/delay") == "ml-team"
    assert {node.kind for node in graph.nodes()} == {"dataset", "model"}
    assert [node.ref for node in graph.nodes("model")] == ["model:nyc/delay", "model:nyc/delay@1"]


def test_edges_run_from_inputs_to_outputs() -> None:
    graph = lived().graph
    assert graph.parents(D + "raw_weather") == []
    assert graph.parents(D + "features") == [D + "flights", D + "weather"]
    assert set(graph.children(D + "features")) == {"model:nyc/delay", D + "delay_served"}
    assert graph.parents("model:nyc/delay@1") == graph.parents("model:nyc/delay") == [D + "features", D + "labels"]
    assert graph.children("model:nyc/delay@1") == graph.children("model:nyc/delay") == [D + "delay_predictions"]
    assert set(graph.parents(D + "delay_predictions")) == {D + "delay_served", "model:nyc/delay"}


def test_everything_upstream_and_downstream_nearest_first() -> None:
    graph = lived().graph
    above = graph.ancestors("model:nyc/delay@1")
    assert set(above[:2]) == {D + "features", D + "labels"}
    assert set(above) == {D + n for n in ("features", "labels", "weather", "flights", "raw_weather", "raw_flights")}
    assert len(above) == len(set(above))
    assert set(graph.descendants(D + "raw_weather")) == {
        *(D + name for name in ("weather", "features", "delay_served", "delay_predictions")),
        "model:nyc/delay",
    }
    assert graph.descendants(D + "delay_predictions") == []


def test_the_shortest_path_down() -> None:
    graph = lived().graph
    assert graph.path(D + "raw_weather", D + "delay_predictions") in (
        [D + n for n in ("raw_weather", "weather", "features", "delay_served", "delay_predictions")],
        [D + "raw_weather", D + "weather", D + "features", "model:nyc/delay", D + "delay_predictions"],
    )
    assert graph.path(D + "raw_flights", "model:nyc/delay@1") in (
        [D + "raw_flights", D + "flights", D + "features", "model:nyc/delay@1"],
        [D + "raw_flights", D + "flights", D + "labels", "model:nyc/delay@1"],
    )
    assert graph.path("model:nyc/delay@1", D + "delay_predictions") == ["model:nyc/delay@1", D + "delay_predictions"]
    assert graph.path(D + "weather", D + "weather") == [D + "weather"]
    assert graph.path(D + "delay_predictions", D + "weather") is None
    assert graph.path(D + "labels", D + "delay_served") is None


def test_order_has_everything_upstream_first() -> None:
    graph = lived().graph
    for refs in (
        None,
        [D + "delay_predictions", "model:nyc/delay@1", D + "weather", D + "raw_weather", D + "features"],
    ):
        place = {ref: index for index, ref in enumerate(graph.order(refs))}
        for ref in place:
            assert all(place[above] < place[ref] for above in graph.ancestors(ref) if above in place)
        assert set(place) == set(refs or (node.ref for node in graph.nodes()))
    assert place["model:nyc/delay@1"] < place[D + "delay_predictions"]


def test_a_circle_through_time_is_cut_and_everything_still_answers() -> None:
    graph = graph_of(foreign(["a"], ["b"], run=1), foreign(["b"], ["c"], run=2), foreign(["c"], ["a"], run=3))
    assert sorted(graph.order()) == [D + "a", D + "b", D + "c"]
    assert set(graph.ancestors(D + "a")) == {D + "b", D + "c"}
    assert graph.path(D + "b", D + "a") == [D + "b", D + "c", D + "a"]
    assert graph_of(foreign(["a"], ["a"])).parents(D + "a") == []


def test_unknown_names_get_a_hint() -> None:
    graph = lived().graph
    for ask in (graph.parents, graph.ancestors, graph.owner, graph.runs, lambda ref: graph.path(ref, D + "weather")):
        with pytest.raises(UnknownName, match="wether") as caught:
            ask(D + "wether")
        assert "dataset:nyc/weather" in str(caught.value.hint)


def test_runs_are_told_in_full() -> None:
    pipeline = lived()
    graph = pipeline.graph
    runs = graph.runs(D + "features")
    assert [run.windows[-1] for run in runs] == ["2013-06-30", "2013-07-01", "2013-07-02", "2013-07-03"]
    assert runs[0].windows == ("2013-06-27", "2013-06-28", "2013-06-29", "2013-06-30")
    last = runs[-1]
    assert (last.state, last.version, last.job, last.mechanism) == ("COMPLETE", "4", "features", Mechanism("code-1"))
    assert last.contents == {"2013-07-03": pipeline.contents["features"]["2013-07-03"]}
    assert last.rows == {"2013-07-03": 10}
    [(flights, _, _), (weather, version, contents)] = last.inputs
    assert (flights, weather, version) == (D + "flights", D + "weather", "4")
    assert contents == {key: pipeline.contents["weather"][key] for key in ("2013-07-02", "2013-07-03")}
    scored = graph.runs(D + "delay_predictions")[-1]
    assert [item.ref for item in scored.inputs] == [D + "delay_served", "model:nyc/delay@1"]
    assert scored.mechanism == Mechanism("code-1", {"model": "part-1"})


def test_the_run_of_a_window_is_its_newest_completed_one() -> None:
    pipeline = lived()
    before = pipeline.graph.run_of(D + "weather", "2013-07-01")
    assert before is not None
    pipeline.codes["weather"] = "code-2"
    pipeline.deliver("weather", "2013-07-01", "2013-07-02")
    failed = {"state": "FAIL", "error": "no", "output": None, "windows": ["2013-07-01"]}
    pipeline.deliver("weather", "2013-07-01", **failed)
    graph = pipeline.graph
    after = graph.run_of(D + "weather", "2013-07-01")
    assert after is not None
    assert before.mechanism == Mechanism("code-1") and after.mechanism == Mechanism("code-2")
    assert graph.run_of(D + "weather", "2013-07-03").mechanism == Mechanism("code-1")  # type: ignore[union-attr]
    assert graph.run_of(D + "weather", "2013-07-01", known_at=before.time) == before
    assert [run.run_id for run in graph.writers(D + "weather", "2013-07-01")] == [before.run_id, after.run_id]
    assert graph.runs(D + "weather")[-1].state == "FAIL"
    assert graph.run_of(D + "weather", "2012-01-01") is None
    assert graph.windows(D + "weather")[0] == "2013-06-27"


def test_training_runs_belong_to_the_version_and_to_the_model() -> None:
    pipeline = lived()
    pipeline.train("2", "2013-06-29", "2013-07-01")
    pipeline.train("3", "2013-06-29", "2013-07-01", state="FAIL", error="diverged")
    graph = pipeline.graph
    assert [run.version for run in graph.runs("model:nyc/delay")] == ["1", "2", "3"]
    [run] = graph.runs("model:nyc/delay@2")
    assert run.facets["headwater_training"]["seed"] == 7
    assert [item.ref for item in run.inputs] == [D + "features", D + "labels"]
    assert graph.runs("model:nyc/delay@3")[0].state == "FAIL"


def test_a_deployment_stands_between_model_and_predictions() -> None:
    pipeline = lived()
    served = Mechanism("code-1", {"model": "part-1"})
    pipeline.record(events.deployment_event("nyc", "delay", "1", time=pipeline.time, mechanism=served))
    graph = pipeline.graph
    assert graph.node("deployment:nyc/delay").side == "ml"
    assert graph.parents("deployment:nyc/delay") == ["model:nyc/delay"]
    assert graph.runs("deployment:nyc/delay")[0].mechanism == served


def test_other_events_make_no_edges() -> None:
    pipeline = lived()
    before = told(pipeline.graph)
    window_of_day = CALENDAR.window("2013-07-03")
    window = pipeline.read("weather", ["2013-07-03"])
    pipeline.record(events.contract_event("nyc", window, window_of_day, time=pipeline.time, checks=[]))
    pipeline.record(events.label_event("nyc", "delay", window_of_day, time=pipeline.time, inputs=[window]))
    pipeline.record(events.release_event("nyc", "delay", "1", time=pipeline.time))
    pipeline.record(events.remedy_event("nyc", "hold", "weather", time=pipeline.time, incident="incident:nyc/1"))
    after = told(pipeline.graph)
    assert [row[2:] for row in after] == [row[2:] for row in before]


def test_events_of_one_run_add_up_in_any_order() -> None:
    made = [
        foreign(["a"], [], state="START", minutes=0, facets={"x": {"n": 1}}),
        foreign(["b"], [], state="RUNNING", minutes=1),
        foreign([], ["c"], state="COMPLETE", minutes=2, facets={"x": {"n": 2}}),
    ]
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0, 0, 2, 1]):
        graph = graph_of(*(made[index] for index in order))
        assert set(graph.parents(D + "c")) == {D + "a", D + "b"}
        [run] = graph.runs(D + "c")
        assert (run.state, run.time) == ("COMPLETE", START + timedelta(minutes=2))
        assert run.facets["x"]["n"] == 2
        assert {item.ref for item in run.inputs} == {D + "a", D + "b"}


def test_duplicates_and_disorder_change_nothing() -> None:
    pipeline = lived()
    pipeline.codes["weather"] = "code-2"
    pipeline.deliver("weather", "2013-07-01", "2013-07-02")
    bodies = [record.body for record in pipeline.ledger.read()]
    expected = told(graph_of(*bodies))  # type: ignore[arg-type]
    rng = random.Random(3)
    for _ in range(5):
        shuffled = bodies + rng.sample(bodies, 10)
        rng.shuffle(shuffled)
        assert told(graph_of(*shuffled)) == expected  # type: ignore[arg-type]


def test_a_rerun_that_changed_nothing_is_one_run_since_the_first_time() -> None:
    pipeline = lived()
    event = pipeline.deliver("weather", "2013-07-04")
    first = pipeline.graph.run_of(D + "weather", "2013-07-04")
    later = {**event, "eventTime": (pipeline.time + timedelta(days=3)).isoformat()}
    pipeline.record(later)
    graph = pipeline.graph
    assert first is not None
    assert graph.run_of(D + "weather", "2013-07-04", known_at=first.time) == first
    assert len(graph.writers(D + "weather", "2013-07-04")) == 1


def test_the_newest_facet_counts_and_a_deleted_one_is_gone() -> None:
    def owned(name: str) -> dict[str, Any]:
        return {"ownership": {"owners": [{"name": name}]}}

    new = foreign([], ["a"], run=2, minutes=5, a=owned("new"))
    old = foreign([], ["a"], run=1, minutes=1, a={**owned("old"), "their_facet": {"kept": True}})
    gone = foreign([], ["a"], run=3, minutes=9, a={"ownership": {"_deleted": True}})
    graph = graph_of(new, old)
    assert graph.owner(D + "a") == "new"
    assert graph.node(D + "a").facets["their_facet"] == {"kept": True}
    assert graph_of(new, old, gone).owner(D + "a") == ""
    assert graph_of(gone, new, old).owner(D + "a") == ""


def test_foreign_pipelines_join_ours() -> None:
    pipeline = lived()
    pipeline.record(foreign(["landing"], ["raw_weather"], run=8))
    pipeline.record(foreign(["delay_predictions"], ["dashboard"], run=9))
    graph = pipeline.graph
    path = graph.path(D + "landing", D + "dashboard")
    assert path is not None and path[0] == D + "landing" and path[-1] == D + "dashboard"
    assert graph.node(D + "landing").layer is None
    [run] = graph.runs(D + "dashboard")
    assert (run.windows, run.mechanism, run.version) == ((), None, None)


def test_a_foreign_model_joins_by_its_type() -> None:
    typed = {"datasetType": {"datasetType": "model"}, "version": {"datasetVersion": 3}}
    graph = graph_of(foreign(["x"], ["churn"], churn=typed))
    assert graph.parents("model:nyc/churn@3") == [D + "x"]


def test_an_event_that_was_not_parsed_is_refused() -> None:
    for body in ({}, {"eventTime": "2013-07-01T00:00:00Z"}, {"eventTime": 5}, {"eventTime": "x"}):
        with pytest.raises(DataError, match="not a parsed event"):
            Graph().add(body)


def test_a_long_chain_does_not_hit_the_recursion_limit() -> None:
    graph = graph_of(*(foreign([f"t{n}"], [f"t{n + 1}"], run=n + 1) for n in range(3000)))
    assert len(graph.ancestors(D + "t3000")) == 3000
    order = graph.order()
    assert order.index(D + "t0") < order.index(D + "t1500") < order.index(D + "t3000")
