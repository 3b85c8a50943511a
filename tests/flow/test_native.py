"""The native flow: hls4ml's own road, judged by the same words; existing projects; the command line."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from support.native_runs import INPUTS, Perceptron, grid_inputs, image_model, judged, native_run

from edgeval.cli import run as edgeval
from edgeval.native import open_case
from edgeval.pipeline import export_record
from edgeval.run_directory import RunDirectory
from hls.csim.native import traced_source
from hls.errors import ToolError, UsageError
from hls.hls4ml_flow.native import load_config
from hls.hls4ml_flow.native_project import read_project
from hls.hls4ml_flow.native_types import ApType, parse_type

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = [pytest.mark.gxx, pytest.mark.slow]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Power-of-two scales, a quantized bias, inputs on the grid of the input port: the happy path."""
    return native_run(tmp_path_factory.mktemp("plain"), Perceptron().model(), grid_inputs((INPUTS,)))


def test_power_of_two_network_matches(plain: RunDirectory) -> None:
    record = judged(plain)
    assert (record.verdict, record.flow, record.diagnosis) == ("match", "native", None)
    assert [layer.value for layer in record.layers] == ["input_quant", "fc1", "act1", "fc2"]
    assert record.words == 60 * (8 + 6 + 6 + 4)
    assert all(layer.distinct > 1 for layer in record.layers)


def test_export_record_says_whose_project_it_is(plain: RunDirectory) -> None:
    record = export_record(plain)
    assert (record.flow, record.project) == ("native", "native")
    assert not plain.project.exists()


def test_image_matches_layer_by_layer(tmp_path: Path) -> None:
    record = judged(native_run(tmp_path, image_model(), grid_inputs((2, 4, 4), samples=20)))
    assert record.verdict == "match"
    assert {"conv", "act1", "flat_quant", "fc"} <= {layer.value for layer in record.layers}


def test_existing_project_is_judged_as_it_is(plain: RunDirectory, tmp_path: Path) -> None:
    project = tmp_path / "theirs"
    shutil.copytree(plain.native, project)
    for name in ("edgeval_native.json", "prepared.onnx", "conversion.log"):
        (project / name).unlink()
    run = native_run(tmp_path / "run", Perceptron().model(), grid_inputs((INPUTS,)), project=project)
    record = judged(run, samples=10)
    assert (record.verdict, record.flow) == ("match", "project")


def test_project_of_another_network_differs_by_its_weights(plain: RunDirectory, tmp_path: Path) -> None:
    run = native_run(tmp_path, Perceptron(seed=5).model(), grid_inputs((INPUTS,)), project=plain.native)
    record = judged(run, samples=10)
    assert record.verdict == "differ"
    assert record.diagnosis is not None
    assert (record.diagnosis.cause, record.diagnosis.layer) == ("corrupted-weights", "fc1")
    assert record.compiler == "nothing was compiled"


def test_trace_calls_are_added_once(plain: RunDirectory) -> None:
    project = read_project(plain.native)
    assert traced_source(project).count("save_layer_output") == len(project.layers) == 4
    assert "save_layer_output" not in project.source


def test_layers_are_aligned_with_their_last_fused_tensor(plain: RunDirectory) -> None:
    case = open_case(plain.native, plain.network(), None)
    assert {item.layer.name: item.tensor for item in case.aligned} == {
        "Quant_0_act": "Quant_0_out0",
        "Dense_MatMul_0": "Add_0_out0",
        "Relu_0": "Quant_4_out0",
        "Dense_MatMul_1": "global_out",
    }


def test_command_line_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(Perceptron().model(), tmp_path / "model.onnx")
    np.savez(tmp_path / "x.npz", inputs=grid_inputs((INPUTS,), samples=20))
    (tmp_path / "narrow.yml").write_text("LayerName: {MatMul_0: {Precision: {accum: 'fixed<10,2>'}}}")
    run = tmp_path / "run"
    options = ["--flow", "native", "--config", str(tmp_path / "narrow.yml"), "--inputs", str(tmp_path / "x.npz")]
    assert edgeval(["export", str(tmp_path / "model.onnx"), "-o", str(run), *options]) == 0
    capsys.readouterr()
    assert edgeval(["csim-compare", str(run)]) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("DIFFER ")
    assert "cause: narrow-accumulator: sums of Dense_MatMul_0 overflow its accumulator, ap_fixed<10,2>" in printed
    assert "remedy (verified by running it): widen the accumulator" in printed
    assert "smallest failing input: " in printed


def test_example_finds_what_it_built_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = importlib.util.spec_from_file_location("why_it_differs", EXAMPLES / "why_it_differs.py")
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    assert example.main(tmp_path) == 0
    assert "remedy, verified: widen the accumulator" in capsys.readouterr().out


def test_poke_is_refused(plain: RunDirectory) -> None:
    assert edgeval(["csim-compare", str(plain.path), "--poke", "fc1.weight:0:0"]) == 2


def test_what_hls4ml_cannot_take_is_refused_in_its_words(tmp_path: Path) -> None:
    config = {"LayerName": {"MatMul_0": {"Precision": {"accum": "no type"}}}}
    with pytest.raises(ToolError, match="--flow native"):
        native_run(tmp_path, Perceptron().model(), grid_inputs((INPUTS,)), config)


def test_unknown_section_of_a_configuration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text("Layers: {}")
    with pytest.raises(UsageError, match="top-level Layers"):
        load_config(tmp_path / "config.yml")


def test_project_with_a_configuration_is_refused(tmp_path: Path) -> None:
    options = ["--project", str(tmp_path), "--default-precision", "fixed<16,6>", "--flow", "native"]
    assert edgeval(["export", str(tmp_path), *options]) == 2


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("ap_fixed<6,2>", 1.99, 1.9375),
        ("ap_fixed<6,2>", 2.0, -2.0),
        ("ap_fixed<6,2,AP_RND_CONV,AP_SAT,0>", 2.5, 1.9375),
        ("ap_fixed<6,2,AP_RND_CONV,AP_SAT_SYM,0>", -3.0, -1.9375),
        ("ap_ufixed<6,3,AP_RND_CONV,AP_SAT,0>", 0.0625, 0.0),
        ("ap_ufixed<6,3,AP_RND,AP_SAT,0>", 0.0625, 0.125),
        ("ap_fixed<8,8,AP_TRN_ZERO>", -1.5, -1.0),
        ("ap_uint<3>", 9.0, 1.0),
        ("nnet::array<ap_fixed<6,2>, 4*1>", 2.0, -2.0),
    ],
)
def test_types_do_what_the_vendor_says(text: str, value: float, expected: float) -> None:
    kind = parse_type(text)
    assert isinstance(kind, ApType)
    assert float(kind.assigned(np.array(value))) == expected
