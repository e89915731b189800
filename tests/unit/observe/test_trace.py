from __future__ import annotations

import json
from typing import Any

import pytest

from headwater.core.canonical import digest
from headwater.core.errors import UnknownName
from headwater.core.ports import Entry
from headwater.observe.trace import TraceNode, trace
from unit.observe.pipeline_events import Pipeline, lived

D = "dataset:nyc/"
MODEL = "model:nyc/delay"


def every(node: TraceNode) -> list[TraceNode]:
    return [node, *(found for one in node.inputs for found in every(one))]


def in_full(node: TraceNode) -> dict[str, TraceNode]:
    return {one.ref: one for one in every(node) if not one.repeated}


def content(pipeline: Pipeline, name: str, keys: list[str]) -> str:
    return digest(sorted((key, pipeline.contents[name][key]) for key in keys))


def test_which_datasets_trained_this_model() -> None:
    pipeline = lived()
    root = trace(pipeline.graph, MODEL, "1")
    assert (root.name, root.owner, root.side) == (MODEL + "@1", "ml-team", "ml")
    assert root.run["params"] == {"leaves": 31, "rate": 0.1}
    assert (root.run["seed"], root.run["code"], root.run["environment"]) == (7, "trainer-1", {"python": "3.11.7"})
    assert root.run["metrics"] == {"log_loss": 0.4123456789}
    assert root.run["parts"] == {"model": "part-1"}
    assert (root.first, root.last, root.windows) == ("2013-06-28", "2013-06-30", 3)
    assert [one.ref for one in root.inputs] == [D + "features", D + "labels"]
    nodes = in_full(root)
    assert set(nodes) == {
        MODEL,
        *(D + n for n in ("features", "labels", "weather", "flights", "raw_weather", "raw_flights")),
    }
    features = nodes[D + "features"]
    trained_on = ["2013-06-28", "2013-06-29", "2013-06-30"]
    assert (features.version, features.first, features.last, features.windows) == ("1", *trained_on[::2], 3)
    assert (features.rows, features.contents) == (30, content(pipeline, "features", trained_on))
    assert (features.codes, features.layer, features.owner) == (("code-1",), "feature", "features-team")


def test_the_windows_are_those_that_were_needed_on_any_way() -> None:
    """Weather is read one window back, by the range run that made the features."""
    pipeline = lived()
    nodes = in_full(trace(pipeline.graph, MODEL, "1"))
    keys = ["2013-06-27", "2013-06-28", "2013-06-29", "2013-06-30"]
    assert nodes[D + "weather"].contents == content(pipeline, "weather", keys)
    assert nodes[D + "raw_weather"].contents == content(pipeline, "raw_weather", keys)
    assert nodes[D + "raw_weather"].inputs == ()


def test_each_dataset_once_in_full_and_then_by_reference() -> None:
    root = trace(lived().graph, MODEL, "1")
    flights = [node for node in every(root) if node.ref == D + "flights"]
    assert [node.repeated for node in flights] == [False, True]
    assert flights[1].as_dict() == {"ref": D + "flights", "version": "1", "repeated": True}
    assert flights[1].inputs == ()


def test_a_later_rewrite_does_not_change_what_the_model_was_made_from() -> None:
    pipeline = lived()
    before = trace(pipeline.graph, MODEL, "1").as_dict()
    pipeline.codes["weather"] = "code-2"
    pipeline.feeds["raw_weather", "2013-06-29"] = "restated"
    for name in ("raw_weather", "weather", "features"):
        pipeline.deliver(name, "2013-06-28", "2013-06-30")
    assert trace(pipeline.graph, MODEL, "1").as_dict() == before
    pipeline.train("2", "2013-06-28", "2013-06-30")
    after = in_full(trace(pipeline.graph, MODEL, "2"))
    assert after[D + "weather"].codes == ("code-1", "code-2")  # 27 June still as it was first delivered
    assert after[D + "features"].contents != in_full(trace(pipeline.graph, MODEL, "1"))[D + "features"].contents


def test_content_that_came_back_is_traced_to_the_run_before_it_was_read() -> None:
    pipeline = lived()
    before = trace(pipeline.graph, MODEL, "1").as_dict()
    pipeline.codes["features"] = "code-2"
    pipeline.deliver("features", "2013-06-27", "2013-06-30")
    pipeline.codes["features"] = "code-1"
    pipeline.deliver("features", "2013-06-27", "2013-06-30")
    assert trace(pipeline.graph, MODEL, "1").as_dict() == before


def test_predictions_lead_to_the_model_and_its_training() -> None:
    root = trace(lived().graph, D + "delay_predictions")
    nodes = in_full(root)
    assert {one.ref for one in root.inputs} == {D + "delay_served", MODEL}
    assert nodes[MODEL].version == "1" and nodes[MODEL].run["seed"] == 7
    assert nodes[D + "features"].windows == 6  # three scored, three trained on
    assert nodes[D + "labels"].windows == 3


def test_a_dataset_with_and_without_a_version() -> None:
    pipeline = lived()
    pipeline.codes["weather"] = "code-2"
    pipeline.deliver("weather", "2013-07-01")
    graph = pipeline.graph
    newest = trace(graph, D + "weather")
    assert (newest.version, newest.windows, newest.codes) == ("5", 7, ("code-1", "code-2"))
    assert trace(graph, D + "weather@5") == trace(graph, D + "weather", "5") == newest
    old = trace(graph, D + "weather@2")
    assert (old.version, old.first, old.last, old.codes) == ("2", "2013-06-27", "2013-07-01", ("code-1",))
    assert old.runs == 2 and old.run == {}


def test_model_references_with_and_without_a_version() -> None:
    pipeline = lived()
    pipeline.train("2", "2013-06-29", "2013-07-01")
    graph = pipeline.graph
    assert trace(graph, MODEL).version == "2"
    assert trace(graph, MODEL + "@1") == trace(graph, MODEL, "1")
    assert trace(graph, MODEL + "@1").version == "1"


def test_unknown_names_and_versions() -> None:
    graph = lived().graph
    for ref, hint in (
        (MODEL + "@9", MODEL + "@1"),
        (MODEL + "@champion", MODEL + "@1"),
        (D + "wether", D + "weather"),
        (D + "weather@9", D + "weather@4"),
    ):
        with pytest.raises(UnknownName) as caught:
            trace(graph, ref)
        assert hint in str(caught.value.hint)


def test_windows_without_a_recorded_run_are_counted_not_hidden() -> None:
    pipeline = lived()
    lost = [record for record in pipeline.ledger.read() if record.body["job"]["name"] != "weather"]
    pipeline.ledger = type(pipeline.ledger)()
    pipeline.ledger.append([Entry(record.kind, record.subject, record.body, record.time) for record in lost])
    weather = in_full(trace(pipeline.graph, MODEL, "1"))[D + "weather"]
    assert (weather.unknown, weather.rows, weather.windows, weather.runs) == (4, None, 4, 0)
    assert "4 windows not recorded" in "\n".join(trace(pipeline.graph, MODEL, "1").lines())


def test_foreign_runs_without_windows_are_traced_by_version() -> None:
    def event(name: str, read: str | None, version: str, minute: int) -> dict[str, Any]:
        facets = {"version": {"datasetVersion": version}}
        return {
            "eventTime": f"2013-07-01T00:0{minute}:00Z",
            "eventType": "COMPLETE",
            "run": {"runId": f"00000000-0000-0000-0000-00000000000{minute}"},
            "job": {"namespace": "dbt", "name": name},
            "inputs": [{"namespace": "pg", "name": read, "facets": {"version": {"datasetVersion": "1"}}}]
            if read
            else [],
            "outputs": [{"namespace": "pg", "name": name, "facets": facets}],
        }

    pipeline = Pipeline()
    for minute, (name, read, version) in enumerate(
        [
            ("seed", None, "1"),
            ("other", None, "1"),
            ("base", "seed", "1"),
            ("base", "other", "2"),
            ("mart", "base", "1"),
        ]
    ):
        pipeline.record(event(name, read, version, minute))
    root = trace(pipeline.graph, "dataset:pg/mart")
    assert [one.ref for one in every(root)] == ["dataset:pg/mart", "dataset:pg/base", "dataset:pg/seed"]
    assert root.contents == "" and root.rows is None


def test_a_circle_through_time_ends() -> None:
    pipeline = lived()
    read = pipeline.read("delay_predictions", ["2013-07-01"])
    pipeline.deliver("features", "2013-07-02", inputs=[read])
    nodes = every(trace(pipeline.graph, D + "delay_predictions"))
    assert sum(node.ref == D + "features" and not node.repeated for node in nodes) == 1


def test_plain_data_and_text() -> None:
    root = trace(lived().graph, MODEL, "1")
    told = json.loads(json.dumps(root.as_dict()))
    assert told["inputs"][0]["ref"] == D + "features"
    assert told["run"]["seed"] == 7
    lines = root.lines()
    assert lines[0].startswith("model:nyc/delay@1")
    assert any("params: leaves=31, rate=0.1" in line for line in lines)
    assert any("metrics: log_loss=0.412346" in line for line in lines)
    assert any(
        line.startswith("├─ dataset:nyc/features@1  2013-06-28..2013-06-30 (3 windows)  30 rows") for line in lines
    )
    assert any(line.endswith("dataset:nyc/flights@1  (shown above)") for line in lines)
    assert any(line.startswith("└─ dataset:nyc/labels@1") for line in lines)
