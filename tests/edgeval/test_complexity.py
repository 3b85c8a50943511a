from __future__ import annotations

import numpy as np

from edgeval.complexity import LayerWords, bit_operations, complexity

DENSE = LayerWords(weights=np.ones((4, 8), dtype=np.int64), weight_bits=6, input_bits=5)
HALF = LayerWords(weights=np.eye(4, 8, dtype=np.int64), weight_bits=6, input_bits=5)


def test_a_dense_layer_follows_the_published_formula() -> None:
    assert bit_operations(DENSE) == 4 * 8 * (5 * 6 + 5 + 6 + 3)


def test_zero_words_save_products_but_not_additions() -> None:
    assert bit_operations(HALF) == 4 * 8 * (5 * 6 / 8 + 5 + 6 + 3)


def test_a_convolution_is_a_dense_layer_at_every_position() -> None:
    kernel = LayerWords(weights=np.ones((4, 2, 2, 2), dtype=np.int64), weight_bits=6, input_bits=5, positions=9)
    assert bit_operations(kernel) == 9 * bit_operations(DENSE)


def test_counts_add_up_over_layers() -> None:
    counts = complexity([DENSE, HALF])
    assert (counts.weights_total, counts.weights_nonzero, counts.weight_bits_total) == (64, 36, 384)
    assert counts.bops == bit_operations(DENSE) + bit_operations(HALF)
