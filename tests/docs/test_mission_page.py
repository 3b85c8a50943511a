"""The worked example of the mission page against the functions it is about."""

from __future__ import annotations

import pytest
from support.markdown import DOCS, column, table

from edgeval.report.numbers import duration
from fault_injection.mission import (
    MEGABIT,
    NOT_MODELLED,
    SEVERAL_UPSETS_LIMIT,
    Mission,
    Outlook,
    Sensitivity,
    fit,
    outlook,
)

PAGE = DOCS / "mission.md"
BITS = 10_600


@pytest.fixture
def text() -> str:
    return PAGE.read_text(encoding="utf-8")


def expected(cross_section: float = 3e-14, flux: float = 1e6) -> Outlook:
    bits = Sensitivity(bits=BITS, changed=0.01 * BITS, right_to_wrong=None, harmful=BITS)
    return outlook(Mission(cross_section=cross_section, flux=flux, period=10.0), bits)


def test_the_worked_example_is_what_the_functions_give() -> None:
    device = expected()
    assert {row["figure"]: row["value"] for row in table(PAGE, "figure", "value")} == {
        "upsets of a bit": f"{device.bit_rate:.3g} /s",
        "one upset in the device": f"every {duration(1 / device.upset_rate)}".replace("\xa0", " "),
        "mean bit-error rate": f"{device.mean_bit_error_rate:.3g}",
        "worst bit-error rate": f"{device.worst_bit_error_rate:.3g}",
        "periods with an upset": f"{100 * device.any_upset:.3g} %",
        "periods with two or more": f"{100 * device.several_upsets:.3g} %",
    }


def test_the_numbers_in_its_sentences_are_right(text: str) -> None:
    device, hotter = expected(), expected(1e-13, 1e7)
    assert f"one every {60 / 3600 / hotter.upset_rate:.3g} min" in text
    assert f"gets {device.wrong_decisions:.4g} of its decisions wrong" in text
    assert f"at least {device.wrong_decisions_lowest:.4g} and at most {device.wrong_decisions_highest:.4g}" in text


def test_the_rates_at_sea_level_are_right() -> None:
    rows = table(PAGE, "σ [cm² a bit]", "FIT/Mb")
    assert column(rows, "FIT/Mb") == ["95", "34", "4"]
    for row in rows:
        assert f"{fit(float(row['σ [cm² a bit]']) * 13 / 3600 * MEGABIT):.0f}" == row["FIT/Mb"]


def test_the_page_names_the_limit_and_everything_that_is_not_modelled(text: str) -> None:
    assert f"warns above {100 * SEVERAL_UPSETS_LIMIT:g} %" in text
    section = text.split("## What is not modelled")[1]
    assert [line.removeprefix("- ") for line in section.splitlines() if line.startswith("- ")] == list(NOT_MODELLED)
