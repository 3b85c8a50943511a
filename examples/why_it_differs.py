"""Find out why hls4ml's own project of a graph differs from the graph, and what mends it, through the Python API.

Run it from anywhere: ``python examples/why_it_differs.py [FOLDER]``. A small perceptron goes through hls4ml with a
configuration whose accumulator is too narrow; the diagnosis finds that, proves it and tries the remedy.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import edgeval

INPUTS, OUTPUTS = 8, 4
QONNX_DOMAIN = "qonnx.custom_op.general"
CONFIGURATION = {  # 1 bit in front of the binary point: sums reach further
    "LayerName": {"MatMul_0": {"Precision": {"accum": "fixed<9,1>"}}}
}


def make_model(seed: int) -> onnx.ModelProto:
    """Quantized inputs times quantized weights, with seeded words."""
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(name: str, values: object) -> str:
        constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def quant(source: str, target: str, scale: float, bits: int) -> str:
        parameters = [constant(f"{target}_{part}", value) for part, value in
                      (("scale", scale), ("zero_point", 0.0), ("bit_width", float(bits)))]  # fmt: skip
        attributes = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND"}
        nodes.append(
            helper.make_node(
                "Quant", [source, *parameters], [target], name=f"/{target}/Quant", domain=QONNX_DOMAIN, **attributes
            )
        )
        return target

    weights = np.random.default_rng(seed).integers(-7, 8, (INPUTS, OUTPUTS)) * 2.0**-4
    value = quant("x", "input_quant", 2.0**-4, 6)
    weight = quant(constant("fc_w", weights), "fc.weight", 2.0**-4, 4)
    nodes.append(helper.make_node("MatMul", [value, weight], ["y"], name="/fc/MatMul"))
    graph = helper.make_graph(
        nodes,
        "why_it_differs",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, INPUTS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, OUTPUTS])],
        constants,
    )
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid(QONNX_DOMAIN, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def main(folder: Path) -> int:
    """Convert, compare, explain; 0 when the cause is the one that was built in and its remedy was verified."""
    inputs = np.random.default_rng(1).integers(-32, 32, (100, INPUTS)) * 2.0**-4
    model = make_model(seed=0)
    exported = edgeval.export(model, folder / "run", inputs=inputs, flow="native", config=CONFIGURATION)

    result = edgeval.compare(exported)
    sys.stdout.write(f"{result.headline}\n")
    diagnosis = result.record.diagnosis
    if diagnosis is None:
        return 1
    sys.stdout.write(f"cause: {diagnosis.cause}: {diagnosis.explanation}\n")
    sys.stdout.write(f"evidence: {diagnosis.evidence}\n")
    sys.stdout.write(f"remedy, {'verified' if diagnosis.remedy_verified else 'not verified'}: {diagnosis.remedy}\n")
    sys.stdout.write(f"smallest failing input: {list(diagnosis.smallest_input)}\n")
    return 0 if diagnosis.cause == "narrow-accumulator" and diagnosis.remedy_verified else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/why-it-differs")))
