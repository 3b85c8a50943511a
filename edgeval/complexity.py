"""How much a quantized network costs: words, bits and bit operations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerWords:
    """A dense or convolutional layer as the hardware stores it.

    Attributes:
        weights: Weight words, shape (outputs, inputs), or (output channels, input channels, height, width).
        weight_bits: Bits of a weight word.
        input_bits: Bits of an input word of the layer.
        positions: How often one inference uses each weight: output pixels of a convolution, 1 for a dense layer.
    """

    weights: Int[np.ndarray, "outputs inputs ..."]
    weight_bits: int
    input_bits: int
    positions: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Complexity:
    """Counts over all layers; biases are not weights and do not count.

    Attributes:
        weights_total: Stored weight words, zeros included.
        weights_nonzero: Stored weight words that are not zero.
        weight_bits_total: Bits that store all weight words.
        bops: Bit operations of one inference.
    """

    weights_total: int
    weights_nonzero: int
    weight_bits_total: int
    bops: float


def complexity(layers: Sequence[LayerWords]) -> Complexity:
    """Count words, bits and bit operations of a stack of layers.

    Args:
        layers: The layers, in any order.
    """
    return Complexity(
        weights_total=sum(layer.weights.size for layer in layers),
        weights_nonzero=sum(int(np.count_nonzero(layer.weights)) for layer in layers),
        weight_bits_total=sum(layer.weights.size * layer.weight_bits for layer in layers),
        bops=math.fsum(bit_operations(layer) for layer in layers),
    )


def bit_operations(layer: LayerWords) -> float:
    """Bit operations (BOPs) of one layer, one inference.

    BOPs = m·n·((1 − f_p)·b_a·b_w + b_a + b_w + log2(n)), with m = outputs, n = inputs, f_p = share of zero weight
    words, b_a = input bits, b_w = weight bits: the products that are left, and additions as wide as the accumulator. A
    convolution does that at every output position, with m = output channels and n = weights of one of them.

    Source: Hawks et al., "Ps and Qs", Front. Artif. Intell. 4 (2021), doi:10.3389/frai.2021.676564, after Baskin et
    al., "UNIQ" (2018), arXiv:1804.10969.

    Example:
        >>> bit_operations(LayerWords(weights=np.array([[1, 0], [3, 2]]), weight_bits=4, input_bits=2))
        52.0
    """
    outputs = layer.weights.shape[0]
    inputs = layer.weights.size // outputs
    kept = np.count_nonzero(layer.weights) / layer.weights.size
    products = kept * layer.input_bits * layer.weight_bits
    return float(
        layer.positions * outputs * inputs * (products + layer.input_bits + layer.weight_bits + math.log2(inputs))
    )
