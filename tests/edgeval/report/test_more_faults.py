"""The sections about bit error rates and worst flips: the numbers of the record, and figures that hold them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from support.report_records import FLIPS, RATES

from edgeval.report.error_rate_section import error_rate_figure
from edgeval.report.page import render_page
from edgeval.report.view import RunView
from edgeval.report.worst_flips_section import worst_flips_figure


def traces(figure: Any) -> dict[str, Any]:
    return {trace["name"]: trace for trace in figure.traces}


def test_the_band_is_the_percentiles_of_single_images() -> None:
    found = traces(error_rate_figure(RATES))
    assert found["5 % of the images"]["y"] == pytest.approx([0.75, 0.5])
    assert found["5 to 95 % of the images"]["y"] == pytest.approx([0.97, 0.72])
    assert found["25 to 75 % of the images"]["fill"] == "tonexty"
    assert found["mean"]["y"] == [0.95, 0.7]
    assert found["mean, plain draws"]["y"] == pytest.approx([0.947, 0.697])
    assert found["no fault"]["y"] == [0.96, 0.96]


def test_a_mean_without_an_interval_has_no_bar() -> None:
    bars = traces(error_rate_figure(RATES))["mean"]["error_y"]
    assert bars["array"] == pytest.approx([0.0, 0.02])
    assert bars["arrayminus"] == pytest.approx([0.0, 0.01])


def test_flips_start_from_the_fault_free_metric_and_chance_is_drawn() -> None:
    found = traces(worst_flips_figure(FLIPS))
    assert found["worst flips"]["x"] == [0, 1, 2]
    assert found["worst flips"]["y"] == [0.96, 0.5, 0.09]
    assert found["worst flips"]["customdata"] == ["no fault", "fc3.weight:8:5", "fc3.bias:1:7"]
    assert found["chance level"]["y"] == [0.1, 0.1, 0.1]
    assert "chance level" not in traces(worst_flips_figure(msgspec.structs.replace(FLIPS, chance=None)))


def test_the_page_shows_both_with_their_provenance(view: RunView) -> None:
    page = render_page([replace(view, error_rates=RATES, worst_flips=FLIPS)])
    text = re.sub(r"<[^>]*>", " ", page)
    for said in (
        "Bit error rates", "not known: all images agree", "69.00\xa0% to 72.00\xa0%", "39,632 stored bits",
        "2 flips of 39,632 stored bits take the accuracy from 96.00\xa0% to 9.00\xa0%; chance level is reached",
        "fc3.bias:1:7", "300 (83.6\xa0%)",
    ):  # fmt: skip
        assert said in text, said
    match = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    assert match is not None
    titles = {trace["name"] for figure in json.loads(match[1]) for trace in figure["traces"] if "name" in trace}
    assert {"mean, plain draws", "worst flips"} <= titles


def test_a_step_that_is_not_confirmed_is_named(view: RunView) -> None:
    page = render_page([replace(view, worst_flips=msgspec.structs.replace(FLIPS, unconfirmed=("fc3.bias:1:7",)))])
    assert "disagrees at" in page
    assert "Every step was confirmed" not in page


def test_a_search_that_found_nothing_has_no_figure(view: RunView) -> None:
    nothing = msgspec.structs.replace(FLIPS, flips=(), ended="harmless")
    page = render_page([replace(view, worst_flips=nothing)])
    assert "no further flip makes it worse" in page
    assert "under the worst flips" not in page


def test_without_the_records_there_are_no_sections(view: RunView) -> None:
    page = render_page([view])
    assert "<h3>Bit error rates" not in page
    assert "<h3>Worst flips" not in page
