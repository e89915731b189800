"""The interval of an incident's cost holds what it turns out to be once all labels have come."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from headwater.core.assets import Asset, Mechanism
from headwater.core.project import Model, Project
from headwater.mlops.outcome import row_costs
from headwater.triage.effect import effect
from headwater.triage.replay import Plan
from headwater.triage.residuals import Residuals
from unit.triage.pipelines import DAYS, day

PLAYS, ROWS, LABELLED, HIT = 150, 150, 14, 2
PLAN = Plan(mechanisms={"m_predictions": Mechanism("good")})


def missed(rows: pl.DataFrame) -> pl.Series:
    """What a decision costs: a warning 2, a miss 7."""
    return rows["y"] * (1 - rows["decision"]) * 7 + rows["decision"] * 2


def waited(rows: pl.DataFrame) -> pl.Series:
    return (rows["y"] - rows["prediction"]).clip(lower_bound=0)


def model(task: str) -> Model:
    project = Project("x")
    project.source(lambda window: None, name="facts", key=["id"])
    project.source(lambda window: None, name="truth", key=["id"])
    cost = missed if task == "binary" else waited
    return project.model("m", features="facts", labels="truth", entity="id", outcome="y", columns=["x"], train=len,
                         score=len, cost=cost, task=task)  # type: ignore[arg-type]  # fmt: skip


class Played:
    """Labelled windows before an incident, and an incident whose labels are still out."""

    def __init__(self, task: str, lean: float, seed: int) -> None:
        self.random, self.task, self.lean, self.model = np.random.default_rng(seed), task, lean, model(task)
        self.logged: dict[tuple[str, str], pl.DataFrame] = {}
        self.repaired: dict[str, pl.DataFrame] = {}
        self.truth: list[pl.DataFrame] = []
        for number in range(LABELLED + HIT):
            self._window(day(number), hit=number >= LABELLED)

    def _window(self, key: str, hit: bool) -> None:
        shift = self.random.normal(0, self.lean) if self.lean else 0.0
        if self.task == "binary":
            logit = self.random.normal(-0.8, 1.2, ROWS)
            told, wrong = logit, logit + self.random.normal(0.6, 0.8, ROWS)
            y = (self.random.random(ROWS) < _p(logit + shift)).astype(int)
        else:
            told = self.random.normal(30, 8, ROWS)
            wrong = told * 1.2
            y = told + shift + self.random.gamma(2.0, 3.0, ROWS) - 6.0
        frame = self._frame(key, told)
        labels = pl.DataFrame({"id": frame["id"], "y": y})
        if hit:
            self.logged["m_predictions", key] = self._frame(key, wrong)
            self.repaired[key] = frame
            self.truth.append(labels)
        else:
            self.logged["m_predictions", key], self.logged["truth", key] = frame, labels

    def _frame(self, key: str, told: np.ndarray) -> pl.DataFrame:
        ids = pl.Series("id", [f"{key}-{number}" for number in range(ROWS)])
        if self.task != "binary":
            return pl.DataFrame({"id": ids, "x": told, "prediction": told})
        return pl.DataFrame({"id": ids, "x": told, "p": _p(told), "decision": (_p(told) >= 0.35).astype(int)})

    def case(self) -> Any:
        asset = Asset("m_predictions", "prediction", key=("id",))
        replay = SimpleNamespace(
            calendar=DAYS, observed=lambda name, key: self.logged.get((name, key)), weight=lambda name, key: 1.0,
            value=lambda name, key, plan, cache: self.repaired.get(key, self.logged.get((name, key)))
            if name == "m_predictions" else self.logged.get((name, key)),
        )  # fmt: skip
        return SimpleNamespace(
            models=(self.model,), windows=tuple(day(LABELLED + number) for number in range(HIT)), replay=replay,
            assets={"m_predictions": asset}, labelled=tuple(day(number) for number in range(LABELLED)),
            price=row_costs, trusted=lambda model, key: True,
        )  # fmt: skip

    def came(self) -> float:
        """What the incident turned out to cost more."""
        total = 0.0
        for labels in self.truth:
            key = labels["id"][0].rsplit("-", 1)[0]
            for sign, frame in ((1, self.logged["m_predictions", key]), (-1, self.repaired[key])):
                total += sign * float(self.model.cost(frame.join(labels, on="id")).sum())  # type: ignore[misc]
        return total


def _p(logit: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logit))


def covered(task: str, lean: float) -> float:
    held = []
    for seed in range(PLAYS):
        played = Played(task, lean, seed)
        found = effect(played.case(), PLAN)
        assert found is not None
        held.append(found.low <= played.came() <= found.high)
    return float(np.mean(held))


@pytest.mark.parametrize(("task", "lean"), [("binary", 0.0), ("binary", 0.4), ("binary", 0.8),
                                            ("regression", 0.0), ("regression", 2.0)])  # fmt: skip
def test_the_interval_holds_what_comes(task: str, lean: float) -> None:
    share = covered(task, lean)
    assert share >= 0.92, share


def test_where_days_lean_rows_alone_would_mislead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Residuals, "shock", lambda self, span: 0.0)
    assert covered("binary", 0.8) < 0.75


def test_what_windows_miss_together_grows_with_their_lean_and_lasts() -> None:
    means = {}
    for lean in (0.0, 0.4, 0.8):
        played = [Played("binary", lean, seed) for seed in range(20)]
        residuals = [Residuals.of(item.case(), item.model) for item in played]
        means[lean] = [float(np.mean([item.shock(span) for item in residuals])) for span in (1, 3)]
    assert means[0.0][0] < 0.2 * means[0.4][0] < means[0.8][0]
    assert means[0.8][1] < 0.6 * means[0.8][0], "windows that lean apart are together nearer to what was expected"


def test_few_windows_tell_nothing() -> None:
    played = Played("binary", 0.8, 1)
    case = played.case()
    case.labelled = case.labelled[:6]
    assert Residuals.of(case, played.model).shock(1) == 0.0
