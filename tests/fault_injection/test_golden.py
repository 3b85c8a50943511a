from __future__ import annotations

import numpy as np
import pytest
from support.campaigns import golden_of
from support.networks import Mlp
from support.reference import naive_words

import hls.engine


@pytest.mark.parametrize(
    "recipe", [Mlp(widths=(4, 3, 2)), Mlp(widths=(4, 3, 2), input_shape=(2, 2), output_quant=True)], ids=str
)
def test_every_value_is_kept(recipe: Mlp) -> None:
    golden = golden_of(recipe)
    expected = naive_words(golden.graph, golden.inputs)
    assert set(golden.words) == set(expected)
    assert all(np.array_equal(golden.words[name], expected[name]) for name in expected)


def test_the_output_is_the_networks() -> None:
    golden = golden_of(Mlp(widths=(4, 3, 2)), samples=5)
    assert golden.output.shape == (5, 2)
    assert golden.samples == 5


def test_more_than_one_batch_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    # FKeras toggles its fault batch by batch; here nothing depends on where a batch ends.
    whole = golden_of(Mlp(widths=(4, 3, 2)), samples=20)
    monkeypatch.setattr(hls.engine, "BLOCK_SAMPLES", 3)
    parts = golden_of(Mlp(widths=(4, 3, 2)), samples=20)
    assert all(np.array_equal(parts.words[name], whole.words[name]) for name in whole.words)
