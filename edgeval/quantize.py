"""Recipe → network: the float model of an architecture and its Brevitas twin.

The twin has names in data order: ``input_quant``, ``fc1``, ``act1``, ``fc2`` … up to the last ``fc``; with images
``conv1``, ``norm1``, ``act1``, ``pool1`` … ``flatten``, ``fc1``. Every stored number of it is a word: inputs, weights,
biases and hidden activations; only the scale and shift of a batch norm, which is kept beside its layer, are real. It
has no output quantizer: the outputs are the last accumulator, in words as wide as its sum needs, so a regression
answers in the unit of its labels.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Int
from torch import nn

from edgeval.architecture import Architecture, BatchNorm, Conv, Dense, Flatten, MaxPool, Relu, Step, perceptron
from edgeval.targets.protocol import InputFormat
from hls.errors import UsageError

Scales = Literal["po2", "float"]
"""``po2``: every scale is a power of two, a shift in hardware. ``float``: any scale, a multiplier in hardware."""

PruneKind = Literal["magnitude", "structured"]
"""``magnitude``: the smallest weights become zero words. ``structured``: hidden neurons of a perceptron are removed."""

SMALLEST_RANGE = 2.0**-8
"""Least largest magnitude that a scale is made for.

Brevitas' own floor is 1e-10: a channel whose weights are all pruned would get that scale, its bias (in units of input
scale × weight scale) would clip to nothing, and per-channel weights could not be aligned in any sensible width.
"""

WIDEST_BIAS_BITS = 32
"""Width of bias words while their final width is open; hardware has no use for more."""

SCALE_PERCENTILE = 99.9
"""Activation magnitude, in per cent of the calibration samples, that the first activation scale is made for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is quantized and pruned.

    Attributes:
        weight_bits: Bits of a weight word, 2 to 16, two's complement, the most negative word unused.
        activation_bits: Bits of a hidden activation word, 2 to 16, unsigned.
        bias_bits: Bits of every bias word, 2 to 32, at the accumulator's scale. ``None``: open; training uses 32 and
            then the fewest that hold every trained bias, so none ever clips. No fixed width does that: a bias may be
            far larger than what the sum of products can reach (the mean of a regression, a neuron without weights).
        scales: Kind of the weight and activation scales. The input's is a power of two in any case.
        per_channel: One weight scale for each neuron or output channel instead of one for each layer.
        sparsity: ``magnitude``: share of all weights that are zero words, in [0, 1). ``structured``: share of all
            weights that go with the removed neurons, reached as closely as whole neurons allow.
        prune: What is pruned.

    Raises:
        UsageError: a value out of its range.

    Example:
        >>> Recipe(weight_bits=4, sparsity=0.5).scales
        'po2'
    """

    weight_bits: int = 6
    activation_bits: int = 6
    bias_bits: int | None = None
    scales: Scales = "po2"
    per_channel: bool = False
    sparsity: float = 0.0
    prune: PruneKind = "magnitude"

    def __post_init__(self) -> None:
        _check_bits("weight bits", self.weight_bits, 2, 16)
        _check_bits("activation bits", self.activation_bits, 2, 16)
        if self.bias_bits is not None:
            _check_bits("bias bits", self.bias_bits, 2, WIDEST_BIAS_BITS)
        if not 0.0 <= self.sparsity < 1.0:
            raise UsageError(
                found=f"{self.sparsity:g}", allowed="0 up to, not including, 1", where="sparsity", remedy="give a share"
            )
        _check_choice("scales", self.scales, ("po2", "float"))
        _check_choice("prune", self.prune, ("magnitude", "structured"))


def float_network(architecture: Architecture, *, dropout: float, seed: int) -> nn.Sequential:
    """A float network, seeded without touching torch's global generator.

    Args:
        architecture: Its layers.
        dropout: Probability that a hidden activation is dropped while training.
        seed: Seed of the initial weights.

    Returns:
        Layers by their names, e.g. ``fc1``, ``act1``, ``drop1``, ``fc2``, in order.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for step in architecture.steps():
            match step.layer:
                case Dense(width=width):
                    layers[step.name] = nn.Linear(step.input_shape[0], width, bias=step.bias)
                case Conv():
                    layers[step.name] = nn.Conv2d(**_conv_arguments(step.layer, step))
                case Relu():
                    layers[step.name] = nn.ReLU()
                    layers[step.name.replace("act", "drop")] = nn.Dropout(dropout)
                case _:
                    layers[step.name] = _unquantized(step)
    return nn.Sequential(layers)


def quantized_network(
    architecture: Architecture, input_format: InputFormat, recipe: Recipe, *, seed: int
) -> nn.Sequential:
    """The Brevitas twin of ``float_network``, with untrained weights and scales.

    Args:
        architecture: Its layers.
        input_format: Words that the sensor delivers; the input quantizer is exactly that, with no learned scale.
        recipe: Bits and scales. Its sparsity does not matter here.
        seed: Seed of the initial weights.

    Returns:
        A module from real inputs, shape (samples, *input_shape), to real outputs, shape (samples, outputs).
    """
    import brevitas.nn as qnn  # four seconds to import: only who quantizes pays

    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["input_quant"] = qnn.QuantIdentity(act_quant=_input_quantizer(input_format), return_quant_tensor=True)
    activation = _activation_quantizer(recipe)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for step in architecture.steps():
            match step.layer:
                case Dense(width=width):
                    quantizers = _weight_and_bias_quantizers(recipe, step)
                    layers[step.name] = qnn.QuantLinear(step.input_shape[0], width, bias=step.bias, **quantizers)
                case Conv():
                    quantizers = _weight_and_bias_quantizers(recipe, step)
                    layers[step.name] = qnn.QuantConv2d(**_conv_arguments(step.layer, step), **quantizers)
                case Relu():
                    layers[step.name] = qnn.QuantReLU(act_quant=activation, return_quant_tensor=True)
                case _:
                    layers[step.name] = _unquantized(step)
    return nn.Sequential(layers)


def float_mlp(widths: Sequence[int], *, dropout: float, seed: int) -> nn.Sequential:
    """``float_network`` of a perceptron with these widths, inputs first."""
    return float_network(perceptron(widths), dropout=dropout, seed=seed)


def quantized_mlp(widths: Sequence[int], input_format: InputFormat, recipe: Recipe, *, seed: int) -> nn.Sequential:
    """``quantized_network`` of a perceptron with these widths, inputs first."""
    return quantized_network(perceptron(widths), input_format, recipe, seed=seed)


def mend_one_bit_input(exported: Any, input_format: InputFormat) -> None:
    """Put back the input quantizer of one-bit unsigned words that brevitas' QONNX export gets wrong.

    brevitas 0.13.4 writes *every* one-bit quantizer as ``BipolarQuant``, whose values are -1 and +1; the network was
    trained on 0 and 1. Call it on every exported twin; other formats are left as they are.

    Args:
        exported: ``onnx.ModelProto`` of a network from ``quantized_network``; changed in place.
        input_format: The format that ``quantized_network`` was given.
    """
    if input_format.width_bits != 1 or input_format.signed:
        return
    from onnx import helper, numpy_helper

    graph = exported.graph
    source = graph.input[0].name
    node = next(node for node in graph.node if node.input[0] == source)
    assert node.op_type in ("BipolarQuant", "Quant"), f"{node.op_type} reads the network's input"
    if node.op_type == "Quant":  # a brevitas that has mended it
        return
    constants = {"input_quant_zero_point": 0.0, "input_quant_bit_width": 1.0}
    graph.initializer.extend(
        numpy_helper.from_array(np.array(value, dtype=np.float32), name) for name, value in constants.items()
    )
    node.op_type = "Quant"
    node.name = node.name.replace("BipolarQuant", "Quant")
    node.input.extend(constants)
    node.attribute.extend(
        helper.make_attribute(name, value) for name, value in (("signed", 0), ("narrow", 0), ("rounding_mode", "ROUND"))
    )


def bias_words(model: nn.Sequential, input_shape: tuple[int, ...] | None = None) -> list[Int[np.ndarray, " _"]]:
    """Bias words of each layer that has any, at its accumulator's scale, before clipping to the width of the bias.

    Args:
        model: A network from ``quantized_network`` in evaluation mode.
        input_shape: Shape of one sample; ``None``: flat, as many as the first layer takes.
    """
    words = []
    values: Any = torch.zeros(1, *(input_shape or linear_layers(model)[0].weight.shape[1:]))
    with torch.no_grad():
        for module in model:
            if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None:
                layer: Any = module  # brevitas' layers, which ship no types
                scale = values.scale * layer.quant_weight().scale.view(-1)
                words.append(torch.round(layer.bias / scale).numpy().astype(np.int64))
            values = module(values)
    return words


def narrowest_bias_bits(words: Sequence[Int[np.ndarray, " _"]]) -> int:
    """Bits of the narrowest two's-complement word that holds them all, 2 to 32.

    Example:
        >>> narrowest_bias_bits([np.array([-8, 3]), np.array([8])])
        5
    """
    extremes = [int(word) for layer in words for word in (layer.min(), layer.max())]
    return min(WIDEST_BIAS_BITS, max([2, *(1 + (word if word >= 0 else ~word).bit_length() for word in extremes)]))


def linear_layers(model: nn.Sequential) -> list[nn.Linear | nn.Conv2d]:
    """The layers with weights, dense and convolutional, quantized or not, in data order."""
    return [module for module in model if isinstance(module, nn.Linear | nn.Conv2d)]


def norm_layers(model: nn.Sequential) -> list[nn.BatchNorm1d | nn.BatchNorm2d]:
    """The batch norms, in data order."""
    return [module for module in model if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)]


def _conv_arguments(layer: Conv, step: Step) -> dict[str, Any]:
    return {
        "in_channels": step.input_shape[0],
        "out_channels": layer.channels,
        "kernel_size": layer.kernel,
        "stride": layer.stride,
        "padding": layer.padding,
        "bias": step.bias,
    }


def _unquantized(step: Step) -> nn.Module:
    """What is the same layer in both models: it moves words, or scales a sum that no quantizer has seen yet."""
    match step.layer:
        case MaxPool(size=size):
            return nn.MaxPool2d(size)
        case Flatten():
            return nn.Flatten()
        case BatchNorm():
            norm = nn.BatchNorm1d if len(step.output_shape) == 1 else nn.BatchNorm2d
            return norm(step.output_shape[0])
    raise AssertionError(f"{step.name} has another form in each model")


def _weight_and_bias_quantizers(recipe: Recipe, step: Step) -> dict[str, Any]:
    bias = _bias_quantizer(recipe.bias_bits or WIDEST_BIAS_BITS) if step.bias else None
    return {"weight_quant": _weight_quantizer(recipe), "bias_quant": bias}


def _input_quantizer(input_format: InputFormat) -> Any:
    from brevitas.quant import Int8ActPerTensorFixedPoint, Uint8ActPerTensorFixedPoint

    base = Int8ActPerTensorFixedPoint if input_format.signed else Uint8ActPerTensorFixedPoint
    magnitude_bits = input_format.width_bits - int(input_format.signed)
    # Brevitas divides by 2**magnitude_bits to get the scale; a constant, so that training cannot move the sensor.
    return base.let(
        bit_width=input_format.width_bits,
        scaling_impl_type="const",
        scaling_init=2.0 ** (input_format.scale_log2 + magnitude_bits),
        scaling_min_val=None,
    )


def _weight_quantizer(recipe: Recipe) -> Any:
    from brevitas.quant import Int8WeightPerTensorFixedPoint, Int8WeightPerTensorFloat

    base = Int8WeightPerTensorFixedPoint if recipe.scales == "po2" else Int8WeightPerTensorFloat
    # Brevitas has no ready class for per-channel powers of two; this flag is what its per-channel classes set.
    return base.let(
        bit_width=recipe.weight_bits,
        scaling_per_output_channel=recipe.per_channel,
        scaling_min_val=SMALLEST_RANGE,
    )


def _bias_quantizer(width_bits: int) -> Any:
    from brevitas.quant import Int32Bias

    # It takes its scale from input scale × weight scale, whichever kind they are.
    return Int32Bias.let(bit_width=width_bits)


def _activation_quantizer(recipe: Recipe) -> Any:
    from brevitas.quant import Uint8ActPerTensorFixedPoint, Uint8ActPerTensorFloat

    base = Uint8ActPerTensorFixedPoint if recipe.scales == "po2" else Uint8ActPerTensorFloat
    # One calibration pass over the whole training part (edgeval.training), then the scale is learned.
    return base.let(
        bit_width=recipe.activation_bits,
        collect_stats_steps=1,
        high_percentile_q=SCALE_PERCENTILE,
        scaling_min_val=SMALLEST_RANGE,
    )


def _check_bits(where: str, bits: int, least: int, most: int) -> None:
    if not least <= bits <= most:
        raise UsageError(found=str(bits), allowed=f"{least} to {most}", where=where, remedy="choose another width")


def _check_choice(where: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UsageError(found=repr(value), allowed=" or ".join(allowed), where=where, remedy="choose one of these")
