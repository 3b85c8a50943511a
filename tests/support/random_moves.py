"""Random layout changes: reshapes, transposes, padding, upsampling."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from support.random_graphs import Tensor, Writer
from support.random_quantizers import Random, pick, plain, quantized


def spatial_axes(writer: Writer, tensor: Tensor) -> list[int]:
    """Axes of a sample that are no channels."""
    channel = writer.channel_axis(tensor)
    return [axis for axis in range(len(tensor.shape)) if axis != channel]


def flatten(writer: Writer, tensor: Tensor, random: Random) -> Tensor:
    """Flatten, or the Reshape that does the same."""
    if tensor.channelled:
        tensor = quantized(writer, tensor, random, per_channel=False)
    size = int(np.prod(tensor.shape))
    if random.random() < 0.5:
        name = writer.node("Flatten", [tensor.name], axis=1)
    else:
        shape = pick(random, ([1, size], [1, -1], [-1, size], [0, -1]))
        name = writer.node("Reshape", [tensor.name, writer.constant(shape, np.int64)])
    return replace(tensor, name=name, shape=(size,))


def moved(writer: Writer, tensor: Tensor, random: Random) -> Tensor:
    """Transposes, reshapes, squeezes that end where a network can go on."""
    if tensor.channelled:
        tensor = quantized(writer, tensor, random, per_channel=False)
    rank = len(tensor.shape)
    kind = str(pick(random, ("Transpose", "Transpose", "Reshape", "Unsqueeze", "There and back")))
    if kind in ("Transpose", "There and back") and rank > 1:
        order = random.permutation(rank).tolist()
        name = writer.node("Transpose", [tensor.name], perm=[0, *(axis + 1 for axis in order)])
        moved_ = replace(tensor, name=name, shape=tuple(tensor.shape[axis] for axis in order))
        if kind == "Transpose":
            return moved_
        relu = replace(moved_, name=writer.node("Relu", [moved_.name]), pending=True)
        moved_ = quantized(writer, relu, random, per_channel=False)
        back = np.argsort(order).tolist()
        name = writer.node("Transpose", [moved_.name], perm=[0, *(axis + 1 for axis in back)])
        return replace(moved_, name=name, shape=tensor.shape)
    if kind == "Unsqueeze" and rank < 3:
        axis = int(random.integers(1, rank + 2))
        by_input = writer.opset >= 13
        axes = [writer.constant([axis], np.int64)] if by_input else []
        attribute = None if by_input else [axis]
        name = writer.node("Unsqueeze", [tensor.name, *axes], axes=attribute)
        shape = list(tensor.shape)
        shape.insert(axis - 1, 1)
        if random.random() < 0.5:
            return replace(tensor, name=name, shape=tuple(shape))
        axes = [writer.constant([axis], np.int64)] if by_input else []
        return replace(tensor, name=writer.node("Squeeze", [name, *axes], axes=attribute))
    size = int(np.prod(tensor.shape))
    factors = [f for f in range(1, size + 1) if size % f == 0]
    first = int(pick(random, factors))
    shape = tuple(int(n) for n in ((first, size // first) if random.random() < 0.6 else (first, 1, size // first)))
    target = [1, *shape] if random.random() < 0.6 else [-1, *shape]
    name = writer.node("Reshape", [tensor.name, writer.constant(target, np.int64)])
    return replace(tensor, name=name, shape=shape)


def padded(writer: Writer, tensor: Tensor, random: Random) -> Tensor:
    """Zeros around an image, or nearest-neighbour upsampling."""
    if len(tensor.shape) == 1:
        return tensor
    tensor = plain(writer, tensor, random)
    axes = spatial_axes(writer, tensor)
    if random.random() < 0.4 and max(tensor.shape) < 8:
        return _resized(writer, tensor, axes, random)
    front, back = [0] * (len(tensor.shape) + 1), [0] * (len(tensor.shape) + 1)
    for axis in axes:
        front[axis + 1], back[axis + 1] = int(random.integers(0, 3)), int(random.integers(0, 2))
    pads = [*front, *back]
    if writer.opset < 11:
        name = writer.node("Pad", [tensor.name], pads=pads, mode="constant")
    else:
        value = [writer.constant(0.0)] if random.random() < 0.5 else []
        name = writer.node("Pad", [tensor.name, writer.constant(pads, np.int64), *value])
    shape = tuple(size + f + b for size, f, b in zip(tensor.shape, front[1:], back[1:], strict=True))
    return replace(tensor, name=name, shape=shape)


def _resized(writer: Writer, tensor: Tensor, axes: list[int], random: Random) -> Tensor:
    factors = [1.0] * (len(tensor.shape) + 1)
    for axis in axes:
        factors[axis + 1] = float(random.integers(1, 3))
    shape = tuple(int(size * factor) for size, factor in zip(tensor.shape, factors[1:], strict=True))
    if writer.opset < 10:
        name = writer.node("Upsample", [tensor.name, writer.constant(factors)], mode="nearest")
    elif writer.opset == 10:
        name = writer.node("Resize", [tensor.name, writer.constant(factors)], mode="nearest")
    else:
        way = dict(
            pick(random, (
                {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
                {"coordinate_transformation_mode": "half_pixel"}, {},
            ))
        )  # fmt: skip
        empty = writer.constant(np.zeros(0)) if random.random() < 0.5 or writer.opset < 13 else ""
        if random.random() < 0.5:
            inputs = [tensor.name, empty, writer.constant(factors)]
        else:
            none = writer.constant(np.zeros(0)) if writer.opset < 13 else ""
            inputs = [tensor.name, empty, none, writer.constant([1, *shape], np.int64)]
        name = writer.node("Resize", inputs, mode="nearest", **way)
    return replace(tensor, name=name, shape=shape)
