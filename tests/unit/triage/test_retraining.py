"""What training again would gain at least: nothing where nothing changed, much where the level did."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from headwater.core.project import Project
from headwater.mlops.outcome import row_costs
from headwater.triage.outcomes import Outcomes
from headwater.triage.retraining import FEWEST, retrained
from unit.triage.pipelines import day

ROWS = 300


def cost(rows):
    return rows["y"] * (1 - rows["decision"]) * 7 + rows["decision"] * 2


def waited(rows):
    return (rows["y"] - rows["prediction"]).abs()


def model(task="binary", priced=True):
    project = Project("x")
    for name in ("facts", "truth"):
        project.source(lambda window: None, name=name, key=["id"])
    price = (cost if task == "binary" else waited) if priced else None
    options = {"query": "q", "carry": ["q"]} if task == "ranking" else {}
    return project.model("m", features="facts", labels="truth", entity="id", outcome="y", columns=["x"], train=len,
                         score=len, cost=price, task=task, **options)  # fmt: skip


def played(made, windows=6, lean=0.0, seed=3, threshold=0.3, outcome=True):
    random = np.random.default_rng(seed)
    rows = {}
    for number in range(windows):
        z = random.normal(-1, 1.2, ROWS)
        ids = pl.Series("id", [f"{number}-{row}" for row in range(ROWS)])
        if made.task == "binary":
            p = 1 / (1 + np.exp(-z))
            y = (random.random(ROWS) < 1 / (1 + np.exp(-(z + lean)))).astype(int)
            frame = pl.DataFrame({"id": ids, "x": z, "p": p, "decision": (p >= threshold).astype(int), "y": y})
        else:
            frame = pl.DataFrame({"id": ids, "x": z, "prediction": z, "y": z + lean + random.normal(0, 0.5, ROWS)})
        rows[day(number)] = frame if outcome else frame.with_columns(y=pl.lit(None, dtype=pl.Float64))
    outcomes = Outcomes(tuple(rows), {}, frozenset(rows), tuple(rows), rows.get)
    return SimpleNamespace(outcomes={"m": outcomes}, price=row_costs)


def test_where_outcomes_follow_the_predictions_there_is_nothing_to_gain():
    found = retrained(played(model()), model(), day(0))
    assert found.nearer == 0.0
    assert found.low <= 0 <= found.high
    assert found.windows == 6


@pytest.mark.parametrize("lean", [1.5, -1.5])
def test_where_the_level_changed_predictions_come_nearer_and_money_is_gained(lean):
    found = retrained(played(model(), lean=lean), model(), day(0))
    assert found.nearer > 0.1
    assert 0 < found.low < found.money < found.high


def test_the_gain_is_what_the_recalibrated_decisions_would_have_saved():
    """With the threshold in the right place, knowing the true odds saves what the best decisions save."""
    made, case = model(), played(model(), lean=1.5, threshold=2 / 7)
    found = retrained(case, made, day(0))
    best = 0.0
    for key in case.outcomes["m"].windows:
        rows = case.outcomes["m"].rows(key)
        odds = 1 / (1 + np.exp(-(rows["x"].to_numpy() + 1.5)))
        sound = rows.with_columns(decision=pl.Series((odds >= 2 / 7).astype(int)))
        best += float((cost(rows) - cost(sound)).sum())
    assert found.money == pytest.approx(best, rel=0.1)


def test_a_number_is_recalibrated_too():
    found = retrained(played(model("regression"), lean=2.0), model("regression"), day(0))
    assert found.nearer > 0.3 and found.low > 0
    quiet = retrained(played(model("regression")), model("regression"), day(0))
    assert quiet.nearer == 0.0


def test_where_nothing_can_be_said():
    made = model()
    assert retrained(played(made, windows=FEWEST - 1), made, day(0)) is None
    assert retrained(played(made), made, day(5)) is None, "one window since"
    assert retrained(played(made, outcome=False), made, day(0)) is None
    assert retrained(SimpleNamespace(outcomes={}), made, day(0)) is None
    ranking = model("ranking", priced=False)
    assert retrained(SimpleNamespace(outcomes={"m": None}), ranking, day(0)) is None


def test_without_a_cost_or_a_threshold_there_is_no_money_in_it():
    assert retrained(played(model(), lean=1.5), model(priced=False), day(0)).money is None
    case = played(model(), lean=1.5)
    rows = case.outcomes["m"].rows(day(0))
    mixed = rows.with_columns(decision=pl.Series([0, 1] * (ROWS // 2)))
    case.outcomes["m"].rows.__self__[day(0)] = mixed
    assert retrained(case, model(), day(0)).money is None
