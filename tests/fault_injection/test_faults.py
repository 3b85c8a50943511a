from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.networks import Mlp

from fault_injection.faults import FAULT_MODELS, change_at, faulty_words, require_model
from fault_injection.sites import all_sites, parse_site
from hls.errors import UsageError
from hls.graph import IntegerGraph, WordChange

NARROW = Mlp(widths=(4, 3, 2), per_channel=True).graph()
SCALED = Mlp(widths=(4, 3, 2), po2=False, bias=False, per_channel=True).graph()
NETWORKS = st.sampled_from([NARROW, SCALED])


@given(NETWORKS, st.data())
def test_a_flip_twice_is_nothing(graph: IntegerGraph, data: st.DataObject) -> None:
    sites = all_sites(graph)
    site = sites.site(data.draw(st.integers(0, len(sites) - 1)))
    faulty = graph.with_words([change_at(graph, site, "flip")])
    assert faulty != graph
    assert faulty.with_words([change_at(faulty, site, "flip")]) == graph


@pytest.mark.parametrize("graph", [NARROW, SCALED], ids=["powers of two", "any scales"])
def test_every_flip_changes_exactly_one_word_and_never_a_scale(graph: IntegerGraph) -> None:
    # PyLandscape's port writes a float into a layer whose scale is max|w|: up to 1,018 of 1,024 other words move.
    sites = all_sites(graph)
    for row in range(len(sites)):
        site = sites.site(row)
        faulty = graph.with_words([change_at(graph, site, "flip")])
        for name, tensor in graph.tensors.items():
            changed = np.flatnonzero(tensor.words.reshape(-1) != faulty.tensors[name].words.reshape(-1))
            assert changed.tolist() == ([site.index] if name == site.tensor else [])
            assert replace(faulty.tensors[name], words=tensor.words) == tensor
        assert faulty.values == graph.values


@pytest.mark.parametrize("model", FAULT_MODELS)
def test_faults_in_one_batch_are_the_faults_one_by_one(model: str) -> None:
    sites = all_sites(NARROW)
    golden, faulty = faulty_words(NARROW, sites, model)
    for row in range(len(sites)):
        site = sites.site(row)
        assert golden[row] == NARROW.tensors[site.tensor].words.reshape(-1)[site.index]
        assert faulty[row] == change_at(NARROW, site, model).word


def test_a_stuck_bit_reads_its_value_and_leaves_the_others() -> None:
    sites = all_sites(NARROW)
    golden, low = faulty_words(NARROW, sites, "stuck0")
    _, high = faulty_words(NARROW, sites, "stuck1")
    for row in range(len(sites)):
        word_format = NARROW.tensors[sites.site(row).tensor].format
        bit = int(sites.bit[row])
        assert not word_format.bit_is_set(low[[row]], bit).any()
        assert word_format.bit_is_set(high[[row]], bit).all()
        assert golden[row] in (low[row], high[row])
        assert word_format.flip(low[[row]], bit).tolist() == [high[row]]


def test_a_saturated_word_flips_in_every_bit() -> None:
    # PyTorchFI raises an AssertionError for a value at the profiled maximum.
    graph = NARROW.with_words([WordChange(tensor="fc1.weight", index=0, word=7)])
    words = [change_at(graph, parse_site(graph, f"fc1.weight:0:{bit}"), "flip").word for bit in range(4)]
    assert words == [6, 5, 3, -1]


def test_the_most_negative_word_is_reached_although_the_quantizer_avoids_it() -> None:
    graph = NARROW.with_words([WordChange(tensor="fc1.weight", index=0, word=0)])
    assert graph.tensors["fc1.weight"].format.narrow
    assert change_at(graph, parse_site(graph, "fc1.weight:0:msb"), "flip").word == -8


@pytest.mark.parametrize("model", FAULT_MODELS)
def test_fault_models_are_known_by_name(model: str) -> None:
    assert require_model(model) == model


def test_an_unknown_fault_model_is_refused() -> None:
    with pytest.raises(UsageError, match="'burn'; allowed: flip, stuck0, stuck1"):
        require_model("burn")
