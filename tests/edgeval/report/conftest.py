"""A synthetic run: the digits network 64-64-32-10 with 6-bit weights and 16-bit biases, and plausible faults."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from math import prod

import numpy as np
import pyarrow as pa
import pytest

from edgeval.architecture import perceptron
from edgeval.records import (
    CompareRecord,
    Complexity,
    CrossCheckRow,
    ErrorStatistics,
    ExportRecord,
    FaultRow,
    Fingerprint,
    InjectRecord,
    LayerRow,
    LayerVerdict,
    MetricValue,
    Recipe,
    RunRecord,
)
from edgeval.report.view import CampaignView, RunView
from fault_injection.estimates import Estimated
from fault_injection.summary import damage_table

SAMPLES = 360
WIDTHS = (64, 64, 32, 10)
ACCURACY = MetricValue(name="accuracy", unit="fraction", direction="higher", value=347 / 360)

MakeView = Callable[..., RunView]


def fingerprint(command: str) -> Fingerprint:
    return Fingerprint(
        command=command,
        configuration={"weight-bits": 6, "activation-bits": 6, "scales": "po2", "bits": "all", "skip-pruned": False},
        seeds={"split": 1, "training": 7, "cross-check": 11},
        versions={"python": "3.11.7", "numpy": "2.4.6", "torch": "2.13.0", "hls4ml": "1.3.0"},
        digests={
            "model": "5f0c9a1b" * 8,
            "data": "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d",
        },
    )


def shapes_of(widths: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, (inputs, outputs) in enumerate(itertools.pairwise(widths), start=1):
        shapes[f"fc{layer}.weight"] = (inputs, outputs)
        shapes[f"fc{layer}.bias"] = (outputs,)
    return shapes


def width_bits(tensor: str) -> int:
    return 6 if tensor.endswith("weight") else 16


def fault_table(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> pa.Table:
    """Outcomes that rise steeply with the bit and fall with the depth of the layer, mostly masked at the low bits."""
    rng = np.random.default_rng(seed)
    names = list(shapes)
    blocks = []
    for position, name in enumerate(names):
        words, bits = prod(shapes[name]), width_bits(name)
        index, bit = (axis.ravel() for axis in np.meshgrid(np.arange(words), np.arange(bits), indexing="ij"))
        blocks.append((np.full(len(index), position), index, bit, bits - 1 - bit))
    tensor, index, bit, below_top = (np.concatenate(column) for column in zip(*blocks, strict=True))
    importance = rng.lognormal(-3.4, 1.1, len(tensor)) * 2.0**-below_top * np.array([1, 2, 1.5, 2, 3, 4])[tensor % 6]
    changed = rng.binomial(SAMPLES, np.clip(importance * 6, 0, 1))
    critical = rng.binomial(changed, np.clip(importance, 0.001, 0.6))
    wrong = rng.binomial(critical, 0.93)
    right = rng.binomial(critical - wrong, 0.5)
    outcome = np.where(critical > 0, "critical", np.where(changed > 0, "tolerable", "masked"))
    golden = rng.integers(-20, 20, len(tensor))
    sign_bit = 1 << np.array([width_bits(name) - 1 for name in names])[tensor]
    return pa.table(
        {
            "site": np.arange(len(tensor)),
            "tensor": pa.DictionaryArray.from_arrays(pa.array(tensor, pa.int32()), names),
            "index": index,
            "bit": bit,
            "golden_word": golden,
            "faulty_word": ((golden ^ (1 << bit)) + sign_bit) % (2 * sign_bit) - sign_bit,
            "masked": SAMPLES - changed,
            "tolerable": changed - critical,
            "critical": critical,
            "words_changed": changed * 4,
            "decisions_changed": critical,
            "right_to_wrong": wrong,
            "wrong_to_right": right,
            "metric_change": (right - wrong) / SAMPLES,
            "worst_sample_change": critical / 4,
            "outcome": pa.array(outcome.tolist(), pa.string()),
        }
    )


def inject_record(outcomes: pa.Table) -> InjectRecord:
    classes = {name: outcomes["outcome"].to_pylist().count(name) for name in ("masked", "tolerable", "critical")}
    worst = np.argsort(outcomes["metric_change"].to_numpy(), kind="stable")[:12]
    return InjectRecord(
        fingerprint=fingerprint("inject-faults"),
        outcomes="outcomes/0123456789abcdef",
        fault="flip",
        executor="exact",
        detail="full",
        run_on="local workers",
        workers=2,
        kernel_threads=1,
        faults=outcomes.num_rows,
        sites=outcomes.num_rows,
        pruned=outcomes.num_rows // 3,
        samples=SAMPLES,
        exhaustive=True,
        decision="argmax",
        tolerance=0.0,
        critical_share=0.0,
        label_relative=True,
        metric=ACCURACY,
        classes=classes,
        damage=damage_table(outcomes, samples=SAMPLES, higher_is_better=True),
        worst=tuple(
            FaultRow(
                site=f"{row['tensor']}:{row['index']}:{row['bit']}",
                golden_word=row["golden_word"],
                faulty_word=row["faulty_word"],
                metric_change=row["metric_change"],
                decisions_changed=row["decisions_changed"],
            )
            for row in outcomes.take(worst).to_pylist()
        ),
        decisions_changed=Estimated(value=0.031, low=0.024, high=0.04),
        estimate=None,
        brute_force=CrossCheckRow(executor="exact engine", faults=100, words=360_000, mismatches=()),
        cross_check=CrossCheckRow(executor="csim", faults=1000, words=3_600_000, mismatches=()),
        seconds=12.3,
    )


def run_record(widths: tuple[int, ...]) -> RunRecord:
    weights = sum(a * b for a, b in itertools.pairwise(widths))
    return RunRecord(
        fingerprint=fingerprint("train"),
        source="digits",
        title="handwritten digits, 8 × 8 pixels, ten classes",
        task="classification",
        metric="accuracy",
        unit="fraction",
        direction="higher",
        samples=SAMPLES,
        recipe=Recipe(
            weight_bits=6,
            activation_bits=6,
            bias_bits=16,
            scales="po2",
            per_channel=False,
            sparsity=0.333,
            prune="magnitude",
        ),
        architecture=perceptron(widths),
        float_metric=MetricValue(name="accuracy", unit="fraction", direction="higher", value=350 / 360),
        quantized_metric=ACCURACY,
        complexity=Complexity(
            weights=weights,
            weights_nonzero=2 * weights // 3,
            weight_bits=6 * weights,
            bops=412_345.0,
            sparsity=0.333,
        ),
        seconds=31.5,
    )


def export_record(widths: tuple[int, ...]) -> ExportRecord:
    rows = [layer_row("input", "Quantize", "ap_ufixed<5,1>")]
    for layer, (inputs, outputs) in enumerate(itertools.pairwise(widths), start=1):
        rows.append(layer_row(f"fc{layer}", "MatMul", "ap_fixed<18,8>", inputs * outputs))
        rows.append(layer_row(f"relu{layer}", "Shift", "ap_ufixed<6,2>"))
    return ExportRecord(
        fingerprint=fingerprint("export"),
        layers=tuple(rows[:-1]),
        notes=("Softmax after the last layer stays on the host: the largest output is the same.",),
        network_digest="9d" * 32,
        qonnx=error_statistics("QONNX in float32"),
        brevitas_max_error=1.2e-6,
        project="hls4ml",
        refused=None,
        backend="Vitis",
        io_type="io_parallel",
    )


def layer_row(name: str, form: str, output: str, weights: int = 0) -> LayerRow:
    return LayerRow(
        name=name,
        form=form,
        shape=(10,),
        output_format=output,
        weight_format="ap_fixed<6,1>" if weights else "",
        bias_format="ap_fixed<16,6>" if weights else "",
        accumulator_bits=18 if weights else 0,
        arithmetic="float64" if weights else "int64",
        weights=weights,
        zero_share=0.333 if weights else 0.0,
        constants=0,
    )


def error_statistics(reference: str) -> ErrorStatistics:
    return ErrorStatistics(
        reference=reference,
        max_error=0.0625,
        mean_error=0.00021,
        max_error_lsb=1.0,
        decisions_equal=359 / 360,
        reference_metric=ACCURACY,
        network_metric=ACCURACY,
        explained=14,
        unexplained=0,
    )


def compare_record() -> CompareRecord:
    names = [("input", 64), ("fc1", 64), ("relu1", 64), ("fc2", 32), ("relu2", 32), ("fc3", 10)]
    layers = tuple(
        LayerVerdict(value=name, words=width * SAMPLES, differing=0, distinct=17 + 90 * width, saturations=3 * width)
        for name, width in names
    )
    words = sum(layer.words for layer in layers)
    return CompareRecord(
        fingerprint=fingerprint("csim-compare"),
        verdict="match",
        headline=f"MATCH {words:,} of {words:,} words, 6 layers, {SAMPLES} samples",
        samples=SAMPLES,
        words=words,
        differing=0,
        layers=layers,
        first=None,
        audit=(),
        poke=None,
        inputs="the run's evaluation set",
        references=(error_statistics("QONNX in float32"), error_statistics("float model")),
        backend="Vitis",
        io_type="io_parallel",
        compiler="g++ 12.2.0",
        compiled=True,
    )


def build_view(name: str = "digits", widths: tuple[int, ...] = WIDTHS, seed: int = 0) -> RunView:
    shapes = shapes_of(widths)
    outcomes = fault_table(shapes, seed)
    campaign = CampaignView(record=inject_record(outcomes), outcomes=outcomes, shapes=shapes)
    return RunView(
        name=name,
        run=run_record(widths),
        export=export_record(widths),
        compare=compare_record(),
        campaigns=(campaign,),
    )


@pytest.fixture(scope="session")
def make_view() -> MakeView:
    """Builds a complete run; small by default."""
    return lambda name="digits", widths=(8, 6, 3), seed=0: build_view(name, widths, seed)


@pytest.fixture(scope="session")
def view() -> RunView:
    """A small complete run."""
    return build_view("digits", (8, 6, 3))
