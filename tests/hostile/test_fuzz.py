"""Damaged files by the hundred, and on demand by the thousand: success or a clear refusal, nothing outside."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.fuzzing import fuzz

QUICK = {"network": 150, "records": 150}
"""Targets that need no torch and no hls4ml: a small share in every test run."""
LONG = {
    "onnx": 3300, "onnx-export": 300, "network": 1600, "samples": 900, "records": 1800, "run": 200, "checkpoint": 800,
    "weights": 200, "columns": 500, "project": 200, "settings": 200,
}  # fmt: skip
"""Ten thousand, as ``tools/fuzz --cases 10000`` tries them."""


@pytest.mark.parametrize("target", QUICK)
def test_damaged_files_are_taken_or_refused(target: str, tmp_path: Path) -> None:
    tally = fuzz(target, tmp_path, first=100_000, count=QUICK[target])
    assert tally.findings == []
    assert tally.cases == QUICK[target]
    assert tally.refused > QUICK[target] // 2


@pytest.mark.long
@pytest.mark.parametrize("target", LONG)
def test_ten_thousand_damaged_files_are_taken_or_refused(target: str, tmp_path: Path) -> None:
    tally = fuzz(target, tmp_path, count=LONG[target])
    assert tally.findings == []
    assert tally.cases == LONG[target]
