"""The self-test of campaigns: everything wrong is found, and a check that finds nothing is found out."""

from __future__ import annotations

from math import comb
from pathlib import Path

import msgspec
import numpy as np
import pytest
from support.campaigns import campaign_of
from support.networks import Mlp
from support.small_runs import small_run

from edgeval.cli import run as edgeval
from edgeval.fault_options import FaultOptions
from edgeval.records import load_record
from edgeval.run_directory import RunDirectory
from edgeval.self_test import MUTATIONS
from edgeval.self_test.campaign import TOUCHED, found_by_chance, self_test_campaign
from edgeval.self_test.places import generator
from edgeval.self_test.tables import TABLE_MUTATIONS
from edgeval.self_test_record import SelfTestRecord
from fault_injection import crosscheck
from fault_injection.crosscheck import check_rows

FEW = ("flip a weight bit", "swap two rows", "count one sample too many", "flip the wrong bit", "drop a transpose")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    return small_run(tmp_path_factory.mktemp("small"))


def test_every_visible_error_of_a_campaign_is_detected(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    assert edgeval(["inject-faults", str(run.path), "--self-test", "--sample", "150", "--samples", "20"]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    record = load_record(SelfTestRecord, run.record_file("self-test-inject-faults"))
    assert [mutant.mutation for mutant in record.mutants] == [*MUTATIONS, *TABLE_MUTATIONS]
    status = {mutant.mutation: mutant.status for mutant in record.mutants}
    assert {status[name] for name in TABLE_MUTATIONS} == {"detected"}
    assert status["drop a transpose"] == status["shift a multiplier"] == "no_place"
    assert first == record.headline
    assert record.detected == record.visible == list(status.values()).count("detected") >= 12
    assert first.startswith(f"SELF-TEST {record.visible} of {record.visible} visible mutants detected (")
    assert first.endswith("on 20 samples")


@pytest.mark.slow
def test_json_prints_exactly_the_record(run: RunDirectory, capsys: pytest.CaptureFixture[str]) -> None:
    assert edgeval(["inject-faults", str(run.path), "--self-test", "--sample", "40", "--samples", "9", "--json"]) == 0
    printed = capsys.readouterr().out
    assert printed.encode() == run.record_file("self-test-inject-faults").read_bytes()
    assert msgspec.json.decode(printed, type=SelfTestRecord).samples == 9


def test_a_cross_check_that_calls_everything_equal_misses_every_error(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(crosscheck, "_as_judged", lambda campaign, output, row: True)
    arguments = ["inject-faults", str(run.path), "--self-test", "--sample", "60", "--samples", "12"]
    assert edgeval(arguments) == 1
    lines = capsys.readouterr().out.splitlines()
    record = load_record(SelfTestRecord, run.record_file("self-test-inject-faults"))
    missed = {mutant.mutation for mutant in record.mutants if mutant.status == "missed"}
    # What a row says its fault *is* was still compared.
    seen = {mutant.mutation for mutant in record.mutants if mutant.status == "detected"}
    assert seen <= {"drop a row", "name another bit"}
    assert {"flip a weight bit", "flip the wrong bit", "count one sample too many"} <= missed
    assert record.verdict == "missed"
    assert "; MISSED: flip a weight bit, " in lines[0]
    assert any(line.startswith("MISSED flip the wrong bit at ") for line in lines)


def test_a_cross_check_that_does_not_look_at_names_misses_a_wrong_name(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = crosscheck._named
    monkeypatch.setattr(crosscheck, "_named", lambda campaign, row: named(campaign, row).select(["site"]))
    record = self_test_campaign(run, FaultOptions(sample=40, samples=9), mutations=("name another bit",))
    assert [mutant.status for mutant in record.mutants] == ["missed"]


def test_a_cross_check_that_accuses_the_right_ones_is_no_detection(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgeval.self_test import campaign as module

    calls = []

    def accusing(campaign: object, table: object, rows: np.ndarray, *rest: object) -> object:
        calls.append(rows)
        if len(calls) == 1:  # the control, without any error
            return check_rows(campaign, table, rows)
        found = check_rows(campaign, table, rows)
        every = tuple(campaign.faults.text(int(row)) for row in rows)
        return crosscheck.CrossCheck(faults=found.faults, words=found.words, mismatches=every, changed=found.changed)

    monkeypatch.setattr(module, "check_rows", accusing)
    record = self_test_campaign(run, FaultOptions(sample=60, samples=12), mutations=("count one sample too many",))
    assert [mutant.status for mutant in record.mutants] == ["missed"]
    assert record.mutants[0].evidence.startswith("9 of 9 repeated faults differ, 1 of them are wrong")


def test_a_campaign_that_is_wrong_to_begin_with_gives_no_verdict(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(crosscheck, "_as_judged", lambda campaign, output, row: False)
    arguments = ["inject-faults", str(run.path), "--self-test", "--sample", "30", "--samples", "9"]
    assert edgeval(arguments) == 1
    headline = capsys.readouterr().out.splitlines()[0]
    assert headline.startswith("SELF-TEST NO VERDICT: without any error, 30 of 30 faults differ, first fc1.")


def test_no_visible_error_is_no_verdict(run: RunDirectory) -> None:
    record = self_test_campaign(run, FaultOptions(sample=30, samples=9), mutations=("drop a transpose",))
    assert (record.verdict, record.visible) == ("no_verdict", 0)
    assert record.headline == ("SELF-TEST NO VERDICT: no mutant has a visible effect (1 without a place) on 9 samples")


@pytest.mark.slow
def test_the_same_seed_gives_the_same_record_and_another_one_other_places(run: RunDirectory) -> None:
    def places(seed: int) -> list[str]:
        record = self_test_campaign(run, FaultOptions(sample=60, samples=12, seed=seed), mutations=FEW)
        return [mutant.place + mutant.change for mutant in record.mutants]

    assert places(0) == places(0) != places(1)


def test_a_regression_has_no_directions_to_exchange(tmp_path: Path) -> None:
    other = small_run(tmp_path, task="regression")
    options = FaultOptions(sample=40, samples=9, critical_threshold=0.1)
    names = ("exchange right→wrong and wrong→right", "reverse a metric change")
    record = self_test_campaign(other, options, mutations=names)
    assert [mutant.status for mutant in record.mutants] == ["no_place", "detected"]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--plan"], "--plan with --self-test"),
        (["--margin", "0.1"], "--margin with --self-test"),
        (["--executor", "csim"], "--executor with --self-test"),
        (["--verify-on-csim", "3"], "--verify-on-csim with --self-test"),
        (["--workers", "2"], "--workers with --self-test"),
        (["--fault", "upset"], "--fault upset with --self-test"),
    ],
)
def test_what_the_self_test_has_no_use_for_is_refused_in_four_parts(
    run: RunDirectory, options: list[str], found: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edgeval(["inject-faults", str(run.path), "--self-test", *options]) == 2
    message = capsys.readouterr().err
    assert f"edgeval inject-faults: found {found}; allowed: " in message
    assert "To mend it: " in message


# The errors of tables.


@pytest.mark.parametrize("name", list(TABLE_MUTATIONS))
def test_a_wrong_table_is_wrong_where_it_says_and_the_right_one_is_untouched(name: str) -> None:
    campaign = campaign_of(Mlp(widths=(4, 3, 3), weight_bits=3, bias_bits=5, seed=4))
    table = campaign.outcomes(campaign.faults)
    before = table.to_pylist()
    wrong = next(iter(TABLE_MUTATIONS[name](campaign, table, generator(0, name))))
    assert table.to_pylist() == before
    texts = [campaign.faults.text(row) for row in range(len(campaign.faults))]
    row = texts.index(wrong.place)
    after = wrong.table.to_pylist()
    assert wrong.table.schema.names == table.schema.names
    if name == "drop a row":
        assert after == before[:row] + before[row + 1 :]
    elif name == "exchange right→wrong and wrong→right":
        swapped = [
            {**item, "right_to_wrong": item["wrong_to_right"], "wrong_to_right": item["right_to_wrong"]}
            for item in before
        ]
        assert after == swapped
    else:
        changed = {place for place, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]}
        assert changed <= ({row, row + 1} if name == "swap two rows" else {row})


def test_the_outcome_of_the_wrong_bit_is_the_one_of_the_bit_beside_it() -> None:
    campaign = campaign_of(Mlp(widths=(4, 3, 3), weight_bits=3, bias_bits=5, seed=4))
    table = campaign.outcomes(campaign.faults)
    rows, texts = table.to_pylist(), [campaign.faults.text(row) for row in range(len(campaign.faults))]
    for wrong in list(TABLE_MUTATIONS["flip the wrong bit"](campaign, table, generator(0, "x")))[:8]:
        row = texts.index(wrong.place)
        tensor, index, _ = wrong.place.split(":")
        beside = texts.index(f"{tensor}:{index}:{wrong.change.split()[-1]}")
        assert wrong.table.to_pylist()[row] == {**rows[beside], **{k: rows[row][k] for k in list(rows[row])[:6]}}


def test_the_chance_of_random_faults_is_the_hypergeometric_one() -> None:
    assert found_by_chance(10, 1, 5) == 0.5
    assert found_by_chance(10, 0, 5) == 0.0
    assert found_by_chance(10, 6, 5) == 1.0
    assert found_by_chance(50, 3, 7) == pytest.approx(1 - comb(47, 7) / comb(50, 7))


def test_many_touched_faults_are_checked_on_a_few(run: RunDirectory) -> None:
    options = FaultOptions(sample=200, samples=12)
    record = self_test_campaign(run, options, mutations=("read weights in another order",))
    repeated = int(record.mutants[0].evidence.split(" of ")[1].split()[0])
    assert TOUCHED <= repeated <= 2 * TOUCHED
