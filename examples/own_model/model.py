"""A Brevitas module of your own: all that ``edgeval export model:make_model`` needs to find.

The three choices that make it exact in integers are told in ``examples/brevitas_module.py``: the input has a quantizer,
every scale is a power of two, biases are quantized.
"""

from __future__ import annotations

from collections import OrderedDict

import brevitas.nn as qnn
from brevitas.quant import Int8WeightPerTensorFixedPoint, Int16Bias, Uint8ActPerTensorFixedPoint
from torch import nn

TICKS, CLASSES = 16, 3


def make_model(hidden: int = 12, bits: int = 6) -> nn.Module:
    """A perceptron from sampled pulses, shape (samples, 16), to one score a class, shape (samples, 3).

    Args:
        hidden: Neurons of the hidden layer.
        bits: Width of the input and of the hidden activations.
    """
    activation = Uint8ActPerTensorFixedPoint.let(bit_width=bits)
    weight = Int8WeightPerTensorFixedPoint.let(bit_width=5)
    layers: OrderedDict[str, nn.Module] = OrderedDict()  # these names are what edgeval calls the layers
    layers["input_quant"] = qnn.QuantIdentity(act_quant=activation, return_quant_tensor=True)
    layers["fc1"] = qnn.QuantLinear(TICKS, hidden, bias=True, weight_quant=weight, bias_quant=Int16Bias)
    layers["act1"] = qnn.QuantReLU(act_quant=activation, return_quant_tensor=True)
    layers["fc2"] = qnn.QuantLinear(hidden, CLASSES, bias=True, weight_quant=weight, bias_quant=Int16Bias)
    return nn.Sequential(layers)
