"""The differentiable network gives the exact engine's words, and derivatives that finite differences confirm."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.float_copy import FloatCopy, cross_entropy
from support.graphs import Net, signed, unsigned
from support.networks import Mlp

from edgeval.differentiable import WordNetwork
from edgeval.sensitivities import Sensitivities
from hls.engine import ExactEngine
from hls.errors import UsageError
from hls.formats import WordFormat
from hls.graph import IntegerGraph, StoredTensor
from hls.host import HostApply


def image_net(seed: int = 3) -> tuple[IntegerGraph, np.ndarray]:
    """Convolutions with groups, strides, dilations and uneven pads, both requantizers, a residual sum, all moves."""
    net = Net(shape=(6, 5, 2), format=signed(5), seed=seed)
    first = net.conv("q", 4, (3, 3), bias=signed(6), pads=(1, 0, 1, 1), widen=np.array([0, 1, 0, 2]))
    first = net.requantize(first, (3, 2, 5, 3), (8, -4, 0, 1), (5, 4, 6, 5), signed(6))
    left = net.conv(first, 4, (3, 2), groups=2, pads=(1, 1, 1, 0), strides=(1, 1))
    left = net.shift(left, 3, signed(6))
    both = net.add((first, left), (2, -1))
    both = net.sum_pool(net.pad(both, (0, 1, 0, 0, 0, 0)), (2, 2))
    both = net.shift(net.resize(both, (1, 2, 1)), 2, unsigned(6))
    both = net.transpose(both, (1, 0, 2))
    both = net.concat((net.slice(both, 0, 0, 4, 2), net.slice(both, 0, 1, 4, 2)), 0)
    size = int(np.prod(net.values[both].shape))
    net.matmul(net.reshape(both, (size,)), 3, bias=signed(8))
    return scaled(net.graph(), 2.0**-9), net.words(7)


def scaled(graph: IntegerGraph, scale: float) -> IntegerGraph:
    """The same network with outputs of a size that a softmax is not saturated by."""
    values = dict(graph.values)
    values[graph.output] = replace(values[graph.output], scale=np.asarray(scale))
    return replace(graph, values=values)


def mlp(**options: object) -> tuple[IntegerGraph, np.ndarray]:
    recipe = Mlp(**options)  # type: ignore[arg-type]
    graph = recipe.graph()
    return graph, graph.quantize_inputs(recipe.inputs(9))


NETWORKS = {
    "shifts": mlp(seed=1),
    "requantizers and widened channels": mlp(per_channel=True),
    "float scales": mlp(po2=False, seed=1),
    "float scales a channel": mlp(po2=False, per_channel=True),
    "signed activations": mlp(signed_activation=True, relu=False, seed=1),
    "no bias": mlp(bias=False, seed=1),
    "Gemm, signed inputs": mlp(gemm=True, input_signed=True, seed=1),
    "images": image_net(),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_words_are_those_of_the_exact_engine(name: str) -> None:
    graph, inputs = NETWORKS[name]
    network = WordNetwork(graph)
    words = network.words(network.parameters(), torch.from_numpy(inputs.astype(np.float64))).numpy()
    expected = ExactEngine(graph).run(inputs).output
    assert np.array_equal(words, expected)
    assert len(np.unique(expected)) > 12, "the network has to have something to say"


@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradient_is_the_change_of_the_loss_when_a_stored_word_moves(name: str) -> None:
    graph, inputs = NETWORKS[name]
    outputs = graph.output_values(ExactEngine(graph).run(inputs).output).reshape(len(inputs), -1)
    labels = np.random.default_rng(0).integers(0, outputs.shape[1], len(inputs))
    gradient = Sensitivities(graph, inputs, labels, "cross-entropy").gradient()
    copy = FloatCopy(graph, inputs)
    words = {name: tensor.words.astype(np.float64) for name, tensor in graph.tensors.items()}
    for tensor, array in words.items():
        measured = np.zeros(array.size)
        for index in range(array.size):
            losses = []
            for step in (1e-4, -1e-4):
                moved = array.copy()
                moved.flat[index] += step
                losses.append(cross_entropy(copy.outputs({**words, tensor: moved}), labels))
            measured[index] = (losses[0] - losses[1]) / 2e-4
        # Central differences: rounding costs about 1e-16 / 1e-4, curvature 1e-8 of the third derivative.
        assert np.allclose(gradient[tensor].reshape(-1), measured, rtol=1e-5, atol=1e-8), tensor
        assert np.count_nonzero(measured) > array.size // 4, f"{tensor}: a test of zeros shows nothing"


def test_a_maximum_passes_its_derivative_to_the_largest_word() -> None:
    net = Net(shape=(4, 4, 2), format=signed(6), seed=1)
    pooled = net.max_pool(net.conv("q", 3, (2, 2)), (2, 2), pads=(1, 1, 0, 0))
    net.matmul(net.reshape(pooled, (int(np.prod(net.values[pooled].shape)),)), 2)
    graph, inputs = scaled(net.graph(), 2.0**-9), net.words(1)
    weight = graph.tensors["conv1.weight"].words.astype(np.float64)
    words = {name: tensor.words.astype(np.float64) for name, tensor in graph.tensors.items()}
    gradient = Sensitivities(graph, inputs, np.array([1]), "cross-entropy").gradient()["conv1.weight"]
    copy = FloatCopy(graph, inputs)
    for index in range(weight.size):
        up, down = weight.copy(), weight.copy()
        up.flat[index] += 1e-4
        down.flat[index] -= 1e-4
        one, two = (
            cross_entropy(copy.outputs({**words, "conv1.weight": moved}), np.array([1])) for moved in (up, down)
        )
        assert gradient.flat[index] == pytest.approx((one - two) / 2e-4, rel=1e-5, abs=1e-8)


def test_a_zero_point_moves_words_and_not_derivatives() -> None:
    net = Net(shape=(5,), seed=2)
    net.matmul("q", 3, weights=unsigned(4), zero_point=7)
    graph, inputs = net.graph(), net.words(6)
    network = WordNetwork(graph)
    words = network.words(network.parameters(), torch.from_numpy(inputs.astype(np.float64))).numpy()
    assert np.array_equal(words, ExactEngine(graph).run(inputs).output)


def test_a_softmax_on_the_host_is_differentiated_too() -> None:
    graph, inputs = mlp()
    graph = replace(graph, tail=(HostApply(function="softmax"),))
    network = WordNetwork(graph)
    outputs = network.outputs(network.parameters(), torch.from_numpy(inputs.astype(np.float64))).numpy()
    assert np.allclose(outputs, graph.output_values(ExactEngine(graph).run(inputs).output), rtol=1e-12)


def test_a_table_is_refused_by_its_layer_with_the_methods_that_remain() -> None:
    net = Net(shape=(3,))
    net.matmul(net.lookup("q", signed(4)), 2)
    with pytest.raises(UsageError, match=r"act1, a lookup.*finite-difference"):
        WordNetwork(net.graph())


def test_an_accumulator_that_wraps_is_refused() -> None:
    net = Net(shape=(6,), format=unsigned(4))
    net.matmul("q", 2, accumulator=WordFormat(width_bits=5, encoding="twos_complement", overflow="wrap"))
    with pytest.raises(UsageError, match="wraps"):
        WordNetwork(net.graph())


def test_words_beyond_float64_are_refused() -> None:
    net = Net(shape=(2,), format=unsigned(30))
    net.matmul("q", 2, weights=signed(30))
    with pytest.raises(UsageError, match="float64"):
        WordNetwork(net.graph())


def test_a_host_function_without_a_derivative_here_is_refused() -> None:
    graph, _ = mlp()
    with pytest.raises(UsageError, match="sigmoid"):
        WordNetwork(replace(graph, tail=(HostApply(function="sigmoid"),)))


def test_parameters_are_the_stored_words_in_data_order() -> None:
    graph, _ = mlp(per_channel=True)
    parameters = WordNetwork(graph).parameters()
    assert list(parameters) == list(graph.tensors)
    stored: list[StoredTensor] = list(graph.tensors.values())
    assert all(np.array_equal(parameters[tensor.name].numpy(), tensor.words) for tensor in stored)
