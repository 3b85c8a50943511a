"""What a target is: data, architecture and metric that can be built by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, Int64, Real

from edgeval.architecture import Architecture
from edgeval.metrics import Metric
from hls.errors import InputError

Task = Literal["classification", "regression"]
"""``classification``: the largest output names the class. ``regression``: the outputs are the answer, in its unit."""

Loss = Literal["cross_entropy", "mse"]
"""``cross_entropy``: of the softmax of the outputs. ``mse``: mean squared error against the label."""

LabelArray = Real[np.ndarray, " samples"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFormat:
    """The word that the sensor itself delivers: the network's inputs, exactly.

    Attributes:
        width_bits: Bits of one input word.
        signed: Two's complement if true, else unsigned.
        scale_log2: The real value of one unit is ``2**scale_log2``.

    Example:
        >>> pixel = InputFormat(width_bits=5, signed=False, scale_log2=-4)
        >>> pixel.scale, pixel.minimum, pixel.maximum
        (0.0625, 0, 31)
    """

    width_bits: int
    signed: bool
    scale_log2: int

    @property
    def scale(self) -> float:
        """Real value of one unit."""
        return float(2.0**self.scale_log2)

    @property
    def minimum(self) -> int:
        """Smallest word."""
        return -(2 ** (self.width_bits - 1)) if self.signed else 0

    @property
    def maximum(self) -> int:
        """Largest word."""
        return int(2 ** (self.width_bits - 1)) - 1 if self.signed else int(2**self.width_bits) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Samples of one part of the data.

    Attributes:
        inputs: Real values, shape (samples, features) or (samples, channels, height, width).
        labels: Class numbers (int64) or target values (float64), shape (samples,).
    """

    inputs: Float32[np.ndarray, "samples ..."]
    labels: LabelArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Standardisation:
    """What the host does to measured features before they become input words: (feature - mean) / deviation.

    Attributes:
        mean: Of each feature, in its own unit, shape (features,).
        deviation: Standard deviation of each feature, above 0, shape (features,).
    """

    mean: Float64[np.ndarray, " features"]
    deviation: Float64[np.ndarray, " features"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Three disjoint parts: to fit, to choose by, to judge by.

    Attributes:
        standardisation: What was done to the features of all parts, by statistics of the training part alone; ``None``
            where the inputs are what the sensor delivers.
    """

    train: Split
    validation: Split
    test: Split
    standardisation: Standardisation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the data come from and what one may do with them.

    Attributes:
        source: Where they were made and where this copy is read from.
        licence: SPDX name or words.
        citation: The work to cite.
    """

    source: str
    licence: str
    citation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingDefaults:
    """How this target is trained unless told otherwise.

    Attributes:
        float_epochs: Most passes over the training part in float.
        quantized_epochs: Passes over the training part with quantizers.
        learning_rate: Adam's step in float.
        quantized_learning_rate: Adam's step with quantizers.
        weight_decay: Decoupled decay of the weights (AdamW), not of biases and scales.
        dropout: Probability that a hidden activation is dropped while training in float.
        batch_samples: Samples of one step.
        patience: Float epochs without a better validation loss before stopping.
    """

    float_epochs: int
    quantized_epochs: int
    learning_rate: float
    quantized_learning_rate: float
    weight_decay: float
    dropout: float
    batch_samples: int
    patience: int


@runtime_checkable  # the tests' shape checker asks isinstance of every argument
class Target(Protocol):
    """A dataset with the network and the metric that belong to it."""

    @property
    def name(self) -> str:
        """Name on the command line."""

    @property
    def title(self) -> str:
        """One line for people."""

    @property
    def task(self) -> Task:
        """What the outputs mean."""

    @property
    def metric(self) -> Metric:
        """How outputs are judged."""

    @property
    def loss(self) -> Loss:
        """What training minimises."""

    @property
    def input_format(self) -> InputFormat:
        """Words that the sensor delivers; they hold the inputs without loss."""

    @property
    def architecture(self) -> Architecture:
        """The network before any structured pruning."""

    @property
    def training(self) -> TrainingDefaults:
        """How it is trained unless told otherwise."""

    @property
    def origin(self) -> Origin:
        """Where the data come from and their licence."""

    def splits(self, seed: int) -> Splits:
        """Load the data and split them at random.

        Args:
            seed: Seed of the split; the same seed gives the same samples in the same order.
        """


@runtime_checkable
class FileTarget(Target, Protocol):
    """A target whose data the user brings in a file, because they are too large to come along."""

    def with_data(self, path: Path) -> Target:
        """The same target, reading this file.

        Args:
            path: The data file; read by ``splits``, not before.
        """


def random_splits(
    inputs: Float32[np.ndarray, "samples ..."],
    labels: LabelArray,
    *,
    shares: tuple[float, float],
    seed: int,
) -> Splits:
    """Split samples at random into train, validation and test.

    Args:
        inputs: Real values, samples first.
        labels: One label a sample, shape (samples,).
        shares: Shares of train and validation, each rounded to whole samples; the rest is test.
        seed: Seed of the permutation.

    Raises:
        InputError: a part would be empty.
    """
    train, validation, test = (
        Split(inputs=inputs[chosen], labels=labels[chosen]) for chosen in random_parts(len(inputs), shares, seed)
    )
    return Splits(train=train, validation=validation, test=test)


def random_parts(count: int, shares: tuple[float, float], seed: int) -> list[Int64[np.ndarray, " part"]]:
    """Which samples ``random_splits`` puts into train, validation and test, as indices in random order.

    Args:
        count: Samples in all.
        shares: Shares of train and validation, each rounded to whole samples; the rest is test.
        seed: Seed of the permutation.

    Raises:
        InputError: a part would be empty.
    """
    train_count, validation_count = (round(share * count) for share in shares)
    if min(train_count, validation_count, count - train_count - validation_count) < 1:
        raise InputError(
            found=f"{count} samples split {shares[0]:g} : {shares[1]:g} : rest",
            allowed="at least one sample in each part",
            where="random split",
            remedy="give more samples or other shares",
        )
    order = np.random.default_rng(seed).permutation(count)
    return np.split(order, [train_count, train_count + validation_count])
