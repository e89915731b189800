"""What is planted into part of a table is of the size it says, and clean windows are counted as such."""

import numpy as np
import polars as pl
from quiet.rates import SPAN
from real_tables import Table
from signatures.order import delivered, keyed, replay
from signatures.parts import clean, multiplied, planted

from headwater.core.windows import Calendar


def table(days=60, rows=80):
    random, windows = np.random.default_rng(1), list(Calendar().between("2024-01-01", "2024-03-31"))[:days]
    frames = [
        (window, pl.DataFrame({
            "time": [window.start] * rows, "fee": (random.random(rows) * 3 + 20).round(2),
            "kind": random.choice(["a", "b", "c"], rows),
        }))
        for window in windows
    ]  # fmt: skip
    return Table("made_up", frames, time="time", trailing=28, amounts=("fee",), categories=("kind",))


def test_keys_never_come_again_and_old_rows_stand_in_front():
    frames = table(3).frames
    assert not set(keyed(frames[0][1], 0)["row_id"]) & set(keyed(frames[0][1], 1)["row_id"])
    old, new = frames[0][1], frames[2][1]
    half = delivered(old, new, 0.5, 2, "time")
    assert half["fee"].to_list() == old["fee"][:40].to_list() + new["fee"][40:].to_list()
    assert half["time"].unique().to_list() == [frames[2][0].start]
    assert delivered(old, new, 1.0, 2, None).equals(old)
    assert delivered(old, new, 0.0, 2, None).equals(new)


def test_an_old_delivery_is_known_by_its_order_and_a_clean_day_is_quiet():
    rows = list(replay(table(), sites=1, seed=1))
    clean_rows = [row for row in rows if "alarm" in row]
    assert len(clean_rows) == 32 and not any(row["alarm"] for row in clean_rows)
    seen = {(row["kind"], row["size"]): row["delay"] for row in rows if "delay" in row}
    assert seen["old rows first", 1.0] == 0
    assert seen["old rows first", 0.0] is None and seen["old rows, shuffled", 1.0] is None


def test_a_unit_of_part_of_the_rows_is_named_and_no_change_is_not():
    frame = table(1).frames[0][1]
    hit = np.arange(frame.height) < 8
    made = multiplied(frame, "fee", 100.0, hit)
    assert ((made["fee"] / frame["fee"]).round(6) == pl.Series(np.where(hit, 100.0, 1.0))).all()
    cases = list(planted(table(), "all", windows=1, seed=1))
    assert [row["size"] for row in cases] == [0, 0.05, 0.1, 0.2, 0.35, 0.5]
    assert cases[0]["delay"] is None and not cases[0]["restored"]
    assert cases[3]["delay"] is not None and cases[3]["delay"] < SPAN
    judged = list(clean(table(), "all"))
    assert len(judged) == 32 and not any(row["alarm"] for row in judged)
