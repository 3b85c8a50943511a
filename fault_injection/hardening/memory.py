"""The memory of a hardened network: which bits it stores, and what words its decoders read from them.

A word has its data bits and, as its protection needs, one or two further stores of bits. A fault inverts one physical
bit, wherever it lies; the decoder then gives the word that the layer sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Int

from fault_injection.hardening import secded
from fault_injection.hardening.codes import Code, stored_bits, words_of, zeroed_words
from hls.formats import Words
from hls.graph import IntegerGraph, StoredTensor

Storage = Literal["native", "sign-magnitude", "clip"]
"""How a tensor's words are stored and read. ``native``: the format's own code. ``sign-magnitude``: sign and |word|.
``clip``: the format's own code; what is read is clipped to the range of the tensor's fault-free words, whose two ends
are stored beside it."""

Protection = Literal["none", "tmr", "secded", "parity", "parity-reload", "msb-duplication"]
"""Of one word. ``none``. ``tmr``: some bits are stored three times and voted. ``secded``: a Hamming code with parity.
``parity``: one parity bit; a word that fails reads as zero. ``parity-reload``: one parity bit; a word that fails is
loaded again. ``msb-duplication``: the top bit is stored twice; where the two differ the word reads as zero."""

PROTECTIONS: tuple[Protection, ...] = get_args(Protection)
NONE, TMR, SECDED, PARITY, RELOAD, DUPLICATION = range(len(PROTECTIONS))


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorPlan:
    """How one tensor is stored.

    Attributes:
        tensor: Its name.
        storage: Code and reading of all its words.
        protection: Of each word, a position in ``PROTECTIONS``.
        triplicated: Of each word, the bits that are stored three times, as a mask; 0 without ``tmr``.
    """

    tensor: str
    storage: Storage
    protection: Int[np.ndarray, " words"]
    triplicated: Int[np.ndarray, " words"]

    @property
    def code(self) -> Code:
        """Code of the data bits."""
        return "sign-magnitude" if self.storage == "sign-magnitude" else "native"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhysicalBits:
    """Bits of the memory of one tensor's words, by word, then store, then bit.

    Attributes:
        word: Flat index of the word.
        store: 0 the data bits, 1 and 2 what the protection adds.
        bit: Bit in that store.
    """

    word: Int[np.ndarray, " bits"]
    store: Int[np.ndarray, " bits"]
    bit: Int[np.ndarray, " bits"]

    def __len__(self) -> int:
        return len(self.word)

    def take(self, rows: Int[np.ndarray, " rows"] | slice) -> PhysicalBits:
        """Some of them."""
        return PhysicalBits(word=self.word[rows], store=self.store[rows], bit=self.bit[rows])


class TensorMemory:
    """What is physically stored for one tensor, fault-free, and its decoders.

    Args:
        tensor: The tensor.
        plan: How it is stored.
    """

    def __init__(self, tensor: StoredTensor, plan: TensorPlan) -> None:
        self.tensor, self.plan, self.width = tensor, plan, tensor.format.width_bits
        self.words = tensor.words.reshape(-1)
        self.bounds = (int(self.words.min()), int(self.words.max()))
        data = stored_bits(tensor.format, self.words, plan.code)
        kind, mask = plan.protection, plan.triplicated
        top = data >> (self.width - 1)
        first = np.select(
            [kind == TMR, kind == SECDED, (kind == PARITY) | (kind == RELOAD), kind == DUPLICATION],
            [data & mask, secded.encode(data, self.width), secded.parity(data), top],
            0,
        )
        self.images = (data, first, data & mask)
        checks = (1 << secded.check_bits(self.width)) - 1
        added = np.select([kind == TMR, kind == SECDED, kind != NONE], [mask, checks, 1], 0)
        self.present = (np.full_like(data, (1 << self.width) - 1), added, mask)

    @property
    def bound_bits(self) -> int:
        """Stored bits of the two ends of the clipping range."""
        return 2 * self.width if self.plan.storage == "clip" else 0

    @property
    def added_bits(self) -> int:
        """Physical bits beyond the tensor's own."""
        return int(sum(np.bitwise_count(present).sum() for present in self.present[1:])) + self.bound_bits

    def bits(self) -> PhysicalBits:
        """Every physical bit of the words."""
        widest = max(int(present.max(initial=0)).bit_length() for present in self.present)
        cells = np.stack(self.present, axis=1)[:, :, None] >> np.arange(widest) & 1
        word, store, bit = np.nonzero(cells)
        return PhysicalBits(word=word, store=store, bit=bit)

    def read_with_fault(self, bits: PhysicalBits) -> Words:
        """The word each fault makes the layer see in place of its own."""
        hit = np.int64(1) << bits.bit
        data, first, second = (
            image[bits.word] ^ np.where(bits.store == store, hit, 0) for store, image in enumerate(self.images)
        )
        return self.clipped(self._decoded(bits.word, data, first, second), self.bounds)

    def clipped(self, words: Words, bounds: tuple[int, int]) -> Words:
        """Words in the range of the two stored ends; as they are without clipping."""
        if self.plan.storage != "clip":
            return words
        return np.asarray(np.minimum(np.maximum(words, bounds[0]), bounds[1]))

    def bound_faults(self) -> list[tuple[int, int]]:
        """Both ends of the clipping range under each flip of one of their bits."""
        if self.plan.storage != "clip":
            return []
        ends = np.array(self.bounds)
        flipped = [self.tensor.format.flip(ends, bit) for bit in range(self.width)]
        return [(int(low), self.bounds[1]) for low, _ in flipped] + [(self.bounds[0], int(high)) for _, high in flipped]

    def _decoded(self, word: Int[np.ndarray, " bits"], data: Words, first: Words, second: Words) -> Words:
        kind, mask = self.plan.protection[word], self.plan.triplicated[word]
        majority = data & first | data & second | first & second
        corrected, _ = secded.decode(data, first, self.width)
        bits = np.select([kind == TMR, kind == SECDED], [data & ~mask | majority & mask, corrected], data)
        words = words_of(self.tensor.format, bits, self.plan.code)
        odd = secded.parity(data) != first
        words = np.where((kind == RELOAD) & odd, self.words[word], words)
        failed = (kind == PARITY) & odd | (kind == DUPLICATION) & (data >> (self.width - 1) != first)
        zeroed = zeroed_words(self.tensor)
        return words if zeroed is None else np.where(failed, zeroed[word], words)


def memories(graph: IntegerGraph, plans: tuple[TensorPlan, ...]) -> list[TensorMemory]:
    """The memory of every tensor of a plan."""
    return [TensorMemory(graph.tensors[plan.tensor], plan) for plan in plans]


def unprotected(graph: IntegerGraph) -> tuple[TensorPlan, ...]:
    """The memory of a network as it is."""
    return tuple(
        TensorPlan(
            tensor=name,
            storage="native",
            protection=np.zeros(tensor.words.size, np.int64),
            triplicated=np.zeros(tensor.words.size, np.int64),
        )
        for name, tensor in graph.tensors.items()
    )


def voters(plans: tuple[TensorPlan, ...]) -> int:
    """Majority gates: one for each bit that is stored three times."""
    return int(sum(np.bitwise_count(plan.triplicated).sum() for plan in plans))
