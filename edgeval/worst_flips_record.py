"""``records/worst-flips.json``: the flips that do most harm, one on top of the other."""

from __future__ import annotations

from typing import Literal

from edgeval.run_record import Fingerprint, MetricValue, RecordPart

Ending = Literal["count", "chance", "harmless"]
"""Why a search ended."""

ENDINGS: dict[Ending, str] = {
    "count": "as many flips as asked for",
    "chance": "chance level is reached",
    "harmless": "no further flip makes it worse",
}
"""The same in words."""


class FlipRow(RecordPart, frozen=True):
    """One step of the search.

    Attributes:
        site: TENSOR:INDEX:BIT.
        golden_word, faulty_word: Stored word before this flip and after it.
        metric: With this flip and all before it.
        decisions_changed: Samples whose decision is another one than without faults.
        judged: Flips judged for this step.
    """

    site: str
    golden_word: int
    faulty_word: int
    metric: float
    decisions_changed: int
    judged: int


class WorstFlipsRecord(RecordPart, frozen=True, tag="edgeval.worst-flips/1"):
    """A greedy search for the worst flips.

    Attributes:
        bits: Stored bits that may flip.
        count: Flips asked for.
        candidates: Bits judged after the first step; ``None`` for all.
        ended: Why the search ended; ``ENDINGS`` says it in words.
        chance: Metric of guessing, where there is one.
        metric: Without faults.
        label_relative: Whether the metric is against labels; else against fault-free answers.
        unconfirmed: Steps in which a run of the whole network gave something else than the search said; must be none.
    """

    fingerprint: Fingerprint
    bits: int
    samples: int
    count: int
    candidates: int | None
    ended: Ending
    chance: float | None
    metric: MetricValue
    label_relative: bool
    flips: tuple[FlipRow, ...]
    unconfirmed: tuple[str, ...]
    seconds: float
