"""Which exporter is taken, what the execution of its graph has to show, and what happens to names and one-bit words."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from edgeval import module_export
from edgeval.exported_graph import Quantizer, tidy
from edgeval.module_export import EXPORTERS, Exporter, compare_outputs, export_module, module_outputs, parts
from edgeval.own_model import ModuleSource, load_module
from edgeval.witness import execute_qonnx
from hls.errors import InputError, LoweringError
from hls.lowering import lower

FACTORIES = "support.own_modules"
SAMPLES = 200
INPUTS = np.random.default_rng(0).uniform(0.0, 1.0, (SAMPLES, 8)).astype(np.float32)


def made(name: str, **arguments: Any) -> Any:
    return load_module(ModuleSource(factory=f"{FACTORIES}:{name}", arguments=arguments))


def test_a_nested_module_has_one_name_whoever_exports_it() -> None:
    names = [[node.name for node in export_module(made("nested"), INPUTS, "n", e).model.graph.node] for e in EXPORTERS]
    assert names[0] == names[1]
    assert "/net/1/0/Gemm" in names[0]


# Which exporter.


def test_an_exporter_that_fails_is_passed_over_and_the_reason_kept() -> None:
    exported = export_module(made("NeedsQuantTensors"), INPUTS, "n")
    assert exported.exporter == "torchscript"
    assert exported.passed_over.startswith("dynamo: the export failed: AssertionError (own_modules.py, line")


def wrong_in(samples: int, calls: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the given calls of the execution be wrong in some samples."""
    count = 0

    def execute(model: onnx.ModelProto, inputs: np.ndarray) -> np.ndarray:
        nonlocal count
        outputs = execute_qonnx(model, inputs)
        if count in calls:
            outputs[:samples] += 0.5
        count += 1
        return outputs

    monkeypatch.setattr(module_export, "execute_qonnx", execute)
    # Neither is what a fault in the execution is about, and dynamo takes its time.
    monkeypatch.setattr(module_export, "EXPORTERS", ("torchscript", "torchscript"))


def test_a_graph_that_does_something_else_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong_in(1, {0}, monkeypatch)
    exported = export_module(made("plain"), INPUTS, "n")
    assert exported.agreement.exact
    assert "1 of 200 samples differ from the module, by up to 0.5" in exported.passed_over


def test_one_sample_in_a_hundred_may_sit_at_a_rounding_boundary(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong_in(2, {0, 1}, monkeypatch)
    exported = export_module(made("plain"), INPUTS, "n")
    assert exported.agreement.differing == 2
    assert any("2 of 200 samples differ" in note for note in exported.notes)


def test_more_than_that_is_refused_with_both_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong_in(3, {0, 1}, monkeypatch)
    with pytest.raises(InputError) as refused:
        export_module(made("plain"), INPUTS, "n")
    assert refused.value.found.count("3 of 200 samples differ from the module, by up to 0.5") == 2


def test_a_graph_without_integer_meaning_is_refused_by_layer_not_by_exporter() -> None:
    with pytest.raises(LoweringError, match="Sin"):
        export_module(made("FloatTail"), INPUTS, "n", "torchscript")


def test_equal_outputs_for_all_samples_are_noted() -> None:
    exported = export_module(made("plain"), np.repeat(INPUTS[:1], 20, axis=0), "n", "torchscript")
    assert any("proves little" in note for note in exported.notes)


def test_the_module_is_left_as_it_was() -> None:
    module = made("plain")
    before = module_outputs(module, INPUTS)
    export_module(module, INPUTS, "n", "torchscript")
    assert np.array_equal(module_outputs(module, INPUTS), before)


@pytest.mark.parametrize(
    ("error", "differing"), [(0.0, 0), (0.9e-5, 0), (1.1e-5, 1), (float("nan"), 1), (float("inf"), 1)]
)
def test_the_tolerance_is_a_hundred_thousandth_of_the_range(error: float, differing: int) -> None:
    expected = np.array([[0.0, 0.5], [1.0, 0.25]])
    executed = expected + np.array([[0.0, error], [0.0, 0.0]])
    assert compare_outputs(expected, executed).differing == differing


def test_outputs_that_hardly_vary_are_given_float32_rounding() -> None:
    expected = np.full((4, 1), 1000.0)
    assert compare_outputs(expected, expected + 1e-4).exact
    assert not compare_outputs(expected, expected + 1e-3).exact


# One bit.


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_one_bit_quantizers_of_a_module_called_twice_are_put_back(exporter: Exporter) -> None:
    exported = export_module(made("Mlp", bits=1, input_bits=1, steps=1), INPUTS, "n", exporter)
    assert exported.agreement.exact
    assert [note.split(":")[0] for note in exported.notes] == ["input_quant.act_quant", "act1.act_quant"]
    graph = lower(exported.model)
    assert [v.format.width_bits for n, v in graph.values.items() if v.format and "act1" in n] == [1, 1]


def test_a_one_bit_quantizer_is_found_where_torchscript_leaves_out_a_module() -> None:
    exported = export_module(made("OneBitPassedThrough"), INPUTS, "n", "torchscript")
    assert exported.agreement.exact
    assert "/mlp/fc1/Gemm" in {node.name for node in exported.model.graph.node}


def test_a_one_bit_quantizer_that_is_not_put_back_is_caught_by_the_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_export, "parts", lambda module: {})
    with pytest.raises(InputError, match="samples differ from the module"):
        export_module(made("Mlp", bits=1), INPUTS, "n", "torchscript")


def bipolar_graph(name: str) -> onnx.ModelProto:
    node = helper.make_node("BipolarQuant", ["x.1", "scale"], ["7"], name=name, domain="qonnx.custom_op.general")
    value = helper.make_tensor_value_info
    constant = helper.make_tensor("scale", onnx.TensorProto.FLOAT, [], [1.0])
    info = [value(tensor, onnx.TensorProto.FLOAT, [1, 2]) for tensor in ("x.1", "7")]
    return helper.make_model(helper.make_graph([node], "g", info[:1], info[1:], [constant]))


@pytest.mark.parametrize(
    ("integer", "signed", "operator"), [(True, False, "Quant"), (True, True, "Quant"), (False, True, "BipolarQuant")]
)
def test_only_integer_quantizers_are_put_back(*, integer: bool, signed: bool, operator: str) -> None:
    quantizer = Quantizer(integer=integer, signed=signed, narrow=False, rounding="ROUND")
    model = bipolar_graph("/net/net.0/act_quant/export_handler_1/BipolarQuant")
    mended = tidy(model, "n", {"net.0.act_quant": quantizer}, set())
    (node,) = model.graph.node
    assert (node.op_type, node.name) == (operator, f"/net/0/act_quant/{operator}")
    assert len(mended) == (operator == "Quant")
    found = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    assert found.get("signed") == (int(signed) if integer else None)


def test_a_bipolar_quantizer_of_brevitas_is_no_integer_one() -> None:
    assert [item.integer for item in parts(made("bipolar")).values() if item] == [False, True]


# Modules that cannot be exported.


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("BatchBranch", "outputs that depend on the batch"),
        ("TwoOutputs", "an output of type tuple"),
        ("NotFinite", "outputs that are not finite"),
    ],
)
def test_a_module_that_is_no_function_of_one_sample_is_refused(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        export_module(made(name), INPUTS, "n", "torchscript")


def test_inputs_of_another_shape_are_refused_with_both_shapes() -> None:
    with pytest.raises(InputError, match=r"RuntimeError: .*\[200, 7\]"):
        export_module(made("plain"), INPUTS[:, :7], "n")
