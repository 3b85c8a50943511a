"""The page of a real run, as a user opens it: pictures there, nothing asked of any network, nothing complained of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.chromium import needs_chromium

from edgeval.cli import run as edgeval

pytestmark = [pytest.mark.gxx, *needs_chromium]


def test_the_page_of_a_run_shows_its_plots_without_any_request(digits_run: Path, tmp_path: Path, browser: Any) -> None:
    assert edgeval(["csim-compare", str(digits_run)]) == 0
    assert edgeval(["inject-faults", str(digits_run)]) == 0
    page_file = tmp_path / "report.html"
    assert edgeval(["report", str(digits_run), "-o", str(page_file)]) == 0
    requests: list[str] = []
    complaints: list[str] = []
    page = browser.new_page()
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(page_file.as_uri())
    page.wait_for_selector(".js-plotly-plot .main-svg", timeout=30_000)
    for _ in range(100):
        drawn = page.locator(".js-plotly-plot .main-svg").count()
        page.wait_for_timeout(100)
        if drawn == page.locator(".js-plotly-plot .main-svg").count() and drawn > 10:
            break
    assert page.locator(".js-plotly-plot").count() >= 10
    assert "MATCH" in page.inner_text("body")
    assert requests == [page_file.as_uri()]
    assert complaints == []
