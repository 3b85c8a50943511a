"""Training for the campaign benchmark: float first, then with rounded words (straight-through), to integer layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from campaign_networks import Data, Layer, Shape, Subject, subject
from torch import Tensor, nn

from edgeval.targets import TARGETS

FLOAT_EPOCHS, QUANTIZED_EPOCHS, BATCH = 12, 8, 64


def trained_subject(shape: Shape, samples: int, seed: int) -> Subject:
    """A network of this shape, trained on the shape's data, with its first samples to judge faults on."""
    data = shape.data(shape, samples, np.random.default_rng(seed))
    layers = train(shape, data, seed)
    return subject(shape, layers, data.test, data.test_labels, f"trained on {data.origin}")


def mnist(shape: Shape, samples: int, rng: np.random.Generator) -> Data:
    """5,000 images of MNIST; judged on these and on copies moved by a pixel, because there are no more of them."""
    splits = TARGETS["mnist-mlp"].splits(0)
    parts = [splits.train, splits.validation, splits.test]
    pixels = np.concatenate([part.inputs for part in parts]).reshape(-1, 28, 28) * 256
    words = np.floor(pixels).astype(np.int64) >> (8 - shape.bits)
    labels = np.concatenate([part.labels for part in parts]).astype(np.int64)
    moves = [(0, 1), (0, -1), (1, 0), (-1, 0)]
    moved = np.stack([np.roll(image, moves[rng.integers(4)], axis=(0, 1)) for image in words])
    test = np.concatenate([words, moved]).reshape(-1, 784)
    order = rng.permutation(len(test))[:samples]
    train = len(splits.train.inputs)
    return Data(
        train=words[:train].reshape(-1, 784),
        train_labels=labels[:train],
        test=test[order],
        test_labels=np.concatenate([labels, labels])[order],
        origin=f"{train:,} MNIST images; judged on images and copies moved by a pixel",
    )


def synthetic(shape: Shape, samples: int, rng: np.random.Generator) -> Data:
    """Overlapping Gaussian clusters, one a class: a seeded stand-in, no physics."""
    features, classes = shape.widths[0], shape.widths[-1]
    centres = rng.normal(0, 0.45, (classes, features))
    mixing = rng.normal(0, 1, (features, features)) / np.sqrt(features)
    labels = rng.integers(0, classes, 8000 + samples)
    values = centres[labels] + 0.8 * rng.normal(0, 1, (len(labels), features)) @ mixing
    word_format = shape.input_format
    unit = np.quantile(np.abs(values), 0.995) / word_format.maximum
    words = np.rint(values / unit).clip(word_format.minimum, word_format.maximum).astype(np.int64)
    return Data(
        train=words[:8000], train_labels=labels[:8000], test=words[8000:], test_labels=labels[8000:],
        origin="8,000 seeded synthetic samples",
    )  # fmt: skip


def train(shape: Shape, data: Data, seed: int) -> tuple[Layer, ...]:
    """Dense layers that classify the data, in integer words."""
    torch.manual_seed(seed)
    unit = 2.0**-shape.bits
    inputs = torch.tensor(data.train, dtype=torch.float32) * unit
    labels = torch.tensor(data.train_labels)
    linear = [nn.Linear(a, b) for a, b in zip(shape.widths[:-1], shape.widths[1:], strict=True)]
    _fit(linear, inputs, labels, None, FLOAT_EPOCHS, 1e-3)
    scales = _scales(linear, inputs, shape.bits, unit)
    _fit(linear, inputs, labels, (shape.bits, scales), QUANTIZED_EPOCHS, 5e-4)
    layers, below = [], unit
    for layer, (weight_scale, scale) in zip(linear, scales, strict=True):
        weight = _words(layer.weight.detach(), weight_scale, shape.bits).T.numpy().astype(np.int64)
        bias = np.rint(layer.bias.detach().numpy().astype(np.float64) / (below * weight_scale)).astype(np.int64)
        shift = round(np.log2(scale / (below * weight_scale)))
        layers.append(Layer(weight=weight, bias=bias, shift=shift))
        below = scale
    return tuple(layers)


def _fit(linear: list[nn.Linear], inputs: Tensor, labels: Tensor, quantized: Any, epochs: int, rate: float) -> None:
    parameters = [parameter for layer in linear for parameter in layer.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=1e-2)
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(_forward(linear, inputs[rows], quantized), labels[rows]).backward()
            optimizer.step()


def _forward(linear: list[nn.Linear], values: Tensor, quantized: Any) -> Tensor:
    for position, layer in enumerate(linear):
        last = position == len(linear) - 1
        if quantized is None:
            values = layer(values) if last else torch.relu(layer(values))
            continue
        bits, scales = quantized
        weight_scale, scale = scales[position]
        rounded = _words(layer.weight.detach(), weight_scale, bits) * weight_scale
        values = nn.functional.linear(values, layer.weight + (rounded - layer.weight).detach(), layer.bias)
        if not last:
            high = (2**bits - 1) * scale
            clipped = values.clamp(0, high)
            values = clipped + ((clipped / scale).round() * scale - clipped).detach()
    return values


def _scales(linear: list[nn.Linear], inputs: Tensor, bits: int, below: float) -> list[tuple[float, float]]:
    """Power-of-two scales of weights and activations, by what occurs; shifts are never negative."""
    scales = []
    with torch.no_grad():
        for layer in linear:
            weight_scale = 2.0 ** round(np.log2(3.5 * float(layer.weight.std()) / (2 ** (bits - 1) - 1)))
            inputs = torch.relu(layer(inputs))
            wanted = 2.0 ** round(np.log2(float(inputs.flatten()[:1_000_000].quantile(0.995)) / (2**bits - 1)))
            scale = below * weight_scale if layer is linear[-1] else max(wanted, below * weight_scale)
            scales.append((weight_scale, scale))
            below = scale
    return scales


def _words(values: Tensor, scale: float, bits: int) -> Tensor:
    limit = 2 ** (bits - 1) - 1
    return (values / scale).round().clamp(-limit, limit)
