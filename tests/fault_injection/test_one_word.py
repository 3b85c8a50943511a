"""A fault changes what it says and nothing else: every bit of every tensor, of networks of every kind.

Each name is an error of an existing tool; see the issue threads and code that the comments name.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from support.fault_checks import judge_of
from support.fault_networks import goldens
from support.graphs import Net, signed, unsigned
from support.networks import Mlp

from fault_injection.fault_list import StoredBits
from fault_injection.faults import change_at
from fault_injection.golden import golden_run
from fault_injection.many_words import flipped_bits, propagate_words
from fault_injection.sites import all_sites, parse_site
from hls import engine
from hls.graph import IntegerGraph, StoredTensor, WordChange
from hls.nodes import tensors_of


def mixed() -> Net:
    """Every tensor of another width, channels widened and moved by zero points."""
    net = Net((4,), unsigned(3))
    value = net.matmul("q", 3, signed(2), signed(9), widen=[0, 3, 1], zero_point=[1, 0, -1])
    value = net.matmul(net.shift(value, 3, unsigned(5)), 4, unsigned(7), zero_point=[64, 3, 0, 127])
    net.matmul(net.threshold(value, np.array([[-300, 5, 77]]), signed(11), [0], [1], unsigned(2)), 2, signed(5))
    return net


SMALL = (4, 3, 2)
GRAPHS: dict[str, IntegerGraph] = {name: golden.graph for name, golden in goldens(samples=1).items()}
GRAPHS |= {
    "mixed precision": mixed().graph(),
    "per channel": Mlp(widths=SMALL, per_channel=True, seed=1).graph(),
    "no bias": Mlp(widths=SMALL, bias=False).graph(),
    "any scales": Mlp(widths=SMALL, po2=False, bias=False, per_channel=True).graph(),
    "signed": Mlp(widths=SMALL, input_signed=True, signed_activation=True, narrow_activation=True, relu=False).graph(),
}


def same_but_words(one: StoredTensor, two: StoredTensor) -> bool:
    """Whether two tensors have the same name, format, scale, widening and zero point."""
    return all(
        np.array_equal(getattr(one, field.name), getattr(two, field.name))
        for field in fields(StoredTensor)
        if field.name != "words"
    )


@pytest.mark.parametrize("kind", list(GRAPHS))
def test_a_flip_of_any_bit_of_any_tensor_changes_that_word_and_nothing_else(kind: str) -> None:
    # PyLandscape's port recomputes the scale from the largest weight: up to 1,018 of 1,024 other words move.
    graph = GRAPHS[kind]
    sites = all_sites(graph)
    widths = [tensor.format.width_bits * tensor.words.size for tensor in graph.tensors.values()]
    assert len(sites) == sum(widths)
    for row in range(len(sites)):
        site = sites.site(row)
        faulty = graph.with_words([change_at(graph, site, "flip")])
        assert (faulty.nodes, faulty.values, faulty.tail) == (graph.nodes, graph.values, graph.tail)
        for name, tensor in graph.tensors.items():
            if name != site.tensor:
                assert faulty.tensors[name] is tensor
        before, after = graph.tensors[site.tensor], faulty.tensors[site.tensor]
        assert same_but_words(before, after)
        for words in (np.stack([before.words, after.words]), np.stack([t.executor_words() for t in (before, after)])):
            assert np.flatnonzero(words[0].reshape(-1) != words[1].reshape(-1)).tolist() == [site.index]
        assert after.format.flip(after.words, site.bit).reshape(-1)[site.index] == before.words.reshape(-1)[site.index]


def test_the_networks_have_what_goes_wrong_elsewhere() -> None:
    tensors = [tensor for graph in GRAPHS.values() for tensor in graph.tensors.values()]
    assert {tensor.format.encoding for tensor in tensors} == {"twos_complement", "unsigned", "bipolar"}
    assert any(np.any(tensor.widen) and tensor.widen.ndim for tensor in tensors)
    assert any(np.any(tensor.zero_point) and tensor.zero_point.ndim for tensor in tensors)
    assert {name.rsplit(".", 1)[1] for graph in GRAPHS.values() for name in graph.tensors} == {
        "weight", "bias", "thresholds", "table",
    }  # fmt: skip


@pytest.mark.parametrize("kind", list(GRAPHS))
def test_every_tensor_that_a_node_uses_has_sites(kind: str) -> None:
    graph = GRAPHS[kind]
    used = {name for node in graph.nodes for name in tensors_of(node)}
    sites = all_sites(graph)
    assert {sites.tensors[position] for position in np.unique(sites.tensor)} == used == set(graph.tensors)


def test_sites_of_mixed_widths_are_bits_of_their_own_tensor() -> None:
    # PyLandscape divides a global bit number by the width of the local tensor.
    graph = GRAPHS["mixed precision"]
    sites = all_sites(graph)
    expected = [
        (name, index, bit)
        for name, tensor in graph.tensors.items()
        for index in range(tensor.words.size)
        for bit in range(tensor.format.width_bits)
    ]
    assert [(s.tensor, s.index, s.bit) for s in (sites.site(row) for row in range(len(sites)))] == expected
    assert len({tensor.format.width_bits for tensor in graph.tensors.values()}) == len(graph.tensors)


def test_a_network_without_biases_is_judged() -> None:
    # FKeras' explicitly_flip_bits asks every layer for its bias and fails where there is none.
    graph = GRAPHS["no bias"]
    golden = golden_run(graph, graph.quantize_inputs(Mlp(widths=SMALL, bias=False).inputs(6)))
    faults = StoredBits(sites=all_sites(graph), model="flip")
    assert not any(name.endswith("bias") for name in graph.tensors)
    assert faults.judge(judge_of(golden), detail="full", threads=1).num_rows == len(faults)


@pytest.mark.parametrize("kind", list(GRAPHS))
def test_extreme_words_flip_in_every_bit(kind: str) -> None:
    # PyTorchFI's helper quantizes a saturated value to 2^(B−1) and ends in an AssertionError.
    graph = GRAPHS[kind]
    for name, tensor in graph.tensors.items():
        for word in (tensor.format.minimum, tensor.format.maximum):
            extreme = graph.with_words([WordChange(tensor=name, index=0, word=word)])
            for bit in range(tensor.format.width_bits):
                site = parse_site(extreme, f"{name}:0:{bit}")
                faulty = change_at(extreme, site, "flip").word
                assert tensor.format.minimum <= faulty <= tensor.format.maximum
                if tensor.format.encoding != "bipolar":
                    assert (word ^ faulty) & ((1 << tensor.format.width_bits) - 1) == 1 << bit


@pytest.mark.parametrize("kind", ["per channel", "signed", "no bias"])
def test_a_flip_to_the_most_negative_word_is_that_word(kind: str) -> None:
    # A narrow quantizer never makes -2^(B-1); PyLandscape's scale moves with it, because |-2^(B-1)| is the new maximum.
    graph = GRAPHS[kind].with_words([WordChange(tensor="fc1.weight", index=1, word=0)])
    faulty = graph.with_words([change_at(graph, parse_site(graph, "fc1.weight:1:msb"), "flip")])
    tensor = faulty.tensors["fc1.weight"]
    assert tensor.format.narrow
    assert tensor.words.reshape(-1)[1] == tensor.format.minimum == -(2 ** (tensor.format.width_bits - 1))
    assert np.array_equal(tensor.scale, graph.tensors["fc1.weight"].scale)


def test_several_faults_are_on_in_every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    # FKeras XORs its kernel at every forward call, MRFI draws faults anew at each: every batch sees other ones.
    recipe = Mlp(widths=SMALL, per_channel=True, seed=1)
    graph = recipe.graph()
    inputs = graph.quantize_inputs(recipe.inputs(12))
    twice = golden_run(graph, np.concatenate([inputs, inputs]))
    sites = all_sites(graph)
    rows = np.random.default_rng(1).choice(len(sites), (20, 6))
    rows = np.array([row for row in rows if len(set(row)) == 6])
    chosen = sites.take(rows.reshape(-1))
    fault = np.repeat(np.arange(len(rows)), 6)
    changes = flipped_bits(graph, fault, (chosen.tensor, chosen.index, chosen.bit), len(rows))
    monkeypatch.setattr(engine, "BLOCK_SAMPLES", 12)
    changed = propagate_words(twice, changes)
    for row in range(len(rows)):
        samples = changed.sample[changed.fault == row]
        assert np.array_equal(samples[samples < 12], samples[samples >= 12] - 12)
        faulty = engine.ExactEngine(graph).with_words(changes.of(graph, row)).run(twice.inputs).output
        assert np.array_equal(faulty[:12], faulty[12:])


def test_a_moved_scale_would_be_seen() -> None:
    tensor = GRAPHS["per channel"].tensors["fc1.weight"]
    moved = StoredTensor(
        name=tensor.name, words=tensor.words.copy(), format=tensor.format, scale=tensor.scale * 2, widen=tensor.widen
    )
    assert same_but_words(tensor, tensor)
    assert not same_but_words(tensor, moved)
