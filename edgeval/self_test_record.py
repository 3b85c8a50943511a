"""Record of ``--self-test``: errors made on purpose, and whether the comparison saw them."""

from __future__ import annotations

from typing import Literal

from edgeval.run_record import Fingerprint, RecordPart


class Mutant(RecordPart, frozen=True):
    """One error made on purpose.

    Attributes:
        mutation: Kind of error, as ``flip a weight bit``.
        place: Node or tensor it was made in; empty where the network has no place for this kind.
        change: What was changed, in one sentence.
        status: ``detected``; ``missed``, which fails the self-test; ``equivalent`` where the exact engine, run on the
            changed network itself, gives the same words on these samples, so that nothing could be seen;
            ``no_place`` where the network has nothing of this kind.
        detected_by: What saw it: ``audit`` before anything ran, ``library`` in the words that it holds once loaded,
            ``words`` by running it, ``poke`` by the same flipped bit in the right library, ``brute force`` in a
            campaign.
        evidence: What was seen, as the verb would print it.
    """

    mutation: str
    place: str
    change: str
    status: Literal["detected", "missed", "equivalent", "no_place"]
    detected_by: tuple[str, ...]
    evidence: str


class SelfTestRecord(RecordPart, frozen=True, tag="edgeval.self-test/1"):
    """``records/self-test-<verb>.json``.

    Attributes:
        verb: The comparison that was tested.
        verdict: ``detected`` where every mutant with a visible effect was, and there was at least one.
        headline: First line for people, with the score.
        detected, visible: The score: mutants seen, of those with an effect.
        samples: Compared for each mutant.
    """

    fingerprint: Fingerprint
    verb: str
    verdict: Literal["detected", "missed", "no_verdict"]
    headline: str
    detected: int
    visible: int
    samples: int
    mutants: tuple[Mutant, ...]
