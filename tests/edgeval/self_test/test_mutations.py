"""Each mutation by itself: one error, where it says, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
import pytest
from support.graphs import Net, signed, unsigned
from support.markdown import DOCS, column, table
from support.mutants import differing, every_place

from edgeval.self_test import MUTATIONS, Mutated
from edgeval.self_test.mutation import TRIED_WORDS
from edgeval.self_test.places import Counted, generator, visible, without_place
from edgeval.self_test.project_edits import PROJECT_MUTATIONS
from edgeval.self_test.tables import TABLE_MUTATIONS
from fault_injection.faults import change_at
from hls.engine import ExactEngine
from hls.graph import IntegerGraph
from hls.hls4ml_flow.manifest import CppType, Manifest, Port
from hls.nodes import Reshape, tensors_of
from hls.serialize import digest, load_graph, save_graph

GRAPH, WORDS = every_place()
NAMES = list(MUTATIONS)


def mutants(name: str, graph: IntegerGraph = GRAPH, seed: int = 0) -> list[Mutated]:
    return list(MUTATIONS[name](graph, generator(seed, name)))


def outputs(graph: IntegerGraph) -> np.ndarray:
    return ExactEngine(graph).run(WORDS).output


@pytest.mark.parametrize("name", NAMES)
def test_a_mutant_differs_in_the_stated_place_and_nowhere_else(name: str) -> None:
    found = mutants(name)
    assert found
    for mutated in found:
        nodes, tensors, values = differing(GRAPH, mutated.graph)
        owner = mutated.place
        if owner in GRAPH.tensors:
            assert (nodes, tensors, values) == (set(), {owner}, set())
            continue
        node = next(item for item in GRAPH.nodes if item.name == owner)
        assert len(nodes | tensors) >= 1
        assert nodes <= {owner}
        assert tensors <= set(tensors_of(node))
        assert values <= {node.output}
        assert mutated.change


@pytest.mark.parametrize("name", NAMES)
def test_a_mutant_runs_is_saved_and_read_back(name: str, tmp_path: Path) -> None:
    mutated = mutants(name)[0]
    save_graph(mutated.graph, tmp_path / "mutant.npz")
    assert load_graph(tmp_path / "mutant.npz") == mutated.graph
    assert outputs(mutated.graph).shape == outputs(GRAPH).shape


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_offers_the_same_places_and_leaves_the_network_alone(name: str) -> None:
    before = digest(GRAPH)
    first, again = mutants(name), mutants(name)
    assert [(m.place, m.change) for m in first] == [(m.place, m.change) for m in again]
    assert digest(GRAPH) == before


@pytest.mark.parametrize("name", NAMES)
def test_some_place_of_every_kind_reaches_the_output_here(name: str) -> None:
    right = outputs(GRAPH)
    assert any(not np.array_equal(outputs(mutated.graph), right) for mutated in mutants(name))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("flip a weight bit", "swap two inputs",
    "swap two output channels", "read weights in another order", "narrow an accumulator")])  # fmt: skip
def test_a_network_without_such_a_node_has_no_place(name: str) -> None:
    net = Net((4,))
    net.matmul("q", 3)
    assert mutants(name, net.graph()) == []


def test_a_flipped_weight_bit_is_one_bit_and_says_which() -> None:
    found = mutants("flip a weight bit")
    assert len(found) == len({str(mutated.site) for mutated in found}) == TRIED_WORDS
    for mutated in found:
        assert mutated.site is not None
        assert mutated.graph == GRAPH.with_words([change_at(GRAPH, mutated.site, "flip")])


def test_every_bit_of_a_small_network_is_offered_once() -> None:
    net = Net((2,))
    net.matmul("q", 2, signed(3))
    found = mutants("flip a weight bit", net.graph())
    assert {(m.site.index, m.site.bit) for m in found if m.site} == {(i, b) for i in range(4) for b in range(3)}


def test_swapped_channels_are_the_output_with_two_channels_exchanged() -> None:
    net = Net((5,), seed=2)
    net.matmul("q", 4, bias=signed(6), widen=[0, 1, 2, 0])
    graph, words = net.graph(), net.words(6)
    right = ExactEngine(graph).run(words).output
    for mutated in mutants("swap two output channels", graph):
        first, second = (int(part) for part in mutated.change.split() if part.isdigit())
        order = np.arange(4)
        order[[first, second]] = second, first
        assert np.array_equal(ExactEngine(mutated.graph).run(words).output, right[:, order])


def test_swapped_inputs_are_the_layer_on_exchanged_words() -> None:
    net = Net((5,), seed=2)
    net.matmul("q", 4)
    graph, words = net.graph(), net.words(6)
    for mutated in mutants("swap two inputs", graph):
        first, second = (int(part) for part in mutated.change.split() if part.isdigit())
        moved = words.copy()
        moved[:, [first, second]] = words[:, [second, first]]
        right = ExactEngine(graph).run(moved).output
        assert np.array_equal(ExactEngine(mutated.graph).run(words).output, right)


def shifted(rounding: str, words: np.ndarray, mutation: str) -> list[int]:
    """What the first mutant of one activation makes of some words."""
    net = Net((1,), signed(8))
    net.shift("q", 2, signed(8), rounding=rounding)
    (mutated,) = mutants(mutation, net.graph())
    return [int(word) for word in ExactEngine(mutated.graph).run(words[:, None]).output[:, 0]]


EVERY_WORD = np.arange(-128, 128)


def test_ties_go_up_and_nothing_else_moves() -> None:
    expected = [floor(Fraction(int(word), 4) + Fraction(1, 2)) for word in EVERY_WORD]
    assert shifted("half_even", EVERY_WORD, "round ties up") == expected


@pytest.mark.parametrize(("rounding", "other"), [("half_even", floor), ("floor", round)])
def test_a_shifted_rounding_mode_is_the_other_one(rounding: str, other: object) -> None:
    expected = [other(Fraction(int(word), 4)) for word in EVERY_WORD]
    assert shifted(rounding, EVERY_WORD, "shift a rounding mode") == expected


def test_a_requantization_rounds_down_or_ties_up_channel_by_channel() -> None:
    net = Net((3,), signed(7))
    multipliers, offsets, shifts = (3, -5, 2), (1, -7, 0), (3, 4, 2)
    net.requantize("q", multipliers, offsets, shifts, signed(8))
    graph, words = net.graph(), net.words(200)
    real = [
        [Fraction(int(word) * m + o, 2**s) for word, m, o, s in zip(row, multipliers, offsets, shifts, strict=True)]
        for row in words
    ]
    for name, meaning in (("shift a rounding mode", floor), ("round ties up", lambda v: floor(v + Fraction(1, 2)))):
        (mutated,) = mutants(name, graph)
        expected = np.clip([[meaning(value) for value in row] for row in real], -128, 127)
        assert np.array_equal(ExactEngine(mutated.graph).run(words).output, expected)


def test_an_accumulator_loses_one_bit_more_each_time() -> None:
    net = Net((4,))
    net.matmul("q", 3)
    (node,) = net.graph().compute_nodes
    width = node.accumulator.width_bits
    found = mutants("narrow an accumulator", net.graph())
    assert [m.graph.compute_nodes[0].accumulator.width_bits for m in found] == list(range(width - 1, 1, -1))
    assert all(m.graph.values[node.output].format == m.graph.compute_nodes[0].accumulator for m in found)


def test_a_dropped_transpose_hands_on_the_words_as_they_came() -> None:
    net = Net((2, 3))
    net.transpose("q", (1, 0))
    (mutated,) = mutants("drop a transpose", net.graph())
    words = net.words(4)
    assert isinstance(mutated.graph.compute_nodes[0], Reshape)
    assert np.array_equal(ExactEngine(mutated.graph).run(words).output, words.reshape(4, 3, 2))


def test_a_sum_whose_branches_count_the_same_has_no_branches_to_swap() -> None:
    net = Net((3,))
    left, right = net.shift("q", 1, unsigned(3)), net.shift("q", 2, unsigned(3))
    net.add([left, right], (2, 2))
    assert mutants("swap two branches", net.graph()) == []


def test_a_bias_of_zeros_cannot_be_dropped() -> None:
    net = Net((3,))
    net.matmul("q", 2, bias=signed(4))
    graph = net.graph()
    name = next(name for name in graph.tensors if name.endswith("bias"))
    empty = replace(graph.tensors[name], words=np.zeros(2, np.int64))
    assert mutants("drop a bias", replace(graph, tensors={**graph.tensors, name: empty})) == []


def test_an_activation_that_wraps_is_predicted_where_a_type_does_the_clipping() -> None:
    net = Net((3,), signed(6))
    net.shift("q", 0, unsigned(4), low=0)
    graph = net.graph()
    port = Port(cpp_name="x", cpp_type="t", size=3, width_bits=6, signed=True, unit_log2=0)
    kind = CppType(
        role="result of act1", cpp_type="layer2_t", width_bits=4, signed=False, unit_log2=0, rounding="AP_RND_CONV",
        overflow="AP_SAT",
    )  # fmt: skip
    manifest = Manifest(
        project="p", backend="Vitis", io_type="io_parallel", hls4ml_version="1", network_digest="", input=port,
        output=port, taps=(), arrays=(), types=(kind,), products_on_stack=0,
    )  # fmt: skip
    words = {"q": np.array([[-3, 7, 31]]), "act1": np.array([[0, 7, 15]])}
    places = PROJECT_MUTATIONS["wrap instead of saturating"]
    (edit,) = places(graph, words, manifest, np.random.default_rng(0))
    assert edit.words["act1"].tolist() == [[0, 7, 15]]
    (wide,) = places(graph, {**words, "q": np.array([[-3, 7, 18]])}, manifest, np.random.default_rng(0))
    assert wide.words["act1"].tolist() == [[0, 7, 2]]
    saturates_symmetrically = (kind.__class__(**{**_fields(kind), "overflow": "AP_SAT_SYM"}),)
    other = Manifest(**{**_fields(manifest), "types": saturates_symmetrically})
    assert list(places(graph, words, other, np.random.default_rng(0))) == []


def _fields(struct: object) -> dict[str, object]:
    return {name: getattr(struct, name) for name in type(struct).__struct_fields__}


def test_an_edited_type_wraps_and_no_other_does(tmp_path: Path) -> None:
    from edgeval.self_test.project_edits import _let_wrap

    (tmp_path / "firmware").mkdir()
    text = (
        "typedef ap_ufixed<4,2,AP_RND_CONV,AP_SAT,0> layer1_t;\ntypedef ac_fixed<4,2,false,AC_RND,AC_SAT> layer11_t;\n"
    )
    (tmp_path / "firmware/defines.h").write_text(text)
    _let_wrap(tmp_path, cpp_type="layer11_t")
    assert (tmp_path / "firmware/defines.h").read_text() == text.replace("AC_SAT", "AC_WRAP")
    _let_wrap(tmp_path, cpp_type="layer1_t")
    assert (tmp_path / "firmware/defines.h").read_text() == text.replace("_SAT", "_WRAP")


# Places.


def test_places_that_reach_the_output_come_before_those_that_stay_inside() -> None:
    effects = {1: "none", 2: "inside", 3: "output", 4: "none", 5: "output"}
    assert list(visible(effects, lambda place: effects[place])) == [3, 5, 2]
    assert list(visible(effects, lambda place: effects[place], tried=2)) == [2]


def test_no_place_is_told_from_no_effect() -> None:
    offered = Counted([1, 2])
    assert list(visible(offered, lambda place: "none")) == []
    assert without_place("x", offered.count, "word").status == "equivalent"
    assert without_place("x", 0, "word").status == "no_place"
    refused = without_place("x", 2, "word", "hls4ml cannot hold it")
    assert (refused.status, refused.evidence) == ("no_place", "hls4ml cannot hold it")


def test_the_draws_of_a_mutation_hang_on_seed_and_name_alone() -> None:
    assert generator(1, "a").integers(1 << 40) == generator(1, "a").integers(1 << 40)
    assert generator(1, "a").integers(1 << 40) != generator(2, "a").integers(1 << 40)
    assert generator(1, "a").integers(1 << 40) != generator(1, "b").integers(1 << 40)


# The page.


def test_every_mutation_has_its_row_on_the_page() -> None:
    page = (DOCS / "self-test.md").read_text(encoding="utf-8")
    from support.markdown import tables

    rows = [row["error"] for rows in tables(page) for row in rows if "error" in row]
    assert [row.strip("` ") for row in rows] == [*MUTATIONS, *PROJECT_MUTATIONS, *TABLE_MUTATIONS]


def test_the_probabilities_on_the_page_are_those_of_many_faults() -> None:
    for row in table(DOCS / "self-test.md", "share of wrong outcomes", "100 faults repeated find one with"):
        share = float(row["share of wrong outcomes"].rstrip(" %")) / 100
        found = 1 - (1 - share) ** 100
        text = f"{100 * found:.1f} %" if found < 0.9995 else "more than 99.9 %"
        assert row["100 faults repeated find one with"] == text


def test_every_result_has_its_row_on_the_page() -> None:
    from edgeval.self_test.score import _STATUSES

    assert column(table(DOCS / "self-test.md", "result", "meaning"), "result") == list(_STATUSES)
