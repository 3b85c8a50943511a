"""A QONNX graph of your own making, from nothing to a verdict and a fault campaign, through the Python API.

Run it from anywhere: ``python examples/third_party_graph.py [RUN]``. It leaves a run directory (default
``runs/third-party``) that every ``edgeval`` command reads.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import edgeval

INPUTS, HIDDEN, OUTPUTS = 8, 6, 3
INPUT_SCALE, WEIGHT_SCALE, HIDDEN_SCALE = 2.0**-4, 2.0**-3, 2.0**-2
QONNX_DOMAIN = "qonnx.custom_op.general"


class GraphWriter:
    """Collects the nodes and constants of one QONNX graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, values: object) -> str:
        """Add a float constant and return its name."""
        self.constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def quant(self, source: str, target: str, *, scale: float, bits: int, signed: bool) -> str:
        """Add a Quant node: ties to even, zero point 0, one scale."""
        parameters = [
            self.constant(f"{target}_scale", scale),
            self.constant(f"{target}_zero_point", 0.0),
            self.constant(f"{target}_bit_width", float(bits)),
        ]
        attributes = {"signed": int(signed), "narrow": 0, "rounding_mode": "ROUND"}
        self.nodes.append(
            helper.make_node(
                "Quant", [source, *parameters], [target], name=f"/{target}/Quant", domain=QONNX_DOMAIN, **attributes
            )
        )
        return target

    def dense(self, source: str, name: str, weight_words: np.ndarray, bias_words: np.ndarray, scale: float) -> str:
        """Add a dense layer: 4-bit weights, 8-bit biases at the accumulator's scale (input scale × weight scale)."""
        accumulator_scale = scale * WEIGHT_SCALE
        raw_weight = self.constant(f"{name}_w", weight_words * WEIGHT_SCALE)
        raw_bias = self.constant(f"{name}_b", bias_words * accumulator_scale)
        weight = self.quant(raw_weight, f"{name}.weight", scale=WEIGHT_SCALE, bits=4, signed=True)
        bias = self.quant(raw_bias, f"{name}.bias", scale=accumulator_scale, bits=8, signed=True)
        self.nodes.append(helper.make_node("MatMul", [source, weight], [f"{name}_product"], name=f"/{name}/MatMul"))
        self.nodes.append(helper.make_node("Add", [f"{name}_product", bias], [f"{name}_sum"], name=f"/{name}/Add"))
        return f"{name}_sum"


def make_model(seed: int) -> onnx.ModelProto:
    """An 8-6-3 perceptron with seeded words, as an exporter would write it."""
    rng = np.random.default_rng(seed)
    graph = GraphWriter()
    value = graph.quant("x", "input_quant", scale=INPUT_SCALE, bits=5, signed=False)
    value = graph.dense(value, "fc1", rng.integers(-7, 8, (INPUTS, HIDDEN)), rng.integers(-60, 60, HIDDEN), INPUT_SCALE)
    graph.nodes.append(helper.make_node("Relu", [value], ["act1_relu"], name="/act1/Relu"))
    value = graph.quant("act1_relu", "act1", scale=HIDDEN_SCALE, bits=4, signed=False)
    value = graph.dense(
        value, "fc2", rng.integers(-7, 8, (HIDDEN, OUTPUTS)), rng.integers(-60, 60, OUTPUTS), HIDDEN_SCALE
    )
    body = helper.make_graph(
        graph.nodes,
        "third_party",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, INPUTS])],
        [helper.make_tensor_value_info(value, TensorProto.FLOAT, [1, OUTPUTS])],
        graph.constants,
    )
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid(QONNX_DOMAIN, 1)]
    return helper.make_model(body, opset_imports=opsets, ir_version=8)


def main(folder: Path) -> int:
    """Build, export, compare, inject; 0 when every word agrees."""
    folder.mkdir(parents=True, exist_ok=True)
    model = make_model(seed=0)
    inputs = np.random.default_rng(1).uniform(0.0, 2.0, (200, INPUTS)).astype(np.float32)

    exported = edgeval.export(model, folder / "run", inputs=inputs)  # and labels=..., where there are any
    for layer in exported.layers:
        sys.stdout.write(f"{layer.name:12} {layer.form:10} {layer.output_format}\n")

    verdict = edgeval.compare(exported)
    sys.stdout.write(f"{verdict.headline}\n")

    campaign = edgeval.inject(exported, verify_on_csim=20)
    sys.stdout.write(f"{campaign}\n")
    return max(verdict.exit_code, campaign.exit_code)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/third-party")))
