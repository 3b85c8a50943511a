"""The end of the network: the last words, and the float arithmetic behind them that stays on the host."""

from __future__ import annotations

from dataclasses import replace

import onnx

from hls.errors import LoweringError
from hls.graph import IntegerGraph
from hls.host import HostAffine, HostApply, HostClip, HostStep
from hls.lowering.absorb import absorb_layout
from hls.lowering.arrange import flushed, folded
from hls.lowering.chain import Affine, Apply, Chain, Clip, HostOnly, Leaky, Pair, floats
from hls.lowering.symbols import Builder, Wire
from hls.nodes import inputs_of, tensors_of


def finish(builder: Builder, output: str) -> tuple[IntegerGraph, Wire]:
    """Close the network at its output tensor, and leave out what does not lead there.

    Returns:
        The network, and the wire of its output with the real arithmetic that became the host's tail.

    Raises:
        LoweringError: no quantized layer computes the output, or the host's vocabulary ends.
    """
    symbol = builder.symbols.get(output)
    if not isinstance(symbol, Wire) or len(builder.nodes) < 2:
        raise LoweringError(
            found="an output that no quantized layer computes",
            allowed="at least one layer between the input quantizer and the output",
            where=f"graph output {output}",
            remedy="export the whole network",
        )
    wire = folded(symbol)
    if wire.chain and all(isinstance(step, Clip) for step in wire.chain) and len(wire.scale) == 1:
        wire = _clipped_on_device(builder, wire)
    value = builder.values[wire.value]
    identity = tuple(range(len(wire.order)))
    builder.values[wire.value] = replace(value, scale=floats(wire.scale))
    nodes = absorb_layout(builder, _leading_to(builder, wire.value), wire.value)
    produced = {builder.input, *(node.output for node in nodes)}
    used = {name for node in nodes for name in tensors_of(node)}
    graph = IntegerGraph(
        nodes=nodes,
        tensors={name: tensor for name, tensor in builder.tensors.items() if name in used},
        values={name: item for name, item in builder.values.items() if name in produced},
        input=builder.input,
        output=wire.value,
        tail=_host_steps(wire.chain, output),
        output_axes=() if wire.order == identity else wire.order,
        notes=tuple(builder.notes),
    )
    return graph, wire


def _clipped_on_device(builder: Builder, wire: Wire) -> Wire:
    """A ReLU at the very end is the device's where its bounds are whole words, else the host's."""
    whole = all(
        bound is None or (bound / wire.scale[0]).denominator == 1
        for step in wire.chain
        if isinstance(step, Clip)
        for bound in (step.low, step.high)
    )
    if not whole:
        return wire
    return flushed(builder, onnx.NodeProto(name="output", op_type="Clip"), wire)


def _leading_to(builder: Builder, output: str) -> tuple:  # type: ignore[type-arg]  # of nodes
    needed = {output}
    nodes = []
    for node in reversed(builder.nodes):
        if node.output in needed:
            needed.update(inputs_of(node))
            nodes.append(node)
    return tuple(reversed(nodes))


def _host_steps(chain: Chain, output: str) -> tuple[HostStep, ...]:
    steps: list[HostStep] = []
    for step in chain:
        match step:
            case Affine(factors=factors, offsets=offsets):
                steps.append(HostAffine(factors=tuple(map(float, factors)), offsets=tuple(map(float, offsets))))
            case Clip(low=low, high=high):
                steps.append(
                    HostClip(low=None if low is None else float(low), high=None if high is None else float(high))
                )
            case Apply(function=function, parameters=parameters):
                steps.append(HostApply(function=function, parameters=parameters))
            case HostOnly(function=function):
                steps.append(HostApply(function=function))
            case Leaky() | Pair():
                raise LoweringError(
                    found="a leaky ReLU or a product of functions behind the last quantizer",
                    allowed="affine steps, clips, softmax and named functions on the host",
                    where=f"graph output {output}",
                    remedy="quantize behind it, or cut it off",
                )
    return tuple(steps)
