"""Brevitas modules as a user would write them, for ``edgeval export support.own_modules:FACTORY``.

Imported by name through edgeval, never by a test itself: Brevitas warns when it is imported.
"""

from __future__ import annotations

import sys
from collections import OrderedDict

import brevitas.nn as qnn
import torch
from brevitas.quant import (
    Int8WeightPerTensorFixedPoint,
    Int16Bias,
    SignedBinaryActPerTensorConst,
    Uint8ActPerTensorFixedPoint,
)
from brevitas.quant_tensor import QuantTensor
from torch import nn

INPUTS, HIDDEN, OUTPUTS = 8, 6, 3
WEIGHT = Int8WeightPerTensorFixedPoint.let(bit_width=4)
NUMBER = 7
"""Something that is no factory."""


class Mlp(nn.Module):
    """8-6-3, seeded; ``steps`` extra passes through one shared layer and activation."""

    def __init__(
        self, *, seed: int = 0, hidden: int = HIDDEN, bits: int = 5, input_bits: int = 5, steps: int = 0
    ) -> None:
        super().__init__()
        torch.manual_seed(seed)
        activation = Uint8ActPerTensorFixedPoint.let(bit_width=bits)
        entry = Uint8ActPerTensorFixedPoint.let(bit_width=input_bits)
        self.input_quant = qnn.QuantIdentity(act_quant=entry, return_quant_tensor=True)
        self.fc1 = qnn.QuantLinear(INPUTS, hidden, bias=True, weight_quant=WEIGHT, bias_quant=Int16Bias)
        self.act1 = qnn.QuantReLU(act_quant=activation, return_quant_tensor=True)
        self.middle = nn.ModuleList(
            qnn.QuantLinear(hidden, hidden, bias=True, weight_quant=WEIGHT, bias_quant=Int16Bias) for _ in range(steps)
        )
        self.fc2 = qnn.QuantLinear(hidden, OUTPUTS, bias=True, weight_quant=WEIGHT, bias_quant=Int16Bias)
        with torch.no_grad():  # calibrates the scales
            self.train()(torch.rand(64, INPUTS))
        self.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.act1(self.fc1(self.input_quant(x)))
        for layer in self.middle:
            hidden = self.act1(layer(hidden))
        return self.fc2(hidden)


def plain(seed: int = 0, hidden: int = HIDDEN) -> nn.Module:
    sys.stdout.write("a factory that talks\n")
    return Mlp(seed=seed, hidden=hidden)


def nested() -> nn.Module:
    """Named as TorchScript names nothing plainly: a Sequential in a Sequential."""
    model = Mlp()
    body = nn.Sequential(model.fc1, model.act1)
    return nn.Sequential(OrderedDict(net=nn.Sequential(model.input_quant, body), head=model.fc2)).eval()


class _Wrapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp()


class NeedsQuantTensors(_Wrapped):
    """Dynamo drops quant tensors, so that it cannot trace the assertion."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.mlp.input_quant(x)
        assert isinstance(hidden, QuantTensor)
        return self.mlp.fc2(self.mlp.act1(self.mlp.fc1(hidden)))


class OneBitPassedThrough(nn.Module):
    """TorchScript forgets ``mlp`` in the paths of nodes: it is never called itself."""

    def __init__(self) -> None:
        super().__init__()
        self.mlp = Mlp(bits=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.mlp.fc2(self.mlp.act1(self.mlp.fc1(self.mlp.input_quant(x))))


class BatchBranch(_Wrapped):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.mlp(x)
        return scores if x[0, 0] > 0.5 else -scores


class TwoOutputs(_Wrapped):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scores = self.mlp(x)
        return scores, scores


class NotFinite(_Wrapped):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.log(self.mlp(x) - 1000.0)


class FloatTail(_Wrapped):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(self.mlp(x))


def bipolar() -> nn.Module:
    activation = qnn.QuantIdentity(act_quant=SignedBinaryActPerTensorConst, return_quant_tensor=True)
    return nn.Sequential(activation, qnn.QuantLinear(INPUTS, OUTPUTS, bias=False, weight_quant=WEIGHT)).eval()


def floating() -> nn.Module:
    return nn.Linear(INPUTS, OUTPUTS)


def failing() -> nn.Module:
    raise RuntimeError("no weights today")


def leaving() -> nn.Module:
    raise SystemExit("bye")


def listing() -> list[int]:
    return [1]


INSTANCE = Mlp()
