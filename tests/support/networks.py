"""Small networks for tests: integer graphs and QONNX files, every choice an argument, every random word seeded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hls.formats import WordFormat
from hls.graph import IntegerGraph
from hls.lowering import lower

QONNX = "qonnx.custom_op.general"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mlp:
    """A quantized perceptron as QONNX: Quant, MatMul, Add, Relu, Quant, … as Brevitas and others export it."""

    widths: tuple[int, ...] = (8, 6, 4, 3)
    weight_bits: int = 4
    activation_bits: int = 4
    bias_bits: int = 10
    input_bits: int = 5
    input_signed: bool = False
    per_channel: bool = False
    po2: bool = True
    relu: bool = True
    signed_activation: bool = False
    narrow_activation: bool = False
    relu_last: bool = False
    input_shape: tuple[int, ...] = ()
    output_quant: bool = False
    bias: bool = True
    gemm: bool = False
    rounding: str = "ROUND"
    seed: int = 0

    def model(self) -> onnx.ModelProto:
        """The QONNX file."""
        return _QonnxWriter(self).model()

    def graph(self) -> IntegerGraph:
        """The integer network it means."""
        return lower(self.model())

    def inputs(self, samples: int) -> np.ndarray:
        """Seeded real inputs over the whole input range and a little beyond, shape (samples, features)."""
        rng = np.random.default_rng(self.seed + 1)
        word_format = WordFormat(
            width_bits=self.input_bits, encoding="twos_complement" if self.input_signed else "unsigned"
        )
        span = word_format.maximum - word_format.minimum
        low, high = word_format.minimum - 0.05 * span, word_format.maximum + 0.05 * span
        return rng.uniform(low, high, (samples, *(self.input_shape or self.widths[:1]))) * 0.125


class _QonnxWriter:
    def __init__(self, recipe: Mlp) -> None:
        self.recipe = recipe
        self.rng = np.random.default_rng(recipe.seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, values: object) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def quant(self, source: str, target: str, scale: object, bits: int, *, signed: bool, narrow: bool = False) -> str:
        parameters = [
            self.constant(f"{target}_scale", scale),
            self.constant(f"{target}_zero", 0.0),
            self.constant(f"{target}_bits", float(bits)),
        ]
        self.nodes.append(
            helper.make_node(
                "Quant", [source, *parameters], [target], name=f"/{target}/Quant", domain=QONNX,
                signed=int(signed), narrow=int(narrow), rounding_mode=self.recipe.rounding,
            )
        )  # fmt: skip
        return target

    def model(self) -> onnx.ModelProto:
        r = self.recipe
        scale = np.float32(0.125)
        value = self.quant("x", "input_quant", scale, r.input_bits, signed=r.input_signed)
        if r.input_shape:
            self.nodes.append(helper.make_node("Flatten", [value], ["flat"], name="/flatten/Flatten"))
            value = "flat"
        for layer in range(1, len(r.widths)):
            value, scale = self.layer(value, scale, layer)
        graph = helper.make_graph(
            self.nodes,
            "mlp",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, *(r.input_shape or r.widths[:1])])],
            [helper.make_tensor_value_info(value, TensorProto.FLOAT, [1, r.widths[-1]])],
            self.constants,
        )
        opsets = [helper.make_opsetid("", 13), helper.make_opsetid(QONNX, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    def layer(self, value: str, scale: np.float32, layer: int) -> tuple[str, np.float32]:
        r = self.recipe
        shape = (r.widths[layer - 1], r.widths[layer])
        name, last = f"fc{layer}", layer == len(r.widths) - 1
        weight_scale = self.weight_scale(shape[1])
        limit = 2 ** (r.weight_bits - 1) - 1
        words = self.rng.integers(-limit, limit, shape, endpoint=True) * (self.rng.random(shape) < 0.7)
        values = words * np.broadcast_to(weight_scale, shape)
        if r.gemm:
            raw = self.constant(f"{name}.w", values.T)
            scales = np.reshape(weight_scale, (-1, 1)) if r.per_channel else weight_scale
            weight = self.quant(raw, f"{name}.weight", scales, r.weight_bits, signed=True, narrow=True)
        else:
            raw = self.constant(f"{name}.w", values)
            weight = self.quant(raw, f"{name}.weight", weight_scale, r.weight_bits, signed=True, narrow=True)
        bias = self.bias(name, shape[1], scale * weight_scale) if r.bias else None
        value = self.sum(value, weight, bias, name)
        if r.relu_last if last else r.relu:
            self.nodes.append(helper.make_node("Relu", [value], [f"act{layer}_relu"], name=f"/act{layer}/Relu"))
            value = f"act{layer}_relu"
        if last and not r.output_quant:
            return value, scale
        target = np.float32(2.0**-2) if r.po2 else np.float32(0.31)
        signed = r.signed_activation or last or not r.relu
        narrow = r.narrow_activation and signed
        return self.quant(value, f"act{layer}", target, r.activation_bits, signed=signed, narrow=narrow), target

    def weight_scale(self, outputs: int) -> np.ndarray:
        if self.recipe.po2:
            exponents = self.rng.integers(-4, -1, outputs if self.recipe.per_channel else 1)
            scales = np.ldexp(np.float32(1), exponents).astype(np.float32)
        else:
            scales = self.rng.uniform(0.05, 0.2, outputs if self.recipe.per_channel else 1).astype(np.float32)
        return scales if self.recipe.per_channel else scales[0]

    def bias(self, name: str, outputs: int, scale: np.ndarray) -> str:
        scale = np.asarray(scale, np.float32)
        words = self.rng.integers(-60, 60, outputs)
        raw = self.constant(f"{name}.b", words * scale)
        return self.quant(raw, f"{name}.bias", scale, self.recipe.bias_bits, signed=True)

    def sum(self, value: str, weight: str, bias: str | None, name: str) -> str:
        if self.recipe.gemm:
            inputs = [value, weight] + ([bias] if bias else [])
            self.nodes.append(helper.make_node("Gemm", inputs, [f"{name}_out"], name=f"/{name}/Gemm", transB=1))
            return f"{name}_out"
        self.nodes.append(helper.make_node("MatMul", [value, weight], [f"{name}_mm"], name=f"/{name}/MatMul"))
        if bias is None:
            return f"{name}_mm"
        self.nodes.append(helper.make_node("Add", [f"{name}_mm", bias], [f"{name}_out"], name=f"/{name}/Add"))
        return f"{name}_out"
