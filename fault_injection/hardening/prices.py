"""What each way of storing a word costs, and the damage of all single flips that remain with it: closed forms.

With D[b] the damage of a flip of bit b and Z that of the word read as zero, over the W bits of a word:

* ``none``: 0 bits, ΣD. * ``tmr`` of k bits: 2k bits, ΣD of the others. * ``secded``: its check bits, 0.
* ``parity``: 1 bit, (W + 1)·Z. * ``parity-reload``: 1 bit, 0. * ``msb-duplication``: 1 bit, 2Z + ΣD of the lower bits.

A clipped tensor also pays for the two ends of its range and for the flips of those.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from fault_injection.hardening import secded
from fault_injection.hardening.codes import has_sign_and_magnitude, stored_bits, words_of, zeroed_words
from fault_injection.hardening.damage import Assessor
from fault_injection.hardening.knapsack import Priced
from fault_injection.hardening.memory import (
    DUPLICATION,
    NONE,
    PARITY,
    PROTECTIONS,
    RELOAD,
    SECDED,
    TMR,
    PhysicalBits,
    Protection,
    Storage,
    TensorMemory,
    TensorPlan,
)
from hls.graph import IntegerGraph, StoredTensor, WordChange


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDamage:
    """Damage of the flips of one tensor, stored in one way, before any word is protected.

    Attributes:
        tensor: Its name.
        storage: How its words are stored.
        flips: Of each word and data bit.
        zeroed: Of each word read as zero; ``None`` where there is no zero.
        bounds: Of each bit of the clipping range's ends.
        bound_bits: How many bits these are.
    """

    tensor: str
    storage: Storage
    flips: Float[np.ndarray, "words bits"]
    zeroed: Float[np.ndarray, " words"] | None
    bounds: Float[np.ndarray, " bounds"]

    @property
    def order(self) -> Int[np.ndarray, "words bits"]:
        """Bits of each word, the most harmful first; of equal ones the upper first."""
        width = self.flips.shape[1]
        return np.asarray(width - 1 - np.argsort(-self.flips[:, ::-1], axis=1, kind="stable"))

    def options(self, allowed: Sequence[Protection]) -> list[tuple[int, int]]:
        """(protection, bits triplicated) that can be chosen for its words, in order of their cost."""
        width = self.flips.shape[1]
        found = [(NONE, 0)]
        for name in allowed:
            kind = PROTECTIONS.index(name)
            if kind == TMR:
                found += [(TMR, count) for count in range(1, width + 1)]
            elif kind in (SECDED, RELOAD) or (kind != NONE and self.zeroed is not None):
                found.append((kind, 0))
        return sorted(found, key=lambda option: (_cost(option, width), option))

    def priced(self, allowed: Sequence[Protection]) -> Priced:
        """The options with their prices."""
        options = self.options(allowed)
        width = self.flips.shape[1]
        sums = np.cumsum(np.take_along_axis(self.flips, self.order, axis=1), axis=1)
        return Priced(
            costs=np.array([_cost(option, width) for option in options]),
            damage=np.stack([self._residual(option, sums) for option in options], axis=1),
            fixed_cost=len(self.bounds),
            fixed_damage=float(self.bounds.sum()),
        )

    def plan(self, allowed: Sequence[Protection], chosen: Int[np.ndarray, " words"]) -> TensorPlan:
        """The plan that a choice of options is."""
        options = np.array(self.options(allowed))[chosen]
        places = np.cumsum(np.int64(1) << self.order, axis=1)
        count = options[:, 1]
        masks = np.where(count > 0, places[np.arange(len(places)), np.maximum(count, 1) - 1], 0)
        return TensorPlan(tensor=self.tensor, storage=self.storage, protection=options[:, 0], triplicated=masks)

    def predicted(self, plan: TensorPlan, bits: PhysicalBits) -> Float[np.ndarray, " bits"]:
        """Damage of a flip of each physical bit of the words under a plan, without running anything."""
        kind = plan.protection[bits.word]
        data = bits.store == 0
        voted = plan.triplicated[bits.word] >> bits.bit & 1
        own = np.where(data, self.flips[bits.word, np.minimum(bits.bit, self.flips.shape[1] - 1)], 0.0)
        zeroed = np.zeros(len(bits)) if self.zeroed is None else self.zeroed[bits.word]
        top = ~data | (bits.bit == self.flips.shape[1] - 1)
        return np.select(
            [kind == NONE, kind == TMR, kind == PARITY, kind == DUPLICATION],
            [own, np.where(voted == 1, 0.0, own), zeroed, np.where(top, zeroed, own)],
            0.0,
        )

    def _residual(self, option: tuple[int, int], sums: Float[np.ndarray, "words bits"]) -> Float[np.ndarray, " words"]:
        kind, count = option
        width = self.flips.shape[1]
        everything = sums[:, -1]
        if kind == NONE:
            return everything
        if kind == TMR:
            return np.asarray(everything - sums[:, count - 1])
        if kind in (SECDED, RELOAD):
            return np.zeros(len(sums))
        assert self.zeroed is not None
        if kind == PARITY:
            return np.asarray((width + 1) * self.zeroed)
        return np.asarray(2 * self.zeroed + self.flips[:, :-1].sum(axis=1))


def damages_of(
    graph: IntegerGraph, assessor: Assessor, flips: dict[str, Float[np.ndarray, "words bits"]]
) -> Iterator[tuple[StoredDamage, ...]]:
    """Of every tensor, the damage under each way it can be stored; the format's own code first.

    Args:
        graph: The network.
        assessor: Judges faulty words that are no flips of the format's own code.
        flips: Damage of every stored bit, from the outcome table.
    """
    for name, tensor in graph.tensors.items():
        zero = zeroed_words(tensor)
        index = np.arange(tensor.words.size)
        zeroed = None if zero is None else assessor.of_words(name, index, zero)
        nothing = np.zeros(0)
        found = [StoredDamage(tensor=name, storage="native", flips=flips[name], zeroed=zeroed, bounds=nothing)]
        if has_sign_and_magnitude(tensor):
            other = _sign_magnitude_flips(tensor, assessor, flips[name])
            found.append(
                StoredDamage(tensor=name, storage="sign-magnitude", flips=other, zeroed=zeroed, bounds=nothing)
            )
        if zero is not None:
            found.append(_clipped(tensor, assessor, flips[name]))
        yield tuple(found)


def _cost(option: tuple[int, int], width_bits: int) -> int:
    kind, count = option
    if kind == TMR:
        return 2 * count
    return 0 if kind == NONE else secded.check_bits(width_bits) if kind == SECDED else 1


def _sign_magnitude_flips(
    tensor: StoredTensor, assessor: Assessor, native: Float[np.ndarray, "words bits"]
) -> Float[np.ndarray, "words bits"]:
    words = tensor.words.reshape(-1, 1)
    bits = stored_bits(tensor.format, words, "sign-magnitude") ^ (1 << np.arange(tensor.format.width_bits))
    return _word_flips(tensor, assessor, native, words_of(tensor.format, bits, "sign-magnitude"))


def _clipped(tensor: StoredTensor, assessor: Assessor, native: Float[np.ndarray, "words bits"]) -> StoredDamage:
    size = tensor.words.size
    nothing = np.zeros(size, np.int64)
    memory = TensorMemory(
        tensor, TensorPlan(tensor=tensor.name, storage="clip", protection=nothing, triplicated=nothing)
    )
    faulty = memory.clipped(_flipped(tensor), memory.bounds)
    zero = zeroed_words(tensor)
    assert zero is not None
    zeroed = assessor.of_words(tensor.name, np.arange(size), memory.clipped(zero, memory.bounds))
    changes = [word_changes(tensor, memory.clipped(tensor.words.reshape(-1), ends)) for ends in memory.bound_faults()]
    return StoredDamage(
        tensor=tensor.name,
        storage="clip",
        flips=_word_flips(tensor, assessor, native, faulty),
        zeroed=zeroed,
        bounds=assessor.of_changes(changes),
    )


def word_changes(tensor: StoredTensor, words: np.ndarray) -> list[WordChange]:
    """The changes that make a tensor's words others."""
    golden = tensor.words.reshape(-1)
    return [
        WordChange(tensor=tensor.name, index=int(index), word=int(words[index]))
        for index in np.flatnonzero(golden != words)
    ]


def _flipped(tensor: StoredTensor) -> Int[np.ndarray, "words bits"]:
    words = tensor.words.reshape(-1)
    return np.stack([tensor.format.flip(words, bit) for bit in range(tensor.format.width_bits)], axis=1)


def _word_flips(
    tensor: StoredTensor,
    assessor: Assessor,
    native: Float[np.ndarray, "words bits"],
    faulty: Int[np.ndarray, "words bits"],
) -> Float[np.ndarray, "words bits"]:
    """Damage of faulty words, one a word and bit; what is a flip of the native code is known already."""
    damage = native.copy()
    word, bit = np.nonzero(faulty != _flipped(tensor))
    damage[word, bit] = assessor.of_words(tensor.name, word, faulty[word, bit])
    return damage
