"""The exact mechanism test: did this asset change, given its parents? And what would that have done to decisions?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from headwater.core.assets import Mechanism
from headwater.core.errors import DataError
from headwater.core.project import Model
from headwater.stats.frames.sampling import one_in, thinned
from headwater.stats.frames.tables import compare
from headwater.stats.outcomes.intervals import t_interval
from headwater.stats.outcomes.task_loss import task_loss
from headwater.triage.replay import Plan, Replay
from headwater.triage.scales import on_scale

HARM_WINDOWS = 14
PAST_WINDOWS, PAST_ROWS = 28, 2000
"""New code is run over so many windows before it came, or until so many rows were compared."""
MATERIAL = 0.003
"""Mean |dp| below which a change of mechanism moves no decision worth a look (severity S0 ends here).

For tasks without a probability see `stats.outcomes.displacement`.
"""


def examine(
    replay: Replay, models: Sequence[Model], asset: str, key: str, accepted: Mechanism
) -> dict[str, Any] | None:
    """Test one delivered window of a recomputable asset against its last accepted mechanism.

    Returns:
        Evidence values: ``share`` of differing cells, ``lost_share`` and ``extra_share`` of rows, ``changed`` (whether
        another mechanism made it), ``columns`` that differ, and when anything differs the ``displacement`` (mean |dp|
        over the window's predictions), ``decisions`` (share of decisions flipped) and ``label_flips`` that the
        difference causes; of large tables ``compared_rows``, the sample that was compared. None when there is nothing
        to compare. ``error`` when the accepted code cannot run on the
        new inputs.
    """
    observed = replay.observed(asset, key)
    made = replay.made(asset, key)
    if observed is None or made is None:
        return None
    values: dict[str, Any] = {
        "changed": made.id != accepted.id,
        "parts": list(made.changed_parts(accepted)),
        "code_changed": made.code != accepted.code,
        "observed_mechanism": made.id,
        "accepted_mechanism": accepted.id,
    }
    names, every = replay.assets[asset].key, one_in(observed.height)
    try:
        expected = replay.rerun(asset, key, accepted, every)
        stored = thinned(observed, names, every)
        difference = compare(_measurable(models, stored), _measurable(models, expected), names)
        if every > 1 and difference.share and replay.assets[asset].layer != "prediction":
            expected = replay.rerun(asset, key, accepted)  # what is computed over several keys differs on a sample
            difference = compare(_measurable(models, observed), _measurable(models, expected), names)
    except DataError as error:
        return values | {"share": 1.0, "error": error.message}
    if every > 1 or replay.weight(asset, key) > 1:
        values["compared_rows"] = difference.rows
    rows = max(1, difference.rows)
    values |= {
        "share": difference.share,
        "lost_share": difference.lost / rows,
        "extra_share": difference.extra / rows,
        "columns": dict(sorted(difference.columns.items(), key=lambda item: -item[1])[:6]),
    }
    if difference.share and not models:
        values["unmodelled_share"] = difference.share
    elif difference.share:
        plan = Plan(mechanisms={asset: accepted}, frames={(asset, key): expected})
        values |= impact(replay, models, asset, key, plan)
    return values


def _measurable(models: Sequence[Model], frame: pl.DataFrame) -> pl.DataFrame:
    """Leave out how long a prediction took: it is measured, and no code gives it again."""
    return frame.drop([model.latency for model in models if model.latency in frame.columns])


def look_back(
    replay: Replay, models: Sequence[Model], asset: str, keys: Sequence[str], suspect: Mechanism, accepted: Mechanism
) -> dict[str, float]:
    """Run new code over windows before it came, beside the code it replaces: what one window hides, many show.

    A change that touches one row in twenty shows in no window of ten rows, and would be accepted as harmless. Blind to
    a change that depends on the date, and to rows that no past window held.

    Args:
        replay: Where the windows are replayed.
        models: The project's models.
        asset: The asset whose code changed.
        keys: Windows before the change, oldest first; the newest are taken.
        suspect: The new mechanism.
        accepted: The mechanism it is compared with, on the same parents.

    Returns:
        ``past_windows``, ``past_share`` of differing cells, ``past_lost_share`` and ``past_extra_share`` of rows and,
        where predictions or labels can be replayed, ``past_displacement`` and ``past_label_flips``; empty when no
        window can be replayed.
    """
    new = Mechanism(suspect.code, dict(accepted.parts))
    rows, cells, lost, extra, windows = 0, 0.0, 0, 0, 0
    differing: dict[tuple[str, str], pl.DataFrame] = {}
    for key in reversed(keys):
        if windows >= PAST_WINDOWS or rows >= PAST_ROWS:
            break
        stored = replay.observed(asset, key)
        if stored is None:
            continue
        try:
            names, every = replay.assets[asset].key, one_in(stored.height)
            made = replay.rerun(asset, key, new, every)
            rerun = _measurable(models, made)
            difference = compare(rerun, _measurable(models, thinned(stored, names, every)), names)
            if difference.share:
                difference = compare(rerun, _measurable(models, replay.rerun(asset, key, accepted, every)), names)
        except DataError:
            break
        windows, rows = windows + 1, rows + difference.rows
        cells += difference.share * difference.rows
        lost, extra = lost + difference.lost, extra + difference.extra
        if difference.share:
            differing[(asset, key)] = made
    if not windows:
        return {}
    effects: dict[str, list[float]] = {}
    for _, key in differing:
        for name, value in impact(replay, models, asset, key, Plan(frames=differing)).items():
            effects.setdefault(name, []).append(value)
    found = {"share": cells / max(1, rows), "lost_share": lost / max(1, rows), "extra_share": extra / max(1, rows)}
    for name in effects.keys() - {"decisions"}:
        # Predictions may begin later than the table, so their mean stands for all windows that differ.
        found[name] = sum(effects[name]) / len(effects[name]) * len(differing) / windows
    if not models:
        found["unmodelled_share"] = found["share"]
    return {"past_windows": float(windows)} | {f"past_{name}": value for name, value in found.items()}


def impact(replay: Replay, models: Sequence[Model], asset: str, key: str, plan: Plan) -> dict[str, float]:
    """Measure what a plan changes in the predictions and labels that depend on an asset's window.

    Returns:
        The largest over the models of ``displacement``, ``decisions`` and ``label_flips``; only those that apply. What
        is no probability or class counts on the scale of one, see `headwater.triage.scales`.
    """
    lag = replay.assets[asset].lag
    run = replay.calendar.shift(replay.calendar.window(key), lag)
    found: dict[str, float] = {}
    reach = {asset, *replay.descendants(asset)}
    for model in models:
        for target in (model.predictions, model.labels):
            if target not in reach:
                continue
            target_key = replay.calendar.shift(run, -replay.assets[target].lag).key
            before = replay.observed(target, target_key)
            if before is None:
                continue
            try:
                after = replay.value(target, target_key, plan)
            except DataError:
                continue
            if after is None:
                continue
            before, after, columns = on_scale(replay, model, target, target_key, before, after)
            change = moved(before, after, model.entity, columns)
            names = ("displacement", "decisions") if target == model.predictions else ("label_flips",)
            for name, value in zip(names, change, strict=False):
                found[name] = max(found.get(name, 0.0), value)
    return found


def moved(before: pl.DataFrame, after: pl.DataFrame, entity: str, columns: Sequence[str]) -> list[float]:
    """Return the mean absolute change per column, at most 1 for each entity; one that only one side has counts 1."""
    if not all(name in before.columns and name in after.columns for name in (entity, *columns)):
        return [1.0 for _ in columns]
    left, right = (_marked(frame, entity, columns) for frame in (before, after))
    try:
        pairs = left.join(right, on=entity, how="full", suffix="_after", coalesce=True, nulls_equal=True)
    except pl.exceptions.SchemaError:
        return [1.0 for _ in columns]  # where the id is of another type, nothing finds its rows again
    if not pairs.height:
        return [0.0 for _ in columns]
    both = (pairs["\0there"] & pairs["\0there_after"]).fill_null(False)
    return [_gap(pairs[name], pairs[f"{name}_after"], both) for name in columns]


def _marked(frame: pl.DataFrame, entity: str, columns: Sequence[str]) -> pl.DataFrame:
    """Keep one row per entity, its columns as numbers, and a mark that it is there."""
    numbers = [pl.col(name).cast(pl.Float64, strict=False).fill_nan(None) for name in columns]
    marked = frame.select(entity, *numbers, pl.lit(True).alias("\0there"))
    return marked.unique(entity, keep="last", maintain_order=True)


def _gap(one: pl.Series, other: pl.Series, both: pl.Series) -> float:
    unknown = both & one.is_null() & other.is_null()
    gaps = (one - other).abs().fill_null(1.0).clip(upper_bound=1.0)
    return float(gaps.zip_with(~unknown, pl.zeros(len(gaps), eager=True)).sum()) / len(gaps)


def harm(replay: Replay, model: Model, asset: str, suspect: Mechanism, keys: Sequence[str]) -> dict[str, float]:
    """Grade a changed mechanism by running it over windows whose labels are known.

    The loss of the one window in which a change appears says little: only 57 % of true faults raised it. So the
    suspect code is replayed over the last labelled windows before the change, and the spread is taken over windows.

    Returns:
        ``harm`` (mean increase of the task's loss), ``harm_low`` and ``harm_high`` (95 % t interval over windows) and
        ``harm_windows``; empty when fewer than three windows can be replayed.
    """
    plan = Plan(mechanisms={asset: suspect})
    if model.predictions not in {asset, *replay.descendants(asset)}:
        return {}
    gaps: list[float] = []
    for key in keys[-HARM_WINDOWS:]:
        observed, labels = replay.observed(model.predictions, key), replay.observed(model.labels, key)
        if observed is None or labels is None:
            continue
        try:
            replayed = replay.value(model.predictions, key, plan)
        except DataError:
            continue
        if replayed is None or model.predicted not in replayed.columns:
            continue
        gap = loss_gap(model, observed, replayed, labels)
        if gap is not None:
            gaps.append(gap)
    if len(gaps) < 3:
        return {}
    mean, low, high = t_interval(np.asarray(gaps))
    return {"harm": mean, "harm_low": low, "harm_high": high, "harm_windows": float(len(gaps))}


def loss_gap(model: Model, before: pl.DataFrame, after: pl.DataFrame, labels: pl.DataFrame) -> float | None:
    """Return by how much the loss of a window's labelled rows rises; None where there are too few of them."""
    pair = loss_of(model, before, after, labels)
    return None if pair is None else float(np.mean(pair[1] - pair[0]))


def loss_of(
    model: Model, before: pl.DataFrame, after: pl.DataFrame, labels: pl.DataFrame
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the losses of a window's labelled rows before and after; None where there are too few of them."""
    told = model.predicted
    query = [model.query] if model.query in before.columns else []
    truth = labels.select(model.entity, model.outcome).unique(model.entity, keep="last").drop_nulls()
    try:
        pairs = (
            before.select(model.entity, *query, pl.col(told).alias("\0before"))
            .unique(model.entity, keep="last")
            .join(after.select(model.entity, told).unique(model.entity, keep="last"), on=model.entity)
            .join(truth, on=model.entity)
            .drop_nulls()
        )
    except pl.exceptions.SchemaError:
        return None
    if pairs.height < 10:
        return None
    outcome = pairs[model.outcome].cast(pl.Float64).to_numpy()
    queries = pairs[model.query].to_list() if query else None
    old, new = (
        task_loss(model.task, outcome, pairs[name].cast(pl.Float64).to_numpy(), queries).loss
        for name in ("\0before", told)
    )
    return (old, new) if len(new) == len(old) and len(new) else None
