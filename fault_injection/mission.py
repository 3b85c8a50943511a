"""From the exact sensitivities of single bits to a mission: upsets, bit-error rate, wrong decisions, failures.

Upsets of stored bits are a Poisson process whose rate a bit is cross-section × flux. A flipped bit stays until it is
flipped back or rewritten; every rewriting period (scrubbing) starts clean. Where at most one upset falls into a period,
the network of that period is one that the campaign judged, and its figures are exact; what more upsets do is bounded,
not guessed. Physics: JEDEC JESD89A (rates and FIT); Huhtinen and Faccio, NIM A 450 (2000) 155 (flux at colliders);
Leveugle et al., DATE 2009 (what a single-fault campaign says).
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
from jaxtyping import Int

SECONDS_PER_HOUR = 3600.0
FIT_HOURS = 1e9
"""Failures in time are counted over so many device hours."""
MEGABIT = 2**20

SEVERAL_UPSETS_LIMIT = 0.01
"""Largest probability of two or more upsets in one period at which single-fault figures are given without a warning."""

NOT_MODELLED = (
    "functional interrupts of the whole device (SEFI)",
    "latch-up (SEL)",
    "total dose and ageing (TID)",
    "faults in the configuration memory of an FPGA, which alter logic rather than stored words",
    "transients in flip-flops and gates, which disturb one inference and leave no stored bit wrong",
)
"""What happens to devices in radiation and is no stored bit of the network that flips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mission:
    """Where the device is, and how often its words are rewritten.

    Attributes:
        cross_section: Upsets of one bit per particle fluence, in cm² a bit; above 0.
        flux: Particles in 1/cm²/s; above 0.
        period: Seconds between two rewritings of a word; above 0.
        multi_bit_share: Share of the upsets that flip several bits at once, 0 to 1.
    """

    cross_section: float
    flux: float
    period: float
    multi_bit_share: float = 0.0

    @property
    def bit_rate(self) -> float:
        """Upsets of one bit, in 1/s.

        Example:
            >>> f"{Mission(cross_section=3e-14, flux=1e6, period=10).bit_rate:.3g}"
            '3e-08'
        """
        return self.cross_section * self.flux


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """What one flipped bit does to decisions, summed over the bits of a campaign.

    Attributes:
        bits: Bits judged.
        changed: Sum over the bits of S_b, the share of samples whose decision the flip of bit b changes.
        right_to_wrong: The same for right decisions that go wrong; ``None`` without labels.
        harmful: Bits whose S_b is above the threshold of harm.
    """

    bits: int
    changed: float
    right_to_wrong: float | None
    harmful: int

    @property
    def derating(self) -> float:
        """Mean S_b: the chance that one upset changes one decision, 0 to 1."""
        return self.changed / self.bits


def sensitivity(
    decisions_changed: Int[np.ndarray, " bits"],
    right_to_wrong: Int[np.ndarray, " bits"] | None,
    *,
    samples: int,
    harmful_share: float = 0.0,
) -> Sensitivity:
    """Sum up an exhaustive campaign of flips.

    Args:
        decisions_changed: Samples whose decision each flip changes.
        right_to_wrong: Samples whose right decision goes wrong; ``None`` without labels.
        samples: Size of the evaluation set.
        harmful_share: A bit is harmful where its share of changed decisions is above this, 0 to 1.

    Example:
        >>> sensitivity(np.array([0, 5, 20]), None, samples=100).derating
        0.08333333333333333
    """
    return Sensitivity(
        bits=len(decisions_changed),
        changed=int(decisions_changed.sum()) / samples,
        right_to_wrong=None if right_to_wrong is None else int(right_to_wrong.sum()) / samples,
        harmful=int((decisions_changed / samples > harmful_share).sum()),
    )


class Outlook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one device has to expect.

    Attributes:
        bit_rate: Upsets of one bit, 1/s.
        fit_per_megabit: The same as upsets of 2^20 bits in 10^9 hours.
        upset_rate: Upsets of the device, 1/s.
        worst_bit_error_rate, mean_bit_error_rate: λT and λT/2: chance that a bit is wrong at the end of a period, and
            on average over it, to first order.
        worst_bit_error_rate_exact, mean_bit_error_rate_exact: The same with bits that flip back.
        derating: Chance that one upset changes one decision.
        wrong_decisions: Share of all decisions that upsets change, to first order: (λT/2) × sum of S_b.
        wrong_decisions_lowest, wrong_decisions_highest: Bounds of that share: periods with one upset of one bit count
            exactly, all others change no decision or every one.
        right_to_wrong: Share of all decisions that were right and go wrong, to first order; ``None`` without labels.
        any_upset, several_upsets: Chance of at least one, and of at least two upsets in a period.
        single_faults_hold: Whether the latter is at most ``SEVERAL_UPSETS_LIMIT``.
        failure_rate: Upsets that change more decisions than the threshold of harm allows, 1/s; upsets of several bits
            count as upsets of one.
        failure_rate_lowest, failure_rate_highest: Where no, or every, upset of several bits is harmful.
        mttf: Mean seconds to a failure; ``None`` where no bit is harmful.
        fit: Failures in 10^9 hours.
    """

    bit_rate: float
    fit_per_megabit: float
    upset_rate: float
    worst_bit_error_rate: float
    mean_bit_error_rate: float
    worst_bit_error_rate_exact: float
    mean_bit_error_rate_exact: float
    derating: float
    wrong_decisions: float
    wrong_decisions_lowest: float
    wrong_decisions_highest: float
    right_to_wrong: float | None
    any_upset: float
    several_upsets: float
    single_faults_hold: bool
    failure_rate: float
    failure_rate_lowest: float
    failure_rate_highest: float
    mttf: float | None
    fit: float


def outlook(mission: Mission, bits: Sensitivity) -> Outlook:
    """What one device has to expect of upsets in the bits of a campaign."""
    rate, period, several_bits = mission.bit_rate, mission.period, mission.multi_bit_share
    expected = rate * period * bits.bits
    lowest = (1 - several_bits) * bits.derating * mean_chance_of_one(expected)
    unknown = mean_chance_of_several(expected) + several_bits * mean_chance_of_one(expected)
    several = chance_of_several(expected)
    failure_rate, single_bit_failures = rate * bits.harmful, (1 - several_bits) * rate * bits.harmful
    return Outlook(
        bit_rate=rate,
        fit_per_megabit=fit(rate * MEGABIT),
        upset_rate=rate * bits.bits,
        worst_bit_error_rate=rate * period,
        mean_bit_error_rate=rate * period / 2,
        worst_bit_error_rate_exact=bit_error_rate(rate, period),
        mean_bit_error_rate_exact=mean_bit_error_rate(rate, period),
        derating=bits.derating,
        wrong_decisions=rate * period / 2 * bits.changed,
        wrong_decisions_lowest=lowest,
        wrong_decisions_highest=lowest + unknown,
        right_to_wrong=None if bits.right_to_wrong is None else rate * period / 2 * bits.right_to_wrong,
        any_upset=chance_of_any(expected),
        several_upsets=several,
        single_faults_hold=several <= SEVERAL_UPSETS_LIMIT,
        failure_rate=failure_rate,
        failure_rate_lowest=single_bit_failures,
        failure_rate_highest=single_bit_failures + several_bits * rate * bits.bits,
        mttf=1 / failure_rate if failure_rate else None,
        fit=fit(failure_rate),
    )


def fit(rate: float) -> float:
    """A rate in 1/s as failures in 10^9 hours.

    Example, the sea-level neutrons of JESD89A (13 /cm²/h) on 2^20 bits of 7e-15 cm²:
        >>> f"{fit(7e-15 * 13 / 3600 * MEGABIT):.0f}"
        '95'
    """
    return rate * SECONDS_PER_HOUR * FIT_HOURS


def bit_error_rate(rate: float, seconds: float) -> float:
    """Chance that a bit is wrong so long after it was written: ½ (1 - exp(-2 λ t)), because two flips undo each other.

    Example:
        >>> bit_error_rate(1.0, 1e9), f"{bit_error_rate(3e-8, 10):.6g}"
        (0.5, '3e-07')
    """
    return float(-np.expm1(-2 * rate * seconds) / 2)


def mean_bit_error_rate(rate: float, period: float) -> float:
    """The same, averaged over a period: ½ (1 - (1 - exp(-x)) / x) with x = 2 λ T, without its cancellation at small x.

    Example:
        >>> f"{mean_bit_error_rate(3e-8, 10):.6g}"
        '1.5e-07'
    """
    x = 2 * rate * period
    return float((-np.expm1(-x) - _gamma(2, x) / x) / 2)


def chance_of_any(expected: float) -> float:
    """Chance of at least one upset where so many are expected."""
    return float(-np.expm1(-expected))


def chance_of_several(expected: float) -> float:
    """Chance of at least two upsets where so many are expected: 1 - (1 + μ) exp(-μ), about μ²/2."""
    return float(_gamma(2, expected))


def mean_chance_of_one(expected: float) -> float:
    """Chance of exactly one upset so far, averaged over a period in whose course so many are expected: about μ/2.

    The integral of x exp(-x) from 0 to μ, over μ.
    """
    return float(_gamma(2, expected) / expected)


def mean_chance_of_several(expected: float) -> float:
    """Chance of two or more upsets so far, averaged over a period in whose course so many are expected: about μ²/6.

    The integral of P(X ≥ 2) from 0 to μ is the mean of max(X - 2, 0), that is μ P(X ≥ 2) - 2 P(X ≥ 3).
    """
    return float(_gamma(2, expected) - 2 * _gamma(3, expected) / expected)


def _gamma(shape: int, x: float) -> float:
    """Chance of at least ``shape`` upsets where x are expected: the regularized lower incomplete gamma function."""
    from scipy.special import gammainc  # here: records of missions are read where SciPy is not wanted

    return float(gammainc(shape, x))
