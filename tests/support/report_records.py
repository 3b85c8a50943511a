"""Small records of every kind that the report shows, made up."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pyarrow as pa
from support.missions import mission_record

from edgeval.error_histogram import error_histogram, tally
from edgeval.error_rate_record import ErrorRateRecord, ImagesRow, RateRow
from edgeval.hardening_record import HardenedRow, HardeningCheck, HardenRecord, ParetoRow, VoterCheck
from edgeval.plan_record import FaultPlan
from edgeval.ranking_record import MethodScore, Oracle, RankedBit, RankRecord
from edgeval.records import (
    CompareRecord,
    EmulatorRecord,
    Fingerprint,
    FirstDifference,
    MatrixRecord,
    MatrixRow,
    MetricValue,
)
from edgeval.regression_record import Gate, RegressRecord, Tolerances
from edgeval.report.view import RankingView, RunView
from edgeval.self_test_record import Mutant, SelfTestRecord
from edgeval.worst_flips_record import FlipRow, WorstFlipsRecord
from fault_injection.hardening import SCHEMES

PRINT = Fingerprint(command="x", configuration={}, seeds={}, versions={}, digests={})
ACCURACY = MetricValue(name="accuracy", unit="fraction", direction="higher", value=0.96)


def images(mean: float, *, agree: bool = False) -> ImagesRow:
    low, high = (None, None) if agree else (mean - 0.01, mean + 0.02)
    return ImagesRow(
        mean=mean,
        low=low,
        high=high,
        error=0.005,
        percentiles=tuple(mean + step for step in (-0.2, -0.1, 0, 0.01, 0.02)),
    )


def rate_row(rate: float, mean: float, *, agree: bool = False) -> RateRow:
    return RateRow(
        rate=rate, none=0.5, one=0.3, more=0.2, metric=images(mean, agree=agree), decisions=images(1 - mean),
        plain_metric=images(mean - 0.003), plain_decisions=images(1 - mean),
    )  # fmt: skip


RATES = ErrorRateRecord(
    fingerprint=PRINT, bits=39_632, samples=359, draws=200, confidence=0.95, percentiles=(5, 25, 50, 75, 95),
    metric=ACCURACY, decision="argmax", tolerance=0.0, label_relative=True,
    rates=(rate_row(1e-5, 0.95, agree=True), rate_row(1e-3, 0.7)), seconds=1.0,
)  # fmt: skip
FLIPS = WorstFlipsRecord(
    fingerprint=PRINT, bits=39_632, samples=359, count=5, candidates=None, ended="chance", chance=0.1, metric=ACCURACY,
    label_relative=True, unconfirmed=(), seconds=1.0,
    flips=(
        FlipRow(site="fc3.weight:8:5", golden_word=9, faulty_word=-23, metric=0.5, decisions_changed=160, judged=99),
        FlipRow(site="fc3.bias:1:7", golden_word=-1, faulty_word=127, metric=0.09, decisions_changed=300, judged=98),
    ),
)  # fmt: skip

HARDENED = HardenRecord(
    fingerprint=Fingerprint(command="harden", configuration={}, seeds={}, versions={}, digests={}),
    campaign="0123456789abcdef", scheme="tmr", damage="decisions", samples=100, stored_bits=1000, budget_bits=101,
    added_bits=100, damage_before=800.0, damage_after=200.0, bound=200.0, optimal=True, voters=50,
    metric=MetricValue(name="accuracy", unit="fraction", direction="higher", value=0.9),
    tensors=(
        HardenedRow(
            tensor="fc1.weight", words=125, storage="native", protected={"tmr": 40}, triplicated=50, added_bits=100,
            damage_before=800.0, damage_after=200.0,
        ),
    ),
    pareto=tuple(
        ParetoRow(scheme=scheme, budget_bits=bits, added_bits=bits, damage=800.0 - 4 * bits)
        for scheme in SCHEMES for bits in (0, 100)
    ),
    check=HardeningCheck(
        physical_bits=1100, predicted=200.0, verified=200.0, differing=0, brute_force=20, mismatches=(), agrees=True
    ),
    held_out=None, project="hls4ml-hardened", no_project=None,
    voter_check=VoterCheck(
        verdict="match", headline="MATCH 10 of 10 words", single=30, double=10, unprotected=10, visible=15, words=500,
        mismatches=(),
    ),
    seconds=1.0,
)  # fmt: skip

DAMAGE = np.array([0.0, 3.0, -1.0, 1.0])
RANKS = {"oracle": [2, 0, 3, 1], "fisher": [3, 1, 2, 0]}


def ranking_record() -> RankRecord:
    scores = tuple(
        MethodScore(method=name, area=area, area_as_measured=area, worst_1=1.0, worst_10=0.5)
        for name, area in (("oracle", 1.0), ("fisher", 0.75))
    )
    return RankRecord(
        fingerprint=Fingerprint(command="rank-bits", configuration={}, seeds={}, versions={}, digests={}),
        method="fisher",
        ranking="rankings/0123456789abcdef.parquet",
        sites=4,
        samples=12,
        calibration="<b>calibration</b>",
        calibration_samples=7,
        loss=MetricValue(name="cross-entropy", unit="nat", direction="lower", value=0.25),
        label_relative=True,
        top=(RankedBit(site="fc1.weight:0:3", word=-2, delta=8, score=0.5),),
        oracle=Oracle(harm=4.0, improvement=1.0, harmful=2, found=False),
        scores=scores,
        left_out=("taylor: ranking by derivatives: act1, a lookup",),
        seconds=1.0,
    )


def ranking_columns() -> pa.Table:
    return pa.table({"damage": DAMAGE, **{f"rank_{name}": ranks for name, ranks in RANKS.items()}})


def every_record(view: RunView) -> dict[str, msgspec.Struct]:
    """One record of each kind that a run of ``view`` does not have yet, by the name of its file."""
    return {
        "csim-compare-Quartus-io_parallel-Resource": _other_comparison(view),
        "csim-compare-matrix": _matrix(),
        "csim-compare-poked": _poked(view),
        "emulator": _emulator(),
        "fault-plan": _plan(),
        "regress-check": _regression(),
        "self-test-csim-compare": _self_test("csim-compare"),
        "self-test-inject-faults": _self_test("inject-faults"),
    }


def whole_view(view: RunView) -> RunView:
    """A run that has a record of every kind."""
    others = every_record(view)
    comparisons = {name: one for name, one in others.items() if isinstance(one, CompareRecord)}
    errors = error_histogram("float model", "fc3", np.random.default_rng(3).normal(0, 40, 500))
    equal = tally(np.zeros(300, np.int64)).histogram("C-simulation", "fc1")
    assert view.compare is not None
    return dataclasses.replace(
        view,
        compare=msgspec.structs.replace(view.compare, histograms=(equal, errors)),
        comparisons=tuple((name.removeprefix("csim-compare-"), one) for name, one in comparisons.items()),
        matrix=others["csim-compare-matrix"],
        emulator=others["emulator"],
        self_tests=tuple(one for one in others.values() if isinstance(one, SelfTestRecord)),
        plan=others["fault-plan"],
        ranking=RankingView(record=ranking_record(), columns=ranking_columns()),
        error_rates=RATES,
        worst_flips=FLIPS,
        hardening=HARDENED,
        mission=mission_record(),
        regression=others["regress-check"],
    )


def _other_comparison(view: RunView) -> CompareRecord:
    assert view.compare is not None
    return msgspec.structs.replace(view.compare, backend="Quartus")


def _poked(view: RunView) -> CompareRecord:
    assert view.compare is not None
    first = FirstDifference(
        value="fc2", index=(5, 1), csim=-12, engine=13, csim_format="ap_fixed<8,3>", engine_format="ap_fixed<8,4>",
        cause="stored bit fc2.weight:8:5 was flipped on purpose (--poke)",
    )  # fmt: skip
    differences = np.array([0] * 90 + [-3, 2, 2, 7])
    return msgspec.structs.replace(
        view.compare, verdict="differ", headline="DIFFER 4 of 94 words", poke="fc2.weight:8:5", differing=4,
        first=first, histograms=(tally(differences).histogram("C-simulation", "fc2"),),
    )  # fmt: skip


def _matrix() -> MatrixRecord:
    row = MatrixRow(
        backend="Vitis", io_type="io_parallel", strategy="Latency", status="match", detail="MATCH 10 of 10 words",
        layers=2, words=10, differing=0,
    )  # fmt: skip
    refused = msgspec.structs.replace(
        row, backend="Quartus", status="refused", detail="hls4ml has no such project", layers=0, words=0
    )
    return MatrixRecord(
        fingerprint=PRINT, verdict="match", headline="MATCH 1 of 2 C-simulations; 1 refused", samples=5,
        inputs="the run's evaluation set", rows=(row, refused), compiler="g++ 12.2.0",
    )  # fmt: skip


def _emulator() -> EmulatorRecord:
    return EmulatorRecord(
        fingerprint=PRINT, verdict="match", headline="MATCH 30 of 30 output words", name="digits", version="1",
        namespace="edgeval_digits_v1", library="digits_v1.so", library_digest="ab" * 32,
        symbols=("edgeval_digits_v1_run",), samples=10, words=30, differing=0, audit=(), backend="Vitis",
        io_type="io_parallel", compiler="g++ 12.2.0",
    )  # fmt: skip


def _plan() -> FaultPlan:
    return FaultPlan(
        fault="flip", faults=39_632, samples=359, detail="full", probed=500, workers=2, kernel_threads=1, seconds=900.0,
        time_budget=300.0, margin=0.01, confidence=0.95, sample=7_000, sample_seconds=160.0, chosen="sample",
        why="900 s are beyond the budget of 300 s", options="--margin 0.01 --confidence 0.95",
    )  # fmt: skip


def _self_test(verb: str) -> SelfTestRecord:
    seen = Mutant(
        mutation="flip a weight bit", place="fc1.weight", change="bit 5 of word 3 flipped", status="detected",
        detected_by=("audit", "words"), evidence="DIFFER 4 of 94 words",
    )  # fmt: skip
    nowhere = Mutant(mutation="drop a transpose", place="", change="", status="no_place", detected_by=(), evidence="")
    return SelfTestRecord(
        fingerprint=PRINT, verb=verb, verdict="detected", headline="DETECTED 1 of 1 errors with an effect", detected=1,
        visible=1, samples=64, mutants=(seen, nowhere),
    )  # fmt: skip


def _regression() -> RegressRecord:
    gates = (
        Gate(run="digits", name="network", status="passed", summary="as locked"),
        Gate(
            run="digits", name="types", status="failed", summary="result_t of fc2 changed",
            details=("12 words differ",), remedy="edgeval regress check --update",
        ),
    )  # fmt: skip
    return RegressRecord(
        fingerprint=PRINT, verdict="failed", headline="FAILED 1 of 2 gates", baseline="baseline.txt",
        tolerances=Tolerances(), skipped_is_error=False, gates=gates,
    )  # fmt: skip
