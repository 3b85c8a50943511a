"""The layers edgeval adds to hls4ml: qonnx, hls4ml's C-simulation and plain Python integers give the same words."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hls.formats import WordFormat, smallest_format, smallest_signed

DOMAIN = "edgeval.custom_op"
SAMPLES = 24
INPUT = WordFormat(width_bits=7, encoding="twos_complement")


@dataclass(frozen=True)
class Value:
    """A tensor of the random graph: its words by plain Python, and what type they have."""

    name: str
    words: list[int]
    format: WordFormat
    unit: int


@dataclass
class Network:
    """A random graph and, of each value in it, the words a plain Python loop computes."""

    rng: np.random.Generator
    shape: tuple[int, ...]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    initializers: list[onnx.TensorProto] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)

    def integers(self, low: int, high: int, count: int) -> list[int]:
        return [int(word) for word in self.rng.integers(low, high, count, endpoint=True)]

    def channels(self, per_channel: bool) -> int:
        return self.shape[-1] if per_channel else 1

    def add(self, op: str, inputs: list[Value], words: list[int], word_format: WordFormat, unit: int, **attrs) -> Value:
        name = f"{op.lower()}{len(self.nodes)}"
        assert word_format.contains(np.array(words)), "the test's own format"
        out = {"out_unit": unit, "out_bits": word_format.width_bits, "out_signed": int(word_format.signed)}
        names = [value.name for value in inputs]
        self.nodes.append(helper.make_node(op, names, [f"{name}_out"], name=name, domain=DOMAIN, **attrs, **out))
        value = Value(f"{name}_out", words, word_format, unit)
        self.values[name] = value
        return value


def channel(value_index: int, count: int) -> int:
    return value_index % count


def threshold(net: Network, x: Value, *, per_channel: bool, steps: int, stride: int = 1, falling: bool, unit: int = 0,
              first: int = 0) -> Value:  # fmt: skip
    channels = net.channels(per_channel)
    occurring = sorted(set(x.words))[1:]  # some words lie below each threshold and some do not
    # In no order: a flipped bit of a stored threshold leaves them so, and they are counted all the same.
    rows = [[int(t) for t in net.rng.choice(occurring, steps)] for _ in range(channels)]
    directions = [-1 if falling and c % 2 == 0 else 1 for c in range(channels)]
    offsets = [first + (steps * stride if d < 0 else 0) + (c if per_channel else 0) for c, d in enumerate(directions)]
    words = []
    for i, word in enumerate(x.words):
        c = channel(i, channels)
        words.append(offsets[c] + stride * directions[c] * sum(t <= word for t in rows[c]))
    ends = [o + d * k for o, d in zip(offsets, directions, strict=True) for k in (0, steps * stride)]
    flat = [word for row in rows for word in row]
    bits = smallest_signed(min(flat), max(flat)).width_bits
    return net.add(
        "Threshold", [x], words, smallest_format(min(ends), max(ends)), unit, thresholds=flat, channels=channels,
        threshold_bits=bits, offsets=offsets, directions=directions, stride=stride, in_unit=x.unit,
    )  # fmt: skip


def half_even(value: Fraction) -> int:
    return round(value)  # Python's round of a Fraction is exact, ties to even


def requantize(net: Network, x: Value, *, per_channel: bool, bits: int, signed: bool, shift: int,
               low: int | None = None, unit: int = 0) -> Value:  # fmt: skip
    channels = net.channels(per_channel)
    word_format = WordFormat(width_bits=bits, encoding="twos_complement" if signed else "unsigned")
    multipliers = [m or 1 for m in net.integers(-40, 40, channels)]
    # Offsets of a power of two at times, so that ties occur.
    offsets = [o << max(shift - 1, 0) if c % 2 else o for c, o in enumerate(net.integers(-5, 5, channels))]
    shifts = [max(shift - c % 3, 0) for c in range(channels)]
    low = word_format.minimum if low is None else low
    words = []
    for i, word in enumerate(x.words):
        c = channel(i, channels)
        rounded = half_even(Fraction(word * multipliers[c] + offsets[c], 2 ** shifts[c]))
        words.append(min(max(rounded, low), word_format.maximum))
    return net.add(
        "Requantize", [x], words, word_format, unit, multipliers=multipliers, offsets=offsets, shifts=shifts, low=low,
        high=word_format.maximum, in_unit=x.unit,
    )  # fmt: skip


def lookup(net: Network, x: Value, *, per_channel: bool, bits: int, signed: bool, unit: int = 0) -> Value:
    channels = net.channels(per_channel)
    word_format = WordFormat(width_bits=bits, encoding="twos_complement" if signed else "unsigned")
    entries = x.format.maximum - x.format.minimum + 1
    rows = [net.integers(word_format.minimum, word_format.maximum, entries) for _ in range(channels)]
    words = [rows[channel(i, channels)][word - x.format.minimum] for i, word in enumerate(x.words)]
    return net.add(
        "Lookup", [x], words, word_format, unit, table=[w for row in rows for w in row], channels=channels,
        first=x.format.minimum, in_unit=x.unit,
    )  # fmt: skip


def scaled_add(net: Network, x: Value, y: Value, multipliers: tuple[int, int], bits: int, unit: int = 0) -> Value:
    word_format = WordFormat(width_bits=bits, encoding="twos_complement", overflow="wrap")
    sums = [a * multipliers[0] + b * multipliers[1] for a, b in zip(x.words, y.words, strict=True)]
    half = 2 ** (bits - 1)
    words = [(word + half) % (2 * half) - half for word in sums]
    return net.add("ScaledAdd", [x, y], words, word_format, unit, multipliers=multipliers, in_units=[x.unit, y.unit])


def multi_threshold(net: Network, x: Value, *, per_channel: bool, scale: float, bias: float) -> Value:
    """qonnx's own operator, on real values; thresholds lie between the words as well as on them."""
    channels, steps = net.channels(per_channel), 5
    low, high = x.format.minimum * 4, x.format.maximum * 4
    rows = [
        sorted(Fraction(t, 4) * Fraction(2) ** x.unit for t in net.integers(low, high, steps)) for _ in range(channels)
    ]
    unit = -4  # scale and bias of these tests are multiples of 1/16
    words = []
    for i, word in enumerate(x.words):
        value = word * Fraction(2) ** x.unit
        result = Fraction(scale) * sum(t <= value for t in rows[channel(i, channels)]) + Fraction(bias)
        words.append(int(result * 2**-unit))
    name = f"multi{len(net.nodes)}"
    array = np.array([[float(t) for t in row] for row in rows], np.float32)
    net.initializers.append(numpy_helper.from_array(array, f"{name}_thresholds"))
    net.nodes.append(
        helper.make_node(
            "MultiThreshold", [x.name, f"{name}_thresholds"], [f"{name}_out"], name=name,
            domain="qonnx.custom_op.general", out_dtype="INT8", out_scale=scale, out_bias=bias, data_layout="NC",
        )
    )  # fmt: skip
    value = Value(f"{name}_out", words, smallest_format(min(words), max(words)), unit)
    net.values[name] = value
    return value


def start(seed: int, shape: tuple[int, ...]) -> tuple[Network, Value]:
    rng = np.random.default_rng(seed)
    net = Network(rng, shape)
    count = SAMPLES * int(np.prod(shape))
    x = Value("x", net.integers(INPUT.minimum, INPUT.maximum, count), INPUT, 0)
    return net, x


def matmul(net: Network, x: Value, outputs: int) -> Value:
    """x @ weight with the weight's format in a Quant node, as edgeval's own graphs have it."""
    inputs = net.shape[-1]
    weight = net.rng.integers(-4, 3, (inputs, outputs), endpoint=True)
    for name, array in (("w", weight), ("one", 1.0), ("zero", 0.0), ("bits", 3.0)):
        net.initializers.append(numpy_helper.from_array(np.asarray(array, np.float32), name))
    net.nodes.append(
        helper.make_node("Quant", ["w", "one", "zero", "bits"], ["wq"], name="wq", domain="qonnx.custom_op.general",
                         signed=1, narrow=0, rounding_mode="ROUND")
    )  # fmt: skip
    net.nodes.append(helper.make_node("MatMul", [x.name, "wq"], ["fc_out"], name="fc"))
    words = [
        sum(x.words[row * inputs + i] * int(weight[i, o]) for i in range(inputs))
        for row in range(len(x.words) // inputs)
        for o in range(outputs)
    ]
    net.shape = (*net.shape[:-1], outputs)
    value = Value("fc_out", words, smallest_signed(-4 * 64 * inputs, 4 * 64 * inputs), 0)
    net.values["Dense_fc"] = value  # as hls4ml names the layer
    return value


def flat_network(seed: int) -> tuple[Network, Value]:
    """A matrix product, every operator per tensor and per channel, MultiThreshold, one-bit and bipolar words."""
    net, x = start(seed, (4,))
    a = matmul(net, x, 6)
    r = requantize(net, a, per_channel=True, bits=6, signed=True, shift=7, unit=-3)
    u = requantize(net, a, per_channel=False, bits=5, signed=False, shift=6, low=2, unit=4)
    t = threshold(net, r, per_channel=True, steps=7, falling=True, unit=1)
    b = threshold(net, u, per_channel=False, steps=1, stride=2, first=-1, falling=True, unit=-1)
    bit = threshold(net, a, per_channel=False, steps=1, falling=False)
    m = multi_threshold(net, r, per_channel=True, scale=0.25, bias=-1.5)
    table = lookup(net, t, per_channel=True, bits=6, signed=True, unit=2)
    flags = lookup(net, bit, per_channel=False, bits=5, signed=False, unit=-2)
    s = scaled_add(net, table, b, (3, -7), 10)
    s = scaled_add(net, s, flags, (-1, 1), 10)
    scaled_add(net, s, m, (5, 2), 7)  # wraps
    return net, x


def spatial_network(seed: int) -> tuple[Network, Value]:
    """Channels on the last of three axes; the first layers read the model's input directly."""
    net, x = start(seed, (2, 3, 3))
    t = threshold(net, x, per_channel=True, steps=15, stride=3, falling=True, unit=-2)
    one = threshold(net, x, per_channel=True, steps=1, falling=False, unit=2)
    r = requantize(net, x, per_channel=False, bits=4, signed=True, shift=5)
    direct = lookup(net, x, per_channel=True, bits=8, signed=True, unit=1)
    unchanged = requantize(net, t, per_channel=True, bits=12, signed=True, shift=0, unit=-6)
    only_unit = lookup(net, r, per_channel=False, bits=4, signed=True, unit=3)
    bit = threshold(net, r, per_channel=False, steps=1, falling=True, unit=-1)
    s = scaled_add(net, direct, unchanged, (11, -1), 14, unit=1)
    s = scaled_add(net, s, only_unit, (1, 1), 15)
    s = scaled_add(net, s, bit, (1, -9), 16)
    scaled_add(net, s, one, (-2, 100), 17)
    return net, x


NETWORKS = {"flat": flat_network, "spatial": spatial_network}


def model_of(net: Network, x: Value, input_shape: tuple[int, ...]) -> onnx.ModelProto:
    def info(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *shape])

    last = list(net.values.values())[-1].name
    quantized = {tensor.name: tensor.dims for tensor in net.initializers if tensor.name == "w"}
    shapes = [info(value.name, net.shape) for value in net.values.values() if value.name != last]
    shapes += [helper.make_tensor_value_info("wq", TensorProto.FLOAT, dims) for dims in quantized.values()]
    graph = helper.make_graph(
        net.nodes, "random", [info("x", input_shape)], [info(last, net.shape)], net.initializers, value_info=shapes
    )
    domains = [
        helper.make_opsetid("", 13),
        helper.make_opsetid("qonnx.custom_op.general", 1),
        helper.make_opsetid(DOMAIN, 1),
    ]
    return helper.make_model(graph, ir_version=8, opset_imports=domains)


@contextlib.contextmanager
def hls4ml_chatter() -> Iterator[io.StringIO]:
    log = io.StringIO()
    with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield log


def convert(model: onnx.ModelProto, folder: Path, backend: str, io_type: str) -> Any:
    with hls4ml_chatter() as log:
        import hls4ml
        from qonnx.core.modelwrapper import ModelWrapper

        import hls.hls4ml_flow.extension.handlers  # noqa: F401 (registers)

        wrapper = ModelWrapper(model)
        config = hls4ml.utils.config_from_onnx_model(
            wrapper, granularity="name", backend=backend, default_precision="fixed<40,20>"
        )
        config["LayerName"]["x"]["Precision"] = {"result": f"fixed<{INPUT.width_bits},{INPUT.width_bits}>"}
        converted = hls4ml.converters.convert_from_onnx_model(
            wrapper, output_dir=str(folder), backend=backend, io_type=io_type, hls_config=config
        )
    assert "WARNING" not in log.getvalue()
    return converted


def set_accumulator(converted: Any, name: str, word_format: WordFormat) -> None:
    """What hls4ml infers for a matrix product has more fraction bits than words have; take the words' own type."""
    from hls4ml.backends.fpga.fpga_types import ACTypeConverter, APTypeConverter
    from hls4ml.model.types import FixedPrecisionType

    types = ACTypeConverter() if converted.config.backend.name in {"Quartus", "Catapult"} else APTypeConverter()
    bits = word_format.width_bits
    for layer in converted.get_layers():
        if layer.outputs[0] == name:
            layer.get_output_variable().type.precision = types.convert(FixedPrecisionType(bits, bits))


def run_hls4ml(converted: Any, inputs: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
    """Results of the named layers, as hls4ml's own trace hands them out; it compiles first.

    For Quartus with io_stream hls4ml 1.3.0 saves the last layer's stream under every name: only the output there.
    """
    config = converted.config
    if config.backend.name == "Quartus" and config.get_config_value("IOType") == "io_stream":
        with hls4ml_chatter():
            converted.compile()
            return {names[-1]: converted.predict(np.ascontiguousarray(inputs))}
    config.trace_output = True
    for layer in converted.get_layers():
        layer.set_attr("trace", value=layer.name in names)
    with hls4ml_chatter():
        _, trace = converted.trace(np.ascontiguousarray(inputs))
    return trace


def run_qonnx(model: onnx.ModelProto, inputs: np.ndarray) -> dict[str, np.ndarray]:
    with hls4ml_chatter():
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx

        import hls.hls4ml_flow.extension.operators  # noqa: F401 (registers)

        wrapper = ModelWrapper(model)
        samples = [execute_onnx(wrapper, {"x": sample[None]}, return_full_exec_context=True) for sample in inputs]
    return {name: np.concatenate([sample[name] for sample in samples]) for name in samples[0] if name.endswith("_out")}


def words_of(values: np.ndarray, value: Value) -> list[int]:
    scaled = np.ldexp(values.astype(np.float64).reshape(-1), -value.unit)
    words = scaled.astype(np.int64)
    assert np.array_equal(words, scaled), f"{value.name} holds values that are no words"
    return words.tolist()


def compare(network: str, seed: int, folder: Path, backend: str, io_type: str) -> None:
    net, x = NETWORKS[network](seed)
    shape = (4,) if network == "flat" else net.shape
    inputs = np.array(x.words, np.float32).reshape(SAMPLES, *shape)
    model = model_of(net, x, shape)
    by_qonnx = run_qonnx(model, inputs)
    converted = convert(model, folder, backend, io_type)
    if network == "flat":
        set_accumulator(converted, "fc_out", net.values["Dense_fc"].format)
    by_hls4ml = run_hls4ml(converted, inputs, list(net.values))
    for name, value in net.values.items():
        assert len(set(value.words)) > 1, f"{name} is constant: nothing is compared"
        assert words_of(by_qonnx[value.name], value) == value.words, f"{name} in qonnx"
        if name in by_hls4ml:
            assert words_of(by_hls4ml[name], value) == value.words, f"{name} in hls4ml"
    assert name in by_hls4ml, "the output was not compared"


DEFAULT = [("flat", "Vitis", "io_parallel"), ("spatial", "Vitis", "io_stream"), ("spatial", "Quartus", "io_parallel")]
SLOW = [
    (network, backend, io_type)
    for network in NETWORKS
    for backend in ("Vitis", "Vivado", "Quartus", "Catapult")
    for io_type in ("io_parallel", "io_stream")
    if (network, backend, io_type) not in DEFAULT
]


@pytest.mark.gxx
@pytest.mark.parametrize(("network", "backend", "io_type"), DEFAULT)
def test_three_executors_agree_on_every_word_of_every_layer(
    network: str, backend: str, io_type: str, tmp_path: Path
) -> None:
    compare(network, 3, tmp_path / "project", backend, io_type)


@pytest.mark.gxx
@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "backend", "io_type"),
    [
        item
        if item[:2] == ("flat", "Quartus") or (item[::2] == ("spatial", "io_parallel") and item[1] == "Catapult")
        else pytest.param(*item, marks=pytest.mark.long)
        for item in SLOW
    ],
)
def test_the_other_back_ends_agree_too(network: str, backend: str, io_type: str, tmp_path: Path) -> None:
    compare(network, 11, tmp_path / "project", backend, io_type)
