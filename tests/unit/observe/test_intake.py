from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openlineage.client import event_v2, facet_v2
from openlineage.client.serde import Serde

from headwater.core.errors import DataError
from headwater.observe.events import parse
from headwater.observe.lineage import Graph

RAW: dict[str, Any] = {
    "eventType": "COMPLETE",
    "eventTime": "2013-07-01T04:00:00.123456789Z",
    "producer": "https://github.com/OpenLineage/OpenLineage/tree/1.54.0/integration/dbt",
    "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
    "run": {"runId": "0197C9A0-7c3e-7b1c-8b1f-2b7e0d0f0a11", "facets": {"dbt_version": {"version": "1.9", "odd": [1]}}},
    "job": {"namespace": "dbt", "name": "shop.orders", "facets": {}},
    "inputs": [{"namespace": "postgres://db:5432", "name": "shop.public.orders", "facets": {"unknown": {"a": None}}}],
    "outputs": [{"namespace": "s3://lake", "name": "a/b/orders"}],
}


def changed(path: str, value: Any) -> dict[str, Any]:
    raw = copy.deepcopy(RAW)
    *way, last = [int(step) if step.isdecimal() else step for step in path.split(".")]
    holder: Any = raw
    for step in way:
        holder = holder[step]
    if value is ...:
        del holder[last]
    else:
        holder[last] = value
    return raw


def test_a_foreign_event_passes_and_unknown_facets_are_kept() -> None:
    event = parse(RAW)
    assert event["run"]["facets"] == RAW["run"]["facets"]
    assert event["inputs"][0]["facets"] == {"unknown": {"a": None}}
    assert event["run"]["runId"] == RAW["run"]["runId"].lower()
    assert event["eventTime"] == RAW["eventTime"]
    assert event is not RAW and event["run"] is not RAW["run"]


def test_what_is_optional_may_be_absent_or_null() -> None:
    for path in (
        "inputs",
        "outputs",
        "eventType",
        "run.facets",
        "job.facets",
        "inputs.0.facets",
        "run.facets.dbt_version",
    ):
        for value in (None, ...):
            event = parse(changed(path, value))
            Graph().add(event)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("eventTime", ..., "`eventTime` is missing"),
        ("eventTime", 1372651200, "`eventTime` is 1372651200"),
        ("eventTime", "yesterday", "`eventTime` is 'yesterday'"),
        ("eventTime", "2013-07-01T00:00:00", "zone"),
        ("eventTime", "2013-07-01", "zone"),
        ("producer", ..., "`producer`"),
        ("schemaURL", "", "`schemaURL`"),
        ("run", ..., "`run` is missing"),
        ("run", "x", "`run` is 'x'"),
        ("run.runId", ..., "`run.runId` is missing"),
        ("run.runId", "42", "`run.runId` is '42', not a UUID"),
        ("run.facets", [1], "`run.facets`"),
        ("run.facets.dbt_version", "1.9", "`run.facets.dbt_version`"),
        ("eventType", "DONE", "`eventType` is 'DONE'"),
        ("job", ..., "`job` is missing"),
        ("job.name", None, "`job.name` is missing"),
        ("job.namespace", " ", "`job.namespace`"),
        ("inputs", {}, "`inputs`"),
        ("inputs.0", "orders", r"`inputs\[0\]`"),
        ("inputs.0.name", ..., r"`inputs\[0\].name` is missing"),
        ("outputs.0.namespace", 5, r"`outputs\[0\].namespace` is 5"),
        ("outputs.0.outputFacets", "x", r"`outputs\[0\].outputFacets`"),
    ],
)
def test_a_wrong_event_names_the_field(path: str, value: Any, named: str) -> None:
    with pytest.raises(DataError, match=named) as caught:
        parse(changed(path, value))
    assert caught.value.doing and caught.value.doing.startswith("reading an event of")
    assert caught.value.hint


@pytest.mark.parametrize("raw", [None, [], "text", 3, b"{}"])
def test_what_is_no_object_is_refused(raw: Any) -> None:
    with pytest.raises(DataError, match="the event"):
        parse(raw)


def test_hostile_values_are_refused_not_raised_through() -> None:
    circle: dict[str, Any] = {}
    circle["again"] = circle
    for bad in (circle, {"s": "\ud800"}, {"o": object()}, {"t": datetime(2013, 7, 1)}):
        with pytest.raises(DataError):
            parse(changed("run.facets.dbt_version", bad))


def test_dataset_and_job_events_are_known() -> None:
    common = {key: RAW[key] for key in ("eventTime", "producer")}
    spec = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/"
    owned = {"ownership": {"owners": [{"name": "team:shop"}]}}
    dataset = {**common, "schemaURL": spec + "DatasetEvent", "dataset": {**RAW["outputs"][0], "facets": owned}}
    job = {
        **common,
        "schemaURL": spec + "JobEvent",
        "job": RAW["job"],
        "inputs": RAW["inputs"],
        "outputs": RAW["outputs"],
    }
    graph = Graph()
    graph.add(parse(dataset))
    graph.add(parse(job))
    assert graph.owner("dataset:s3://lake/a/b/orders") == "team:shop"
    assert graph.parents("dataset:s3://lake/a/b/orders") == ["dataset:postgres://db:5432/shop.public.orders"]
    with pytest.raises(DataError, match=r"`dataset.name`"):
        parse({**dataset, "dataset": {"namespace": "a"}})


def test_what_the_official_client_sends_passes() -> None:
    event = event_v2.RunEvent(
        eventTime=datetime(2013, 7, 1, tzinfo=UTC).isoformat(),
        eventType=event_v2.RunState.START,
        run=event_v2.Run(RAW["run"]["runId"]),
        job=event_v2.Job("airflow", "dag.task", {"sql": facet_v2.sql_job.SQLJobFacet("select 1")}),
        inputs=[event_v2.InputDataset("pg", "t", facets={"schema": facet_v2.schema_dataset.SchemaDatasetFacet([])})],
    )
    sent = json.loads(Serde.to_json(event))
    parsed = parse(sent)
    assert parsed["job"] == sent["job"]
    assert parsed["inputs"][0]["facets"] == sent["inputs"][0]["facets"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
PATHS = [
    "eventTime",
    "eventType",
    "run",
    "run.facets",
    "job",
    "inputs",
    "inputs.0",
    "inputs.0.facets",
    "outputs.0.facets",
    "outputs",
]
FACETS = ["headwater_asset", "headwater_contents", "headwater_run", "ownership", "version", "datasetType"]


@given(path=st.sampled_from(PATHS), value=json_values)
def test_anything_either_passes_into_the_graph_or_is_a_clear_error(path: str, value: Any) -> None:
    try:
        event = parse(changed(path, value))
    except DataError:
        return
    Graph().add(event)


@given(
    place=st.sampled_from(["run.facets", "outputs.0.facets", "inputs.0.facets"]),
    facets=st.dictionaries(st.sampled_from(FACETS), st.dictionaries(st.text(max_size=5), json_values, max_size=3)),
    keys=st.fixed_dictionaries(
        {
            key: json_values
            for key in ("contents", "windows", "reads", "owners", "lag", "datasetVersion", "parts", "code")
        }
    ),
)
def test_any_facets_fold_into_the_graph(place: str, facets: dict[str, Any], keys: dict[str, Any]) -> None:
    raw = changed("outputs.0.facets", {})
    raw = {**raw, "outputs": copy.deepcopy(raw["outputs"])}
    holder: Any = raw
    for step in place.split("."):
        holder = holder[int(step)] if step.isdecimal() else holder[step]
    holder.update({name: {**facet, **keys} for name, facet in facets.items()})
    graph = Graph()
    graph.add(parse(raw))
    for node in graph.nodes():
        graph.runs(node.ref)
        graph.ancestors(node.ref)
        graph.order()
