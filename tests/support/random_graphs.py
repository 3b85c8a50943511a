"""Random quantized networks as QONNX graphs: a seed or Hypothesis → a specification → a file.

A specification is a list of operators with one number each, from which the operator draws its own options; an operator
that does not fit the words it meets does nothing. So any part of a specification is one too, and failures shrink. The
graphs obey the rules of ``docs/integer-network.md`` (a quantizer in front of every layer), except where an operator
says what may be refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

GENERAL = "qonnx.custom_op.general"
CHANNELS_LAST = "qonnx.custom_op.channels_last"
LEGACY = ("onnx.brevitas", "finn.custom_op.general")
OPSETS = (9, 10, 11, 12, 13, 14, 17, 20)
SHAPES = ((3,), (5,), (8,), (2, 6), (3, 7), (1, 6, 6), (2, 5, 5), (3, 7, 6), (4, 4, 4))
"""Shapes of one sample, channels first."""


@dataclass(frozen=True, slots=True)
class Step:
    """One operator (or small pattern of them) and the number that its options are drawn from."""

    operator: str
    seed: int


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """A random network; ``build`` is a function of it and of nothing else."""

    shape: tuple[int, ...]
    opset: int
    seed: int
    steps: tuple[Step, ...]
    channels_last: bool = False
    domain: str = GENERAL


@dataclass(frozen=True, slots=True)
class Tensor:
    """What the generator knows of a tensor.

    Attributes:
        shape: Of one sample, as the ONNX tensor lies.
        reach: Roughly the largest magnitude.
        bits: Upper estimate of the width of its words.
        pending: Real arithmetic that no quantizer has closed yet.
        channelled: Several scales or pending numbers, one a channel.
    """

    name: str
    shape: tuple[int, ...]
    reach: float
    bits: int
    pending: bool = False
    channelled: bool = False


@dataclass(slots=True)
class Writer:
    """An ONNX graph under construction."""

    spec: GraphSpec
    random: np.random.Generator
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    refusable: list[str] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def opset(self) -> int:
        return self.spec.opset

    @property
    def general(self) -> int:
        """Version of QONNX's general operators: Trunc has another form since the second."""
        return 1 + self.spec.seed % 2 if self.spec.domain == GENERAL else 1

    @property
    def channels_last(self) -> bool:
        return self.spec.channels_last

    def constant(self, values: object, dtype: type = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def node(self, operator: str, inputs: list[str], outputs: int = 1, domain: str = "", **attributes: object) -> str:
        return self.outputs(operator, inputs, outputs, domain, **attributes)[0]

    def outputs(
        self, operator: str, inputs: list[str], outputs: int = 1, domain: str = "", **attributes: object
    ) -> list[str]:
        names = [f"t{len(self.nodes)}" + (f"_{i}" if i else "") for i in range(outputs)]
        given = {key: value for key, value in attributes.items() if value is not None}
        label = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, names, name=label, domain=domain, **given))
        return names

    def windowed(
        self, operator: str, inputs: list[str], before: Tensor, after: tuple[int, ...], **attributes: object
    ) -> str:
        """A node that qonnx's channels-last domain has too; it infers no shapes there."""
        name = self.node(operator, inputs, domain=CHANNELS_LAST if self.channels_last else "", **attributes)
        if self.channels_last:
            self.shapes |= {before.name: (1, *before.shape), name: (1, *after)}
        return name

    def may_refuse(self, pattern: str) -> None:
        """Say that the lowering may refuse the graph with such a finding (a regular expression)."""
        self.refusable.append(pattern)

    def channel_axis(self, tensor: Tensor) -> int:
        """Axis of one sample's shape that its channels lie on."""
        return len(tensor.shape) - 1 if self.channels_last or len(tensor.shape) == 1 else 0

    def channels(self, tensor: Tensor) -> int:
        return tensor.shape[self.channel_axis(tensor)]

    def along_channels(self, tensor: Tensor, values: np.ndarray) -> np.ndarray:
        """A vector, one number a channel, in the shape that broadcasts to the ONNX tensor."""
        shape = [1] * (len(tensor.shape) + 1)
        shape[self.channel_axis(tensor) + 1] = -1
        return values.reshape(shape)


@dataclass(frozen=True, slots=True)
class RandomGraph:
    """A network, and what the lowering is allowed to refuse it for."""

    spec: GraphSpec
    model: onnx.ModelProto
    refusable: tuple[str, ...]
    inputs: np.ndarray

    def may_be_refused(self, found: str) -> bool:
        return any(re.search(pattern, found) for pattern in self.refusable)


def spec_of(seed: int) -> GraphSpec:
    """The specification that belongs to a number."""
    from support.random_operators import OPERATORS, STARTS, WEIGHTS

    random = np.random.default_rng(seed)
    names = list(OPERATORS)
    chances = np.array([WEIGHTS.get(name, 1.0) for name in names])
    drawn = random.choice(names, size=int(random.integers(2, 9)), p=chances / chances.sum())
    first = [str(random.choice(STARTS))] if random.random() < 0.6 else []
    return GraphSpec(
        shape=SHAPES[random.integers(len(SHAPES))],
        opset=int(random.choice(OPSETS, p=[0.05, 0.05, 0.1, 0.05, 0.35, 0.1, 0.15, 0.15])),
        seed=int(random.integers(1 << 30)),
        steps=tuple(Step(name, int(random.integers(1 << 30))) for name in [*first, *drawn.tolist()]),
        channels_last=bool(random.random() < 0.2),
        domain=str(random.choice(LEGACY)) if random.random() < 0.1 else GENERAL,
    )


def specs() -> st.SearchStrategy[GraphSpec]:
    """Specifications for Hypothesis: failures shrink to few operators with small numbers."""
    from support.random_operators import OPERATORS

    numbers = st.integers(0, 1 << 20)
    return st.builds(
        GraphSpec,
        shape=st.sampled_from(SHAPES),
        opset=st.sampled_from(OPSETS),
        seed=numbers,
        steps=st.lists(st.builds(Step, st.sampled_from(list(OPERATORS)), numbers), min_size=1, max_size=6).map(tuple),
        channels_last=st.booleans(),
        domain=st.sampled_from((GENERAL, *LEGACY)),
    )


def build(spec: GraphSpec, samples: int = 24) -> RandomGraph:
    """The network of a specification, and inputs that reach its range."""
    from support.random_operators import OPERATORS, quantized

    random = np.random.default_rng(spec.seed)
    writer = Writer(spec, random)
    shape = (*spec.shape[1:], spec.shape[0]) if spec.channels_last else spec.shape
    tensor = Tensor("x", shape, 2.0, 24)
    inputs = (random.normal(size=(samples, *shape)) * 1.2).astype(np.float32)
    inputs[0] = 0.0
    if random.random() < 0.15:  # the host's affine step in front of the input quantizer
        factor = float(np.float32(random.uniform(0.3, 2.0)))
        tensor = replace(tensor, name=writer.node("Mul", ["x", writer.constant(factor)]), reach=2 * factor)
    tensor = quantized(writer, tensor, np.random.default_rng(spec.seed + 1), per_channel=False)
    for position, step in enumerate(spec.steps):
        if step.operator == "closing" and position < len(spec.steps) - 1:
            continue  # a softmax is the host's, so nothing comes behind it
        tensor = OPERATORS[step.operator](writer, tensor, np.random.default_rng(step.seed))
    if len(writer.nodes) < 2 or (spec.steps[-1:] and spec.steps[-1].operator != "closing" and random.random() < 0.4):
        tensor = quantized(writer, tensor, random)
    elif tensor.pending:
        writer.may_refuse("behind the last quantizer")
    if not {node.op_type for node in writer.nodes} & {"Conv", "MatMul", "Gemm"}:
        writer.may_refuse("no quantized layer")
    writer.nodes.append(helper.make_node("Identity", [tensor.name], ["y"], name="last"))
    graph = helper.make_graph(
        writer.nodes,
        "random",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, *shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, *tensor.shape])],
        writer.constants,
        value_info=[
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in writer.shapes.items()
            if name != "x"
        ],
    )
    domains = sorted({node.domain for node in writer.nodes} - {""})
    versions = {CHANNELS_LAST: max(spec.opset, 11), GENERAL: writer.general}
    model = helper.make_model(
        graph,
        ir_version=8,
        opset_imports=[
            helper.make_opsetid("", spec.opset),
            *(helper.make_opsetid(domain, versions.get(domain, 1)) for domain in domains),
        ],
    )
    return RandomGraph(spec, model, tuple(writer.refusable), inputs)
