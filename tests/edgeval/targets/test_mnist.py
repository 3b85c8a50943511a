from __future__ import annotations

import numpy as np
import pytest

from edgeval.targets.mnist import MNIST, MNIST_MLP

pytestmark = pytest.mark.data


def test_the_split_is_seventy_ten_twenty_of_five_thousand_images() -> None:
    splits = MNIST.splits(0)
    assert [part.inputs.shape for part in (splits.train, splits.validation, splits.test)] == [
        (3500, 1, 28, 28),
        (500, 1, 28, 28),
        (1000, 1, 28, 28),
    ]


def test_the_input_words_hold_the_pixels_without_loss() -> None:
    words = MNIST.splits(0).train.inputs / MNIST.input_format.scale
    assert np.array_equal(words, np.round(words))
    assert (words.min(), words.max(), MNIST.input_format.maximum) == (0, 255, 255)


def test_there_are_five_hundred_images_of_each_digit() -> None:
    splits = MNIST.splits(0)
    labels = np.concatenate([part.labels for part in (splits.train, splits.validation, splits.test)])
    assert np.bincount(labels).tolist() == [500] * 10


def test_images_are_upright_and_a_one_is_narrower_than_a_zero() -> None:
    test = MNIST.splits(0).test
    columns = [float(test.inputs[test.labels == digit, 0].any(axis=1).sum(axis=1).mean()) for digit in (0, 1)]
    rows = [float(test.inputs[test.labels == digit, 0].any(axis=2).sum(axis=1).mean()) for digit in (0, 1)]
    assert columns[1] < columns[0] - 4
    assert rows[1] > columns[1] + 4


def test_the_perceptron_sees_the_same_images_as_the_cnn() -> None:
    image, flat = MNIST.splits(3).test, MNIST_MLP.splits(3).test
    assert np.array_equal(image.inputs.reshape(len(image.inputs), -1), flat.inputs)
    assert np.array_equal(image.labels, flat.labels)
