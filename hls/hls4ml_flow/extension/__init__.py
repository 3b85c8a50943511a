"""The layers hls4ml lacks, as an extension of hls4ml: thresholds, multipliers, tables and sums of scaled branches.

Four ONNX operators in the domain ``edgeval.custom_op``, which qonnx executes and hls4ml converts, plus qonnx's own
``MultiThreshold``. Importing this package imports neither hls4ml nor qonnx. To convert a graph with plain hls4ml::

    import hls.hls4ml_flow.extension.handlers

and to execute one with qonnx::

    import hls.hls4ml_flow.extension.operators

========================  =============================================================================================
``parameters.py``         the attributes of an operator, checked; both sides read a node through it
``operators.py``          qonnx: what an operator computes, in int64
``layers.py``             hls4ml: layer classes, their types and weight arrays
``templates.py``          hls4ml: configuration and call of a layer; the C++ itself is ``hls/cpp/nnet_edgeval.h``
``constants.py``          hls4ml: an optimizer that takes out constants nothing reads
``plugin.py``             the entry point hls4ml loads: layers, templates and C++ sources for each back end
``handlers.py``           ONNX nodes → hls4ml layers
``multithreshold.py``     qonnx's MultiThreshold in integers
========================  =============================================================================================
"""

DOMAIN = "edgeval.custom_op"
"""ONNX domain of the operators."""

VERSION = 1
"""Version of the domain, for a model's ``opset_import``."""
