"""What hardening starts from, on small networks."""

from __future__ import annotations

import pyarrow as pa

from fault_injection.fault_list import StoredBits
from fault_injection.hardening import Assessor, Measure, StoredDamage, damages_of
from fault_injection.outcomes import Judge
from fault_injection.sites import all_sites


def outcomes_of(judge: Judge) -> pa.Table:
    """The table of an exhaustive campaign of flips."""
    graph = judge.golden.graph
    faults = StoredBits(sites=all_sites(graph), model="flip")
    tables = (faults.columns(graph), faults.judge(judge, detail="full", threads=1))
    return pa.table({name: table[name] for table in tables for name in table.column_names})


def assessed(judge: Judge, measure: Measure = "decisions") -> tuple[Assessor, list[tuple[StoredDamage, ...]]]:
    """An assessor of a network whose metric is better the higher, and the damage of its tensors."""
    assessor = Assessor(judge=judge, measure=measure, higher_is_better=True)
    return assessor, list(damages_of(judge.golden.graph, assessor, assessor.of_flips(outcomes_of(judge))))
