"""Every executor, on every node kind and option, gives the same words.

A case is a subclass with a recipe: ``Agreement`` runs what needs no compiler, ``HardwareAgreement`` adds hls4ml's C++.
C-simulations that the default suite can do without are marked slow by ``slow_csim``; CI runs those too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from support.networks import Mlp
from support.reference import naive_words, real_output

import hls.engine
from hls.csim import Build, CSimulation, bridge, open_csim
from hls.engine import ExactEngine, before_clipping, matmul_sums
from hls.errors import ToolError
from hls.executor import Executor
from hls.graph import IntegerGraph, WordChange
from hls.hls4ml_flow import ProjectOptions, apply_overrides
from hls.nodes import MatMul
from hls.serialize import load_graph, save_graph

SMALL = (4, 3, 2)


@dataclass(frozen=True)
class Case:
    graph: IntegerGraph
    words: np.ndarray
    taps: tuple[str, ...]
    expected: dict[str, np.ndarray]


class Agreement:
    """One recipe, every executor that needs no compiler."""

    recipe: Mlp
    options = ProjectOptions()
    slow_csim = False

    @pytest.fixture(scope="class")
    @classmethod
    def case(cls) -> Case:
        graph = apply_overrides(cls.recipe.graph(), cls.options.overrides)
        words = graph.quantize_inputs(cls.recipe.inputs(40))
        return Case(graph, words, tuple(node.output for node in graph.compute_nodes), naive_words(graph, words))

    @pytest.fixture(scope="class")
    @classmethod
    def faults(cls, case: Case) -> list[WordChange]:
        """Random stored bits flipped, and the sign bit of the first word of each tensor."""
        rng = np.random.default_rng(cls.recipe.seed + 7)
        names = list(case.graph.tensors)
        chosen = [str(name) for name in rng.choice(names, 8)]
        return [flipped(case.graph, name, None, rng) for name in chosen] + [
            flipped(case.graph, name, 0, rng) for name in names
        ]

    def test_the_case_is_not_trivial(self, case: Case) -> None:
        assert len(np.unique(case.expected[case.graph.output], axis=0)) > 3

    def test_the_engine_is_naive_arithmetic(self, case: Case) -> None:
        require_equal(ExactEngine(case.graph), case)

    @pytest.mark.parametrize("arithmetic", ["float32", "float64", "int64"])
    def test_so_is_every_arithmetic_of_the_engine(
        self, case: Case, arithmetic: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hls.engine, "arithmetic_of", lambda graph, node: arithmetic)
        require_equal(ExactEngine(case.graph), case)

    def test_a_saved_network_is_the_same(self, case: Case, tmp_path: Path) -> None:
        save_graph(case.graph, tmp_path / "network.npz")
        loaded = load_graph(tmp_path / "network.npz")
        assert loaded == case.graph
        require_equal(ExactEngine(loaded), case)

    def test_faults_do_what_naive_arithmetic_says(self, case: Case, faults: list[WordChange]) -> None:
        for fault in faults:
            expected = naive_words(case.graph.with_words([fault]), case.words)[case.graph.output]
            found = ExactEngine(case.graph).with_words([fault]).run(case.words).output
            assert np.array_equal(found, expected), fault

    def test_the_words_mean_what_the_qonnx_graph_means(self, case: Case) -> None:
        if self.options.overrides or not self.recipe.po2:
            return  # the accumulator wraps on purpose; inexact output scales: see lowering/test_lowering.py
        real = real_output(self.recipe.model(), self.recipe.inputs(40))
        assert np.array_equal(case.graph.output_values(case.expected[case.graph.output]), real.astype(np.float64))


class HardwareAgreement(Agreement):
    """The same, and hls4ml's C++."""

    @pytest.fixture(scope="class")
    @classmethod
    def csim(cls, case: Case, csim_build: Callable[..., Build]) -> Iterator[CSimulation]:
        with open_csim(case.graph, csim_build(case.graph, cls.options), workers=1) as opened:
            yield opened

    @pytest.mark.gxx
    def test_the_csim_agrees_in_every_layer(self, case: Case, csim: CSimulation) -> None:
        taps = tuple(tap for tap in case.taps if tap in csim.tappable())
        assert case.graph.output in taps
        require_equal(csim, Case(case.graph, case.words, taps, case.expected))

    @pytest.mark.gxx
    def test_the_csim_holds_the_stored_words(self, case: Case, csim: CSimulation) -> None:
        for name, tensor in case.graph.tensors.items():
            assert np.array_equal(csim.stored_words(name), tensor.executor_words()), name

    @pytest.mark.gxx
    def test_faults_do_the_same_in_the_csim(self, case: Case, csim: CSimulation, faults: list[WordChange]) -> None:
        engine = ExactEngine(case.graph)
        visible = 0
        for fault in faults:
            expected = engine.with_words([fault]).run(case.words).output
            assert np.array_equal(csim.with_words([fault]).run(case.words).output, expected), fault
            visible += not np.array_equal(expected, case.expected[case.graph.output])
        assert visible
        require_equal(csim, Case(case.graph, case.words, (), case.expected))


def flipped(graph: IntegerGraph, name: str, index: int | None, rng: np.random.Generator) -> WordChange:
    tensor = graph.tensors[name]
    place = int(rng.integers(tensor.words.size)) if index is None else index
    bit = int(rng.integers(tensor.format.width_bits)) if index is None else tensor.format.width_bits - 1
    word = tensor.format.flip(tensor.words.reshape(-1)[[place]], bit)
    return WordChange(tensor=name, index=place, word=int(word[0]))


def require_equal(executor: Executor, case: Case) -> None:
    execution = executor.run(case.words, case.taps)
    assert np.array_equal(execution.output, case.expected[case.graph.output])
    for tap in case.taps:
        assert np.array_equal(execution.taps[tap], case.expected[tap]), tap


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
                "fc1": {"Precision": {"accum": "fixed<6,6>"}},
                "fc2": {"Precision": {"accum": "fixed<5,8>"}},
            }
        }
    )

    def test_both_accumulators_wrap(self, case: Case) -> None:
        for node in case.graph.nodes:
            if isinstance(node, MatMul):
                sums = matmul_sums(case.graph, node, case.expected[node.input])
                assert not node.accumulator.contains(sums)


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
        overrides={"LayerName": {"fc1": {"Precision": {"accum": "fixed<7,7>"}}}},
    )
    slow_csim = True


class TestRequantize(Agreement):
    recipe = Mlp(widths=SMALL, po2=False, bias=False)


class TestRequantizePerChannel(Agreement):
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
