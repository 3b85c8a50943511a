"""The networks of the campaign benchmark are what they claim to be, and its plain torch loop injects stored words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import peer_injectors
import peer_tools
import pytest
import torch
from campaign_networks import Layer, Shape, Subject, random_subject, subject
from campaign_training import synthetic, trained_subject

from fault_injection.fault_list import StoredBits
from fault_injection.golden import golden_run
from fault_injection.sites import all_sites
from hls.engine import ExactEngine

SHAPE = Shape(name="small", widths=(12, 9, 7, 3), bits=5, zero_share=0.6, data=synthetic)
SAMPLES = 200


@pytest.fixture
def small() -> Subject:
    return random_subject(SHAPE, SAMPLES, seed=3)


def by_hand(one: Subject) -> np.ndarray:
    """Output words in Python integers: sums, ReLU, ties to even, clip."""
    rows = []
    for sample in one.inputs.tolist():
        words = sample
        for position, layer in enumerate(one.layers):
            columns = zip(layer.weight.T.tolist(), layer.bias.tolist(), strict=True)
            sums = [sum(w * x for w, x in zip(weights, words, strict=True)) + bias for weights, bias in columns]
            last = position == len(one.layers) - 1
            words = sums if last else [min(2**one.shape.bits - 1, max(0, round(s / 2**layer.shift))) for s in sums]
        rows.append(words)
    return np.array(rows)


def test_the_exact_engine_runs_the_network_that_was_built(small: Subject) -> None:
    assert np.array_equal(ExactEngine(small.graph).run(small.inputs).output, by_hand(small))


def test_a_random_network_has_the_shape_that_was_asked_for(small: Subject) -> None:
    assert {name: t.format.width_bits for name, t in small.graph.tensors.items() if "weight" in name} == {
        f"fc{position}.weight": 5 for position in (1, 2, 3)
    }
    assert (small.inputs == 0).mean() == pytest.approx(0.6 + 0.4 / 32, abs=0.05)
    assert all((layer.bias != 0).any() for layer in small.layers)
    assert SHAPE.products == 12 * 9 + 9 * 7 + 7 * 3


def test_activations_and_decisions_of_a_random_network_spread(small: Subject) -> None:
    golden = golden_run(small.graph, small.inputs)
    for node in small.graph.compute_nodes[1:-1:2]:
        assert len(np.unique(golden.words[node.output])) > 16
    assert len(np.unique(golden.output.argmax(axis=1))) == 3


def test_the_plain_torch_loop_injects_the_stored_word_and_puts_it_back(small: Subject, tmp_path: Path) -> None:
    golden = golden_run(small.graph, small.inputs)
    bits = StoredBits(sites=all_sites(small.graph), model="flip")
    columns = bits.columns(small.graph)
    weights = [0, 4, 250, 529]  # lowest and top bit of the first word, and others of the first 540 bits
    assert {columns["tensor"][row].as_py() for row in weights} == {"fc1.weight"}
    peer_tools._write_network(small, tmp_path / "network.npz")
    model, inputs = peer_injectors.load(str(tmp_path / "network.npz"))
    faults = {
        "layer": [0] * len(weights),
        "input": [columns["index"][row].as_py() // 9 for row in weights],
        "output": [columns["index"][row].as_py() % 9 for row in weights],
        "word": [columns["faulty_word"][row].as_py() for row in weights],
    }
    inject = peer_injectors.plain(model, inputs, faults)
    with torch.no_grad():
        for number, row in enumerate(weights):
            expected = bits.faulty_output(ExactEngine(small.graph), golden, row)
            assert np.array_equal(inject(number).numpy(), expected)
            assert np.array_equal(model(inputs).numpy(), golden.output)


def test_sums_that_float32_cannot_hold_are_refused_for_the_peers(tmp_path: Path) -> None:
    wide = Shape(name="wide", widths=(1100, 2), bits=8, data=synthetic)
    layer = Layer(weight=np.full((1100, 2), 127), bias=np.ones(2, np.int64), shift=0)
    one = subject(wide, (layer,), np.full((4, 1100), 255), np.zeros(4, np.int64), "as large as can be")
    with pytest.raises(SystemExit, match="not exact in the peers' float32"):
        peer_tools._write_network(one, tmp_path / "network.npz")


@pytest.mark.slow
def test_a_trained_network_has_learnt_something_in_integers() -> None:
    shape = Shape(name="trained", widths=(16, 16, 12, 4), bits=6, signed_inputs=True, data=synthetic)
    one = trained_subject(shape, 500, seed=1)
    output = ExactEngine(one.graph).run(one.inputs).output
    assert np.array_equal(output[:50], by_hand(one)[:50])
    assert (output.argmax(axis=1) == one.labels).mean() > 0.6
    assert all(np.abs(layer.weight).max() <= 31 for layer in one.layers)
