"""The scale and the floor of each kind of metric."""

import numpy as np
import pytest

from headwater.stats.alarms.forms import COUNT, HOURS, LEVEL, OFFSET, SHARE, Forms, kind


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("rows", COUNT),
        ("distinct.c", COUNT),
        ("null_share.x", SHARE),
        ("key_match.p", SHARE),
        ("base_rate", SHARE),
        ("maturity", SHARE),
        ("min_hours.t", HOURS),
        ("label_delay_hours", HOURS),
        ("offset.t.hour", OFFSET),
        ("offset_wall.t.hour", OFFSET),
        ("mean.rows", LEVEL),
        ("excess", LEVEL),
    ],
)
def test_the_kind_is_read_from_the_name(metric, expected):
    assert kind(metric) == expected


def test_backward_undoes_forward():
    names = ["rows", "null_share.x", "mean.x", "min_hours.t"]
    values = np.array([[1000.0, 0.2, -3.5, 5.0], [0.0, 0.0, np.nan, -2.0], [3.0, 1.0, 0.0, 0.0]])
    forms = Forms(names)
    np.testing.assert_allclose(forms.backward(forms.forward(values)), values, atol=1e-12)


def test_a_location_is_floored_by_its_columns_spread():
    forms = Forms(["mean.x", "std.x", "mean.y"])
    assert forms.floors(np.array([0.0, 10.0, 50.0])) == pytest.approx([0.5, 0.2, 1.0])
