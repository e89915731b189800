"""What a source is suspected of, by what its monitors found."""

import pytest

from headwater.triage.suspects import source
from unit.triage.shop import Shop, finding

ECHO = finding("raw_orders", metric="echo_share", score=9.0, value=1.0)


@pytest.mark.parametrize(
    ("beside", "fault"),
    [
        ([], "frozen"),
        ([finding("raw_orders", metric="rows", score=20.0, value=9.0)], "frozen"),
        ([finding("raw_orders", metric="null_share.amount", score=20.0, value=1.0)], "abnormal_null_share"),
        ([finding("raw_orders", metric="max.amount", score=5.0, value=0.0)], "abnormal_max"),
        ([finding("raw_orders", metric="distinct.shop", score=20.0, value=1.0)], "abnormal_distinct"),
    ],
)
def test_rows_that_echo_are_an_old_delivery_unless_a_column_was_emptied(beside, fault):
    case = Shop().days(0, 5).case(5, findings=[ECHO, *beside])
    assert source(case, "raw_orders").fault == fault
