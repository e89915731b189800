"""Which test would tell two suspects apart: on which window, by which command."""

import pytest

from headwater.core.assets import Asset, Read
from headwater.core.records import Suspect
from headwater.triage.settling import Ground, await_labels, next_test

ASSETS = {
    item.name: item
    for item in (
        Asset("raw", "raw", recomputable=False),
        Asset("late", "raw", recomputable=False, lag=1),
        Asset("staged", "staged", (Read("raw"),)),
        Asset("foreign", "modeled", (Read("raw"),), recomputable=False),
        Asset("m_predictions", "prediction", (Read("staged"),)),
    )
}
NAMED = {f"dataset:x/{name}": name for name in ASSETS} | {"deployment:x/m": "m_predictions"}
GROUND = Ground(ASSETS, NAMED, lambda name: "2024-05-02" if ASSETS[name].lag else "2024-05-03", "2024-05-04")


def suspect(subject, probability, fault="transform_code", exonerated=False, **numbers):
    subject = subject if ":" in subject else f"dataset:x/{subject}"
    return Suspect(
        subject=subject, fault=fault, side="data", owner="desk", probability=probability, exonerated=exonerated,
        reason="", numbers=numbers,
    )  # fmt: skip


def asked(*suspects):
    return next_test(suspects, GROUND, "incident:x/1")


@pytest.mark.parametrize(
    ("subject", "fault", "said", "command"),
    [
        ("raw", "abnormal_values", "window 2024-05-03 comes with other rows when its owner delivers it again",
         "headwater backfill raw --from 2024-05-03 --to 2024-05-03"),
        ("late", "unit", "window 2024-05-02 comes with other rows",
         "headwater backfill late --from 2024-05-02 --to 2024-05-02"),
        ("raw", "missing", "window 2024-05-03 comes now", "headwater run --window 2024-05-03"),
        ("staged", "transform_code", "gives other rows than the code before it", "headwater approve staged --dry-run"),
        ("staged", "stale_run", "on its present inputs gives other rows",
         "headwater backfill staged --from 2024-05-03 --to 2024-05-03"),
        ("foreign", "abnormal_rows", "with the code before its last change", "headwater trace dataset:x/foreign"),
        ("deployment:x/m", "loaded_model", "the labels of window 2024-05-03 show it to do worse",
         "headwater run --window 2024-05-04, then headwater why incident:x/1"),
    ],
)  # fmt: skip
def test_each_kind_of_suspect_has_a_test_that_can_refute_it(subject, fault, said, command):
    told = asked(suspect(subject, 0.4, fault))
    assert said in told
    assert f"({command})" in told


def test_the_two_leading_suspects_are_told_apart():
    told = asked(suspect("staged", 0.3), suspect("raw", 0.45, "abnormal_values"), suspect("late", 0.1, "unit"))
    assert told.startswith("`raw` failed if window 2024-05-03")
    assert "`staged` is next: its present code gives other rows" in told
    assert "late" not in told


def test_who_was_cleared_comes_last_and_with_nobody_beside_him_the_world_is_left():
    told = asked(suspect("staged", 0.0, exonerated=True, difference=0.0), suspect("raw", 0.9, "unit"))
    assert "`staged` is next" in told
    alone = asked(suspect("raw", 0.9, "unit"), suspect("late", 0.0, "", exonerated=True))
    assert "no asset that is known here failed" in alone
    assert "headwater run --window 2024-05-04" in alone


def test_without_any_suspect_labels_tell():
    assert asked() == await_labels(GROUND, "incident:x/1")
    assert asked(suspect("dataset:y/other", 0.9)) == await_labels(GROUND, "incident:x/1")
    bare = GROUND._replace(due="")
    assert "run the next window" in await_labels(bare, "incident:x/1")
