"""What makes an output good or bad: per-sample contributions, their mean, and a finish, with unit and direction.

A metric is split in this way so that a fault campaign can keep one contribution per sample and re-average any subset.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Real

from hls.errors import InputError

Direction = Literal["higher", "lower"]
"""``higher``: more is better (accuracy). ``lower``: less is better (errors)."""

Values = Float64[np.ndarray, "rows outputs"]
Labels = Real[np.ndarray, "rows *label"]
"""Class numbers, shape (rows,), or target values, shape (rows,) or (rows, outputs)."""

Contributions = Float64[np.ndarray, " rows"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A figure of merit over samples.

    Attributes:
        name: Lower-case name, as in records.
        unit: Unit of the value (``fraction``, ``kcal/mol``).
        direction: Whether a higher or a lower value is better.
        per_sample: Real-valued outputs, shape (rows, outputs), and labels to one contribution a row, shape (rows,).
            Unchecked, because campaigns call it in their inner loop; ``value`` checks.
        finish: Mean contributions to metric values, element by element.
        classes: Whether labels are class numbers, one a row; else they are target values.

    Example:
        >>> rmse("m").value(np.array([[1.0], [5.0]]), np.array([1.0, 2.0]))
        2.1213203435596424
    """

    name: str
    unit: str
    direction: Direction
    per_sample: Callable[[Values, Labels], Contributions]
    finish: Callable[[np.ndarray], np.ndarray]
    classes: bool = False

    def value(self, outputs: Values, labels: Labels) -> float:
        """Metric of a whole set.

        Args:
            outputs: Real-valued network outputs, shape (rows, outputs).
            labels: Class numbers or target values, shape (rows,) or, for target values, (rows, outputs).

        Returns:
            The metric in its unit.

        Raises:
            InputError: no rows, a number that is not finite, or labels that do not fit the outputs.
        """
        _check(outputs, labels, classes=self.classes)
        return float(self.finish(np.asarray(np.mean(self.per_sample(outputs, labels)))))


def rmse(unit: str) -> Metric:
    """Root of the mean squared error, in the unit of the labels."""
    return Metric(name="rmse", unit=unit, direction="lower", per_sample=_squared_error, finish=_square_root)


def mae(unit: str) -> Metric:
    """Mean absolute error, in the unit of the labels."""
    return Metric(name="mae", unit=unit, direction="lower", per_sample=_absolute_error, finish=_same)


def _hit(outputs: Values, labels: Labels) -> Contributions:
    # numpy's argmax returns the first maximum: the lowest index wins ties, as everywhere in edgeval.
    return np.asarray(np.argmax(outputs, axis=1) == labels, dtype=np.float64)


def _surprise(outputs: Values, labels: Labels) -> Contributions:
    # The largest output is taken off first: exp() then never overflows, and one of its terms is 1.
    above = outputs - outputs.max(axis=1, keepdims=True)
    own = np.take_along_axis(above, labels.reshape(-1, 1), axis=1)[:, 0]
    return np.asarray(np.log(np.exp(above).sum(axis=1)) - own, dtype=np.float64)


def _squared_error(outputs: Values, labels: Labels) -> Contributions:
    return np.asarray(np.mean((outputs - labels.reshape(outputs.shape)) ** 2, axis=1), dtype=np.float64)


def _absolute_error(outputs: Values, labels: Labels) -> Contributions:
    return np.asarray(np.mean(np.abs(outputs - labels.reshape(outputs.shape)), axis=1), dtype=np.float64)


def _square_root(means: np.ndarray) -> np.ndarray:
    return np.asarray(np.sqrt(means))


def _same(means: np.ndarray) -> np.ndarray:
    return means


def _check(outputs: Values, labels: Labels, *, classes: bool) -> None:
    if len(outputs) == 0:
        raise InputError(found="no rows", allowed="at least one sample", where="metric", remedy="give some samples")
    if not np.isfinite(outputs).all():
        row, column = np.argwhere(~np.isfinite(outputs))[0]
        raise InputError(
            found=str(outputs[row, column]),
            allowed="finite values",
            where=f"outputs[{row}, {column}]",
            remedy="find the layer that overflows, or drop that sample",
        )
    if classes:
        _check_classes(outputs, labels)
    elif labels.reshape(len(labels), -1).shape != outputs.shape or not np.isfinite(labels).all():
        raise InputError(
            found=f"labels of shape {labels.shape}, {int(np.sum(~np.isfinite(labels)))} of them not finite",
            allowed=f"finite target values, {outputs.shape[0]} rows of {outputs.shape[1]} as the outputs",
            where="labels",
            remedy="give one target value for each output",
        )


def _check_classes(outputs: Values, labels: Labels) -> None:
    rows, classes = outputs.shape
    # A label that no output stands for could never be hit: the accuracy would be wrong without a word.
    found = None
    if labels.shape != (rows,) or not np.issubdtype(labels.dtype, np.integer):
        found = f"{labels.dtype} labels of shape {labels.shape}"
    elif labels.min() < 0 or labels.max() >= classes:
        found = f"labels from {labels.min()} to {labels.max()}"
    if found is not None:
        raise InputError(
            found=found,
            allowed=f"{rows} integers from 0 to {classes - 1}",
            where="labels",
            remedy="number the classes from 0 in the order of the outputs",
        )


ACCURACY = Metric(name="accuracy", unit="fraction", direction="higher", per_sample=_hit, finish=_same, classes=True)
"""Share of samples whose largest output is the label's; the lowest index wins ties."""

CROSS_ENTROPY = Metric(
    name="cross-entropy", unit="nat", direction="lower", per_sample=_surprise, finish=_same, classes=True
)
"""Mean of -log softmax of the label's output; the real output values are the logits."""

METRICS: dict[str, Metric] = {
    "accuracy": ACCURACY,
    "cross-entropy": CROSS_ENTROPY,
    "rmse": rmse("output unit"),
    "mae": mae("output unit"),
}
"""Metrics that a third-party run can name; its outputs have no unit that we know of."""
