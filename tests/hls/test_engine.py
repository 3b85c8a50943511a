from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.graphs import Net, signed, unsigned
from support.networks import Mlp
from support.reference import naive_output, naive_words

import hls.engine
from hls.engine import ExactEngine, arithmetic_of, before_clipping, sum_interval, sums
from hls.errors import FormatError, InputError
from hls.formats import WordFormat
from hls.graph import IntegerGraph, WordChange
from hls.nodes import MatMul, Requantize, Shift


def one_layer(inputs: int, weight_bits: int, input_bits: int, *, word: int | None = None) -> IntegerGraph:
    """x → quantize → fc1, every weight the same word, no bias."""
    net, weights = Net((inputs,), unsigned(input_bits)), signed(weight_bits)
    accumulator = WordFormat(width_bits=62, encoding="twos_complement", overflow="wrap")
    net.matmul("q", 1, weights, accumulator=accumulator, words=weights.maximum if word is None else word)
    return net.graph()


def matmul_of(graph: IntegerGraph) -> MatMul:
    node = next(node for node in graph.nodes if isinstance(node, MatMul))
    assert isinstance(node, MatMul)
    return node


def with_arithmetic(monkeypatch: pytest.MonkeyPatch, arithmetic: str) -> None:
    monkeypatch.setattr(hls.engine, "arithmetic_of", lambda graph, node: arithmetic)


RECIPES = st.builds(
    Mlp,
    widths=st.sampled_from([(4, 3, 2), (3, 2), (2, 4, 3, 2)]),
    weight_bits=st.integers(2, 6),
    activation_bits=st.integers(2, 6),
    input_bits=st.integers(2, 8),
    input_signed=st.booleans(),
    per_channel=st.booleans(),
    po2=st.booleans(),
    relu=st.booleans(),
    signed_activation=st.booleans(),
    narrow_activation=st.booleans(),
    relu_last=st.booleans(),
    output_quant=st.booleans(),
    gemm=st.booleans(),
    bias=st.sampled_from([False]),
    seed=st.integers(0, 1000),
)


@given(RECIPES)
@settings(deadline=None, max_examples=40)
def test_every_value_is_what_naive_integer_arithmetic_gives(recipe: Mlp) -> None:
    graph = recipe.graph()
    words = graph.quantize_inputs(recipe.inputs(8))
    taps = [node.output for node in graph.compute_nodes]
    execution, expected = ExactEngine(graph).run(words, taps), naive_words(graph, words)
    for tap in taps:
        assert np.array_equal(execution.taps[tap], expected[tap]), tap


@pytest.mark.parametrize("arithmetic", ["float32", "float64", "int64"])
def test_all_arithmetics_agree_below_the_guard(monkeypatch: pytest.MonkeyPatch, arithmetic: str) -> None:
    recipe = Mlp(per_channel=True)
    graph = recipe.graph()
    words = graph.quantize_inputs(recipe.inputs(50))
    assert all(arithmetic_of(graph, node) == "float32" for node in graph.nodes if isinstance(node, MatMul))
    with_arithmetic(monkeypatch, arithmetic)
    assert np.array_equal(ExactEngine(graph).run(words).output, naive_output(graph, words))


@pytest.mark.parametrize(
    ("inputs", "weight_bits", "input_bits", "arithmetic"),
    # Bound: inputs × 2**(weight_bits − 1) × (2**input_bits − 1), below 2**24 and 2**53 or not.
    [
        (1, 16, 9, "float32"), (2, 16, 9, "float64"), (256, 9, 8, "float32"), (258, 9, 8, "float64"),
        (1, 30, 24, "float64"), (2, 30, 23, "float64"), (2, 30, 24, "int64"), (8, 30, 28, "int64"),
    ],
)  # fmt: skip
def test_the_arithmetic_follows_from_the_bound(inputs: int, weight_bits: int, input_bits: int, arithmetic: str) -> None:
    graph = one_layer(inputs, weight_bits, input_bits)
    assert arithmetic_of(graph, matmul_of(graph)) == arithmetic


@pytest.mark.parametrize(
    ("arithmetic", "weight_bits", "input_bits"), [("float32", 14, 13), ("float64", 30, 26)]
)  # fmt: skip
def test_the_guard_is_needed(
    monkeypatch: pytest.MonkeyPatch, arithmetic: str, weight_bits: int, input_bits: int
) -> None:
    graph = one_layer(9, weight_bits, input_bits)
    words = np.full((1, 9), graph.quantizer.format.maximum)
    right = naive_output(graph, words)
    assert np.array_equal(ExactEngine(graph).run(words).output, right)
    with_arithmetic(monkeypatch, arithmetic)
    assert not np.array_equal(ExactEngine(graph).run(words).output, right)


def test_the_guard_covers_every_faulty_word() -> None:
    # Zero weights would fit any BLAS; their sign bits flipped do not.
    graph = one_layer(8, 30, 28, word=0)
    assert arithmetic_of(graph, matmul_of(graph)) == "int64"
    faulty = graph.with_words([WordChange(tensor="fc1.weight", index=i, word=-(2**29)) for i in range(8)])
    words = np.full((1, 8), 2**28 - 1)
    assert ExactEngine(faulty).run(words).output.tolist() == [[-8 * 2**29 * (2**28 - 1)]]


def narrowed(graph: IntegerGraph, width_bits: int) -> IntegerGraph:
    accumulator = WordFormat(width_bits=width_bits, encoding="twos_complement", overflow="wrap")
    node = matmul_of(graph)
    changed = msgspec.structs.replace(node, accumulator=accumulator)
    return replace(graph, nodes=tuple(changed if item is node else item for item in graph.nodes))


def test_a_narrow_accumulator_keeps_the_low_bits() -> None:
    graph = narrowed(one_layer(4, 4, 4), 6)
    words = np.full((1, 4), 15)  # 4 × 7 × 15 = 420 = 6 × 64 + 36, which reads −28 in six bits
    assert ExactEngine(graph).run(words).output.tolist() == [[-28]]
    assert sums(graph, matmul_of(graph), (words,)).tolist() == [[420]]


@given(st.integers(2, 12))
@settings(deadline=None)
def test_a_narrow_accumulator_wraps_as_naive_arithmetic_does(width_bits: int) -> None:
    recipe = Mlp(widths=(4, 3, 2))
    graph = narrowed(recipe.graph(), width_bits)
    words = graph.quantize_inputs(recipe.inputs(10))
    assert np.array_equal(ExactEngine(graph).run(words).output, naive_output(graph, words))


def test_the_accumulator_of_lowering_holds_every_sum() -> None:
    graph = Mlp(per_channel=True).graph()
    for node in graph.nodes:
        if isinstance(node, MatMul):
            assert sum_interval(graph, node).within(node.accumulator)


def test_more_than_one_block_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Mlp()
    graph = recipe.graph()
    words = graph.quantize_inputs(recipe.inputs(25))
    whole = ExactEngine(graph).run(words, ["act1"])
    monkeypatch.setattr(hls.engine, "BLOCK_SAMPLES", 7)
    parts = ExactEngine(graph).run(words, ["act1"])
    assert np.array_equal(parts.output, whole.output)
    assert np.array_equal(parts.taps["act1"], whole.taps["act1"])


def test_an_input_word_outside_its_format_is_refused() -> None:
    words = np.zeros((2, 8), np.int64)
    words[1, 3] = 32
    with pytest.raises(FormatError, match=r"input words\[1, 3\]: found word 32; allowed: 0 to 31"):
        ExactEngine(Mlp().graph()).run(words)


def test_an_unknown_tap_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="tap 'nothing'; allowed: fc1, act1, fc2, act2, fc3"):
        ExactEngine(Mlp().graph()).run(np.zeros((1, 8), np.int64), ["nothing"])


def test_changed_words_change_a_copy_only() -> None:
    recipe = Mlp()
    engine = ExactEngine(recipe.graph())
    words = engine.graph.quantize_inputs(recipe.inputs(20))
    before = engine.run(words).output
    after = engine.with_words([WordChange(tensor="fc3.bias", index=0, word=-500)]).run(words).output
    assert not np.array_equal(after, before)
    assert np.array_equal(engine.run(words).output, before)


def test_words_before_clipping_are_those_of_clipping_nodes_only() -> None:
    graph = Mlp().graph()
    words = np.array([[-100, 1000, 16]])
    shift = next(node for node in graph.nodes if isinstance(node, Shift))
    free = before_clipping(graph, shift, words)
    assert free is not None
    assert free.tolist() == [[round(word / 2**shift.shift) for word in (-100, 1000, 16)]]
    assert before_clipping(graph, matmul_of(graph), words) is None


def test_words_before_the_clipping_of_a_requantize_are_scaled_only() -> None:
    graph = Mlp(po2=False, bias=False, per_channel=True).graph()
    node = next(node for node in graph.nodes if isinstance(node, Requantize))
    words = np.arange(6)[None] * 100
    free = before_clipping(graph, node, words)
    assert free is not None
    scaled = [w * m / 2**s for w, m, s in zip(words[0].tolist(), node.multipliers, node.shifts, strict=True)]
    assert free[0].tolist() == [round(value) for value in scaled]
