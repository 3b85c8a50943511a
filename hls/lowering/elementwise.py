"""Operators that work value by value: remembered on the wire as real arithmetic, done by the next quantizer.

BatchNormalization (inference) and the Mul, Add, Sub and Div chains that exporters leave in its place, ReLU and its
relatives, clips, sigmoid and the like.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from math import isqrt

import numpy as np
import onnx

from hls.errors import LoweringError
from hls.lowering.arrange import channels_behind
from hls.lowering.bias import bias_of
from hls.lowering.chain import RELU, Affine, Apply, Clip, HostOnly, Leaky, Pair, Rationals, Step, scaling
from hls.lowering.merging import add_words
from hls.lowering.symbols import (
    Builder,
    Constant,
    FloatInput,
    QuantizedConstant,
    Symbol,
    Wire,
    attribute,
    constant_input,
    rational,
    rationals,
    where,
    wire_input,
)  # fmt: skip

_ZERO = (Fraction(0),)
_ONE = (Fraction(1),)
_ROOT_BITS = 128
_SOFTMAX_OF_ONE_AXIS = 13
"""Operator set since which a softmax is over one axis; before, over everything from its axis on."""


def append(wire: Wire, *steps: Step) -> Wire:
    """The wire with more real arithmetic pending."""
    return replace(wire, chain=(*wire.chain, *steps), open_layer=None)


def lower_relu(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Relu``."""
    return append(wire_input(builder, node, 0), RELU)


def lower_clip(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Clip`` with constant bounds, as inputs or (before opset 11) attributes."""
    bounds = [_clip_bound(builder, node, position, name) for position, name in ((1, "min"), (2, "max"))]
    return append(wire_input(builder, node, 0), Clip(low=bounds[0], high=bounds[1]))


def lower_extreme(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Max`` or ``Min`` of words and one constant number."""
    position = 0 if not isinstance(builder.symbol(node, 0), Constant) else 1
    bound = constant_input(builder, node, 1 - position, "bound")
    if len(node.input) != 2 or np.unique(bound).size != 1:
        raise _refuse(node, f"{len(node.input)} inputs, {np.unique(bound).size} bounds", "words and one number")
    number = rational(np.ravel(bound)[0])
    step = Clip(low=number, high=None) if node.op_type == "Max" else Clip(low=None, high=number)
    return append(wire_input(builder, node, position), step)


def lower_leaky(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``LeakyRelu``."""
    return append(wire_input(builder, node, 0), Leaky(slopes=(rational(attribute(node, "alpha", 0.01)),)))


def lower_prelu(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``PRelu`` with one slope, or one a channel."""
    wire, slopes = on_channels(
        builder, node, wire_input(builder, node, 0), _real(builder.symbol(node, 1), node), "slope"
    )
    return append(wire, Leaky(slopes=slopes))


def lower_function(name: str, *parameters: tuple[str, float]) -> Callable[[Builder, onnx.NodeProto], Symbol]:
    """The pass of an operator that is a function of ``hls/functions.py``; parameters as (attribute, default)."""

    def lowering(builder: Builder, node: onnx.NodeProto) -> Symbol:
        values = tuple(float(str(attribute(node, key, default))) for key, default in parameters)
        return append(wire_input(builder, node, 0), Apply(function=name, parameters=values))

    return lowering


def lower_gelu(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Gelu``, exact or by tanh."""
    name = "gelu_tanh" if attribute(node, "approximate", "none") == "tanh" else "gelu"
    return append(wire_input(builder, node, 0), Apply(function=name))


def lower_hard_sigmoid(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``HardSigmoid``: a clipped line."""
    return append(
        wire_input(builder, node, 0), *_hard_sigmoid(attribute(node, "alpha", 0.2), attribute(node, "beta", 0.5))
    )


def lower_hard_swish(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``HardSwish``: value × clip(value / 6 + 1/2, 0, 1)."""
    line = (Affine(factors=(Fraction(1, 6),), offsets=(Fraction(1, 2),)), Clip(low=Fraction(0), high=Fraction(1)))
    return append(wire_input(builder, node, 0), Pair("mul", (), line))


def lower_softmax(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Softmax`` or ``LogSoftmax`` over the channels: the host's, at the end of the network."""
    wire = wire_input(builder, node, 0)
    flattens = builder.opset < _SOFTMAX_OF_ONE_AXIS
    given = int(str(attribute(node, "axis", 1 if flattens else -1)))
    rank = len(wire.order)
    axis = given - 1 if given > 0 else given + rank  # the samples are not counted
    behind = builder.onnx_shape(wire)[axis + 1 :]
    if not 0 <= axis < rank or (flattens and any(size > 1 for size in behind)):
        raise _refuse(node, f"axis {given}", "softmax over one axis behind the samples")
    wire = channels_behind(builder, node, wire, axis)
    return append(wire, HostOnly("softmax" if node.op_type == "Softmax" else "log_softmax"))


def lower_batch_normalization(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``BatchNormalization`` in inference: (value - mean) / sqrt(variance + epsilon) × weight + bias."""
    wire = wire_input(builder, node, 0)
    axis = len(wire.order) if node.domain.endswith("channels_last") else 1
    trailing = (1,) * (len(wire.order) - axis)
    numbers = []
    for position in (1, 2, 3, 4):
        array = _real(builder.symbol(node, position), node).reshape(-1, *trailing)
        wire, values = on_channels(builder, node, wire, array, "parameter")
        numbers.append(values)
    weight, bias, mean, variance = numbers
    epsilon = rational(attribute(node, "epsilon", 1e-5))
    deviation = tuple(_root(value + epsilon, node) for value in variance)
    return append(
        wire,
        Affine(factors=_ONE, offsets=tuple(-value for value in mean)),
        scaling(tuple(1 / value for value in deviation)),
        Affine(factors=weight, offsets=bias),
    )


def lower_add(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Add``: a bias, a float constant, or two branches."""
    return _sum(builder, node, 1)


def lower_sub(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Sub``, in either order."""
    return _sum(builder, node, -1)


def lower_mul(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Mul`` by constants, or of two functions of the same words (SiLU, GELU as exporters write them)."""
    left, right = builder.symbol(node, 0), builder.symbol(node, 1)
    if isinstance(left, Wire) and isinstance(right, Wire):
        return _pair(builder, node, "mul", left, right)
    flowing, constant = (left, right) if isinstance(left, Wire | FloatInput) else (right, left)
    return _affine(builder, node, flowing, _real(constant, node), None)


def lower_div(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Div`` of words by constants."""
    divisor = _real(builder.symbol(node, 1), node)
    if not np.all(divisor):
        raise _refuse(node, "division by 0", "divisors that are not 0")
    return _affine(builder, node, builder.symbol(node, 0), divisor, None, inverse=True)


def lower_neg(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Neg``."""
    return _affine(builder, node, builder.symbol(node, 0), np.asarray(-1.0), None)


def on_channels(
    builder: Builder, node: onnx.NodeProto, wire: Wire, array: np.ndarray, meaning: str
) -> tuple[Wire, Rationals]:
    """A constant that is applied value by value, as one number or one a channel of the wire's value.

    Returns:
        The wire, the axis that the constant varies along brought last, and the numbers.

    Raises:
        LoweringError: it varies along several axes, or enlarges the tensor.
    """
    shape = (1, *builder.onnx_shape(wire))
    padded = (1,) * (len(shape) - array.ndim) + array.shape
    varying = [axis for axis, size in enumerate(padded) if size > 1]
    uniform = np.unique(array).size == 1
    fits = array.ndim <= len(shape) and all(padded[axis] == shape[axis] for axis in varying)
    if not fits or not (uniform or len(varying) == 1):
        raise LoweringError(
            found=f"a {meaning} of shape {list(array.shape)} for a tensor of shape {list(shape)}",
            allowed="one number, or one a channel",
            where=where(node),
            remedy="use per-tensor or per-channel constants",
        )
    if uniform:
        return wire, (rational(np.ravel(array)[0]),)
    return channels_behind(builder, node, wire, varying[0] - 1), rationals(np.ravel(array))


def _sum(builder: Builder, node: onnx.NodeProto, sign: int) -> Symbol:
    left, right = builder.symbol(node, 0), builder.symbol(node, 1)
    if isinstance(left, Wire) and isinstance(right, Wire):
        if left.value == right.value and (left.chain or right.chain) and sign == 1:
            return _pair(builder, node, "add", left, right)
        return add_words(builder, node, (left, right), (1, sign))
    if isinstance(left, Wire | FloatInput):
        if sign == 1 and (biased := bias_of(builder, node, left, right)) is not None:
            return biased
        return _affine(builder, node, left, None, np.asarray(sign * _real(right, node)))
    if sign == 1:
        if (biased := bias_of(builder, node, right, left)) is not None:
            return biased
        return _affine(builder, node, right, None, _real(left, node))
    return _affine(builder, node, right, np.asarray(-1.0), _real(left, node))


def _pair(builder: Builder, node: onnx.NodeProto, operation: str, left: Wire, right: Wire) -> Wire:
    if left.value != right.value or left.scale != right.scale or left.order != right.order:
        raise LoweringError(
            found="the product of two different tensors of words",
            allowed="products with constants, or of two functions of the same words",
            where=where(node),
            remedy="this network needs a product of activations, which no lowering carries yet",
        )
    shared = 0
    while shared < min(len(left.chain), len(right.chain)) and left.chain[shared] == right.chain[shared]:
        shared += 1
    pair = Pair("mul" if operation == "mul" else "add", left.chain[shared:], right.chain[shared:])
    return replace(left, chain=(*left.chain[:shared], pair), open_layer=None)


def _affine(  # value × factor + offset
    builder: Builder,
    node: onnx.NodeProto,
    symbol: Symbol,
    factor: np.ndarray | None,
    offset: np.ndarray | None,
    *,
    inverse: bool = False,
) -> Symbol:
    if isinstance(symbol, FloatInput):
        numbers = [None if a is None else rationals(a) for a in (factor, offset)]
        if any(a is not None and (a.size > 1 or a.ndim > len(symbol.shape) + 1) for a in (factor, offset)):
            raise _refuse(node, "one constant a channel in front of the input quantizer", "one number")
        times = _ONE[0] if numbers[0] is None else (1 / numbers[0][0] if inverse else numbers[0][0])
        plus = _ZERO[0] if numbers[1] is None else numbers[1][0]
        return replace(symbol, factor=symbol.factor * times, offset=symbol.offset * times + plus)
    if not isinstance(symbol, Wire):
        raise _refuse(node, "two constants", "words and a constant")
    factors: Rationals = _ONE
    offsets: Rationals = _ZERO
    if factor is not None:
        symbol, factors = on_channels(builder, node, symbol, factor, "factor")
    if offset is not None:
        symbol, offsets = on_channels(builder, node, symbol, offset, "offset")
    if inverse:
        factors = tuple(1 / value for value in factors)
    return append(symbol, Affine(factors=factors, offsets=offsets))


def _real(symbol: Symbol, node: onnx.NodeProto) -> np.ndarray:
    if isinstance(symbol, Constant):
        return np.asarray(symbol.values, np.float64)
    if isinstance(symbol, QuantizedConstant):
        return np.asarray(symbol.values)
    raise _refuse(node, "a parameter that is computed from the input", "constants")


def _root(value: Fraction, node: onnx.NodeProto) -> Fraction:
    """Square root to 128 binary places: irrational, so no rounding boundary can hit it."""
    if value <= 0:
        raise _refuse(node, f"variance + epsilon = {float(value):g}", "a positive sum")
    return Fraction(isqrt((value.numerator << 2 * _ROOT_BITS) // value.denominator), 1 << _ROOT_BITS)


def _hard_sigmoid(alpha: object, beta: object) -> tuple[Step, Step]:
    line = Affine(factors=(rational(alpha),), offsets=(rational(beta),))
    return line, Clip(low=Fraction(0), high=Fraction(1))


def _clip_bound(builder: Builder, node: onnx.NodeProto, position: int, name: str) -> Fraction | None:
    if len(node.input) > position and node.input[position]:
        number = float(np.ravel(constant_input(builder, node, position, f"{name} of the clip"))[0])
    else:
        given = attribute(node, name, None)
        if given is None:
            return None
        number = float(str(given))
    unbounded = abs(number) >= float(np.finfo(np.float32).max)  # exporters' way to leave a side open
    return None if unbounded else rational(number)


def _refuse(node: onnx.NodeProto, found: str, allowed: str) -> LoweringError:
    return LoweringError(
        found=found,
        allowed=allowed,
        where=where(node),
        remedy="rewrite this part of the network with the operators of docs/integer-network.md",
    )
