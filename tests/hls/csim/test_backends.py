"""One network in every C++ that hls4ml has of it: ap_types and ac_types, arrays and streams, agree with the engine."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from support.graphs import Net, signed, unsigned
from support.networks import Mlp

from hls.csim import Build, open_csim
from hls.engine import ExactEngine
from hls.errors import LoweringError, ToolError, UsageError
from hls.graph import IntegerGraph, WordChange
from hls.hls4ml_flow import ProjectOptions
from hls.hls4ml_flow.project import write_project
from hls.toolchain import find_compiler

pytestmark = pytest.mark.gxx
Builder = Callable[..., Build]

PERCEPTRON = Mlp(widths=(6, 5, 3), per_channel=True).graph()


def convolutional() -> IntegerGraph:
    net = Net((6, 6, 2), unsigned(4))
    value = net.shift(net.conv("q", 3, (3, 3), bias=signed(8)), 3)
    value = net.max_pool(value, (2, 2))
    net.matmul(net.reshape(value, (12,)), 3, bias=signed(8))
    return net.graph()


def depthwise() -> IntegerGraph:
    net = Net((6, 6, 3), unsigned(4))
    net.conv(net.shift(net.conv("q", 3, (3, 3), groups=3), 3), 2, (1, 1))
    return net.graph()


def require_agreement(graph: IntegerGraph, build: Build) -> None:
    """Stored words, every tap, the output, and the effect of a poked word are the engine's."""
    quantizer = graph.quantizer.format
    shape = (40, *graph.values[graph.quantizer.output].shape)
    words = np.random.default_rng(0).integers(quantizer.minimum, quantizer.maximum, shape, endpoint=True)
    name, tensor = next((name, tensor) for name, tensor in graph.tensors.items() if name.endswith("weight"))
    index = tensor.words.size // 2
    word = tensor.format.maximum if tensor.words.flat[index] != tensor.format.maximum else tensor.format.minimum
    change = WordChange(tensor=name, index=index, word=word)
    with open_csim(graph, build, workers=1) as csim:
        taps = [node.output for node in graph.compute_nodes if node.output in csim.tappable()]
        for ours, engine in (
            (csim, ExactEngine(graph)),
            (csim.with_words([change]), ExactEngine(graph).with_words([change])),
        ):
            found, expected = ours.run(words, taps), engine.run(words, taps)
            assert np.array_equal(found.output, expected.output)
            assert [tap for tap in taps if not np.array_equal(found.taps[tap], expected.taps[tap])] == []
        for stored, expected in graph.tensors.items():
            assert np.array_equal(csim.stored_words(stored), expected.executor_words())
    assert len(taps) >= 3


@pytest.mark.parametrize("backend", ["Quartus", "Catapult"])
@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
def test_a_perceptron_in_ac_types(csim_build: Builder, backend: str, io_type: str) -> None:
    options = ProjectOptions(backend=backend, io_type=io_type, strategy="Resource")
    require_agreement(PERCEPTRON, csim_build(PERCEPTRON, options))


def one_bit() -> IntegerGraph:
    net = Net((4,), unsigned(1))
    value = net.shift(net.matmul("q", 4, weights=unsigned(1)), 0, unsigned(1))
    net.matmul(value, 3)
    return net.graph()


@pytest.mark.parametrize("backend", ["Quartus", "Catapult"])
def test_one_bit_that_hls4ml_gives_two(csim_build: Builder, backend: str) -> None:
    graph = one_bit()
    options = ProjectOptions(backend=backend, io_type="io_parallel", strategy="Resource")
    require_agreement(graph, csim_build(graph, options))


def test_reuse_changes_no_word_of_quartus(csim_build: Builder) -> None:
    options = ProjectOptions(backend="Quartus", io_type="io_parallel", strategy="Resource", reuse_factor=2)
    require_agreement(PERCEPTRON, csim_build(PERCEPTRON, options))


IN_CI = [
    ("Vitis", "io_stream", "Resource"),
    ("Quartus", "io_parallel", "Resource"),
    ("Quartus", "io_stream", "Resource"),
    ("Catapult", "io_parallel", "Latency"),
]
"""One of each kind of generated code; the others are run by `make test-long`."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "io_type", "strategy"),
    [
        combination if combination in IN_CI else pytest.param(*combination, marks=pytest.mark.long)
        for combination in product(
            ["Vitis", "Vivado", "Quartus", "Catapult"], ["io_parallel", "io_stream"], ["Latency", "Resource"]
        )
        if combination[::2] != ("Quartus", "Latency")
    ],
)
def test_convolution_pool_and_product(csim_build: Builder, backend: str, io_type: str, strategy: str) -> None:
    graph = convolutional()
    require_agreement(graph, csim_build(graph, ProjectOptions(backend=backend, io_type=io_type, strategy=strategy)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "io_type", "strategy"),
    [
        ("Vitis", "io_parallel", "Latency"),
        ("Vitis", "io_stream", "Resource"),
        ("Catapult", "io_parallel", "Resource"),
        ("Catapult", "io_stream", "Latency"),
    ],
)
def test_depthwise_kernels_lie_in_hls4mls_order(csim_build: Builder, backend: str, io_type: str, strategy: str) -> None:
    graph = depthwise()
    require_agreement(graph, csim_build(graph, ProjectOptions(backend=backend, io_type=io_type, strategy=strategy)))


@pytest.mark.parametrize(
    ("backend", "io_type"), [("Vitis", "io_parallel"), ("Vivado", "io_parallel"), ("Catapult", "io_stream")]
)
def test_a_depthwise_resource_that_hls4ml_lacks_is_refused(tmp_path: Path, backend: str, io_type: str) -> None:
    options = ProjectOptions(backend=backend, io_type=io_type, strategy="Resource")
    with pytest.raises(LoweringError, match=r"no Resource strategy for \w+ \(DepthwiseConv2D\)"):
        write_project(depthwise(), tmp_path / "p", options)


def test_a_layer_without_cpp_is_refused_and_not_left_out(tmp_path: Path) -> None:
    options = ProjectOptions(backend="Quartus", io_type="io_parallel", strategy="Resource")
    with pytest.raises(LoweringError, match=r"no C\+\+ for layer \w+ \(DepthwiseConv2D\)"):
        write_project(depthwise(), tmp_path / "p", options)


def test_quartus_has_no_latency_strategy() -> None:
    with pytest.raises(UsageError, match="strategy Latency; allowed: Resource for hls4ml's Quartus"):
        ProjectOptions(backend="Quartus", strategy="Latency")


def test_what_aborting_cpp_printed_is_in_the_error(csim_build: Builder, tmp_path: Path) -> None:
    """The shared library's place is taken by one that ends the process with a message."""
    build = csim_build(PERCEPTRON, ProjectOptions())
    source, library = tmp_path / "abort.cpp", tmp_path / "abort.so"
    source.write_text(
        '#include <cstdio>\n#include <cstdlib>\nextern "C" size_t edgeval_run() {'
        ' fprintf(stderr, "last words"); fflush(stderr); abort(); }\nextern "C" long edgeval_peek() { return 0; }\n'
    )
    subprocess.run([str(find_compiler().path), "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    with pytest.raises(ToolError, match="SIGABRT last words"), open_csim(PERCEPTRON, replace(build, library=library)):
        pass
