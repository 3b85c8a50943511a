"""The float witness: a QONNX file executed in float32 by qonnx, the whole evaluation set at once.

It is a witness, not the definition: the meaning of the graph is its real arithmetic (``docs/integer-network.md``).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
from jaxtyping import Float64

from hls.errors import ToolError


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
    with warnings.catch_warnings():
        # qonnx and the libraries below it warn about their own future; none of it is about this graph.
        warnings.simplefilter("ignore")
        from qonnx.core.onnx_exec import execute_onnx

        try:
            wrapper = _batched(model, len(inputs))
            feed = {wrapper.graph.input[0].name: np.asarray(inputs, np.float32)}
            outputs = execute_onnx(wrapper, feed)
        except Exception as error:  # qonnx raises bare Exception for what it cannot run
            raise ToolError(
                found=f"{type(error).__name__}: {error}",
                allowed="a graph that qonnx executes",
                where="QONNX witness",
                remedy="run qonnx's cleanup on the file, or export it again",
            ) from error
    output = np.asarray(next(iter(outputs.values())), np.float64)
    return output.reshape(len(inputs), -1)


def _batched(model: onnx.ModelProto, samples: int) -> Any:
    """The model with its sample axis opened to ``samples`` and every shape inferred anew."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.util.cleanup import cleanup_model

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    initializers = {item.name for item in copy.graph.initializer}
    for item in [*copy.graph.input, *copy.graph.output]:
        if item.name not in initializers:
            item.type.tensor_type.shape.dim[0].dim_value = samples
    for node in copy.graph.node:
        if node.op_type == "Reshape":
            _open_reshape(copy.graph, node)
    return cleanup_model(ModelWrapper(copy))


def _open_reshape(graph: onnx.GraphProto, node: onnx.NodeProto) -> None:
    """A Reshape to [1, ...] was traced with one sample: let the sample axis be whatever comes in."""
    constants = [item for item in graph.initializer if item.name == node.input[1]]
    constants += [
        attribute.t
        for item in graph.node
        if item.op_type == "Constant" and item.output[0] == node.input[1]
        for attribute in item.attribute
        if attribute.name == "value"
    ]
    for tensor in constants:
        shape = onnx.numpy_helper.to_array(tensor).copy()
        if shape.size and shape[0] == 1 and -1 not in shape:
            shape[0] = -1
        elif shape.size and shape[0] == 1:
            shape[0] = 0  # copies the axis, unless allowzero takes it at its word
            del node.attribute[:]
        tensor.CopyFrom(onnx.numpy_helper.from_array(shape, tensor.name))
