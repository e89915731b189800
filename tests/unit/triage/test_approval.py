"""What an approval covers, to the number."""

from datetime import UTC, datetime

import pytest

from headwater.triage.approval import FACTOR, SLACK, Approval

MEASURED = {"past_windows": 20.0, "past_share": 0.25, "past_displacement": 0.02}
MADE = Approval("orders", "new", "old", "ann", "VAT", datetime(2024, 3, 1, tzinfo=UTC), MEASURED)


@pytest.mark.parametrize(
    ("values", "within"),
    [
        ({}, True),
        ({"displacement": 0.02}, True),
        ({"displacement": FACTOR * 0.02 + SLACK["displacement"]}, True),
        ({"displacement": FACTOR * 0.02 + SLACK["displacement"] + 1e-6}, False),
        ({"past_displacement": 0.2}, False),
        ({"lost_share": 0.01}, False),  # it was never measured to lose rows
        ({"label_flips": 0.01}, False),
        ({"displacement": 0.02, "error": "KeyError"}, False),
    ],
)
def test_a_change_is_covered_as_far_as_it_was_measured(values, within):
    assert MADE.judged(values)["within"] is within


def test_it_is_said_who_approved_what_and_what_is_too_much():
    told = MADE.judged({"displacement": 0.2})
    assert (told["by"], told["displacement"]) == ("ann", 0.02)
    assert "approved by ann on 2024-03-01 (VAT): it was measured to move predictions by 0.0200" in told["text"]
    assert "displacement 0.2000 is more than was approved (0.0530)" in told["text"]
