"""Layer × bit: what a campaign found, per tensor and bit position."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fault_injection.damage import DamageRow


def damage_table(outcomes: pa.Table, *, samples: int, higher_is_better: bool) -> tuple[DamageRow, ...]:
    """Summarise an outcome table, tensors in data order, bits from the top down.

    Args:
        outcomes: One row a fault; null columns where only decisions are known.
        samples: Size of the evaluation set.
        higher_is_better: Direction of the metric; decides what worst means.

    Returns:
        One row a tensor and bit; none for faults that have no such place.
    """
    if not {"tensor", "bit"} <= set(outcomes.column_names):
        return ()
    tensor = outcomes["tensor"].combine_chunks()
    codes = tensor.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    bits = outcomes["bit"].to_numpy()
    columns = {
        "metric": outcomes["metric_change"].to_numpy(),
        "decisions": outcomes["decisions_changed"].to_numpy() / samples,
        "site": outcomes[0].to_numpy(),
        **{name: _is(outcomes, name) for name in ("masked", "tolerable", "critical")},
    }
    decisions_only = knows_decisions_only(outcomes)
    names = tensor.dictionary.to_pylist()
    width = int(bits.max(initial=0)) + 1
    keys = codes * width + (width - 1 - bits)
    order = np.argsort(keys, kind="stable")
    found, starts = np.unique(keys[order], return_index=True)
    rows = []
    for key, members in zip(found.tolist(), np.split(order, starts[1:]), strict=True):
        part = {name: column[members] for name, column in columns.items()}
        bit = width - 1 - key % width
        row = _row(names[key // width], bit, part, higher_is_better=higher_is_better, decisions_only=decisions_only)
        rows.append(row)
    return tuple(rows)


def knows_decisions_only(outcomes: pa.Table) -> bool:
    """Whether a table was made in ``decisions`` detail: how many samples are masked is not known then."""
    return "masked" in outcomes.column_names and outcomes["masked"].null_count == outcomes.num_rows > 0


def _is(outcomes: pa.Table, name: str) -> np.ndarray:
    return np.asarray(pc.equal(outcomes["outcome"], name).to_numpy())


def _row(
    tensor: str, bit: int, part: dict[str, np.ndarray], *, higher_is_better: bool, decisions_only: bool
) -> DamageRow:
    harm = -part["metric"] if higher_is_better else part["metric"]
    worst = int(np.argmax(harm))
    return DamageRow(
        tensor=tensor,
        bit=bit,
        faults=len(harm),
        masked=None if decisions_only else float(part["masked"].mean()),
        tolerable=None if decisions_only else float(part["tolerable"].mean()),
        critical=float(part["critical"].mean()),
        mean_metric_change=float(part["metric"].mean()),
        worst_metric_change=float(part["metric"][worst]),
        mean_decisions_changed=float(part["decisions"].mean()),
        worst_site=int(part["site"][worst]),
    )
