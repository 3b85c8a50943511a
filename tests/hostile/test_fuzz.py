"""Damaged files by the hundred, and on demand by the thousand: success or a clear refusal, nothing outside."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from support import fuzz_mutations, fuzz_targets
from support.fuzzing import fuzz

from hls.errors import EdgevalError

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


@pytest.mark.parametrize("target", ["network", "samples", "columns", "settings", "checkpoint"])
def test_what_is_fuzzed_is_taken_undamaged(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("damaged_bytes", "damaged_onnx", "damaged_json", "damaged_archive", "damaged_text"):
        monkeypatch.setattr(fuzz_mutations, name, lambda content, *_: content)
    (tmp_path / "corpus").mkdir()
    attempt = fuzz_targets.targets()[target](tmp_path / "corpus")
    taken = 0
    for case in range(8):
        place = tmp_path / str(case)
        place.mkdir()
        with contextlib.suppress(EdgevalError):  # settings that end the file's own meaning, a pickle with code in it
            attempt(case, place)
            taken += 1
    assert taken >= 7
