"""Independent bit errors: what a memory whose bits are each wrong with probability p does to the answer.

A *memory image* is one set of wrong bits; it stays the same for the whole evaluation set. With N bits the number of
wrong ones is binomial, so the mean of any figure X over images is

    E[X] = P(0) X(no fault) + P(1) mean of X over all single faults + P(K ≥ 2) E[X | K ≥ 2].

The first two terms are exact: the second is the exhaustive campaign. Only the third is sampled, and at small N p its
weight is small, so the variance is too. At larger N p the campaign helps once more, as a control variate: the sum of
the single effects of an image's bits, whose mean over images is known, foresees a good part of what the image does, and
only the rest is left to chance (Owen, Monte Carlo theory, methods and examples, 2013, section 8.9).

Given their number, wrong bits are any of the N with equal chance, none twice; that *is* each bit flipping by itself.
See ``docs/fault-models.md``.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from fault_injection.exact import Detail
from fault_injection.many_words import flipped_bits, propagate_words
from fault_injection.outcomes import Judge
from fault_injection.shards import Progress
from fault_injection.single_flips import judge_single_flips
from fault_injection.sites import SiteTable
from hls.errors import UsageError

CONFIDENCE = 0.95
"""Of every interval."""

PERCENTILES = (5, 25, 50, 75, 95)
"""Of the images at a rate, that make the band."""

_RESAMPLES = 2_000
_BATCH_ROWS = 1 << 18
"""Images judged at once: as many as make so many (image, sample) pairs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Memory images that were judged.

    Attributes:
        metric: The task metric under each.
        decisions: Share of samples whose decision is another one than without faults.
    """

    metric: Float[np.ndarray, " images"]
    decisions: Float[np.ndarray, " images"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bits that can be wrong.

    Attributes:
        judge: Evaluation set, decision and metric.
        sites: The bits.
        single: What each does alone, in the order of ``sites``.
    """

    judge: Judge
    sites: SiteTable
    single: Images


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure over memory images.

    Attributes:
        mean: Over images.
        low, high: Confidence interval of the mean, over the draw of images, on this evaluation set; ``None`` where
            the drawn images tell none, e.g. all gave the same.
        error: Standard error of the mean.
        percentiles: Of single images, at ``PERCENTILES``.
    """

    mean: float
    low: float | None
    high: float | None
    error: float
    percentiles: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateResult:
    """One bit error rate.

    Attributes:
        rate: Probability of each bit to be wrong.
        none, one, more: Probability of no, one, and two or more wrong bits.
        metric, decisions: Stratified: exact for none and one, sampled for more.
        plain_metric, plain_decisions: The same from as many images drawn with no stratification, each simulated.
    """

    rate: float
    none: float
    one: float
    more: float
    metric: Estimate
    decisions: Estimate
    plain_metric: Estimate
    plain_decisions: Estimate


def memory_of(
    judge: Judge, sites: SiteTable, *, detail: Detail, threads: int, progress: Progress = lambda done, total: None
) -> Memory:
    """A memory with every image of exactly one wrong bit judged, exhaustively and exactly.

    Args:
        judge: Evaluation set, decision and metric.
        sites: The memory's bits.
        detail: ``decisions`` is enough where the metric is accuracy.
        threads: Of the compiled kernels.
        progress: Told how many are judged.
    """
    change, changed = judge_single_flips(judge, sites, detail=detail, threads=threads, progress=progress)
    single = Images(metric=judge.metric() + change, decisions=changed / judge.golden.samples)
    return Memory(judge=judge, sites=sites, single=single)


def error_rate(
    memory: Memory,
    rate: float,
    *,
    draws: int,
    rng: np.random.Generator,
    progress: Progress = lambda done, total: None,
) -> RateResult:
    """What a bit error rate does, stratified and plain.

    Args:
        memory: Its bits, and what each of them does alone.
        rate: Probability of each bit to be wrong, above 0 and at most 0.5.
        draws: Images drawn of two and more wrong bits, and again for the plain estimate; 2 or more.
        rng: Source of the draw.
        progress: Told how many images are judged.

    Raises:
        UsageError: a rate or a number of draws out of range.
    """
    _require(rate, draws)
    judge, sites, single = memory.judge, memory.sites, memory.single
    bits = len(sites)
    number = stats.binom(bits, rate)
    chances = (float(number.pmf(0)), float(number.pmf(1)), max(0.0, float(number.sf(1))))
    several = draw_images(bits, several_wrong(bits, rate, draws, rng), rng)
    plain = draw_images(bits, rng.binomial(bits, rate, draws), rng)
    judged = judge_images(judge, sites, several + plain, progress)
    # E[K | K >= 2]; the difference of two nearly equal numbers is written so that none of its digits is lost.
    wrong = bits * rate * -np.expm1((bits - 1) * np.log1p(-rate)) / chances[2] if chances[2] else 0.0
    found = []
    for golden, alone, values in (
        (judge.metric(), single.metric, judged.metric),
        (0.0, single.decisions, judged.decisions),
    ):
        added = np.array([float((alone[rows] - golden).sum()) for rows in several + plain])
        slope = _slope(added[draws:], values[draws:])
        centred = added[:draws] - wrong * float((alone - golden).mean())
        parts = (golden, alone, values[:draws])
        found += [_estimate(chances, parts, slope * centred, rng), _plain(values[draws:], rng)]
    return RateResult(
        rate=rate,
        none=chances[0],
        one=chances[1],
        more=chances[2],
        metric=found[0],
        plain_metric=found[1],
        decisions=found[2],
        plain_decisions=found[3],
    )


def several_wrong(bits: int, rate: float, draws: int, rng: np.random.Generator) -> Int[np.ndarray, " draws"]:
    """How many bits are wrong in each of some images with two wrong bits or more.

    The quantiles of the truncated binomial are drawn one from each of ``draws`` equal shares (systematic sampling), so
    that every number of wrong bits comes as often as its weight says, to within one image. Of a single bit there are
    none.
    """
    if bits < 2:
        return np.zeros(draws, np.int64)
    highest = min(bits, int(bits * rate + 12 * np.sqrt(bits * rate) + 40))  # beyond it lies less than 1e-30
    numbers = np.arange(2, highest + 1)
    chances = stats.binom(bits, rate).logpmf(numbers)  # logarithms, because at small rates no chance is a float
    reached = np.cumsum(np.exp(chances - chances.max()))
    shares = (np.arange(draws) + rng.random()) / draws
    places = np.searchsorted(reached, shares * reached[-1], side="right")
    return np.asarray(numbers[np.minimum(places, len(numbers) - 1)], np.int64)


def draw_images(
    bits: int, wrong: Int[np.ndarray, " images"], rng: np.random.Generator
) -> list[Int[np.ndarray, " wrong"]]:
    """Wrong bits of each image: any of them with equal chance, none twice."""
    return [np.sort(rng.choice(bits, int(count), replace=False, shuffle=False)) for count in wrong]


def judge_images(
    judge: Judge, sites: SiteTable, images: Sequence[np.ndarray], progress: Progress = lambda done, total: None
) -> Images:
    """Judge memory images, each over the whole evaluation set, exactly.

    Args:
        judge: Evaluation set, decision and metric.
        sites: The memory's bits.
        images: Rows of ``sites`` that are wrong in each.
        progress: Told how many are judged.
    """
    golden = judge.golden
    metric, decisions = np.empty(len(images)), np.empty(len(images))
    size = max(1, _BATCH_ROWS // golden.samples)
    for start in range(0, len(images), size):
        part = images[start : start + size]
        chosen = sites.take(np.concatenate(part))
        fault = np.repeat(np.arange(len(part)), [len(rows) for rows in part])
        changes = flipped_bits(golden.graph, fault, (chosen.tensor, chosen.index, chosen.bit), len(part))
        table = judge.judge(propagate_words(golden, changes), len(part))
        metric[start : start + len(part)] = judge.metric() + table["metric_change"].to_numpy()
        decisions[start : start + len(part)] = table["decisions_changed"].to_numpy() / golden.samples
        progress(start + len(part), len(images))
    return Images(metric=metric, decisions=decisions)


def _slope(added: np.ndarray, values: np.ndarray) -> float:
    """How much of the sum of the bits' single effects an image shows, least squares; 1 where nothing is known.

    It comes from other images than those it is applied to, so that it biases nothing.
    """
    spread = float(((added - added.mean()) ** 2).sum())
    return 1.0 if spread == 0 else float(((added - added.mean()) * values).sum()) / spread


def _estimate(
    chances: tuple[float, float, float],
    parts: tuple[float, np.ndarray, np.ndarray],
    foreseen: np.ndarray,
    rng: np.random.Generator,
) -> Estimate:
    """Mean, interval and percentiles over images of no, one, and more wrong bits.

    Args:
        chances: Of each.
        parts: Values of each.
        foreseen: What the single effects of each drawn image's bits foresee of it, less its known mean.
        rng: Source of the resamples.
    """
    golden, single, drawn = parts
    exact = chances[0] * golden + chances[1] * float(single.mean())
    adjusted = drawn - foreseen
    interval = _interval(adjusted, rng)
    shares: list[np.ndarray] = [
        np.array([chances[0]]),
        np.full(len(single), chances[1] / len(single)),
        np.full(len(drawn), chances[2] / len(drawn)),
    ]
    return Estimate(
        mean=exact + chances[2] * float(adjusted.mean()),
        low=None if interval is None else exact + chances[2] * interval[0],
        high=None if interval is None else exact + chances[2] * interval[1],
        error=chances[2] * _standard_error(adjusted),
        percentiles=tuple(weighted_percentiles(np.concatenate([[golden], single, drawn]), np.concatenate(shares))),
    )


def _plain(drawn: np.ndarray, rng: np.random.Generator) -> Estimate:
    interval = _interval(drawn, rng)
    return Estimate(
        mean=float(drawn.mean()),
        low=None if interval is None else interval[0],
        high=None if interval is None else interval[1],
        error=_standard_error(drawn),
        percentiles=tuple(weighted_percentiles(drawn, np.full(len(drawn), 1 / len(drawn)))),
    )


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) / float(np.sqrt(len(values)))


def weighted_percentiles(values: Float[np.ndarray, " values"], weights: Float[np.ndarray, " values"]) -> list[float]:
    """Smallest value that so many per cent of the weight do not exceed, at each of ``PERCENTILES``."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    places = np.searchsorted(reached, np.array(PERCENTILES) / 100 * reached[-1] * (1 - 1e-12))
    return [float(value) for value in values[order][places]]


def _interval(drawn: np.ndarray, rng: np.random.Generator) -> tuple[float, float] | None:
    """Bias-corrected and accelerated bootstrap: few images do much damage, so a t interval would be wrong.

    Source: Efron, Better bootstrap confidence intervals, J. Am. Stat. Assoc. 82 (1987) 171; ``scipy.stats.bootstrap``.
    """
    if np.all(drawn == drawn[0]):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)  # said by NaN, and answered below
        found = stats.bootstrap(
            (drawn,), np.mean, confidence_level=CONFIDENCE, n_resamples=_RESAMPLES, vectorized=True, rng=rng
        ).confidence_interval
    if not (np.isfinite(found.low) and np.isfinite(found.high)):
        return None
    return float(found.low), float(found.high)


def _require(rate: float, draws: int) -> None:
    if not 0 < rate <= 0.5:
        raise UsageError(
            found=f"{rate:g}", allowed="above 0, at most 0.5", where="--rates", remedy="give a probability a bit"
        )
    if draws < 2:
        raise UsageError(found=str(draws), allowed="2 or more", where="--draws", remedy="draw more images")
