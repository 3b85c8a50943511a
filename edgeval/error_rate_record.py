"""``records/error-rate.json``: what bit error rates do to a run."""

from __future__ import annotations

from edgeval.run_record import Fingerprint, MetricValue, RecordPart


class ImagesRow(RecordPart, frozen=True):
    """A figure over memory images at one rate.

    Attributes:
        mean: Over images, in the figure's unit.
        low, high: Confidence interval of the mean; ``None`` where the images tell none.
        error: Standard error of the mean.
        percentiles: Of single images, at the record's ``percentiles``.
    """

    mean: float
    low: float | None
    high: float | None
    error: float
    percentiles: tuple[float, ...]


class RateRow(RecordPart, frozen=True):
    """One bit error rate.

    Attributes:
        rate: Probability of each bit to be wrong.
        none, one, more: Probability of no, one, and two or more wrong bits in the memory.
        metric: Task metric; exact for none and one wrong bit, sampled for more.
        decisions: Share of samples whose decision is another one than without faults, likewise.
        plain_metric, plain_decisions: The same without stratification, as a check.
    """

    rate: float
    none: float
    one: float
    more: float
    metric: ImagesRow
    decisions: ImagesRow
    plain_metric: ImagesRow
    plain_decisions: ImagesRow


class ErrorRateRecord(RecordPart, frozen=True, tag="edgeval.error-rate/1"):
    """A memory at several bit error rates.

    Attributes:
        bits: Stored bits that can be wrong.
        draws: Images sampled at each rate, and again for the check.
        confidence: Of the intervals, over the draw of images, on this evaluation set.
        percentiles: Which ones the rows hold.
        metric: Without faults.
        decision: ``argmax`` or ``tolerance``, with the tolerance in the metric's unit.
        label_relative: Whether the metric is against labels; else against fault-free answers.
    """

    fingerprint: Fingerprint
    bits: int
    samples: int
    draws: int
    confidence: float
    percentiles: tuple[int, ...]
    metric: MetricValue
    decision: str
    tolerance: float
    label_relative: bool
    rates: tuple[RateRow, ...]
    seconds: float
