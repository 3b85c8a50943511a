"""Judges and campaigns on small networks."""

from __future__ import annotations

import numpy as np
from support.networks import Mlp

from fault_injection.campaign import Campaign
from fault_injection.fault_list import StoredBits
from fault_injection.faults import FaultModel
from fault_injection.golden import Golden, golden_run
from fault_injection.outcomes import Decision, Judge
from fault_injection.sites import all_sites


def right(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """1 where the largest output is the label's."""
    return (values.argmax(axis=1) == labels).astype(np.float64)


def same(mean: float) -> float:
    return mean


def golden_of(recipe: Mlp, samples: int = 12) -> Golden:
    graph = recipe.graph()
    return golden_run(graph, graph.quantize_inputs(recipe.inputs(samples)))


def classification(golden: Golden, *, critical_share: float = 0.0) -> Judge:
    labels = np.random.default_rng(3).integers(0, golden.output.shape[1], golden.samples)
    return Judge(
        golden=golden, decision=Decision(kind="argmax"), labels=labels, per_sample=right, finish=same,
        critical_share=critical_share,
    )  # fmt: skip


def campaign_of(recipe: Mlp, model: FaultModel = "flip", samples: int = 12) -> Campaign:
    golden = golden_of(recipe, samples)
    faults = StoredBits(sites=all_sites(golden.graph), model=model)
    return Campaign(judge=classification(golden), faults=faults)
