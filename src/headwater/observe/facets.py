"""OpenLineage facets as plain dicts: the standard ones under their published schema, and ours beside them.

Standard schema addresses are those of the OpenLineage client 1.54. Our facets' schemas are in
``docs/reference/facets``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from headwater.core.assets import Asset, Mechanism
from headwater.core.canonical import plain
from headwater.core.errors import DataError
from headwater.core.windows import Window

Facet = dict[str, Any]

SITE = "https://headwater.example"
PRODUCER = f"{SITE}/headwater"
_SPEC = "https://openlineage.io/spec/facets"
_OURS = {
    "headwater_asset": "HeadwaterAssetDatasetFacet",
    "headwater_contents": "HeadwaterContentsDatasetFacet",
    "headwater_release": "HeadwaterReleaseRunFacet",
    "headwater_remedy": "HeadwaterRemedyRunFacet",
    "headwater_repair": "HeadwaterRepairRunFacet",
    "headwater_run": "HeadwaterRunRunFacet",
    "headwater_training": "HeadwaterTrainingRunFacet",
}
_ASSERTION = ("assertion", "success", "column", "severity", "name", "description", "expected", "actual")


def nominal_time(window: Window) -> Facet:
    """The span of time the run is about, not when it ran."""
    return _standard(
        "1-0-1", "NominalTimeRunFacet", nominalStartTime=window.start.isoformat(), nominalEndTime=window.end.isoformat()
    )


def error_message(message: str) -> Facet:
    """Why the run failed."""
    return _standard("1-0-1", "ErrorMessageRunFacet", message=message, programmingLanguage="PYTHON")


def processing_engine(name: str, version: str) -> Facet:
    """What computed the run, e.g. ``polars`` and its version."""
    return _standard("1-1-1", "ProcessingEngineRunFacet", name=name, version=version)


def job_type(job_type: str, processing: str = "BATCH") -> Facet:
    """What kind of job it is; ``processing`` is BATCH, STREAMING or SERVICE."""
    return _standard("2-0-4", "JobTypeJobFacet", processingType=processing, integration="HEADWATER", jobType=job_type)


def job_ownership(owner: str) -> Facet:
    """Who answers for the job."""
    return _standard("1-0-1", "OwnershipJobFacet", owners=[{"name": owner, "type": "OWNER"}])


def dataset_ownership(owner: str) -> Facet:
    """Who answers for the dataset."""
    return _standard("1-0-1", "OwnershipDatasetFacet", owners=[{"name": owner, "type": "OWNER"}])


def dataset_version(version: str | int) -> Facet:
    """The version of a dataset that was read or written."""
    return _standard("1-0-1", "DatasetVersionDatasetFacet", datasetVersion=str(version))


def schema(columns: Mapping[str, str]) -> Facet:
    """Column names and types, in order."""
    fields = [{"name": name, "type": str(kind)} for name, kind in columns.items()]
    return _standard("1-2-0", "SchemaDatasetFacet", fields=fields)


def dataset_type(name: str, sub_type: str | None = None) -> Facet:
    """What a dataset is when it is not a table, e.g. ``MODEL``."""
    return _standard(
        "1-0-1", "DatasetTypeDatasetFacet", datasetType=name, **({"subType": sub_type} if sub_type else {})
    )


def output_statistics(rows: int) -> Facet:
    """How many rows were written (an *output* facet)."""
    return _standard("1-0-2", "OutputStatisticsOutputDatasetFacet", rowCount=rows)


def data_quality_assertions(checks: Iterable[Mapping[str, Any]]) -> Facet:
    """Results of contract checks (an *input* facet: the checking job reads the dataset).

    Args:
        checks: Mappings with ``assertion`` and ``success``, and optionally column, severity (``error`` or ``warn``),
            name, description, expected and actual; anything else goes to ``params``.

    Raises:
        DataError: A check has no assertion or no success.
    """
    return _standard("1-1-0", "DataQualityAssertionsDatasetFacet", assertions=[_assertion(check) for check in checks])


def run(
    window: str, windows: Iterable[str], mechanism: Mechanism | None = None, approved: Mapping[str, str] | None = None
) -> Facet:
    """Ours: the windows a run is about, the code and the loaded parts it ran, and the parts that were approved."""
    code, parts = (mechanism.code, mechanism.parts) if mechanism else ("", {})
    return ours(
        "headwater_run",
        window=window,
        windows=list(windows),
        code=code,
        parts=dict(parts),
        approved=dict(approved or {}),
    )


def asset(made: Asset, side: str | None = None) -> Facet:
    """Ours: where an asset stands in the pipeline and how it reads its parents."""
    return ours(
        "headwater_asset",
        layer=made.layer,
        side=side or made.side,
        lag=made.lag,
        snapshot=made.snapshot,
        key=list(made.key),
        reads=[{"parent": read.parent, "lookback": read.lookback} for read in made.reads],
    )


def contents(hashes: Mapping[str, str], rows: Mapping[str, int]) -> Facet:
    """Ours: content hash and row count of each window that was read or written."""
    return ours("headwater_contents", contents=dict(hashes), rows=dict(rows))


def ours(name: str, /, **values: Any) -> Facet:
    """Build a facet of our own by its name."""
    address = f"{SITE}/docs/reference/facets/{name}.json#/$defs/{_OURS[name]}"
    return {"_producer": PRODUCER, "_schemaURL": address, **plain(values)}


def _standard(release: str, title: str, /, **values: Any) -> Facet:
    return {"_producer": PRODUCER, "_schemaURL": f"{_SPEC}/{release}/{title}.json#/$defs/{title}", **values}


def _assertion(check: Mapping[str, Any]) -> dict[str, Any]:
    if not check.get("assertion") or not isinstance(check.get("success"), bool):
        raise DataError("a check result needs `assertion` and `success` (true or false)", hint=f"it is {dict(check)!r}")
    known = {name: check[name] for name in _ASSERTION if check.get(name) is not None}
    for name in set(known) - {"success"}:
        known[name] = str(known[name])
    params = {name: value for name, value in check.items() if name not in _ASSERTION and value is not None}
    return {**known, "params": plain(params)} if params else known
