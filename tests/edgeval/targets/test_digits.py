from __future__ import annotations

import numpy as np

from edgeval.targets.digits import DIGITS


def test_the_split_is_seventy_ten_twenty() -> None:
    splits = DIGITS.splits(0)
    assert [len(part.inputs) for part in (splits.train, splits.validation, splits.test)] == [1258, 180, 359]


def test_the_input_words_hold_the_pixels_without_loss() -> None:
    words = DIGITS.splits(0).train.inputs / DIGITS.input_format.scale
    assert np.array_equal(words, np.round(words))
    assert (words.min(), words.max()) == (0, 16)
    assert DIGITS.input_format.maximum >= 16


def test_labels_are_the_ten_digits() -> None:
    assert np.unique(DIGITS.splits(0).train.labels).tolist() == list(range(DIGITS.architecture.output_count))
