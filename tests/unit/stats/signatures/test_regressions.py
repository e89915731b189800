"""Columns are predicted from the others as a fit of each would, in time that does not grow with its fourth power."""

import numpy as np
import pytest

from headwater.stats.signatures.regressions import Consistency


def correlated(rows: int, columns: int, *, nulls: float) -> dict[str, np.ndarray]:
    random = np.random.default_rng(columns)
    table = random.normal(size=(rows, 3)) @ random.normal(size=(3, columns)) + random.normal(size=(rows, columns)) / 4
    table[random.random(table.shape) < nulls] = np.nan
    return {f"c{place}": table[:, place] for place in range(columns)}


@pytest.mark.parametrize("nulls", [0.0, 0.2])
def test_weights_are_those_of_a_fit_of_each_column(nulls: float) -> None:
    columns = correlated(500, 8, nulls=nulls)
    found = Consistency.of(columns)
    assert found is not None and list(found.explained) == list(columns)
    scaled = (np.column_stack(list(columns.values())) - found.means) / found.spreads
    given = np.isfinite(scaled)
    scaled = np.clip(np.where(given, scaled, 0.0), -5, 5)
    for place in range(8):
        others = [at for at in range(8) if at != place]
        rows = scaled[given[:, place]]
        square = rows[:, others].T @ rows[:, others] + 1e-3 * len(rows) * np.eye(7)
        alone = np.linalg.solve(square, rows[:, others].T @ rows[:, place])
        np.testing.assert_allclose(found.weights[others, place], alone, rtol=1e-8, atol=1e-10)
        assert found.weights[place, place] == 0.0


def test_a_wide_table_with_nulls_everywhere_is_fitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    inverses = []
    inv = np.linalg.inv
    monkeypatch.setattr(np.linalg, "inv", lambda matrix: inverses.append(1) or inv(matrix))
    found = Consistency.of(correlated(400, 150, nulls=0.05))
    assert found is not None and len(found.explained) > 100
    assert len(inverses) == 1


def test_columns_without_agreement_explain_nothing() -> None:
    random = np.random.default_rng(1)
    assert Consistency.of({name: random.normal(size=400) for name in "abc"}) is None
