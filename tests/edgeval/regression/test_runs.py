"""Other runs than classifications that hls4ml holds: regressions, refused networks, several runs, large inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from support.locked_runs import exported_run, one_weight
from support.networks import Mlp

from edgeval.regression import check as checking
from edgeval.regression.baseline import Baseline, load_baseline, save_baseline
from edgeval.regression.check import check_baseline
from edgeval.regression.damage import EXHAUSTIVE_WORK, chosen_faults, parse_faults
from edgeval.regression.locked_words import GOLDEN_WORDS, golden_inputs, golden_outputs, golden_samples
from edgeval.regression.observe import Asked, Observation, observe
from edgeval.regression_record import Tolerances
from edgeval.run_directory import RunDirectory
from hls.errors import UsageError


@pytest.fixture
def no_csim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEVAL_CXX", "no-such-compiler")


def test_a_regression_without_a_float_model_needs_a_threshold_for_its_faults(tmp_path: Path, no_csim: None) -> None:
    run = RunDirectory(exported_run(tmp_path, task="regression"))
    without = observe(run, "run", "run", Asked(faults=5, workers=1)).run
    assert without.faults.skipped == "a regression without a float model needs --critical-threshold to be judged"
    assert without.metric is not None
    assert (without.metric.name, without.metric.value) == ("rmse", 0.0)


@pytest.mark.gxx
@pytest.mark.slow
def test_with_a_threshold_a_regressions_faults_are_judged(tmp_path: Path) -> None:
    run = RunDirectory(exported_run(tmp_path, task="regression"))
    faults = observe(run, "run", "run", Asked(faults=5, tolerance=0.5, workers=1)).run.faults
    assert (faults.skipped, faults.faults, faults.tolerance) == ("", 5, 0.5)


def test_a_network_that_hls4ml_refuses_is_locked_without_a_csim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hls.errors import LoweringError

    def refused(*_: Any) -> None:
        raise LoweringError(found="a Slice", allowed="layers", where="layer late", remedy="drop it")

    monkeypatch.setattr("hls.hls4ml_flow.project.write_project", refused)
    run = RunDirectory(exported_run(tmp_path))
    found = observe(run, "run", "run", Asked(faults=0, workers=1))
    assert (found.simulated.kind, found.run.csim) == ("refused", "refused")
    assert {(item.layer, item.role) for item in found.run.types} >= {("fc1", "weight_t"), ("act1", "result_t")}


def test_runs_are_checked_by_folder_or_by_name_and_only_these(
    observation: Observation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[Path] = []

    def known(run: RunDirectory, *_: Any) -> Observation:
        measured.append(run.path)
        return observation

    monkeypatch.setattr(checking, "observe", known)
    monkeypatch.setattr(checking, "existing_run", RunDirectory)
    names = ("one", "two", "three")
    runs = tuple(msgspec.structs.replace(observation.run, name=name, path=f"runs/{name}") for name in names)
    for name in names:
        (tmp_path / "runs" / name).mkdir(parents=True)
    save_baseline(Baseline(runs=runs), tmp_path / "b.json")
    record = check_baseline(tmp_path / "b.json", [tmp_path / "runs" / "one", Path("three")])
    assert {gate.run for gate in record.gates} == {"one", "three"}
    assert measured == [tmp_path / "runs" / "one", tmp_path / "runs" / "three"]


def test_a_run_trained_anew_elsewhere_is_compared_with_the_locked_one_of_its_name(
    observation: Observation, tmp_path: Path, no_csim: None
) -> None:
    few = msgspec.structs.replace(observation.run.faults, faults=5)
    locked = msgspec.structs.replace(observation.run, path="gone/run", faults=few)
    save_baseline(Baseline(runs=(locked,)), tmp_path / "b.json")
    run = exported_run(tmp_path / "elsewhere", one_weight)
    record = check_baseline(tmp_path / "b.json", [run])
    assert "1 of 20 weight words of fc1.weight changed, first [7]: -2 → -1" in record.headline
    assert load_baseline(tmp_path / "b.json").runs[0].path == "gone/run"


@pytest.mark.parametrize("field", ["metric", "damage", "resources", "latency"])
def test_a_tolerance_below_zero_is_refused(tmp_path: Path, field: str) -> None:
    with pytest.raises(UsageError, match=f"--{field.removesuffix('s')}-tolerance"):
        check_baseline(tmp_path / "b.json", tolerances=Tolerances(**{field: -0.1}))


# How much is judged.


@pytest.mark.parametrize(("text", "wanted"), [(None, None), ("all", "all"), ("none", 0), ("12", 12)])
def test_faults_are_a_number_all_or_none(text: str | None, wanted: object) -> None:
    assert parse_faults(text) == wanted


@pytest.mark.parametrize("text", ["", "0", "-3", "some", "1.5"])
def test_other_faults_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--faults"):
        parse_faults(text)


@pytest.mark.parametrize(("work", "faults"), [(EXHAUSTIVE_WORK, 192), (192 * 40 * 36 - 1, 100)])
def test_every_bit_is_flipped_where_that_is_affordable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: int, faults: int
) -> None:
    monkeypatch.setattr("edgeval.regression.damage.EXHAUSTIVE_WORK", work)
    monkeypatch.setattr("edgeval.regression.damage.SAMPLED_FAULTS", 100)
    assert chosen_faults(RunDirectory(exported_run(tmp_path)), None) == faults


# Golden samples.


def test_golden_samples_are_the_corners_and_four_of_the_evaluation_set() -> None:
    recipe = Mlp(widths=(5, 4, 4), input_signed=True)
    graph = recipe.graph()
    samples = golden_samples(graph, graph.quantize_inputs(recipe.inputs(40)))
    assert [sample.fill for sample in samples[:5]] == [-16, 15, 0, 1, -1]
    assert [sample.origin for sample in samples[5:]] == [
        f"sample {row} of the evaluation set" for row in (0, 13, 26, 39)
    ]
    assert samples == golden_outputs(graph, samples)
    assert all(len(sample.output) == 4 for sample in samples)


def test_of_large_inputs_only_the_corners_are_kept() -> None:
    recipe = Mlp(widths=(GOLDEN_WORDS + 1, 2))
    graph = recipe.graph()
    samples = golden_samples(graph, graph.quantize_inputs(recipe.inputs(3)))
    assert [sample.fill for sample in samples] == [0, 31, 1]


def test_golden_inputs_of_another_format_are_none_of_this_network() -> None:
    wide, narrow = Mlp(widths=(5, 3), input_bits=6).graph(), Mlp(widths=(5, 3), input_bits=4).graph()
    samples = golden_samples(wide, np.zeros((2, 5), np.int64))
    assert golden_inputs(wide, samples) is not None
    assert golden_inputs(narrow, samples) is None
    assert golden_outputs(narrow, samples) == ()
