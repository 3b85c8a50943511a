"""Stuck-at outcomes out of flip outcomes, without a simulation.

A stuck bit is a flip where the stored bit has the other value, and nothing where it already has it. So every row of a
stuck-at campaign is either the flip's row or a masked one.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fault_injection.summary import knows_decisions_only
from hls.graph import IntegerGraph

NOTHING_CHANGED = (
    "tolerable", "critical", "words_changed", "decisions_changed", "right_to_wrong", "wrong_to_right", "metric_change",
    "worst_sample_change",
)  # fmt: skip
"""Outcome columns that are zero where no word changes."""


def stuck_from_flips(
    flips: pa.Table, graph: IntegerGraph, model: Literal["stuck0", "stuck1"], *, samples: int
) -> pa.Table:
    """The outcome table of stuck bits at the sites of a flip campaign.

    Args:
        flips: Outcome table of flips, one row a site.
        graph: The fault-free network.
        model: Which value the bits are stuck at.
        samples: Size of the evaluation set.

    Returns:
        What a campaign of that model at these sites gives, value by value; columns that the flips left null stay null.
    """
    names = flips["tensor"].to_numpy()
    words, bits = flips["golden_word"].to_numpy(), flips["bit"].to_numpy()
    is_set = np.zeros(flips.num_rows, bool)
    for name in set(names):
        rows = names == name
        is_set[rows] = graph.tensors[name].format.bit_is_set(words[rows], bits[rows])
    stays = pa.array(is_set if model == "stuck1" else ~is_set)
    unchanged = "kept" if knows_decisions_only(flips) else "masked"
    changed = {"faulty_word": flips["golden_word"], "masked": samples, "outcome": unchanged}
    changed |= dict.fromkeys(NOTHING_CHANGED, 0)
    table = flips
    for name in flips.column_names:
        if name in changed:
            table = _replaced(table, name, stays, changed[name])
    return table


def _replaced(table: pa.Table, name: str, where: pa.Array, value: object) -> pa.Table:
    column = table[name]
    new = value if isinstance(value, pa.ChunkedArray) else pa.scalar(value, column.type)
    known = pc.and_(where, pc.is_valid(column))
    return table.set_column(table.column_names.index(name), name, pc.if_else(known, new, column))
