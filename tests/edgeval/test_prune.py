from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgeval.prune import MagnitudeMasks, cubic_sparsity, remove_neurons
from edgeval.quantize import Recipe, float_mlp, linear_layers, quantized_mlp
from edgeval.targets import InputFormat

WIDTHS = (16, 12, 8, 3)
INPUTS = np.random.default_rng(5).integers(0, 2, (64, WIDTHS[0])).astype(np.float32)


def zero_count(model: torch.nn.Sequential) -> int:
    return sum(int((layer.weight == 0).sum()) for layer in linear_layers(model))


def weight_count(model: torch.nn.Sequential) -> int:
    return sum(layer.weight.numel() for layer in linear_layers(model))


def test_the_schedule_is_fast_at_first() -> None:
    values = [cubic_sparsity(0.8, step=step, steps=4) for step in range(6)]
    gains = np.diff(values)
    assert values[0] == 0.0
    assert values[4] == values[5] == 0.8
    assert np.all(np.diff(gains[:4]) < 0)


@given(st.floats(0.0, 0.99))
def test_exactly_the_asked_share_is_zero(sparsity: float) -> None:
    model = float_mlp(WIDTHS, dropout=0.0, seed=0)
    MagnitudeMasks(linear_layers(model)).grow(sparsity)
    assert zero_count(model) == round(sparsity * weight_count(model))


def test_the_smallest_weights_of_the_whole_network_go_first() -> None:
    model = float_mlp(WIDTHS, dropout=0.0, seed=0)
    before = torch.cat([layer.weight.detach().abs().flatten() for layer in linear_layers(model)])
    MagnitudeMasks(linear_layers(model)).grow(0.4)
    after = torch.cat([layer.weight.detach().flatten() for layer in linear_layers(model)])
    assert before[after == 0].max() <= before[after != 0].min()


def test_a_pruned_weight_stays_pruned_when_others_shrink_below_it() -> None:
    model = float_mlp(WIDTHS, dropout=0.0, seed=0)
    masks = MagnitudeMasks(linear_layers(model))
    masks.grow(0.3)
    first = [layer.weight == 0 for layer in linear_layers(model)]
    with torch.no_grad():
        for layer in linear_layers(model):
            layer.weight.fill_(0.01)
    masks.grow(0.1)
    assert all(torch.equal(layer.weight == 0, old) for layer, old in zip(linear_layers(model), first, strict=True))


def test_masks_hold_against_momentum_and_so_do_the_words() -> None:
    words = InputFormat(width_bits=1, signed=False, scale_log2=0)
    model = quantized_mlp(WIDTHS, words, Recipe(), seed=0).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    masks = MagnitudeMasks(linear_layers(model))
    for step in range(4):
        if step == 2:
            masks.grow(0.5)
        optimizer.zero_grad()
        model(torch.from_numpy(INPUTS)).square().sum().backward()
        optimizer.step()
        masks.hold()
    pruned = masks.pruned_count
    assert zero_count(model) == pruned == weight_count(model) // 2
    assert sum(int((layer.quant_weight().int() == 0).sum()) for layer in linear_layers(model)) >= pruned


@pytest.mark.parametrize("sparsity", [0.0, 0.25, 0.5, 0.75, 0.9])
def test_removing_neurons_comes_as_close_as_whole_neurons_allow(sparsity: float) -> None:
    model = float_mlp(WIDTHS, dropout=0.1, seed=0)
    smaller = remove_neurons(model, sparsity, inputs=INPUTS)
    share = 1 - weight_count(smaller) / weight_count(model)
    largest_neuron = (WIDTHS[0] + WIDTHS[2]) / weight_count(model)
    assert abs(share - sparsity) <= largest_neuron / 2


def test_every_layer_keeps_a_neuron() -> None:
    smaller = remove_neurons(float_mlp(WIDTHS, dropout=0.0, seed=0), 0.999, inputs=INPUTS)
    assert [layer.out_features for layer in linear_layers(smaller)] == [1, 1, 3]


def test_a_neuron_that_never_changes_is_removed_without_any_effect() -> None:
    model = float_mlp((16, 12, 3), dropout=0.0, seed=0)
    with torch.no_grad():
        model.fc1.weight[4] = 0.0
        model.fc1.bias.fill_(2.0)  # no neuron is dead, so the constant one alone has no importance
    one_neuron = (16 + 3) / weight_count(model)
    smaller = remove_neurons(model, one_neuron, inputs=INPUTS)
    given = torch.from_numpy(INPUTS)
    assert linear_layers(smaller)[0].out_features == 11
    assert torch.allclose(smaller(given), model(given), atol=1e-6)


def test_removing_neurons_leaves_the_given_network_alone() -> None:
    model = float_mlp(WIDTHS, dropout=0.0, seed=0)
    before = [parameter.clone() for parameter in model.parameters()]
    remove_neurons(model, 0.5, inputs=INPUTS)
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))
