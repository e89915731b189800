"""Reading contracts, and the errors a person sees."""

import textwrap

import pytest

from headwater.core.errors import ProjectInvalid
from headwater.dataops.contracts import load_contracts, parse_contracts

GOOD = """\
apiVersion: v3.1.0
kind: DataContract
id: weather-1
version: 1.2.0
status: active
team:
  name: weather-desk
  members: [{username: ann}]
support:
  - {channel: '#news', scope: announcements}
  - {channel: '#weather-help', scope: issues}
customProperties:
  - {property: side, value: data}
slaProperties:
  - {property: latency, value: 4, unit: h}
  - {property: freshness, value: 1, unit: d}
  - {property: retention, value: 3, unit: m}
  - {property: endOfSupport, value: 2032-05-12T09:30:10-08:00}
schema:
  - name: weather
    quality:
      - {metric: rowCount, mustBeGreaterThan: 0}
    properties:
      - name: temp
        logicalType: number
        quality: [{type: custom, engine: headwater, implementation: {metric: mean.temp}, mustBeBetween: [0, 40]}]
"""


def put(folder, name, text):
    (folder / name).write_text(textwrap.dedent(text))
    return folder


def swapped(old, new):
    assert old in GOOD
    return GOOD.replace(old, new)


def test_a_contract_says_who_what_and_by_when(tmp_path):
    contract = load_contracts(put(tmp_path, "a.yaml", GOOD))["weather"]
    assert (contract.id, contract.version, contract.owner, contract.side) == (
        "weather-1", "1.2.0", "weather-desk", "data",
    )  # fmt: skip
    assert contract.channel == "#weather-help"
    assert contract.deadline == 4.0, "the shortest of latency and freshness, in hours"
    assert set(contract.sla) == {"latency", "freshness", "retention", "endOfSupport"}
    assert contract.needs_metrics and [column for column, _ in contract.checks()] == [None, "temp"]
    assert contract.raw["status"] == "active" and contract.path == tmp_path / "a.yaml"


def test_several_documents_and_files(tmp_path):
    second = swapped("weather-1", "w2").replace("name: weather\n", "name: storms\n")
    put(tmp_path, "a.yaml", f"# ours\n---\n{GOOD}---\n{second}---\n")
    put(tmp_path, "b.yml", swapped("weather-1", "w3").replace("name: weather\n", "name: rain\n"))
    put(tmp_path, "notes.txt", "not: [yaml")
    contracts = load_contracts(tmp_path)
    assert set(contracts) == {"weather", "storms", "rain"}
    assert contracts["weather"].line == 3 and contracts["storms"].line == 3 + GOOD.count("\n") + 1


def test_the_older_team_is_a_list_of_people(tmp_path):
    team = "team:\n  name: weather-desk\n  members: [{username: ann}]\n"
    people = "team: [{username: bob, role: developer}, {username: ann, role: Data Owner}]\n"
    assert parse_contracts(swapped(team, people), tmp_path)[0].owner == "ann"
    assert parse_contracts(swapped(team, ""), tmp_path)[0].owner == ""
    assert parse_contracts(swapped("  name: weather-desk\n", ""), tmp_path)[0].owner == "ann"


def test_a_changed_file_is_read_again(tmp_path):
    put(tmp_path, "a.yaml", GOOD)
    assert load_contracts(tmp_path)["weather"].version == "1.2.0"
    put(tmp_path, "a.yaml", swapped("1.2.0", "1.10.0"))
    assert load_contracts(tmp_path)["weather"].version == "1.10.0"


@pytest.mark.parametrize("version", ["v3.0.0", "v3.0.2", "v3.1.0", "v3.2.0"])
def test_known_versions_of_the_standard(tmp_path, version):
    assert parse_contracts(swapped("v3.1.0", version), tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "line", "says", "hint"),
    [
        ("team:\n", "team:\n\t- x\n", 7, "not YAML", "tab"),
        ("mustBeGreaterThan: 0}", "mustBeGreaterThan: 0", 23, "not YAML", "bracket"),
        ("kind: DataContract\n", "", 1, "`kind`", "kind (DataContract)"),
        ("status: active\n", "status:\n", 1, "`status`", "status"),
        ("v3.1.0", "v9.0.0", 1, "v9.0.0", "v3.1.0"),
        ("v3.1.0", "v2.2.2", 1, "v2.2.2", "v3.1.0"),
        ("kind: DataContract", "kind: DataProduct", 2, "DataProduct", "DataContract"),
        ("version: 1.2.0", "version: 1.2", 4, "`version` must be text", "version: '1.2'"),
        ("id: weather-1", "id: 7", 3, "`id` must be text", "id: '7'"),
        ("id: weather-1", "id: a\nid: weather-1", 4, "`id` is written twice", "keep one"),
        ("status: active", "status: active\nstauts: x", 6, "no field `stauts`", "`status`"),
        ("value: data}", "value: science}", 13, "science", "data or ml"),
        ("value: 4, unit: h", "value: 4, unit: m", 15, "minutes or months", "min or month"),
        ("property: latency", "property: latncy", 15, "no service level is called `latncy`", "did you mean `latency`?"),
        ("value: 4, unit: h", "value: soon", 15, "`soon`", "unit: h"),
        ("value: 4, unit: h", "value: 4", 15, "unit ``", "min, h, d"),
        ("  - name: weather\n", "  - name: Weather Data\n", 20, "`Weather Data`", "lower-case"),
        ("metric: rowCount", "metric: rowCuont", 22, "rowCuont", "did you mean `rowCount`"),
        ("metric: rowCount, mustBeGreaterThan: 0", "metric: rowCount", 22, "operator", "mustBeBetween"),
        ("metric: rowCount", "metric: nullValues", 22, "needs a column", "under a property"),
        ("mustBeGreaterThan: 0", "mustBeGreaterThan: many", 22, "a number", None),
        ("mustBeGreaterThan: 0", "mustBeGreaterThan: 0, severity: dire", 22, "dire", "error or warning"),
        ("mustBeGreaterThan: 0", "mustBeGreterThan: 0", 22, "mustBeGreterThan", "`mustBeGreaterThan`"),
        ("mustBeBetween: [0, 40]", "mustBeBetween: [40]", 26, "two numbers", "[0, 100]"),
        ("mustBeBetween: [0, 40]", "mustBeBetween: [40, 0]", 26, "smaller number last", None),
        ("{metric: mean.temp}", "{other: 1}", 26, "needs a metric", "metric"),
        ("logicalType: number", "logicalType: float", 25, "`float`", "number"),
        ("logicalType: number", "logicalType: number\n        requird: true", 26, "requird", "`required`"),
        ("logicalType: number", "logicalType: number\n        required: sure", 26, "true or false", None),
        ("      - name: temp\n", "      - name: temp\n      - name: temp\n", 25, "`temp` is there twice", None),
        (
            "  - name: weather\n",
            "  - name: other\n  - name: weather\n",
            20,
            "this one has 2",
            "one document per dataset",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_a_way_out(tmp_path, old, new, line, says, hint):
    put(tmp_path, "a.yaml", swapped(old, new))
    with pytest.raises(ProjectInvalid) as caught:
        load_contracts(tmp_path)
    assert caught.value.message.startswith(f"{tmp_path / 'a.yaml'}:{line}: "), caught.value.message
    assert says in caught.value.message
    assert hint is None or hint in caught.value.hint


@pytest.mark.parametrize("text", ["- a\n- b\n", "just text", "7"])
def test_a_document_that_is_no_mapping_is_refused(tmp_path, text):
    with pytest.raises(ProjectInvalid, match="a contract is a mapping"):
        load_contracts(put(tmp_path, "a.yaml", text))


@pytest.mark.parametrize(("old", "new"), [("weather-1", "other"), ("name: weather\n", "name: other\n")])
def test_two_contracts_for_one_dataset_or_with_one_id_name_both_places(tmp_path, old, new):
    put(tmp_path, "a.yaml", GOOD)
    put(tmp_path, "b.yaml", swapped(old, new))
    with pytest.raises(ProjectInvalid) as caught:
        load_contracts(tmp_path)
    assert "b.yaml:1" in caught.value.message and "a.yaml:1" in caught.value.message


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"id: \xff\xfe\x00")
    with pytest.raises(ProjectInvalid, match=r"a\.yaml"):
        load_contracts(tmp_path)
