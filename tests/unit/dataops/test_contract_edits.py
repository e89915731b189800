"""Adding a check leaves the rest of a file alone; a draft is a contract that its frame fulfils."""

import difflib
import json
import os
import stat
from datetime import UTC, datetime
from importlib.resources import files

import polars as pl
import pytest
import yaml

from headwater.core.errors import ProjectInvalid, StorageError, UnknownName, UsageError
from headwater.dataops.contracts import add_check, broken, draft, execute, load_contracts, parse_contracts

CHECK = {
    "name": "temp_in_band",
    "type": "custom",
    "engine": "headwater",
    "implementation": {"metric": "mean.temp"},
    "mustBeBetween": [-3.5, 41],
    "severity": "warning",
    "description": "added: it's #1, would have failed from 2013-07-01",
}
FIRST = "# first file of the feed\n---\n{apiVersion: v3.1.0, kind: DataContract, id: other, version: 2.0.0,\n" \
    "  status: active, schema: [{name: other}]}  # stays\n"  # fmt: skip
HEAD = "---\napiVersion: v3.1.0  # the standard\nkind: DataContract\nid: weather\n" \
    "version: '1.2.9'   # ours\nstatus: active\nschema:\n"  # fmt: skip
LAST = """---
# the last one
{apiVersion: v3.1.0, kind: DataContract, id: z, version: 1.0.0, status: active, schema: [{name: z}]}
"""

SHAPES = {
    "a list with comments": "  - name: weather\n    # how many\n    quality:\n      - metric: rowCount  # rows\n"
    "        mustBeGreaterThan: 0   # never none\n\n    # then the columns\n    properties:\n      - name: temp\n",
    "a list that comes last": "  - name: weather\n    quality:\n    - {metric: rowCount, mustBe: 3}",
    "a list after a long text": "  - name: weather\n    quality:\n      - type: text\n        description: |\n"
    "          it looks\n          right\n\n    properties: []\n",
    "an inline list": "  - name: weather\n    quality: [{metric: rowCount, mustBe: 3}]  # one\n    properties: []\n",
    "an inline list with a last comma": "  - name: weather\n    quality: [{metric: rowCount, mustBe: 3}, ]\n",
    "an empty inline list": "  - name: weather\n    quality: []\n    properties: []\n",
    "a key without a list": "  - name: weather\n    quality:\n    properties: []\n",
    "no list": "  - name: weather   # the table\n    properties:\n      - name: temp\n",
    "no list, name last": "  - properties:\n      - name: temp\n    name: weather",
    "an inline object": "  [{name: weather, properties: [{name: temp}]}]\n",
    "an inline object on lines": "  [{name: weather,\n    properties: [{name: temp}]}]\n",
}


def write(folder, body, newline="\n"):
    folder.mkdir(exist_ok=True)
    tail = "" if body.endswith("\n") else "\n"
    text = (FIRST + HEAD + body + (tail + LAST if tail == "" else "")).replace("\n", newline)
    (folder / "feed.yaml").write_bytes(text.encode())
    return text


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_check_is_added_and_every_other_line_stays(tmp_path, shape, newline):
    before = write(tmp_path, SHAPES[shape], newline)
    old = load_contracts(tmp_path)["weather"]
    assert add_check(tmp_path, "weather", CHECK) == tmp_path / "feed.yaml"
    after = (tmp_path / "feed.yaml").read_bytes().decode()
    new = load_contracts(tmp_path)["weather"]
    assert list(new.quality) == [*old.quality, CHECK] and new.properties == old.properties
    assert new.version == "1.3.0"
    assert after.count("\r\n") == (after.count("\n") if newline == "\r\n" else 0)
    changed = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] == "-"]
    assert len(changed) <= 2 and any("version: '1.2.9'   # ours" in line for line in changed), changed
    for comment in ("# first file", "# stays", "# the standard", "# ours", "# how many", "# rows", "# never none"):
        assert (comment in before) == (comment in after)
    assert [item.raw for item in parse_contracts(after, old.path) if item.dataset != "weather"] == [
        item.raw for item in parse_contracts(before, old.path) if item.dataset != "weather"
    ]


def test_checks_pile_up(tmp_path):
    write(tmp_path, SHAPES["no list"])
    for number in range(12):
        add_check(tmp_path, "weather", {"name": f"c{number}", "metric": "rowCount", "mustBeGreaterThan": number})
    contract = load_contracts(tmp_path)["weather"]
    assert [check["name"] for check in contract.quality] == [f"c{number}" for number in range(12)]
    assert contract.version == "1.14.0"


@pytest.mark.parametrize(
    ("version", "raised"), [("1.2.9", "1.3.0"), ("v1.2.9", "v1.3.0"), ("1.9", "1.10"), ("2013-07", "2013-07.1")]
)
def test_the_version_is_raised(tmp_path, version, raised):
    write(tmp_path, SHAPES["no list"])
    path = tmp_path / "feed.yaml"
    path.write_text(path.read_text().replace("1.2.9", version))
    add_check(tmp_path, "weather", CHECK)
    assert load_contracts(tmp_path)["weather"].version == raised


def test_the_same_check_is_refused(tmp_path):
    write(tmp_path, SHAPES["a list with comments"])
    add_check(tmp_path, "weather", CHECK)
    text = (tmp_path / "feed.yaml").read_text()
    with pytest.raises(UsageError, match="temp_in_band"):
        add_check(tmp_path, "weather", {**CHECK, "mustBeBetween": [0, 1]})
    with pytest.raises(UsageError, match="temp_in_band"):
        add_check(tmp_path, "weather", {**CHECK, "name": "other", "description": "in other words"})
    assert (tmp_path / "feed.yaml").read_text() == text


@pytest.mark.parametrize(
    "check",
    [{"metric": "rowCount"}, {"metric": "nullValues", "mustBe": 0}, {"name": "x", "type": "magic"}, {"typo": 1}],
)
def test_what_is_not_a_check_is_refused_and_nothing_is_written(tmp_path, check):
    text = write(tmp_path, SHAPES["no list"])
    with pytest.raises(ProjectInvalid, match="does not fit"):
        add_check(tmp_path, "weather", check)
    assert (tmp_path / "feed.yaml").read_text() == text and len(list(tmp_path.iterdir())) == 1


def test_text_that_two_places_share_is_not_edited(tmp_path):
    shared = "    quality: &all [{metric: rowCount, mustBe: 3}]\n"
    body = f"  - name: weather\n{shared}    properties:\n      - name: temp\n        quality: *all\n"
    text = write(tmp_path, body)
    with pytest.raises(ProjectInvalid, match="cannot be edited safely") as caught:
        add_check(tmp_path, "weather", CHECK)
    assert "temp_in_band" in caught.value.hint and (tmp_path / "feed.yaml").read_text() == text


def test_an_unknown_dataset_is_refused(tmp_path):
    write(tmp_path, SHAPES["no list"])
    with pytest.raises(UnknownName, match="wether"):
        add_check(tmp_path, "wether", CHECK)


def test_the_file_keeps_its_mode(tmp_path):
    write(tmp_path, SHAPES["no list"])
    (tmp_path / "feed.yaml").chmod(0o640)
    add_check(tmp_path, "weather", CHECK)
    assert stat.S_IMODE((tmp_path / "feed.yaml").stat().st_mode) == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["feed.yaml"]


def test_a_file_that_cannot_be_written_stays(tmp_path):
    text = write(tmp_path, SHAPES["no list"])
    (tmp_path / f".feed.yaml.{os.getpid()}").mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        add_check(tmp_path, "weather", CHECK)
    assert (tmp_path / "feed.yaml").read_text() == text


FRAME = pl.DataFrame(
    {
        "id": [1, 2],
        "temp": [20.5, None],
        "name": ["yes", "no"],
        "at": [datetime(2013, 7, 1, tzinfo=UTC)] * 2,
        "day": [datetime(2013, 7, 1).date()] * 2,
        "tags": [[{"k": "a"}], []],
        "where": [{"lat": 1.0, "ok": True}, None],
        "raw": [b"x", b"y"],
    }
)


def test_a_draft_is_a_contract_that_its_frame_fulfils(tmp_path):
    (tmp_path / "c.yaml").write_text(draft("trips", FRAME, "rail-desk", "ml"))
    contract = load_contracts(tmp_path)["trips"]
    assert (contract.owner, contract.side, contract.dataset) == ("rail-desk", "ml", "trips")
    results = execute(contract, FRAME)
    assert [result for result in results if not result.passed] == []
    assert {result.column for result in results if result.check == "required"} == {
        "id", "name", "at", "day", "tags", "raw",
    }  # fmt: skip
    assert broken(execute(contract, FRAME.clear())), "no rows break it"
    assert broken(execute(contract, FRAME.with_columns(pl.col("at").dt.replace_time_zone(None))))


def test_a_draft_is_what_the_standard_says():
    try:
        text = files("open_data_contract_standard").joinpath("schema.json").read_text()
    except ModuleNotFoundError:
        pytest.skip("the standard's own package is not installed")
    from open_data_contract_standard.model import OpenDataContractStandard

    written = draft("trips", FRAME, "rail-desk", "ml")
    assert OpenDataContractStandard.from_string(written).schema_[0].name == "trips"
    schema, document = json.loads(text), yaml.safe_load(written)
    assert set(schema["required"]) <= set(document) <= set(schema["properties"])
    assert document["apiVersion"] in schema["properties"]["apiVersion"]["enum"]
