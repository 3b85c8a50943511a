"""One operator and option a row: exact, explained or refused; the page says what the code does today."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from support.conformance import Case, Outcome, outcome, page
from support.conformance_cases import CASES
from support.markdown import DOCS
from support.random_check import simulated

from hls.lowering import LOWERINGS, lower

PAGE = DOCS / "conformance.md"
SHARES = 20
"""The first share is compiled in every CI run, the others by `make test-long`."""
KNOWN_REFUSALS = {"ConvTranspose", "Gather", "LSTM", "LayerNormalization"}
"""Operators that have a row although nothing lowers them: what people try."""


@pytest.fixture(scope="module")
def outcomes() -> dict[Case, Outcome]:
    return {case: outcome(case) for case in CASES}


def test_the_page_is_what_the_cases_give(outcomes: dict[Case, Outcome]) -> None:
    text = page(outcomes)
    if os.environ.get("EDGEVAL_WRITE_DOCS"):
        PAGE.write_text(text, encoding="utf-8")
    # Whether a word on a rounding boundary differs in float32 is up to the machine's own multiplications and additions.
    kept = PAGE.read_text(encoding="utf-8")
    assert _alike(kept) == _alike(text), "write it again: EDGEVAL_WRITE_DOCS=1 pytest <this file>"


def _alike(text: str) -> str:
    return text.replace("| explained |", "| exact |")


def test_every_operator_of_the_lowering_has_a_row() -> None:
    assert {case.operator for case in CASES} == set(LOWERINGS) | KNOWN_REFUSALS


def test_no_two_rows_are_about_the_same() -> None:
    rows = [(case.operator, case.option) for case in CASES]
    assert len(set(rows)) == len(rows)


def test_the_page_has_every_kind_of_outcome(outcomes: dict[Case, Outcome]) -> None:
    kinds = {out.network.partition(":")[0] for out in outcomes.values()}
    assert kinds == {"exact", "explained", "refused"}


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.long) for part in range(1, SHARES))])
@pytest.mark.slow
@pytest.mark.gxx
def test_what_hls4ml_is_said_to_hold_simulates_exactly(
    part: int, outcomes: dict[Case, Outcome], tmp_path: Path
) -> None:
    held = [case for case, out in outcomes.items() if out.hls4ml == "yes"]
    for number, case in enumerate(held[part::SHARES]):
        inputs = np.random.default_rng(7).normal(size=(60, *case.shape)) * 3
        verdict = simulated(lower(case.model()), inputs, tmp_path / str(number), number)
        assert verdict.kind == "exact", f"{case.operator}, {case.option}: {verdict.detail}"
