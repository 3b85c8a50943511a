"""Random networks: the integer network gives every quantized word that qonnx gives, and so does the C-simulation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from support.random_check import Verdict, check_graph, check_module, check_simulation
from support.random_graphs import GraphSpec, build, spec_of, specs

from hls.hls4ml_flow.options import IoType

FEW_WORDS = 300
"""Largest network that is compiled here, in words of all values together."""


def told(seed: int, verdict: Verdict) -> str:
    return (
        f"{verdict.kind}: {verdict.detail}\nAgain: python benchmarks/random_networks.py --count 1 --seed {seed} --show"
    )


@pytest.mark.parametrize("first", range(0, 240, 20))
def test_random_graphs_are_exact_explained_or_refused_as_allowed(first: int) -> None:
    verdicts = {seed: check_graph(build(spec_of(seed))) for seed in range(first, first + 20)}
    for seed, verdict in verdicts.items():
        assert not verdict.failed, told(seed, verdict)
    compared = [verdict for verdict in verdicts.values() if verdict.kind in ("exact", "explained")]
    assert len(compared) >= 12, "most random networks have to be compared, not refused"
    assert sum(verdict.words for verdict in compared) > 2000


@given(spec=specs())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_graphs_that_hypothesis_draws_are_exact_explained_or_refused_as_allowed(spec: GraphSpec) -> None:
    verdict = check_graph(build(spec))
    assert not verdict.failed, f"{verdict.kind}: {verdict.detail}\n{spec!r}"


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 1200, 100))
def test_more_random_graphs(first: int) -> None:
    for seed in range(first, first + 100):
        verdict = check_graph(build(spec_of(seed)))
        assert not verdict.failed, told(seed, verdict)


@pytest.mark.parametrize("seed", range(2))
def test_random_brevitas_modules_are_exact_or_explained(seed: int) -> None:
    verdict = check_module(seed)
    assert verdict.kind in ("exact", "explained", "skipped"), f"module {seed}: {verdict.kind}: {verdict.detail}"


@pytest.mark.long
@pytest.mark.parametrize("first", [2, 15])
def test_more_random_brevitas_modules(first: int) -> None:
    verdicts = {seed: check_module(seed) for seed in range(first, first + 13)}
    for seed, verdict in verdicts.items():
        assert not verdict.failed, f"module {seed}: {verdict.kind}: {verdict.detail}"
    assert sum(verdict.kind != "skipped" for verdict in verdicts.values()) >= 10


@pytest.mark.slow
@pytest.mark.gxx
@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
@pytest.mark.parametrize(
    "first", [5000, *(pytest.param(first, marks=pytest.mark.long) for first in (5004, 5008, 5012))]
)
def test_random_graphs_are_what_their_c_simulation_computes(first: int, io_type: IoType, tmp_path: Path) -> None:
    """Every seed stands for the first network from there on that is small and has layers for all its nodes."""
    for seed in range(first, first + 4, 1 if io_type == "io_parallel" else 4):
        verdict = check_simulation(seed * 1000, tmp_path / str(seed), FEW_WORDS, io_type)
        assert verdict.kind == "exact", told(seed, verdict)


def test_a_wrong_word_is_unexplained(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check itself has to be able to fail: one flipped bit of one weight is seen."""
    from dataclasses import replace

    import support.random_check as check

    from hls.lowering import lower_traced

    def damaged(model: object) -> object:
        lowered = lower_traced(model)  # type: ignore[arg-type]
        name = next(name for name in lowered.graph.tensors if name.endswith(".weight"))
        tensor = lowered.graph.tensors[name]
        words = np.where(tensor.words == tensor.words.max(), tensor.words.min(), tensor.words)
        graph = replace(lowered.graph, tensors={**lowered.graph.tensors, name: replace(tensor, words=words)})
        return replace(lowered, graph=graph)

    monkeypatch.setattr(check, "lower_traced", damaged)
    verdicts = [check_graph(build(spec_of(seed))).kind for seed in range(20)]
    assert "unexplained" in verdicts
