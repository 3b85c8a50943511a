"""Nodes that have no exact meaning are refused in four parts, before anything is written or computed."""

from __future__ import annotations

import contextlib
import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from hls.errors import EdgevalError, FormatError, LoweringError
from hls.hls4ml_flow.extension import DOMAIN
from hls.hls4ml_flow.extension.multithreshold import read_multi_threshold
from hls.hls4ml_flow.extension.parameters import (
    read_lookup,
    read_requantize,
    read_scaled_add,
    read_threshold,
    signed_bits,
)

RESULT = {"out_unit": 0, "out_bits": 4, "out_signed": 1}
GOOD: dict[str, dict[str, Any]] = {
    "Threshold": {
        "thresholds": [-3, 0, 0, 5], "channels": 2, "threshold_bits": 4, "offsets": [0, -1], "directions": [1, -1],
        "stride": 2, "in_unit": 0, **RESULT,
    },
    "Requantize": {
        "multipliers": [3, -3], "offsets": [0, 1], "shifts": [1, 0], "low": -8, "high": 7, "in_unit": 0, **RESULT,
    },
    "Lookup": {"table": [1, -8, 7, 0], "channels": 1, "first": -2, "in_unit": 0, **RESULT},
    "ScaledAdd": {"multipliers": [1, -2], "in_units": [0, 0], **RESULT},
}  # fmt: skip
READERS = {
    "Threshold": read_threshold, "Requantize": read_requantize, "Lookup": read_lookup, "ScaledAdd": read_scaled_add,
}  # fmt: skip


def node(op: str, name: str = "n", **changes: Any) -> onnx.NodeProto:
    attributes = {key: value for key, value in {**GOOD[op], **changes}.items() if value is not None}
    inputs = ["x", "x"] if op == "ScaledAdd" else ["x"]
    return helper.make_node(op, inputs, ["y"], name=name, domain=DOMAIN, **attributes)


@pytest.mark.parametrize("op", GOOD)
def test_the_good_nodes_are_taken(op: str) -> None:
    assert READERS[op](node(op)).result.bits == 4


@pytest.mark.parametrize(("op", "name"), [(op, name) for op, attributes in GOOD.items() for name in attributes])
def test_a_missing_attribute_is_named(op: str, name: str) -> None:
    with pytest.raises(LoweringError, match=f"node n .{op}.: found no attribute `{name}`"):
        READERS[op](node(op, **{name: None}))


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("Threshold", {"thresholds": [8, 0, 0, 0]}, "thresholds: 8; allowed: -8 to 7"),
    ("Threshold", {"thresholds": [1, 2, 3]}, "3 thresholds for 2 channels"),
    ("Threshold", {"thresholds": [2**53 + 1] * 4, "threshold_bits": 60}, "needs more than 53 bits"),
    ("Threshold", {"thresholds": 3}, "a list of integers"),
    ("Threshold", {"channels": 0}, "for 0 channels"),
    ("Threshold", {"threshold_bits": 63}, "1 to 62"),
    ("Threshold", {"offsets": [4, 4]}, "the output words: 8; allowed: -8 to 7"),
    ("Threshold", {"offsets": [0]}, "1 offsets; allowed: 2"),
    ("Threshold", {"directions": [1, 0]}, "1 or -1"),
    ("Threshold", {"stride": 0}, "1 or more"),
    ("Threshold", {"in_unit": 0.5}, "an integer"),
    ("Requantize", {"offsets": [0]}, "1 offsets; allowed: 2"),
    ("Requantize", {"shifts": [0, -1]}, "0 to 62"),
    ("Requantize", {"low": 3, "high": 2}, "low ≤ high"),
    ("Requantize", {"high": 8}, "low and high: 8"),
    ("Requantize", {"out_signed": 0}, "low and high: -8"),
    ("Requantize", {"out_signed": 2}, "0 or 1"),
    ("Requantize", {"out_bits": 1}, "at least two bits"),
    ("Lookup", {"table": [1, -9]}, "table: -9"),
    ("Lookup", {"table": [2**60 + 1], "out_bits": 62}, "needs more than 53 bits"),
    ("ScaledAdd", {"multipliers": [1, 2, 3]}, "3 multipliers; allowed: 2"),
    ("ScaledAdd", {"in_units": [1]}, "1 in_units; allowed: 2"),
]


@pytest.mark.parametrize(("op", "changes", "message"), BAD)
def test_a_bad_attribute_is_refused(op: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(LoweringError, match=message):
        READERS[op](node(op, **changes))


@pytest.mark.parametrize(
    ("words", "bits"), [([0], 2), ([-1], 2), ([1], 2), ([2], 3), ([-2], 2), ([-3], 3), ([2**62], 64)]
)
def test_signed_bits(words: list[int], bits: int) -> None:
    assert signed_bits(words) == bits
    assert all(-(2 ** (bits - 1)) <= word < 2 ** (bits - 1) for word in words)


def run_qonnx(op: str, values: list[np.ndarray], **changes: Any) -> np.ndarray:
    from qonnx.custom_op.registry import getCustomOp

    import hls.hls4ml_flow.extension.operators  # noqa: F401 (registers)

    context = {"x": values[0], "z": values[-1]}
    made = node(op, **changes)
    if op == "ScaledAdd":
        made.input[1] = "z"
    getCustomOp(made).execute_node(context, None)
    return context["y"]


def test_qonnx_rounds_wide_products_like_fractions() -> None:
    rng = np.random.default_rng(0)
    words = rng.integers(-(2**30), 2**30, (50, 2))
    got = run_qonnx("Requantize", [words.astype(np.float64)], multipliers=[2**31 - 1, -(2**32)], offsets=[2**40, -1],
                    shifts=[40, 33], low=-(2**40), high=2**40, out_bits=42)  # fmt: skip
    want = [
        [round(Fraction(int(a) * (2**31 - 1) + 2**40, 2**40)), round(Fraction(int(b) * -(2**32) - 1, 2**33))]
        for a, b in words
    ]
    assert got.tolist() == want


@pytest.mark.parametrize(
    ("op", "values", "changes", "message"),
    [
        ("Requantize", [np.full((1, 2), 2.0**40)], {"multipliers": [2**30, 1]}, "products of up to"),
        ("ScaledAdd", [np.full((1, 2), 2.0**40)], {"multipliers": [1, 2**30]}, "products of up to"),
        ("ScaledAdd", [np.zeros((1, 2)), np.zeros((1, 3))], {}, "inputs of shapes"),
        ("Lookup", [np.full((1, 2), 2.0)], {}, "words 2 to 2; allowed: -2 to 1"),
        ("Threshold", [np.zeros((1, 3))], {}, "2 channels for a last axis of 3"),
        ("Threshold", [np.full((1, 2), np.nan)], {}, "more than 62 bits, or none"),
    ],
)
def test_qonnx_refuses_what_it_cannot_compute_exactly(
    op: str, values: list[np.ndarray], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(LoweringError, match=message):
        run_qonnx(op, values, **changes)


def multi(thresholds: Any, shape: list[int], **attributes: Any) -> Any:
    made = helper.make_node("MultiThreshold", ["x", "t"], ["y"], name="m", out_dtype="INT8", **attributes)
    initializers = [] if thresholds is None else [numpy_helper.from_array(np.array(thresholds, np.float32), "t")]
    return read_multi_threshold(made, shape, helper.make_graph([made], "g", [], [], initializers))


def test_a_multi_threshold_of_floats_becomes_integers() -> None:
    read = multi([[-0.5, 1.25], [3, 4]], [1, 2], out_scale=-0.5, out_bias=1.0)
    assert (read.threshold_unit, read.thresholds, read.threshold_bits) == (-2, ((-2, 5), (12, 16)), 6)
    assert (read.offsets, read.directions, read.stride) == ((2, 2), (-1, -1), 1)
    assert (read.result.unit, read.result.bits, read.result.signed) == (-1, 2, False)


@pytest.mark.parametrize(
    ("shape", "layout", "rows", "taken"),
    [
        ([1, 2], "", 2, True), ([1, 2], "NC", 2, True), ([1, 5, 2], "", 2, True), ([1, 3, 3, 2], "NHWC", 2, True),
        ([1, 2, 3, 3], "", 2, False), ([1, 2, 3, 3], "NCHW", 2, False), ([1, 2, 5], "NCW", 2, False),
        ([1, 2, 3, 3, 3], "", 2, False), ([1, 2, 3, 3], "NCHW", 1, True),
    ],
)  # fmt: skip
def test_channels_have_to_be_the_last_axis(shape: list[int], layout: str, rows: int, taken: bool) -> None:
    thresholds = [[0.0, 1.0]] * rows
    if taken:
        assert multi(thresholds, shape, data_layout=layout).channels == rows
        return
    with pytest.raises(LoweringError, match="channels on the last axis"):
        multi(thresholds, shape, data_layout=layout)


@pytest.mark.parametrize(
    ("thresholds", "attributes", "message"),
    [
        (None, {}, "thresholds t that are computed"),
        ([0.0, 1.0], {}, r"thresholds of shape \(2,\)"),
        ([[0.0, np.inf]], {}, "finite thresholds"),
        ([[2.0**-60, 1.0]], {}, "thresholds that need 62 bits"),
        ([[0.0]], {"out_scale": 0.0}, "out_scale 0"),
    ],
)
def test_a_multi_threshold_without_exact_words_is_refused(
    thresholds: Any, attributes: dict[str, float], message: str
) -> None:
    with pytest.raises(LoweringError, match=message):
        multi(thresholds, [1, 3], **attributes)


def test_a_multi_threshold_whose_results_are_too_wide_is_refused() -> None:
    with pytest.raises(FormatError, match="63 bits"):
        multi([[0.0]], [1, 1], out_scale=2.0**62, out_bias=1.0)


def convert(made: onnx.NodeProto, folder: Path, backend: str = "Vitis", result: str | None = None) -> Any:
    with contextlib.redirect_stdout(io.StringIO()):
        import hls4ml

        import hls.hls4ml_flow.extension.handlers  # noqa: F401 (registers)

        ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in ("x", "y")]
        model = helper.make_model(helper.make_graph([made], "g", ports[:1], ports[1:]))
        config = hls4ml.utils.config_from_onnx_model(model, granularity="name", backend=backend)
        if result is not None:
            config["LayerName"]["n"]["Precision"] = {"result": result}
        return hls4ml.converters.convert_from_onnx_model(
            model, output_dir=str(folder), backend=backend, io_type="io_parallel", hls_config=config
        )


def test_the_layer_has_the_nodes_own_type_and_weight_array(tmp_path: Path) -> None:
    layer = convert(node("Threshold"), tmp_path).graph["n"]
    assert layer.class_name == "EdgevalThreshold"
    assert str(layer.get_output_variable().type.precision) == "fixed<4,4,TRN,WRAP,0>"
    weight = layer.get_weights("thresholds")
    assert str(weight.type.precision) == "fixed<4,4,TRN,WRAP,0>"
    assert weight.data.tolist() == [[-3, 0], [0, 5]]


@pytest.mark.parametrize("result", ["auto", "fixed<4,4>"])
def test_a_configured_result_that_agrees_is_taken(result: str, tmp_path: Path) -> None:
    layer = convert(node("Lookup"), tmp_path, result=result).graph["n"]
    assert layer.get_weights("table").type.precision.width == 4


@pytest.mark.parametrize(
    ("made", "options", "message"),
    [
        (node("Lookup"), {"result": "fixed<5,4>"}, "result precision fixed<5,4> in the configuration"),
        (node("Lookup"), {"backend": "oneAPI"}, "back end oneAPI; allowed: Vivado"),
        (
            node("Requantize", multipliers=[1] * 3, offsets=[0] * 3, shifts=[0] * 3),
            {},
            "3 channels for a last axis of 2",
        ),
        (helper.make_node("Threshold", ["x"], ["y"], name="n", domain="other"), {}, "Threshold of the domain other"),
    ],
)
def test_hls4ml_is_stopped_before_it_writes_something_else(
    made: onnx.NodeProto, options: dict[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(EdgevalError, match=message):
        convert(made, tmp_path, **options)
