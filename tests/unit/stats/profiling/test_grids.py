"""Grids: every number has one cell, the lattice is the same for all, and tails are at most 1.6 % wide."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from headwater.stats.profiling.bodies import grid_of
from headwater.stats.profiling.grids import OUTER_SIZE, learn, monotone, unmonotone

DRAW = np.random.default_rng(11)
SAMPLES: dict[str, Any] = {
    "normal": DRAW.normal(size=5000),
    "far": DRAW.normal(1e9, 1.0, 5000),
    "skewed": DRAW.lognormal(3, 2.5, 5000),
    "negative": -DRAW.lognormal(3, 2.5, 5000),
    "constant": np.full(9, 3.7),
    "zero": np.zeros(9),
    "huge": np.array([-1.7e308, 1.7e308]),
    "tiny": np.array([5e-324, 1e-310]),
    "hours": DRAW.integers(0, 24, 5000),
    "wide": DRAW.integers(-(2**63), 2**63 - 1, 5000),
    "edge": np.array([2**63 - 1] * 5),
    "none": np.empty(0),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_sample_lies_in_its_cells(name: str) -> None:
    sample = SAMPLES[name]
    grid = learn(sample)
    assert 1 <= grid.size <= 8192
    cells = grid.cell(sample)
    assert (cells == 0).mean() < 0.01 if len(sample) else not len(cells)
    edges = grid.edges()
    assert (np.diff(edges) > 0).all() or name in ("far", "wide", "edge")
    inside = (cells > 0) & (cells <= grid.size)
    assert (edges[cells[inside] - 1] <= sample[inside]).all()
    assert (sample[inside].astype(float) <= edges[cells[inside]]).all()
    assert grid_of(json.loads(json.dumps(grid.body()))) == grid


def test_the_grid_suits_the_sample() -> None:
    kinds = {name: learn(SAMPLES[name]).kind for name in ("normal", "skewed", "negative", "hours", "wide")}
    assert kinds == {"normal": "linear", "skewed": "log", "negative": "log", "hours": "values", "wide": "linear"}
    for name in ("normal", "skewed", "far"):
        counts = np.bincount(learn(SAMPLES[name]).cell(SAMPLES[name]))
        assert counts.max() < 0.02 * len(SAMPLES[name])


def test_cells_are_as_sql_would_say() -> None:
    values = DRAW.normal(size=1000)
    grid = learn(values)
    wanted = np.floor(values * 2.0**-grid.power) - grid.low + 1
    assert (grid.cell(values) == np.where((wanted >= 1) & (wanted <= grid.size), wanted, 0)).all()


@pytest.mark.parametrize("name", ["normal", "far", "skewed", "hours"])
def test_outer_cells_are_narrow(name: str) -> None:
    grid = learn(SAMPLES[name])
    values = np.concatenate([np.geomspace(1e-12, 1e15, 500), -np.geomspace(1e-12, 1e15, 500)])
    keys = grid.outer(values)
    assert ((keys >= 0) & (keys < 2 * OUTER_SIZE)).all()
    lower, upper = grid.outer_edges(keys)
    assert (lower <= values + 1e-6).all() and (values <= upper + 1e-6).all()
    assert (upper - lower <= 0.016 * np.abs(values) + 1e-6).all()


def test_bits_grow_with_the_numbers() -> None:
    values = np.array([-np.inf, -1.0, -5e-324, 0.0, 5e-324, 1.0, np.inf])
    assert (np.diff(monotone(values)) > 0).all()
    assert monotone(np.array([-0.0]))[0] == 0
    assert unmonotone(monotone(values[1:-1])).tolist() == values[1:-1].tolist()
