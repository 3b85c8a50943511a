from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.graphs import BIPOLAR, Net, signed, stored, unsigned

from hls.formats import WordFormat
from hls.graph import StoredTensor
from hls.intervals import (
    Interval,
    accumulator_interval,
    add_interval,
    exact_arithmetic,
    largest_intermediate,
    partial_sum_bound,
    pool_interval,
    products_per_output,
    sum_interval,
)

ENCODINGS = st.sampled_from(["twos_complement", "unsigned"])


def tensor(shape: tuple[int, ...], width_bits: int, widen: object = 0) -> StoredTensor:
    return StoredTensor(
        name="t",
        words=np.zeros(shape, np.int64),
        format=WordFormat(width_bits=width_bits, encoding="twos_complement"),
        scale=np.asarray(1.0),
        widen=np.asarray(widen),
    )


@st.composite
def layers(draw: st.DrawFn) -> tuple[StoredTensor, StoredTensor | None, WordFormat]:
    inputs, outputs = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    widen = draw(st.lists(st.integers(0, 3), min_size=outputs, max_size=outputs))
    weight = tensor((inputs, outputs), draw(st.integers(2, 4)), widen)
    bias = tensor((outputs,), draw(st.integers(2, 6))) if draw(st.booleans()) else None
    return weight, bias, WordFormat(width_bits=draw(st.integers(2, 4)), encoding=draw(ENCODINGS))


def extremes(weight: StoredTensor, bias: StoredTensor | None, inputs: WordFormat) -> tuple[int, int]:
    """Smallest and largest sum by brute force over every corner of every word, channel by channel."""
    sums = []
    widen = np.broadcast_to(weight.widen, weight.words.shape[1]).tolist()
    for shift in widen:
        products = [
            (w << shift) * x
            for w in (weight.format.minimum, weight.format.maximum)
            for x in (inputs.minimum, inputs.maximum)
        ]
        offsets = [0] if bias is None else [bias.format.minimum, bias.format.maximum]
        count = weight.words.shape[0]
        sums += [count * min(products) + min(offsets), count * max(products) + max(offsets)]
    return min(sums), max(sums)


@given(layers())
def test_the_interval_is_that_of_the_extreme_words(layer: tuple[StoredTensor, StoredTensor | None, WordFormat]) -> None:
    found = accumulator_interval(*layer)
    assert (found.minimum, found.maximum) == extremes(*layer)


@given(layers())
def test_the_partial_sum_bound_covers_the_interval(
    layer: tuple[StoredTensor, StoredTensor | None, WordFormat],
) -> None:
    assert partial_sum_bound(*layer) >= accumulator_interval(*layer).magnitude


def test_the_most_negative_word_counts_although_the_quantizer_avoids_it() -> None:
    narrow = WordFormat(width_bits=4, encoding="twos_complement", narrow=True)
    weight = StoredTensor(
        name="t", words=np.zeros((1, 1), np.int64), format=narrow, scale=np.asarray(1.0), widen=np.asarray(0)
    )
    assert accumulator_interval(weight, None, WordFormat(width_bits=1, encoding="unsigned")).minimum == -8


def test_trained_words_do_not_count() -> None:
    zero, full = tensor((2, 1), 4), tensor((2, 1), 4)
    full = StoredTensor(name="t", words=full.words + 7, format=full.format, scale=full.scale, widen=full.widen)
    inputs = WordFormat(width_bits=3, encoding="unsigned")
    assert accumulator_interval(zero, None, inputs) == accumulator_interval(full, None, inputs)


def test_a_sum_beyond_int64_is_counted_and_not_wrapped() -> None:
    weight, inputs = tensor((64, 1), 31), WordFormat(width_bits=31, encoding="twos_complement")
    found = accumulator_interval(weight, None, inputs)
    assert found.maximum == 64 * 2**60
    assert partial_sum_bound(weight, None, inputs) == 64 * 2**60


def test_an_interval_is_within_a_format_that_holds_both_ends() -> None:
    word_format = WordFormat(width_bits=4, encoding="twos_complement")
    assert Interval(minimum=-8, maximum=7).within(word_format)
    assert not Interval(minimum=-9, maximum=7).within(word_format)
    assert not Interval(minimum=-8, maximum=8).within(word_format)


@pytest.mark.parametrize(
    ("shape", "axis", "products"),
    [((5, 3), -1, 5), ((3, 5, 2, 2), 0, 20), ((6, 1, 3, 3), 0, 9), ((4, 2, 3), 0, 6), ((2, 7, 1, 1), 0, 7)],
)
def test_each_output_of_a_layer_has_its_products(shape: tuple[int, ...], axis: int, products: int) -> None:
    weight = stored(np.ones(shape), signed(4), channel_axis=axis)
    assert products_per_output(weight) == products
    found = accumulator_interval(weight, None, unsigned(3))
    assert (found.minimum, found.maximum) == (products * -8 * 7, products * 7 * 7)


def test_a_zero_point_moves_the_interval_channel_by_channel() -> None:
    weight = stored(np.zeros((2, 3, 1)), unsigned(2), widen=[0, 2], zero_point=[1, 3], channel_axis=0)
    found = accumulator_interval(weight, None, unsigned(1))  # executor words -1 to 2 and (-3 to 0) × 4
    assert (found.minimum, found.maximum) == (3 * -12, 3 * 2)
    assert partial_sum_bound(weight, None, unsigned(1)) == 36


def test_bipolar_words_are_minus_one_or_one() -> None:
    weight = stored(np.ones((9, 2)), BIPOLAR)
    found = accumulator_interval(weight, None, BIPOLAR)
    assert (found.minimum, found.maximum) == (-9, 9)


@given(
    st.lists(st.tuples(st.sampled_from([signed(3), unsigned(2), BIPOLAR]), st.integers(-4, 4)), min_size=1, max_size=3)
)
def test_added_branches_reach_their_extreme_words(parts: list[tuple[WordFormat, int]]) -> None:
    formats, multipliers = zip(*parts, strict=True)
    totals = [
        sum(word * multiplier for word, multiplier in zip(words, multipliers, strict=True))
        for words in itertools.product(*((item.minimum, item.maximum) for item in formats))
    ]
    assert add_interval(formats, multipliers) == Interval(minimum=min(totals), maximum=max(totals))


def test_a_pool_adds_as_many_words_as_its_window_has() -> None:
    assert pool_interval(signed(4), 6) == Interval(minimum=-48, maximum=42)


def test_every_summing_node_has_its_interval() -> None:
    net = Net((4, 4, 2), unsigned(2))
    convolved = net.conv("q", 2, (3, 3), signed(3), signed(4), pads=(1, 1, 1, 1), groups=2)
    pooled = net.sum_pool("q", (2, 2))
    net.matmul(net.resize(pooled, (2, 2, 1)), 1, signed(2))
    net.add([convolved, "q"], [2, -1])
    graph = net.graph()
    found = {
        type(node).__name__: (sum_interval(graph, node).minimum, sum_interval(graph, node).maximum)
        for node in graph.compute_nodes
        if type(node).__name__ != "Resize"
    }
    low, high = 9 * -4 * 3 - 8, 9 * 3 * 3 + 7
    wide = (graph.values[convolved].format.minimum, graph.values[convolved].format.maximum)
    assert found == {
        "Conv": (low, high), "SumPool": (0, 12), "MatMul": (2 * -2 * 15, 2 * -2 * -16),
        "Add": (2 * wide[0] - 3, 2 * wide[1]),
    }  # fmt: skip


def test_a_node_without_an_accumulator_has_no_interval() -> None:
    net = Net((2,), unsigned(2))
    net.shift("q", 1)
    graph = net.graph()
    with pytest.raises(TypeError, match="Shift has no accumulator"):
        sum_interval(graph, graph.nodes[-1])


def test_what_a_requantizer_multiplies_counts_before_it_is_shifted_away() -> None:
    net = Net((2, 2), signed(4))
    net.requantize("q", [3, -100], [5, -7], [1, 9])
    net.shift("q", -6, signed(20))
    requantize, shift = (graph := net.graph()).compute_nodes
    assert largest_intermediate(graph, requantize) == 100 * 8 + 7
    assert largest_intermediate(graph, shift) == 8 * 64


@pytest.mark.parametrize(
    ("bound", "arithmetic"),
    [(0, "float32"), (2**24 - 1, "float32"), (2**24, "float64"), (2**53 - 1, "float64"), (2**53, "int64")],
)
def test_the_arithmetic_is_the_cheapest_that_is_exact(bound: int, arithmetic: str) -> None:
    assert exact_arithmetic(bound) == arithmetic
