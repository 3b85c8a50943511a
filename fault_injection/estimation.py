"""From the outcomes of a sample to estimates of all faults, in all and stratum by stratum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from fault_injection.estimates import Estimate, Estimated, Stratum
from fault_injection.statistics import Interval, StratifiedShare, bootstrap_mean, wilson_of
from fault_injection.stratified import Sampled, Strata, StratifiedSample, is_critical


def stratified_estimate(sample: StratifiedSample, sampled: Sampled, *, samples: int) -> Estimate:
    """Estimates of a stratified sample; unbiased, see ``StratifiedShare``.

    Args:
        sample: All of it drawn.
        sampled: What was judged.
        samples: Size of the evaluation set.
    """
    strata, confidence = sample.strata, sample.confidence
    stratum, critical = strata.stratum[sampled.rows], is_critical(sampled.outcomes)
    count = len(strata.places)
    known_hits, hits = (
        np.bincount(stratum[part], weights=critical[part], minlength=count).astype(np.int64)
        for part in (~sampled.last, sampled.last)
    )
    share = StratifiedShare(
        populations=strata.populations, known=sample.known, known_hits=known_hits, drawn=sample.drawn, hits=hits
    )
    means = _Means(stratum=stratum, last=sampled.last, share=share, confidence=confidence, seed=sample.seed)
    return Estimate(
        design="stratified",
        confidence=confidence,
        margin=sample.margin,
        population=len(strata.stratum),
        judged=len(sampled.rows),
        rounds=sampled.steps,
        critical=_estimated(share.share, share.interval(confidence)),
        decisions_changed=means.of(sampled.outcomes["decisions_changed"].to_numpy() / samples),
        metric_change=means.of(sampled.outcomes["metric_change"].to_numpy()),
        strata=tuple(_stratum(strata, h, share, confidence) for h in range(count)),
    )


def simple_estimate(
    strata: Strata,
    rows: Int[np.ndarray, " rows"],
    outcomes: pa.Table,
    *,
    samples: int,
    confidence: float,
    seed: int,
) -> Estimate:
    """Estimates of a sample in which each fault had the same chance; every fault weighs the same.

    Args:
        strata: Of all faults; only reported by.
        rows: Which faults were judged, in the order of the table.
        outcomes: Their outcomes.
        samples: Size of the evaluation set.
        confidence: Of every interval.
        seed: Of the bootstrap.
    """
    population, number = len(strata.stratum), len(rows)
    critical = is_critical(outcomes)
    stratum = strata.stratum[rows]
    drawn = np.bincount(stratum, minlength=len(strata.places))
    hits = np.bincount(stratum, weights=critical, minlength=len(strata.places)).astype(np.int64)
    rng = np.random.default_rng([seed, len(strata.places)])

    def mean(values: np.ndarray) -> Estimated:
        interval = bootstrap_mean([values], np.array([population]), confidence, rng)
        return _estimated(float(values.mean()), interval)

    total = int(critical.sum())
    places = enumerate(strata.places)
    return Estimate(
        design="simple",
        confidence=confidence,
        margin=None,
        population=population,
        judged=number,
        rounds=1,
        critical=_estimated(total / number, wilson_of(total, number, population, confidence)),
        decisions_changed=mean(outcomes["decisions_changed"].to_numpy() / samples),
        metric_change=mean(outcomes["metric_change"].to_numpy()),
        strata=tuple(
            Stratum(
                tensor=tensor,
                bit=bit,
                population=int(strata.populations[h]),
                judged=int(drawn[h]),
                known=0,
                weight=population / number,
                critical=_share(int(hits[h]), int(drawn[h]), int(strata.populations[h]), confidence),
            )
            for h, (tensor, bit) in places
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Means:
    """Means of a stratified sample: known faults are added up, the last step stands for all others."""

    stratum: Int[np.ndarray, " rows"]
    last: np.ndarray
    share: StratifiedShare
    confidence: float
    seed: int

    def of(self, values: Float[np.ndarray, " rows"]) -> Estimated:
        left = self.share.populations - self.share.known
        open_strata = np.flatnonzero(left)
        parts = [values[self.last & (self.stratum == h)] for h in open_strata]
        total = int(self.share.populations.sum())
        known = float(values[~self.last].sum())
        value = known + sum(float(part.mean()) * n for part, n in zip(parts, left[open_strata].tolist(), strict=True))
        if not parts:
            return Estimated(value=value / total, low=value / total, high=value / total)
        rng = np.random.default_rng([self.seed, len(left)])
        unknown = bootstrap_mean(parts, left[open_strata], self.confidence, rng)
        low, high = ((known + end * int(left.sum())) / total for end in (unknown.low, unknown.high))
        return Estimated(value=value / total, low=low, high=high)


def _stratum(strata: Strata, h: int, share: StratifiedShare, confidence: float) -> Stratum:
    counts = (share.populations, share.known, share.known_hits, share.drawn, share.hits)
    populations, known, known_hits, drawn, hits = (array[h : h + 1] for array in counts)
    alone = StratifiedShare(populations=populations, known=known, known_hits=known_hits, drawn=drawn, hits=hits)
    tensor, bit = strata.places[h]
    return Stratum(
        tensor=tensor,
        bit=bit,
        population=int(populations[0]),
        judged=int(known[0] + drawn[0]),
        known=int(known[0]),
        weight=float(alone.weights[0]),
        critical=_estimated(alone.share, alone.interval(confidence)),
    )


def _share(hits: int, number: int, population: int, confidence: float) -> Estimated | None:
    return _estimated(hits / number, wilson_of(hits, number, population, confidence)) if number else None


def _estimated(value: float, interval: Interval) -> Estimated:
    return Estimated(value=value, low=interval.low, high=interval.high)
