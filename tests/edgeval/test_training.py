from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from edgeval.architecture import Architecture, perceptron
from edgeval.metrics import ACCURACY, Metric, rmse
from edgeval.quantize import Recipe, bias_words, narrowest_bias_bits, quantized_network
from edgeval.targets import TARGETS, InputFormat, Splits
from edgeval.targets.protocol import Loss, Origin, Task, TrainingDefaults, random_splits
from edgeval.training import Trained, model_outputs, train_target
from hls.errors import UsageError

BIT_ERROR = rmse("bits")
COUNTING = Origin(source="counting", licence="none needed", citation="none")
BITS = InputFormat(width_bits=1, signed=False, scale_log2=0)
NETWORK = perceptron((8, 12, 6, 1))
TRAINING = TrainingDefaults(
    float_epochs=30,
    quantized_epochs=10,
    learning_rate=1e-2,
    quantized_learning_rate=5e-3,
    weight_decay=1e-3,
    dropout=0.1,
    batch_samples=32,
    patience=10,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Toy:
    """Count the set bits of eight; as a class (more than four) or as a number with an offset."""

    name: str = "toy"
    title: str = "set bits of eight"
    task: Task = "regression"
    metric: Metric = BIT_ERROR
    loss: Loss = "mse"
    input_format: InputFormat = BITS
    architecture: Architecture = NETWORK
    training: TrainingDefaults = TRAINING
    origin: Origin = COUNTING

    def splits(self, seed: int) -> Splits:
        inputs = np.random.default_rng(seed).integers(0, 2, (256, 8)).astype(np.float32)
        counts = inputs.sum(axis=1).astype(np.float64)
        labels = 100.0 + counts if self.task == "regression" else (counts > 4).astype(np.int64)
        return random_splits(inputs, labels, shares=(0.7, 0.1), seed=seed)


NUMBER = Toy()
CLASS = Toy(task="classification", metric=ACCURACY, loss="cross_entropy", architecture=perceptron((8, 12, 6, 2)))


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train_target(NUMBER, Recipe(sparsity=0.5), seed=0)


def same_state(first: torch.nn.Module, other: torch.nn.Module) -> bool:
    states = first.state_dict(), other.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_regression_answers_in_the_unit_of_its_labels(trained: Trained) -> None:
    assert abs(trained.float_outputs.mean() - 104.0) < 1.0
    assert trained.float_metric < 0.5
    assert trained.quantized_metric < 0.7


def test_a_classification_learns(trained: Trained) -> None:
    result = train_target(CLASS, Recipe(), seed=0)
    assert result.float_metric > 0.85
    assert result.quantized_metric > 0.85


def test_both_metrics_are_of_the_test_part(trained: Trained) -> None:
    outputs = model_outputs(trained.quantized_model, trained.splits.test)
    assert NUMBER.metric.value(outputs, trained.splits.test.labels) == trained.quantized_metric
    assert np.array_equal(outputs, trained.quantized_outputs)
    assert not trained.quantized_model.training
    assert not trained.float_model.training


def test_the_same_seed_gives_the_same_bits_whatever_torchs_generator_did_before(trained: Trained) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.rand(5)
        again = train_target(NUMBER, Recipe(sparsity=0.5), seed=0)
    assert same_state(again.float_model, trained.float_model)
    assert same_state(again.quantized_model, trained.quantized_model)


def test_another_seed_gives_another_network(trained: Trained) -> None:
    other = train_target(NUMBER, Recipe(sparsity=0.5), seed=1, epochs=1)
    assert not same_state(other.quantized_model, trained.quantized_model)


def test_torchs_global_state_is_left_as_it_was() -> None:
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    train_target(NUMBER, Recipe(), seed=0, epochs=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == (threads, False)


def test_saved_weights_make_the_same_network(trained: Trained) -> None:
    fresh = quantized_network(trained.architecture, BITS, trained.recipe, seed=9)
    fresh.load_state_dict(trained.quantized_model.state_dict())
    assert np.array_equal(model_outputs(fresh.eval(), trained.splits.test), trained.quantized_outputs)


def test_magnitude_pruning_reaches_its_sparsity_in_words(trained: Trained) -> None:
    weights = 8 * 12 + 12 * 6 + 6
    assert trained.complexity.weights_total == weights
    assert trained.complexity.weights_nonzero <= weights // 2
    assert trained.sparsity == 1 - trained.complexity.weights_nonzero / weights
    assert trained.architecture == NUMBER.architecture


def test_an_open_bias_width_ends_as_narrow_as_the_words_allow(trained: Trained) -> None:
    assert trained.recipe.bias_bits == narrowest_bias_bits(bias_words(trained.quantized_model))
    assert trained.clipped_biases == 0


def test_a_bias_width_that_clips_says_so() -> None:
    result = train_target(NUMBER, Recipe(bias_bits=4), seed=0, epochs=1)
    assert (result.recipe.bias_bits, result.clipped_biases > 0) == (4, True)


def test_even_one_epoch_ends_fully_pruned() -> None:
    result = train_target(NUMBER, Recipe(sparsity=0.5), seed=0, epochs=1)
    assert result.sparsity >= 0.5


def test_structured_pruning_makes_the_network_smaller() -> None:
    result = train_target(NUMBER, Recipe(sparsity=0.5, prune="structured"), seed=0)
    widths = result.architecture.perceptron_widths
    assert widths is not None
    assert sum(widths[1:-1]) < 18
    assert result.complexity.weights_total == sum(a * b for a, b in itertools.pairwise(widths))
    assert result.sparsity == pytest.approx(0.5, abs=0.06)
    assert result.quantized_metric < 0.7


def test_progress_names_stage_and_epoch() -> None:
    seen: list[tuple[str, int, int]] = []
    train_target(NUMBER, Recipe(), seed=0, epochs=2, progress=lambda *step: seen.append(step))
    assert seen == [*(("float", epoch, 4) for epoch in (1, 2, 3, 4)), ("quantize", 1, 2), ("quantize", 2, 2)]


def test_no_epochs_are_refused() -> None:
    with pytest.raises(UsageError, match="1 or more"):
        train_target(NUMBER, Recipe(), seed=0, epochs=0)


def test_float_training_stops_when_it_no_longer_helps() -> None:
    seen: list[str] = []
    still = replace(NUMBER, training=replace(TRAINING, learning_rate=0.0, patience=3))
    train_target(still, Recipe(), seed=0, progress=lambda stage, done, total: seen.append(stage))
    assert seen.count("float") == 4


@pytest.mark.slow
@pytest.mark.parametrize("per_channel", [False, True])
def test_pruned_six_bit_digits_stay_near_float(*, per_channel: bool) -> None:
    result = train_target(TARGETS["digits"], Recipe(sparsity=0.5, per_channel=per_channel), seed=0)
    assert result.float_metric >= 0.96
    assert result.quantized_metric >= result.float_metric - 0.015


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("per_channel", [False, True])
def test_pruned_six_bit_freesolv_stays_near_float(*, per_channel: bool) -> None:
    result = train_target(TARGETS["freesolv"], Recipe(sparsity=0.5, per_channel=per_channel), seed=0)
    assert result.float_metric <= 2.5
    assert result.quantized_metric <= 1.15 * result.float_metric
