"""Missions: closed forms against integrals, bounds against a chain that is solved exactly, extremes, units."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

from fault_injection.mission import (
    SEVERAL_UPSETS_LIMIT,
    Mission,
    Sensitivity,
    bit_error_rate,
    chance_of_several,
    mean_bit_error_rate,
    mean_chance_of_one,
    mean_chance_of_several,
    outlook,
    sensitivity,
)

TEN_SECONDS = Mission(cross_section=3e-14, flux=1e6, period=10.0)
CONCENTRATOR = Sensitivity(bits=10_600, changed=106.0, right_to_wrong=53.0, harmful=2_000)


@pytest.mark.parametrize("expected", [1e-3, 0.1, 1.0, 7.0, 40.0])
def test_the_chances_averaged_over_a_period_are_the_integrals_they_stand_for(expected: float) -> None:
    one = quad(lambda x: x * math.exp(-x), 0, expected)[0] / expected
    several = quad(lambda x: -math.expm1(-x) - x * math.exp(-x), 0, expected)[0] / expected
    assert mean_chance_of_one(expected) == pytest.approx(one, rel=1e-9)
    assert mean_chance_of_several(expected) == pytest.approx(several, rel=1e-9)


@pytest.mark.parametrize("periods", [1e-6, 0.3, 2.0, 50.0])
def test_the_mean_bit_error_rate_is_the_integral_of_the_one_that_toggles(periods: float) -> None:
    integral = quad(lambda t: (1 - math.exp(-2 * t)) / 2, 0, periods)[0] / periods
    assert mean_bit_error_rate(1.0, periods) == pytest.approx(integral, rel=1e-9)


def test_rare_upsets_are_not_lost_in_rounding() -> None:
    rate = 1e-18
    assert mean_bit_error_rate(rate, 1.0) == pytest.approx(rate / 2, rel=1e-12)
    assert bit_error_rate(rate, 1.0) == pytest.approx(rate, rel=1e-12)
    assert chance_of_several(1e-9) == pytest.approx(1e-18 / 2, rel=1e-8)
    assert mean_chance_of_several(1e-6) == pytest.approx(1e-12 / 6, rel=1e-5)


def test_a_bit_that_was_never_rewritten_is_wrong_half_of_the_time() -> None:
    assert bit_error_rate(1.0, 1e6) == 0.5
    assert mean_bit_error_rate(1.0, 1e9) == pytest.approx(0.5, rel=1e-8)


def test_rates_are_cross_section_times_flux_times_bits() -> None:
    device = outlook(TEN_SECONDS, CONCENTRATOR)
    assert device.bit_rate == pytest.approx(3e-8)
    assert device.upset_rate == pytest.approx(3.18e-4)
    assert 1 / device.upset_rate / 60 == pytest.approx(52.4, abs=0.05)


def test_wrong_decisions_are_half_a_period_times_the_sum_of_sensitivities() -> None:
    device = outlook(TEN_SECONDS, CONCENTRATOR)
    assert device.derating == 0.01
    assert device.wrong_decisions == pytest.approx(3e-8 * 10 / 2 * 106)
    assert device.right_to_wrong == pytest.approx(3e-8 * 10 / 2 * 53)


def test_failures_are_the_upsets_of_harmful_bits() -> None:
    device = outlook(TEN_SECONDS, CONCENTRATOR)
    assert device.failure_rate == pytest.approx(3e-8 * 2_000)
    assert device.mttf == pytest.approx(1 / (3e-8 * 2_000))
    assert device.fit == pytest.approx(3e-8 * 2_000 * 3600 * 1e9)


def test_no_harmful_bit_means_no_failure() -> None:
    device = outlook(TEN_SECONDS, Sensitivity(bits=8, changed=0.0, right_to_wrong=None, harmful=0))
    assert (device.mttf, device.fit, device.wrong_decisions, device.right_to_wrong) == (None, 0.0, 0.0, None)


@pytest.mark.parametrize("both", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("period", [0.01, 1.0, 10.0])
def test_the_bounds_hold_the_exact_share_of_two_bits_whatever_both_of_them_do(both: float, period: float) -> None:
    """Two bits flip back and forth, each by itself: the share is an integral over their four states."""
    alone = (0.2, 0.05)
    rate = 0.1

    def wrong(t: float) -> float:
        p = (1 - math.exp(-2 * rate * t)) / 2
        return p * (1 - p) * sum(alone) + p * p * both

    true = quad(wrong, 0, period)[0] / period
    bits = Sensitivity(bits=2, changed=sum(alone), right_to_wrong=None, harmful=2)
    device = outlook(Mission(cross_section=rate, flux=1.0, period=period), bits)
    assert device.wrong_decisions_lowest <= true <= device.wrong_decisions_highest
    assert device.wrong_decisions_highest <= 1


def test_upsets_of_several_bits_widen_every_bound() -> None:
    flux = Mission(cross_section=3e-14, flux=1e6, period=10.0, multi_bit_share=0.1)
    wide, narrow = outlook(flux, CONCENTRATOR), outlook(TEN_SECONDS, CONCENTRATOR)
    assert wide.wrong_decisions_lowest == pytest.approx(0.9 * narrow.wrong_decisions_lowest)
    assert wide.wrong_decisions_highest > narrow.wrong_decisions_highest
    assert wide.failure_rate_lowest == pytest.approx(0.9 * narrow.failure_rate)
    assert wide.failure_rate_highest == pytest.approx(3e-8 * (0.9 * 2_000 + 0.1 * 10_600))
    assert (narrow.failure_rate_lowest, narrow.failure_rate_highest) == (narrow.failure_rate, narrow.failure_rate)


def test_single_faults_hold_until_two_upsets_a_period_are_likelier_than_the_limit() -> None:
    def device(period: float) -> tuple[float, bool]:
        found = outlook(Mission(cross_section=3e-14, flux=1e6, period=period), CONCENTRATOR)
        return found.several_upsets, found.single_faults_hold

    below, above = device(400.0), device(500.0)
    assert below[0] <= SEVERAL_UPSETS_LIMIT < above[0]
    assert (below[1], above[1]) == (True, False)


def test_sensitivities_are_shares_of_the_samples_summed_over_bits() -> None:
    bits = sensitivity(np.array([0, 1, 20, 10]), np.array([0, 1, 15, 2]), samples=100, harmful_share=0.1)
    assert bits == Sensitivity(bits=4, changed=0.31, right_to_wrong=0.18, harmful=1)


def test_a_bit_at_the_threshold_of_harm_is_not_harmful() -> None:
    assert sensitivity(np.array([7, 8]), None, samples=100, harmful_share=0.07).harmful == 1
    assert sensitivity(np.array([0, 1]), None, samples=100).harmful == 1
