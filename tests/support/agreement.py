"""What a case of agreement is: every executor, on one network and its faults, gives the same words.

A case is a subclass with a recipe: ``Agreement`` runs what needs no compiler, ``HardwareAgreement`` adds hls4ml's C++.
C-simulations that the default suite can do without are marked slow by ``slow_csim``; CI runs those too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import onnx
import pytest
from support.reference import naive_words, real_output

import hls.engine
from hls.csim import Build, CSimulation, open_csim
from hls.engine import ExactEngine
from hls.executor import Executor
from hls.graph import IntegerGraph, WordChange
from hls.hls4ml_flow import ProjectOptions, apply_overrides
from hls.serialize import load_graph, save_graph


class CaseRecipe(Protocol):
    seed: int
    po2: bool

    def graph(self) -> IntegerGraph: ...

    def inputs(self, samples: int) -> np.ndarray: ...

    def model(self) -> onnx.ModelProto: ...


@dataclass(frozen=True)
class Case:
    graph: IntegerGraph
    words: np.ndarray
    taps: tuple[str, ...]
    expected: dict[str, np.ndarray]


class Agreement:
    """One recipe, every executor that needs no compiler."""

    recipe: CaseRecipe
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
