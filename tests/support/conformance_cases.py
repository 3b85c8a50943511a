"""The rows of ``docs/conformance.md``: every operator of the lowering with its options, and what networks trip over."""

from __future__ import annotations

import numpy as np
from support.conformance import (
    GENERAL,
    IMAGE,
    LAST,
    LENGTH,
    Case,
    act,
    attention,
    biased,
    branches,
    concat,
    conv,
    conv_bias,
    float_bias,
    gated,
    gelu_chain,
    gemm,
    image_layer,
    matmul,
    narrow,
    normalization,
    on_ties,
    quant_bias,
    quantized,
    raw_quant,
    same,
    single,
    split,
    then,
    trunc,
)

PER_CHANNEL = {"po2": [0.25, 0.5, 1.0, 0.25], "float": [0.21, 0.37, 0.5, 0.29]}
FULL = np.array([[[[0.25]], [[0.5]], [[0.25]], [[1.0]]]]).reshape(4, 1, 1, 1)


def _layers() -> list[Case]:
    return [
        Case("MatMul", "power-of-two scales", quantized(matmul)),
        Case("MatMul", "no quantizer behind it", matmul),
        Case("MatMul", "float scales", quantized(lambda g, v: matmul(g, v, scale=0.23), scale=0.31)),
        Case("MatMul", "power-of-two scale a channel", quantized(lambda g, v: matmul(g, v, scale=PER_CHANNEL["po2"]))),
        Case("MatMul", "float scale a channel", quantized(lambda g, v: matmul(g, v, scale=PER_CHANNEL["float"]))),
        Case("MatMul", "weights of 1 bit (bipolar)", quantized(lambda g, v: matmul(g, v, bits=1.0, scale=0.1))),
        Case("MatMul", "ternary weights", quantized(lambda g, v: matmul(g, v, bits=2.0, narrow=True, scale=0.1))),
        Case("MatMul", "unsigned weights with a zero point",
             quantized(lambda g, v: matmul(g, v, signed=False, zero_point=3.0))),
        Case("MatMul", "over a sequence [length, features]", quantized(lambda g, v: matmul(g, v, 8)), LENGTH),
        Case("MatMul", "scales along the inputs",
             quantized(lambda g, v: matmul(g, v, scale=np.linspace(0.1, 0.6, 6)[:, None]))),
        Case("MatMul", "weight without a quantizer", lambda g, v: g.node("MatMul", [v, g.constant(
            np.full((6, 2), 0.3))], "fc")),
        Case("MatMul", "of two activations (attention)", attention, LENGTH),
        Case("Gemm", "no bias", gemm()),
        Case("Gemm", "transB, quantized bias", gemm("quant", transB=1)),
        Case("Gemm", "alpha, beta, float bias", gemm("float", alpha=0.3, beta=1.7)),
        Case("Gemm", "transA", gemm(transA=1)),
        Case("Add", "bias at the sum's scale", biased(quant_bias(0.0625))),
        Case("Add", "bias at a coarser power of two", biased(quant_bias(0.5))),
        Case("Add", "bias at another scale", biased(quant_bias(0.07))),
        Case("Add", "float bias", biased(float_bias)),
        Case("Add", "bias, float scale a channel", biased(quant_bias(0.0625), scale=PER_CHANNEL["float"])),
        Case("Conv", "two spatial axes", quantized(image_layer), IMAGE),
        Case("Conv", "one spatial axis", quantized(lambda g, v: conv(g, v, kernel=[3])), LENGTH),
        Case("Conv", "strides and pads",
             quantized(lambda g, v: conv(g, v, strides=[2, 1], pads=[1, 0, 0, 1])), IMAGE),
        Case("Conv", "auto_pad SAME_UPPER", quantized(lambda g, v: conv(g, v, auto_pad="SAME_UPPER")), IMAGE),
        Case("Conv", "auto_pad SAME_LOWER", quantized(lambda g, v: conv(g, v, auto_pad="SAME_LOWER")), IMAGE),
        Case("Conv", "dilations", quantized(lambda g, v: conv(g, v, dilations=[2, 1])), IMAGE),
        Case("Conv", "depthwise", quantized(lambda g, v: conv(g, v, group=2, outputs=2)), IMAGE),
        Case("Conv", "depthwise, quantized bias", conv_bias(0.0625, group=2, outputs=2), IMAGE),
        Case("Conv", "depthwise with a multiplier", quantized(lambda g, v: conv(g, v, group=2, outputs=4)), IMAGE),
        Case("Conv", "quantized bias", conv_bias(0.0625), IMAGE),
        Case("Conv", "float bias", conv_bias(None), IMAGE),
        Case("Conv", "float scale, quantized bias", conv_bias(0.25 * 0.23, quant={"scale": 0.23}), IMAGE),
        Case("Conv", "power-of-two scale a channel", quantized(lambda g, v: conv(g, v, quant={"scale": FULL})), IMAGE),
        Case("Conv", "power-of-two scale a channel, quantized bias",
             conv_bias(0.0625, quant={"scale": FULL}), IMAGE),
        Case("Conv", "float scale a channel, quantized bias",
             conv_bias(0.0625, quant={"scale": 0.9 * FULL}), IMAGE),
        Case("ConvTranspose", "any", single("ConvTranspose", np.ones((4, 2, 3, 3)), before=image_layer), IMAGE),
    ]  # fmt: skip


def _quantizers() -> list[Case]:
    modes = ("ROUND", "FLOOR", "CEIL", "UP", "DOWN", "HALF_UP", "HALF_DOWN", "HALF_EVEN", "ROUND_TO_ZERO")
    return [
        *(Case("Quant", f"rounding {mode}", quantized(matmul, rounding=mode, scale=0.31)) for mode in modes),
        *(Case("Quant", f"rounding {m}, power-of-two ratio", quantized(matmul, rounding=m)) for m in modes[:3]),
        Case("Quant", "rounding STOCHASTIC", quantized(matmul, rounding="STOCHASTIC")),
        Case("Quant", "unsigned", quantized(matmul, signed=False)),
        Case("Quant", "narrow", quantized(matmul, narrow=True)),
        Case("Quant", "narrow, unsigned", quantized(matmul, narrow=True, signed=False)),
        Case("Quant", "one signed bit", quantized(matmul, bits=1.0)),
        Case("Quant", "one unsigned bit", quantized(matmul, bits=1.0, signed=False)),
        Case("Quant", "even zero point", quantized(matmul, zero_point=4.0)),
        Case("Quant", "odd zero point", quantized(matmul, zero_point=3.0)),
        Case("Quant", "fractional zero point", quantized(matmul, zero_point=0.5)),
        Case("Quant", "fractional bit width", quantized(matmul, bits=4.5)),
        Case("Quant", "scale a channel", quantized(matmul, scale=[0.5, 0.25, 0.3, 0.7])),
        Case("Quant", "zero point a channel", quantized(matmul, zero_point=[1.0, 2.0, 0.0, 0.0])),
        Case("Quant", "17 bits, float ratio", quantized(matmul, bits=17.0, scale=0.003)),
        Case("Quant", "float scales with values on ties", then(on_ties, matmul)),
        Case("Quant", "behind a max pool, same quantizer", then(
            lambda g, v: act(g, conv(g, v)), lambda g, v: g.node("MaxPool", [v], "pool", kernel_shape=[2, 2]), act),
            IMAGE),
        Case("Quant", "on the input: zero point", raw_quant(zero_point=8.0, signed=False), raw=True),
        Case("Quant", "on the input: one bit", raw_quant(bits=1.0), raw=True),
        Case("Quant", "none on the input", matmul, raw=True),
        Case("IntQuant", "as Quant", quantized(matmul, operator="IntQuant")),
        Case("BipolarQuant", "activation", lambda g, v: g.node(
            "BipolarQuant", [matmul(g, v), g.constant(0.3)], "sign", domain=GENERAL)),
        Case("BipolarQuant", "weight, float scale", lambda g, v: act(g, g.node("MatMul", [v, g.node(
            "BipolarQuant", [g.constant(np.linspace(-1, 1, 24).reshape(6, 4)), g.constant(0.3)], "w", domain=GENERAL,
        )], "fc"))),
        Case("Trunc", "version 1", trunc(1)),
        Case("Trunc", "version 1, rounding ROUND", trunc(1, "ROUND")),
        Case("Trunc", "version 2", trunc(2)),
    ]  # fmt: skip


def _functions() -> list[Case]:
    few = ("Abs", "HardSwish", "Gelu")
    opsets = {"HardSwish": 14, "Gelu": 20}
    rising = ("Relu", "Sigmoid", "Tanh", "Elu", "Selu", "Softplus", "Softsign", "Erf", "HardSigmoid", "Neg")
    return [
        *(Case(name, "on a sum", single(name)) for name in rising),
        Case("Relu", "no quantizer behind it", single("Relu", close=False)),
        Case("Relu", "in front of a layer", then(single("Relu", close=False), lambda g, v: matmul(g, v, 4))),
        Case("Sigmoid", "in front of a layer", then(single("Sigmoid", close=False), lambda g, v: matmul(g, v, 4))),
        *(Case(name, "on 6-bit words", single(name, before=narrow), opset=opsets.get(name, 13)) for name in few),
        Case("Gelu", "approximate tanh", single("Gelu", before=narrow, approximate="tanh"), opset=20),
        Case("Gelu", "on a sum of 26 bits", single("Gelu", before=lambda g, v: matmul(
            g, g.quant(v, "wide", scale=2.0**-12, bits=16.0), bits=8.0, scale=2.0**-7)), opset=20),
        Case("LeakyRelu", "slope 2^-3", single("LeakyRelu", alpha=0.125)),
        Case("LeakyRelu", "any slope", single("LeakyRelu", alpha=0.3)),
        Case("LeakyRelu", "negative slope", single("LeakyRelu", alpha=-0.3)),
        Case("LeakyRelu", "no quantizer behind it", single("LeakyRelu", alpha=0.3, close=False)),
        Case("PRelu", "one slope", single("PRelu", np.array([0.2]))),
        Case("PRelu", "slope a channel", single("PRelu", np.array([0.2, 0.1, 0.7, 0.4]))),
        Case("Clip", "Hardtanh", single("Clip", np.array(-1.0), np.array(1.0))),
        Case("Clip", "attributes (operator set 6)", single("Clip", min=-1.0, max=6.0), opset=9),
        Case("Clip", "between two words, no quantizer behind it", then(
            single("Clip", np.array(-1.03), np.array(1.03), close=False), lambda g, v: matmul(g, v, 4))),
        Case("Max", "with a number", single("Max", np.array(-0.7))),
        Case("Min", "with a number", single("Min", np.array(0.7))),
        Case("Mul", "by a number", single("Mul", np.array(0.7))),
        Case("Mul", "by a negative number a channel", single("Mul", np.array([0.7, -0.3, 1.0, -2.0]))),
        Case("Mul", "value × sigmoid(value) (SiLU)", gated(lambda g, v: g.node("Sigmoid", [v]))),
        Case("Mul", "GELU written with Erf", gelu_chain),
        Case("Mul", "of two activations", branches({"scale": 0.5}, {"scale": 0.25}, "Mul")),
        Case("Div", "by a number", single("Div", np.array(0.7))),
        Case("Div", "by zero", single("Div", np.array(0.0))),
        Case("Sub", "a number", single("Sub", np.array(0.7))),
        Case("BatchNormalization", "on an image, weights of either sign", normalization(), IMAGE),
        Case("BatchNormalization", "on features", normalization(before=matmul)),
        Case("BatchNormalization", "in front of a max pool", then(
            lambda g, v: normalization_open(g, v), lambda g, v: act(g, g.node(
                "MaxPool", [v], "pool", kernel_shape=[2, 2]))), IMAGE),
        Case("Softmax", "at the end", single("Softmax", close=False, axis=-1)),
        Case("Softmax", "in front of a quantizer", single("Softmax", axis=-1)),
        Case("LogSoftmax", "at the end", single("LogSoftmax", close=False, axis=-1)),
        Case("LayerNormalization", "any", single("LayerNormalization", np.ones(4)), opset=17),
    ]  # fmt: skip


def normalization_open(graph: object, value: str) -> str:
    """A BatchNormalization with no quantizer of its own."""
    from support.onnx_graphs import Graph

    assert isinstance(graph, Graph)
    rows = [[1.0, -0.5, 0.3, 2.0], [0.1, 0.2, -0.4, 1.0], [0.3, -0.2, 0.0, 1.0], [1.0, 0.5, 2.0, 0.1]]
    return graph.node("BatchNormalization", [conv(graph, value), *map(graph.constant, rows)], "bn")


def _pools() -> list[Case]:
    def pool(operator: str, **attributes: object) -> object:
        return single(operator, before=same, **attributes)

    kernel = {"kernel_shape": [2, 2], "strides": [2, 2]}
    rows = [
        ("MaxPool", "two spatial axes", IMAGE, kernel),
        ("MaxPool", "one spatial axis", LENGTH, {"kernel_shape": [3], "strides": [2]}),
        ("MaxPool", "pads", IMAGE, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
        ("MaxPool", "ceil_mode", IMAGE, {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
        ("MaxPool", "dilations", IMAGE, {"kernel_shape": [2, 2], "dilations": [2, 1]}),
        ("AveragePool", "two spatial axes", IMAGE, kernel),
        ("AveragePool", "nine words (no power of two)", IMAGE, {"kernel_shape": [3, 3]}),
        ("AveragePool", "one spatial axis", LENGTH, {"kernel_shape": [2], "strides": [2]}),
        ("AveragePool", "pads that count", IMAGE, {
            "kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}),
        ("AveragePool", "pads that do not count", IMAGE, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
        ("GlobalAveragePool", "image", IMAGE, {}),
        ("GlobalMaxPool", "image", IMAGE, {}),
        ("ReduceMean", "all spatial axes", IMAGE, {"axes": [2, 3], "keepdims": 0}),
        ("ReduceMean", "the channels", IMAGE, {"axes": [1], "keepdims": 1}),
    ]  # fmt: skip
    return [
        *(Case(name, option, pool(name, **given), shape) for name, option, shape, given in rows),  # type: ignore[arg-type]
        Case("ReduceSum", "all spatial axes", single("ReduceSum", [2, 3], before=same), IMAGE),
    ]


def _moves() -> list[Case]:
    def dense(size: int, *bodies: object) -> object:
        return then(*bodies, lambda g, v: g.node("Flatten", [v], "flat"), lambda g, v: matmul(g, v, size))  # type: ignore[arg-type]

    def move(operator: str, *inputs: object, size: int = 72, **attributes: object) -> object:
        return dense(size, single(operator, *inputs, before=same, close=False, **attributes))

    def image_move(operator: str, *inputs: object, size: int, kernel: object = (3, 3), **attributes: object) -> object:
        layer = quantized(lambda g, v: conv(g, v, kernel=kernel))
        return dense(size, layer, single(operator, *inputs, before=same, close=False, **attributes))

    half, asymmetric = "half_pixel", {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    rows: list[tuple[str, str, object, tuple[int, ...]]] = [
        ("Add", "branches of one scale", branches({"scale": 0.5}, {"scale": 0.5, "bits": 3.0}), (6,)),
        ("Add", "branches a power of two apart", branches({"scale": 0.5}, {"scale": 0.125}), (6,)),
        ("Add", "branches of float scales", branches({"scale": 0.3}, {"scale": 0.7}), (6,)),
        ("Sub", "branches", branches({"scale": 0.5}, {"scale": 0.125}, "Sub"), (6,)),
        ("Concat", "features, one scale", concat(1, (0.5, 0.5)), (6,)),
        ("Concat", "features, float scales", concat(1, (0.3, 0.7)), (6,)),
        ("Concat", "three parts", concat(1, (0.5, 0.5, 0.25)), (6,)),
        ("Concat", "channels of an image", concat(1, (0.5, 0.25), image_layer), IMAGE),
        ("Concat", "height of an image", concat(2, (0.5, 0.5), image_layer), IMAGE),
        ("Split", "two halves, added", split, (6,)),
        ("Slice", "features", single("Slice", [1], [5], [1], [2], before=same), (6,)),
        ("Slice", "negative step", single("Slice", [-1], [-6], [1], [-1], before=same), (6,)),
        ("Flatten", "an image in front of a layer", dense(72), IMAGE),
        ("Flatten", "convolution, max pool, flatten, layer", dense(16, quantized(image_layer), lambda g, v: g.node(
            "MaxPool", [v], "pool", kernel_shape=[2, 2], strides=[2, 2])), IMAGE),
        ("Flatten", "a quantizer between it and the layer", then(image_layer, lambda g, v: g.node(
            "Flatten", [v], "flat"), act, lambda g, v: matmul(g, v, 64)), IMAGE),
        ("Flatten", "axis 0", single("Flatten", before=same, close=False, axis=0), IMAGE),
        ("Reshape", "to features", move("Reshape", [1, -1]), IMAGE),
        ("Reshape", "to an image", move("Reshape", [1, 2, 3, 12]), IMAGE),
        ("Reshape", "samples moved", move("Reshape", [2, 36]), IMAGE),
        ("Squeeze", "an axis of length one", dense(4, lambda g, v: g.node("GlobalMaxPool", [conv(g, v)]), single(
            "Squeeze", [2, 3], before=same, close=False)), IMAGE),
        ("Unsqueeze", "one axis", dense(6, single("Unsqueeze", [1], before=same, close=False)), (6,)),
        ("Transpose", "an image", move("Transpose", perm=[0, 2, 3, 1]), IMAGE),
        ("Transpose", "samples moved", move("Transpose", perm=[1, 0, 2, 3]), IMAGE),
        ("Pad", "zeros around an image", image_move("Pad", [0, 0, 1, 2, 0, 0, 0, 1], size=140), IMAGE),
        ("Pad", "zeros around a length", image_move("Pad", [0, 0, 1, 0, 0, 2], size=36, kernel=[3]), LENGTH),
        ("Pad", "another number", move("Pad", [0, 0, 1, 0, 0, 2], np.array(0.3), size=22), LENGTH),
        ("Pad", "reflect", move("Pad", [0, 0, 1, 0, 0, 2], size=22, mode="reflect"), LENGTH),
        ("Resize", "nearest, half_pixel, twice", image_move(
            "Resize", "", np.array([1, 1, 2, 2.0]), size=256, mode="nearest", coordinate_transformation_mode=half),
            IMAGE),
        ("Resize", "nearest, asymmetric, floor", image_move(
            "Resize", "", np.array([1, 1, 2, 1.0]), size=128, mode="nearest", **asymmetric), IMAGE),
        ("Resize", "nearest, half as large", move(
            "Resize", "", np.array([1, 1, 0.5, 0.5]), size=18, mode="nearest"), IMAGE),
        ("Resize", "linear", move("Resize", "", np.array([1, 1, 2, 2.0]), size=288, mode="linear"), IMAGE),
        ("Identity", "", single("Identity"), (6,)),
        ("Dropout", "inference", single("Dropout"), (6,)),
        ("Gather", "of words (embedding)", single("Gather", [0, 1], before=same, axis=1), (6,)),
        ("LSTM", "any", lambda g, v: g.node("LSTM", [v, g.constant(np.ones((1, 8, 8))), g.constant(
            np.ones((1, 8, 2)))], "lstm", hidden_size=2), LENGTH),
    ]  # fmt: skip
    upsample = image_move("Upsample", np.array([1, 1, 2, 2.0]), size=256, mode="nearest")
    return [
        *(Case(operator, option, body, shape) for operator, option, body, shape in rows),  # type: ignore[arg-type]
        Case("Upsample", "operator set 9", upsample, IMAGE, 9),  # type: ignore[arg-type]
        Case("Constant", "weights in the graph", constant_weight),
        Case("Shape", "Flatten as exporters compute it", computed_shape, IMAGE),
        Case("Conv", f"of {LAST}", lambda g, v: act(g, conv(g, v, domain=LAST, strides=[1, 1], pads=[0] * 4, group=1,
                                                            dilations=[1, 1])), (6, 6, 2)),
    ]  # fmt: skip


def constant_weight(graph: object, value: str) -> str:
    """A weight that a Constant node holds."""
    from onnx import numpy_helper
    from support.onnx_graphs import Graph

    assert isinstance(graph, Graph)
    values = np.linspace(-1, 1, 24).reshape(6, 4).astype(np.float32)
    raw = graph.node("Constant", [], "w", value=numpy_helper.from_array(values))
    return act(graph, graph.node("MatMul", [value, graph.quant(raw, "w", scale=0.25)], "fc"))


def computed_shape(graph: object, value: str) -> str:
    """Reshape to [first axis of the shape, -1]."""
    from support.onnx_graphs import Graph

    assert isinstance(graph, Graph)
    shape = graph.node("Shape", [value], "shape")
    first = graph.node("Gather", [shape, graph.constant(0, np.int64)], "first", axis=0)
    first = graph.node("Unsqueeze", [first, graph.constant([0], np.int64)], "first_axis")
    target = graph.node("Concat", [first, graph.constant([-1], np.int64)], "target", axis=0)
    return matmul(graph, graph.node("Reshape", [value, target], "flat"), 72)


CASES: tuple[Case, ...] = tuple(
    sorted([*_layers(), *_quantizers(), *_functions(), *_pools(), *_moves()], key=lambda case: case.operator)
)
"""Every row, by operator."""
