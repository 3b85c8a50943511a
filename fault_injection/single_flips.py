"""What each single flip does to metric and decisions, of many sites, in batches of bounded memory."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from fault_injection.batches import batches
from fault_injection.exact import Detail
from fault_injection.fault_list import StoredBits
from fault_injection.outcomes import Judge
from fault_injection.shards import Progress
from fault_injection.sites import SiteTable

BATCH_FAULTS = 4_096
"""Flips judged at once."""


def judge_single_flips(
    judge: Judge, sites: SiteTable, *, detail: Detail, threads: int, progress: Progress = lambda done, total: None
) -> tuple[Float[np.ndarray, " sites"], Int[np.ndarray, " sites"]]:
    """Judge every flip, exactly.

    Args:
        judge: Evaluation set, decision and metric.
        sites: One flip a row.
        detail: ``decisions`` is enough where the metric is accuracy.
        threads: Of the compiled kernels.
        progress: Told how many are judged.

    Returns:
        Metric change, and samples whose decision changes, in the order of ``sites``.
    """
    faults = StoredBits(sites=sites, model="flip")
    change, decisions = np.empty(len(sites)), np.empty(len(sites), np.int64)
    done = 0
    for rows in batches(faults.groups(judge.golden.graph), BATCH_FAULTS):
        table = faults.take(rows).judge(judge, detail=detail, threads=threads)
        change[rows] = table["metric_change"].to_numpy()
        decisions[rows] = table["decisions_changed"].to_numpy()
        done += len(rows)
        progress(done, len(sites))
    return change, decisions
