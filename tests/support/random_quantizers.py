"""Random quantizers, weights and biases."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from support.random_graphs import Tensor, Writer

Random = np.random.Generator
Operator = Callable[[Writer, Tensor, Random], Tensor]

_MODES = (
    "ROUND", "ROUND", "ROUND", "FLOOR", "CEIL", "UP", "DOWN", "ROUND_TO_ZERO", "HALF_UP", "HALF_DOWN", "HALF_EVEN",
)  # fmt: skip


def pick(random: Random, options: object) -> object:
    """One of several."""
    listed = list(options)  # type: ignore[call-overload]
    return listed[int(random.integers(len(listed)))]


def scale_near(random: Random, value: float) -> float:
    """A scale of about a size: a power of two, or any float32."""
    if random.random() < 0.5:
        return float(2.0 ** np.round(np.log2(value)))
    return float(np.float32(value * random.uniform(0.7, 1.4)))


def quantized(
    writer: Writer, tensor: Tensor, random: Random, *, bits: int | None = None, per_channel: bool | None = None
) -> Tensor:
    """An activation quantizer of any kind."""
    if bits is None and random.random() < 0.08:
        scale = scale_near(random, max(tensor.reach / 2, 1e-3))
        name = writer.node("BipolarQuant", [tensor.name, writer.constant(scale)], domain=writer.spec.domain)
        return Tensor(name, tensor.shape, scale, 2)
    width = int(random.integers(1, 9)) if bits is None else bits
    signed = bool(random.random() < 0.65)
    narrow = bool(random.random() < 0.3) and width > 1
    reach = max(tensor.reach, 1e-3)
    scale: object = scale_near(random, reach * random.uniform(0.3, 1.2) / 2.0 ** max(width - signed, 0))
    largest = float(scale) * 2.0**width
    zero_point = 0.0
    if random.random() < 0.12 and not (signed and width == 1):
        zero_point = float(random.integers(-(2 ** (width - 1)) if signed else 0, 2 ** max(width - 1, 1)))
    channelled = False
    if per_channel is None and random.random() < 0.07 and not (signed and width == 1):
        numbers = [scale_near(random, float(scale)) for _ in range(writer.channels(tensor))]
        scale = writer.along_channels(tensor, np.array(numbers, np.float32))
        channelled = len(set(numbers)) > 1
        largest = max(numbers) * 2.0**width
    inputs = [
        tensor.name, writer.constant(scale), writer.constant(zero_point), writer.constant(float(width))
    ]  # fmt: skip
    name = writer.node(
        str(pick(random, ("Quant", "Quant", "IntQuant"))) if writer.spec.domain != "onnx.brevitas" else "Quant",
        inputs, domain=writer.spec.domain, signed=int(signed), narrow=int(narrow),
        rounding_mode=pick(random, _MODES),
    )  # fmt: skip
    return Tensor(name, tensor.shape, largest, width + 1, channelled=channelled)


def plain(writer: Writer, tensor: Tensor, random: Random) -> Tensor:
    """Words with one scale and nothing pending, as a layer needs them."""
    if not tensor.pending and not tensor.channelled and tensor.bits <= 20:
        return tensor
    return quantized(writer, tensor, random, per_channel=False)


def weights(writer: Writer, shape: tuple[int, ...], random: Random, channel_axis: int) -> tuple[str, float, int, bool]:
    """A quantized constant: name, largest magnitude, bits, whether its channels have scales of their own."""
    values = random.normal(size=shape)
    if random.random() < 0.3:
        values[random.random(size=shape) < 0.5] = 0.0  # pruned
    bits = int(random.integers(1, 9))
    if random.random() < 0.15:
        scale = scale_near(random, 0.5)
        name = writer.node("BipolarQuant", [writer.constant(values), writer.constant(scale)], domain=writer.spec.domain)
        return name, scale, 2, False
    signed = bool(random.random() < 0.85)
    narrow = bool(random.random() < 0.5) and bits > 1
    scale: np.ndarray = np.asarray(scale_near(random, 2.0 / 2.0 ** max(bits - signed, 0)), np.float32)
    kind = random.random()
    channelled = False
    if kind < 0.4 and shape[channel_axis] > 1:
        spread = [1] * len(shape)
        spread[channel_axis] = shape[channel_axis]
        if kind < 0.2:
            factors = 2.0 ** random.integers(-3, 4, size=shape[channel_axis])
        else:
            factors = random.uniform(0.5, 1.5, size=shape[channel_axis])
            channelled = True
        scale = (scale * factors.reshape(spread)).astype(np.float32)
    zero_point = float(random.integers(-2, 3)) if random.random() < 0.1 and not (signed and bits == 1) else 0.0
    inputs = [
        writer.constant(values),
        writer.constant(scale),
        writer.constant(zero_point),
        writer.constant(float(bits)),
    ]
    name = writer.node(
        "Quant", inputs, domain=writer.spec.domain, signed=int(signed), narrow=int(narrow),
        rounding_mode=pick(random, _MODES),
    )  # fmt: skip
    return name, float(scale.max()) * 2.0**bits, bits + 8, channelled


def bias(writer: Writer, shape: tuple[int, ...], reach: float, random: Random) -> str | None:
    """No bias, a float one, or one behind a quantizer of its own."""
    kind = random.random()
    if kind < 0.3:
        return None
    name = writer.constant(random.normal(size=shape) * reach / 4)
    if kind < 0.6:
        return name
    scale = scale_near(random, reach / 2.0 ** random.integers(6, 14))
    inputs = [name, writer.constant(scale), writer.constant(0.0), writer.constant(float(random.integers(4, 17)))]
    return writer.node("Quant", inputs, domain=writer.spec.domain, signed=1, narrow=0, rounding_mode="ROUND")
