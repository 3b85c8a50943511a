from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from support.report_records import whole_view

from edgeval.error_histogram import error_histogram, tally
from edgeval.records import CrossCheckRow, FirstDifference
from edgeval.report.page import CampaignView, RunView, render_page
from edgeval.report.view import Unread

MakeView = Callable[..., RunView]


def figures_of(page: str) -> list[dict[str, Any]]:
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    described = json.loads(found[1])
    assert isinstance(described, list)
    return described


def text_of(page: str) -> str:
    body = page.split("<main", 1)[1].split("</main>", 1)[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body)).replace("\N{NO-BREAK SPACE}", " ")


def campaign_with(view: RunView, **changes: object) -> RunView:
    campaign = view.campaigns[0]
    record = msgspec.structs.replace(campaign.record, **changes)
    return dataclasses.replace(view, campaigns=(dataclasses.replace(campaign, record=record),))


@pytest.fixture(scope="module")
def whole(view: RunView) -> RunView:
    return whole_view(view)


@pytest.fixture(scope="module")
def page(view: RunView) -> str:
    return render_page([view])


def test_equal_views_give_equal_pages(page: str, view: RunView) -> None:
    assert render_page([view]) == page


def test_plotly_is_in_the_page_once_for_several_runs_too(make_view: MakeView) -> None:
    assert render_page([make_view("a"), make_view("b")]).count("plotly.js v") == 1


def test_nothing_outside_the_page_is_referred_to(page: str) -> None:
    without_plotly = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', without_plotly) == []
    assert "url(" not in without_plotly
    assert "default-src &#x27;none&#x27;; script-src &#x27;sha256-" in page


def test_the_verdict_is_a_word_and_a_sign_beside_its_colour(page: str) -> None:
    assert re.search(r"✓ +MATCH +\d[\d,]* of", text_of(page))


@pytest.mark.parametrize(
    ("verdict", "headline", "shown"),
    [
        ("differ", "DIFFER 3 of 90 words", "✕ DIFFER 3 of 90 words"),
        ("no_verdict", "NO VERDICT: the output is constant", "? NO VERDICT the output is constant"),
    ],
)
def test_every_verdict_has_its_own_sign(view: RunView, verdict: str, headline: str, shown: str) -> None:
    assert view.compare is not None
    compare = msgspec.structs.replace(view.compare, verdict=verdict, headline=headline)
    assert shown in text_of(render_page([dataclasses.replace(view, compare=compare)]))


def test_missing_sections_name_the_verb_that_makes_them(view: RunView) -> None:
    text = text_of(render_page([RunView(name="fresh", run=view.run)]))
    for verb in ("export", "csim-compare", "inject-faults", "emulator", "rank-bits", "error-rate", "harden", "mission"):
        assert f"edgeval {verb} RUN" in text
    assert "edgeval csim-compare RUN --matrix" in text


def test_what_is_there_is_not_listed_as_missing(page: str) -> None:
    listed = re.findall(r"edgeval ([a-z-]+) RUN[^:]*", text_of(page))
    assert "emulator" in listed
    assert not {"export", "inject-faults RUN "} & set(listed)


def test_a_run_with_every_record_has_a_section_for_each_and_lists_nothing_as_missing(whole: RunView) -> None:
    page = render_page([whole])
    titles = re.findall(r"<h3>(.*?)</h3>", page)
    assert titles == [
        "Overview", "Layers", "Comparison", "Comparison, Quartus io_parallel Resource", "Comparison, poked",
        "Back ends", "Self-test, csim-compare", "Self-test, inject-faults", "Emulator", "Faults", "Fault plan",
        "Ranked bits", "Bit error rates", "Worst flips", "Hardening", "Mission", "Regression check", "Provenance",
    ]  # fmt: skip


def test_every_section_stands_in_the_navigation(whole: RunView) -> None:
    page = render_page([whole])
    navigation = page.split("<nav", 1)[1].split("</nav>", 1)[0]
    for title in re.findall(r"<h3>(.*?)</h3>", page):
        assert f">{title}</a>" in navigation


def test_the_fault_that_a_gate_found_and_its_remedy_are_told(whole: RunView) -> None:
    text = text_of(render_page([whole]))
    assert "✕ FAILED 1 of 2 gates" in text
    assert "result_t of fc2 changed" in text
    assert "Remedy: edgeval regress check --update" in text


def test_a_record_that_cannot_be_read_is_named_and_its_verdict_is_not_called_missing(view: RunView) -> None:
    lost = Unread(file="csim-compare.json", found="edgeval.csim-compare/1", remedy="run the command again")
    text = text_of(render_page([dataclasses.replace(view, compare=None, unread=(lost,))]))
    assert "records/csim-compare.json : edgeval.csim-compare/1. To mend it: run the command again." in text
    assert "UNREADABLE" in text
    assert "NOT COMPARED" not in text


def test_layers_show_formats_accumulators_and_sparsity(page: str, view: RunView) -> None:
    assert view.export is not None
    text = text_of(page)
    for row in view.export.layers:
        assert row.output_format.replace("<", "&lt;").replace(">", "&gt;") in text
    assert "18 bits" in text
    assert "stored weights are zero (" in text


def test_a_native_project_is_called_hls4mls_own(view: RunView) -> None:
    export = msgspec.structs.replace(view.export, flow="native", project="native")
    text = text_of(render_page([dataclasses.replace(view, export=export)]))
    assert "hls4ml's own project of the user's graph in native" in text.replace("&#x27;", "'")


def test_a_histogram_shows_the_record_s_bins_and_layers_without_error_are_one_sentence(view: RunView) -> None:
    errors = error_histogram("float model", "fc3", np.array([0.0, 0.0, 1.0, -4.0]))
    equal = tally(np.zeros(7, np.int64)).histogram("C-simulation", "fc1")
    compare = msgspec.structs.replace(view.compare, histograms=(equal, errors))
    page = render_page([dataclasses.replace(view, compare=compare)])
    figure = next(one for one in figures_of(page) if one["columns"][-1][0] == "values")
    assert figure["traces"][0]["y"] == list(errors.counts)
    assert figure["traces"][0]["x"] == list(errors.centres_lsb)
    assert "✓ C-simulation: no error in any of 7 values, all 1 compared layers: fc1 ." in text_of(page)


def test_a_campaign_that_is_served_links_to_its_faults(view: RunView) -> None:
    campaign = dataclasses.replace(view.campaigns[0], outcomes=None, browse="/runs/1/faults/1")
    page = render_page([dataclasses.replace(view, campaigns=(campaign,))])
    assert 'href="/runs/1/faults/1"' in page
    assert "is not read as a whole" in text_of(page)


def test_missing_outcome_tables_are_told_and_the_record_is_shown(view: RunView) -> None:
    campaign = dataclasses.replace(view.campaigns[0], outcomes=None)
    page = render_page([dataclasses.replace(view, campaigns=(campaign,))])
    assert "The per-fault tables in outcomes/0123456789abcdef are not there" in text_of(page)
    assert {figure["traces"][0]["type"] for figure in figures_of(page)} == {"heatmap", "bar"}


def test_numbers_are_those_of_the_records(page: str, view: RunView) -> None:
    record, compare = view.campaigns[0].record, view.compare
    assert compare is not None
    text = text_of(page)
    for shown in (
        "97.22 %",
        "96.39 %",
        "−0.83 points",
        f"{compare.words:,}",
        f"{record.faults:,} faults",
        f"critical {record.classes['critical']:,} (",
        "412,345",
        "5f0c9a1b" * 8,
    ):
        assert shown in text


def test_the_cross_check_is_told_in_one_line(page: str) -> None:
    line = "1,000 faults repeated by brute force and on the C-simulation: 0 mismatches over 3,600,000 words."
    assert line in text_of(page)


def test_a_cross_check_that_fails_names_the_sites(view: RunView) -> None:
    row = CrossCheckRow(executor="csim", faults=10, words=30, mismatches=("fc1.weight:3:5",))
    text = text_of(render_page([campaign_with(view, cross_check=row)]))
    assert "✕ 10 faults repeated" in text
    assert "1 mismatch over 30 words. fc1.weight:3:5" in text


def test_the_first_difference_is_shown_with_both_words(view: RunView) -> None:
    assert view.compare is not None
    first = FirstDifference(
        value="fc2",
        index=(5, 1),
        csim=-12,
        engine=13,
        csim_format="ap_fixed<8,3>",
        engine_format="ap_fixed<8,4>",
        cause="another binary point",
    )
    compare = msgspec.structs.replace(view.compare, verdict="differ", headline="DIFFER", first=first)
    text = text_of(render_page([dataclasses.replace(view, compare=compare)]))
    assert "−12 in ap_fixed&lt;8,3&gt;" in text
    assert "another binary point" in text


def test_text_from_outside_is_escaped_everywhere(make_view: MakeView) -> None:
    evil = '</script><script>alert("1")</script>'
    view = make_view(evil)
    run = msgspec.structs.replace(view.run, title=evil, metric=evil)
    page = render_page([dataclasses.replace(campaign_with(view, fault=evil, executor=evil), run=run)] * 2)
    assert "<script>alert" not in page
    assert page.count("</script>") == 3  # data, plotly, our own
    assert "&lt;/script&gt;&lt;script&gt;alert(&quot;1&quot;)" in page


def test_layer_maps_hold_the_numbers_of_the_record(page: str, view: RunView) -> None:
    record = view.campaigns[0].record
    decisions, harm = figures_of(page)[:2]
    for row in record.damage:
        line = decisions["traces"][0]["y"].index(row.tensor)
        column = decisions["traces"][0]["x"].index(row.bit)
        assert decisions["traces"][0]["z"][line][column] == row.mean_decisions_changed
        assert harm["traces"][0]["z"][line][column] == -100 * row.mean_metric_change


def test_bits_a_tensor_does_not_have_stay_blank(page: str) -> None:
    cells = figures_of(page)[0]["traces"][0]
    line = cells["z"][cells["y"].index("fc1.weight")]
    assert [bit for bit, value in zip(cells["x"], line, strict=True) if value is not None] == [5, 4, 3, 2, 1, 0]


def test_class_bars_add_up_to_all_faults(page: str) -> None:
    bars = [figure for figure in figures_of(page) if figure["traces"][0]["type"] == "bar"]
    assert len(bars) == 4
    for figure in bars:
        for shares in zip(*(trace["y"] for trace in figure["traces"]), strict=True):
            assert sum(shares) == pytest.approx(1)


def test_several_runs_are_compared_at_the_top_and_linked(make_view: MakeView) -> None:
    page = render_page([make_view("first"), make_view("second", seed=1)])
    top = page.split('id="runs"', 1)[1].split("</section>", 1)[0]
    assert re.findall(r'href="#(run-\d)">(\w+)<', top) == [("run-1", "first"), ("run-2", "second")]
    anchors = re.findall(r'\bid="([^"]*)"', page.split("<script", 1)[0])
    assert len(set(anchors)) == len(anchors)
    assert set(re.findall(r'href="#([^"]*)"', page.split("<script", 1)[0])) <= set(anchors)


def test_several_campaigns_have_sections_of_their_own(view: RunView) -> None:
    page = render_page([dataclasses.replace(view, campaigns=view.campaigns * 2)])
    assert 'id="run-1-faults-1"' in page
    assert 'id="run-1-faults-2"' in page


def test_a_regression_shows_the_rise_of_its_error_in_its_unit(view: RunView) -> None:
    metric = msgspec.structs.replace(view.campaigns[0].record.metric, name="rmse", unit="kcal/mol", direction="lower")
    outcomes = view.campaigns[0].outcomes
    assert outcomes is not None
    worse = pa.array((-outcomes["metric_change"].to_numpy() * 3).tolist())
    outcomes = outcomes.set_column(outcomes.column_names.index("metric_change"), "metric_change", worse)
    changed = campaign_with(view, metric=metric, decision="tolerance", tolerance=0.25, label_relative=False)
    changed = dataclasses.replace(changed, campaigns=(dataclasses.replace(changed.campaigns[0], outcomes=outcomes),))
    page = render_page([changed])
    curve = next(figure for figure in figures_of(page) if figure["traces"][0]["type"] == "scatter")
    assert curve["columns"][1][0] == "rise of rmse [kcal/mol]"
    assert curve["traces"][0]["y"][0] == pytest.approx(worse.to_numpy().max(), rel=1e-5)
    assert "an output moves by more than 0.25 kcal/mol, in at least one sample" in text_of(page)
    assert "fault-free answers, for want of labels" in text_of(page)


def test_worst_faults_are_placed_in_their_tensor(page: str, view: RunView) -> None:
    site = view.campaigns[0].record.worst[0].site
    tensor, index, _ = site.rsplit(":", 2)
    shape = view.campaigns[0].shapes[tensor]
    where = str(list(divmod(int(index), shape[1])) if len(shape) == 2 else [int(index)])
    assert f"{site} {where}" in text_of(page)


def test_a_campaign_view_needs_only_its_record(view: RunView) -> None:
    bare = CampaignView(record=view.campaigns[0].record)
    assert "are not there" in text_of(render_page([dataclasses.replace(view, campaigns=(bare,))]))
