"""Upsets of multipliers, offsets and shifts, against runs of their own and Python integers."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from support.fault_checks import require_fault_list, require_outcomes_of_brute_force
from support.fault_networks import goldens
from support.graphs import Net, signed, unsigned
from support.networks import Mlp
from support.reference import naive_output

from fault_injection.constants import constant_words, constants_of, stored_as, with_faulty_constant
from fault_injection.golden import Golden, flat, golden_run
from hls.engine import ExactEngine
from hls.errors import UsageError
from hls.formats import WordFormat
from hls.hls4ml_flow.extension.parameters import signed_bits
from hls.intervals import largest_intermediate
from hls.nodes import Add, Requantize


def scaled(recipe: Mlp, samples: int = 6) -> Golden:
    graph = recipe.graph()
    return golden_run(graph, graph.quantize_inputs(recipe.inputs(samples)))


def large(overflow: str) -> Net:
    """A network whose multipliers nearly fill the carrier: a flipped top bit takes it beyond int64."""
    net = Net((3,), signed(21))
    value = net.requantize("q", [2**42 + 1, -(2**40), 0], [2**60, -7, 1], [45, 41, 0], signed(30))
    other = net.requantize("q", [2**19, 2**18, -(2**19)], [0, 0, 1], [1, 0, 0], signed(40))
    net.add([value, other], [2**26 - 1, -3], WordFormat(width_bits=50, encoding="twos_complement", overflow=overflow))
    return net


GOLDENS = {name: golden for name, golden in goldens(samples=5).items() if constant_words(golden.graph)}
GOLDENS |= {
    "per tensor": scaled(Mlp(widths=(4, 3, 2), po2=False, bias=False)),
    "per channel": scaled(Mlp(widths=(4, 3, 2), po2=False, bias=False, per_channel=True, output_quant=True)),
    "large, saturating": golden_run(large("saturate").graph(), large("saturate").words(6)),
    "large, wrapping": golden_run(large("wrap").graph(), large("wrap").words(6)),
}


LARGE = ["large, saturating", "large, wrapping"]
KINDS = [pytest.param(kind, marks=pytest.mark.slow if kind in LARGE else ()) for kind in GOLDENS]


@pytest.mark.parametrize("kind", LARGE)
def test_flips_beyond_int64_do_what_runs_of_their_own_do(kind: str) -> None:
    golden = GOLDENS[kind]
    faults = constants_of(golden.graph, ["*.multipliers"])
    faults = faults.take(np.flatnonzero((faults.sites.bit >= 41) | (faults.sites.bit == 26)))
    require_outcomes_of_brute_force(golden, faults)
    engine = ExactEngine(golden.graph)
    for row in range(len(faults)):
        faulty = with_faulty_constant(golden.graph, faults.sites.site(row))
        expected = flat(naive_output(faulty, golden.inputs))
        assert np.array_equal(faults.faulty_output(engine, golden, row), expected), faults.text(row)


@pytest.mark.parametrize("kind", KINDS)
def test_every_flip_does_what_a_run_of_its_own_does(kind: str) -> None:
    golden = GOLDENS[kind]
    require_outcomes_of_brute_force(golden, constants_of(golden.graph))


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_of_its_own_is_naive_arithmetic(kind: str) -> None:
    golden = GOLDENS[kind]
    faults = constants_of(golden.graph)
    for row in range(0, len(faults), 3):
        faulty = with_faulty_constant(golden.graph, faults.sites.site(row))
        expected = flat(naive_output(faulty, golden.inputs))
        assert np.array_equal(faults.faulty_output(ExactEngine(golden.graph), golden, row), expected), faults.text(row)


def test_the_large_networks_leave_int64() -> None:
    golden = GOLDENS["large, saturating"]
    faults = constants_of(golden.graph)
    bounds = {}
    for row in range(3, len(faults), 4):
        faulty = with_faulty_constant(golden.graph, faults.sites.site(row))
        for node in faulty.compute_nodes:
            kind = type(node).__name__
            bounds[kind] = max(bounds.get(kind, 0), largest_intermediate(faulty, node))
    assert min(bounds["Requantize"], bounds["Add"]) >= 2**63
    assert max(largest_intermediate(golden.graph, node) for node in golden.graph.compute_nodes) < 2**63


def test_a_campaign_can_number_cut_and_repeat_constants() -> None:
    require_fault_list(GOLDENS["per channel"], constants_of(GOLDENS["per channel"].graph))


@pytest.mark.parametrize("kind", KINDS)
def test_a_flip_changes_one_constant_and_nothing_else(kind: str) -> None:
    graph = GOLDENS[kind].graph
    faults = constants_of(graph)
    for row in range(len(faults)):
        site = faults.sites.site(row)
        faulty = with_faulty_constant(graph, site)
        before, after = constant_words(graph), constant_words(faulty)
        assert [(name, i) for name in before for i, word in enumerate(before[name]) if word != after[name][i]] == [
            (site.tensor, site.index)
        ]
        assert faulty.tensors == graph.tensors
        assert faulty.values == graph.values
        name, field = site.tensor.rsplit(".", 1)
        for one, two in zip(graph.nodes, faulty.nodes, strict=True):
            assert (
                two == one if one.name != name else msgspec.structs.replace(two, **{field: getattr(one, field)}) == one
            )
        moved = before[site.tensor][site.index] ^ after[site.tensor][site.index]
        width = stored_as(before)[site.tensor].format.width_bits
        assert moved & ((1 << width) - 1) == 1 << site.bit


def test_the_words_of_a_constant_are_those_of_the_table() -> None:
    faults = constants_of(GOLDENS["residual"].graph, ["add*"])
    table = faults.columns(GOLDENS["residual"].graph)
    assert faults.text(0) == "add5.multipliers:0:0"
    assert table["golden_word"].to_pylist() == [2, 2, 2, 1, 1, 1, -1, -1, -1]
    assert table["faulty_word"].to_pylist() == [3, 0, -2, 0, 3, -3, -2, -3, 3]


def test_widths_are_those_of_the_generated_code() -> None:
    for golden in GOLDENS.values():
        constants = constant_words(golden.graph)
        for name, stored in stored_as(constants).items():
            if name.endswith(".shifts"):
                assert stored.format.width_bits == max(1, max(constants[name]).bit_length())
            else:
                assert stored.format.width_bits == signed_bits(constants[name])


def test_a_network_without_constants_says_so() -> None:
    net = Net((2,), unsigned(2))
    net.matmul("q", 2)
    with pytest.raises(UsageError, match="this network has none"):
        constants_of(net.graph())


def test_constants_cannot_be_changed_where_they_are_compiled_in() -> None:
    golden = GOLDENS["per tensor"]
    faults = constants_of(golden.graph)

    class Compiled:
        graph, tensors = golden.graph, ExactEngine(golden.graph).tensors
        run, with_words = ExactEngine(golden.graph).run, ExactEngine(golden.graph).with_words

    with pytest.raises(UsageError, match="compiled in"):
        faults.faulty_output(Compiled(), golden, 0)


def test_the_comparison_can_fail() -> None:
    golden = GOLDENS["per channel"]
    name = next(node.output for node in golden.graph.nodes if isinstance(node, Requantize))
    wrong = Golden(graph=golden.graph, inputs=golden.inputs, words={**golden.words, name: golden.words[name] * 0})
    with pytest.raises(AssertionError):
        require_outcomes_of_brute_force(wrong, constants_of(golden.graph))


def test_both_kinds_of_nodes_are_among_the_networks() -> None:
    kinds = {type(node) for golden in GOLDENS.values() for node in golden.graph.nodes}
    assert {Requantize, Add} <= kinds
