"""The campaign on the hardened memory: every physical bit is flipped, decoded and judged anew.

Nothing of the closed forms is used: the decoders run on the faulty images, and what they read is judged by the exact
engine. Bit by bit the damage has to be the predicted one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from fault_injection.hardening.damage import Assessor, total
from fault_injection.hardening.memory import TensorMemory, TensorPlan, memories
from fault_injection.hardening.prices import word_changes
from fault_injection.hardening.schemes import Plan
from hls.graph import WordChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What the campaign on the hardened memory found.

    Attributes:
        physical_bits: Bits of the memory, copies, check bits and ends of clipping ranges among them.
        faults: Flips judged: every physical bit once.
        predicted: Damage of all of them by the closed forms.
        verified: Damage of all of them as judged.
        differing: Bits whose damage is not the predicted one.
        brute_force: Flips repeated by plain runs of the whole network.
        mismatches: Those of them that did other damage, as TENSOR:WORD/STORE:BIT.
    """

    physical_bits: int
    faults: int
    predicted: float
    verified: float
    differing: int
    brute_force: int
    mismatches: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether prediction, campaign and plain runs are one."""
        return self.predicted == self.verified and not self.differing and not self.mismatches


def verify(plan: Plan, assessor: Assessor, brute_force: int, rng: np.random.Generator) -> Verification:
    """Flip every physical bit of a plan's memory.

    Args:
        plan: A plan for the assessor's network.
        assessor: Judges faulty words.
        brute_force: Flips to repeat by plain runs, drawn without repeats.
        rng: Source of the draw.
    """
    graph = assessor.judge.golden.graph
    predicted, verified, mismatches = [], [], []
    held = memories(graph, plan.tensors)
    bits = [memory.bits() for memory in held]
    picks = _picks([len(part) for part in bits], brute_force, rng)
    for memory, part, damage, pick in zip(held, bits, plan.damages, picks, strict=True):
        predicted += [damage.predicted(memory.plan, part), damage.bounds]
        words = memory.read_with_fault(part)
        found = assessor.of_words(memory.tensor.name, part.word, words)
        verified += [found, _bound_damages(memory, assessor)]
        changes = [
            [WordChange(tensor=memory.tensor.name, index=int(part.word[row]), word=int(words[row]))] for row in pick
        ]
        again = assessor.of_changes(changes)
        mismatches += [
            f"{memory.tensor.name}:{part.word[row]}/{part.store[row]}:{part.bit[row]}"
            for row in pick[again != found[pick]]
        ]
    expected, judged = np.concatenate(predicted), np.concatenate(verified)
    return Verification(
        physical_bits=sum(memory.words.size * memory.width + memory.added_bits for memory in held),
        faults=len(judged),
        predicted=total(expected),
        verified=total(judged),
        differing=int((expected != judged).sum()),
        brute_force=sum(map(len, picks)),
        mismatches=tuple(mismatches),
    )


def judged_damage(plans: tuple[TensorPlan, ...], assessor: Assessor) -> float:
    """Damage of a flip of every physical bit of a memory on any evaluation set of its network.

    Args:
        plans: How each tensor is stored, chosen with whatever samples.
        assessor: Of the samples that are asked about.
    """
    found = []
    for memory in memories(assessor.judge.golden.graph, plans):
        bits = memory.bits()
        found.append(assessor.of_words(memory.tensor.name, bits.word, memory.read_with_fault(bits)))
        found.append(_bound_damages(memory, assessor))
    return total(np.concatenate(found))


def _bound_damages(memory: TensorMemory, assessor: Assessor) -> Float[np.ndarray, " bounds"]:
    """Flips in the ends of a clipping range: every word of the tensor is read through them."""
    golden = memory.tensor.words.reshape(-1)
    return assessor.of_changes(
        [word_changes(memory.tensor, memory.clipped(golden, ends)) for ends in memory.bound_faults()]
    )


def _picks(sizes: list[int], count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Rows to repeat, in each of several tables, drawn from all of them together."""
    total_rows = sum(sizes)
    drawn = np.sort(rng.choice(total_rows, min(count, total_rows), replace=False))
    starts = np.cumsum([0, *sizes])
    return [drawn[(drawn >= low) & (drawn < high)] - low for low, high in pairwise(starts)]
