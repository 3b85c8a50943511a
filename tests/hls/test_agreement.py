"""Every executor, on every node kind and option, gives the same words.

A case is a subclass with a recipe: ``Agreement`` runs what needs no compiler, ``HardwareAgreement`` adds hls4ml's C++.
C-simulations that the default suite can do without are marked slow by ``slow_csim``; CI runs those too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from support.agreement import Agreement, Case, HardwareAgreement
from support.networks import Mlp

from hls.csim import Build, bridge, open_csim
from hls.engine import ExactEngine, before_clipping, sums
from hls.errors import ToolError
from hls.graph import IntegerGraph
from hls.hls4ml_flow import ProjectOptions
from hls.nodes import MatMul

SMALL = (4, 3, 2)


class TestPerChannel(HardwareAgreement):
    recipe = Mlp(widths=SMALL, per_channel=True)


class TestSignedNarrowActivations(HardwareAgreement):
    recipe = Mlp(widths=SMALL, relu=False, narrow_activation=True, activation_bits=3, seed=34)

    def test_the_quantizer_stops_at_the_narrow_end(self, case: Case) -> None:
        node = case.graph.compute_nodes[1]
        free = before_clipping(case.graph, node, case.expected[node.input])
        assert free is not None
        assert free.min() < -3 == case.expected[node.output].min()


class TestFloorWithoutBias(HardwareAgreement):
    recipe = Mlp(widths=SMALL, rounding="FLOOR", bias=False, seed=2)


class TestStream(HardwareAgreement):
    recipe = Mlp(widths=SMALL, output_quant=True)
    options = ProjectOptions(io_type="io_stream")


class TestResource(HardwareAgreement):
    recipe = Mlp(widths=(4, 4, 2), per_channel=True)
    options = ProjectOptions(strategy="Resource", reuse_factor=2)


class TestNarrowAccumulator(HardwareAgreement):
    recipe = Mlp(widths=SMALL)
    options = ProjectOptions(
        overrides={
            "LayerName": {
                "fc1": {"Precision": {"accum": "fixed<6,1>"}},
                "fc2": {"Precision": {"accum": "fixed<5,0>"}},
            }
        }
    )

    def test_both_accumulators_wrap(self, case: Case) -> None:
        for node in case.graph.nodes:
            if isinstance(node, MatMul):
                total = sums(case.graph, node, [case.expected[node.input]])
                assert not node.accumulator.contains(total)


class TestPerTensor(HardwareAgreement):
    recipe = Mlp(widths=SMALL)
    slow_csim = True


class TestGemm(HardwareAgreement):
    recipe = Mlp(widths=(3, 5, 2), gemm=True, per_channel=True, seed=3)
    slow_csim = True


class TestNoBias(HardwareAgreement):
    recipe = Mlp(widths=SMALL, bias=False)
    slow_csim = True


class TestSignedActivations(HardwareAgreement):
    recipe = Mlp(widths=SMALL, signed_activation=True)
    slow_csim = True


class TestSignedInput(HardwareAgreement):
    recipe = Mlp(widths=SMALL, input_signed=True, seed=4)
    slow_csim = True


class TestFloor(HardwareAgreement):
    recipe = Mlp(widths=SMALL, rounding="FLOOR")
    slow_csim = True


class TestOutputQuantizer(HardwareAgreement):
    recipe = Mlp(widths=SMALL, output_quant=True)
    slow_csim = True


class TestNoRelu(HardwareAgreement):
    recipe = Mlp(widths=SMALL, relu=False)
    slow_csim = True


class TestReluAtTheOutput(HardwareAgreement):
    recipe = Mlp(widths=SMALL, relu_last=True)
    slow_csim = True


class TestQuantizedReluAtTheOutput(HardwareAgreement):
    recipe = Mlp(widths=SMALL, relu_last=True, output_quant=True)
    slow_csim = True


class TestImage(HardwareAgreement):
    recipe = Mlp(widths=SMALL, input_shape=(2, 2))
    slow_csim = True


class TestFourLayers(HardwareAgreement):
    recipe = Mlp(widths=(5, 4, 4, 3, 2), weight_bits=3, activation_bits=5, per_channel=True, seed=4)
    slow_csim = True


class TestWideWords(HardwareAgreement):
    recipe = Mlp(widths=SMALL, weight_bits=12, activation_bits=10, input_bits=12, bias_bits=24, seed=6)
    slow_csim = True


class TestVivado(HardwareAgreement):
    recipe = Mlp(widths=SMALL, per_channel=True)
    options = ProjectOptions(backend="Vivado")
    slow_csim = True


class TestVivadoStream(HardwareAgreement):
    recipe = Mlp(widths=SMALL)
    options = ProjectOptions(backend="Vivado", io_type="io_stream", strategy="Resource", reuse_factor=3)
    slow_csim = True


class TestNarrowAccumulatorInAStream(HardwareAgreement):
    recipe = Mlp(widths=(4, 4, 2), bias=False, seed=8)
    options = ProjectOptions(
        io_type="io_stream",
        strategy="Resource",
        reuse_factor=2,
        overrides={"LayerName": {"fc1": {"Precision": {"accum": "fixed<7,2>"}}}},
    )
    slow_csim = True


class TestRequantize(HardwareAgreement):
    recipe = Mlp(widths=SMALL, po2=False, bias=False)


class TestRequantizePerChannel(HardwareAgreement):
    recipe = Mlp(widths=SMALL, po2=False, bias=False, per_channel=True, output_quant=True)


class TestRequantizeSigned(Agreement):
    recipe = Mlp(widths=SMALL, po2=False, bias=False, relu=False, narrow_activation=True, input_signed=True, seed=9)


@pytest.fixture(scope="module")
def wide_layer() -> tuple[IntegerGraph, np.ndarray]:
    recipe = Mlp(widths=(1024, 2200), weight_bits=4, bias_bits=12)
    graph = recipe.graph()
    return graph, graph.quantize_inputs(recipe.inputs(3))


@pytest.mark.slow
@pytest.mark.gxx
def test_a_layer_whose_products_overflow_the_usual_stack_runs(
    wide_layer: tuple[IntegerGraph, np.ndarray], csim_build: Callable[..., Build]
) -> None:
    graph, words = wide_layer
    with open_csim(graph, csim_build(graph, ProjectOptions()), workers=1) as opened:
        assert np.array_equal(opened.run(words).output, ExactEngine(graph).run(words).output)


@pytest.mark.slow
@pytest.mark.gxx
def test_it_needs_the_larger_stack(
    wide_layer: tuple[IntegerGraph, np.ndarray], csim_build: Callable[..., Build], monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, _ = wide_layer
    build = csim_build(graph, ProjectOptions())
    monkeypatch.setattr(bridge, "_STACK_BASE_BYTES", 8 << 20)
    monkeypatch.setattr(bridge, "_STACK_PER_PRODUCT_BYTES", 0)
    with pytest.raises(ToolError, match="SIGSEGV"), open_csim(graph, build, workers=1):
        pass
