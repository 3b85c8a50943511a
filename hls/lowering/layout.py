"""Operators that move words without changing them: reshapes, transposes, slices, padding, nearest-neighbour copies."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import prod

import numpy as np
import onnx

from hls.errors import LoweringError
from hls.lowering.arrange import flushed, require_uniform, reshaped
from hls.lowering.layers import transpose_constant
from hls.lowering.symbols import (
    Builder,
    Constant,
    FloatInput,
    QuantizedConstant,
    Symbol,
    Wire,
    attribute,
    constant_input,
    where,
    wire_input,
)  # fmt: skip
from hls.nodes import Pad, Resize, Slice

_RESIZE_OF_MODES = 11
"""Operator set since which a Resize names how it counts coordinates, and has its scales behind a region."""


def lower_identity(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Identity``, (inference) ``Dropout`` and ``Cast`` between floats: nothing happens."""
    return builder.symbol(node, 0)


def lower_flatten(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Flatten`` behind the sample axis."""
    symbol = builder.symbol(node, 0)
    axis = int(str(attribute(node, "axis", 1)))
    if axis not in (1, -len(builder.onnx_shape(symbol))):
        raise _refuse(node, f"axis {axis}", "axis 1: everything behind the samples")
    return _to_shape(builder, node, symbol, (prod(builder.onnx_shape(symbol)),))


def lower_reshape(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Reshape``; the sample axis has to stay the first."""
    target = [int(size) for size in np.ravel(constant_input(builder, node, 1, "shape"))]
    symbol = builder.symbol(node, 0)
    if isinstance(symbol, Constant):
        return Constant(values=symbol.values.reshape(target))
    if isinstance(symbol, QuantizedConstant):
        return _reshaped_constant(symbol, target)
    shape = builder.onnx_shape(symbol)
    # The exporter wrote the sample axis as 1, 0 (copy) or -1 (infer); each means the same for one sample.
    sizes = [size if size != 0 or attribute(node, "allowzero", 0) else (1, *shape)[i] for i, size in enumerate(target)]
    if len(sizes) < 2 or sizes[0] not in (1, -1) or sizes.count(-1) > 1 + (sizes[0] == -1):
        raise _refuse(node, f"target shape {target}", "shapes that keep the samples on the first axis")
    rest = sizes[1:]
    if -1 in rest:
        known = prod(size for size in rest if size != -1)
        rest[rest.index(-1)] = prod(shape) // max(known, 1)
    if prod(rest) != prod(shape):
        raise _refuse(node, f"target shape {target} for {prod(shape)} words", "shapes of as many words")
    return _to_shape(builder, node, symbol, tuple(rest))


def lower_squeeze(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Squeeze`` of axes of length one behind the samples."""
    symbol = builder.symbol(node, 0)
    shape = (1, *builder.onnx_shape(symbol))
    given = _axes(builder, node, len(shape))
    axes = given or [i for i, size in enumerate(shape) if size == 1 and i > 0]
    if 0 in axes or any(shape[axis] != 1 for axis in axes):
        raise _refuse(node, f"axes {axes} of shape {list(shape)}", "axes of length one behind the samples")
    return _to_shape(builder, node, symbol, tuple(size for i, size in enumerate(shape) if i > 0 and i not in axes))


def lower_unsqueeze(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Unsqueeze`` behind the samples."""
    symbol = builder.symbol(node, 0)
    shape = list(builder.onnx_shape(symbol))
    axes = _axes(builder, node, len(shape) + 2)
    if len(axes) != 1 or axes[0] == 0:
        raise _refuse(node, f"axes {axes}", "one axis behind the samples")
    shape.insert(axes[0] - 1, 1)
    return _to_shape(builder, node, symbol, tuple(shape))


def lower_transpose(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Transpose``: of constants at once; of words only a note of where the axes lie."""
    symbol = builder.symbol(node, 0)
    given = attribute(node, "perm", None)
    rank = len(builder.onnx_shape(symbol)) + (0 if isinstance(symbol, Constant | QuantizedConstant) else 1)
    axes = tuple(int(a) for a in given) if isinstance(given, list | tuple) else tuple(reversed(range(rank)))
    if isinstance(symbol, Constant):
        return Constant(values=symbol.values.transpose(axes))
    if isinstance(symbol, QuantizedConstant):
        return transpose_constant(symbol, axes)
    if axes[0] != 0:
        raise _refuse(node, f"perm {list(axes)}", "permutations that keep the samples on the first axis")
    order = tuple(symbol.order[axis - 1] for axis in axes[1:])
    if isinstance(symbol, Wire):
        return replace(symbol, order=order, open_layer=None)
    return replace(symbol, order=order)


def lower_slice(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Slice`` with constant bounds and positive steps, axis by axis."""
    wire = flushed(builder, node, wire_input(builder, node, 0))
    if len(node.input) > 1:
        starts, ends = (_whole(constant_input(builder, node, i, "bounds")) for i in (1, 2))
        axes = _whole(constant_input(builder, node, 3, "axes")) if _given(node, 3) else list(range(len(starts)))
        steps = _whole(constant_input(builder, node, 4, "steps")) if _given(node, 4) else [1] * len(starts)
    else:
        starts, ends = (list(_list(attribute(node, name, []))) for name in ("starts", "ends"))
        axes = list(_list(attribute(node, "axes", list(range(len(starts))))))
        steps = [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        size = (1, *builder.onnx_shape(wire))[axis]
        first, last, stride = slice(start, end, step).indices(size)
        if axis % (len(wire.order) + 1) == 0 or stride < 1 or first >= last:
            raise _refuse(node, f"[{start}:{end}:{step}] on axis {axis}", "non-empty forward slices behind the samples")
        wire = _sliced(builder, node, wire, axis % (len(wire.order) + 1) - 1, (first, last, stride))
    return wire


def lower_split(builder: Builder, node: onnx.NodeProto) -> tuple[Symbol, ...]:
    """Lower ``Split`` into slices."""
    wire = flushed(builder, node, wire_input(builder, node, 0))
    rank = len(wire.order) + 1
    axis = int(str(attribute(node, "axis", 0))) % rank
    if axis == 0:
        raise _refuse(node, "a split of the samples", "an axis behind the samples")
    size = builder.onnx_shape(wire)[axis - 1]
    sizes = list(_list(attribute(node, "split", [])))
    if _given(node, 1):
        sizes = _whole(constant_input(builder, node, 1, "sizes"))
    if not sizes:
        part = -(-size // len(node.output))
        sizes = [min(part, size - part * i) for i in range(len(node.output))]
    if sum(sizes) != size or len(sizes) != len(node.output) or min(sizes) < 1:
        raise _refuse(node, f"sizes {sizes} of {size}", "positive sizes that add up, one an output")
    ends = np.cumsum(sizes).tolist()
    return tuple(
        _sliced(builder, node, wire, axis - 1, (end - part, end, 1)) for part, end in zip(sizes, ends, strict=True)
    )


def lower_pad(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Pad`` with zeros."""
    wire = flushed(builder, node, wire_input(builder, node, 0))
    pads = list(_list(attribute(node, "pads", [])))
    value = float(str(attribute(node, "value", 0.0)))
    if _given(node, 1):
        pads = _whole(constant_input(builder, node, 1, "pads"))
    if _given(node, 2):
        value = float(np.ravel(constant_input(builder, node, 2, "value"))[0])
    rank = len(wire.order) + 1
    mode = str(attribute(node, "mode", "constant"))
    if mode != "constant" or value != 0 or len(pads) != 2 * rank or pads[0] or pads[rank] or min(pads) < 0:
        raise _refuse(node, f"mode {mode}, value {value:g}, pads {pads}", "zeros around the axes behind the samples")
    if not any(pads):
        return wire
    front, back = [0] * (rank - 1), [0] * (rank - 1)
    for axis, place in enumerate(wire.order):
        front[place], back[place] = pads[axis + 1], pads[rank + axis + 1]
    shape = tuple(f + size + b for f, size, b in zip(front, builder.shape_of(wire), back, strict=True))
    require_uniform(builder, node, wire, moved=bool(front[-1] or back[-1]))
    name = builder.layer_name(node, "pad")
    word_format = (
        builder.format_of(wire).hardware if builder.format_of(wire).encoding == "bipolar" else builder.format_of(wire)
    )
    value_name = builder.emit(
        Pad(name=name, input=wire.value, output=name, pads=(*front, *back)), shape, word_format, wire.scale
    )
    return replace(wire, value=value_name)


def lower_resize(builder: Builder, node: onnx.NodeProto) -> Symbol:
    """Lower ``Resize`` and ``Upsample``: nearest neighbour by whole factors."""
    wire = wire_input(builder, node, 0)
    shape = builder.onnx_shape(wire)
    factors = _resize_factors(builder, node, shape)
    mode = str(attribute(node, "mode", "nearest"))
    oldest = builder.opset < _RESIZE_OF_MODES  # it had neither, and copied as asymmetric with floor does
    way = str(attribute(node, "coordinate_transformation_mode", "asymmetric" if oldest else "half_pixel"))
    nearest = str(attribute(node, "nearest_mode", "floor" if oldest else "round_prefer_floor"))
    # Where every output word copies the input word it lies in, whichever way the coordinates are counted.
    copies = way in ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel") or (
        way in ("asymmetric", "tf_half_pixel_for_nn") and nearest == "floor"
    )
    if mode != "nearest" or (node.op_type == "Resize" and not copies) or any(f.denominator != 1 for f in factors):
        found = f"{mode}, {way}, {nearest}, factors {[float(f) for f in factors]}"
        raise _refuse(node, found, "nearest neighbour by whole factors (half_pixel, or asymmetric with floor)")
    placed = [1] * len(factors)
    for axis, place in enumerate(wire.order):
        placed[place] = int(factors[axis])
    require_uniform(builder, node, wire, moved=placed[-1] != 1)
    if all(factor == 1 for factor in placed):
        return wire
    name = builder.layer_name(node, "resize")
    new_shape = tuple(size * factor for size, factor in zip(builder.shape_of(wire), placed, strict=True))
    value = builder.emit(
        Resize(name=name, input=wire.value, output=name, factors=tuple(placed)), new_shape, builder.format_of(wire),
        wire.scale,
    )  # fmt: skip
    return replace(wire, value=value, open_layer=None)


def _resize_factors(builder: Builder, node: onnx.NodeProto, shape: tuple[int, ...]) -> list[Fraction]:
    scales = None
    position = 1 if node.op_type == "Upsample" or builder.opset < _RESIZE_OF_MODES else 2
    if _given(node, position):
        array = constant_input(builder, node, position, "scales")
        scales = [Fraction(float(value)) for value in np.ravel(array)] if array.size else None
    elif node.op_type == "Upsample" and attribute(node, "scales", None) is not None:
        scales = [Fraction(float(value)) for value in _list(attribute(node, "scales", []))]
    if scales is None and _given(node, 3):
        sizes = _whole(constant_input(builder, node, 3, "sizes"))
        scales = [Fraction(size, old) for size, old in zip(sizes, (sizes[0], *shape), strict=False)]
    if scales is not None and len(scales) == len(shape):  # as some channels-last exporters write them
        scales = [Fraction(1), *scales[0:]] if scales[0] != 1 else [*scales, Fraction(1)]
    if scales is None or len(scales) != len(shape) + 1 or scales[0] != 1:
        raise _refuse(node, f"scales {scales}", "one whole factor an axis, 1 for the samples")
    return scales[1:]


def _to_shape(builder: Builder, node: onnx.NodeProto, symbol: Symbol, shape: tuple[int, ...]) -> Symbol:
    if isinstance(symbol, Wire):
        return reshaped(builder, node, symbol, shape)
    if isinstance(symbol, FloatInput):
        if symbol.order != tuple(range(len(symbol.order))):
            raise _refuse(node, "a reshape behind a transpose of the float input", "reshapes in front of transposes")
        return replace(symbol, view=shape, order=tuple(range(len(shape))))
    raise _refuse(node, "a constant with a sample axis", "constants without one")


def _reshaped_constant(constant: QuantizedConstant, target: list[int]) -> QuantizedConstant:
    parts = [a.reshape(target) if a.ndim else a for a in (constant.words, constant.scale, constant.zero_point)]
    return replace(constant, words=parts[0], scale=parts[1], zero_point=parts[2])


def _sliced(builder: Builder, node: onnx.NodeProto, wire: Wire, axis: int, part: tuple[int, int, int]) -> Wire:
    start, stop, step = part
    place = wire.order[axis]
    shape = list(builder.shape_of(wire))
    if (start, stop, step) == (0, shape[place], 1):
        return wire
    scale = wire.scale
    if place == len(shape) - 1 and len(scale) > 1:
        scale = scale[start:stop:step]
    shape[place] = len(range(start, stop, step))
    name = builder.layer_name(node, "slice")
    new = Slice(name=name, input=wire.value, output=name, axis=place, start=start, stop=stop, step=step)
    value = builder.emit(new, tuple(shape), builder.format_of(wire), scale)
    return replace(wire, value=value, scale=scale)


def _axes(builder: Builder, node: onnx.NodeProto, rank: int) -> list[int]:
    given = list(_list(attribute(node, "axes", [])))
    if _given(node, 1):
        given = _whole(constant_input(builder, node, 1, "axes"))
    return sorted(axis % rank for axis in given)


def _given(node: onnx.NodeProto, position: int) -> bool:
    return len(node.input) > position and bool(node.input[position])


def _whole(array: np.ndarray) -> list[int]:
    return [int(value) for value in np.ravel(array)]


def _list(value: object) -> tuple:  # type: ignore[type-arg]  # of the attribute's own numbers
    return tuple(value) if isinstance(value, list | tuple) else ()


def _refuse(node: onnx.NodeProto, found: str, allowed: str) -> LoweringError:
    return LoweringError(
        found=found,
        allowed=allowed,
        where=where(node),
        remedy="lay the tensors out so that only the operators of docs/integer-network.md are needed",
    )
