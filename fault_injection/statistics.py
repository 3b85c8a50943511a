"""How many faults to draw, from which strata, and how far the result can be trusted.

Shares are never given a Wald interval: near 0 it is far too short (Brown, Cai, DasGupta, "Interval estimation for a
binomial proportion", Statistical Science 16(2), 2001).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import special  # scipy.stats would take a second to load

from hls.errors import UsageError

Counts = Int[np.ndarray, " strata"]

_DRAWS = 1 << 20  # of the bootstrap at once: some megabytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A two-sided confidence interval.

    Attributes:
        low, high: Its ends.
    """

    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half its length."""
        return (self.high - self.low) / 2


def quantile(confidence: float) -> float:
    """The normal quantile of a two-sided interval.

    Raises:
        UsageError: ``confidence`` is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise UsageError(
            found=f"{confidence:g}", allowed="between 0 and 1", where="--confidence", remedy="write e.g. 0.95"
        )
    return float(special.ndtri(0.5 + confidence / 2))


def sample_size(population: int, margin: float, confidence: float = 0.95, share: float = 0.5) -> int:
    """Faults to draw so that a share is known within a margin, of a finite population.

    n = N / (1 + e² (N − 1) / (t² p (1 − p))): Leveugle, Calvez, Maistri, Vanhauwaert, "Statistical fault injection:
    quantified error and confidence", DATE 2009, equation 1. As in published tables, t has three decimals and n is
    rounded to the nearest.

    Args:
        population: N, 1 or more.
        margin: e, half the width of the interval; between 0 and 1.
        confidence: Of the interval.
        share: p; 0.5 is the worst case.

    Raises:
        UsageError: a margin or confidence that is not between 0 and 1.

    Example:
        >>> sample_size(3956, 0.01), sample_size(3956, 0.01, confidence=0.99)
        (2802, 3194)
    """
    if not 0 < margin < 1:
        raise UsageError(found=f"{margin:g}", allowed="between 0 and 1", where="--margin", remedy="write e.g. 0.01")
    spread = round(quantile(confidence), 3) ** 2 * share * (1 - share)
    if spread == 0:
        return 1
    return min(population, max(1, round(population / (1 + margin**2 * (population - 1) / spread))))


def wilson(share: float, number: float | int, confidence: float = 0.95) -> Interval:
    """Score interval of a share: E. B. Wilson, "Probable inference", JASA 22, 1927.

    Args:
        share: Observed, 0 to 1.
        number: Size of the sample; an effective size need not be whole, and infinity is certainty.
        confidence: Of the interval.

    Example:
        >>> interval = wilson(0.0, 10)
        >>> round(interval.low, 4), round(interval.high, 4)
        (0.0, 0.2775)
    """
    if np.isinf(number):
        return Interval(low=share, high=share)
    z2 = quantile(confidence) ** 2
    center = (share + z2 / (2 * number)) / (1 + z2 / number)
    half = np.sqrt(z2) / (1 + z2 / number) * np.sqrt(share * (1 - share) / number + z2 / (4 * number**2))
    return Interval(low=max(0.0, float(center - half)), high=min(1.0, float(center + half)))


def wilson_of(hits: int, number: int, population: int, confidence: float = 0.95) -> Interval:
    """Wilson interval of a share in a finite population, drawn without repeats.

    The sample counts for n (N − 1) / (N − n): its variance is smaller by that factor (Cochran, "Sampling Techniques",
    3rd ed. 1977, theorem 3.2).

    Args:
        hits: Faults that have the property.
        number: n, faults drawn, 1 or more.
        population: N.
        confidence: Of the interval.
    """
    counted = number * (population - 1) / (population - number) if population > number else np.inf
    return wilson(hits / number, counted, confidence)


def rule_of_three(number: int, confidence: float = 0.95) -> float:
    """Upper bound of a share of which no case was seen: −ln(1 − c) / n, about 3 / n at 95 %.

    Hanley, Lippman-Hand, "If nothing goes wrong, is everything all right?", JAMA 249(13), 1983.
    """
    return min(1.0, float(-np.log1p(-confidence)) / number)


def allocate(populations: Counts, deviations: Float[np.ndarray, " strata"], total: int, floors: Counts) -> Counts:
    """Share a sample among strata in proportion to size × deviation: J. Neyman, JRSS 97, 1934.

    With equal deviations it is proportional allocation. Deterministic: rounding goes to the largest remainders, the
    first stratum first.

    Args:
        populations: Faults of each stratum.
        deviations: Standard deviation in each, 0 or more.
        total: Faults to draw in all; more than there are means all of them.
        floors: At least so many from each stratum; what was drawn already.

    Returns:
        Faults of each stratum, between its floor and its population, ``total`` in all where that can be.
    """
    chosen = np.minimum(floors, populations)
    target = min(int(total), int(populations.sum()))
    ideal = _fill_to(target, populations * deviations, chosen, populations)
    if ideal.sum() < target - 0.5:  # strata without deviation are left when the others are exhausted
        ideal = _fill_to(target, populations.astype(float), np.floor(ideal), populations)
    whole = np.floor(ideal + 1e-9).astype(np.int64)
    order = np.argsort(whole - ideal, kind="stable")
    room = order[(whole < populations)[order]]
    whole[room[: max(0, target - int(whole.sum()))]] += 1
    return whole


def _fill_to(target: int, weight: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Clip c × weight between low and high, for the c that gives the sum ``target``.

    The sum is piecewise linear in c, with a corner where a stratum leaves its floor or reaches its population.
    """
    if weight.sum() == 0 or low.sum() >= target:
        return low.astype(float)
    some = weight > 0
    corners = np.unique(np.concatenate([[0.0], low[some] / weight[some], high[some] / weight[some]]))
    sums = np.clip(corners[:, None] * weight, low, high).sum(axis=1)
    return np.asarray(np.clip(np.interp(target, sums, corners) * weight, low, high))


@dataclass(frozen=True, slots=True, kw_only=True)
class StratifiedShare:
    """A share estimated from a random sample of each stratum, drawn in one step or in several.

    Faults that were judged before the last step are known and stand for themselves. The last step is a random sample of
    the others and stands for all of those. Its sizes may depend on everything that was seen before it, so the estimate
    is unbiased however the steps were planned; the pooled share N_h / n_h is not, when a lucky start ends the drawing.

    Attributes:
        populations: Faults of each stratum.
        known: Judged before the last step.
        known_hits: Of these, how many have the property.
        drawn: Judged in the last step; at least one of each stratum that is not known as a whole.
        hits: Of these, how many have the property.
    """

    populations: Counts
    known: Counts
    known_hits: Counts
    drawn: Counts
    hits: Counts

    @property
    def weights(self) -> Float[np.ndarray, " strata"]:
        """How many faults one of the last step stands for: the inverse of its chance among those not known before."""
        return np.asarray((self.populations - self.known) / np.maximum(1, self.drawn))

    @property
    def share(self) -> float:
        """Σ (known hits + (N_h − known) × p_h) / N; unbiased (Cochran 1977, theorem 5.1, for what is not known)."""
        return float((self.known_hits + self.weights * self.hits).sum() / self.populations.sum())

    @property
    def smooth(self) -> Float[np.ndarray, " strata"]:
        """Share of each stratum in all steps with half a hit and half a miss added: it is never taken for 0 or 1."""
        return np.asarray((self.known_hits + self.hits + 0.5) / (self.known + self.drawn + 1))

    @property
    def deviations(self) -> Float[np.ndarray, " strata"]:
        """√(p (1 − p)) of each stratum."""
        return np.asarray(np.sqrt(self.smooth * (1 - self.smooth)))

    def interval(self, confidence: float) -> Interval:
        """Wilson interval with the effective sample size p (1 − p) / V of the stratified design.

        V = Σ (R_h / N)² (1 − n_h / R_h) s_h² / n_h for the R_h = N_h − known faults that the last step was drawn from
        (Cochran 1977, theorem 5.3). The effective size is that of Korn and Graubard, Survey Methodology 24(2), 1998,
        with Wilson's interval instead of Clopper's and Pearson's.
        """
        left = self.populations - self.known
        variance = stratified_variance(left, self.drawn, self.deviations) / int(self.populations.sum()) ** 2
        if variance == 0:
            return Interval(low=self.share, high=self.share)
        mean = float((self.populations * self.smooth).sum() / self.populations.sum())
        return wilson(self.share, mean * (1 - mean) / variance, confidence)

    def next_step(self, margin: float, confidence: float, least: int) -> Counts:
        """The smallest further step, allocated by Neyman, that is to reach a margin with the variances seen so far.

        Args:
            margin: Half width of the interval that the step alone gives for what is not known before it.
            confidence: Of that interval.
            least: Faults of each stratum at least, where there are so many left.
        """
        left = self.populations - self.known - self.drawn
        wanted = (margin / quantile(confidence) * int(self.populations.sum())) ** 2
        floors = np.minimum(left, least)
        low, high = int(floors.sum()), int(left.sum())
        while low < high:
            middle = (low + high) // 2
            sizes = allocate(left, self.deviations, middle, floors)
            enough = stratified_variance(left, sizes, self.deviations) <= wanted
            low, high = (low, middle) if enough else (middle + 1, high)
        return allocate(left, self.deviations, low, floors)


def stratified_variance(populations: Counts, drawn: Counts, deviations: Float[np.ndarray, " strata"]) -> float:
    """Variance of an estimated total, Σ N_h² (1 − n_h / N_h) s_h² / n_h; strata drawn as a whole add nothing."""
    size = np.maximum(1, drawn)
    parts = populations * (populations - np.minimum(size, populations)) * deviations**2 / size
    return float(parts.sum())


def bootstrap_mean(
    values: Sequence[Float[np.ndarray, " _"]],
    populations: Counts,
    confidence: float,
    rng: np.random.Generator,
    resamples: int = 2000,
) -> Interval:
    """Percentile bootstrap interval of a stratified mean, for damage, whose tail is too heavy for a t-interval.

    n_h − 1 draws a stratum, moved towards its mean by √(1 − n_h / N_h): Rao, Wu, "Resampling inference with complex
    survey data", JASA 83, 1988. A stratum of which every fault was judged adds nothing.

    Args:
        values: Of the judged faults, stratum by stratum, at least one each; two where not all were judged.
        populations: Faults of each stratum.
        confidence: Of the interval.
        rng: Source of the resamples.
        resamples: How many.
    """
    total = populations.sum()
    means = np.zeros(resamples)
    for drawn, population in zip(values, populations, strict=True):
        number, mean = len(drawn), float(drawn.mean())
        means += population / total * mean
        if number < 2 or number >= population:
            continue
        rows = max(1, _DRAWS // number)
        blocks = [min(rows, resamples - start) for start in range(0, resamples, rows)]
        picked = np.concatenate([drawn[rng.integers(0, number, (block, number - 1))].mean(axis=1) for block in blocks])
        means += population / total * np.sqrt(1 - number / population) * (picked - mean)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(low=float(low), high=float(high))


def with_other_samples(
    mean: float, changed: Bool[np.ndarray, "faults samples"], confidence: float = 0.95, faults_variance: float = 0.0
) -> Interval:
    """Interval of the mean share of decisions changed, were the evaluation set drawn anew from where it came.

    Every fault meets every sample, so these are two crossed ways of sampling, and the variance is that of the faults
    plus that of the sample means (A. B. Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1(2), 2007).
    What a few faults say about the variance among samples is an upper bound: their own noise is in it.

    Args:
        mean: Over all faults and samples.
        changed: Which decisions some of the faults changed; at least one fault and two samples.
        confidence: Of the interval.
        faults_variance: Of the mean, where the faults are a sample, too.
    """
    samples = changed.shape[1]
    variance = faults_variance + float(changed.mean(axis=0).var(ddof=1)) / samples
    return wilson(mean, mean * (1 - mean) / variance if variance > 0 and 0 < mean < 1 else samples, confidence)
