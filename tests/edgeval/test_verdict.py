"""Verdicts: what counts as agreement, where a difference is, and when there is no evidence at all."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from support.networks import Mlp

from edgeval.evidence import ComparedWords, csim_histograms, gather, merged
from edgeval.verdict import Verdict, audit_verdict
from edgeval.verdict import judge as judge_evidence
from fault_injection.faults import change_at
from fault_injection.sites import Site
from hls.engine import ExactEngine
from hls.formats import Words
from hls.graph import IntegerGraph
from hls.hls4ml_flow.audit import AuditFinding
from hls.nodes import Shift


def compared(graph: IntegerGraph, inputs: Words, faulty: IntegerGraph | None = None) -> ComparedWords:
    """Words of the exact engine on both sides, one of them from another network where one is given."""
    order = tuple(node.output for node in graph.compute_nodes)
    return ComparedWords(
        order=order,
        csim=ExactEngine(faulty or graph).run(inputs, order).taps,
        engine=ExactEngine(graph).run(inputs, order).taps,
    )


def judge(graph: IntegerGraph, inputs: Words, words: ComparedWords, site: Site | None) -> Verdict:
    """Judged in one block, and in two: the verdict is the same."""
    whole = judge_evidence(graph, gather(graph, inputs, words), site)
    half = len(inputs) // 2
    parts = [gather(graph, inputs[part], cut(words, part)) for part in (slice(0, half), slice(half, None))]
    assert judge_evidence(graph, merged(*parts), site) == whole
    return whole


def cut(words: ComparedWords, part: slice) -> ComparedWords:
    """Some of the samples."""
    csim, engine = ({name: array[part] for name, array in side.items()} for side in (words.csim, words.engine))
    predicted = None if words.predicted is None else {name: array[part] for name, array in words.predicted.items()}
    return replace(words, csim=csim, engine=engine, predicted=predicted)


@pytest.fixture(scope="module")
def graph() -> IntegerGraph:
    return Mlp().graph()


@pytest.fixture(scope="module")
def inputs(graph: IntegerGraph) -> Words:
    return graph.quantize_inputs(Mlp().inputs(50))


def test_equal_words_match_with_counts(graph: IntegerGraph, inputs: Words) -> None:
    verdict = judge(graph, inputs, compared(graph, inputs), None)
    assert verdict.kind == "match"
    assert verdict.headline == "MATCH 1,150 of 1,150 words, 5 layers, 50 samples"


def test_one_changed_word_is_found_at_its_place(graph: IntegerGraph, inputs: Words) -> None:
    words = compared(graph, inputs)
    csim = {name: array.copy() for name, array in words.csim.items()}
    csim["act1"][7, 2] += 1
    csim["fc3"][3, 1] += 1
    changed = ComparedWords(order=words.order, csim=csim, engine=words.engine)
    verdict = judge(graph, inputs, changed, None)
    assert verdict.kind == "differ"
    assert verdict.first is not None
    assert (verdict.first.value, verdict.first.index) == ("act1", (7, 2))
    assert verdict.first.csim == verdict.first.engine + 1
    assert verdict.headline.startswith("DIFFER 2 of 1,150 words, first at act1[7, 2]: C-sim ")
    assert "rounding or saturation of act1" in verdict.first.cause


def test_a_difference_inside_is_no_match_unless_a_bit_was_flipped_on_purpose(
    graph: IntegerGraph, inputs: Words
) -> None:
    words = compared(graph, inputs)
    csim = {name: array.copy() for name, array in words.csim.items()}
    csim["fc1"][0, 0] += 1
    changed = ComparedWords(order=words.order, csim=csim, engine=words.engine)
    assert judge(graph, inputs, changed, None).kind == "differ"
    site = Site(tensor="fc1.weight", index=0, bit=0)
    masked = judge(graph, inputs, changed, site)
    assert masked.kind == "match"
    assert masked.headline == (
        "MATCH 150 of 150 output words, 50 samples; fc1.weight:0:0 is masked: 1 word changed inside, none behind fc1"
    )


def test_a_flipped_bit_that_is_seen_differs(graph: IntegerGraph, inputs: Words) -> None:
    site = Site(tensor="fc3.bias", index=1, bit=5)
    faulty = graph.with_words([change_at(graph, site, "flip")])
    verdict = judge(graph, inputs, compared(graph, inputs, faulty), site)
    assert verdict.kind == "differ"
    assert verdict.first is not None
    assert (verdict.first.value, verdict.first.index) == ("fc3", (0, 1))
    assert "--poke" in verdict.first.cause


def test_a_constant_output_is_no_verdict(graph: IntegerGraph, inputs: Words) -> None:
    same = np.repeat(inputs[:1], 20, axis=0)
    verdict = judge(graph, same, compared(graph, same), None)
    assert verdict.kind == "no_verdict"
    assert verdict.headline == "NO VERDICT: the final output is the same for every sample"


def test_a_fully_clipped_output_is_no_verdict() -> None:
    whole = Mlp(output_quant=True).graph()
    last = whole.nodes[-1]
    assert isinstance(last, Shift)
    # A shift to the left so large that every word that is not zero saturates.
    clipped = replace(whole, nodes=(*whole.nodes[:-1], msgspec.structs.replace(last, shift=-12)))
    inputs = clipped.quantize_inputs(Mlp().inputs(50))
    verdict = judge(clipped, inputs, compared(clipped, inputs), None)
    assert verdict.kind == "no_verdict"


def test_saturations_count_clipping_events_and_not_the_relu() -> None:
    graph = Mlp().graph()
    inputs = graph.quantize_inputs(Mlp().inputs(50))
    verdict = judge(graph, inputs, compared(graph, inputs), None)
    act1 = next(node for node in graph.compute_nodes if node.output == "act1")
    assert isinstance(act1, Shift)
    sums = ExactEngine(graph).run(inputs, ["fc1"]).taps["fc1"]
    above = int((np.rint(sums / 2.0**act1.shift) > act1.high).sum())
    row = next(layer for layer in verdict.layers if layer.value == "act1")
    assert row.saturations == above
    assert (sums < 0).any()


def test_saturations_are_counted_where_the_layer_in_front_was_fused_away() -> None:
    whole = Mlp(output_quant=True).graph()
    last = whole.nodes[-1]
    assert isinstance(last, Shift)
    graph = replace(whole, nodes=(*whole.nodes[:-1], msgspec.structs.replace(last, shift=last.shift - 4)))
    inputs = graph.quantize_inputs(Mlp().inputs(50))
    words = compared(graph, inputs)
    fused = ComparedWords(order=tuple(v for v in words.order if v != "fc3"), csim=words.csim, engine=words.engine)
    counted = {layer.value: layer.saturations for layer in judge(graph, inputs, words, None).layers}
    assert counted["act3"] > 0
    assert judge(graph, inputs, fused, None).layers[-1].saturations == counted["act3"]


def test_a_loaded_word_that_is_another_differs_even_where_all_computed_words_agree(
    graph: IntegerGraph, inputs: Words
) -> None:
    seen = gather(graph, inputs, compared(graph, inputs))
    verdict = judge_evidence(graph, replace(seen, loaded=("fc1.weight[3] is 4 instead of 5",)), None)
    assert verdict.kind == "differ"
    assert verdict.headline == "DIFFER in the loaded C-simulation: fc1.weight[3] is 4 instead of 5"


def test_an_audit_finding_is_the_first_line() -> None:
    finding = AuditFinding(
        file="firmware/weights/w2.txt", tensor="fc1.weight", index=3, found="word 4", expected="word 5", count=1
    )
    verdict = audit_verdict([finding, finding])
    assert verdict.kind == "differ"
    assert verdict.headline == (
        "DIFFER in the written project: fc1.weight[3] in firmware/weights/w2.txt: "
        "found word 4, expected word 5 and 1 more"
    )


def test_histograms_hold_the_distance_of_every_word_that_differs(graph: IntegerGraph, inputs: Words) -> None:
    words = compared(graph, inputs)
    csim = {name: array.copy() for name, array in words.csim.items()}
    csim["act1"][7, 2] += 3
    found = csim_histograms(gather(graph, inputs, replace(words, csim=csim)))
    assert [one.value for one in found] == list(words.order)
    act1 = next(one for one in found if one.value == "act1")
    assert (act1.bin_lsb, act1.first, act1.counts) == (1.0, 0, (act1.errors - 1, 0, 0, 1))
    assert all(one.equal == one.errors for one in found if one.value != "act1")
