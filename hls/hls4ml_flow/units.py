"""Which power of two one unit of each value is worth in the canonical graph.

hls4ml's fixed-point types carry a binary point, so a power of two costs nothing. Where scales are powers of two the
unit is the scale itself and the printed types are those of the real values; otherwise it is the scale's own exponent.
"""

from __future__ import annotations

import numpy as np

from hls.graph import IntegerGraph


def unit_log2(graph: IntegerGraph) -> dict[str, int]:
    """log2 of the canonical value of one unit of each word value, by value name."""
    return {name: scale_log2(value.scale) for name, value in graph.values.items() if value.format is not None}


def scale_log2(scale: np.ndarray) -> int:
    """Exponent of the smallest scale: exact for powers of two, the next lower one otherwise.

    Example:
        >>> scale_log2(np.asarray(0.25)), scale_log2(np.array([0.3, 3.0]))
        (-2, -2)
    """
    return int(np.frexp(np.min(np.abs(scale)))[1]) - 1
