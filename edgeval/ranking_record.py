"""What ``edgeval rank-bits`` saves."""

from __future__ import annotations

from edgeval.run_record import Fingerprint, MetricValue, RecordPart


class RankedBit(RecordPart, frozen=True):
    """One stored bit near the top of a ranking.

    Attributes:
        site: As TENSOR:INDEX:BIT.
        word: Stored word without the fault.
        delta: What the flip adds to it.
        score: What it was ranked by; for bit planes it orders within a plane only.
    """

    site: str
    word: int
    delta: int
    score: float


class MethodScore(RecordPart, frozen=True):
    """One ranking against the exhaustive oracle; the terms are those of ``docs/ranking.md``.

    Attributes:
        area: Relative area under the cumulative harm, ``None`` where no flip does harm.
        area_as_measured: The same with improvements counted against harm.
        worst_1, worst_10: Recall of the worst 1 % and 10 % of the bits.
    """

    method: str
    area: float | None
    area_as_measured: float | None
    worst_1: float
    worst_10: float


class Oracle(RecordPart, frozen=True):
    """What flipping every bit did to the loss.

    Attributes:
        harm: Sum of all rises of the loss.
        improvement: Sum of all falls, as a positive number.
        harmful: Flips that raise it.
        found: Whether an earlier measurement in the run was used.
    """

    harm: float
    improvement: float
    harmful: int
    found: bool


class RankRecord(RecordPart, frozen=True, tag="edgeval.rank-bits/1"):
    """``records/rank-bits.json``: every stored bit in the order of one method, and how good each method is.

    Attributes:
        method: What the ranking in ``ranking`` is by.
        ranking: Parquet file of all sites, relative to the run.
        sites: Stored bits, all of which are ranked.
        samples: Of the evaluation set, on which damage is measured.
        calibration: Where the samples came from that derivatives and finite differences were taken on.
        calibration_samples: How many they were.
        loss: The fault-free loss on the evaluation set.
        label_relative: Whether it is against labels; else against the fault-free answers.
        top: The first bits of the ranking.
        oracle: ``None`` without ``--score``.
        scores: Every method that the network has, best first; empty without ``--score``.
        left_out: Methods that the network does not have, and why.
    """

    fingerprint: Fingerprint
    method: str
    ranking: str
    sites: int
    samples: int
    calibration: str
    calibration_samples: int
    loss: MetricValue
    label_relative: bool
    top: tuple[RankedBit, ...]
    oracle: Oracle | None
    scores: tuple[MethodScore, ...]
    left_out: tuple[str, ...]
    seconds: float
