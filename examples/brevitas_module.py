"""Your own Brevitas module, trained your own way, into edgeval: what its quantizers have to be, and the rest.

Run it from anywhere: ``python examples/brevitas_module.py [FOLDER]``. It leaves a run directory in FOLDER (default
``runs/brevitas``) that every ``edgeval`` command reads.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

import edgeval

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Brevitas warns at import about its own future
    import brevitas.nn as qnn
    from brevitas.quant import (
        Int8WeightPerTensorFixedPoint,
        Int16Bias,
        Uint8ActPerTensorFixedPoint,
    )

TICKS, HIDDEN, CLASSES = 16, 12, 3
STEPS, BATCH = 300, 64


class PulseClassifier(nn.Module):
    """A 16-12-3 perceptron on sampled pulses. Three choices make it exact in integers.

    1. The input has a quantizer of its own, so that floats enter once.
    2. Every scale is a power of two (the ``FixedPoint`` quantizers), so that hls4ml's types shift exactly.
    3. The bias is quantized (``Int16Bias``) and every layer hands its successor a quant tensor, because a bias takes
       its scale from input scale × weight scale.
    """

    def __init__(self) -> None:
        super().__init__()
        activation = Uint8ActPerTensorFixedPoint.let(bit_width=6)
        weight = Int8WeightPerTensorFixedPoint.let(bit_width=5)
        self.input_quant = qnn.QuantIdentity(act_quant=activation, return_quant_tensor=True)
        self.fc1 = qnn.QuantLinear(TICKS, HIDDEN, bias=True, weight_quant=weight, bias_quant=Int16Bias)
        self.act1 = qnn.QuantReLU(act_quant=activation, return_quant_tensor=True)
        self.fc2 = qnn.QuantLinear(HIDDEN, CLASSES, bias=True, weight_quant=weight, bias_quant=Int16Bias)

    def forward(self, pulses: torch.Tensor) -> torch.Tensor:
        """Pulses, shape (samples, 16), to one score a class, shape (samples, 3)."""
        return self.fc2(self.act1(self.fc1(self.input_quant(pulses))))


def make_pulses(samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy pulses that are early, late or double; returns inputs and class numbers."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, samples)
    ticks = np.arange(TICKS)

    def bump(centre: np.ndarray) -> np.ndarray:
        return np.exp(-0.5 * ((ticks - centre[:, None]) / 1.5) ** 2)

    early, late = bump(rng.uniform(3, 5, samples)), bump(rng.uniform(10, 12, samples))
    shape = np.where((labels == 0)[:, None], early, np.where((labels == 1)[:, None], late, 0.6 * (early + late)))
    pulses = np.clip(shape + rng.normal(0.0, 0.1, shape.shape), 0.0, None)
    return pulses.astype(np.float32), labels.astype(np.int64)


def train(seed: int) -> PulseClassifier:
    """Train on seeded batches; nothing about it is edgeval's business."""
    torch.manual_seed(seed)
    model = PulseClassifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(STEPS):
        pulses, labels = make_pulses(BATCH, seed=1000 + step)
        loss = nn.functional.cross_entropy(model(torch.from_numpy(pulses)), torch.from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def main(folder: Path) -> int:
    """Train, export, compare, inject; 0 when every word agrees."""
    model = train(seed=0)
    inputs, labels = make_pulses(300, seed=1)
    exported = edgeval.export(model, folder / "run", inputs=inputs, labels=labels)
    for layer in exported.layers:
        sys.stdout.write(f"{layer.name:12} {layer.form:10} {layer.output_format}\n")
    accuracy = exported.record.qonnx.network_metric
    assert accuracy is not None, "labels were given"
    sys.stdout.write(f"integer network: accuracy {accuracy.value:.1%}\n")

    verdict = edgeval.compare(exported)
    sys.stdout.write(f"{verdict.headline}\n")

    campaign = edgeval.inject(exported, bits="msb")
    sys.stdout.write(
        f"{campaign.record.faults} faults in top bits on {campaign.record.samples} samples: {campaign.classes}\n"
    )
    if campaign.worst:
        sys.stdout.write(f"worst: {campaign.worst[0].site}, {campaign.worst[0].decisions_changed} decisions change\n")
    return max(verdict.exit_code, campaign.exit_code)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/brevitas")))
