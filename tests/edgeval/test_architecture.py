from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edgeval.architecture import Architecture, BatchNorm, Conv, Dense, Flatten, Layer, MaxPool, Relu, perceptron
from hls.errors import UsageError

IMAGE = Architecture(
    input_shape=(2, 9, 7),
    layers=(
        Conv(channels=4, kernel=3, stride=2, padding=1),
        BatchNorm(),
        Relu(),
        MaxPool(size=2),
        Conv(channels=3, kernel=1),
        Relu(),
        Flatten(),
        Dense(width=5),
    ),
)


def made(*layers: Layer, shape: tuple[int, ...] = (1, 8, 8)) -> Architecture:
    return Architecture(input_shape=shape, layers=layers)


def test_shapes_are_those_of_the_sliding_windows() -> None:
    assert [step.output_shape for step in IMAGE.steps()] == [
        (4, 5, 4),
        (4, 5, 4),
        (4, 5, 4),
        (4, 2, 2),
        (3, 2, 2),
        (3, 2, 2),
        (12,),
        (5,),
    ]


def test_names_count_each_kind_by_itself() -> None:
    names = [step.name for step in IMAGE.steps()]
    assert names == ["conv1", "norm1", "act1", "pool1", "conv2", "act2", "flatten", "fc1"]


def test_a_layer_has_a_bias_unless_a_batch_norm_follows() -> None:
    biases = {step.name: step.bias for step in IMAGE.steps() if isinstance(step.layer, Conv | Dense)}
    assert biases == {"conv1": False, "conv2": True, "fc1": True}


def test_it_comes_back_equal_from_json() -> None:
    for architecture in (IMAGE, perceptron((4, 3, 2))):
        assert msgspec.json.decode(msgspec.json.encode(architecture), type=Architecture) == architecture


def test_only_plain_dense_stacks_are_perceptrons() -> None:
    assert perceptron((4, 3, 2)).perceptron_widths == (4, 3, 2)
    assert IMAGE.perceptron_widths is None
    assert made(Dense(width=3), BatchNorm(), Relu(), Dense(width=2), shape=(4,)).perceptron_widths is None
    assert made(Flatten(), Dense(width=2)).perceptron_widths is None


def test_people_read_it_in_one_line() -> None:
    assert perceptron((4, 3, 2)).text == "4-3-2"
    assert IMAGE.text == "image 2×9×7, conv 4@3×3 stride 2 padding 1, norm, pool 2, conv 3@1×1, dense 5"


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((), "no layer"),
        ((Flatten(), Dense(width=3), Relu()), "last layer: found relu"),
        ((Dense(width=3),), r"fc1: found width 3 for inputs of shape \[1, 8, 8\]"),
        ((Flatten(), Dense(width=0)), "fc1: found width 0"),
        ((Flatten(), Conv(channels=2, kernel=3), Relu(), Flatten(), Dense(width=2)), "conv1"),
        ((Conv(channels=2, kernel=9), Relu(), Flatten(), Dense(width=2)), "a kernel inside the padded image"),
        ((Conv(channels=2, kernel=3, stride=0), Relu(), Flatten(), Dense(width=2)), "conv1"),
        ((Conv(channels=2, kernel=3, padding=-1), Relu(), Flatten(), Dense(width=2)), "conv1"),
        ((MaxPool(size=9), Flatten(), Dense(width=2)), "windows inside the image"),
        ((Conv(channels=2, kernel=3), Flatten(), Dense(width=2)), "a ReLU between layers with weights"),
        ((Flatten(), Relu(), Dense(width=2)), "a ReLU of words"),
        ((Conv(channels=2, kernel=3), Relu(), BatchNorm(), Flatten(), Dense(width=2)), "a batch norm behind"),
    ],
)
def test_layers_that_do_not_fit_are_refused(layers: tuple[Any, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        made(*layers)


@pytest.mark.parametrize("shape", [(), (0,), (8, 8)])
def test_a_sample_is_flat_or_an_image(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="input"):
        made(Flatten(), Dense(width=2), shape=shape)
