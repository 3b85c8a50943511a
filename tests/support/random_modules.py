"""Random Brevitas modules: dense, convolutional and residual, mixed widths, both kinds of scale, BatchNorm, pruned.

Imported within a test that silences Brevitas first: it warns when it is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import brevitas.nn as qnn
import numpy as np
import torch
from brevitas import quant
from torch import nn

Random = np.random.Generator
_WEIGHTS = (
    (quant.Int8WeightPerTensorFixedPoint, 8),
    (quant.Int8WeightPerTensorFloat, 8),
    (quant.Int8WeightPerChannelFloat, 8),
    (quant.ShiftedUint8WeightPerTensorFloat, 8),
    (quant.SignedBinaryWeightPerTensorConst, 1),
    (quant.SignedTernaryWeightPerTensorConst, 2),
)
"""Weight quantizers; the number is the width where it is not drawn."""
_BIASES = (None, None, quant.Int8BiasPerTensorFixedPointInternalScaling, quant.Int16Bias, quant.Int32Bias)
_SIGNED = (quant.Int8ActPerTensorFixedPoint, quant.Int8ActPerTensorFloat, quant.ShiftedUint8ActPerTensorFloat)
_UNSIGNED = (quant.Uint8ActPerTensorFixedPoint, quant.Uint8ActPerTensorFloat)


class RandomModule(nn.Module):
    """A chain of blocks that ``random_module`` drew."""

    def __init__(self, entry: nn.Module, blocks: list[nn.Module], summary: str) -> None:
        super().__init__()
        self.entry = entry
        self.blocks = nn.ModuleList(blocks)
        self.summary = summary

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.entry(x)
        for block in self.blocks:
            x = block(x)
        return getattr(x, "value", x)


class Residual(nn.Module):
    """A layer and its input, each quantized alike, added."""

    def __init__(self, layer: nn.Module, shared: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.layer, self.shared, self.norm = layer, shared, norm

    def forward(self, x: Any) -> Any:
        return self.shared(x) + self.shared(self.norm(self.layer(x)))


def random_module(seed: int) -> tuple[RandomModule, np.ndarray]:
    """A calibrated module in evaluation mode, and inputs for it."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    image = random.random() < 0.5
    shape = (2, 6, 6) if image else (6,)
    blocks: list[nn.Module] = []
    said: list[str] = []
    channels = shape[0]
    for _ in range(int(random.integers(1, 4)) if image else 0):
        channels = _convolution(random, channels, blocks, said)
    if image:
        said.append(_pool(random, blocks))
        with torch.no_grad():
            flat = torch.zeros(1, channels, 6, 6)
            blocks.append(nn.Flatten())
            channels = int(np.prod(blocks[-2](flat).shape[1:]))
    for last in [False] * int(random.integers(0, 3)) + [True]:
        channels = _dense(random, channels, blocks, said, last=last)
    entry = qnn.QuantIdentity(act_quant=_activation(random, signed=True), return_quant_tensor=True)
    module = RandomModule(entry, blocks, "; ".join(said))
    inputs = (random.normal(size=(48, *shape)) * 1.5).astype(np.float32)
    with torch.no_grad():  # calibrates scales and statistics
        module.train()
        for _ in range(2):
            module(torch.from_numpy(inputs))
        _prune(random, module)
        for part in module.modules():
            if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
                part.weight.copy_(torch.from_numpy(random.normal(size=part.weight.shape)))
                part.bias.copy_(torch.from_numpy(random.normal(size=part.bias.shape) * 0.3))
    return module.eval(), inputs


def _weight(random: Random) -> dict[str, Any]:
    quantizer, width = _WEIGHTS[int(random.integers(len(_WEIGHTS)))]
    choices = {"bit_width": int(random.integers(2, 9))} if width == 8 else {"scaling_const": 0.25}
    bias = _BIASES[int(random.integers(len(_BIASES)))]
    return {"weight_quant": quantizer.let(**choices), "bias_quant": bias, "bias": bool(random.random() < 0.8)}


def _activation(random: Random, *, signed: bool) -> Any:
    kinds = _SIGNED if signed else _UNSIGNED
    return kinds[int(random.integers(len(kinds)))].let(bit_width=int(random.integers(2 if signed else 1, 9)))


def _closed(random: Random) -> nn.Module:
    """An activation function with its quantizer."""
    signed = _activation(random, signed=True)
    makers: tuple[Callable[[], nn.Module], ...] = (
        lambda: qnn.QuantReLU(act_quant=_activation(random, signed=False), return_quant_tensor=True),
        lambda: qnn.QuantReLU(act_quant=_activation(random, signed=False), return_quant_tensor=True),
        lambda: qnn.QuantIdentity(act_quant=signed, return_quant_tensor=True),
        lambda: qnn.QuantTanh(act_quant=signed, return_quant_tensor=True),
        lambda: qnn.QuantSigmoid(act_quant=_activation(random, signed=False), return_quant_tensor=True),
        lambda: nn.Sequential(nn.LeakyReLU(0.125), qnn.QuantIdentity(act_quant=signed, return_quant_tensor=True)),
        lambda: nn.Sequential(nn.Hardtanh(), qnn.QuantIdentity(act_quant=signed, return_quant_tensor=True)),
    )
    return makers[int(random.integers(len(makers)))]()


def _convolution(random: Random, channels: int, blocks: list[nn.Module], said: list[str]) -> int:
    weight = _weight(random)
    residual = random.random() < 0.3
    depthwise = random.random() < 0.25
    outputs = channels if residual or depthwise else int(random.integers(2, 6))
    layer = qnn.QuantConv2d(
        channels, outputs, 3, padding=1, groups=channels if depthwise else 1, return_quant_tensor=False, **weight
    )
    norm = nn.BatchNorm2d(outputs) if random.random() < 0.5 else nn.Identity()
    said.append(f"conv {channels}→{outputs}{' depthwise' * depthwise}{' residual' * residual} {_names(weight)}")
    if residual:
        shared = qnn.QuantIdentity(act_quant=_activation(random, signed=True), return_quant_tensor=True)
        blocks.append(Residual(layer, shared, norm))
    else:
        blocks += [layer, norm]
    blocks.append(_closed(random))
    return outputs


def _pool(random: Random, blocks: list[nn.Module]) -> str:
    pools = (nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Identity())
    blocks.append(pools[int(random.integers(len(pools)))])
    return type(blocks[-1]).__name__


def _dense(random: Random, channels: int, blocks: list[nn.Module], said: list[str], *, last: bool) -> int:
    if said and "AvgPool2d" in said[-1]:  # an average is no word: quantized in front of a layer
        blocks.append(qnn.QuantIdentity(act_quant=_activation(random, signed=True), return_quant_tensor=True))
    weight = _weight(random)
    outputs = int(random.integers(2, 7))
    blocks.append(qnn.QuantLinear(channels, outputs, return_quant_tensor=False, **weight))
    said.append(f"dense {channels}→{outputs} {_names(weight)}")
    if not last:
        blocks += [nn.BatchNorm1d(outputs)] if random.random() < 0.4 else []
        blocks.append(_closed(random))
    return outputs


def _names(weight: dict[str, Any]) -> str:
    bias = weight["bias_quant"]
    kind = "no bias" if not weight["bias"] else "float bias" if bias is None else bias.__name__
    return f"({weight['weight_quant'].__mro__[1].__name__}, {kind})"


def _prune(random: Random, module: nn.Module) -> None:
    if random.random() < 0.4:
        for part in module.modules():
            if isinstance(part, nn.Linear | nn.Conv2d):
                keep = torch.from_numpy(random.random(tuple(part.weight.shape)) < 0.6)
                part.weight.mul_(keep)
