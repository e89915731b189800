"""A value's fingerprint follows its content, and nothing else."""

import copy
import pickle
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.adapters.fingerprint import Fingerprint

PLAIN = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=80)
    | st.binary(max_size=80)
)
NAMES = st.text(max_size=5)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def of(value: Any) -> str:
    return Fingerprint().of(value)[0]


@given(VALUES)
@settings(max_examples=150, deadline=None)
def test_a_copy_has_the_same_fingerprint(value: Any) -> None:
    assert of(value) == of(copy.deepcopy(value)) == of(pickle.loads(pickle.dumps(value)))


@given(VALUES, VALUES)
@settings(max_examples=150, deadline=None)
def test_different_values_have_different_fingerprints(one: Any, other: Any) -> None:
    assert (of(one) == of(other)) == (repr(one) == repr(other))


@given(st.lists(VALUES, max_size=3))
@settings(max_examples=80, deadline=None)
def test_sharing_does_not_count(values: list[Any]) -> None:
    assert of([values, values]) == of([values, copy.deepcopy(values)])


@given(st.sets(st.text(max_size=5), max_size=6))
@settings(max_examples=80, deadline=None)
def test_the_order_of_a_set_does_not_count(values: set[str]) -> None:
    assert of(values) == of(set(reversed(sorted(values))))


def test_a_circle_ends_and_equal_circles_are_equal() -> None:
    def circle(length: int) -> list[Any]:
        first: list[Any] = ["a"]
        last = first
        for _ in range(length):
            last.append(following := ["a"])
            last = following
        last.append(first)
        return first

    assert of(circle(2)) == of(circle(2))
    assert of(circle(2)) != of(circle(3))
