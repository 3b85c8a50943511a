"""What the report says about hardening, good and bad."""

from __future__ import annotations

import re

import msgspec
import pytest
from support.report_records import HARDENED as RECORD

from edgeval.hardening_record import HardenRecord, HeldOut
from edgeval.report.figures import Figure
from edgeval.report.hardening_section import hardening, pareto_figure
from edgeval.report.markup import Markup, element
from edgeval.report.page import render_page
from edgeval.report.view import RunView
from fault_injection.hardening import SCHEMES


def drawn(figure: Figure) -> Markup:
    return element("figure", figure.title)


def page(record: HardenRecord) -> str:
    """The section as text, tags taken out."""
    text = re.sub(r"<[^>]+>", " ", hardening(record, "hardening", drawn)).replace("\N{NO-BREAK SPACE}", " ")
    return re.sub(r"\s+", " ", text)


def test_what_was_bought_and_what_remains_comes_first() -> None:
    assert "100 bits added to 1,000 (+10.0 %) leave 25.0 % of the damage that single flips do" in page(RECORD)


def test_a_verified_plan_and_voters_that_hold_are_said_so() -> None:
    text = page(RECORD)
    assert "✓ Verified: every one of 1,100 physical bits flipped and decoded, damage as predicted" in text
    assert "30 flips in one copy changed no output word" in text
    assert "proven best" in text


def test_a_damage_that_was_not_predicted_is_bad() -> None:
    check = msgspec.structs.replace(RECORD.check, differing=3, agrees=False)
    text = page(msgspec.structs.replace(RECORD, check=check))
    assert "✕ Not as predicted: 3 bits of 1,100 do other damage" in text


@pytest.mark.parametrize("change", [{"mismatches": ("fc1.weight:3:5 in copy 1",)}, {"verdict": "differ"}])
def test_voters_that_do_not_hold_are_bad(change: dict[str, object]) -> None:
    voted = msgspec.structs.replace(RECORD.voter_check, **change)
    text = page(msgspec.structs.replace(RECORD, voter_check=voted))
    assert "✕ The hls4ml project" in text
    assert "Other than it has to be" in text


def test_a_plan_without_a_project_says_why() -> None:
    record = msgspec.structs.replace(RECORD, project=None, no_project="no bit is triplicated", voter_check=None)
    assert "No hardened hls4ml project: no bit is triplicated" in page(record)


def test_a_plan_that_is_not_proven_best_has_its_bound() -> None:
    assert "no less than 190 can be reached" in page(msgspec.structs.replace(RECORD, optimal=False, bound=190.0))


def test_other_samples_have_their_say() -> None:
    other = HeldOut(samples=50, damage_before=400.0, damage_after=320.0)
    assert "320 of 400 remain (80.0 %), 50 samples" in page(msgspec.structs.replace(RECORD, held_out=other))
    assert "not judged" in page(RECORD)


def test_every_scheme_has_a_line_of_its_own_colour_and_dash() -> None:
    traces = pareto_figure(RECORD).traces
    assert [trace["name"] for trace in traces] == [*SCHEMES, "this plan"]
    assert len({(trace["line"]["color"], trace["line"]["dash"]) for trace in traces[:-1]}) == len(SCHEMES)
    assert traces[1]["x"] == [0.0, 0.1]
    assert traces[1]["y"] == [1.0, 0.5]


def test_a_network_that_no_flip_harms_has_a_figure_too() -> None:
    pareto = tuple(msgspec.structs.replace(row, damage=0.0) for row in RECORD.pareto)
    record = msgspec.structs.replace(RECORD, damage_before=0.0, damage_after=0.0, pareto=pareto)
    assert pareto_figure(record).traces[0]["y"] == [0.0, 0.0]
    assert "leave nothing of the damage" in page(record)


def test_the_page_has_the_section_only_where_there_is_a_record(view: RunView) -> None:
    assert "run-1-hardening" not in render_page([view])
    hardened = RunView(name=view.name, run=view.run, hardening=RECORD)
    text = render_page([hardened])
    assert 'href="#run-1-hardening"' in text
    assert 'id="run-1-hardening"' in text
