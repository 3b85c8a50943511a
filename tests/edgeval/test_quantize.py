from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper

from edgeval.quantize import (
    SMALLEST_RANGE,
    Recipe,
    bias_words,
    float_mlp,
    mend_one_bit_input,
    narrowest_bias_bits,
    quantized_mlp,
)
from edgeval.targets import InputFormat
from hls.errors import UsageError

PIXEL = InputFormat(width_bits=5, signed=False, scale_log2=-4)
BIT = InputFormat(width_bits=1, signed=False, scale_log2=0)
FORMATS = [PIXEL, BIT, InputFormat(width_bits=7, signed=True, scale_log2=2)]
WIDTHS = (16, 8, 3)
RECIPES = [
    Recipe(weight_bits=bits, activation_bits=bits, scales=scales, per_channel=per_channel)
    for bits in (3, 4, 6, 8)
    for scales in ("po2", "float")
    for per_channel in (False, True)
]


def all_words(input_format: InputFormat) -> torch.Tensor:
    """Real values of every input word, shape (words, 16)."""
    words = np.arange(input_format.minimum, input_format.maximum + 1)
    return torch.from_numpy(np.tile(words[:, None] * input_format.scale, (1, WIDTHS[0])).astype(np.float32))


def calibrated(recipe: Recipe, input_format: InputFormat = PIXEL) -> Any:
    model = quantized_mlp(WIDTHS, input_format, recipe, seed=1)
    with torch.no_grad():
        model.train()(all_words(input_format))
        model(all_words(input_format))
    return model.eval()


def exported(model: Any, input_format: InputFormat, path: Path) -> onnx.ModelProto:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "brevitas.fx is deprecated", DeprecationWarning)
        warnings.filterwarnings("ignore", "fast_hadamard_transform package not found", UserWarning)
        from brevitas.export import export_qonnx
    export_qonnx(model, args=torch.zeros(1, WIDTHS[0]), export_path=str(path), dynamo=False, opset_version=13)
    graph = onnx.load(path)
    mend_one_bit_input(graph, input_format)
    return graph


def constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return found


def quantizers(model: onnx.ModelProto) -> dict[str, list[np.ndarray]]:
    """Scale, zero point and bit width by the name of the quantized tensor."""
    known = constants(model)
    return {
        node.output[0]: [known[name] for name in node.input[1:]] for node in model.graph.node if node.op_type == "Quant"
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"weight_bits": 1},
        {"weight_bits": 17},
        {"activation_bits": 0},
        {"bias_bits": 1},
        {"sparsity": 1.0},
        {"sparsity": -0.1},
        {"sparsity": float("nan")},
    ],
)
def test_a_recipe_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong)).replace("_", " ")):
        Recipe(**wrong)


@pytest.mark.parametrize("wrong", [{"scales": "any"}, {"prune": "all"}])
def test_a_choice_that_does_not_exist_is_refused(wrong: dict[str, Any]) -> None:
    # Under --jaxtyping-packages the type checker is first to refuse it.
    with pytest.raises((UsageError, TypeError), match=next(iter(wrong))):
        Recipe(**wrong)


def test_a_network_needs_two_layers() -> None:
    with pytest.raises(UsageError, match="at least two layers"):
        float_mlp((3,), dropout=0.0, seed=0)


@pytest.mark.parametrize("input_format", FORMATS)
def test_the_input_quantizer_is_the_sensors_word(input_format: InputFormat) -> None:
    words = calibrated(Recipe(), input_format).input_quant(all_words(input_format))
    assert torch.equal(words.value, all_words(input_format))
    assert (float(words.scale), int(words.bit_width), bool(words.signed)) == (
        input_format.scale,
        input_format.width_bits,
        input_format.signed,
    )


def test_the_same_seed_gives_the_same_weights_and_leaves_torch_alone() -> None:
    state = torch.random.get_rng_state()
    first, again, other = (quantized_mlp(WIDTHS, PIXEL, Recipe(), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.fc1.weight, again.fc1.weight)
    assert not torch.equal(first.fc1.weight, other.fc1.weight)
    assert torch.equal(float_mlp(WIDTHS, dropout=0.1, seed=1).fc2.bias, float_mlp(WIDTHS, dropout=0.1, seed=1).fc2.bias)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("recipe", RECIPES)
def test_weights_are_words_of_the_asked_width(recipe: Recipe) -> None:
    words = calibrated(recipe).fc1.quant_weight().int()
    assert int(words.abs().max()) <= 2 ** (recipe.weight_bits - 1) - 1


@pytest.mark.parametrize("scales", ["po2", "float"])
def test_per_channel_gives_each_neuron_its_scale(scales: Any) -> None:
    model = calibrated(Recipe(scales=scales, per_channel=True))
    assert model.fc1.quant_weight().scale.numel() == WIDTHS[1]
    assert calibrated(Recipe(scales=scales)).fc1.quant_weight().scale.numel() == 1


@pytest.mark.parametrize("scales", ["po2", "float"])
def test_a_neuron_without_weights_keeps_its_bias(scales: Any) -> None:
    model = calibrated(Recipe(scales=scales, per_channel=True))
    with torch.no_grad():
        model.fc2.weight[1] = 0.0
        model.fc2.bias[1] = 0.75
        assert model(all_words(PIXEL))[0, 1] == pytest.approx(0.75, abs=0.01)
    assert float(model.fc2.quant_weight().scale.detach().min()) >= SMALLEST_RANGE / 2**5


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1))
def test_the_narrowest_bias_width_holds_every_word_and_one_bit_less_does_not(words: list[int]) -> None:
    bits = narrowest_bias_bits([np.array(words)])
    assert all(-(2 ** (bits - 1)) <= word < 2 ** (bits - 1) for word in words)
    assert bits == 2 or any(not -(2 ** (bits - 2)) <= word < 2 ** (bits - 2) for word in words)


@pytest.mark.parametrize("recipe", RECIPES)
def test_bias_words_are_those_of_the_bias_quantizer(recipe: Recipe) -> None:
    model = calibrated(recipe)
    values = model.input_quant(all_words(PIXEL))
    first = model.fc1.bias_quant(model.fc1.bias, values, model.fc1.quant_weight()).int()
    assert bias_words(model)[0].tolist() == first.tolist()


@pytest.mark.parametrize("input_format", FORMATS)
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_export_holds_constant_quantizers_with_biases_at_the_accumulators_scale(
    recipe: Recipe, input_format: InputFormat, tmp_path: Path
) -> None:
    model = exported(calibrated(recipe, input_format), input_format, tmp_path / "model.onnx")
    found = quantizers(model)
    assert len(found) == 1 + 2 * 2 + 1
    producers = {name: node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        if node.op_type == "Gemm":
            source, weight, bias = (found[name][0].ravel() for name in node.input)
            assert np.array_equal(bias, source * weight)
    assert "Gemm" in {node.op_type for node in model.graph.node}
    assert producers[model.graph.output[0].name].op_type == "Gemm"
    if recipe.scales == "po2":
        for scale, _, _ in found.values():
            mantissas, _ = np.frexp(scale)
            assert np.all(mantissas == 0.5)


def test_one_bit_inputs_are_zero_and_one_in_the_export(tmp_path: Path) -> None:
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    torch_model = calibrated(Recipe(), BIT)
    wrapper = ModelWrapper(exported(torch_model, BIT, tmp_path / "model.onnx")).transform(InferShapes())
    for inputs in all_words(BIT)[:, None, :]:
        given = {wrapper.graph.input[0].name: inputs.numpy()}
        found = execute_onnx(wrapper, given)[wrapper.graph.output[0].name]
        assert np.array_equal(found, torch_model(inputs).detach().numpy())
