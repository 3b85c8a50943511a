"""``edgeval error-rate`` and ``edgeval worst-flips`` on a small run."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from support.small_runs import small_run

from edgeval.cli import run as edgeval
from edgeval.error_rate_record import ErrorRateRecord
from edgeval.records import load_record
from edgeval.report.load import load_run_view
from edgeval.report.page import render_page
from edgeval.run_directory import RunDirectory
from edgeval.worst_flips_record import WorstFlipsRecord
from fault_injection.sites import all_sites, parse_site
from hls.engine import ExactEngine
from hls.graph import WordChange

RATES = ["--rates", "0.001", "0.05", "--draws", "20"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run with both records, made by the command line."""
    directory = small_run(tmp_path_factory.mktemp("runs"))
    assert edgeval(["error-rate", str(directory.path), *RATES]) == 0
    assert edgeval(["worst-flips", str(directory.path), "--count", "2", "--tensors", "*.weight"]) == 0
    return directory


def rates_of(run: RunDirectory) -> ErrorRateRecord:
    return load_record(ErrorRateRecord, run.record_file("error-rate"))


def flips_of(run: RunDirectory) -> WorstFlipsRecord:
    return load_record(WorstFlipsRecord, run.record_file("worst-flips"))


def test_the_record_of_bit_error_rates_is_that_of_the_run(run: RunDirectory) -> None:
    record = rates_of(run)
    assert [row.rate for row in record.rates] == [0.001, 0.05]
    assert (record.bits, record.samples, record.draws) == (len(all_sites(run.network())), 40, 20)
    assert record.metric.value == 1.0
    assert record.label_relative
    for row in record.rates:
        assert row.none + row.one + row.more == pytest.approx(1)
        assert row.none == pytest.approx((1 - row.rate) ** record.bits)
        assert row.metric.mean == pytest.approx(1 - row.decisions.mean)  # every decision is right without faults
        assert len(row.metric.percentiles) == len(record.percentiles)
    assert record.rates[0].metric.mean > record.rates[1].metric.mean


def test_a_rate_gives_the_same_whatever_other_rates_are_asked_for(run: RunDirectory, tmp_path: Path) -> None:
    other = small_run(tmp_path)
    assert edgeval(["error-rate", str(other.path), "--rates", "0.05", "--draws", "20"]) == 0
    assert rates_of(other).rates == rates_of(run).rates[1:]


def test_another_seed_draws_other_images(run: RunDirectory, tmp_path: Path) -> None:
    other = small_run(tmp_path)
    assert edgeval(["error-rate", str(other.path), *RATES, "--seed", "1"]) == 0
    assert rates_of(other).rates[1] != rates_of(run).rates[1]
    assert rates_of(other).fingerprint != rates_of(run).fingerprint


def test_bit_error_rates_of_a_regression_are_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = small_run(tmp_path, task="regression")
    assert edgeval(["error-rate", str(run.path), *RATES, "--critical-threshold", "0.1"]) == 0
    record = rates_of(run)
    assert record.metric.name == "rmse"
    assert record.decision == "tolerance"
    assert 0 < record.rates[0].metric.mean < record.rates[1].metric.mean
    assert "fault-free rmse 0.000" in capsys.readouterr().out


def test_the_printed_record_is_the_saved_one(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    saved = rates_of(run)
    assert edgeval(["error-rate", str(run.path), *RATES, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["rates"] == json.loads(msgspec.json.encode(saved.rates))


@pytest.mark.parametrize(
    "options",
    [
        ["--rates", "0"],
        ["--rates", "0.7"],
        ["--rates", "0.1", "0.1"],
        ["--draws", "1"],
        ["--kernel-threads", "0"],
        ["--samples", "0"],
        ["--critical-threshold", "1"],
        ["--tensors", "nowhere"],
    ],
)
def test_an_option_out_of_range_is_a_usage_error(options: list[str], run: RunDirectory) -> None:
    assert edgeval(["error-rate", str(run.path), *options]) == 2


def test_the_worst_flips_do_what_the_record_says(run: RunDirectory) -> None:
    record, samples = flips_of(run), run.samples()
    graph = run.network()
    inputs = graph.quantize_inputs(samples.inputs)
    assert len(record.flips) == 2
    assert record.ended == "count"
    assert record.chance == 0.25
    for row in record.flips:
        site = parse_site(graph, row.site)
        assert graph.tensors[site.tensor].words.reshape(-1)[site.index] == row.golden_word
        graph = graph.with_words([WordChange(tensor=site.tensor, index=site.index, word=row.faulty_word)])
        answers = graph.output_values(ExactEngine(graph).run(inputs).output).argmax(axis=1)
        assert row.metric == np.mean(answers == samples.labels)
        assert row.decisions_changed == (answers != samples.labels).sum()
    assert record.unconfirmed == ()


def test_a_search_that_reaches_chance_level_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = small_run(tmp_path)
    assert edgeval(["worst-flips", str(run.path), "--count", "50", "--tensors", "*.weight"]) == 0
    assert flips_of(run).ended == "chance"
    assert len(flips_of(run).flips) < 50
    assert "chance level is reached (chance: 25.0 %)" in capsys.readouterr().out


def test_candidates_limit_what_is_judged(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    assert edgeval(["worst-flips", str(run.path), "--tensors", "*.weight", "--candidates", "5", "--count", "2"]) == 0
    record = flips_of(run)
    assert [row.judged for row in record.flips] == [record.bits, 5]


def test_a_regression_has_no_chance_level(tmp_path: Path) -> None:
    run = small_run(tmp_path, task="regression")
    assert edgeval(["worst-flips", str(run.path), "--count", "2", "--critical-threshold", "0.1"]) == 0
    record = flips_of(run)
    assert record.chance is None
    assert [row.metric for row in record.flips] == sorted(row.metric for row in record.flips)


def test_no_flips_are_a_usage_error(run: RunDirectory) -> None:
    assert edgeval(["worst-flips", str(run.path), "--count", "0"]) == 2


@pytest.mark.parametrize("verb", ["error-rate", "worst-flips"])
def test_a_folder_that_is_no_run_is_an_input_error(verb: str, tmp_path: Path) -> None:
    assert edgeval([verb, str(tmp_path)]) == 3


def test_the_report_shows_both(run: RunDirectory) -> None:
    page = render_page([load_run_view(run.path)])
    assert "Bit error rates" in page
    assert "Accuracy against bit error rate" in page
    assert flips_of(run).flips[0].site in page
    assert "Every step was confirmed by a run of the whole network." in page
