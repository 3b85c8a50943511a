"""Hardening a trained run down to the C-simulation of its voted project."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgeval.cli import run as edgeval
from edgeval.hardened_project import HARDENED_PROJECT, check_voters
from edgeval.hardening_record import HardenedMemory, HardenRecord
from edgeval.records import load_record
from edgeval.report.load import load_run_view
from edgeval.run_directory import RunDirectory
from fault_injection.hardening.memory import NONE, TMR, TensorPlan

pytestmark = [pytest.mark.gxx, pytest.mark.slow]


@pytest.fixture(scope="module")
def hardened_run(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("hardened") / "run"
    shutil.copytree(digits_run, run)
    assert edgeval(["inject-faults", str(run), "--samples", "60"]) == 0
    assert edgeval(["harden", str(run), "--scheme", "tmr", "--check", "5", "--verify-on-csim", "10"]) == 0
    return run


def plans_of(run: Path) -> list[TensorPlan]:
    """The plan that a run's ``hardening.json`` is of."""
    graph = RunDirectory(run).network()
    plans = []
    for tensor in load_record(HardenedMemory, run / "hardening.json").tensors:
        masks = np.zeros(graph.tensors[tensor.tensor].words.size, np.int64)
        for word in tensor.triplicated:
            masks[word.index] = sum(1 << bit for bit in word.bits)
        kinds = np.where(masks > 0, TMR, NONE)
        plans.append(TensorPlan(tensor=tensor.tensor, storage=tensor.storage, protection=kinds, triplicated=masks))
    return plans


def test_voted_bits_of_a_trained_run_hold_in_c_simulation(hardened_run: Path) -> None:
    record = load_record(HardenRecord, RunDirectory(hardened_run).record_file("harden"))
    check = record.voter_check
    assert check is not None
    assert (check.verdict, check.mismatches) == ("match", ())
    assert (check.single, check.double, check.unprotected) == (30, 10, 10)
    assert 0 < check.visible <= 20
    assert record.project == HARDENED_PROJECT


def test_the_report_shows_it(hardened_run: Path) -> None:
    record = load_record(HardenRecord, RunDirectory(hardened_run).record_file("harden"))
    assert load_run_view(hardened_run).hardening == record
    assert edgeval(["report", str(hardened_run)]) == 0
    assert "Hardening: wrong decisions that remain" in (hardened_run / "report.html").read_text(encoding="utf-8")


def test_voters_that_do_not_vote_are_found(hardened_run: Path, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    shutil.copytree(hardened_run, run.path)
    for mask in run.path.glob(f"{HARDENED_PROJECT}/firmware/weights/*_mask.h"):
        mask.write_text(re.sub(r"\d+ULL", "0ULL", mask.read_text()))
    graph = run.network()
    inputs = graph.quantize_inputs(run.samples().first(60).inputs)
    rng = np.random.default_rng(0)
    found = check_voters(run, graph, plans_of(run.path), inputs, count=10, rng=rng, workers=1)
    assert found.verdict == "match"
    assert found.mismatches
    assert all("copy 0" in line or "copy 1 and 2" in line for line in found.mismatches)
