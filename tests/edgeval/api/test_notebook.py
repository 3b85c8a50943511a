"""Results as a notebook shows them."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from support.chromium import needs_chromium

import edgeval


@pytest.fixture(scope="module")
def pieces(
    exported: edgeval.ExportResult, campaign: edgeval.InjectResult, compared: edgeval.CompareResult
) -> list[str]:
    """The HTML of one result of each kind, and of a comparison that differs and one without a verdict."""
    run, record = exported.run, compared.record
    other = [
        msgspec.structs.replace(record, verdict="differ", headline="DIFFER 1 of 2 words"),
        msgspec.structs.replace(record, verdict="no_verdict", headline="NO VERDICT: nothing to see"),
    ]
    results: list[Any] = [
        run, exported, compared, campaign, edgeval.plan_faults(run), edgeval.TrainResult(run=run, record=run.record),
        *(edgeval.CompareResult(run=run, record=item) for item in other),
    ]  # fmt: skip
    return [result._repr_html_() for result in results]


@pytest.mark.gxx
def test_a_notebook_shows_a_verdict_with_its_evidence(pieces: list[str]) -> None:
    for piece, badge in zip(pieces[2::4], ["MATCH", "DIFFER"], strict=False):
        assert f">{badge}</strong>" in piece
    assert "480 of 480 words, 3 layers, 40 samples" in pieces[2]
    assert pieces[2].count("<tr>") == 4


@pytest.mark.gxx
def test_a_piece_needs_nothing_from_elsewhere_and_runs_nothing(pieces: list[str]) -> None:
    for piece in pieces:
        assert not re.search(r"<script|<style|<link|<img|url\(|https?:|\son\w+=", piece)


def test_names_cannot_forge_markup(exported: edgeval.ExportResult) -> None:
    layers = tuple(msgspec.structs.replace(row, name="<script>alert(1)</script>") for row in exported.layers)
    forged = edgeval.ExportResult(run=exported.run, record=msgspec.structs.replace(exported.record, layers=layers))
    assert "<script" not in forged._repr_html_()
    assert "&lt;script&gt;" in forged._repr_html_()


def test_a_long_table_says_what_it_leaves_out(exported: edgeval.ExportResult) -> None:
    record = msgspec.structs.replace(exported.record, layers=exported.layers * 20)
    shown = edgeval.ExportResult(run=exported.run, record=record)._repr_html_()
    assert f"and {20 * len(exported.layers) - 40} more rows" in shown


@pytest.mark.gxx
class TestInABrowser:
    pytestmark = needs_chromium

    def test_every_piece_can_be_read_in_both_schemes_at_the_width_of_a_phone(
        self, pieces: list[str], browser: Any
    ) -> None:
        for ground, ink in (("#ffffff", "#111111"), ("#111111", "#e0e0e0")):
            page = browser.new_page(viewport={"width": 390, "height": 800})
            said: list[str] = []
            page.on("console", lambda message, said=said: said.append(message.text))
            page.on("request", lambda request, said=said: said.append(request.url))
            page.set_content(f"<body style='background:{ground};color:{ink}'>{''.join(pieces)}</body>")
            assert said == []
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            inks = page.evaluate("[...document.querySelectorAll('td')].map(cell => getComputedStyle(cell).color)")
            assert set(inks) == {page.evaluate("getComputedStyle(document.body).color")}
