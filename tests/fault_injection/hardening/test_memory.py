"""The hardened memory: which bits it has, and what its decoders read when one of them is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from support.graphs import BIPOLAR, signed, stored, unsigned

from fault_injection.hardening.codes import has_sign_and_magnitude, stored_bits, words_of, zeroed_words
from fault_injection.hardening.memory import PROTECTIONS, Protection, Storage, TensorMemory, TensorPlan, voters
from fault_injection.hardening.secded import check_bits

WORDS = np.array([-7, -1, 0, 3, 5, 7])


def plan_of(
    protection: Protection, *, storage: Storage = "native", triplicated: object = 0, words: int = len(WORDS)
) -> TensorPlan:
    return TensorPlan(
        tensor="t",
        storage=storage,
        protection=np.full(words, PROTECTIONS.index(protection)),
        triplicated=np.broadcast_to(np.asarray(triplicated, np.int64), (words,)).copy(),
    )


def memory_of(protection: Protection, **more: object) -> TensorMemory:
    return TensorMemory(stored(WORDS, signed(4)), plan_of(protection, **more))


def read(memory: TensorMemory, store: int) -> np.ndarray:
    """What is read under a flip of each bit of a store, words by bits."""
    bits = memory.bits()
    rows = np.flatnonzero(bits.store == store)
    return memory.read_with_fault(bits.take(rows)).reshape(len(memory.words), -1)


NATIVE = np.stack([signed(4).flip(WORDS, bit) for bit in range(4)], axis=1)


def test_an_unprotected_word_is_read_as_its_flip() -> None:
    memory = memory_of("none")
    assert memory.added_bits == 0
    assert np.array_equal(read(memory, 0), NATIVE)


def test_a_triplicated_bit_is_read_right_whichever_copy_is_hit() -> None:
    memory = memory_of("tmr", triplicated=0b1010)
    assert memory.added_bits == 2 * 2 * len(WORDS)
    assert voters((memory.plan,)) == 2 * len(WORDS)
    data = read(memory, 0)
    assert np.array_equal(data[:, [1, 3]], np.stack([WORDS, WORDS], axis=1))
    assert np.array_equal(data[:, [0, 2]], NATIVE[:, [0, 2]])
    for copy in (1, 2):
        assert (read(memory, copy) == WORDS[:, None]).all()


def test_the_bits_of_copies_are_those_that_are_chosen() -> None:
    memory = memory_of("tmr", triplicated=[0, 1, 8, 15, 6, 0])
    bits = memory.bits()
    copies = bits.take(np.flatnonzero(bits.store == 2))
    assert list(zip(copies.word.tolist(), copies.bit.tolist(), strict=True)) == [
        (1, 0), (2, 3), (3, 0), (3, 1), (3, 2), (3, 3), (4, 1), (4, 2),
    ]  # fmt: skip
    assert memory.added_bits == 2 * 8


def test_secded_reads_every_word_right() -> None:
    memory = memory_of("secded")
    assert memory.added_bits == check_bits(4) * len(WORDS)
    assert (read(memory, 0) == WORDS[:, None]).all()
    assert (read(memory, 1) == WORDS[:, None]).all()
    assert read(memory, 1).shape == (len(WORDS), check_bits(4))


def test_a_word_whose_parity_fails_reads_as_zero_also_when_the_parity_bit_was_hit() -> None:
    memory = memory_of("parity")
    assert memory.added_bits == len(WORDS)
    assert (read(memory, 0) == 0).all()
    assert (read(memory, 1) == 0).all()


def test_a_reloaded_word_is_the_right_one() -> None:
    memory = memory_of("parity-reload")
    assert (read(memory, 0) == WORDS[:, None]).all()
    assert (read(memory, 1) == WORDS[:, None]).all()


def test_a_duplicated_top_bit_zeroes_the_word_and_the_others_are_unprotected() -> None:
    memory = memory_of("msb-duplication")
    assert memory.added_bits == len(WORDS)
    assert np.array_equal(read(memory, 0), np.where(np.arange(4) == 3, 0, NATIVE))
    assert (read(memory, 1) == 0).all()


def test_a_clipped_tensor_stays_in_its_fault_free_range_and_pays_for_its_ends() -> None:
    words = np.array([-3, -1, 0, 2])
    memory = TensorMemory(stored(words, signed(4)), plan_of("none", storage="clip", words=4))
    flips = np.stack([signed(4).flip(words, bit) for bit in range(4)], axis=1)
    assert np.array_equal(read(memory, 0), flips.clip(-3, 2))
    assert memory.added_bits == memory.bound_bits == 8
    lows = [(low, 2) for low in (-4, -1, -7, 5)]
    highs = [(-3, high) for high in (3, 0, 6, -6)]
    assert memory.bound_faults() == lows + highs


def test_sign_and_magnitude_flips_the_sign_or_one_bit_of_the_magnitude() -> None:
    memory = memory_of("none", storage="sign-magnitude")
    expected = [
        [-6, -5, -3, 7], [0, -3, -5, 1], [1, 2, 4, 0], [2, 1, 7, -3], [4, 7, 1, -5], [6, 5, 3, -7],
    ]  # fmt: skip
    assert read(memory, 0).tolist() == expected


@pytest.mark.parametrize("code", ["native", "sign-magnitude"])
def test_bits_stand_for_the_words_they_were_made_of(code: str) -> None:
    for word_format in (signed(6), unsigned(5), BIPOLAR):
        if code == "sign-magnitude" and not word_format.signed:
            continue
        low = word_format.minimum + (code == "sign-magnitude")
        words = np.array([-1, 1]) if word_format == BIPOLAR else np.arange(low, word_format.maximum + 1)
        bits = stored_bits(word_format, words, code)
        assert bits.min() >= 0
        assert bits.max() < 1 << word_format.width_bits
        assert np.array_equal(words_of(word_format, bits, code), words)


def test_sign_and_magnitude_is_for_signed_words_without_the_most_negative_one() -> None:
    assert has_sign_and_magnitude(stored(np.array([-7, 7]), signed(4)))
    assert not has_sign_and_magnitude(stored(np.array([-8, 7]), signed(4)))
    assert not has_sign_and_magnitude(stored(np.array([0, 7]), unsigned(4)))


def test_the_zero_of_a_channel_is_its_zero_point() -> None:
    words = np.array([[1, 2], [3, 4]])
    assert zeroed_words(stored(words, unsigned(3), zero_point=[5, 0])).tolist() == [5, 0, 5, 0]
    assert zeroed_words(stored(words, unsigned(3), zero_point=[5, 0], channel_axis=0)).tolist() == [5, 5, 0, 0]
    assert zeroed_words(stored(np.array([-1, 1]), BIPOLAR)) is None
