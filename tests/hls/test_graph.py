from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.networks import Mlp

from hls.errors import FormatError, InputError, UsageError
from hls.formats import WordFormat
from hls.graph import StoredTensor, WordChange

GRAPH = Mlp(widths=(4, 3, 2)).graph()
FLOORING = Mlp(widths=(4, 3, 2), rounding="FLOOR").graph()


def tensor(words: list[int], *, width_bits: int = 4, widen: object = 0) -> StoredTensor:
    return StoredTensor(
        name="fc1.weight",
        words=np.array(words),
        format=WordFormat(width_bits=width_bits, encoding="twos_complement"),
        scale=np.asarray(0.5),
        widen=np.asarray(widen),
    )


def test_stored_words_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        GRAPH.tensors["fc1.weight"].words[0, 0] = 1


def test_tensors_cannot_be_added() -> None:
    with pytest.raises(TypeError):
        GRAPH.tensors["new"] = GRAPH.tensors["fc1.weight"]


def test_a_stored_word_its_format_cannot_hold_is_refused() -> None:
    with pytest.raises(FormatError, match=r"fc1\.weight\[1\]: found word 8"):
        tensor([7, 8])


def test_widening_beyond_the_carrier_is_refused() -> None:
    with pytest.raises(InputError, match="8-bit words widened by 55 bits"):
        tensor([1], width_bits=8, widen=[0, 55])


def test_executor_words_are_stored_words_moved_to_the_common_scale() -> None:
    widened = tensor([[3, -2], [1, -8]], widen=[0, 2])
    assert widened.executor_words().tolist() == [[3, -8], [1, -32]]
    assert widened.executor_minimum.tolist() == [-8, -32]
    assert widened.executor_maximum.tolist() == [7, 28]


def test_a_zero_point_is_taken_off_before_words_are_widened() -> None:
    shifted = replace(tensor([[3, -2], [1, -8]], widen=[0, 2]), zero_point=np.asarray([1, -1]))
    assert shifted.executor_words().tolist() == [[2, -4], [0, -28]]
    assert shifted.executor_minimum.tolist() == [-9, -28]
    assert shifted.executor_maximum.tolist() == [6, 32]


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_channels_lie_on_the_axis_that_is_named(axis: int) -> None:
    words = np.arange(8).reshape(2, 2, 2) - 4
    widened = replace(
        tensor([0]), words=words, widen=np.asarray([0, 3]), zero_point=np.asarray([1, 2]), channel_axis=axis
    )
    expected = np.empty_like(words)
    for place in np.ndindex(2, 2, 2):
        expected[place] = (words[place] - [1, 2][place[axis]]) * [1, 8][place[axis]]
    assert np.array_equal(widened.executor_words(), expected)
    flat = words.reshape(-1)
    assert [widened.executor_word(i, int(word)) for i, word in enumerate(flat)] == expected.reshape(-1).tolist()


@pytest.mark.parametrize("field", ["words", "scale", "widen", "name", "format", "zero_point", "channel_axis"])
def test_tensors_that_differ_in_anything_are_not_equal(field: str) -> None:
    other = {
        "words": np.array([1, 3]), "scale": np.asarray(0.25), "widen": np.asarray(1), "name": "b",
        "format": WordFormat(width_bits=5, encoding="twos_complement"), "zero_point": np.asarray(1), "channel_axis": 0,
    }  # fmt: skip
    assert tensor([1, 2]) == tensor([1, 2])
    assert tensor([1, 2]) != replace(tensor([1, 2]), **{field: other[field]})


def test_a_changed_word_is_the_only_difference() -> None:
    index = 5
    changed = GRAPH.with_words([WordChange(tensor="fc1.weight", index=index, word=-8)])
    before, after = GRAPH.tensors["fc1.weight"], changed.tensors["fc1.weight"]
    assert np.flatnonzero(before.words.reshape(-1) != after.words.reshape(-1)).tolist() == [index]
    assert after.words.reshape(-1)[index] == -8
    assert replace(after, words=before.words) == before
    assert all(changed.tensors[name] == GRAPH.tensors[name] for name in GRAPH.tensors if name != "fc1.weight")
    assert changed.values == GRAPH.values


def test_several_changes_of_one_tensor_all_arrive() -> None:
    changes = [WordChange(tensor="fc1.weight", index=i, word=w) for i, w in ((0, 7), (1, -7), (11, 3))]
    words = GRAPH.with_words(changes).tensors["fc1.weight"].words.reshape(-1)
    assert (words[0], words[1], words[11]) == (7, -7, 3)


@pytest.mark.parametrize("index", [-1, 12])
def test_an_index_outside_the_tensor_is_refused(index: int) -> None:
    with pytest.raises(UsageError, match=rf"fc1\.weight: found index {index}; allowed: 0 to 11"):
        GRAPH.with_words([WordChange(tensor="fc1.weight", index=index, word=0)])


def test_an_unknown_tensor_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no stored tensor 'fc9\.weight'; allowed: fc1\.weight"):
        GRAPH.with_words([WordChange(tensor="fc9.weight", index=0, word=0)])


def test_a_changed_word_outside_its_format_is_refused() -> None:
    with pytest.raises(FormatError, match="word 8"):
        GRAPH.with_words([WordChange(tensor="fc1.weight", index=0, word=8)])


@given(st.floats(-1e6, 1e6))
def test_the_input_quantizer_gives_legal_words(value: float) -> None:
    words = GRAPH.quantize_inputs(np.full((1, 4), value))
    assert GRAPH.quantizer.format.contains(words)


@pytest.mark.parametrize(("value", "word"), [(0.0625, 0), (0.1875, 2), (0.3125, 2), (-5.0, 0), (1e9, 31)])
def test_inputs_round_to_even_and_saturate(value: float, word: int) -> None:
    assert GRAPH.quantize_inputs(np.full((1, 4), value))[0, 0] == word


def test_a_flooring_input_quantizer_floors() -> None:
    assert FLOORING.quantize_inputs(np.full((1, 4), 0.249))[0, 0] == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_input_that_is_no_number_is_named(bad: float) -> None:
    values = np.zeros((3, 4))
    values[2, 1] = bad
    with pytest.raises(InputError, match=rf"inputs\[2, 1\]: found {bad}"):
        GRAPH.quantize_inputs(values)


def test_inputs_of_another_shape_are_refused() -> None:
    with pytest.raises(InputError, match=r"shape \[3, 5\]; allowed: \[samples, 4\]"):
        GRAPH.quantize_inputs(np.zeros((3, 5)))


def test_no_samples_are_refused() -> None:
    with pytest.raises(InputError, match="0 samples"):
        GRAPH.quantize_inputs(np.zeros((0, 4)))


def test_output_words_become_values_by_the_output_scale() -> None:
    words = np.array([[3, -4]])
    assert np.array_equal(GRAPH.output_values(words), words * float(GRAPH.output_scale))


def test_a_tensor_knows_its_layer() -> None:
    assert GRAPH.owner_of("fc2.bias").name == "fc2"
    with pytest.raises(UsageError, match="no stored tensor 'fc3"):
        GRAPH.owner_of("fc3.bias")
