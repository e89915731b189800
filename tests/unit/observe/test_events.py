from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attr
import pytest
from openlineage.client import event_v2, facet_v2
from openlineage.client.serde import Serde

from headwater.core.assets import Asset, Mechanism, Read
from headwater.core.errors import DataError, UsageError
from headwater.core.ports import TableVersion
from headwater.core.windows import Calendar
from headwater.observe import events, facets

TIME = datetime(2013, 7, 2, 6, tzinfo=UTC)
WINDOW = Calendar("1d", "America/New_York").window("2013-07-01")
ASSET = Asset("features", "feature", (Read("weather", 1), Read("flights")), lag=1, key=("id",), side="ml")
WEATHER = TableVersion(
    "weather", 4, {"2013-06-30": "a" * 64, "2013-07-01": "b" * 64}, {"2013-06-30": 72, "2013-07-01": 71}
)
OUTPUT = TableVersion("features", 9, {"2013-07-01": "c" * 64}, {"2013-07-01": 900})
SCORER = Mechanism("code1", {"model": "m1", "threshold": "t1"})

STANDARD = {
    ("run", "nominalTime"): facet_v2.nominal_time_run.NominalTimeRunFacet,
    ("run", "errorMessage"): facet_v2.error_message_run.ErrorMessageRunFacet,
    ("run", "processing_engine"): facet_v2.processing_engine_run.ProcessingEngineRunFacet,
    ("job", "jobType"): facet_v2.job_type_job.JobTypeJobFacet,
    ("job", "ownership"): facet_v2.ownership_job.OwnershipJobFacet,
    ("dataset", "ownership"): facet_v2.ownership_dataset.OwnershipDatasetFacet,
    ("dataset", "version"): facet_v2.dataset_version_dataset.DatasetVersionDatasetFacet,
    ("dataset", "schema"): facet_v2.schema_dataset.SchemaDatasetFacet,
    ("dataset", "datasetType"): facet_v2.dataset_type_dataset.DatasetTypeDatasetFacet,
    ("input", "dataQualityAssertions"): facet_v2.data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet,
    ("output", "outputStatistics"): facet_v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
}
BASES = {
    "run": facet_v2.RunFacet,
    "job": facet_v2.JobFacet,
    "dataset": facet_v2.DatasetFacet,
    "input": facet_v2.InputDatasetFacet,
    "output": facet_v2.OutputDatasetFacet,
}
INNER = {
    "owners": facet_v2.ownership_dataset.Owner,
    "fields": facet_v2.schema_dataset.SchemaDatasetFacetFields,
    "assertions": facet_v2.data_quality_assertions_dataset.Assertion,
}
SCHEMAS = Path(__file__).parents[3] / "docs" / "reference" / "facets"


def all_events() -> dict[str, events.Event]:
    trained = {
        "mechanism": Mechanism("trainer", {"model": "m1"}),
        "params": {"leaves": 31},
        "metrics": {"log_loss": 0.41},
        "seed": 7,
        "environment": {"python": "3.11.7"},
        "owner": "ml-team",
    }
    checks = [
        {
            "assertion": "nullValues",
            "success": False,
            "column": "temp",
            "severity": "error",
            "expected": 0,
            "actual": 3,
        },
        {"assertion": "rowCount", "success": True, "rows": [1, 2]},
    ]
    model = events.model_dataset("nyc", "delay", "7")
    return {
        "delivery": events.delivery_event(
            "nyc",
            ASSET,
            WINDOW,
            time=TIME,
            mechanism=SCORER,
            output=OUTPUT,
            inputs=[WEATHER, model, events.deployment_dataset("nyc", "delay")],
            columns={"id": "String", "temp": "Float64"},
            owner="ml-team",
            approved={"model": "m0"},
            engine=("polars", "2.1.0"),
        ),
        "failed delivery": events.delivery_event(
            "nyc", ASSET, WINDOW, time=TIME, mechanism=SCORER, state="FAIL", error="column `temp` is missing"
        ),
        "contract": events.contract_event("nyc", WEATHER, WINDOW, time=TIME, checks=checks, owner="data-team"),
        "training": events.training_event("nyc", "delay", "7", WINDOW, time=TIME, inputs=[WEATHER], **trained),
        "release": events.release_event(
            "nyc",
            "delay",
            "7",
            time=TIME,
            previous="6",
            displacement=0.01,
            gate=[{"check": "log_loss", "passed": True}],
        ),
        "rollback": events.release_event("nyc", "delay", "6", time=TIME, previous="7", rollback=True, owner="ml-team"),
        "deployment": events.deployment_event("nyc", "delay", "7", time=TIME, mechanism=SCORER, window=WINDOW),
        "labels": events.label_event("nyc", "delay", WINDOW, time=TIME, inputs=[OUTPUT]),
        "remedy": events.remedy_event(
            "nyc",
            "repair",
            "weather",
            time=TIME,
            incident="incident:nyc/1",
            windows=["2013-07-01", "2013-06-30"],
            outputs=[WEATHER],
        ),
    }


EVENTS = all_events()
each = pytest.mark.parametrize("event", EVENTS.values(), ids=EVENTS.keys())


def placed(event: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every facet with the place it was found in."""
    holders = [("run", event["run"], "facets"), ("job", event["job"], "facets")]
    for side, key in (("inputs", "input"), ("outputs", "output")):
        for one in event[side]:
            holders += [("dataset", one, "facets"), (key, one, f"{key}Facets")]
    for place, holder, key in holders:
        for name, facet in holder.get(key, {}).items():
            yield place, name, facet


def pruned(value: Any) -> Any:
    """Drop what is empty: the client writes its optional fields as empty lists and mappings."""
    if isinstance(value, dict):
        return {key: pruned(item) for key, item in value.items() if item not in (None, {}, [])}
    return [pruned(item) for item in value] if isinstance(value, list) else value


def by_client(place: str, name: str, facet: Mapping[str, Any]) -> Any:
    """Build a facet with the client's own class; it refuses fields that it does not know."""
    fields = {key: value for key, value in facet.items() if not key.startswith("_")}
    if name.startswith("headwater_"):
        return facet
    for key, inner in INNER.items():
        if key in fields:
            fields[key] = [inner(**one) for one in fields[key]]
    return STANDARD[place, name](**fields, producer=facet["_producer"])


@each
def test_the_client_builds_the_same_event(event: events.Event) -> None:
    def datasets(side: str, place: str, made: type) -> list[Any]:
        return [
            made(
                one["namespace"],
                one["name"],
                {name: by_client(place, name, facet) for name, facet in one.get(f"{place}Facets", {}).items()},
                facets={name: by_client("dataset", name, facet) for name, facet in one["facets"].items()},
            )
            for one in event[side]
        ]

    run, job = event["run"], event["job"]
    built = event_v2.RunEvent(
        eventType=event_v2.RunState(event["eventType"]),
        eventTime=event["eventTime"],
        producer=event["producer"],
        run=event_v2.Run(run["runId"], {name: by_client("run", name, one) for name, one in run["facets"].items()}),
        job=event_v2.Job(
            job["namespace"], job["name"], {name: by_client("job", name, one) for name, one in job["facets"].items()}
        ),
        inputs=datasets("inputs", "input", event_v2.InputDataset),
        outputs=datasets("outputs", "output", event_v2.OutputDataset),
    )
    assert pruned(Serde.to_dict(built)) == pruned(event)
    assert pruned(json.loads(Serde.to_json(built))) == pruned(event)


@each
def test_standard_facets_stand_where_the_specification_has_them(event: events.Event) -> None:
    seen = 0
    for place, name, facet in placed(event):
        assert facet["_producer"] == facets.PRODUCER
        if not name.startswith("headwater_"):
            kind = STANDARD[place, name]
            assert issubclass(kind, BASES[place])
            assert facet["_schemaURL"] == kind._get_schema()
            assert {key for key in facet if key[0] != "_"} <= {field.name for field in attr.fields(kind)}
            seen += 1
    assert seen


@each
def test_our_facets_are_as_published(event: events.Event) -> None:
    for place, name, facet in placed(event):
        if not name.startswith("headwater_"):
            continue
        address, _, pointer = facet["_schemaURL"].partition("#/$defs/")
        assert address.endswith(f"/docs/reference/facets/{name}.json")
        published = json.loads((SCHEMAS / f"{name}.json").read_text())
        made = published["$defs"][pointer]["allOf"][1]
        assert set(made["required"]) <= set(facet) <= {"_producer", "_schemaURL", *made["properties"]}
        assert {"run": "Run", "dataset": "Dataset"}[place] in published["$defs"][pointer]["allOf"][0]["$ref"]
        for key, rule in made["properties"].items():
            if key in facet:
                assert json_type(facet[key]) in ([rule["type"]] if isinstance(rule["type"], str) else rule["type"])


def json_type(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object", list: "array"}
    return names.get(type(value), "null")


def test_every_published_facet_is_one_of_ours() -> None:
    assert {path.stem for path in SCHEMAS.glob("*.json")} == set(facets._OURS)


def test_a_delivery_says_what_lineage_and_triage_need() -> None:
    event = EVENTS["delivery"]
    run = event["run"]["facets"]
    assert run["headwater_run"]["window"] == "2013-07-01"
    assert run["headwater_run"]["parts"] == {"model": "m1", "threshold": "t1"}
    assert run["headwater_run"]["approved"] == {"model": "m0"}
    assert run["nominalTime"]["nominalStartTime"] == "2013-07-01T04:00:00+00:00"
    assert [one["name"] for one in event["inputs"]] == ["weather", "model.delay", "deployment.delay"]
    [output] = event["outputs"]
    assert output["facets"]["headwater_asset"]["reads"][0] == {"parent": "weather", "lookback": 1}
    assert output["facets"]["headwater_contents"]["rows"] == {"2013-07-01": 900}
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 900


def test_a_failed_delivery_names_its_output_without_a_version() -> None:
    event = EVENTS["failed delivery"]
    assert event["eventType"] == "FAIL"
    assert event["run"]["facets"]["errorMessage"]["message"] == "column `temp` is missing"
    assert "version" not in event["outputs"][0]["facets"]


def test_checks_are_results_on_the_input() -> None:
    [checked] = EVENTS["contract"]["inputs"]
    first, second = checked["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert first == {
        "assertion": "nullValues",
        "success": False,
        "column": "temp",
        "severity": "error",
        "expected": "0",
        "actual": "3",
    }
    assert second == {"assertion": "rowCount", "success": True, "params": {"rows": [1, 2]}}
    assert EVENTS["contract"]["outputs"] == []


@pytest.mark.parametrize("check", [{"success": True}, {"assertion": "a"}, {"assertion": "a", "success": "yes"}])
def test_a_check_without_a_result_is_refused(check: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="assertion"):
        events.contract_event("nyc", WEATHER, WINDOW, time=TIME, checks=[check])


def test_a_rerun_that_changed_nothing_is_the_same_run_and_any_change_is_another() -> None:
    def run_id(**changes: Any) -> str:
        given: dict[str, Any] = {"mechanism": SCORER, "output": OUTPUT, "inputs": [WEATHER], "time": TIME}
        event = events.delivery_event("nyc", ASSET, WINDOW, **{**given, **changes})
        return str(event["run"]["runId"])

    same = run_id()
    assert same == run_id(time=datetime(2013, 8, 1, tzinfo=UTC)) == run_id(owner="somebody")
    others = [
        run_id(mechanism=Mechanism("code2", SCORER.parts)),
        run_id(mechanism=Mechanism("code1", {"model": "m2"})),
        run_id(inputs=[]),
        run_id(inputs=[TableVersion("weather", 5, WEATHER.contents, {})]),
        run_id(output=TableVersion("features", 9, {"2013-07-01": "d" * 64}, {"2013-07-01": 900})),
        run_id(output=None, state="FAIL", error="e"),
    ]
    assert len({same, *others}) == 7


def test_run_ids_follow_from_content() -> None:
    made = events.run_id_of("weather", "2013-07-01", {"b": 1, "a": (2, None)})
    assert uuid.UUID(made).version == 5
    assert made == events.run_id_of("weather", "2013-07-01", {"a": [2, None], "b": 1})
    assert made != events.run_id_of("weather", "2013-07-02", {"a": [2, None], "b": 1})
    assert events.run_id_of("a", "b,c") != events.run_id_of("a,b", "c")


def test_times_without_a_zone_are_refused() -> None:
    with pytest.raises(UsageError, match="no zone"):
        events.release_event("nyc", "delay", "7", time=datetime(2013, 7, 1))


@each
def test_our_events_pass_our_own_intake(event: events.Event) -> None:
    assert pruned(events.parse(event)) == pruned(event)
