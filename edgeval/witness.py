"""The float witness: a QONNX file executed in float32 by qonnx, many samples at once.

It is a witness, not the definition: the meaning of the graph is its real arithmetic (``docs/integer-network.md``).
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from jaxtyping import Float64

from hls.errors import ToolError
from hls.lowering.repair import repaired

BLOCK_WORDS = 1 << 24
"""Values of the largest tensor that are kept at once: 64 MB of float32."""


def execute_qonnx(model: onnx.ModelProto, inputs: np.ndarray) -> Float64[np.ndarray, "samples outputs"]:
    """Execute a QONNX model on a batch.

    Args:
        model: One input, one output; the sample axis may be fixed to any size in the file.
        inputs: Real values, shape (samples, ...).

    Returns:
        Outputs in float64 (computed in float32), shape (samples, outputs).

    Raises:
        ToolError: qonnx cannot execute the graph.
    """
    mended, _ = repaired(model)
    name = mended.graph.output[0].name
    block = block_samples(mended, inputs)
    parts = [_execute(mended, inputs[i : i + block], full=False)[name] for i in range(0, len(inputs), block)]
    return np.concatenate([np.asarray(part, np.float64).reshape(len(part), -1) for part in parts])


def execute_tensors(model: onnx.ModelProto, inputs: np.ndarray) -> Mapping[str, np.ndarray]:
    """Execute a (repaired) QONNX model on a block of samples and keep every tensor.

    Raises:
        ToolError: qonnx cannot execute the graph.
    """
    return _execute(model, inputs, full=True)


def block_samples(model: onnx.ModelProto, inputs: np.ndarray) -> int:
    """Samples that are executed at once, from the largest tensor that the file tells of."""
    sizes = [int(np.prod(inputs.shape[1:]))]
    for item in [*model.graph.value_info, *model.graph.output]:
        sizes.append(int(np.prod([max(d.dim_value, 1) for d in item.type.tensor_type.shape.dim[1:]] or [1])))
    return max(1, BLOCK_WORDS // max(sizes))


def _execute(model: onnx.ModelProto, inputs: np.ndarray, *, full: bool) -> Mapping[str, np.ndarray]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # qonnx and the libraries below it warn about their own future; none of it is about this graph.
        warnings.simplefilter("ignore")
        import onnxruntime
        from qonnx.core.onnx_exec import execute_onnx

        onnxruntime.set_default_logger_severity(3)  # errors only: its remarks on old operator sets go to no one

        try:
            wrapper = _batched(model, len(inputs))
            feed = {graph_input(wrapper.graph): np.asarray(inputs, np.float32)}
            result: Mapping[str, np.ndarray] = execute_onnx(wrapper, feed, return_full_exec_context=full)
        except Exception as error:  # qonnx raises bare Exception for what it cannot run
            raise ToolError(
                found=f"{type(error).__name__}: {error}",
                allowed="a graph that qonnx executes",
                where="QONNX witness",
                remedy="run qonnx's cleanup on the file, or export it again",
            ) from error
    return result


def graph_input(graph: onnx.GraphProto) -> str:
    """Name of the one input that is no initializer."""
    initializers = {item.name for item in graph.initializer}
    return str(next(item.name for item in graph.input if item.name not in initializers))


def _batched(model: onnx.ModelProto, samples: int) -> Any:
    """The model with its sample axis opened to ``samples``, all tensors keeping their names."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.infer_shapes import InferShapes

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    flowing = {graph_input(graph)}
    for node in graph.node:
        if flowing & set(node.input):
            flowing.update(node.output)
            if node.op_type == "Reshape":
                _open_reshape(graph, node)
            if node.op_type == "Resize" and len(node.input) > 3:
                _open_sizes(graph, node.input[3], samples)
    for item in [*graph.input, *graph.output, *graph.value_info]:
        if item.name in flowing and item.type.tensor_type.shape.dim:
            item.type.tensor_type.shape.dim[0].dim_value = samples
    shaped = {item.name for item in graph.value_info}
    # A file that tells every shape needs no inference, which does not know all of qonnx' own operators.
    if not all(name in shaped for node in graph.node for name in node.output if name != graph.output[0].name):
        with contextlib.suppress(TypeError):
            return ModelWrapper(copy).transform(InferShapes())
    return ModelWrapper(copy)


def _open_sizes(graph: onnx.GraphProto, name: str, samples: int) -> None:
    """A Resize to sizes [1, ...] was traced with one sample too."""
    for tensor in _constants(graph, name):
        sizes = onnx.numpy_helper.to_array(tensor).copy()
        if sizes.size:
            sizes[0] = samples
            tensor.CopyFrom(onnx.numpy_helper.from_array(sizes, tensor.name))


def _constants(graph: onnx.GraphProto, name: str) -> list[onnx.TensorProto]:
    """A constant of the graph, wherever it is kept."""
    return [item for item in graph.initializer if item.name == name] + [
        attribute.t
        for item in graph.node
        if item.op_type == "Constant" and item.output[0] == name
        for attribute in item.attribute
        if attribute.name == "value"
    ]


def _open_reshape(graph: onnx.GraphProto, node: onnx.NodeProto) -> None:
    """A Reshape to [1, ...] was traced with one sample: let the sample axis be whatever comes in."""
    for tensor in _constants(graph, node.input[1]):
        shape = onnx.numpy_helper.to_array(tensor).copy()
        if shape.size and shape[0] == 1 and -1 not in shape:
            shape[0] = -1
        elif shape.size and shape[0] == 1:
            shape[0] = 0  # copies the axis, unless allowzero takes it at its word
            del node.attribute[:]
        tensor.CopyFrom(onnx.numpy_helper.from_array(shape, tensor.name))
