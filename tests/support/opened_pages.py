"""Pages opened in headless Chromium, with everything that happened while they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import pytest


@dataclass(frozen=True)
class OpenedPage:
    """A page and what it asked for and complained of."""

    page: Any
    requests: list[str]
    complaints: list[str]

    def figures(self) -> list[dict[str, Any]]:
        """As the page describes them to its script."""
        described = self.page.evaluate("JSON.parse(document.getElementById('figures').textContent)")
        assert isinstance(described, list)
        return described


@contextmanager
def opened_page(browser: Any, url: str, *, width: int = 1280, scheme: str = "light") -> Iterator[OpenedPage]:
    """Open a page and wait until its figures, if it has any, are drawn."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(url)
    if page.locator("#figures").count():
        page.wait_for_selector("html[data-figures=drawn]", state="attached", timeout=60_000)
    yield OpenedPage(page, requests, complaints)
    context.close()


def accessibility_faults(page: Any, *, contrast: bool = True) -> list[str]:
    """Serious and critical faults that axe-core finds, one line each.

    Args:
        page: Of playwright.
        contrast: Whether colours are measured; they take four fifths of the time and depend on the scheme alone.
    """
    axe = pytest.importorskip("axe_playwright_python", reason="no axe-core: pip install 'edgeval-toolkit[dev]'")
    page.evaluate((files(axe) / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate(
        """(contrast) => axe.run({exclude: [[".svg-container"]]}, {
            resultTypes: ["violations"], preload: false, rules: {"color-contrast": {enabled: contrast}},
        })""",
        contrast,
    )
    return [
        f"{fault['impact']} {fault['id']}: {fault['nodes'][0]['html'][:200]}"
        for fault in found["violations"]
        if fault["impact"] in {"serious", "critical"}
    ]
