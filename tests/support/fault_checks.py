"""What every kind of fault is checked against: a run of its own, over every fault of a list."""

from __future__ import annotations

import numpy as np
from support.campaigns import right, same

from fault_injection.fault_list import FaultList
from fault_injection.golden import Golden
from fault_injection.outcomes import Decision, Judge
from fault_injection.propagate import ChangedRows
from hls.engine import ExactEngine


def judge_of(golden: Golden, **choices: object) -> Judge:
    """Classification against seeded labels."""
    labels = np.random.default_rng(3).integers(0, golden.output.shape[1], golden.samples)
    defaults = {"decision": Decision(kind="argmax"), "labels": labels, "per_sample": right, "finish": same}
    return Judge(golden=golden, **defaults | choices)


def outputs_of(golden: Golden, changed: ChangedRows, fault: int) -> np.ndarray:
    """Output words under one fault, as pairs that changed say them."""
    output = golden.output.astype(np.int64)
    rows = changed.fault == fault
    output[changed.sample[rows]] = changed.output[rows]
    return output


def run_each(golden: Golden, faults: FaultList) -> ChangedRows:
    """Every pair that changes, by a run of its own for each fault."""
    engine = ExactEngine(golden.graph)
    fault, sample, output = [], [], [np.zeros((0, golden.output.shape[1]), np.int64)]
    for row in range(len(faults)):
        faulty = faults.faulty_output(engine, golden, row)
        differs = np.flatnonzero((faulty != golden.output).any(axis=1))
        fault += [row] * len(differs)
        sample += differs.tolist()
        output.append(faulty[differs])
    return ChangedRows(fault=np.array(fault, int), sample=np.array(sample, int), output=np.concatenate(output))


def require_outcomes_of_brute_force(golden: Golden, faults: FaultList) -> None:
    """Every row of a list's table is what a run of its own gives."""
    judge = judge_of(golden)
    table = faults.judge(judge, detail="full", threads=1)
    expected = judge.judge(run_each(golden, faults), len(faults))
    assert table.num_rows == len(faults)
    wrong = [
        faults.text(row)
        for row, (one, two) in enumerate(zip(table.to_pylist(), expected.to_pylist(), strict=True))
        if one != two
    ]
    assert not wrong


def require_fault_list(golden: Golden, faults: FaultList) -> None:
    """What a campaign relies on: rising numbers, complete groups, one row a fault, parts as in the whole."""
    graph, judge = golden.graph, judge_of(golden)
    assert isinstance(faults, FaultList)
    assert np.all(np.diff(faults.number) > 0)
    groups = faults.groups(graph)
    assert sorted(np.concatenate(groups).tolist()) == list(range(len(faults)))
    columns = faults.columns(graph)
    assert columns.column_names[:4] == ["site", "tensor", "index", "bit"]
    assert columns["site"].to_pylist() == faults.number.tolist()
    rows = np.arange(len(faults))[:: max(1, len(faults) // 7)]
    whole, part = faults.judge(judge, detail="full", threads=1), faults.take(rows)
    assert part.judge(judge, detail="full", threads=1).to_pylist() == whole.take(rows).to_pylist()
    assert part.columns(graph).to_pylist() == columns.take(rows).to_pylist()
    assert [part.text(i) for i in range(len(part))] == [faults.text(int(row)) for row in rows]
    assert len(faults.take(slice(0, 3))) == min(3, len(faults))
