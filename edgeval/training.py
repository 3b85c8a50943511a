"""Training: float first, then pruning and quantization-aware fine-tuning; the same bits every time on one machine."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import nn

from edgeval.architecture import Architecture, Conv, Dense, Shape, perceptron
from edgeval.complexity import Complexity, LayerWords, complexity
from edgeval.prune import MagnitudeMasks, cubic_sparsity, remove_neurons
from edgeval.quantize import (
    Recipe,
    bias_words,
    float_network,
    linear_layers,
    narrowest_bias_bits,
    norm_layers,
    quantized_network,
)
from edgeval.targets.protocol import Loss, Split, Splits, Target
from hls.errors import UsageError

Progress = Callable[[str, int, int], None]
"""Called with stage (``float``, ``prune``, ``quantize``), epochs done, and the most epochs there will be."""

PRUNING_SHARE = 0.5
"""Share of the quantized epochs in which magnitude pruning grows; in the rest the network recovers."""

RECOVERY_SHARE = 0.25
"""Share of the float epochs that follow a removal of neurons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A trained network beside the float network it came from.

    Attributes:
        quantized_model: Brevitas module in evaluation mode.
        float_model: Float module in evaluation mode, before any pruning: the reference.
        recipe: The recipe with nothing left open: ``quantized_network(architecture, input_format, recipe, seed=0)``
            and the saved weights make the quantized model again.
        architecture: Of the quantized model, after structured pruning.
        splits: The data it was trained, chosen and judged by.
        float_metric: Metric of the float model on the test part, in the metric's unit.
        quantized_metric: Metric of the quantized model on the test part.
        float_outputs: Outputs of the float model on the test part, shape (samples, outputs).
        quantized_outputs: Outputs of the quantized model on the test part, shape (samples, outputs).
        complexity: Words, bits and bit operations of the quantized model.
        sparsity: Share that was pruned: magnitude: zero weight words of all weight words; structured: weights that went
            with the removed neurons, of all weights before.
        clipped_biases: Bias words that the recipe's own ``bias_bits`` clip; none if it left the width open.
    """

    quantized_model: nn.Sequential
    float_model: nn.Sequential
    recipe: Recipe
    architecture: Architecture
    splits: Splits
    float_metric: float
    quantized_metric: float
    float_outputs: Float64[np.ndarray, "samples outputs"]
    quantized_outputs: Float64[np.ndarray, "samples outputs"]
    complexity: Complexity
    sparsity: float
    clipped_biases: int


def train_target(
    target: Target, recipe: Recipe, *, seed: int, epochs: int | None = None, progress: Progress | None = None
) -> Trained:
    """Train a target's network in float, then prune and quantize it by a recipe.

    Args:
        target: Data, architecture and metric.
        recipe: Bits, scales and sparsity.
        seed: Seed of the split, the initial weights, the batches and the dropout.
        epochs: Quantized epochs, and twice as many float epochs at most; ``None``: the target's defaults.
        progress: Told after every epoch.

    Returns:
        Both models with their metrics on the test part, which nothing was chosen by.

    Raises:
        UsageError: fewer than one epoch, or structured pruning of a network that is not a perceptron.
    """
    if epochs is not None and epochs < 1:
        raise UsageError(found=str(epochs), allowed="1 or more", where="epochs", remedy="give a positive number")
    _check_prunable(target, recipe)
    defaults = target.training
    float_epochs, quantized_epochs = (
        (defaults.float_epochs, defaults.quantized_epochs) if epochs is None else (2 * epochs, epochs)
    )
    splits = target.splits(seed)
    report = progress or _silent
    with _deterministic(seed):
        fit = _Fit(target=target, splits=splits, seed=seed)
        float_model = fit.float_model(float_epochs, report)
        start = fit.smaller_model(float_model, recipe, float_epochs, report)
        quantized_model = fit.quantized_model(start, recipe, quantized_epochs, report)
        recipe, quantized_model = _close_bias_width(quantized_model, target, recipe)
        float_outputs = model_outputs(float_model, splits.test)
        quantized_outputs = model_outputs(quantized_model, splits.test)
    architecture = _architecture(quantized_model, target)
    counts = complexity(_layer_words(quantized_model, architecture, target, recipe))
    dense_weights = sum(layer.weight.numel() for layer in linear_layers(float_model))
    left = counts.weights_total if recipe.prune == "structured" else counts.weights_nonzero
    return Trained(
        quantized_model=quantized_model,
        float_model=float_model,
        recipe=recipe,
        architecture=architecture,
        splits=splits,
        float_metric=target.metric.value(float_outputs, splits.test.labels),
        quantized_metric=target.metric.value(quantized_outputs, splits.test.labels),
        float_outputs=float_outputs,
        quantized_outputs=quantized_outputs,
        complexity=counts,
        sparsity=1.0 - left / dense_weights,
        clipped_biases=_clipped_biases(quantized_model, architecture.input_shape, recipe),
    )


def model_outputs(model: nn.Module, split: Split) -> Float64[np.ndarray, "samples outputs"]:
    """Outputs of a model in evaluation mode on one part of the data, shape (samples, outputs)."""
    with torch.no_grad():
        return np.asarray(model(torch.from_numpy(split.inputs)).numpy(), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    """The three stages of training on one split of one target."""

    target: Target
    splits: Splits
    seed: int

    def float_model(self, epochs: int, progress: Progress) -> nn.Sequential:
        defaults = self.target.training
        model = float_network(self.target.architecture, dropout=defaults.dropout, seed=self.seed)
        if self.target.loss == "mse":
            _answer_in_unit(model, self.splits.train)
        self._run(model, epochs, learning_rate=defaults.learning_rate, stage="float", progress=progress)
        return model

    def smaller_model(self, dense: nn.Sequential, recipe: Recipe, epochs: int, progress: Progress) -> nn.Sequential:
        if recipe.prune != "structured" or recipe.sparsity == 0.0:
            return dense
        model = remove_neurons(dense, recipe.sparsity, inputs=self.splits.train.inputs)
        rate = self.target.training.learning_rate / 2
        self._run(model, max(1, round(RECOVERY_SHARE * epochs)), learning_rate=rate, stage="prune", progress=progress)
        return model

    def quantized_model(self, start: nn.Sequential, recipe: Recipe, epochs: int, progress: Progress) -> nn.Sequential:
        architecture = _architecture(start, self.target)
        model = quantized_network(architecture, self.target.input_format, recipe, seed=self.seed)
        with torch.no_grad():
            _copy_weights(start, model)
            # Activation scales start from the whole training part, not from whichever batch comes first.
            model.train()(torch.from_numpy(self.splits.train.inputs))
        masks = MagnitudeMasks(linear_layers(model))
        growth_epochs = max(1, round(PRUNING_SHARE * epochs)) if self._magnitude(recipe) else 0

        def before_epoch(epoch: int) -> bool:
            if growth_epochs:
                masks.grow(cubic_sparsity(recipe.sparsity, step=epoch + 1, steps=growth_epochs))
            return epoch + 1 >= growth_epochs

        self._run(
            model,
            epochs,
            learning_rate=self.target.training.quantized_learning_rate,
            stage="quantize",
            progress=progress,
            hooks=_Hooks(before_epoch=before_epoch, after_step=masks.hold, patience=epochs, anneal=True),
        )
        return model

    @staticmethod
    def _magnitude(recipe: Recipe) -> bool:
        return recipe.prune == "magnitude" and recipe.sparsity > 0.0

    def _run(
        self,
        model: nn.Sequential,
        epochs: int,
        *,
        learning_rate: float,
        stage: str,
        progress: Progress,
        hooks: _Hooks | None = None,
    ) -> None:
        """Train, end with the weights of the best validation loss among the epochs that may be chosen."""
        defaults = self.target.training
        hooks = hooks or _Hooks(patience=defaults.patience)
        loss = _loss_function(self.target.loss, self.splits.train)
        optimizer = _optimizer(model, learning_rate, defaults.weight_decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs) if hooks.anneal else None
        batches = torch.Generator().manual_seed(self.seed)
        best_loss, best_epoch, best_state = float("inf"), -1, copy.deepcopy(model.state_dict())
        for epoch in range(epochs):
            choosable = hooks.before_epoch(epoch)
            self._epoch(model, optimizer, loss, batches, hooks.after_step)
            if schedule is not None:
                schedule.step()
            validation = _evaluate(model, loss, self.splits.validation)
            if choosable and (best_epoch < 0 or validation < best_loss):
                best_loss, best_epoch, best_state = validation, epoch, copy.deepcopy(model.state_dict())
            progress(stage, epoch + 1, epochs)
            if best_epoch >= 0 and epoch - best_epoch >= hooks.patience:
                break
        model.load_state_dict(best_state)
        model.eval()

    def _epoch(
        self,
        model: nn.Sequential,
        optimizer: torch.optim.Optimizer,
        loss: _LossFunction,
        batches: torch.Generator,
        after_step: Callable[[], None],
    ) -> None:
        inputs, labels = torch.from_numpy(self.splits.train.inputs), _labels(self.splits.train, self.target.loss)
        model.train()
        for chosen in torch.split(torch.randperm(len(inputs), generator=batches), self.target.training.batch_samples):
            if len(chosen) == 1 and norm_layers(model):
                continue  # one sample has no spread to normalise by
            optimizer.zero_grad()
            value = loss(model(inputs[chosen]), labels[chosen])
            value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            after_step()


_LossFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def _always(epoch: int) -> bool:
    del epoch
    return True


def _nothing() -> None:
    return None


def _silent(stage: str, done: int, total: int) -> None:
    del stage, done, total


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hooks:
    """What differs between stages: ``before_epoch`` says whether the coming epoch's weights may be chosen."""

    before_epoch: Callable[[int], bool] = _always
    after_step: Callable[[], None] = _nothing
    patience: int
    anneal: bool = False


def _labels(split: Split, loss: Loss) -> torch.Tensor:
    labels = torch.from_numpy(split.labels)
    return labels if loss == "cross_entropy" else labels.to(torch.float32)


def _loss_function(loss: Loss, train: Split) -> _LossFunction:
    if loss == "cross_entropy":
        return nn.functional.cross_entropy
    variance = float(np.var(train.labels))

    def relative_error(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return nn.functional.mse_loss(outputs.squeeze(1), labels) / variance

    return relative_error


def _answer_in_unit(model: nn.Sequential, train: Split) -> None:
    # The last layer starts out turning standardised values into the labels' unit, so the trained network needs no
    # float arithmetic after it; only the training part's statistics are used.
    last = linear_layers(model)[-1]
    with torch.no_grad():
        assert last.bias is not None, "an architecture ends in a dense layer without batch norm"
        last.weight.mul_(float(np.std(train.labels)))
        last.bias.fill_(float(np.mean(train.labels)))


def _optimizer(model: nn.Sequential, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
    weights = [layer.weight for layer in linear_layers(model)]
    chosen = {id(weight) for weight in weights}
    others = [parameter for parameter in model.parameters() if id(parameter) not in chosen]
    groups: list[dict[str, Any]] = [
        {"params": weights, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate)


def _evaluate(model: nn.Sequential, loss: _LossFunction, split: Split) -> float:
    model.eval()
    kind: Loss = "cross_entropy" if np.issubdtype(split.labels.dtype, np.integer) else "mse"
    with torch.no_grad():
        return float(loss(model(torch.from_numpy(split.inputs)), _labels(split, kind)))


def _check_prunable(target: Target, recipe: Recipe) -> None:
    if recipe.prune == "structured" and recipe.sparsity > 0.0 and target.architecture.perceptron_widths is None:
        raise UsageError(
            found=f"structured pruning of {target.architecture.text}",
            allowed="magnitude pruning; structured pruning removes neurons of plain stacks of dense layers only",
            where=f"pruning of {target.name}",
            remedy="prune by magnitude, or choose a target without convolutions and batch norms",
        )


def _architecture(model: nn.Sequential, target: Target) -> Architecture:
    """Of a model of the target, some of whose neurons may be gone."""
    if target.architecture.perceptron_widths is None:
        return target.architecture
    shapes = [tuple(layer.weight.shape) for layer in linear_layers(model)]
    return perceptron((shapes[0][1], *(outputs for outputs, _ in shapes)))


def _copy_weights(source: nn.Sequential, model: nn.Sequential) -> None:
    for old, new in zip(linear_layers(source), linear_layers(model), strict=True):
        new.weight.copy_(old.weight)
        if new.bias is not None:
            assert old.bias is not None
            new.bias.copy_(old.bias)
    for old_norm, new_norm in zip(norm_layers(source), norm_layers(model), strict=True):
        new_norm.load_state_dict(old_norm.state_dict())


def _close_bias_width(model: nn.Sequential, target: Target, recipe: Recipe) -> tuple[Recipe, nn.Sequential]:
    """Give open bias words the fewest bits that hold them: another format, the same words and outputs."""
    if recipe.bias_bits is not None:
        return recipe, model
    architecture = _architecture(model, target)
    closed = replace(recipe, bias_bits=narrowest_bias_bits(bias_words(model, architecture.input_shape)))
    narrow = quantized_network(architecture, target.input_format, closed, seed=0)
    narrow.load_state_dict(model.state_dict())
    return closed, narrow.eval()


def _clipped_biases(model: nn.Sequential, input_shape: Shape, recipe: Recipe) -> int:
    assert recipe.bias_bits is not None
    limit = 2 ** (recipe.bias_bits - 1)
    return sum(int(np.sum((words < -limit) | (words >= limit))) for words in bias_words(model, input_shape))


def _layer_words(model: nn.Sequential, architecture: Architecture, target: Target, recipe: Recipe) -> list[LayerWords]:
    words = []
    steps = [step for step in architecture.steps() if isinstance(step.layer, Dense | Conv)]
    for number, (step, layer) in enumerate(zip(steps, linear_layers(model), strict=True)):
        quantized: Any = layer  # brevitas' layers, which ship no types
        with torch.no_grad():
            weights = quantized.quant_weight().int().numpy().astype(np.int64)
        input_bits = target.input_format.width_bits if number == 0 else recipe.activation_bits
        words.append(
            LayerWords(
                weights=weights,
                weight_bits=recipe.weight_bits,
                input_bits=input_bits,
                positions=math.prod(step.output_shape[1:]),
            )
        )
    return words


@contextmanager
def _deterministic(seed: int) -> Iterator[None]:
    """Same bits every time, and torch's global state afterwards as it was before."""
    threads = torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # dropout draws from torch's global generator
        torch.set_num_threads(1)  # sums over several threads depend on how many there are
        torch.use_deterministic_algorithms(mode=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(strict, warn_only=warn_only)
            torch.set_num_threads(threads)
