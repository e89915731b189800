"""DoWhy's `gcm.distribution_change` on the lineage graph: which asset's mechanism explains that the predictions moved.

A node is an asset, with the one column that moved most; the graph is the known lineage upstream of the predictions, or
of the labels where only they moved. Mechanisms are assigned by DoWhy itself.
"""

import networkx as nx
import numpy as np
from dowhy import gcm
from reading import Scene, main


def rank(scene: Scene) -> list[str]:
    """Rank assets by how much of the change is put down to them."""
    rows = scene.table("joint")
    if rows is None:
        return []
    since = rows.pop("_during").to_numpy()
    told = scene.told
    graph = nx.DiGraph([(parent, name) for name in rows for parent in told["parents"][name]])
    gcm.config.disable_progress_bars()
    gcm.config.set_default_n_jobs(1)
    gcm.util.general.set_random_seed(0)
    # ties make the nearest-neighbour estimate of a divergence infinite
    rows = rows + np.random.default_rng(0).normal(0, 1e-6, rows.shape) * (rows.std().to_numpy() + 1e-3)
    model = gcm.ProbabilisticCausalModel(graph)
    gcm.auto.assign_causal_mechanisms(model, rows[~since])
    parts = gcm.distribution_change(model, rows[~since], rows[since], told["target"], num_samples=1000)
    return [told["subjects"][name] for name in sorted(parts, key=lambda name: -parts[name])]


if __name__ == "__main__":
    main(rank)
