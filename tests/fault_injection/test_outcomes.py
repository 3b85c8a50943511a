"""Outcomes of a hand-computed example: four samples, three outputs, six faults."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from support.campaigns import right, same
from support.onnx_graphs import Graph

from fault_injection.golden import Golden, golden_run
from fault_injection.outcomes import Decision, Judge
from fault_injection.propagate import ChangedRows
from hls.lowering import lower

OUTPUTS = np.array(
    [
        [3, 1, 0],  # decides 0, label 0: right
        [2, 2, 1],  # a tie: the lowest index wins, 0; label 1: wrong
        [0, 1, 5],  # decides 2, label 2: right
        [1, 4, 4],  # a tie: 1; label 1: right
    ]
)
LABELS = np.array([0, 1, 2, 1])
CHANGES = [
    # fault, sample, faulty output
    (1, 0, [3, 2, 0]),  # same decision
    (2, 1, [2, 3, 1]),  # 0 → 1: wrong → right
    (2, 2, [0, 1, 4]),  # same decision
    (3, 2, [5, 1, 5]),  # a tie: 2 → 0, right → wrong
    (3, 3, [4, 4, 3]),  # a tie: 1 → 0, right → wrong; two words changed
    (4, 3, [1, 4, 5]),  # 1 → 2, right → wrong
    (5, 1, [2, 2, 5]),  # 0 → 2, wrong → wrong
]
CHANGED = ChangedRows(
    fault=np.array([fault for fault, _, _ in CHANGES]),
    sample=np.array([sample for _, sample, _ in CHANGES]),
    output=np.array([output for _, _, output in CHANGES]),
)
FAULTS = 6


def identity(words: np.ndarray) -> Golden:
    """A network that hands its input words on, one unit being worth 0.5."""
    size = words.shape[1]
    graph = Graph(inputs=[("x", [1, size])])
    value = graph.quant("x", "q", scale=0.5, bits=8.0)
    value = graph.node("MatMul", [value, graph.weight(np.eye(size))], "fc")
    return golden_run(lower(graph.model(value)), words)


GOLDEN = identity(OUTPUTS)


def judge(**choices: object) -> Judge:
    defaults = {"golden": GOLDEN, "decision": Decision(kind="argmax"), "labels": LABELS}
    return Judge(**defaults | {"per_sample": right, "finish": same} | choices)


def column(name: str, **choices: object) -> list[object]:
    return judge(**choices).judge(CHANGED, FAULTS)[name].to_pylist()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("masked", [4, 3, 2, 2, 3, 3]),
        ("tolerable", [0, 1, 1, 0, 0, 0]),
        ("critical", [0, 0, 1, 2, 1, 1]),
        ("words_changed", [0, 1, 2, 3, 1, 1]),
        ("decisions_changed", [0, 0, 1, 2, 1, 1]),
        ("right_to_wrong", [0, 0, 0, 2, 1, 0]),
        ("wrong_to_right", [0, 0, 1, 0, 0, 0]),
        ("metric_change", [0.0, 0.0, 0.25, -0.5, -0.25, 0.0]),
        ("worst_sample_change", [0.0, 0.5, 0.5, 2.5, 0.5, 2.0]),
        ("outcome", ["masked", "tolerable", "critical", "critical", "critical", "critical"]),
    ],
)
def test_every_column_is_what_the_hand_says(name: str, expected: list[object]) -> None:
    assert column(name) == expected


def test_the_fault_free_metric_is_that_of_the_labels() -> None:
    assert judge().metric() == 0.75


def test_the_three_counts_are_all_samples() -> None:
    table = judge().judge(CHANGED, FAULTS)
    total = np.add.reduce([table[name].to_numpy() for name in ("masked", "tolerable", "critical")])
    assert total.tolist() == [4] * FAULTS


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.0, ["masked", "tolerable", "critical", "critical", "critical", "critical"]),
        (0.25, ["masked", "tolerable", "critical", "critical", "critical", "critical"]),
        (0.26, ["masked", "masked", "tolerable", "critical", "masked", "masked"]),
        (0.5, ["masked", "masked", "tolerable", "critical", "masked", "masked"]),
        (0.51, ["masked"] * 6),
    ],
)
def test_a_class_is_a_faults_own_from_the_critical_share_on(share: float, expected: list[str]) -> None:
    assert column("outcome", critical_share=share) == expected


@pytest.mark.parametrize("percent", range(1, 101))
def test_a_share_that_is_just_reached_counts(percent: int) -> None:
    # 0.07 × 100 is 7.000000000000001 in binary: 7 of 100 samples are 7 % all the same.
    golden = identity(np.tile([[1, 0]], (100, 1)))
    rows = np.arange(percent)
    changed = ChangedRows(fault=np.zeros(percent, np.int64), sample=rows, output=np.tile([[0, 1]], (percent, 1)))
    judged = judge(golden=golden, labels=None, critical_share=percent / 100).judge(changed, 1)
    assert judged["outcome"].to_pylist() == ["critical"]


def test_without_labels_the_metric_is_golden_relative() -> None:
    assert judge(labels=None).metric() == 1.0
    assert column("metric_change", labels=None) == [0.0, 0.0, -0.25, -0.5, -0.25, -0.25]


def test_without_labels_right_and_wrong_are_unknown() -> None:
    assert column("right_to_wrong", labels=None) == [None] * FAULTS
    assert column("wrong_to_right", labels=None) == [None] * FAULTS


def squared(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return (values[:, 0] - labels) ** 2


def root(means: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt(means))


REGRESSION = {
    "golden": identity(np.array([[2], [4], [-6]])),  # values 1, 2, −3
    "labels": np.array([1.0, 2.0, -1.0]),
    "per_sample": squared,
    "finish": root,
}
MOVED = ChangedRows(
    fault=np.array([0, 0, 1, 2]),
    sample=np.array([0, 1, 1, 2]),
    output=np.array([[3], [5], [6], [-2]]),  # +0.5 and +0.5, +1.0, +2.0
)


@pytest.mark.parametrize(
    ("tolerance", "expected"),
    [
        (0.0, ["critical", "critical", "critical"]),
        (0.5, ["tolerable", "critical", "critical"]),
        (1.0, ["tolerable", "tolerable", "critical"]),
        (2.0, ["tolerable", "tolerable", "tolerable"]),
    ],
)
def test_a_regression_decides_otherwise_beyond_its_tolerance(tolerance: float, expected: list[str]) -> None:
    regression = judge(decision=Decision(kind="tolerance", tolerance=tolerance), **REGRESSION)
    assert regression.judge(MOVED, 3)["outcome"].to_pylist() == expected


def test_a_regression_metric_is_finished_after_the_mean() -> None:
    regression = judge(decision=Decision(kind="tolerance", tolerance=0.5), **REGRESSION)
    clean = np.sqrt(4 / 3)  # errors 0, 0, −2
    assert regression.metric() == pytest.approx(clean, rel=1e-15)
    expected = [np.sqrt((0.25 + 0.25 + 4) / 3) - clean, np.sqrt((1 + 4) / 3) - clean, -clean]
    assert regression.judge(MOVED, 3)["metric_change"].to_pylist() == pytest.approx(expected, rel=1e-12)


def test_a_regression_has_no_right_and_wrong() -> None:
    regression = judge(decision=Decision(kind="tolerance", tolerance=0.5), **REGRESSION)
    assert regression.judge(MOVED, 3)["right_to_wrong"].to_pylist() == [None] * 3


def test_no_change_at_all_is_all_masked() -> None:
    nothing = ChangedRows(fault=np.zeros(0, int), sample=np.zeros(0, int), output=np.zeros((0, 3), int))
    table = judge().judge(nothing, 2)
    assert table["outcome"].to_pylist() == ["masked", "masked"]
    assert table["metric_change"].to_pylist() == [0.0, 0.0]
    assert table.schema.field("outcome").type == pa.string()


@pytest.mark.parametrize(
    ("golden", "faulty", "differs"),
    [
        ([1.0, 1.0], [1.0, 0.5], False),  # the tie is broken in favour of the winner
        ([1.0, 1.0], [0.5, 1.0], True),
        ([0.5, 1.0], [1.0, 1.0], True),  # a new tie: the lowest index wins now
        ([1.0, 0.5], [1.0, 1.0], False),  # a new tie that the winner wins
    ],
)
def test_the_lowest_index_wins_ties(golden: list[float], faulty: list[float], differs: bool) -> None:
    decision = Decision(kind="argmax")
    assert decision.differs(np.array([golden]), np.array([faulty])).tolist() == [differs]
