"""Convolutions, pools and batch norms: trained for a moment, exported as QONNX and executed there."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from edgeval.architecture import Architecture, BatchNorm, Conv, Dense, Flatten, MaxPool, Relu
from edgeval.brevitas_export import export_brevitas, load_quantized_model, model_outputs
from edgeval.cli import run as edgeval
from edgeval.metrics import ACCURACY, Metric
from edgeval.quantize import Recipe, bias_words, linear_layers, mend_one_bit_input, norm_layers, quantized_network
from edgeval.run_directory import RunDirectory
from edgeval.targets import InputFormat, Splits
from edgeval.targets.protocol import Loss, Origin, Task, TrainingDefaults, random_splits
from edgeval.training import Trained, train_target
from edgeval.witness import execute_qonnx
from hls.errors import UsageError

BIT = InputFormat(width_bits=1, signed=False, scale_log2=0)
STRIPES = Origin(source="stripes", licence="none needed", citation="none")
TRAINING = TrainingDefaults(
    float_epochs=20,
    quantized_epochs=3,
    learning_rate=1e-2,
    quantized_learning_rate=5e-3,
    weight_decay=1e-3,
    dropout=0.0,
    batch_samples=32,
    patience=20,
)
NORMED = Architecture(
    input_shape=(1, 8, 8),
    layers=(
        Conv(channels=4, kernel=3),
        BatchNorm(),
        Relu(),
        MaxPool(size=2),
        Flatten(),
        Dense(width=6),
        BatchNorm(),
        Relu(),
        Dense(width=2),
    ),
)
PLAIN = Architecture(
    input_shape=(1, 8, 8),
    layers=(
        Conv(channels=4, kernel=3, stride=2, padding=1),
        Relu(),
        Conv(channels=3, kernel=2),
        Relu(),
        Flatten(),
        Dense(width=2),
    ),
)
NETWORKS = {"normed": NORMED, "plain": PLAIN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stripes:
    """Noisy one-bit images of a horizontal or a vertical stripe."""

    name: str = "stripes"
    title: str = "stripes"
    task: Task = "classification"
    metric: Metric = ACCURACY
    loss: Loss = "cross_entropy"
    input_format: InputFormat = BIT
    architecture: Architecture = NORMED
    training: TrainingDefaults = TRAINING
    origin: Origin = STRIPES

    def splits(self, seed: int) -> Splits:
        """Two hundred and fifty-six images and their direction."""
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 2, 256)
        images = (rng.random((256, 8, 8)) < 0.15).astype(np.float32)
        for image, label, place in zip(images, labels, rng.integers(0, 8, 256), strict=True):
            if label:
                image[:, place] = 1.0
            else:
                image[place] = 1.0
        return random_splits(images[:, None], labels, shares=(0.7, 0.1), seed=seed)


TARGET = Stripes()


@pytest.fixture(scope="module", params=NETWORKS)
def trained(request: pytest.FixtureRequest) -> Trained:
    return train_target(replace(TARGET, architecture=NETWORKS[request.param]), Recipe(sparsity=0.25), seed=0)


def exported(model: Any, tmp_path: Path, architecture: Architecture, input_format: InputFormat) -> onnx.ModelProto:
    """What `edgeval export` would write, without a run."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "brevitas.fx is deprecated", DeprecationWarning)
        warnings.filterwarnings("ignore", "fast_hadamard_transform package not found", UserWarning)
        from brevitas.export import export_qonnx
    path, sample = tmp_path / "model.onnx", torch.zeros(1, *architecture.input_shape)
    export_qonnx(model, args=sample, export_path=str(path), dynamo=False, opset_version=13)
    graph = onnx.load(path)
    mend_one_bit_input(graph, input_format)
    onnx.checker.check_model(graph)
    return graph


def test_it_learns(trained: Trained) -> None:
    assert trained.float_metric >= 0.9
    assert trained.quantized_metric >= 0.9


def test_the_same_seed_gives_the_same_bits(trained: Trained) -> None:
    target = replace(TARGET, architecture=trained.architecture)
    again = train_target(target, Recipe(sparsity=0.25), seed=0).quantized_model.state_dict()
    assert all(torch.equal(again[name], value) for name, value in trained.quantized_model.state_dict().items())


def test_saved_weights_make_the_same_network(trained: Trained) -> None:
    fresh = quantized_network(trained.architecture, BIT, trained.recipe, seed=9)
    fresh.load_state_dict(trained.quantized_model.state_dict())
    assert np.array_equal(model_outputs(fresh.eval(), trained.splits.test.inputs), trained.quantized_outputs)


def test_a_batch_norm_stays_and_its_layer_has_no_bias(trained: Trained) -> None:
    layers = [layer.bias is None for layer in linear_layers(trained.quantized_model)]
    normed = trained.architecture == NORMED
    assert layers == ([True, True, False] if normed else [False, False, False])
    assert len(norm_layers(trained.quantized_model)) == (2 if normed else 0)


def test_pruned_words_of_all_kinds_of_layers_are_zero(trained: Trained) -> None:
    weights = sum(layer.weight.numel() for layer in linear_layers(trained.quantized_model))
    assert trained.complexity.weights_total == weights
    assert trained.complexity.weights_nonzero <= weights - round(0.25 * weights)


def test_a_convolution_counts_once_for_each_output_pixel() -> None:
    result = train_target(replace(TARGET, architecture=PLAIN), Recipe(), seed=0, epochs=1)
    words = [
        layer.quant_weight().int().detach().numpy() for layer in result.quantized_model if hasattr(layer, "weight")
    ]

    def bops(weights: np.ndarray, positions: int, input_bits: int) -> float:
        inputs = weights[0].size
        share = np.count_nonzero(weights) / weights.size
        return float(positions * weights.size * (share * input_bits * 6 + input_bits + 6 + np.log2(inputs)))

    expected = bops(words[0], 16, 1) + bops(words[1], 9, 6) + bops(words[2], 1, 6)
    assert result.complexity.bops == pytest.approx(expected, rel=1e-12)


def test_bias_words_of_a_convolution_are_those_of_its_quantizer() -> None:
    result = train_target(
        replace(TARGET, architecture=PLAIN), Recipe(per_channel=True, scales="float"), seed=0, epochs=1
    )
    model: Any = result.quantized_model
    values = model.input_quant(torch.zeros(1, 1, 8, 8))
    first = model.conv1.bias_quant(model.conv1.bias, values, model.conv1.quant_weight()).int()
    assert bias_words(model, (1, 8, 8))[0].tolist() == first.tolist()


@pytest.mark.parametrize("per_channel", [False, True])
def test_a_convolution_has_one_scale_or_one_a_channel(*, per_channel: bool) -> None:
    model: Any = quantized_network(NORMED, BIT, Recipe(per_channel=per_channel), seed=0)
    assert model.conv1.quant_weight().scale.numel() == (4 if per_channel else 1)


def test_removing_neurons_is_refused_before_anything_is_trained() -> None:
    seen: list[str] = []
    with pytest.raises(UsageError, match="prune by magnitude"):
        train_target(
            TARGET,
            Recipe(sparsity=0.5, prune="structured"),
            seed=0,
            progress=lambda stage, done, total: seen.append(stage),
        )
    assert seen == []


def test_a_last_batch_of_one_sample_is_left_out_where_batches_are_normalised() -> None:
    odd = replace(TARGET, training=replace(TRAINING, batch_samples=178))  # 179 samples to train by
    assert train_target(odd, Recipe(), seed=0, epochs=1).float_metric > 0.0


@pytest.mark.parametrize(
    "recipe",
    [Recipe(), Recipe(weight_bits=4, activation_bits=4, scales="float", per_channel=True), Recipe(per_channel=True)],
    ids=["po2", "float per channel", "po2 per channel"],
)
@pytest.mark.parametrize("name", NETWORKS)
def test_the_qonnx_file_gives_what_torch_gives(name: str, recipe: Recipe, tmp_path: Path) -> None:
    architecture = NETWORKS[name]
    result = train_target(replace(TARGET, architecture=architecture), recipe, seed=0, epochs=1)
    graph = exported(result.quantized_model, tmp_path, architecture, BIT)
    found = execute_qonnx(graph, result.splits.test.inputs)
    assert len(np.unique(found)) > 10
    # Both compute in float32, in another order of sums; a real defect moves outputs by whole units of the last scale.
    assert np.allclose(found, result.quantized_outputs, rtol=0, atol=1e-5 * np.abs(found).max())
    kinds = [node.op_type for node in graph.graph.node]
    assert kinds.count("Conv") == len([layer for layer in architecture.layers if isinstance(layer, Conv)])
    assert kinds.count("BatchNormalization") == len(norm_layers(result.quantized_model))


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("options", [[], ["--weight-bits", "4", "--scales", "float", "--per-channel"]], ids=str)
def test_a_run_of_mnist_loads_and_exports_to_the_network_that_was_trained(options: list[str], tmp_path: Path) -> None:
    assert edgeval(["train", "mnist", "-o", str(tmp_path / "run"), "--epochs", "1", *options]) == 0
    run = RunDirectory(tmp_path / "run")
    record, samples = run.run_record(), run.samples()
    assert record.quantized_metric is not None
    assert record.quantized_metric.value > 0.8
    model = load_quantized_model(run, record)
    outputs = model_outputs(model, samples.inputs)
    assert samples.labels is not None
    assert ACCURACY.value(outputs, samples.labels) == record.quantized_metric.value
    found = execute_qonnx(export_brevitas(model, record), samples.inputs)
    assert np.allclose(found, outputs, rtol=0, atol=1e-5 * np.abs(outputs).max())
