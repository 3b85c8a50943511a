from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from fault_injection.statistics import (
    Interval,
    StratifiedShare,
    allocate,
    bootstrap_mean,
    rule_of_three,
    sample_size,
    wilson,
    wilson_of,
    with_other_samples,
)
from hls.errors import UsageError

POPULATIONS = np.array([1000, 500, 200, 5000, 40])
SHARES = np.array([0.3, 0.05, 0.6, 0.002, 0.5])


# Sample sizes: the numbers that docs/fault-injection.md names, e = 1 %.


@pytest.mark.parametrize(
    ("population", "confidence", "size"),
    [
        (3_956, 0.95, 2_802), (10_600, 0.95, 5_039), (61_344, 0.95, 8_304), (3_745_792, 0.95, 9_579),
        (3_956, 0.99, 3_194), (10_600, 0.99, 6_468), (61_344, 0.99, 13_058), (3_745_792, 0.99, 16_516),
    ],
)  # fmt: skip
def test_sample_sizes_are_the_published_ones(population: int, confidence: float, size: int) -> None:
    assert sample_size(population, 0.01, confidence) == size


def test_a_sample_is_never_larger_than_its_population() -> None:
    assert sample_size(10, 1e-9) == 10
    assert sample_size(1, 0.5) == 1


def test_a_share_near_zero_needs_fewer_faults() -> None:
    assert sample_size(10**6, 0.01, share=0.01) < sample_size(10**6, 0.01) / 20
    assert sample_size(10**6, 0.01, share=0.0) == 1


@pytest.mark.parametrize("margin", [0.0, 1.0, -0.1])
def test_a_margin_that_is_none_is_refused(margin: float) -> None:
    with pytest.raises(UsageError, match="--margin"):
        sample_size(100, margin)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_a_confidence_that_is_none_is_refused(confidence: float) -> None:
    with pytest.raises(UsageError, match="--confidence"):
        sample_size(100, 0.01, confidence)


# Intervals of one share.


@pytest.mark.parametrize(("hits", "number"), [(0, 10), (1, 10), (3, 7), (10, 10), (81, 263)])
def test_wilson_is_what_scipy_has(hits: int, number: int) -> None:
    expected = stats.binomtest(hits, number).proportion_ci(0.95, method="wilson")
    found = wilson(hits / number, number)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_is_newcombes_example() -> None:
    # R. G. Newcombe, Statistics in Medicine 17, 1998, table I: 81 of 263 and 15 of 148, method 3.
    assert (wilson(81 / 263, 263).low, wilson(81 / 263, 263).high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert (wilson(15 / 148, 148).low, wilson(15 / 148, 148).high) == pytest.approx((0.0624, 0.1605), abs=5e-5)


def test_a_whole_population_is_certain() -> None:
    assert wilson_of(3, 20, 20) == Interval(low=0.15, high=0.15)
    assert wilson_of(3, 20, 21).half_width < wilson_of(3, 20, 10**6).half_width / 4


def test_the_rule_of_three_is_about_three_over_n() -> None:
    assert rule_of_three(1000) == pytest.approx(3 / 1000, rel=0.002)
    assert rule_of_three(1) == 1.0


def test_wilson_covers_a_share_of_a_finite_population() -> None:
    rng = np.random.default_rng(1)
    hits = rng.hypergeometric(60, 1940, 700, 2000)
    intervals = [wilson_of(int(count), 700, 2000) for count in hits]
    assert 0.93 <= np.mean([i.low <= 0.03 <= i.high for i in intervals]) <= 0.975


# Allocation.


def test_equal_deviations_give_proportional_allocation() -> None:
    assert allocate(POPULATIONS, np.ones(5), 674, np.zeros(5, np.int64)).tolist() == [100, 50, 20, 500, 4]


def test_neyman_gives_each_stratum_its_size_times_its_deviation() -> None:
    deviations = np.array([0.5, 0.1, 0.1, 0.02, 0.0])
    found = allocate(POPULATIONS, deviations, 335, np.zeros(5, np.int64))
    assert found.tolist() == [249, 25, 10, 51, 0] or abs(found - 335 * POPULATIONS * deviations / 670).max() <= 1
    assert found.sum() == 335


def test_an_allocation_keeps_its_floors_and_its_populations() -> None:
    floors = np.array([2, 400, 2, 2, 2])
    found = allocate(POPULATIONS, np.array([1.0, 0, 0, 0, 0]), 2000, floors)
    assert found[0] == 1000
    assert found[1] >= 400
    assert (found <= POPULATIONS).all()
    assert found.sum() == 2000


def test_more_than_there_is_means_all() -> None:
    assert allocate(POPULATIONS, SHARES, 10**9, np.zeros(5, np.int64)).tolist() == POPULATIONS.tolist()


def test_an_allocation_is_whole_and_adds_up_whatever_is_asked_for() -> None:
    rng = np.random.default_rng(2)
    for _ in range(200):
        populations = rng.integers(1, 300, 12)
        floors = np.minimum(populations, 2)
        total = int(rng.integers(floors.sum(), populations.sum() + 1))
        found = allocate(populations, rng.random(12) * (rng.random(12) < 0.7), total, floors)
        assert found.sum() == total
        assert (floors <= found).all()
        assert (found <= populations).all()


# Stratified shares.

NOTHING = np.zeros(5, np.int64)
GOOD = np.round(POPULATIONS * SHARES).astype(np.int64)
TRUE_SHARE = float(GOOD.sum() / POPULATIONS.sum())
SIZES = np.array([200, 60, 60, 200, 10])


def draw(rng: np.random.Generator, drawn: np.ndarray = SIZES, known: np.ndarray = NOTHING) -> StratifiedShare:
    known_hits = rng.hypergeometric(GOOD, POPULATIONS - GOOD, known)
    left = GOOD - known_hits
    hits = rng.hypergeometric(left, POPULATIONS - known - left, drawn)
    return StratifiedShare(populations=POPULATIONS, known=known, known_hits=known_hits, drawn=drawn, hits=hits)


@pytest.mark.parametrize("known", [NOTHING, np.array([30, 15, 10, 150, 4])], ids=["one step", "two steps"])
def test_a_stratified_share_is_unbiased_and_covered(known: np.ndarray) -> None:
    rng = np.random.default_rng(3)
    found = [draw(rng, known=known) for _ in range(1500)]
    assert np.mean([share.share for share in found]) == pytest.approx(TRUE_SHARE, abs=8e-4)
    covered = [i.low <= TRUE_SHARE <= i.high for i in (share.interval(0.95) for share in found)]
    assert 0.93 <= np.mean(covered) <= 0.985


def test_a_stratum_that_was_judged_whole_adds_no_width() -> None:
    whole = StratifiedShare(
        populations=np.array([10, 5]), known=np.array([10, 1]), known_hits=np.array([1, 1]),
        drawn=np.array([0, 4]), hits=np.array([0, 4]),
    )  # fmt: skip
    assert whole.interval(0.95) == Interval(low=0.4, high=0.4)


def test_known_faults_stand_for_themselves_and_the_last_step_for_all_others() -> None:
    share = StratifiedShare(
        populations=np.array([100, 8]), known=np.array([20, 8]), known_hits=np.array([3, 4]),
        drawn=np.array([10, 0]), hits=np.array([1, 0]),
    )  # fmt: skip
    assert share.weights.tolist() == [8, 0]
    assert share.share == pytest.approx((3 + 8 * 1 + 4) / 108)


def test_the_size_of_a_step_reaches_its_margin() -> None:
    rng = np.random.default_rng(4)
    first = draw(rng)
    sizes = first.next_step(0.01, 0.95, least=2)
    assert sizes.min() >= 2
    second = draw(rng, sizes, known=SIZES)
    assert second.interval(0.95).half_width == pytest.approx(0.01, rel=0.25)


def test_a_margin_that_nothing_less_reaches_takes_all_that_is_left() -> None:
    first = draw(np.random.default_rng(4))
    assert (first.next_step(1e-9, 0.95, least=2) == POPULATIONS - SIZES).all()


# Means.


def test_the_bootstrap_covers_the_mean_of_heavy_tailed_damage() -> None:
    rng = np.random.default_rng(5)
    populations = np.array([3000, 400])
    damage = [rng.lognormal(-3, 1.2, size) * (rng.random(size) < 0.5) for size in populations]
    true = float(np.concatenate(damage).mean())
    covered = []
    for _ in range(120):
        sample = [rng.choice(part, size, replace=False) for part, size in zip(damage, (500, 150), strict=True)]
        interval = bootstrap_mean(sample, populations, 0.9, rng, resamples=200)
        covered.append(interval.low <= true <= interval.high)
    assert 0.82 <= np.mean(covered) <= 0.96


def test_the_bootstrap_of_a_whole_population_is_its_mean() -> None:
    values = np.array([1.0, 2.0, 6.0])
    found = bootstrap_mean([values, np.array([1.0])], np.array([3, 1]), 0.95, np.random.default_rng(0))
    assert (found.low, found.high) == pytest.approx((2.5, 2.5))


@pytest.mark.parametrize("exhaustive", [True, False])
def test_an_interval_with_other_samples_covers_them(exhaustive: bool) -> None:
    rng = np.random.default_rng(6)
    faults, samples = rng.beta(0.3, 3, 400), rng.beta(1, 2, 4000)
    true = float(np.outer(faults, samples).mean())
    covered, faults_only = [], []
    for _ in range(200):
        judged = faults if exhaustive else rng.choice(faults, 80)
        chance = np.outer(judged, rng.choice(samples, 60))
        changed = rng.random(chance.shape) < chance
        share = changed.mean(axis=1)
        mean, variance = float(share.mean()), 0.0 if exhaustive else float(share.var(ddof=1)) / 80
        interval = with_other_samples(mean, changed[:100], faults_variance=variance)
        covered.append(interval.low <= true <= interval.high)
        faults_only.append(abs(mean - true) <= 1.96 * np.sqrt(variance))
    assert 0.92 <= np.mean(covered) <= 0.99
    assert np.mean(faults_only) < np.mean(covered)


def test_where_no_decision_changes_other_samples_leave_room_above_zero() -> None:
    interval = with_other_samples(0.0, np.zeros((50, 20), bool))
    assert interval.low == 0.0
    assert interval.high > 0.05
