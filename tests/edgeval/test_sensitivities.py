"""Gradient, Fisher diagonal and eigenpairs against dense derivatives, Brevitas, and FKeras' defective deflation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.networks import Mlp

from edgeval.sensitivities import Sensitivities, by_tensor_of, flat, value_words
from fault_injection.flips import value_steps
from hls.errors import UsageError
from hls.graph import IntegerGraph

Times = Callable[[np.ndarray], np.ndarray]


def sensitivities(recipe: Mlp, samples: int = 40) -> Sensitivities:
    graph = recipe.graph()
    # Outputs of a few units: a saturated softmax has no second derivative worth a test.
    values = dict(graph.values)
    values[graph.output] = replace(values[graph.output], scale=np.asarray(values[graph.output].scale / 16))
    graph = replace(graph, values=values)
    labels = np.random.default_rng(5).integers(0, recipe.widths[-1], samples)
    return Sensitivities(graph, graph.quantize_inputs(recipe.inputs(samples)), labels, "cross-entropy")


SMALL = Mlp(widths=(6, 5, 4, 3), seed=1)


def dense_hessian(found: Sensitivities) -> np.ndarray:
    """Second derivatives by torch, tensor by tensor, in units of real values."""
    names = list(found.at)
    blocks = torch.autograd.functional.hessian(
        lambda *words: found.mean_loss(dict(zip(names, words, strict=True))), tuple(found.at.values())
    )
    rows = [
        np.concatenate([block.numpy().reshape(found.at[one].numel(), -1) for block in row], axis=1)
        for one, row in zip(names, blocks, strict=True)
    ]
    steps = flat({name: value_steps(tensor) for name, tensor in found.network.graph.tensors.items()})
    return np.concatenate(rows) / np.outer(steps, steps)


def test_the_fisher_diagonal_is_the_mean_of_squared_gradients_of_single_samples() -> None:
    found = sensitivities(SMALL)
    sums = {name: np.zeros(words.shape) for name, words in found.at.items()}
    for sample in range(len(found.inputs)):
        one = slice(sample, sample + 1)
        alone = Sensitivities(
            found.network.graph, found.inputs[one].numpy().astype(np.int64), found.labels[one].numpy(), "cross-entropy"
        )
        for name, gradient in alone.gradient().items():
            sums[name] += gradient**2
    for name, diagonal in found.fisher_diagonal().items():
        assert np.allclose(diagonal, sums[name] / len(found.inputs), rtol=1e-12, atol=1e-18)
        assert (diagonal > 0).any()


def test_blocks_of_samples_do_not_change_the_fisher_diagonal(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = sensitivities(SMALL).fisher_diagonal()
    monkeypatch.setattr("edgeval.sensitivities._BLOCK_NUMBERS", 7 * sensitivities(SMALL).size)
    blocked = sensitivities(SMALL).fisher_diagonal()
    assert all(np.allclose(whole[name], blocked[name], rtol=1e-12, atol=0) for name in whole)


def test_a_hessian_product_is_the_dense_hessian_times_the_vector() -> None:
    found = sensitivities(SMALL)
    direction = np.random.default_rng(0).standard_normal(found.size)
    steps = flat({name: value_steps(tensor) for name, tensor in found.network.graph.tensors.items()})
    dense = dense_hessian(found) * np.outer(steps, steps)
    assert np.allclose(found.hessian_times(direction), dense @ direction, rtol=1e-9, atol=1e-12)


def test_the_top_eight_eigenpairs_are_those_of_the_dense_hessian() -> None:
    found = sensitivities(SMALL)
    values = np.linalg.eigvalsh(dense_hessian(found))
    expected = values[np.argsort(-np.abs(values))][:8]
    pairs = found.top_eigenpairs(8, np.random.default_rng(0))
    assert pairs.values == pytest.approx(expected, rel=1e-3)
    assert np.allclose(pairs.vectors @ pairs.vectors.T, np.eye(8), atol=1e-8)
    residuals = pairs.vectors @ dense_hessian(found) - pairs.values[:, None] * pairs.vectors
    assert np.abs(residuals).max() < 1e-4 * abs(pairs.values[0])


def test_the_start_vector_does_not_move_the_eigenvalues() -> None:
    found = sensitivities(SMALL)
    first, second = (found.top_eigenpairs(4, np.random.default_rng(seed)).values for seed in (1, 2))
    assert first == pytest.approx(second, rel=1e-6)


def power_iteration(
    times: Times, sizes: list[int], count: int, rng: np.random.Generator, *, by_tensor: bool
) -> list[float]:
    """FKeras' loop, with its deflation tensor by tensor or with the right one; 500 steps, no early stop."""
    ends = np.cumsum(sizes)[:-1]
    vectors: list[np.ndarray] = []
    values: list[float] = []
    for _ in range(count):
        v = rng.random(sum(sizes))
        for _ in range(500):
            for e in vectors:
                if by_tensor:
                    pairs = zip(np.split(v, ends), np.split(e, ends), strict=True)
                    v = np.concatenate([part - (part @ other) * other for part, other in pairs])
                else:
                    v = v - (v @ e) * e
            v = v / np.linalg.norm(v)
            product = times(v)
            value = float(v @ product)
            v = product / np.linalg.norm(product)
        vectors.append(v)
        values.append(value)
    return values


def test_deflation_tensor_by_tensor_as_in_fkeras_finds_wrong_eigenvalues() -> None:
    found = sensitivities(SMALL)
    dense = dense_hessian(found)
    sizes = [words.numel() for words in found.at.values()]
    values = np.linalg.eigvalsh(dense)
    expected = values[np.argsort(-np.abs(values))][:4]
    wrong = power_iteration(lambda v: dense @ v, sizes, 4, np.random.default_rng(0), by_tensor=True)
    right = power_iteration(lambda v: dense @ v, sizes, 4, np.random.default_rng(0), by_tensor=False)
    assert right == pytest.approx(expected, rel=1e-3)
    assert wrong[0] == pytest.approx(expected[0], rel=1e-3)
    assert max(abs(found / true - 1) for found, true in zip(wrong[1:], expected[1:], strict=True)) > 0.1


@pytest.mark.parametrize("count", [0, 10_000])
def test_a_number_of_eigenpairs_that_cannot_be_is_refused(count: int) -> None:
    with pytest.raises(UsageError, match="eigenpairs"):
        sensitivities(SMALL).top_eigenpairs(count, np.random.default_rng(0))


def test_a_vector_over_all_words_goes_back_to_its_tensors() -> None:
    graph = SMALL.graph()
    vector = np.arange(sum(tensor.words.size for tensor in graph.tensors.values()), dtype=np.float64)
    assert np.array_equal(flat(by_tensor_of(graph, vector)), vector)


def test_the_values_of_words_are_scale_times_word_channel_by_channel() -> None:
    graph = Mlp(per_channel=True, seed=2).graph()
    tensor = graph.tensors["fc1.weight"]
    assert tensor.scale.shape == (6,)
    values = by_tensor_of(graph, value_words(graph))["fc1.weight"]
    assert np.array_equal(values, tensor.words * tensor.scale[None, :])


def test_the_squared_error_of_a_regression_is_differentiated() -> None:
    graph = Mlp(widths=(6, 5, 1), seed=3).graph()
    inputs = graph.quantize_inputs(Mlp(widths=(6, 5, 1), seed=3).inputs(8))
    found = Sensitivities(graph, inputs, np.linspace(0, 1, 8), "squared-error")
    outputs = found.network.outputs(found.at, found.inputs).numpy()[:, 0]
    bias = found.gradient()["fc2.bias"]
    scale = float(value_steps(graph.tensors["fc2.bias"])[0])
    assert bias[0] == pytest.approx(2 * (outputs - np.linspace(0, 1, 8)).mean() * scale, rel=1e-12)


@pytest.mark.parametrize(("scales", "per_channel"), [("po2", False), ("float", True)])
def test_the_gradient_is_that_of_the_brevitas_model_transposed_and_scaled(scales: str, per_channel: bool) -> None:
    graph, model, inputs = brevitas_twin(scales, per_channel=per_channel)
    labels = np.random.default_rng(1).integers(0, 4, len(inputs))
    gradient = Sensitivities(graph, graph.quantize_inputs(inputs), labels, "cross-entropy").gradient()
    loss = torch.nn.functional.cross_entropy(model(torch.from_numpy(inputs)), torch.from_numpy(labels))
    loss.backward()
    for name in ("fc1", "fc2"):
        layer = getattr(model, name)
        stored = graph.tensors[f"{name}.weight"]
        expected = layer.weight.grad.numpy().T * value_steps(stored)
        # Brevitas also differentiates its scale, which hangs on the largest weight of each tensor or channel.
        largest = np.abs(layer.weight.detach().numpy().T)
        plain = largest < largest.max(axis=0 if per_channel else None, keepdims=True)
        assert np.allclose(gradient[f"{name}.weight"][plain], expected[plain], rtol=1e-3, atol=1e-7)
        assert np.abs(expected[plain]).max() > 1e-4
        bias = layer.bias.grad.numpy() * value_steps(graph.tensors[f"{name}.bias"])
        assert np.allclose(gradient[f"{name}.bias"], bias, rtol=1e-3, atol=1e-7)


def brevitas_twin(scales: str, *, per_channel: bool) -> tuple[IntegerGraph, torch.nn.Module, np.ndarray]:
    """An untrained Brevitas perceptron, the integer network of its export, and inputs."""
    from edgeval.architecture import perceptron
    from edgeval.brevitas_export import export_brevitas
    from edgeval.fingerprint import make_fingerprint
    from edgeval.quantize import Recipe, quantized_network
    from edgeval.run_record import RunRecord
    from edgeval.targets.digits import PIXEL
    from hls.lowering import lower

    architecture = perceptron((10, 8, 4))
    recipe = Recipe(bias_bits=16, scales=scales, per_channel=per_channel)  # type: ignore[arg-type]
    model = quantized_network(architecture, PIXEL, recipe, seed=4)
    inputs = (np.random.default_rng(2).integers(0, 17, (64, 10)) / 16).astype(np.float32)
    with torch.no_grad():
        model.train()(torch.from_numpy(inputs))
    record = RunRecord(
        fingerprint=make_fingerprint("train", {}, seeds={}, digests={}), source="digits", title="", metric="accuracy",
        task="classification", unit="fraction", direction="higher", samples=64, architecture=architecture,
    )  # fmt: skip
    return lower(export_brevitas(model.eval(), record)), model, inputs
