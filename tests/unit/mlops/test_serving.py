from datetime import UTC, datetime

import polars as pl
import pytest

from headwater.core.errors import DataError, ModelError, UsageError
from headwater.core.ports import Record
from headwater.mlops.serving import Deployments, identity, predict
from unit.mlops import small_project as shop

NOW = datetime(2024, 3, 1, tzinfo=UTC)
SERVED = pl.DataFrame(
    {"order": [3, 1, 2], "price": [1.0, 2.0, 3.0], "size": [0.0, 0.1, 0.2], "region": ["a", "b", "c"]}
)


def fixed(p, decision=(0, 1, 0)):
    return lambda parts, served: pl.DataFrame({"p": p, "decision": list(decision)}, strict=False)


def run(score, served=SERVED, carry=("region",)):
    return predict(score, {"threshold": 1}, served, columns=["price", "size"], entity="order", carry=carry)


def test_the_log_holds_entity_carry_columns_p_and_decision_in_order():
    log = run(fixed([0.1, 0.9, 0.2]))
    assert log.columns == ["order", "region", "price", "size", "p", "decision"]
    assert log["order"].to_list() == [3, 1, 2]
    assert (log["p"].dtype, log["decision"].dtype) == (pl.Float64, pl.Int64)
    assert log["p"].to_list() == [0.1, 0.9, 0.2]


def test_a_real_model_scores():
    frame = shop.orders(days=6)
    parts = shop.train(frame, 1)
    log = predict(shop.score, parts, frame.drop("returned", "days"), ["price", "size"], "order")
    assert log["p"].is_between(0, 1).all()
    assert 0 < log["decision"].mean() < 1


def test_booleans_and_floats_are_decisions_too():
    assert run(fixed([0.1, 0.9, 0.2], [False, True, False]))["decision"].to_list() == [0, 1, 0]
    assert run(fixed([0.1, 0.9, 0.2], [0.0, 1.0, 0.0]))["decision"].to_list() == [0, 1, 0]


def test_nothing_to_score_is_no_error():
    empty = run(lambda parts, served: served.select(p=pl.lit(0.5), decision=pl.lit(1)).head(0), SERVED.head(0))
    assert empty.height == 0
    assert empty.columns[-2:] == ["p", "decision"]


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (fixed([0.1, float("nan"), 0.2]), "p is not a number in 1 of 3"),
        (fixed([0.1, None, 0.2]), "p is not a number in 1 of 3"),
        (fixed([0.1, 1.5, 0.2]), r"outside 0\.\.1 in 1 of 3 rows, e\.g\. 1\.5"),
        (fixed([0.1, float("inf"), 0.2]), r"outside 0\.\.1"),
        (fixed(["a", "b", "c"]), "p is String"),
        (fixed([0.1, 0.2, 0.3], [0, 2, 1]), "not 0 or 1 in 1 of 3 rows, e.g. 2"),
        (fixed([0.1, 0.2, 0.3], [0, None, 1]), "not 0 or 1 in 1 of 3"),
        (fixed([0.1, 0.2, 0.3], ["no", "yes", "no"]), "decision is String"),
        (lambda parts, served: served.select(p=pl.lit(0.5)), "a frame with p"),
        (lambda parts, served: [0.5] * 3, "score returned list"),
        (lambda parts, served: served.head(2).select(p=pl.col("size"), decision=pl.lit(0)), "2 rows for 3"),
        (lambda parts, served: parts["model"], "scoring fails: KeyError: 'model'"),
    ],
)
def test_what_is_not_one_valid_prediction_per_row_is_refused(score, message):
    with pytest.raises(ModelError, match=message):
        run(score)


def test_errors_with_a_meaning_pass_through():
    def refuses(parts, served):
        raise UsageError("no")

    with pytest.raises(UsageError):
        run(refuses)


def test_missing_served_columns_are_named():
    with pytest.raises(ModelError, match="lack `region`, `size`"):
        run(fixed([0.1, 0.9, 0.2]), SERVED.drop("size", "region"))


def record(kind, **body):
    return Record(1, "id", kind, "s", body, NOW, "hash")


def deployed(version, parts, model="refund"):
    return record("deployment", model=model, version=version, parts=parts, code="c", by="ann", reason="release")


def alias(version, day, displacement=None, **more):
    valid_from = datetime(2024, 3, day, tzinfo=UTC).isoformat()
    body = {"version": version, "valid_from": valid_from, "displacement": displacement, **more}
    return record("alias", model="refund", alias="champion", **body)


def trained(version, parts, state="COMPLETE"):
    facets = {
        "headwater_training": {"model": "refund", "version": version},
        "headwater_run": {"parts": parts, "code": "t"},
    }
    return record("event", eventType=state, run={"runId": "r", "facets": facets})


def folded(*records):
    deployments = Deployments()
    for each in records:
        deployments.add(each)
    return deployments


GOOD, BAD = {"model": "m1", "threshold": "t1"}, {"model": "m1", "threshold": "t0"}


def test_what_is_loaded_is_told_from_what_is_approved():
    found = folded(trained("1", GOOD), alias("1", 2, 0.02), deployed("1", BAD)).get("refund")
    assert (found.version, found.approved_version, found.mismatch) == ("1", "1", ("threshold",))
    values = identity(found)
    assert (values["loaded"], values["approved"], values["mismatch"]) == (BAD, GOOD, ["threshold"])
    assert values["displacement"] == 0.02


def test_a_missing_and_an_extra_part_are_mismatches():
    found = folded(trained("1", GOOD), alias("1", 2), deployed("1", {"model": "m1", "calibrator": "c"})).get("refund")
    assert found.mismatch == ("calibrator", "threshold")


def test_the_right_parts_match_and_the_last_deployment_counts():
    found = folded(trained("1", GOOD), alias("1", 2), deployed("1", BAD), deployed("1", GOOD)).get(
        "nyc/refund@champion"
    )
    assert found.mismatch == ()


def test_a_newer_release_is_what_is_approved_and_a_correction_of_the_past_is_not():
    later = {"model": "m2", "threshold": "t1"}
    records = [trained("1", GOOD), trained("2", later), deployed("2", later), alias("1", 2), alias("2", 5)]
    assert folded(*records).get("refund").approved_version == "2"
    assert folded(*records, alias("1", 3)).get("refund").approved_version == "2"
    back = folded(*records, alias("1", 6)).get("refund")
    assert (back.approved_version, back.mismatch) == ("1", ("model",))


def test_parts_written_with_the_alias_or_the_version_are_believed():
    assert folded(alias("1", 2, parts=GOOD), deployed("1", BAD)).get("refund").mismatch == ("threshold",)
    version = record("version", model="refund", version="1", parts=GOOD)
    assert folded(version, alias("1", 2), deployed("1", BAD)).get("refund").mismatch == ("threshold",)


def test_without_a_release_nothing_is_a_mismatch():
    found = folded(trained("1", GOOD, state="FAIL"), alias("1", 2), deployed("1", BAD)).get("refund")
    assert (found.approved_parts, found.mismatch) == ({}, ())
    assert folded().get("refund") is None


def test_bad_records_are_refused():
    for bad in (record("deployment", model="refund", version="1"), record("alias", model="refund", version="1")):
        with pytest.raises(DataError):
            Deployments().add(bad)
