"""LHC jets: 16 high-level features of a simulated jet, and which of five particles it came from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import Float32, Float64, Int64

from edgeval.architecture import Architecture, perceptron
from edgeval.metrics import ACCURACY, Metric
from edgeval.targets.columns import read_columns
from edgeval.targets.protocol import (
    InputFormat,
    LabelArray,
    Loss,
    Origin,
    Split,
    Splits,
    Standardisation,
    Task,
    TrainingDefaults,
    random_parts,
)
from hls.errors import InputError, UsageError

FEATURES = (
    "zlogz",
    "c1_b0_mmdt",
    "c1_b1_mmdt",
    "c1_b2_mmdt",
    "c2_b1_mmdt",
    "c2_b2_mmdt",
    "d2_b1_mmdt",
    "d2_b2_mmdt",
    "d2_a1_b1_mmdt",
    "d2_a1_b2_mmdt",
    "m2_b1_mmdt",
    "m2_b2_mmdt",
    "n2_b1_mmdt",
    "n2_b2_mmdt",
    "mass_mmdt",
    "multiplicity",
)
"""Columns of OpenML data set 42468, in its order."""

CLASS_COLUMN = "class"
CLASSES = ("g", "q", "t", "w", "z")
"""Gluon, light quark, top quark, W and Z boson; a label is the index here."""

LARGEST_PART = 10_000
"""Most samples for validation and for test. The whole evaluation set goes through the C-simulation and every campaign;
10,000 jets give the accuracy to half a point, the remaining 810,000 are better used for training."""

FEATURE = InputFormat(width_bits=16, signed=True, scale_log2=-10)
"""Standardised features in steps of 1/1024, from -32 to just below 32 standard deviations."""

NETWORK = perceptron((len(FEATURES), 64, 32, 32, len(CLASSES)))

TRAINING = TrainingDefaults(
    float_epochs=30,
    quantized_epochs=12,
    learning_rate=2e-3,
    quantized_learning_rate=1e-3,
    weight_decay=1e-3,
    dropout=0.0,
    batch_samples=1024,
    patience=8,
)

ORIGIN = Origin(
    source="hls4ml_lhc_jets_hlf, OpenML data set 42468 (https://www.openml.org/d/42468); your own copy, by --data",
    licence="CC-BY-4.0",
    citation="M. Pierini, J. M. Duarte, N. Tran, M. Freytsis (2020), doi:10.5281/zenodo.3602254",
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Jets:
    """The jets of a file of the user's, split 80 : 10 : 10, validation and test at most 10,000 each."""

    name: str = "jets"
    title: str = "LHC jets, 16 high-level features, five classes (needs --data)"
    task: Task = "classification"
    metric: Metric = ACCURACY
    loss: Loss = "cross_entropy"
    input_format: InputFormat = FEATURE
    architecture: Architecture = NETWORK
    training: TrainingDefaults = TRAINING
    origin: Origin = ORIGIN
    data: Path | None = None

    def with_data(self, path: Path) -> Jets:
        """The same target, reading this file: ARFF as OpenML serves it, or CSV, Parquet or NPZ of the same columns."""
        return replace(self, data=path)

    def splits(self, seed: int) -> Splits:
        """Load the jets, split them at random and standardise all parts by the training part.

        Args:
            seed: Seed of the split.

        Returns:
            Inputs are standardised features rounded to input words, shape (samples, 16); labels index ``CLASSES``.

        Raises:
            UsageError: no file was given.
            InputError: the file cannot be read, or is of another layout; says which column.
        """
        if self.data is None:
            raise UsageError(
                found="no data file",
                allowed="the jets of hls4ml_lhc_jets_hlf as .arff, .csv, .parquet or .npz",
                where="target jets",
                remedy="download data set 42468 from https://www.openml.org/d/42468 and give it as --data FILE",
            )
        columns = read_columns(self.data, numbers=FEATURES, texts=(CLASS_COLUMN,))
        features = np.stack([columns[name] for name in FEATURES], axis=1)
        labels = _labels(columns[CLASS_COLUMN], self.data)
        held_out = min(0.1, LARGEST_PART / len(features))
        parts = random_parts(len(features), (1 - 2 * held_out, held_out), seed)
        standardisation = _standardisation(features[parts[0]], self.data)
        train, validation, test = (
            Split(inputs=input_values(features[chosen], standardisation), labels=labels[chosen]) for chosen in parts
        )
        return Splits(train=train, validation=validation, test=test, standardisation=standardisation)


def input_values(
    features: Float64[np.ndarray, "samples features"], standardisation: Standardisation
) -> Float32[np.ndarray, "samples features"]:
    """Standardise features and round them to the nearest input word, ties to even; the host's part of an inference.

    Args:
        features: Measured values, each in its own unit, shape (samples, features).
        standardisation: Of the training part.

    Returns:
        Multiples of 2**-10, saturated at the ends of the input format.
    """
    values = (features - standardisation.mean) / standardisation.deviation
    words = np.clip(np.rint(values / FEATURE.scale), FEATURE.minimum, FEATURE.maximum)
    return np.asarray(words * FEATURE.scale, np.float32)


def _standardisation(features: Float64[np.ndarray, "samples features"], path: Path) -> Standardisation:
    deviation = features.std(axis=0)
    if constant := [name for name, value in zip(FEATURES, deviation, strict=True) if value == 0.0]:
        raise InputError(
            found=f"the same value in every training sample of {', '.join(constant)}",
            allowed="features that vary",
            where=str(path),
            remedy="check the file, or give more samples",
        )
    return Standardisation(mean=features.mean(axis=0), deviation=deviation)


def _labels(names: np.ndarray, path: Path) -> LabelArray:
    labels: Int64[np.ndarray, " samples"] = np.full(len(names), -1, np.int64)
    for number, name in enumerate(CLASSES):
        labels[names == name] = number
    if unknown := sorted(set(names[labels < 0].tolist())):
        raise InputError(
            found=f"{np.sum(labels < 0):,} samples of class {', '.join(map(repr, unknown[:5]))}",
            allowed=", ".join(CLASSES),
            where=f"column {CLASS_COLUMN} of {path}",
            remedy="write the classes as OpenML's data set 42468 does",
        )
    return labels


JETS = Jets()
