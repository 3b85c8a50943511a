"""The claim itself: MATCH on every test sample, for both targets, at 3, 4, 6 and 8 bits, per tensor and per channel."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from edgeval.cli import run as edgeval
from edgeval.records import CompareRecord, InjectRecord, RunRecord, load_record
from edgeval.run_directory import RunDirectory

pytestmark = [pytest.mark.gxx, pytest.mark.slow]

SAMPLES = {"digits": 359, "freesolv": 64}
REPEATED = {"digits": 120, "freesolv": 32}
"""Samples that a thousand faults are repeated on, each by a run of the C-simulation: what CI has time for."""
TARGETS = ["digits", pytest.param("freesolv", marks=pytest.mark.data)]


@pytest.mark.parametrize("per_channel", [False, True], ids=["per-tensor", "per-channel"])
@pytest.mark.parametrize("bits", [3, *(pytest.param(bits, marks=pytest.mark.long) for bits in (4, 6, 8))])
@pytest.mark.parametrize("target", TARGETS)
def test_engine_and_csim_give_the_same_words(target: str, bits: int, per_channel: bool, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["--weight-bits", str(bits), "--activation-bits", str(bits), "--epochs", "3", "--sparsity", "0.5"]
    assert edgeval(["train", target, "-o", str(run), *options, *(["--per-channel"] if per_channel else [])]) == 0
    assert edgeval(["export", str(run)]) == 0
    assert edgeval(["csim-compare", str(run)]) == 0
    record = load_record(CompareRecord, RunDirectory(run).record_file("csim-compare"))
    assert (record.verdict, record.differing, record.samples) == ("match", 0, SAMPLES[target])
    qonnx = next(reference for reference in record.references if reference.reference == "QONNX in float32")
    assert qonnx.max_error == 0.0


@pytest.mark.parametrize("target", ["digits", pytest.param("freesolv", marks=[pytest.mark.data, pytest.mark.long])])
def test_a_thousand_random_faults_have_the_same_effect_in_engine_and_csim(target: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert edgeval(["train", target, "-o", str(run), "--epochs", "5", "--sparsity", "0.5"]) == 0
    assert edgeval(["export", str(run)]) == 0
    samples = REPEATED[target]
    options = ["--sample", "2000", "--samples", str(samples), "--verify-on-csim", "1000"]
    assert edgeval(["inject-faults", str(run), *options]) == 0
    record = load_record(InjectRecord, next(run.glob("records/inject-faults-*.json")))
    assert record.cross_check is not None
    assert record.cross_check.faults == 1000
    assert record.cross_check.words == 1000 * samples * (10 if target == "digits" else 1)
    assert record.cross_check.mismatches == ()


@pytest.mark.parametrize("target", TARGETS)
def test_structured_pruning_goes_through_to_the_csim(target: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["--epochs", "3", "--sparsity", "0.5", "--prune", "structured"]
    assert edgeval(["train", target, "-o", str(run), *options]) == 0
    assert edgeval(["export", str(run)]) == 0
    assert edgeval(["csim-compare", str(run)]) == 0
    record = load_record(RunRecord, RunDirectory(run).run_file)
    shapes = [t.words.shape for name, t in RunDirectory(run).network().tensors.items() if name.endswith(".weight")]
    assert record.architecture is not None
    widths = record.architecture.perceptron_widths
    assert widths is not None
    assert shapes == list(itertools.pairwise(widths))


@pytest.mark.parametrize("option", [["--io-type", "io_stream"], ["--strategy", "Resource"], ["--backend", "Vivado"]])
def test_every_way_to_build_the_project_gives_the_same_words(option: list[str], digits_run: Path) -> None:
    assert edgeval(["export", str(digits_run), *option]) == 0
    assert edgeval(["csim-compare", str(digits_run), "--samples", "100"]) == 0


@pytest.mark.data
def test_a_cnn_with_batch_norm_and_float_scales_a_channel_matches_on_every_test_image(tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["--weight-bits", "4", "--activation-bits", "4", "--scales", "float", "--per-channel", "--epochs", "1"]
    assert edgeval(["train", "mnist", "-o", str(run), *options]) == 0
    assert edgeval(["export", str(run)]) == 0
    assert edgeval(["csim-compare", str(run)]) == 0
    record = load_record(CompareRecord, RunDirectory(run).record_file("csim-compare"))
    assert (record.verdict, record.differing, record.samples) == ("match", 0, 1000)
    assert record.references[0].unexplained == 0
    assert edgeval(["inject-faults", str(run), "--sample", "300", "--samples", "50", "--verify-on-csim", "20"]) == 0
