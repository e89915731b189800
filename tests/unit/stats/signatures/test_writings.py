"""Values written differently from all others of their list."""

import pytest

from headwater.stats.signatures.writings import odd_writings


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["£5", "£10", "20", "£40", "£80", "£160"], {"20": "£20"}),
        (["10 EUR", "20 EUR", "30", "40 EUR", "50 EUR", "60 EUR"], {}),
        (["10€", "20€", "30", "40€", "50€", "60€"], {"30": "30€"}),
        (["AMS", "BER", "cph", "DUS", "LHR"], {"cph": "CPH"}),
        (["2024-Q1", "2024-Q2", "2024_Q3", "2024-Q4", "2025-Q1"], {"2024_Q3": "2024-Q3"}),
        (["web", "app", "store ", "phone", "mail", "fax"], {"store ": "store"}),
        (["AMS", "BER", "ber", "DUS", "LHR", "CPH"], {"ber": "BER"}),
    ],
)
def test_the_odd_one_is_told_with_its_right_writing(values, found):
    assert odd_writings(values) == found


@pytest.mark.parametrize(
    "values",
    [
        [],
        ["1%", "2"],  # too few to tell what is usual
        ["1%", "2%", "3%", "4%", "5%"],
        ["1%", "2%", "3%", "4", "5", "6"],  # two writings, none of them usual
        ["London", "Paris", "Rome", "New York", "Oslo", "Bonn"],
        ["Jan", "Feb", "Mar", "Apr", "May", "unknown 1"],
        ["BB", "FB", "HB", "SC", "none"],
        ["UA", "DL", "AA", "9E", "B6", "US", "WN", "EV"],
    ],
)
def test_lists_that_are_as_they_should_be_are_left_alone(values):
    assert odd_writings(values) == {}
