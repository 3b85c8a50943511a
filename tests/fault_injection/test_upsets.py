"""Multi-cell upsets against runs of their own, over every cluster of small networks."""

from __future__ import annotations

import numpy as np
import pytest
from support.fault_checks import require_fault_list, require_outcomes_of_brute_force
from support.fault_networks import goldens
from support.networks import Mlp

from fault_injection.golden import golden_run
from fault_injection.sites import all_sites
from fault_injection.upsets import PATTERNS, parse_pattern, upsets_of
from hls.errors import UsageError
from hls.graph import WordChange

GOLDENS = goldens(samples=5)
DENSE = Mlp(widths=(4, 3, 2), per_channel=True).graph()


QUICK = {("depthwise", "1x2"), ("wrapping", "2x1"), ("thresholds", "2x2"), ("bipolar", "1x3")}
CASES = [
    pytest.param(kind, pattern, marks=() if (kind, pattern) in QUICK else pytest.mark.slow)
    for kind in GOLDENS
    for pattern in PATTERNS
]


@pytest.mark.parametrize(("kind", "pattern"), CASES)
def test_every_cluster_does_what_a_run_of_its_own_does(kind: str, pattern: str) -> None:
    golden = GOLDENS[kind]
    require_outcomes_of_brute_force(golden, upsets_of(golden.graph, pattern=pattern, interleave=2))


@pytest.mark.parametrize("kind", ["tables", "shared"])
def test_every_cluster_of_six_cells_does_what_a_run_of_its_own_does(kind: str) -> None:
    golden = GOLDENS[kind]
    require_outcomes_of_brute_force(golden, upsets_of(golden.graph, pattern="2x3", interleave=2, words_per_row=4))


@pytest.mark.parametrize("interleave", [1, 3])
def test_a_campaign_can_number_cut_and_repeat_clusters(interleave: int) -> None:
    golden = golden_run(DENSE, DENSE.quantize_inputs(Mlp(widths=(4, 3, 2)).inputs(6)))
    require_fault_list(golden, upsets_of(DENSE, pattern="2x2", interleave=interleave))


def test_bits_side_by_side_are_in_one_word_and_interleaved_ones_in_two() -> None:
    together = upsets_of(DENSE, ["*.weight"], "1x2").columns(DENSE)
    apart = upsets_of(DENSE, ["*.weight"], "1x2", interleave=4).columns(DENSE)
    assert set(together["words_hit"].to_pylist()) == {1}
    assert set(apart["words_hit"].to_pylist()) == {2}


def test_several_bits_of_one_layer_are_all_flipped() -> None:
    # FKeras' first injector kept only the last of several bits of a layer.
    faults = upsets_of(DENSE, ["fc1.weight"], "2x2", interleave=2)
    for row in range(len(faults)):
        changes = faults.take(slice(row, row + 1)).changes(DENSE).of(DENSE, 0)
        assert len(changes) == faults.columns(DENSE)["words_hit"][row].as_py()
        golden, faulty = (graph.tensors["fc1.weight"].words.reshape(-1) for graph in (DENSE, DENSE.with_words(changes)))
        hit = [(index, bit) for index, bit in zip(faults.index[row], faults.bit[row], strict=True)]
        found = [
            (index, bit)
            for index in range(len(golden))
            for bit in range(DENSE.tensors["fc1.weight"].format.width_bits)
            if (int(golden[index]) ^ int(faulty[index])) >> bit & 1
        ]
        assert sorted(hit) == found
        assert len(found) == 4


def test_a_cluster_has_the_number_of_its_first_site() -> None:
    faults = upsets_of(DENSE, ["fc2.*"], "1x2")
    sites = all_sites(DENSE)
    for row in range(len(faults)):
        assert str(sites.site(int(faults.number[row]))) in faults.text(row).split("+")[0]


def test_words_of_the_anchor_are_those_of_the_table() -> None:
    graph = DENSE.with_words([WordChange(tensor="fc1.weight", index=0, word=7)])
    table = upsets_of(graph, ["fc1.weight"], "1x2").columns(graph)
    assert table["sites"][0].as_py() == "fc1.weight:0:0+0:1"
    assert (table["golden_word"][0].as_py(), table["faulty_word"][0].as_py()) == (7, 4)
    assert table["pattern"][0].as_py() == "1x2"


@pytest.mark.parametrize("text", ["2", "1x1", "x2", "0x2", "9x9", "2 x 2", "axb"])
def test_a_pattern_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--pattern"):
        parse_pattern(text)


def test_a_pattern_larger_than_every_memory_is_refused() -> None:
    with pytest.raises(UsageError, match="no place for 8x8"):
        upsets_of(DENSE, ["fc2.bias"], "8x8")


def test_groups_hold_clusters_of_one_channel() -> None:
    faults = upsets_of(DENSE, ["*.weight"], "2x1")
    for rows in faults.groups(DENSE):
        assert len(np.unique(faults.anchors.tensor[rows])) == 1
