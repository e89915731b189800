"""BARO's robust scorer (package fse-baro, its authors' own) on metrics of all assets, as of the onset.

Its ranking of metrics becomes one of assets by each asset's best metric, as it does with services; ties go upstream.
At its defaults: a metric that is constant before or since is dropped, and only what went up counts. It is given rows,
means, deviations and nulls, of the choices that were tried the best for it: quantiles and extremes of whole numbers
stand still for weeks and drown everything else by their first step.
"""

from baro.root_cause_analysis import robust_scorer
from reading import Scene, main

METRIC = "::"
KINDS = ("rows", "mean", "std", "null_share")


def rank(scene: Scene) -> list[str]:
    """Rank assets by their most anomalous metric."""
    metrics = scene.table("metrics")
    metrics = metrics[metrics["metric"].str.partition(".")[0].isin(KINDS)]
    named = metrics.assign(name=metrics["asset"] + METRIC + metrics["metric"])
    wide = named.pivot(index="at", columns="name", values="value")[named["name"].unique()]
    data = wide.ffill().bfill().rename_axis("time").reset_index()
    ranks = robust_scorer(data, inject_time=0)["ranks"]
    return [scene.told["subjects"][name.partition(METRIC)[0]] for name in ranks]


if __name__ == "__main__":
    main(rank)
