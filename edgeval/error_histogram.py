"""How errors are spread: signed differences in LSB, counted in few bins of equal width around zero."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgeval.run_record import RecordPart
from hls.formats import Words

BINS_A_SIDE = 20
"""A histogram has at most this many bins on either side of the one around zero."""


class ErrorHistogram(RecordPart, frozen=True):
    """Errors of one value against one reference: reference minus integer network, in units of the value's last bit.

    Bin ``n`` holds the errors whose nearest multiple of ``bin_lsb`` is ``n * bin_lsb`` (halves go to the even
    multiple). The bins go from ``first`` on, the ends are not empty, and ``counts`` add up to all finite errors.

    Attributes:
        reference: What the network is compared with.
        value: Layer, by the name of its output.
        bin_lsb: Width of a bin: the smallest power of two that spans the errors with 20 bins a side, at least 1 where
            errors are whole; 1 where all are zero.
        first: Number of the first bin.
        counts: Errors in each bin.
        equal: Errors that are exactly zero.
        not_finite: Errors that are no number, because the reference is none; in no bin.
    """

    reference: str
    value: str
    bin_lsb: float
    first: int
    counts: tuple[int, ...]
    equal: int
    not_finite: int = 0

    @property
    def errors(self) -> int:
        """All errors, finite or not."""
        return sum(self.counts) + self.not_finite

    @property
    def centres_lsb(self) -> tuple[float, ...]:
        """Middle of each bin, in LSB."""
        return tuple((self.first + bin_) * self.bin_lsb for bin_ in range(len(self.counts)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Integer differences and how often each occurs: what blocks of samples are added up in.

    Attributes:
        differences: Sorted, each once.
        counts: Of each.
    """

    differences: Words
    counts: Words

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        differences, place = np.unique(np.concatenate([self.differences, other.differences]), return_inverse=True)
        counts = np.zeros(len(differences), np.int64)
        np.add.at(counts, place, np.concatenate([self.counts, other.counts]))
        return Tally(differences=differences, counts=counts)

    def histogram(self, reference: str, value: str) -> ErrorHistogram:
        """As it stands in records."""
        return _histogram(reference, value, self.differences.astype(np.float64), self.counts, finest=1.0)


def tally(differences: Words) -> Tally:
    """Count integer differences.

    Args:
        differences: Any shape.
    """
    if not differences.any():  # the usual case, without sorting
        zero = np.zeros(min(1, differences.size), np.int64)
        return Tally(differences=zero, counts=np.full_like(zero, differences.size))
    found, counts = np.unique(differences, return_counts=True)
    return Tally(differences=found, counts=counts.astype(np.int64))


def error_histogram(reference: str, value: str, errors_lsb: np.ndarray) -> ErrorHistogram:
    """Count real errors.

    Args:
        reference: What the network is compared with.
        value: Layer.
        errors_lsb: Reference minus network in LSB, any shape.

    Example:
        >>> found = error_histogram("float", "fc1", np.array([0.0, 0.0, 0.5, -3.0]))
        >>> found.bin_lsb, found.first, found.counts, found.equal
        (0.25, -12, (1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1), 2)
    """
    flat = np.asarray(errors_lsb, np.float64).ravel()
    return _histogram(reference, value, flat, np.ones(flat.size, np.int64), finest=0.0)


def histograms(reference: str, tallies: Mapping[str, Tally]) -> tuple[ErrorHistogram, ...]:
    """Histograms of several values, in their order; without those that nothing was counted of."""
    return tuple(tally.histogram(reference, value) for value, tally in tallies.items() if tally.counts.size)


def _histogram(reference: str, value: str, errors: np.ndarray, counts: np.ndarray, *, finest: float) -> ErrorHistogram:
    finite = np.isfinite(errors)
    not_finite = int(counts[~finite].sum())
    errors, counts = errors[finite], counts[finite]
    width = max(finest, _bin_width(float(np.abs(errors).max(initial=0.0))))
    bins = np.rint(errors / width).astype(np.int64)
    first = int(bins.min()) if bins.size else 0
    filled = np.zeros(int(bins.max()) - first + 1 if bins.size else 0, np.int64)
    np.add.at(filled, bins - first, counts)
    return ErrorHistogram(
        reference=reference, value=value, bin_lsb=width, first=first, counts=tuple(filled.tolist()),
        equal=int(counts[errors == 0].sum()), not_finite=not_finite,
    )  # fmt: skip


def _bin_width(largest: float) -> float:
    """Smallest power of two of which ``BINS_A_SIDE`` reach the largest error; 1 for no error at all."""
    if largest == 0:
        return 1.0
    mantissa, exponent = math.frexp(largest / BINS_A_SIDE)
    return math.ldexp(1.0, exponent - 1 if mantissa == 0.5 else exponent)
