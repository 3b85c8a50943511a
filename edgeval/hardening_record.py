"""What hardening a run says: the record of the command, and the file that names every protected bit."""

from __future__ import annotations

from edgeval.run_record import Fingerprint, MetricValue, RecordPart


class HardenedRow(RecordPart, frozen=True):
    """One tensor under the plan.

    Attributes:
        storage: How its words are stored: native, sign-magnitude or clip.
        protected: Words by protection; unprotected ones are left out.
        triplicated: Bits stored three times.
        added_bits: Beyond the tensor's own.
        damage_before, damage_after: Of all single flips, unprotected and as predicted under the plan.
    """

    tensor: str
    words: int
    storage: str
    protected: dict[str, int]
    triplicated: int
    added_bits: int
    damage_before: float
    damage_after: float


class HardeningCheck(RecordPart, frozen=True):
    """The campaign on the hardened memory: every physical bit flipped, decoded, judged.

    Attributes:
        physical_bits: Copies, check bits and ends of clipping ranges among them.
        predicted, verified: Damage of all of them, by closed forms and as judged.
        differing: Bits whose damage is not the predicted one.
        brute_force: Flips repeated by plain runs of the whole network.
        mismatches: Those of them that did other damage.
        agrees: Whether all three are one.
    """

    physical_bits: int
    predicted: float
    verified: float
    differing: int
    brute_force: int
    mismatches: tuple[str, ...]
    agrees: bool


class VoterCheck(RecordPart, frozen=True):
    """The hardened hls4ml project in C-simulation.

    Attributes:
        verdict: ``match``, ``differ`` or ``no_verdict``: fault-free, against the exact engine.
        headline: The verdict's first line.
        single: Flips in one copy of a triplicated bit, none of which may change an output word.
        double: The same bit flipped in two copies, which has to do what the flip of an unprotected bit would.
        unprotected: Flips of bits stored once, which have their full effect.
        visible: Of ``double`` and ``unprotected``, how many change an output word.
        words: Output words compared, over all of these.
        mismatches: What did otherwise, as TENSOR:INDEX:BIT and the copies.
    """

    verdict: str
    headline: str
    single: int
    double: int
    unprotected: int
    visible: int
    words: int
    mismatches: tuple[str, ...]


class HeldOut(RecordPart, frozen=True):
    """The plan on samples that it was not chosen with.

    Attributes:
        samples: How many: those of the run behind the campaign's.
        damage_before: Of a flip of every stored bit on them, unprotected.
        damage_after: Of a flip of every physical bit under the plan.
    """

    samples: int
    damage_before: float
    damage_after: float


class ParetoRow(RecordPart, frozen=True):
    """One scheme at one budget.

    Attributes:
        budget_bits: Bits that could be added.
        added_bits: Bits that are.
        damage: Of all single flips that remain.
    """

    scheme: str
    budget_bits: int
    added_bits: int
    damage: float


class HardenRecord(RecordPart, frozen=True, tag="edgeval.harden/1"):
    """``records/harden.json``: what to protect under a budget, and what remains.

    Attributes:
        campaign: Identity of the campaign whose outcomes were used.
        damage: Measure of damage: decisions, metric or critical.
        samples: Evaluation set of that campaign.
        stored_bits: Of the unprotected network.
        budget_bits, added_bits: Bits that could be added, and that are.
        damage_before: Of a flip of every stored bit, unprotected.
        damage_after: Of a flip of every physical bit under the plan, predicted.
        bound: No plan of this scheme within the budget leaves less.
        optimal: Whether the plan is proven best, within the arithmetic of the measure.
        voters: Majority gates.
        metric: Fault-free.
        check: The campaign on the hardened memory.
        held_out: The same on other samples; ``None`` where it was not asked for.
        project: Folder of the hardened hls4ml project in the run; ``None`` where there is none, for the reason given.
        voter_check: That project in C-simulation; ``None`` where it was not asked for.
    """

    fingerprint: Fingerprint
    campaign: str
    scheme: str
    damage: str
    samples: int
    stored_bits: int
    budget_bits: int
    added_bits: int
    damage_before: float
    damage_after: float
    bound: float
    optimal: bool
    voters: int
    metric: MetricValue
    tensors: tuple[HardenedRow, ...]
    pareto: tuple[ParetoRow, ...]
    check: HardeningCheck
    held_out: HeldOut | None
    project: str | None
    no_project: str | None
    voter_check: VoterCheck | None
    seconds: float


class TriplicatedWord(RecordPart, frozen=True):
    """Bits of one word that are stored three times, the uppermost first."""

    index: int
    bits: tuple[int, ...]


class HardenedTensor(RecordPart, frozen=True):
    """One tensor of a hardened memory.

    Attributes:
        clip_range: Smallest and largest fault-free word, with ``clip``.
        triplicated: Words with bits that are stored three times.
        words: Flat indices of the words under every other protection.
    """

    tensor: str
    storage: str
    clip_range: tuple[int, int] | None
    triplicated: tuple[TriplicatedWord, ...]
    words: dict[str, tuple[int, ...]]


class HardenedMemory(RecordPart, frozen=True, tag="edgeval.hardening/1"):
    """``hardening.json``: which bits of which words are protected, and how."""

    network_digest: str
    scheme: str
    tensors: tuple[HardenedTensor, ...]


__all__ = [
    "HardenRecord", "HardenedMemory", "HardenedRow", "HardenedTensor", "HardeningCheck", "HeldOut", "ParetoRow",
    "TriplicatedWord", "VoterCheck",
]  # fmt: skip
