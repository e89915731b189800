"""The world changes, or a feed goes wrong and nothing carries its signature: what the whole line says of it."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from unit.app.lender import Lender, begin


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Lender:
    return begin(tmp_path_factory.mktemp("lender"))


def blamed(lender: Lender) -> set[str]:
    return {
        item["verdict"]["subject"] for item in lender.workspace.incidents(all=True)
        if item["verdict"] is not None and item["verdict"]["status"] == "named"
    }  # fmt: skip


def by_age(asked: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    """Mostly the young ask: each other row gives way to one of a young client, as it is."""
    young = np.flatnonzero((asked["age"] < 30).to_numpy())
    picked = np.where(random.random(asked.height) < 0.7, random.choice(young, asked.height), np.arange(asked.height))
    return asked[picked.tolist()].with_columns(asked["loan"], asked["asked"])


def test_other_cases_are_the_world_and_nobody_is_blamed(quiet: Lender) -> None:
    lender = quiet.fork()
    lender.outside.inputs = lambda day, asked, random: by_age(asked, random)
    verdict = lender.run_until("world")
    assert verdict["fault"] == "covariate"
    assert "age" in verdict["text"]
    alarms = [item for items in lender.workspace.line.state.findings.values() for item in items
              if item.severity == "alarm"]  # fmt: skip
    assert {item.monitor for item in alarms} == {"inputs"}
    for _ in range(3):
        lender.run()
    assert blamed(lender) == set()
    assert len(lender.workspace.incidents(all=True)) == 1


def test_other_outcomes_of_the_same_cases_are_a_concept_change_and_call_for_training(quiet: Lender) -> None:
    lender = quiet.fork()
    lender.outside.odds = lambda day, asked: 1.6
    verdict = lender.run_until("world")
    assert verdict["fault"] == "concept"
    for _ in range(2):
        lender.run()
    last = next(item for item in lender.workspace.incidents() if item["verdict"])["verdict"]
    assert last["remedy"]["action"] == "retrain"
    assert "`raw_payments`) confirm some outcomes first" in last["remedy"]["text"]
    assert last["confidence"] < 0.95  # outcomes that are reported wrongly look the same
    assert blamed(lender) == set()


def test_a_feed_that_is_wrong_without_a_known_signature_is_named_once_outcomes_tell(quiet: Lender) -> None:
    lender = quiet.fork()

    original = lender.project.functions["raw_requests"]

    def bent(window):
        rows = original(window)
        return rows.with_columns((pl.col("income") ** 1.6).round(2))

    lender.project.replace("raw_requests", bent)
    verdict = lender.run_until("named", most=12)
    assert verdict["subject"] == "dataset:lender/raw_requests"


def test_rows_that_look_like_another_unit_and_foretell_as_ever_are_right(quiet: Lender) -> None:
    """Clients who ask for a thousand times less are no change of unit where they pay back as such clients do."""
    lender = quiet.fork()

    def poorer(day: str, asked: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
        return asked.with_columns((pl.col("income") / 3.0).round(2))

    lender.outside.inputs = poorer
    for _ in range(9):
        lender.run()
    last = [item["verdict"] for item in lender.workspace.incidents(all=True) if item["verdict"] is not None]
    assert last, "a third of the income is to be seen"
    assert not [item for item in last if item["status"] == "named"]


def test_a_change_of_unit_is_still_named(quiet: Lender) -> None:
    lender = quiet.fork()
    original = lender.project.functions["raw_requests"]
    lender.project.replace(
        "raw_requests", lambda window: original(window).with_columns((pl.col("income") * 1000).round(2))
    )
    for _ in range(6):
        lender.run()
    assert blamed(lender) == {"dataset:lender/raw_requests"}


def test_labels_that_stop_do_not_keep_the_inputs_from_being_looked_at(quiet: Lender) -> None:
    lender = quiet.fork()
    lender.outside.inputs = lambda day, asked, random: by_age(asked, random)
    original = lender.project.functions["raw_payments"]
    lender.project.replace("raw_payments", lambda window: original(window).head(0))
    for _ in range(7):
        lender.run()
    alarms = {item.monitor for items in lender.workspace.line.state.findings.values() for item in items
              if item.severity == "alarm"}  # fmt: skip
    assert "inputs" in alarms


def test_what_makes_the_labels_as_well_is_not_cleared_by_them(quiet: Lender) -> None:
    import headwater.triage.restored as restored_module
    from headwater.app.judging import case as case_of
    from headwater.stats.outcomes.intervals import Interval
    from headwater.triage.restored import Restored, tested
    from headwater.triage.weighing import weigh

    lender = quiet.fork()
    lender.outside.inputs = lambda day, asked, random: by_age(asked, random)
    lender.run_until("world")
    line = lender.workspace.line
    case = case_of(line, line.state.incidents.active()[0], line.calendar.shift(lender.day, -1).key)
    assert weigh(case)
    worse = Restored(("age",), Interval(1.0, 0.5, 1.5), 5)
    source = next(item for item in weigh(case) if item.asset == "raw_requests")
    odd = replace(source, exonerated=False, fault="abnormal_values", repair=None, kind="source")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(restored_module, "restored", lambda *_: worse)
        origins = lambda case, asset, metric: {"raw_requests"}  # noqa: E731
        assert tested(case, [odd], origins)[0].exonerated
        models = tuple(replace(model, labels="loans") for model in case.models)  # as if it made the labels too
        assert not tested(replace(case, models=models), [odd], origins)[0].exonerated


def test_a_server_that_wants_to_know_the_window_is_released_like_any_other(quiet: Lender) -> None:
    lender = quiet.fork()

    def risk_served(loan_features: pl.DataFrame, window) -> pl.DataFrame:
        assert window.key
        return loan_features

    lender.project.replace("risk_served", risk_served)
    assert lender.retrain(seed=11) == "2"
