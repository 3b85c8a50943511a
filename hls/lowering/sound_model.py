"""Whether an ONNX model is one that only has one meaning: checked before anything is made of it.

``onnx.checker`` refuses more than is wrong (QONNX's own operators, files that other tools left slightly odd), so only
what the lowering relies on is checked here.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from hls.errors import LoweringError
from hls.lowering.symbols import where

MOST_NODES = 100_000


def require_sound_model(model: onnx.ModelProto) -> None:
    """Refuse a model whose names are ambiguous or whose operators the file itself redefines.

    Raises:
        LoweringError: naming the tensor or operator.
    """
    graph = model.graph
    if len(graph.node) > MOST_NODES:
        raise _refusal(f"{len(graph.node):,} nodes", f"{MOST_NODES:,} nodes at most", "graph")
    own = {(function.domain, function.name) for function in model.functions}
    for node in graph.node:
        if (node.domain, node.op_type) in own:
            raise _refusal("an operator that the file defines itself", "operators of ONNX and QONNX", where(node))
    initializers = [item.name for item in graph.initializer]
    made = [name for node in graph.node for name in node.output if name]
    inputs = {item.name for item in graph.input} - set(initializers)
    seen: set[str] = set()
    for name in (*inputs, *initializers, *made):
        if name in seen:
            raise _refusal(f"tensor {name[:100]!r}, made twice", "one producer for every tensor", "graph")
        seen.add(name)


def constant_values(tensor: onnx.TensorProto) -> np.ndarray:
    """The numbers of a tensor that a file holds.

    Raises:
        LoweringError: it does not hold as many as its shape says, or no numbers.
    """
    try:
        values = numpy_helper.to_array(tensor)
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        raise _refusal(f"{type(error).__name__}: {error}", _NUMBERS, f"constant {tensor.name[:100]!r}") from error
    if values.dtype.kind in "OSUc":
        raise _refusal(f"{values.dtype} of shape {list(values.shape)}", _NUMBERS, f"constant {tensor.name[:100]!r}")
    return np.asarray(values)


def malformed(node: onnx.NodeProto, error: Exception) -> LoweringError:
    """The error for a node whose inputs or attributes its operator does not have."""
    detail = " ".join(str(error).split())[:200]
    return _refusal(
        f"inputs or attributes that do not fit the operator ({type(error).__name__}: {detail})",
        "a node as its operator's specification has it",
        where(node),
    )


MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RuntimeError)
"""What Python and NumPy raise where a node lacks an input, or an attribute is of another kind or out of range."""

_NUMBERS = "real numbers, as many as its shape says"


def _refusal(found: str, allowed: str, place: str) -> LoweringError:
    return LoweringError(
        found=found, allowed=allowed, where=place[:200], remedy="export the graph again, and run onnx.checker on it"
    )
