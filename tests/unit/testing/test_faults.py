from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl
import pytest

from headwater.core.errors import UsageError
from headwater.core.names import Ref
from headwater.testing.faults import DECOYS, DEFAULT, FAULTS, Fault, edit
from headwater.testing.flights_world import World
from unit.testing.test_flights_template import breaches
from unit.testing.tiny_line import TinyLine, load

Resume = Callable[[str], tuple[TinyLine, World]]
DAY = "2013-07-16"


class InMemory:
    """The team's doors on a tiny line: what the server loads is ``line.parts``."""

    def __init__(self, line: TinyLine, champion: Mapping[str, Any]) -> None:
        self.line, self.versions = line, {"1": dict(champion)}
        self.champion = "1"
        self.deploy("delay")

    def train(self, model: str, *, seed: int) -> str:
        rows = self.line.training(model, "2013-05-15", "2013-06-29")
        self.versions["2"] = self.line.project.models[model].train(rows, seed)
        return "2"

    def release(self, model: str, version: str, *, by: str) -> None:
        self.champion = version
        self.deploy(model)

    def deploy(self, model: str, version: str | None = None, parts: Mapping[str, Any] | None = None) -> None:
        self.line.parts[model] = {**self.versions[version or self.champion], **(parts or {})}


@pytest.fixture(scope="session")
def clean(year: TinyLine, parts: dict[str, Any]) -> pl.DataFrame:
    year.parts = {"delay": parts}
    served = year.compute("delay_served", year.project.calendar.window(DAY))
    year.tables["delay_served"] |= served
    return year.compute("delay_predictions", year.project.calendar.window(DAY))[DAY]


def play(resume: Resume, parts: Mapping[str, Any], plant: Callable[[World, Any], None]) -> tuple[TinyLine, World, Any]:
    line, world = resume(DAY)
    doors = InMemory(line, parts)
    plant(world, doors)
    line.project = load(world.project_dir / "pipeline.py")
    world.deliver(DAY)
    line.run(DAY)
    return line, world, doors


def moved(line: TinyLine, clean: pl.DataFrame) -> tuple[float, float, float]:
    """Mean |dp|, share of changed decisions, share of rows lost, on one day."""
    pairs = line.frame("delay_predictions", DAY).join(clean, on="flight_id", suffix="_clean")
    dp = (pairs["p"] - pairs["p_clean"]).abs().mean()
    flips = (pairs["decision"] != pairs["decision_clean"]).mean()
    return float(dp), float(flips), 1 - pairs.height / clean.height  # type: ignore[arg-type]


# Lower bounds on one ordinary day, about half of what was measured on it: (mean |dp|, decisions changed, rows lost).
MEASURED = {
    "weather_offset": (0.01, 0.01, 0), "temperature_celsius": (0.025, 0.015, 0), "carrier_recode": (0, 0, 0.2),
    "weather_null_burst": (0.03, 0.015, 0), "planes_truncated": (0.003, 0, 0), "weather_frozen": (0.005, 0.002, 0),
    "flights_duplicated": (0.004, 0.002, 0), "late_positives_missing": (0.0005, 0, 0),
    "weather_join_hour": (0.01, 0.01, 0), "fleet_join_inner": (0, 0, 0.1), "plane_key_case": (0.007, 0.002, 0),
    "history_window": (0.02, 0.01, 0), "history_scale": (0.015, 0.01, 0), "wrong_version": (0.01, 0.005, 0),
    "missing_calibrator": (0.01, 0.002, 0), "threshold_config": (0, 0.02, 0), "served_default_zero": (0.04, 0.02, 0),
    "served_column_swap": (0.05, 0.02, 0), "batch_misaligned": (0.03, 0.02, 0), "label_definition": (0, 0, 0),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_a_fault_matters_and_heals(
    fault: Fault, resume: Resume, year: TinyLine, parts: dict[str, Any], clean: pl.DataFrame
) -> None:
    original = (resume.__globals__["TEMPLATE"] / "pipeline.py").read_text(encoding="utf-8")
    line, world, doors = play(resume, parts, fault.plant)
    dp, flips, lost = moved(line, clean)
    least = MEASURED[fault.name]
    assert dp >= least[0] and flips >= least[1] and lost >= least[2], (dp, flips, lost)
    name = Ref.parse(fault.asset).name
    if fault.layer == "label":
        yesterday = year.project.calendar.shift(year.project.calendar.window(DAY), -1).key
        told, truth = line.frame("delay_labels", yesterday), year.frame("delay_labels", yesterday)
        assert told["late"].sum() < 0.75 * truth["late"].sum()
    fault.heal(world, doors)
    assert (world.project_dir / "pipeline.py").read_text(encoding="utf-8") == original
    line.project = load(world.project_dir / "pipeline.py")
    line.run(DAY)
    assert moved(line, clean)[0] < 1e-12 and moved(line, clean)[2] == 0, name


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
def test_no_contract_refuses_a_fault(fault: Fault, resume: Resume, parts: dict[str, Any]) -> None:
    """They are silent: the contracts that the template ships let every one of them through."""
    line, _, _ = play(resume, parts, fault.plant)
    for name, table in line.tables.items():
        assert not breaches(name, table[max(table)])


def test_names_and_sides_are_true(year: TinyLine) -> None:
    assert DEFAULT in FAULTS and len(FAULTS) >= 14
    layers = {fault.layer for fault in FAULTS.values()}
    assert layers == {"source", "ingestion", "transform", "feature", "release", "serving", "label"}
    for fault in FAULTS.values():
        ref = Ref.parse(fault.asset)
        assert ref.namespace == year.project.name and fault.remedies
        if ref.kind == "dataset":
            assert year.project.assets[ref.name].side == fault.side
        else:
            assert (ref.kind, ref.name, fault.side) == ("deployment", "delay", "ml")


@pytest.mark.parametrize("decoy", DECOYS.values(), ids=list(DECOYS))
def test_harmless_changes_are_harmless(
    decoy: Any, resume: Resume, year: TinyLine, parts: dict[str, Any], clean: pl.DataFrame
) -> None:
    line, _, _ = play(resume, parts, decoy.plant)
    dp, _, lost = moved(line, clean)
    assert lost == 0
    if decoy.kind == "reseed":
        assert 0 < dp < 0.06
        return
    assert dp < 1e-6
    name = Ref.parse(decoy.asset).name
    key = max(line.tables[name])
    assert line.tables[name][key].columns == year.tables[name][key].columns
    if decoy.kind == "refactor":
        assert line.tables[name][key].equals(year.tables[name][key])
    else:
        assert not line.tables[name][key].equals(year.tables[name][key])


def test_harmless_commits_do_not_collide_with_faults(tmp_path: Any, resume: Resume) -> None:
    _, world = resume(DAY)
    path = world.project_dir / "pipeline.py"
    original = path.read_text(encoding="utf-8")
    doors: Any = None
    for fault in FAULTS.values():
        if fault.asset.startswith("deployment:"):
            continue
        for order in ("fault first", "harmless first"):
            path.write_text(original, encoding="utf-8")
            if order == "fault first":
                fault.plant(world, doors)
            for decoy in DECOYS.values():
                if decoy.kind != "reseed":
                    decoy.plant(world, doors)
            if order == "harmless first":
                fault.plant(world, doors)
            compile(path.read_text(encoding="utf-8"), str(path), "exec")
            fault.heal(world, doors)


def test_an_edit_wants_its_text_once(resume: Resume) -> None:
    _, world = resume(DAY)
    edit(
        world.project_dir,
        'days=7)\n    return week.rename({"late_rate": "carrier',
        'days=6)\n    return week.rename({"late_rate": "carrier',
    )
    with pytest.raises(UsageError, match="0 times"):
        edit(world.project_dir, "no such text", "")
    with pytest.raises(UsageError, match=r"\d times"):
        edit(world.project_dir, "pl.col", "")
