"""Pruning: zero the smallest weights and keep them zero, or remove whole hidden neurons.

What ``sparsity`` means:

- *magnitude*: exactly round(sparsity × weights) of all weights of the network, taken together, are zero. Quantization
  may round more of them to zero words; never fewer.
- *structured*, of perceptrons only: removed neurons take their weights with them; the share of weights that went is the
  sparsity, reached as closely as whole neurons allow. Nothing that is left is forced to zero.

Biases are never pruned.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from edgeval.quantize import float_mlp, linear_layers


def cubic_sparsity(final_sparsity: float, *, step: int, steps: int) -> float:
    """Sparsity after ``step`` of ``steps``: fast at first, while there is much to spare, then slower.

    s(t) = s_f·(1 − (1 − t/T)³). Source: Zhu and Gupta, "To prune, or not to prune" (2017), arXiv:1710.01878.

    Example:
        >>> [cubic_sparsity(0.5, step=step, steps=2) for step in (0, 1, 2, 3)]
        [0.0, 0.4375, 0.5, 0.5]
    """
    done = min(1.0, step / steps)
    return final_sparsity * (1.0 - (1.0 - done) ** 3)


@final
class MagnitudeMasks:
    """Which weights of some layers are pruned; the set only grows.

    It changes the layers it was given: call ``hold`` after every step of the optimizer, because momentum moves pruned
    weights too.

    Args:
        layers: Layers with a ``weight``; biases are left alone.
    """

    __slots__ = ("_masks", "_weights")

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        self._weights = [_weight(layer) for layer in layers]
        self._masks = [torch.ones_like(weight, dtype=torch.bool) for weight in self._weights]

    @property
    def pruned_count(self) -> int:
        """Weights that are pruned by now."""
        return sum(int((~mask).sum()) for mask in self._masks)

    def grow(self, sparsity: float) -> None:
        """Prune the smallest weights of all layers together, then ``hold``.

        Args:
            sparsity: Share of all weights to have pruned, in [0, 1). Those pruned before stay so.
        """
        # Pruned weights sort before all others, even before an unpruned zero.
        ranks = torch.cat(
            [
                torch.where(mask, weight.detach().abs(), -1.0).flatten()
                for mask, weight in zip(self._masks, self._weights, strict=True)
            ]
        )
        count = max(self.pruned_count, round(sparsity * ranks.numel()))
        kept = torch.ones_like(ranks, dtype=torch.bool)
        kept[torch.argsort(ranks, stable=True)[:count]] = False
        parts = torch.split(kept, [mask.numel() for mask in self._masks])
        self._masks = [part.view_as(mask) for part, mask in zip(parts, self._masks, strict=True)]
        self.hold()

    def hold(self) -> None:
        """Set every pruned weight to exactly zero; its word is zero under any scale."""
        with torch.no_grad():
            for mask, weight in zip(self._masks, self._weights, strict=True):
                weight.mul_(mask)


def remove_neurons(
    model: nn.Sequential, sparsity: float, *, inputs: Float[np.ndarray, "samples features"]
) -> nn.Sequential:
    """Remove the least important hidden neurons of a float perceptron.

    A neuron's importance is the change in the next layer if it were replaced by its mean: the standard deviation of its
    output over the samples times the norm of its outgoing weights, relative to the mean of its layer. The mean of a
    removed neuron moves into the next layer's biases. The last neuron of a layer always stays.

    Args:
        model: A perceptron as ``float_mlp`` builds it; left as it is.
        sparsity: Share of the weights to remove, in [0, 1), reached as closely as whole neurons allow.
        inputs: Samples of the training part, shape (samples, features).

    Returns:
        A smaller perceptron, in training mode like the given one.
    """
    layers = _dense_layers(model)
    means, importances = _importances(model, torch.from_numpy(np.asarray(inputs, dtype=np.float32)))
    kept = _choose(layers, importances, sparsity)
    widths = [layers[0].in_features, *(len(neurons) for neurons in kept), layers[-1].out_features]
    dropout = next((module.p for module in model if isinstance(module, nn.Dropout)), 0.0)
    smaller = float_mlp(widths, dropout=dropout, seed=0)  # every initial weight is overwritten below
    with torch.no_grad():
        for number, (old, new) in enumerate(zip(layers, _dense_layers(smaller), strict=True)):
            rows = kept[number] if number < len(kept) else torch.arange(old.out_features)
            columns = kept[number - 1] if number > 0 else torch.arange(old.in_features)
            bias = old.bias.clone()
            if number > 0:
                gone = torch.ones(old.in_features, dtype=torch.bool)
                gone[columns] = False
                bias += old.weight[:, gone] @ means[number - 1][gone]
            new.weight.copy_(old.weight[rows][:, columns])
            new.bias.copy_(bias[rows])
    return smaller.train(model.training)


def _importances(model: nn.Sequential, inputs: torch.Tensor) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    layers = _dense_layers(model)
    means, importances = [], []
    values = inputs
    with torch.no_grad():
        for layer, following in itertools.pairwise(layers):
            values = torch.relu(layer(values))
            means.append(values.mean(dim=0))
            effect = values.std(dim=0, unbiased=False) * following.weight.norm(dim=0)
            importances.append(effect / effect.mean().clamp_min(1e-12))
    return means, importances


def _choose(layers: Sequence[nn.Linear], importances: Sequence[torch.Tensor], sparsity: float) -> list[torch.Tensor]:
    """Indices of the neurons that stay, for each hidden layer."""
    hidden = [layer.out_features for layer in layers[:-1]]
    ends = (layers[0].in_features, layers[-1].out_features)
    total = _weight_count(hidden, ends)
    goal = total * (1.0 - sparsity)
    ranks = [torch.argsort(importance, stable=True) for importance in importances]
    removed = [0] * len(hidden)
    for number in _removal_order(importances):
        if removed[number] == hidden[number] - 1:
            continue
        before = _weight_count([w - r for w, r in zip(hidden, removed, strict=True)], ends)
        trial = [r + (n == number) for n, r in enumerate(removed)]
        after = _weight_count([w - r for w, r in zip(hidden, trial, strict=True)], ends)
        if abs(after - goal) > abs(before - goal):
            break
        removed = trial
    return [torch.sort(rank[count:]).values for rank, count in zip(ranks, removed, strict=True)]


def _removal_order(importances: Sequence[torch.Tensor]) -> list[int]:
    """Hidden layers that lose a neuron, least important neuron of all first."""
    values = [(float(value), layer) for layer, neurons in enumerate(importances) for value in neurons]
    return [layer for _, layer in sorted(values)]


def _weight_count(hidden: Sequence[int], ends: tuple[int, int]) -> int:
    widths = [ends[0], *hidden, ends[1]]
    return sum(a * b for a, b in itertools.pairwise(widths))


def _dense_layers(model: nn.Sequential) -> list[nn.Linear]:
    layers = linear_layers(model)
    dense = [layer for layer in layers if isinstance(layer, nn.Linear)]
    assert len(dense) == len(layers), "neurons are removed from perceptrons only"
    return dense


def _weight(layer: nn.Module) -> nn.Parameter:
    weight = layer.weight
    assert isinstance(weight, nn.Parameter)
    return weight
