"""Small graphs and runs for tests of the native flow, one departure each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper
from support.networks import QONNX
from support.onnx_graphs import Graph

from edgeval.comparison import compare_run
from edgeval.importing import GraphOptions, import_graph
from edgeval.native_export import native_request
from edgeval.pipeline import export_run
from edgeval.records import CompareRecord
from edgeval.run_directory import RunDirectory
from hls.hls4ml_flow import ProjectOptions

INPUTS, HIDDEN, OUTPUTS = 8, 6, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Perceptron:
    """x → Quant → MatMul → Add → activation → Quant → MatMul, as exporters write it."""

    activation: str = "Relu"
    activation_scale: float = 2.0**-3
    float_bias: bool = False
    bipolar: bool = False
    softmax: bool = False
    seed: int = 0

    def model(self) -> onnx.ModelProto:
        """The QONNX file."""
        rng = np.random.default_rng(self.seed)
        graph = Graph(inputs=[("x", [1, INPUTS])])
        value = graph.quant("x", "input_quant", scale=2.0**-4, bits=6.0)
        weights = rng.normal(size=(INPUTS, HIDDEN)) * 0.5
        if self.bipolar:
            weight = graph.node(
                "BipolarQuant",
                [graph.constant(weights), graph.constant(1.0)],
                "fc1.weight",
                domain="qonnx.custom_op.general",
            )
        else:
            weight = graph.weight(weights, "fc1.weight", scale=2.0**-4, bits=5.0, narrow=True)
        value = graph.node("MatMul", [value, weight], "fc1")
        bias = graph.constant(rng.normal(size=HIDDEN) * 0.3)
        if not self.float_bias:
            bias = graph.quant(bias, "fc1.bias", scale=2.0**-4 if self.bipolar else 2.0**-8, bits=9.0)
        value = graph.node("Add", [value, bias], "fc1_bias")
        value = graph.node(self.activation, [value], "act1")
        value = graph.quant(value, "act1", scale=self.activation_scale, bits=6.0, signed=False)
        weight = graph.weight(
            rng.normal(size=(HIDDEN, OUTPUTS)) * 0.5, "fc2.weight", scale=2.0**-4, bits=5.0, narrow=True
        )
        value = graph.node("MatMul", [value, weight], "fc2")
        if self.softmax:
            value = graph.node("Softmax", [value], "softmax", axis=-1)
        return with_shape(graph.model(value), [1, OUTPUTS])


def image_model(*, seed: int = 0) -> onnx.ModelProto:
    """x [2, 4, 4] → Quant → Conv → Relu → Quant → Flatten → Quant → MatMul: hls4ml's stream of it comes out wrong."""
    rng = np.random.default_rng(seed)
    graph = Graph(inputs=[("x", [1, 2, 4, 4])])
    value = graph.quant("x", "input_quant", scale=2.0**-4, bits=6.0)
    weight = graph.weight(rng.normal(size=(3, 2, 3, 3)) * 0.5, "conv.weight", scale=2.0**-4, bits=5.0, narrow=True)
    value = graph.node("Conv", [value, weight], "conv", kernel_shape=[3, 3], strides=[1, 1], pads=[0, 0, 0, 0],
        dilations=[1, 1], group=1,
    )  # fmt: skip
    value = graph.node("Relu", [value], "act1")
    value = graph.quant(value, "act1", scale=2.0**-3, bits=6.0, signed=False)
    value = graph.node("Flatten", [value], "flatten", axis=1)
    value = graph.quant(value, "flat_quant", scale=2.0**-2, bits=5.0, signed=False)
    weight = graph.weight(rng.normal(size=(12, 4)) * 0.5, "fc.weight", scale=2.0**-4, bits=5.0, narrow=True)
    value = graph.node("MatMul", [value, weight], "fc")
    return with_shape(graph.model(value), [1, 4])


def binary_model(*, seed: int = 0) -> onnx.ModelProto:
    """Words and weights of one bit, -1 and +1: hls4ml 1.3 writes every weight of the second layer as 1."""
    rng = np.random.default_rng(seed)
    graph = Graph(inputs=[("x", [1, INPUTS])])
    value = _bipolar(graph, "x", "input_quant")
    value = graph.node(
        "MatMul", [value, _bipolar(graph, graph.constant(rng.normal(size=(INPUTS, HIDDEN))), "w1")], "fc1"
    )
    value = _batch_norm(graph, value, HIDDEN, rng)
    value = _bipolar(graph, value, "act1")
    value = graph.node(
        "MatMul", [value, _bipolar(graph, graph.constant(rng.normal(size=(HIDDEN, OUTPUTS))), "w2")], "fc2"
    )
    return with_shape(graph.model(value), [1, OUTPUTS])


def _bipolar(graph: Graph, source: str, name: str) -> str:
    return graph.node("BipolarQuant", [source, graph.constant(1.0)], name, domain=QONNX)


def _batch_norm(graph: Graph, source: str, channels: int, rng: np.random.Generator) -> str:
    parameters = [
        graph.constant(values)
        for values in (np.ones(channels), np.zeros(channels), rng.normal(size=channels), np.ones(channels))
    ]
    return graph.node("BatchNormalization", [source, *parameters], "norm", epsilon=0.0)


def with_shape(model: onnx.ModelProto, shape: list[int]) -> onnx.ModelProto:
    """The model with the shape of its output, which hls4ml does not infer."""
    name = model.graph.output[0].name
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    return model


def grid_inputs(shape: tuple[int, ...], *, span: float = 1.9, samples: int = 60) -> np.ndarray:
    """Seeded inputs that hls4ml's default input type holds exactly."""
    values = np.random.default_rng(1).uniform(-span, span, (samples, *shape))
    return (np.round(values * 64) / 64).astype(np.float32)


def native_run(
    folder: Path,
    model: onnx.ModelProto,
    inputs: np.ndarray,
    config: Mapping[str, Any] | None = None,
    *,
    project: Path | None = None,
    io_type: Any = None,
    default_precision: str | None = None,
) -> RunDirectory:
    """A run exported by the native flow, or around an existing project."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "model.onnx")
    np.savez(folder / "inputs.npz", inputs=inputs)
    if config is not None:
        (folder / "config.yml").write_text(yaml.safe_dump(dict(config)), encoding="utf-8")
    run = RunDirectory(folder / "run")
    import_graph(folder / "model.onnx", run, GraphOptions(inputs=folder / "inputs.npz"))
    request = native_request(
        flow="exact" if project else "native",
        project=project,
        config=None if config is None else folder / "config.yml",
        default_precision=default_precision,
        io_type=io_type,
    )
    export_run(run, ProjectOptions(io_type=io_type), native=request)
    return run


def judged(run: RunDirectory, samples: int | None = None) -> CompareRecord:
    """The comparison of a run, in one worker."""
    return compare_run(run, samples=samples, workers=1)
