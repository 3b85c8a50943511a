"""An optimizer that takes out constants nothing reads.

hls4ml's ONNX reader makes a Constant layer of every initializer, and its precision inference fails with a bare
IndexError on one that no other pass has folded away, such as the thresholds of a MultiThreshold, which the handler has
already read.
"""

from __future__ import annotations

from typing import Any

from hls4ml.model.layers import Constant
from hls4ml.model.optimizer import OptimizerPass


class RemoveUnusedConstants(OptimizerPass):  # type: ignore[misc]
    """Removes a Constant that no layer reads and that is no output of the model."""

    def match(self, node: Any) -> bool:
        """Whether the node is such a constant."""
        if not isinstance(node, Constant) or set(node.outputs) & set(node.model.outputs):
            return False
        return not any(output in layer.inputs for layer in node.model.get_layers() for output in node.outputs)

    def transform(self, model: Any, node: Any) -> bool:
        """Remove it."""
        model.remove_node(node)
        return True
