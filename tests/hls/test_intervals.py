from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hls.formats import WordFormat
from hls.graph import StoredTensor
from hls.intervals import Interval, accumulator_interval, partial_sum_bound

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
