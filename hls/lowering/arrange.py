"""Bringing words to the layout, scale and plain-integer state that an operator needs, by exact nodes only."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
import onnx

from hls.errors import LoweringError
from hls.formats import WordFormat
from hls.graph import StoredTensor
from hls.intervals import Interval
from hls.lowering.boundaries import Quantizer
from hls.lowering.chain import Affine, Chain, Clip, Leaky, Rationals, Step, linear, per_channel, scaling, width
from hls.lowering.forms import LookupForm, NoForm, RequantizeForm, ShiftForm, ThresholdForm, choose_form, clamped
from hls.lowering.symbols import Builder, Wire, holding_format, where
from hls.nodes import Lookup, Requantize, Reshape, Shift, Threshold, Transpose


def identity_order(rank: int) -> tuple[int, ...]:
    """The order of a value that lies as its ONNX tensor does."""
    return tuple(range(rank))


def channels_last_order(rank: int) -> tuple[int, ...]:
    """Where the axes of a channels-first tensor [C, spatial...] lie in a channels-last value."""
    return (rank - 1, *range(rank - 1))


def arranged(builder: Builder, node: onnx.NodeProto, wire: Wire, order: tuple[int, ...]) -> Wire:
    """The same tensor with its value laid out by another order; a Transpose where words have to move."""
    if wire.order == order:
        return wire
    shape = builder.shape_of(wire)
    # Axis i of the ONNX tensor lies at wire.order[i] and shall lie at order[i].
    axes = [0] * len(order)
    for before, after in zip(wire.order, order, strict=True):
        axes[after] = before
    require_uniform(builder, node, wire, moved=axes[-1] != len(axes) - 1)
    new_shape = tuple(shape[axis] for axis in axes)
    name = builder.layer_name(node, "layout")
    moving = [axis for axis in axes if shape[axis] != 1]
    if moving == sorted(moving):  # only axes of length one move: the words stay where they are
        new: Reshape | Transpose = Reshape(name=name, input=wire.value, output=name)
    else:
        new = Transpose(name=name, input=wire.value, output=name, axes=tuple(axes))
    value = builder.emit(new, new_shape, builder.format_of(wire), wire.scale)
    return replace(wire, value=value, order=order, open_layer=None)


def channels_behind(builder: Builder, node: onnx.NodeProto, wire: Wire, axis: int) -> Wire:
    """The same tensor, its value laid out with the given ONNX axis (samples not counted) last."""
    last = len(wire.order) - 1
    if wire.order[axis] == last:
        return wire
    place = wire.order[axis]
    order = tuple(last if i == axis else old - (old > place) for i, old in enumerate(wire.order))
    return arranged(builder, node, wire, order)


def reshaped(builder: Builder, node: onnx.NodeProto, wire: Wire, shape: tuple[int, ...]) -> Wire:
    """The tensor under another shape of one sample, in the ONNX tensor's own C order."""
    if builder.onnx_shape(wire) == shape:
        return wire
    flat = arranged_plainly(builder, node, wire)
    before = builder.shape_of(flat)
    if len(shape) == 1 and (len(flat.scale) > 1 or _channelled(flat.chain)):
        flat = _spread(flat, before)
    else:
        require_uniform(builder, node, flat, moved=before[-1:] != shape[-1:])
    name = builder.layer_name(node, "reshape")
    value = builder.emit(Reshape(name=name, input=flat.value, output=name), shape, builder.format_of(flat), flat.scale)
    return replace(flat, value=value, order=identity_order(len(shape)), open_layer=None)


def arranged_plainly(builder: Builder, node: onnx.NodeProto, wire: Wire) -> Wire:
    """Laid out as the ONNX tensor, per-channel numbers following where the channels go."""
    order = identity_order(len(wire.order))
    if wire.order == order or (len(wire.scale) == 1 and not _channelled(wire.chain)):
        return arranged(builder, node, wire, order)
    raise LoweringError(
        found="one scale a channel on words whose channels leave the last axis",
        allowed="one scale a tensor in front of this operator",
        where=where(node),
        remedy="quantize in front of it (Brevitas QuantIdentity)",
    )


def flushed(builder: Builder, node: onnx.NodeProto, wire: Wire) -> Wire:
    """Plain words: every pending real step done exactly by integers, or refused.

    Raises:
        LoweringError: a step that no integer of this scale carries exactly.
    """
    wire = folded(wire)
    if not wire.chain:
        return wire
    if all(isinstance(step, Clip) for step in wire.chain) and len(wire.scale) == 1:
        return _clip_words(builder, node, wire)
    clip = next((i for i, step in enumerate(wire.chain) if isinstance(step, Clip)), len(wire.chain))
    slopes = linear(wire.chain[:clip])
    if clip and slopes is not None and all(isinstance(step, Clip) for step in wire.chain[clip:]):
        first = _offset_words(builder, node, wire, slopes)
        return flushed(builder, node, replace(first, chain=wire.chain[clip:]))
    raise LoweringError(
        found=f"{describe(wire.chain)} without a quantizer behind it",
        allowed="a Quant node behind every activation function and every BatchNormalization",
        where=where(node),
        remedy="quantize in front of this operator (Brevitas QuantReLU, QuantIdentity)",
    )


def folded(wire: Wire) -> Wire:
    """Leading multiplications by positive numbers become part of the scale: they cost nothing."""
    scale, chain = wire.scale, wire.chain
    while chain and isinstance(chain[0], Affine) and not any(chain[0].offsets) and all(f > 0 for f in chain[0].factors):
        factors = chain[0].factors
        size = max(len(scale), len(factors))
        scale = tuple(per_channel(scale, c) * per_channel(factors, c) for c in range(size))
        chain = chain[1:]
    if len(set(scale)) == 1:
        scale = scale[:1]
    return replace(wire, scale=scale, chain=chain)


def negated(builder: Builder, node: onnx.NodeProto, wire: Wire, signs: tuple[int, ...]) -> Wire:
    """The same tensor, the words of channels whose sign is -1 negated, so that a factor of -1 is pending there."""
    if all(sign >= 0 for sign in signs):
        return wire
    multipliers = tuple(-1 if sign < 0 else 1 for sign in signs)
    source = builder.format_of(wire)
    low, high = min(source.minimum, -source.maximum), max(source.maximum, -source.minimum)
    word_format = holding_format(node, low, high)
    name = builder.layer_name(node, "negated")
    new = Requantize(
        name=name, input=wire.value, output=name, format=word_format, multipliers=multipliers,
        offsets=(0,) * len(multipliers), shifts=(0,) * len(multipliers), low=low, high=high,
    )  # fmt: skip
    value = builder.emit(new, builder.shape_of(wire), word_format, wire.scale)
    chain = (scaling(tuple(Fraction(m) for m in multipliers)), *wire.chain)
    return replace(wire, value=value, chain=chain, open_layer=None)


def emit_quantized(  # one quantizer's parts
    builder: Builder, node: onnx.NodeProto, wire: Wire, quantizer: Quantizer, word_format: WordFormat, name: str
) -> Wire:
    """Emit the cheapest exact node from the words of a wire to those of a quantizer."""
    source = builder.format_of(wire).hardware  # two bits for bipolar words: a table there has an entry for each
    reachable = Interval(minimum=source.minimum, maximum=source.maximum)
    try:
        form = choose_form(wire.scale, wire.chain, reachable, quantizer)
    except NoForm as error:
        raise LoweringError(
            found=str(error),
            allowed="an activation with an exact integer form",
            where=where(node),
            remedy="quantize in front of the function to at most 16 bits, or use power-of-two scales",
        ) from error
    common: dict[str, Any] = {"name": name, "input": wire.value, "output": name, "format": word_format}
    new: Shift | Requantize | Threshold | Lookup
    match form:
        case ShiftForm():
            new = Shift(**common, shift=form.shift, rounding=form.rounding, low=form.low, high=form.high)
        case RequantizeForm():
            new = Requantize(
                **common, multipliers=form.multipliers, offsets=form.offsets, shifts=form.shifts,
                low=form.low, high=form.high,
            )  # fmt: skip
        case ThresholdForm():
            tensor = f"{name}.thresholds"
            builder.tensors[tensor] = _table(tensor, form.thresholds, form.threshold_format)
            new = Threshold(
                **common, thresholds=tensor, offsets=form.offsets, directions=form.directions, stride=form.stride
            )
        case LookupForm():
            tensor = f"{name}.table"
            builder.tensors[tensor] = _table(tensor, form.table, word_format)
            new = Lookup(**common, table=tensor, first=form.first)
    value = builder.emit(new, builder.shape_of(wire), word_format, (quantizer.scale,))
    return Wire(value=value, order=wire.order, scale=(quantizer.scale,))


def require_uniform(builder: Builder, node: onnx.NodeProto, wire: Wire, *, moved: bool) -> None:
    """Refuse to move the channel axis of words that have one scale or one pending number a channel."""
    if moved and (len(wire.scale) > 1 or _channelled(wire.chain)):
        raise LoweringError(
            found="one scale (or pending constant) a channel on words whose channel axis moves",
            allowed="one scale a tensor in front of this operator",
            where=where(node),
            remedy="quantize in front of it (Brevitas QuantIdentity)",
        )


def describe(chain: Chain) -> str:
    """What a chain does, for people."""
    names = {Affine: "an affine step with float constants", Clip: "a clip", Leaky: "a leaky ReLU"}
    parts = dict.fromkeys(names.get(type(step), _other(step)) for step in chain)
    return ", ".join(parts)


def _other(step: Step) -> str:
    return str(getattr(step, "function", "a product of two functions"))


def _table(name: str, words: np.ndarray, word_format: WordFormat) -> StoredTensor:
    return StoredTensor(
        name=name, words=np.ascontiguousarray(words, np.int64), format=word_format,
        scale=np.asarray(1.0), widen=np.asarray(0),
    )  # fmt: skip


def _clip_words(builder: Builder, node: onnx.NodeProto, wire: Wire) -> Wire:
    """ReLU and clips whose bounds are whole words: a Shift by 0."""
    source = builder.format_of(wire)
    low, high = source.minimum, source.maximum  # of a chain of clips: where its two ends come out
    for step in wire.chain:
        assert isinstance(step, Clip)
        for bound in (step.low, step.high):
            if bound is not None and (bound / wire.scale[0]).denominator != 1:
                raise LoweringError(
                    found=f"a clip at {float(bound)}, between two words of scale {float(wire.scale[0])!r}",
                    allowed="clips at whole words, or a Quant node behind the clip",
                    where=where(node),
                    remedy="quantize behind the clip (Brevitas QuantHardTanh, QuantReLU)",
                )
        at_least, at_most = (None if b is None else int(b / wire.scale[0]) for b in (step.low, step.high))
        low, high = (clamped(word, at_least, at_most) for word in (low, high))
    word_format = holding_format(node, low, high)
    name = builder.unique_name(f"{wire.value}_{'relu' if low == 0 else 'clip'}")
    shift = Shift(
        name=name, input=wire.value, output=name, format=word_format,
        shift=0, rounding="floor", low=low, high=high,
    )  # fmt: skip
    value = builder.emit(shift, builder.shape_of(wire), word_format, wire.scale)
    return Wire(value=value, order=wire.order, scale=wire.scale)


def _offset_words(builder: Builder, node: onnx.NodeProto, wire: Wire, slopes: tuple[Rationals, Rationals]) -> Wire:
    """A pending offset added in whole words; float offsets between two words are rounded, and the error reported."""
    factors, offsets = slopes
    if not all(factors):
        raise LoweringError(
            found="a factor of 0 and no quantizer behind it",
            allowed="factors that are not 0, or a Quant node behind the multiplication",
            where=where(node),
            remedy="quantize in front of this operator (Brevitas QuantIdentity)",
        )
    wire = negated(builder, node, wire, tuple(1 if factor > 0 else -1 for factor in factors))
    factors = tuple(abs(factor) for factor in factors)
    size = max(len(wire.scale), len(factors), len(offsets))
    scale = tuple(per_channel(wire.scale, c) * per_channel(factors, c) for c in range(size))
    exact = [per_channel(offsets, c) / scale[c] for c in range(size)]
    words = [round(offset) for offset in exact]
    error = max(abs(offset - word) * unit for offset, word, unit in zip(exact, words, scale, strict=True))
    if error:
        if builder.strict:
            raise LoweringError(
                found=f"a float constant {float(error):.3g} away from the nearest word",
                allowed="constants at the scale of the sum (strict)",
                where=where(node),
                remedy="quantize the bias (Brevitas bias_quant=Int16Bias), or quantize behind the addition",
            )
        builder.notes.append(
            f"{where(node)}: float constants in front of it are rounded to the sum's scale; "
            f"they differ by at most {float(error):.3g}"
        )
    if len(set(scale)) == 1:
        scale = scale[:1]
    words = words[:1] if len(set(words)) == 1 else words
    if words == [0] and not error:
        return Wire(value=wire.value, order=wire.order, scale=scale)
    source = builder.format_of(wire)
    low, high = source.minimum + min(words), source.maximum + max(words)
    word_format = holding_format(node, low, high)
    name = builder.layer_name(node, "offset")
    new = Requantize(
        name=name, input=wire.value, output=name, format=word_format,
        multipliers=(1,) * len(words), offsets=tuple(words), shifts=(0,) * len(words), low=low, high=high,
    )  # fmt: skip
    value = builder.emit(new, builder.shape_of(wire), word_format, scale)
    if error:
        builder.allowances[value] = error
    return Wire(value=value, order=wire.order, scale=scale)


def _channelled(chain: Chain) -> bool:
    return width(chain) > 1


def _spread(wire: Wire, shape: tuple[int, ...]) -> Wire:
    """Per-channel numbers of a value repeated for its flattened features."""
    repeat = prod(shape[:-1])

    def spread(values: Rationals) -> Rationals:
        return values * repeat if len(values) > 1 else values

    def step(item: Step) -> Step:
        match item:
            case Affine(factors=factors, offsets=offsets):
                return Affine(factors=spread(factors), offsets=spread(offsets))
            case Leaky(slopes=slopes):
                return Leaky(slopes=spread(slopes))
            case _:
                return item

    return replace(wire, scale=spread(wire.scale), chain=tuple(step(item) for item in wire.chain))
