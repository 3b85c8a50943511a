"""Branches, images and every kind of activation: engine, naive arithmetic and hls4ml's C++ give the same words.

A case is a subclass with a network written by hand (``support.graphs``) and the interface it is built with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from support.agreement import HardwareAgreement
from support.graphs import BIPOLAR, Net, signed, unsigned

from hls.graph import IntegerGraph
from hls.hls4ml_flow import ProjectOptions
from hls.host import real_inputs

PARALLEL = ProjectOptions(io_type="io_parallel")
STREAM = ProjectOptions(io_type="io_stream")


@dataclass(frozen=True)
class Drawn:
    """A recipe as ``Agreement`` wants it, around a hand-written network."""

    draw: Callable[[], Net]
    seed: int = 0
    po2: bool = False  # written in integers: there is no QONNX graph to compare the meaning with

    def graph(self) -> IntegerGraph:
        return self.draw().graph()

    def inputs(self, samples: int) -> np.ndarray:
        net = self.draw()
        return real_inputs(net.graph().quantizer, net.words(samples))


def steps(net: Net, rows: int, count: int, spread: int) -> np.ndarray:
    return np.sort(net.rng.integers(-spread, spread, (rows, count)), axis=1)


def image() -> Net:
    """Strided and padded convolution, thresholds of both directions, pools, a depthwise layer, a Flatten, a product."""
    net = Net((8, 6, 2), unsigned(3))
    conv = net.conv("q", 4, (3, 3), bias=signed(6), pads=(1, 1, 1, 1), strides=(1, 1))
    act = net.threshold(conv, steps(net, 4, 7, 150), signed(10), (0, 7, 0, 7), (1, -1, 1, -1), unsigned(3))
    pool = net.max_pool(act, (2, 2))
    depth = net.conv(pool, 4, (3, 3), pads=(1, 1, 1, 1), groups=4)
    scaled = net.requantize(depth, (3, -5, 7, 2), (1, 4, -9, 0), (4, 5, 6, 3), signed(4))
    mean = net.sum_pool(scaled, (2, 3))
    net.matmul(net.reshape(net.shift(mean, 1, signed(6)), (8,)), 3, bias=signed(7))
    return net


def branches() -> Net:
    """Words read twice, a scaled sum, a Concat, a table, nearest-neighbour resizing."""
    net = Net((4, 4, 2), signed(4), seed=3)
    left = net.shift(net.conv("q", 3, (1, 1)), 2, signed(4))
    right = net.lookup(net.shift(net.conv("q", 3, (3, 3), pads=(1, 1, 1, 1)), 3, signed(4)), signed(4))
    total = net.shift(net.add([left, right], (3, -2)), 2, signed(4))
    small = net.max_pool(total, (2, 2))
    both = net.concat([net.resize(small, (2, 2, 1)), right], 2)
    net.conv(both, 2, (1, 1), bias=signed(5))
    return net


def bipolar_dense() -> Net:
    """One-bit words of -1 and +1 in inputs, weights and activations; a second layer with zero points."""
    net = Net((12,), BIPOLAR, seed=5)
    sums = net.matmul("q", 8, weights=BIPOLAR, bias=signed(4))
    act = net.threshold(sums, steps(net, 8, 1, 6), signed(6), (-1,) * 8, (1,) * 8, BIPOLAR, stride=2)
    net.matmul(act, 4, weights=unsigned(3), zero_point=(3, 1, 4, 2))
    return net


def sequence() -> Net:
    """One spatial axis: convolution, pool, transpose, product."""
    net = Net((9, 3), unsigned(4), seed=7)
    conv = net.shift(net.conv("q", 4, (3,), bias=signed(6), pads=(1, 1)), 4, unsigned(4), low=0)
    pool = net.max_pool(conv, (2,))
    net.matmul(net.reshape(net.transpose(pool, (1, 0)), (16,)), 3)
    return net


class TestImage(HardwareAgreement):
    recipe = Drawn(image)
    options = PARALLEL


class TestImageInAStream(HardwareAgreement):
    recipe = Drawn(image)
    options = STREAM
    slow_csim = True


@pytest.mark.long
class TestImageWithResource(HardwareAgreement):
    recipe = Drawn(image)
    # hls4ml has no Resource implementation of depthwise convolutions, which averages are here, too.
    options = ProjectOptions(
        io_type="io_parallel",
        strategy="Resource",
        reuse_factor=2,
        overrides={"LayerName": {name: {"Strategy": "Latency"} for name in ("conv4", "sum6")}},
    )
    slow_csim = True


class TestBranches(HardwareAgreement):
    recipe = Drawn(branches)
    options = PARALLEL


class TestBranchesInAStream(HardwareAgreement):
    recipe = Drawn(branches)
    options = STREAM
    slow_csim = True


class TestBipolar(HardwareAgreement):
    recipe = Drawn(bipolar_dense)
    options = PARALLEL


@pytest.mark.long
class TestBipolarInAStream(HardwareAgreement):
    recipe = Drawn(bipolar_dense)
    options = STREAM
    slow_csim = True


class TestSequence(HardwareAgreement):
    recipe = Drawn(sequence)
    options = PARALLEL
    slow_csim = True


@pytest.mark.long
class TestSequenceInAStream(HardwareAgreement):
    recipe = Drawn(sequence)
    options = STREAM
    slow_csim = True
