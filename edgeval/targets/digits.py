"""Handwritten digits: 8 × 8 pixels of 0 to 16, ten classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from edgeval.architecture import Architecture, perceptron
from edgeval.metrics import ACCURACY, Metric
from edgeval.targets.protocol import InputFormat, Loss, Origin, Splits, Task, TrainingDefaults, random_splits

PIXEL_LEVELS_LOG2 = 4
"""A pixel counts the set dots of a 4 × 4 block: 0 to 16, divided here by 2**4."""

PIXEL = InputFormat(width_bits=5, signed=False, scale_log2=-PIXEL_LEVELS_LOG2)
"""Five bits, because 16 itself occurs: four would clip it."""

NETWORK = perceptron((64, 64, 32, 10))

TRAINING = TrainingDefaults(
    float_epochs=120,
    quantized_epochs=40,
    learning_rate=3e-3,
    quantized_learning_rate=2e-3,
    weight_decay=1e-2,
    dropout=0.2,
    batch_samples=64,
    patience=25,
)

ORIGIN = Origin(
    source="UCI Optical Recognition of Handwritten Digits, test set; read from scikit-learn's load_digits",
    licence="CC-BY-4.0",
    citation="E. Alpaydin, C. Kaynak (1998), doi:10.24432/C50P49",
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Digits:
    """The 1,797 digits that scikit-learn carries, split 70 : 10 : 20."""

    name: str = "digits"
    title: str = "handwritten digits, 8 × 8 pixels, ten classes"
    task: Task = "classification"
    metric: Metric = ACCURACY
    loss: Loss = "cross_entropy"
    input_format: InputFormat = PIXEL
    architecture: Architecture = NETWORK
    training: TrainingDefaults = TRAINING
    origin: Origin = ORIGIN

    def splits(self, seed: int) -> Splits:
        """Load the digits and split them at random, 70 : 10 : 20.

        Args:
            seed: Seed of the split.

        Returns:
            Inputs are pixel / 16, shape (samples, 64); labels are the digits.
        """
        # scikit-learn takes a second to import: only who needs the data pays.
        from sklearn.datasets import load_digits

        pixels, digits = load_digits(return_X_y=True)
        inputs = np.asarray(pixels, dtype=np.float32) * np.float32(2.0**-PIXEL_LEVELS_LOG2)
        return random_splits(inputs, np.asarray(digits, dtype=np.int64), shares=(0.7, 0.1), seed=seed)


DIGITS = Digits()
