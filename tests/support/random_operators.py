"""The operators of random graphs: each takes words and draws its own options.

Every function is ``(writer, tensor, random) → tensor``; it returns the tensor it was given where it does not fit.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from support.random_graphs import Tensor, Writer
from support.random_layers import conv, dense, pool
from support.random_moves import flatten, moved, padded
from support.random_quantizers import Operator, Random, pick, plain, quantized, scale_near

_TOO_MANY = "a function that rises and falls over|output words that are not a plain shift"
_TOO_WIDE = "whose common unit|bits in front of a comparison|words from|sums from"
_SCALES = "scales \\[|one scale a channel|one scale \\(or pending|between two words"


def normalization(writer: Writer, tensor: Tensor, random: Random) -> Tensor:
    """BatchNormalization with weights of either sign."""
    channels = writer.channels(tensor)
    weight = random.normal(size=channels) + 0.3
    numbers = [weight, random.normal(size=channels), random.normal(size=channels) * tensor.reach / 8]
    numbers.append(random.uniform(0.1, 2.0, size=channels) * max(tensor.reach, 0.01) ** 2 / 4)
    last = writer.channels_last and len(tensor.shape) > 1
    epsilon = float(pick(random, (1e-5, 1e-3)))
    inputs = [tensor.name, *(writer.constant(a) for a in numbers)]
    if last:
        name = writer.windowed("BatchNormalization", inputs, tensor, tensor.shape, epsilon=epsilon)
    else:
        name = writer.node("BatchNormalization", inputs, epsilon=epsilon)
    return replace(tensor, name=name, reach=3.0, pending=True, channelled=True)


def affine(writer: Writer, tensor: Tensor, random: Random) -> Tensor:
    """A chain of Mul, Add, Sub and Div by constants."""
    for _ in range(int(random.integers(1, 4))):
        operator = str(pick(random, ("Mul", "Add", "Sub", "Div", "Neg")))
        if operator == "Neg":
            tensor = replace(tensor, name=writer.node("Neg", [tensor.name]), pending=True)
            continue
        per_channel = random.random() < 0.35
        size = writer.channels(tensor) if per_channel else 1
        if operator in ("Mul", "Div"):
            values = random.uniform(0.3, 2.5, size=size) * np.where(random.random(size=size) < 0.2, -1, 1)
            if random.random() < 0.4:
                values = np.sign(values) * 2.0 ** np.round(np.log2(np.abs(values)))
        else:
            values = random.normal(size=size) * tensor.reach / 3
        values = values.astype(np.float32)
        array = writer.along_channels(tensor, values) if per_channel else values.reshape(())
        inputs = [tensor.name, writer.constant(array)]
        if operator in ("Mul", "Add", "Sub") and random.random() < 0.4:
            inputs.reverse()
        tensor = replace(
            tensor, name=writer.node(operator, inputs), pending=True,
            channelled=tensor.channelled or len(set(values.tolist())) > 1, reach=tensor.reach * 1.5,
        )  # fmt: skip
    return tensor


def activation(writer: Writer, tensor: Tensor, random: Random) -> Tensor:
    """A function that rises, whatever the width of the words."""
    kind = str(pick(random, (
        "Relu", "Relu", "Relu", "LeakyRelu", "PRelu", "Clip", "HardSigmoid", "Sigmoid", "Tanh", "Elu", "Selu",
        "Softplus", "Softsign", "Erf", "Max", "Min",
    )))  # fmt: skip
    reach = {"HardSigmoid": 1.0, "Sigmoid": 1.0, "Tanh": 1.0, "Softsign": 1.0, "Erf": 1.0}.get(kind, tensor.reach)
    inputs, attributes = [tensor.name], {}
    match kind:
        case "LeakyRelu":
            attributes = {"alpha": float(np.float32(pick(random, (0.125, 0.01, 0.3, 0.0))))}
        case "PRelu":
            size = writer.channels(tensor) if random.random() < 0.6 else 1
            slopes = writer.along_channels(tensor, random.uniform(0.05, 0.9, size=size))[0]
            inputs.append(writer.constant(slopes))
            tensor = replace(tensor, channelled=tensor.channelled or size > 1)
        case "Clip":
            low, high = sorted((random.normal(size=2) * tensor.reach / 2).tolist())
            low, high = (0.0, high) if random.random() < 0.5 and high > 0 else (low, high)
            if writer.opset < 11:
                attributes = {"min": float(np.float32(low)), "max": float(np.float32(high))}
            else:
                inputs += [writer.constant(low), writer.constant(high)]
        case "HardSigmoid":
            attributes = {"alpha": 1 / 6} if random.random() < 0.5 else {}
        case "Elu":
            attributes = {"alpha": float(np.float32(random.uniform(0.2, 1.5)))}
        case "Max" | "Min":
            inputs.append(writer.constant(float(random.normal()) * tensor.reach / 3))
            if random.random() < 0.5:
                inputs.reverse()
    return replace(tensor, name=writer.node(kind, inputs, **attributes), pending=True, reach=reach)


def curve(writer: Writer, tensor: Tensor, random: Random) -> Tensor:
    """A function that rises and falls: over few words, or refused."""
    if tensor.bits > 12 or tensor.channelled:
        if random.random() < 0.9 or tensor.channelled:
            tensor = quantized(writer, tensor, random, bits=int(random.integers(2, 9)), per_channel=False)
        else:
            writer.may_refuse(_TOO_MANY)
    kinds = ["Abs", "HardSwish", "Gelu", "SiLU", "GELU", "Leaky"]
    kind = str(pick(random, kinds))
    source = tensor.name
    if (kind == "HardSwish" and writer.opset < 14) or (kind == "Gelu" and writer.opset < 20):
        kind = "SiLU"
    match kind:
        case "SiLU":
            gate = writer.node("Sigmoid", [source])
            name = writer.node("Mul", [source, gate] if random.random() < 0.5 else [gate, source])
        case "GELU":
            scaled = writer.node("Div", [source, writer.constant(float(np.sqrt(2.0)))])
            one = writer.node("Add", [writer.node("Erf", [scaled]), writer.constant(1.0)])
            product = writer.node("Mul", [source, one])
            name = writer.node("Mul", [product, writer.constant(0.5)])
        case "Leaky":
            name = writer.node("LeakyRelu", [source], alpha=float(np.float32(-random.uniform(0.1, 0.5))))
        case "Gelu":
            name = writer.node("Gelu", [source], approximate=str(pick(random, ("none", "tanh"))))
        case _:
            name = writer.node(kind, [source])
    out = replace(tensor, name=name, pending=True)
    return quantized(writer, out, random) if random.random() < 0.8 else replace(out, channelled=True)


def truncated(writer: Writer, tensor: Tensor, random: Random) -> Tensor:
    """Trunc, version 1 or 2, behind a quantizer whose scale it names."""
    width = int(random.integers(3, 9))
    signed = bool(random.random() < 0.6)
    scale = scale_near(random, max(tensor.reach, 1e-3) / 2.0 ** (width - signed))
    parameters = [writer.constant(scale), writer.constant(0.0), writer.constant(float(width))]
    source = writer.node(
        "Quant", [tensor.name, *parameters], domain=writer.spec.domain, signed=int(signed), narrow=0,
        rounding_mode="ROUND",
    )  # fmt: skip
    fewer = int(random.integers(2, width + 1))
    mode = str(pick(random, ("FLOOR", "ROUND", "CEIL")))
    inputs = [source, *parameters]
    second = writer.general == 2
    if second:
        inputs.append(writer.constant(scale * 2.0 ** (width - fewer)))
    inputs.append(writer.constant(float(fewer)))
    kind = {"signed": int(signed), "narrow": int(random.random() < 0.3)} if second else {}
    name = writer.node("Trunc", inputs, domain=writer.spec.domain, rounding_mode=mode, **kind)
    return Tensor(name, tensor.shape, scale * 2.0 ** (width if second else fewer), width + 1)


def residual(writer: Writer, tensor: Tensor, random: Random) -> Tensor:
    """A branch of the same shape, added or subtracted."""
    if tensor.channelled or tensor.pending or tensor.bits > 16:
        tensor = quantized(writer, tensor, random, per_channel=False)
    other = replace(tensor, name=tensor.name)
    for _ in range(int(random.integers(1, 3))):
        other = OPERATORS[str(pick(random, ("activation", "affine")))](writer, other, random)
    kind = random.random()
    if kind < 0.75 or other.channelled:
        other = quantized(writer, other, random, per_channel=False)
    else:
        writer.may_refuse("without a quantizer behind it|not positive|between two words|rises and falls|" + _SCALES)
    if random.random() < 0.3:
        tensor = quantized(writer, tensor, random, per_channel=False)
    names = [tensor.name, other.name]
    if random.random() < 0.5:
        names.reverse()
    name = writer.node(str(pick(random, ("Add", "Add", "Sub"))), names)
    writer.may_refuse(_TOO_WIDE)
    return Tensor(name, tensor.shape, tensor.reach + other.reach, 40, pending=True)


def side_by_side(writer: Writer, tensor: Tensor, random: Random) -> Tensor:
    """A Concat with a branch."""
    tensor = plain(writer, tensor, random)
    other = quantized(writer, activation(writer, tensor, random), random, per_channel=False)
    axis = int(random.integers(len(tensor.shape))) if random.random() < 0.3 else writer.channel_axis(tensor)
    names = [tensor.name, other.name] + ([tensor.name] if random.random() < 0.3 else [])
    given = axis + 1 if random.random() < 0.6 or writer.opset < 11 else axis - len(tensor.shape)
    shape = list(tensor.shape)
    shape[axis] *= len(names)
    writer.may_refuse(_TOO_WIDE)
    name = writer.node("Concat", names, axis=given)
    return replace(tensor, name=name, shape=tuple(shape), reach=max(tensor.reach, other.reach), bits=40)


def parted(writer: Writer, tensor: Tensor, random: Random) -> Tensor:
    """A Split whose parts go different ways and meet again, or a Slice."""
    tensor = plain(writer, tensor, random)
    axis = int(random.integers(len(tensor.shape)))
    size = tensor.shape[axis]
    if random.random() < 0.5:
        return _sliced(writer, tensor, axis, random)
    if size % 2:
        return tensor
    halves = [size // 2, size // 2]
    by_input = writer.opset >= 13
    inputs = [tensor.name] + ([writer.constant(halves, np.int64)] if by_input else [])
    left, right = writer.outputs("Split", inputs, 2, axis=axis + 1, split=None if by_input else halves)
    shape = list(tensor.shape)
    shape[axis] = size // 2
    part = replace(tensor, name=left, shape=tuple(shape))
    part = quantized(writer, activation(writer, part, random), random, per_channel=False)
    writer.may_refuse(_TOO_WIDE)
    if random.random() < 0.5:
        name = writer.node("Add", [part.name, right])
        return Tensor(name, tuple(shape), tensor.reach * 2, 40, pending=True)
    name = writer.node("Concat", [part.name, right], axis=axis + 1)
    return replace(tensor, name=name, bits=40)


def _sliced(writer: Writer, tensor: Tensor, axis: int, random: Random) -> Tensor:
    size = tensor.shape[axis]
    start = int(random.integers(size))
    stop = int(random.integers(start + 1, size + 1))
    step = int(random.integers(1, 3)) if writer.opset >= 10 else 1
    end = (1 << 31) - 1 if stop == size and random.random() < 0.5 else stop
    if writer.opset < 10:
        name = writer.node("Slice", [tensor.name], axes=[axis + 1], starts=[start], ends=[end])
    else:
        begin = start - size if random.random() < 0.4 else start
        lists = ([begin], [end], [axis + 1], [step])
        name = writer.node("Slice", [tensor.name, *(writer.constant(item, np.int64) for item in lists)])
    shape = list(tensor.shape)
    shape[axis] = len(range(start, stop, step))
    return replace(tensor, name=name, shape=tuple(shape))


def nothing(writer: Writer, tensor: Tensor, random: Random) -> Tensor:
    """Identity or Dropout."""
    return replace(tensor, name=writer.node(str(pick(random, ("Identity", "Dropout"))), [tensor.name]))


def closing(writer: Writer, tensor: Tensor, random: Random) -> Tensor:
    """A float tail: only the last operators may be it, so a quantizer behind it is refused."""
    if len(tensor.shape) > 1:
        return tensor
    name = writer.node("Softmax", [tensor.name], axis=1 if random.random() < 0.5 else -1 if writer.opset >= 11 else 1)
    writer.may_refuse("behind a softmax|softmax without a quantizer|leaky ReLU or a product|behind the last")
    return replace(tensor, name=name, reach=1.0, pending=True)


def quant(writer: Writer, tensor: Tensor, random: Random) -> Tensor:
    """A quantizer."""
    return quantized(writer, tensor, random)


OPERATORS: dict[str, Operator] = {
    "activation": activation, "affine": affine, "closing": closing, "conv": conv, "curve": curve, "dense": dense,
    "flatten": flatten, "moved": moved, "normalization": normalization, "nothing": nothing, "padded": padded,
    "parted": parted, "pool": pool, "quant": quant, "residual": residual, "side_by_side": side_by_side,
    "truncated": truncated,
}  # fmt: skip
WEIGHTS = {
    "conv": 3.0,
    "dense": 3.0,
    "activation": 2.0,
    "normalization": 1.5,
    "quant": 2.0,
    "closing": 0.4,
    "nothing": 0.4,
}
"""How often an operator is drawn; 1 where nothing is said."""
STARTS = ("conv", "conv", "dense", "pool")
