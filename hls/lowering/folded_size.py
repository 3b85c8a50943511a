"""How many numbers a constant would have that a graph computes from others, before anything of that size is made.

A few bytes can ask for any size: ``ConstantOfShape`` of [10**12], ``Tile`` by 10**6, two vectors broadcast against each
other.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isfinite, prod

import numpy as np
import onnx

from hls.errors import LoweringError
from hls.lowering.symbols import where
from hls.sizes import MOST_COMPUTED


def require_room(node: onnx.NodeProto, inputs: Sequence[np.ndarray], used: int) -> int:
    """Refuse a constant that is larger than all computed constants together may be.

    Args:
        node: What would compute it.
        inputs: Its constant inputs, in order.
        used: Numbers of the constants computed before.

    Returns:
        Most numbers that the node's outputs have, with ``used``.

    Raises:
        LoweringError: naming the node.
    """
    size = _size(node.op_type, inputs)
    if size + used > MOST_COMPUTED:
        raise LoweringError(
            found=f"a computed constant of {size:,} numbers",
            allowed=f"{MOST_COMPUTED:,} numbers in all computed constants",
            where=where(node),
            remedy="fold constants before export (qonnx cleanup)",
        )
    return size + used


def _size(operator: str, inputs: Sequence[np.ndarray]) -> int:
    sizes = [int(array.size) for array in inputs]
    match operator:
        case "ConstantOfShape":
            return prod(_whole(inputs[0]))
        case "Expand" if len(inputs) > 1:
            return sizes[0] * prod(max(1, size) for size in _whole(inputs[1]))
        case "Tile" if len(inputs) > 1:
            return sizes[0] * prod(max(0, size) for size in _whole(inputs[1]))
        case "Range" if len(inputs) > 2:
            return _range(*(float(np.ravel(array)[0]) for array in inputs[:3]))
        case "Gather" if len(inputs) > 1:
            return sizes[0] * sizes[1]
    # Element by element with broadcasting, or the numbers of all inputs side by side.
    shapes = [array.shape for array in inputs]
    rank = max(map(len, shapes), default=0)
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return max(sum(sizes), prod(int(max(column)) for column in zip(*padded, strict=True)))


def _range(start: float, limit: float, step: float) -> int:
    if not step or not all(map(isfinite, (start, limit, step))):
        return MOST_COMPUTED + 1
    return max(0, ceil((limit - start) / step))


def _whole(array: np.ndarray) -> list[int]:
    return [int(size) for size in np.ravel(array).tolist()]
