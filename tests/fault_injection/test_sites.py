from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.networks import Mlp

from fault_injection.sites import Site, all_sites, parse_site, pruned_count, sample_sites, select_sites
from hls.errors import UsageError
from hls.formats import WordFormat
from hls.graph import IntegerGraph

GRAPH = Mlp(widths=(4, 3, 2), weight_bits=3, bias_bits=10).graph()
SITES = all_sites(GRAPH)
BITS = {"fc1.weight": (12, 3), "fc1.bias": (3, 10), "fc2.weight": (6, 3), "fc2.bias": (2, 10)}


def mixed() -> IntegerGraph:
    """A network whose tensors all have other widths."""
    graph = GRAPH
    tensors = {
        name: replace(tensor, format=WordFormat(width_bits=12 + position, encoding="twos_complement"))
        for position, (name, tensor) in enumerate(graph.tensors.items())
    }
    return replace(graph, tensors=tensors)


def test_every_stored_bit_is_one_site() -> None:
    assert len(SITES) == sum(words * bits for words, bits in BITS.values())
    assert len({str(SITES.site(row)) for row in range(len(SITES))}) == len(SITES)


def test_sites_are_numbered_by_tensor_then_index_then_bit() -> None:
    keys = list(zip(SITES.tensor.tolist(), SITES.index.tolist(), SITES.bit.tolist(), strict=True))
    assert keys == sorted(keys)
    assert SITES.number.tolist() == list(range(len(SITES)))
    assert SITES.tensors == ("fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias")


def test_widths_that_differ_by_tensor_are_counted_by_tensor() -> None:
    # PyLandscape divides a global index by one local width: wrong as soon as layers differ.
    sites = all_sites(mixed())
    for position, (words, _) in enumerate(BITS.values()):
        of_tensor = sites.tensor == position
        assert of_tensor.sum() == words * (12 + position)
        assert sites.bit[of_tensor].max() == 11 + position


def test_a_network_without_biases_has_sites() -> None:
    # FKeras indexes trainable_variables[1] and fails where a layer has no bias.
    assert all_sites(Mlp(widths=(4, 3, 2), bias=False).graph()).tensors == ("fc1.weight", "fc2.weight")


def test_a_filter_never_renumbers() -> None:
    chosen = select_sites(GRAPH, tensors=["*.bias"], bits="msb")
    rows = [row for row in range(len(SITES)) if str(SITES.site(row)).split(".")[1].startswith("bias")]
    assert chosen.number.tolist() == [row for row in rows if SITES.bit[row] == 9]


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        ("all", set(range(10))),
        ("msb", {2, 9}),
        ("0", {0}),
        ("1..2", {1, 2}),
        ("8..20", {8, 9}),
    ],
)
def test_bits_are_chosen_by_name_or_range(bits: str, expected: set[int]) -> None:
    assert set(select_sites(GRAPH, bits=bits).bit.tolist()) == expected


def test_msb_is_each_tensors_own() -> None:
    chosen = select_sites(GRAPH, bits="msb")
    for position, (_, width) in enumerate(BITS.values()):
        assert set(chosen.bit[chosen.tensor == position].tolist()) == {width - 1}


@pytest.mark.parametrize("bits", ["", "msb..3", "3..1", "-1", "1.5", "lsb", "1..", "..2"])
def test_bits_that_cannot_be_read_are_refused(bits: str) -> None:
    with pytest.raises(UsageError, match="--bits"):
        select_sites(GRAPH, bits=bits)


def test_a_filter_that_leaves_nothing_is_refused_with_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"selects no stored bit.*fc1\.weight with bits 0\.\.2"):
        select_sites(GRAPH, tensors=["*.weight"], bits="5")


def test_an_unknown_tensor_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no stored tensor 'fc9\.\*'"):
        select_sites(GRAPH, tensors=["fc1.*", "fc9.*"])


def test_pruned_words_have_sites_unless_skipped() -> None:
    chosen = select_sites(GRAPH, skip_pruned=True)
    assert pruned_count(GRAPH, chosen) == 0
    assert len(chosen) == len(SITES) - pruned_count(GRAPH, SITES)
    zeros = sum(int((t.words == 0).sum()) * t.format.width_bits for t in GRAPH.tensors.values())
    assert pruned_count(GRAPH, SITES) == zeros > 0


@given(st.integers(1, 300), st.integers(0, 2**32))
def test_a_sample_never_repeats_and_keeps_campaign_order(count: int, seed: int) -> None:
    # PyLandscape draws with replacement: a bit drawn twice is flipped back.
    sample = sample_sites(SITES, count, np.random.default_rng(seed))
    assert len(sample) == min(count, len(SITES))
    assert np.all(np.diff(sample.number) > 0)


def test_a_sample_is_that_of_its_seed() -> None:
    one, two, other = (sample_sites(SITES, 20, np.random.default_rng(seed)).number.tolist() for seed in (1, 1, 2))
    assert one == two != other


def test_every_site_can_be_drawn() -> None:
    rng = np.random.default_rng(0)
    drawn = {int(number) for _ in range(300) for number in sample_sites(SITES, 10, rng).number}
    assert drawn == set(range(len(SITES)))


@pytest.mark.parametrize("count", [0, -1])
def test_a_sample_of_nothing_is_refused(count: int) -> None:
    with pytest.raises(UsageError, match=f"a sample of {count} faults"):
        sample_sites(SITES, count, np.random.default_rng(0))


@given(st.integers(0, len(SITES) - 1))
def test_a_site_is_read_back_from_its_text(row: int) -> None:
    assert parse_site(GRAPH, str(SITES.site(row))) == SITES.site(row)


@pytest.mark.parametrize(
    ("text", "site"),
    [
        ("fc1.weight:3,2:msb", Site(tensor="fc1.weight", index=11, bit=2)),
        ("fc1.weight:0,1:0", Site(tensor="fc1.weight", index=1, bit=0)),
        ("fc2.bias:1:msb", Site(tensor="fc2.bias", index=1, bit=9)),
    ],
)
def test_a_site_may_be_named_by_axes_and_msb(text: str, site: Site) -> None:
    assert parse_site(GRAPH, text) == site


@pytest.mark.parametrize(
    ("text", "error", "found"),
    [
        ("fc1.weight", UsageError, "TENSOR:INDEX:BIT"),
        ("fc1.weight:1:top", UsageError, "TENSOR:INDEX:BIT"),
        ("fc1.weight:-1:0", UsageError, "TENSOR:INDEX:BIT"),
        ("fc9.weight:0:0", UsageError, r"no stored tensor 'fc9\.weight'"),
        ("fc1.weight:12:0", UsageError, "index 12"),
        ("fc1.weight:4,0:0", UsageError, r"index \[4, 0\]"),
        ("fc1.weight:0,0,0:0", UsageError, r"index \[0, 0, 0\]"),
        ("fc1.weight:0:3", UsageError, "bit 3"),
    ],
)
def test_a_site_that_is_not_there_is_refused(text: str, error: type[Exception], found: str) -> None:
    with pytest.raises(error, match=found):
        parse_site(GRAPH, text)
