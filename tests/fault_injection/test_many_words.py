"""Faults of several words against runs of their own, wherever the words lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fault_checks import outputs_of
from support.fault_networks import goldens
from support.networks import Mlp

import fault_injection.downstream
from fault_injection.golden import Golden, flat, golden_run
from fault_injection.many_words import WordChanges, flipped_bits, propagate_words
from fault_injection.propagate import propagate
from fault_injection.sites import SiteTable, all_sites
from hls.engine import ExactEngine
from hls.errors import UsageError

MIXED = Mlp(widths=(4, 3, 2), per_channel=True, seed=1)
GOLDENS = goldens(samples=5)
GOLDENS["dense"] = golden_run(MIXED.graph(), MIXED.graph().quantize_inputs(MIXED.inputs(9)))


def changes_of(golden: Golden, faults: list[np.ndarray]) -> WordChanges:
    """Faults given as rows of the site table."""
    sites = all_sites(golden.graph)
    fault = np.repeat(np.arange(len(faults)), [len(rows) for rows in faults])
    chosen = sites.take(np.concatenate(faults))
    return flipped_bits(golden.graph, fault, (chosen.tensor, chosen.index, chosen.bit), len(faults))


def random_faults(sites: SiteTable, seed: int, count: int = 8) -> list[np.ndarray]:
    """Sets of 1 to 40 distinct bits anywhere, and as many of one tensor each."""
    rng = np.random.default_rng(seed)
    anywhere = [rng.choice(len(sites), min(len(sites), size), replace=False) for size in rng.integers(1, 40, count)]
    inside = []
    for size in rng.integers(2, 12, count):
        rows = np.flatnonzero(sites.tensor == rng.integers(len(sites.tensors)))
        inside.append(rng.choice(rows, min(len(rows), size), replace=False))
    return anywhere + inside


def require_brute_force(golden: Golden, changes: WordChanges) -> None:
    changed = propagate_words(golden, changes)
    engine = ExactEngine(golden.graph)
    for fault in range(changes.faults):
        expected = flat(engine.with_words(changes.of(golden.graph, fault)).run(golden.inputs).output)
        assert np.array_equal(outputs_of(golden, changed, fault), expected), fault
    assert (changed.output != golden.output[changed.sample]).any(axis=1).all()
    assert np.all(np.diff(changed.fault * golden.samples + changed.sample) > 0)


@pytest.mark.parametrize("kind", list(GOLDENS))
def test_any_set_of_bits_does_what_a_run_of_its_own_does(kind: str) -> None:
    golden = GOLDENS[kind]
    require_brute_force(golden, changes_of(golden, random_faults(all_sites(golden.graph), 0)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(GOLDENS))
def test_many_sets_of_bits_do_what_runs_of_their_own_do(kind: str) -> None:
    golden = GOLDENS[kind]
    require_brute_force(golden, changes_of(golden, random_faults(all_sites(golden.graph), 2, 100)))


@pytest.mark.parametrize("kind", ["thresholds", "saturating", "dense"])
def test_a_set_of_one_bit_is_that_bit(kind: str) -> None:
    golden = GOLDENS[kind]
    sites = all_sites(golden.graph)
    changes = changes_of(golden, [np.array([row]) for row in range(len(sites))])
    one, many = propagate(golden, sites, changes.before, changes.after), propagate_words(golden, changes)
    for field in ("fault", "sample", "output"):
        assert np.array_equal(getattr(one, field), getattr(many, field)), field


@pytest.mark.parametrize("words", [1, 17])
@pytest.mark.parametrize("kind", ["residual", "saturating"])
def test_blocks_of_any_size_give_the_same(kind: str, words: int, monkeypatch: pytest.MonkeyPatch) -> None:
    golden = GOLDENS[kind]
    changes = changes_of(golden, random_faults(all_sites(golden.graph), 1, 4))
    whole = propagate_words(golden, changes)
    monkeypatch.setattr(fault_injection.downstream, "BLOCK_WORDS", words)
    part = propagate_words(golden, changes)
    for field in ("fault", "sample", "output"):
        assert np.array_equal(getattr(part, field), getattr(whole, field)), field


@given(st.data())
@settings(deadline=None, max_examples=20)
def test_several_bits_of_one_word_flip_that_word_at_once(data: st.DataObject) -> None:
    golden = GOLDENS["dense"]
    sites = all_sites(golden.graph)
    row = data.draw(st.integers(0, len(sites) - 1))
    same = np.flatnonzero((sites.tensor == sites.tensor[row]) & (sites.index == sites.index[row]))
    rows = np.array(data.draw(st.lists(st.sampled_from(same.tolist()), min_size=1, unique=True)))
    changes = changes_of(golden, [rows])
    assert len(changes.fault) == 1
    tensor = list(golden.graph.tensors.values())[changes.tensor[0]]
    word = changes.before
    for bit in sites.bit[rows]:
        word = tensor.format.flip(word, int(bit))
    assert np.array_equal(changes.after, word)
    assert tensor.format.contains(changes.after)


def test_the_same_bit_twice_in_one_fault_is_refused() -> None:
    # PyLandscape draws bits with replacement, TensorFI2 may: a bit flipped twice is no fault at all.
    golden = GOLDENS["dense"]
    with pytest.raises(UsageError, match=r"fc1\.weight:0:2 twice in fault 1"):
        changes_of(golden, [np.array([2, 3]), np.array([2, 7, 2])])


def test_faults_that_change_nothing_change_nothing() -> None:
    golden = GOLDENS["plain"]
    changes = changes_of(golden, [np.array([], np.int64), np.array([], np.int64)])
    assert changes.faults == 2
    assert len(propagate_words(golden, changes).fault) == 0


def test_the_comparison_can_fail() -> None:
    golden = GOLDENS["residual"]
    words = {**golden.words, "conv1": golden.words["conv1"] + 9}
    wrong = Golden(graph=golden.graph, inputs=golden.inputs, words=words)
    with pytest.raises(AssertionError):
        require_brute_force(wrong, changes_of(golden, random_faults(all_sites(golden.graph), 0)))
