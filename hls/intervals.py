"""Which words can occur, from formats alone: accumulator widths and the BLAS guard rest on this.

Intervals come from formats and never from trained values, so no fault in a stored bit can leave them
(``docs/integer-network.md``, Words).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hls.formats import WordFormat
from hls.graph import StoredTensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """All words from ``minimum`` to ``maximum``, both included."""

    minimum: int
    maximum: int

    @property
    def magnitude(self) -> int:
        """Largest absolute value."""
        return max(-self.minimum, self.maximum)

    def within(self, word_format: WordFormat) -> bool:
        """Whether the format holds every word of the interval."""
        return self.minimum >= word_format.minimum and self.maximum <= word_format.maximum


def accumulator_interval(weight: StoredTensor, bias: StoredTensor | None, inputs: WordFormat) -> Interval:
    """Every sum Σ input × weight + bias that the formats allow, over all channels.

    Args:
        weight: Stored words [inputs, outputs]; only shape, format and ``widen`` are used.
        bias: Stored words [outputs], same; ``None`` for no bias.
        inputs: Format of the input words.
    """
    # Python integers (dtype object): a bound that itself overflowed would prove nothing.
    corners = np.array(
        [
            executor.astype(object) * word
            for executor in (weight.executor_minimum, weight.executor_maximum)
            for word in (inputs.minimum, inputs.maximum)
        ],
        object,
    )
    count = weight.words.shape[0]
    low = count * corners.min(axis=0)
    high = count * corners.max(axis=0)
    if bias is not None:
        low = low + bias.executor_minimum.astype(object)
        high = high + bias.executor_maximum.astype(object)
    return Interval(minimum=int(np.min(low)), maximum=int(np.max(high)))


def partial_sum_bound(weight: StoredTensor, bias: StoredTensor | None, inputs: WordFormat) -> int:
    """Upper bound of the magnitude of every partial sum, in any order of summation."""
    products = max(-int(np.min(weight.executor_minimum)), int(np.max(weight.executor_maximum)))
    bound = weight.words.shape[0] * products * max(-inputs.minimum, inputs.maximum)
    if bias is not None:
        bound += max(-int(np.min(bias.executor_minimum)), int(np.max(bias.executor_maximum)))
    return int(bound)
