"""Faults judged a batch at a time, so that what they change never fills the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa

BATCH_PAIRS = 1 << 19
"""Pairs of fault and sample of one batch at most, where one group is not more; each may take a row of outputs."""


def batches(groups: Sequence[np.ndarray], faults: int) -> Iterator[np.ndarray]:
    """Whole groups, as many at once as make so many faults; a group that is larger alone.

    Args:
        groups: Rows that are cheapest judged together.
        faults: How many faults a batch is to have.
    """
    waiting: list[np.ndarray] = []
    count = 0
    for group in groups:
        if waiting and count + len(group) > faults:
            yield np.concatenate(waiting)
            waiting, count = [], 0
        waiting.append(group)
        count += len(group)
    if waiting:
        yield np.concatenate(waiting)


def judged_in_batches(groups: Sequence[np.ndarray], samples: int, judge: Callable[[np.ndarray], pa.Table]) -> pa.Table:
    """Outcome columns of faults, in their order.

    Args:
        groups: Rows that are cheapest judged together; every row in exactly one.
        samples: Size of the evaluation set.
        judge: Outcome columns of some rows, in the order given.
    """
    order: list[np.ndarray] = [np.zeros(0, np.int64)]
    tables = [judge(order[0])]
    for rows in batches(groups, max(1, BATCH_PAIRS // samples)):
        order.append(rows)
        tables.append(judge(rows))
    place = np.argsort(np.concatenate(order), kind="stable")
    return pa.concat_tables(tables).take(pa.array(place))
