"""Every cause provoked, found, and its remedy tried; each would be another one's answer if evidence did not tell."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.markdown import DOCS, table
from support.native_runs import INPUTS, Perceptron, binary_model, grid_inputs, image_model, judged, native_run

from edgeval.diagnosis.causes import CAUSES
from edgeval.diagnosis.reduction import smallest_input
from edgeval.records import CompareRecord, Diagnosis

pytestmark = [pytest.mark.gxx, pytest.mark.slow]


def _diagnosis(record: CompareRecord) -> Diagnosis:
    assert record.verdict == "differ"
    assert record.diagnosis is not None
    assert record.diagnosis.cause in CAUSES
    return record.diagnosis


def _layer(name: str, **precision: str) -> dict[str, Any]:
    return {"LayerName": {name: {"Precision": precision}}}


def _edited(folder: Path, old: str, new: str, recipe: Perceptron) -> CompareRecord:
    """The comparison of a project whose defines.h somebody changed by hand."""
    inputs = grid_inputs((INPUTS,))
    source = native_run(folder / "source", recipe.model(), inputs)
    project = folder / "project"
    shutil.copytree(source.native, project)
    defines = project / "firmware" / "defines.h"
    text = defines.read_text(encoding="utf-8")
    assert text.count(old) == 1
    defines.write_text(text.replace(old, new), encoding="utf-8")
    return judged(native_run(folder / "run", recipe.model(), inputs, project=project))


def test_float_bias(tmp_path: Path) -> None:
    inputs = np.round(grid_inputs((INPUTS,)) * 16) / 16
    run = native_run(tmp_path, Perceptron(float_bias=True).model(), inputs, default_precision="fixed<14,10>")
    diagnosis = _diagnosis(judged(run))
    assert (diagnosis.cause, diagnosis.layer) == ("float-bias", "act1")
    assert "ap_fixed<14,10>" in diagnosis.explanation
    assert diagnosis.remedy_verified
    assert "quantize the bias" in diagnosis.remedy


@pytest.mark.parametrize(
    ("accumulator", "verb"),
    [("fixed<10,2>", "overflow"), pytest.param("fixed<12,7>", "lose digits", marks=pytest.mark.long)],
)
def test_narrow_accumulator(tmp_path: Path, accumulator: str, verb: str) -> None:
    run = native_run(tmp_path, Perceptron().model(), grid_inputs((INPUTS,)), _layer("MatMul_0", accum=accumulator))
    diagnosis = _diagnosis(judged(run))
    assert (diagnosis.cause, diagnosis.layer, diagnosis.hls_layer) == ("narrow-accumulator", "fc1", "Dense_MatMul_0")
    assert verb in diagnosis.explanation
    assert diagnosis.remedy_verified
    assert "MatMul_0: Precision: {accum: 'fixed<14,6>'}" in diagnosis.remedy


@pytest.mark.long
def test_smallest_input_is_smaller_and_fails_alone(tmp_path: Path) -> None:
    inputs = grid_inputs((INPUTS,))
    config = _layer("MatMul_0", accum="fixed<10,2>")
    diagnosis = _diagnosis(judged(native_run(tmp_path / "all", Perceptron().model(), inputs, config)))
    small = np.array(diagnosis.smallest_input)
    assert 0 < np.count_nonzero(small) < INPUTS
    alone = judged(native_run(tmp_path / "one", Perceptron().model(), small[None].astype(np.float32), config))
    assert _diagnosis(alone).cause == "narrow-accumulator"


@pytest.mark.long
def test_overflow_mode(tmp_path: Path) -> None:
    recipe = Perceptron(activation_scale=2.0**-5)
    record = _edited(tmp_path, "ap_ufixed<6,1,AP_RND_CONV,AP_SAT,0>", "ap_ufixed<6,1,AP_RND_CONV,AP_WRAP,0>", recipe)
    diagnosis = _diagnosis(record)
    assert (diagnosis.cause, diagnosis.layer, diagnosis.remedy_verified) == ("overflow-mode", "act1", True)
    assert "= ap_ufixed<6,1,AP_RND_CONV,AP_SAT>" in diagnosis.remedy


def test_rounding_mode(tmp_path: Path) -> None:
    recipe = Perceptron(activation_scale=2.0**-5)
    record = _edited(tmp_path, "ap_ufixed<6,1,AP_RND_CONV,AP_SAT,0>", "ap_ufixed<6,1,AP_TRN,AP_SAT,0>", recipe)
    diagnosis = _diagnosis(record)
    assert (diagnosis.cause, diagnosis.layer, diagnosis.remedy_verified) == ("rounding-mode", "act1", True)


@pytest.mark.long
def test_result_type(tmp_path: Path) -> None:
    run = native_run(tmp_path, Perceptron().model(), grid_inputs((INPUTS,)), _layer("Relu_0", result="ufixed<6,3>"))
    diagnosis = _diagnosis(judged(run))
    assert (diagnosis.cause, diagnosis.remedy_verified) == ("result-type", True)
    assert "Relu_0: Precision: {result: 'fixed<14,6>'}" in diagnosis.remedy


def test_scale_that_is_no_power_of_two(tmp_path: Path) -> None:
    run = native_run(tmp_path, Perceptron(activation_scale=0.1).model(), grid_inputs((INPUTS,)))
    diagnosis = _diagnosis(judged(run))
    assert (diagnosis.cause, diagnosis.remedy_verified) == ("scale-not-power-of-two", True)
    assert "--flow exact" in diagnosis.remedy


@pytest.mark.long
def test_sigmoid_table(tmp_path: Path) -> None:
    run = native_run(
        tmp_path, Perceptron(activation="Sigmoid", activation_scale=2.0**-6).model(), grid_inputs((INPUTS,))
    )
    diagnosis = _diagnosis(judged(run))
    assert (diagnosis.cause, diagnosis.layer, diagnosis.remedy_verified) == ("table", "act1", True)


@pytest.mark.long
def test_softmax_table(tmp_path: Path) -> None:
    run = native_run(tmp_path, Perceptron(softmax=True).model(), grid_inputs((INPUTS,)))
    diagnosis = _diagnosis(judged(run))
    assert (diagnosis.cause, diagnosis.hls_layer, diagnosis.remedy_verified) == ("table", "Softmax_0", True)
    assert "samples keep their largest output" in diagnosis.explanation


def test_layout_of_a_flattened_stream(tmp_path: Path) -> None:
    run = native_run(tmp_path, image_model(), grid_inputs((2, 4, 4), samples=20), io_type="io_stream")
    diagnosis = _diagnosis(judged(run))
    assert (diagnosis.cause, diagnosis.layer, diagnosis.remedy_verified) == ("layout", "flat_quant", True)
    assert diagnosis.remedy == "export with --io-type io_parallel"


def _edited_image(folder: Path, edit: Callable[[str], str]) -> Diagnosis:
    """The diagnosis of an image's project whose top function somebody changed by hand."""
    model, inputs = image_model(), grid_inputs((2, 4, 4), samples=20)
    project = folder / "project"
    shutil.copytree(native_run(folder / "source", model, inputs).native, project)
    code = project / "firmware" / "native_network.cpp"
    text = code.read_text(encoding="utf-8")
    changed = edit(text)
    assert changed != text
    code.write_text(changed, encoding="utf-8")
    return _diagnosis(judged(native_run(folder / "run", model, inputs, project=project)))


@pytest.mark.long
def test_layout_of_a_project_without_its_transpose(tmp_path: Path) -> None:
    def edit(text: str) -> str:
        call = re.search(r"nnet::transpose<(\w+), (\w+), \w+>\((\w+), (\w+)\); // Transpose_1", text)
        assert call is not None
        text = text.replace(call[0], "").replace(f"= {call[4]};", f"= {call[3]};")
        return text.replace(f"<{call[2]},", f"<{call[1]},")

    diagnosis = _edited_image(tmp_path, edit)
    assert (diagnosis.cause, diagnosis.layer, diagnosis.remedy_verified) == ("layout", "flat_quant", True)
    assert "in another order" in diagnosis.evidence


@pytest.mark.long
def test_layout_of_a_sum_over_transposed_inputs(tmp_path: Path) -> None:
    def edit(text: str) -> str:
        transpose = re.search(r"nnet::transpose<\w+, \w+, (\w+)>\(\w+, \w+\); // Transpose_1", text)
        dense = re.search(r"nnet::dense<(\w+), \w+, \w+>\((\w+),", text)
        assert transpose is not None
        assert dense is not None
        kind, source = dense[1], dense[2]
        shuffle = (
            f"{kind} shuffled[12];\n"
            f"    nnet::transpose<{kind}, {kind}, {transpose[1]}>({source}, shuffled); // Shuffle\n    "
        )
        return text.replace(dense[0], shuffle + dense[0].replace(f"({source},", "(shuffled,"))

    diagnosis = _edited_image(tmp_path, edit)
    assert (diagnosis.cause, diagnosis.layer, diagnosis.remedy_verified) == ("layout", "fc", True)
    assert re.search(r"inputs of the sum in the order \[\d, \d, \d\]", diagnosis.evidence)


@pytest.mark.long
def test_narrow_accumulator_of_a_convolution(tmp_path: Path) -> None:
    config = _layer("Conv_0", accum="fixed<10,2>")
    run = native_run(tmp_path, image_model(), grid_inputs((2, 4, 4), samples=20), config)
    diagnosis = _diagnosis(judged(run))
    assert (diagnosis.cause, diagnosis.layer, diagnosis.remedy_verified) == ("narrow-accumulator", "conv", True)


def test_inputs_beyond_the_port(tmp_path: Path) -> None:
    run = native_run(tmp_path, Perceptron().model(), grid_inputs((INPUTS,), span=40.0))
    diagnosis = _diagnosis(judged(run))
    assert (diagnosis.cause, diagnosis.layer, diagnosis.remedy_verified) == ("input-range", "input_quant", True)
    assert np.count_nonzero(diagnosis.smallest_input) == 1
    assert "global_in: Precision: {result: 'fixed<" in diagnosis.remedy


@pytest.mark.long
def test_inputs_between_the_ports_steps(tmp_path: Path) -> None:
    inputs = np.random.default_rng(1).uniform(-1.9, 1.9, (200, INPUTS)).astype(np.float32)
    run = native_run(tmp_path, Perceptron().model(), inputs)
    diagnosis = _diagnosis(judged(run))
    assert (diagnosis.cause, diagnosis.layer, diagnosis.remedy_verified) == ("input-grid", "input_quant", True)


def test_binary_weights_written_as_ones(tmp_path: Path) -> None:
    record = judged(native_run(tmp_path, binary_model(), grid_inputs((INPUTS,))))
    diagnosis = _diagnosis(record)
    assert (diagnosis.cause, diagnosis.layer, diagnosis.remedy_verified) == ("corrupted-weights", "fc2", True)
    assert len(record.audit) == 1
    assert record.compiler == "nothing was compiled"


def test_every_cause_is_documented() -> None:
    rows = table(DOCS / "diagnosis.md", "cause", "what happens", "how it is known", "what is tried")
    assert {row["cause"]: row["what happens"] for row in rows} == dict(CAUSES)


def test_reduction_finds_the_one_input_that_matters() -> None:
    sample = np.arange(1.0, 65.0)
    asked = []

    def fails(candidates: np.ndarray) -> np.ndarray:
        asked.append(len(candidates))
        return candidates[:, 41] != 0

    small = smallest_input(sample, fails)
    assert np.flatnonzero(small).tolist() == [41]
    assert small[41] == sample[41]
    assert sum(asked) < 64


def test_reduction_may_end_at_zero() -> None:
    assert not smallest_input(np.ones((2, 3)), lambda candidates: np.ones(len(candidates), bool)).any()
