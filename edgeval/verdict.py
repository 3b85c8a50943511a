"""Compared words → a verdict with its first line, its evidence and, where words differ, the place and the cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from edgeval.evidence import Evidence
from edgeval.records import FirstDifference, LayerVerdict
from edgeval.word_comparison import Difference, no_evidence
from fault_injection.sites import Site
from hls.engine import sum_interval
from hls.graph import IntegerGraph
from hls.hls4ml_flow.audit import AuditFinding
from hls.hls4ml_flow.units import unit_log2
from hls.nodes import Activation, Conv, MatMul


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Outcome of a comparison, with evidence.

    Attributes:
        kind: ``match``, ``differ`` or ``no_verdict``.
        headline: First line for people.
        layers: Evidence, layer by layer.
        first: Where words first differ, ``None`` where they do not.
    """

    kind: Literal["match", "differ", "no_verdict"]
    headline: str
    layers: tuple[LayerVerdict, ...]
    first: FirstDifference | None


def judge(graph: IntegerGraph, evidence: Evidence, site: Site | None) -> Verdict:
    """Judge what was seen.

    Args:
        graph: The network.
        evidence: Of all samples.
        site: The stored bit that was flipped in the C-simulation, ``None`` for an honest comparison. A flipped bit
            that leaves every *output* word as it was is masked: that is a match, and the headline says where the
            change was absorbed.
    """
    layers = evidence.verdicts()
    if evidence.loaded:
        headline = f"DIFFER in the loaded C-simulation: {evidence.loaded[0]}"
        return Verdict(kind="differ", headline=headline, layers=layers, first=None)
    found = evidence.first
    if found is not None and (site is None or layers[-1].differing):
        first = _first(graph, found, _cause(graph, found) if site is None else _poke_cause(evidence, site))
        return Verdict(kind="differ", headline=_differ(layers, first), layers=layers, first=first)
    if site is not None and not evidence.as_predicted:
        headline = f"DIFFER: {site} has another effect in the C-simulation than in the exact engine"
        return Verdict(kind="differ", headline=headline, layers=layers, first=None)
    if reason := no_evidence(graph, evidence.engine_output):
        return Verdict(kind="no_verdict", headline=f"NO VERDICT: {reason}", layers=layers, first=None)
    samples = evidence.samples
    headline = _match(layers, samples) if site is None else _masked(layers, samples, site)
    return Verdict(kind="match", headline=headline, layers=layers, first=None)


def audit_verdict(findings: Sequence[AuditFinding]) -> Verdict:
    """The verdict when the written project is wrong: nothing was run."""
    more = f" and {len(findings) - 1} more" if len(findings) > 1 else ""
    return Verdict(kind="differ", headline=f"DIFFER in the written project: {findings[0]}{more}", layers=(), first=None)


def _match(layers: Sequence[LayerVerdict], samples: int) -> str:
    words = sum(layer.words for layer in layers)
    return f"MATCH {words:,} of {words:,} words, {_count(len(layers), 'layer')}, {_count(samples, 'sample')}"


def _masked(layers: Sequence[LayerVerdict], samples: int, site: Site) -> str:
    output = layers[-1]
    touched = [layer for layer in layers if layer.differing]
    if not touched:
        return f"{_match(layers, samples)}; {site} is masked: no word changed"
    return (
        f"MATCH {output.words:,} of {output.words:,} output words, {_count(samples, 'sample')}; {site} is masked: "
        f"{_count(sum(layer.differing for layer in touched), 'word')} changed inside, none behind {touched[-1].value}"
    )


def _differ(layers: Sequence[LayerVerdict], first: FirstDifference) -> str:
    words = sum(layer.words for layer in layers)
    differing = sum(layer.differing for layer in layers)
    place = f"{first.value}[{', '.join(map(str, first.index))}]"
    return f"DIFFER {differing:,} of {words:,} words, first at {place}: C-sim {first.csim}, engine {first.engine}"


def _first(graph: IntegerGraph, found: Difference, cause: str) -> FirstDifference:
    word_format = graph.values[found.value].format
    assert word_format is not None
    text = word_format.ap_fixed(unit_log2(graph)[found.value])
    return FirstDifference(
        value=found.value,
        index=found.index,
        csim=found.csim,
        engine=found.engine,
        csim_format=text,  # the audit has just compared the project's types with the network's
        engine_format=text,
        cause=cause,
    )


def _poke_cause(evidence: Evidence, site: Site) -> str:
    effect = "exactly the effect" if evidence.as_predicted else "NOT the effect"
    return f"stored bit {site} was flipped on purpose (--poke); {effect} the exact engine predicts for it"


def _cause(graph: IntegerGraph, found: Difference) -> str:
    node = next(node for node in graph.compute_nodes if node.output == found.value)
    if isinstance(node, MatMul | Conv):
        if not sum_interval(graph, node).within(node.accumulator):
            return (
                f"accumulator {node.name} wraps at {node.accumulator.width_bits} bits; widen it in the YAML overrides"
            )
        return (
            f"the sum of {node.name} differs although its written weights are right: a type or a strategy of this "
            "layer is not what the network says; export again without overrides"
        )
    if isinstance(node, Activation):
        return f"rounding or saturation of {node.name} differs from {type(node).__name__} of the network; export again"
    return f"{node.name} lays its words out differently; export again with io_parallel"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
