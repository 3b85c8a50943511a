from __future__ import annotations

import pytest

from edgeval.report.numbers import change, count, counted, percent, quantity, significant


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_whole_numbers_have_separators_and_a_real_minus() -> None:
    assert (count(1234567), count(-12), counted(1, "word"), counted(0, "word")) == (
        "1,234,567",
        "−12",
        "1 word",
        "0 words",
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (12.345678, "12.35"), (999.96, "1,000"), (-0.5, "−0.5"), (1e-7, "1e−7"), (123456.7, "123,457")],
)
def test_real_numbers_keep_four_digits(value: float, shown: str) -> None:
    assert significant(value) == shown


@pytest.mark.parametrize(
    ("share", "shown"), [(0.0, "0 %"), (0.0001, "< 0.1 %"), (0.5, "50.0 %"), (0.99996, "> 99.9 %"), (1.0, "100 %")]
)
def test_shares_are_never_rounded_to_nothing_or_all(share: float, shown: str) -> None:
    assert plain(percent(share)) == shown


def test_fractions_are_per_cent_and_their_changes_points() -> None:
    assert plain(quantity(0.9639, "fraction")) == "96.39 %"
    assert plain(change(-0.031, "fraction")) == "−3.10 points"
    assert plain(change(0.0, "fraction")) == "0 points"


def test_small_changes_are_not_shown_as_none() -> None:
    assert plain(change(-0.00003, "fraction")) == "−0.003 points"


def test_other_units_follow_the_number() -> None:
    assert plain(quantity(1.5, "kcal/mol")) == "1.5 kcal/mol"
    assert plain(change(1.5, "kcal/mol")) == "+1.5 kcal/mol"
