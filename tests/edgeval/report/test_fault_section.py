"""What the page says about sampled campaigns and about campaigns that know decisions only."""

from __future__ import annotations

import dataclasses
import html
import re
from typing import Any

import msgspec
import pytest

from edgeval.records import CrossCheckRow
from edgeval.report.figures import class_bars
from edgeval.report.page import render_page
from edgeval.report.view import RunView
from fault_injection.campaign import decisions_only
from fault_injection.estimates import Estimate, Estimated, Stratum
from fault_injection.summary import damage_table

STRATUM = Stratum(
    tensor="fc1.weight", bit=5, population=4096, judged=50, known=10, weight=102.15,
    critical=Estimated(value=0.3, low=0.2, high=0.42),
)  # fmt: skip
ESTIMATE = Estimate(
    design="stratified", confidence=0.95, margin=0.01, population=40_480, judged=3157, rounds=2,
    critical=Estimated(value=0.11, low=0.101, high=0.119),
    decisions_changed=Estimated(value=0.002, low=0.0015, high=0.0024),
    metric_change=Estimated(value=-0.0004, low=-0.0005, high=-0.0003),
    strata=(STRATUM, msgspec.structs.replace(STRATUM, bit=4, judged=0, critical=None)),
)  # fmt: skip


def page_of(view: RunView, **changes: Any) -> str:
    """The text of a page whose campaign has a changed record, white space as one blank."""
    (campaign,) = view.campaigns
    record = msgspec.structs.replace(campaign.record, **changes)
    page = render_page([dataclasses.replace(view, campaigns=(dataclasses.replace(campaign, record=record),))])
    body = re.sub(r"<(style|script)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))


def test_a_sampled_campaign_leads_with_its_estimate(view: RunView) -> None:
    text = page_of(view, estimate=ESTIMATE, exhaustive=False)
    assert "11.0 % of all are critical (10.1 % to 11.9 % at 95.0 % confidence)" in text
    assert "3,157 of 40,480 faults, stratified by tensor and bit, in 2 steps with Neyman allocation" in text
    assert "mean change of accuracy −0.04 points −0.05 points −0.03 points" in text


def test_strata_have_their_weights_and_intervals_and_may_be_empty(view: RunView) -> None:
    text = page_of(view, estimate=ESTIMATE, exhaustive=False)
    assert "fc1.weight 5 4,096 50 10 102.2 30.0 % 20.0 % 42.0 %" in text
    assert "fc1.weight 4 4,096 0 10 102.2" in text


def test_a_simple_sample_says_how_it_was_drawn(view: RunView) -> None:
    simple = msgspec.structs.replace(ESTIMATE, design="simple", margin=None)
    assert "3,157 of 40,480 faults, each with the same chance." in page_of(view, estimate=simple)


def test_a_campaign_of_all_faults_has_no_estimates(view: RunView) -> None:
    assert "What the sample says" not in page_of(view)


def test_where_the_campaign_ran_is_told(view: RunView) -> None:
    assert "local workers: 2 workers, 1 kernel thread each" in page_of(view)
    assert "dask cluster: 1 kernel thread each" in page_of(view, run_on="dask cluster", workers=0)


def test_the_faults_of_every_campaign_that_were_repeated_are_told(view: RunView) -> None:
    assert "✓ 100 faults repeated by brute force, one run of the whole network each: 0 mismatches" in page_of(view)
    bad = CrossCheckRow(executor="exact engine", faults=100, words=9, mismatches=("fc1.weight:3:5",))
    assert "✕ 100 faults repeated by brute force, one run of the whole network each: 1 mismatch" in page_of(
        view, brute_force=bad
    )


@pytest.fixture
def decisions(view: RunView) -> dict[str, Any]:
    """What the record of the same campaign says in decisions detail."""
    (campaign,) = view.campaigns
    assert campaign.outcomes is not None
    critical = campaign.record.classes["critical"]
    damage = damage_table(decisions_only(campaign.outcomes), samples=campaign.record.samples, higher_is_better=True)
    classes = {"kept": campaign.record.faults - critical, "critical": critical}
    return {"detail": "decisions", "damage": damage, "classes": classes}


def test_with_decisions_alone_faults_are_kept_or_critical(view: RunView, decisions: dict[str, Any]) -> None:
    text = page_of(view, **decisions)
    assert "decisions only" in text
    assert "kept : decisions stay. critical : the largest output is another one" in text
    assert "tolerable" not in text


def test_the_class_bars_of_decisions_alone_stack_to_one(decisions: dict[str, Any]) -> None:
    for figure in class_bars(decisions["damage"]):
        assert [trace["name"] for trace in figure.traces] == ["critical", "kept"]
        assert all(sum(shares) == pytest.approx(1) for shares in zip(*(t["y"] for t in figure.traces), strict=True))
