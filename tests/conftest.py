"""Shared by all tests: what a skip means in CI, how many data tests ran, and runs that several tests read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

MUST_RUN_IN_CI = ("gxx", "browser", "data")
"""Marks whose tests `.ci/run` can always run: a skip there is a failure."""


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """In CI, a test that skips for a tool CI installs has failed."""
    outcome = yield
    report = outcome.get_result()
    marked = [mark for mark in MUST_RUN_IN_CI if item.get_closest_marker(mark)]
    if item.get_closest_marker("third_party") and not os.environ.get("EDGEVAL_DATA"):
        return  # that folder is not everywhere; the summary line says how many data tests were skipped
    if report.skipped and marked and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI although marked {', '.join(marked)}: {report.longrepr}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests on real data ran, so that a suite without any is seen."""
    counts = {
        outcome: sum("data" in report.keywords for report in terminalreporter.getreports(outcome))
        for outcome in ("passed", "failed", "skipped")
    }
    said = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    terminalreporter.write_line(f"data tests: {said}")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the test's own, for tests about the cache itself."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("EDGEVAL_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One Chromium for all tests of a process: two of its drivers cannot run at once."""
    from support.chromium import chromium

    with chromium() as opened:
        yield opened
