"""Layer × bit: what a campaign found, per tensor and bit position."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from fault_injection.damage import DamageRow


def damage_table(outcomes: pa.Table, *, samples: int, higher_is_better: bool) -> tuple[DamageRow, ...]:
    """Summarise an outcome table, tensors in data order, bits from the top down.

    Args:
        outcomes: One row a fault.
        samples: Size of the evaluation set.
        higher_is_better: Direction of the metric; decides what worst means.
    """
    tensor = outcomes["tensor"].combine_chunks()
    codes = tensor.indices.to_numpy(zero_copy_only=False)
    bits = outcomes["bit"].to_numpy()
    columns = {
        "outcome": np.array(outcomes["outcome"].to_pylist()),
        "metric": outcomes["metric_change"].to_numpy(),
        "decisions": outcomes["decisions_changed"].to_numpy() / samples,
        "site": outcomes["site"].to_numpy(),
    }
    names = tensor.dictionary.to_pylist()
    rows = []
    for code in np.unique(codes):
        for bit in np.unique(bits[codes == code])[::-1]:
            part = {name: column[(codes == code) & (bits == bit)] for name, column in columns.items()}
            rows.append(_row(names[code], int(bit), part, higher_is_better=higher_is_better))
    return tuple(rows)


def _row(tensor: str, bit: int, part: dict[str, np.ndarray], *, higher_is_better: bool) -> DamageRow:
    harm = -part["metric"] if higher_is_better else part["metric"]
    worst = int(np.argmax(harm))
    return DamageRow(
        tensor=tensor,
        bit=bit,
        faults=len(harm),
        masked=float((part["outcome"] == "masked").mean()),
        tolerable=float((part["outcome"] == "tolerable").mean()),
        critical=float((part["outcome"] == "critical").mean()),
        mean_metric_change=float(part["metric"].mean()),
        worst_metric_change=float(part["metric"][worst]),
        mean_decisions_changed=float(part["decisions"].mean()),
        worst_site=int(part["site"][worst]),
    )
