"""Campaigns of upsets, transients and constants from the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
from support.networks import Mlp
from support.small_runs import small_run

from edgeval.cli import run as edgeval
from edgeval.importing import GraphOptions, import_graph
from edgeval.records import InjectRecord, load_record
from edgeval.report.load import load_run_view
from edgeval.report.page import render_page
from edgeval.run_directory import RunDirectory


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return small_run(tmp_path)


def inject(run: RunDirectory, *options: str) -> InjectRecord:
    """The record of one campaign, every fault of which was repeated by brute force."""
    for old in (run.path / "records").glob("inject-faults-*.json"):
        old.unlink()
    assert edgeval(["inject-faults", str(run.path), "--cross-check", "100000", *options]) == 0
    (path,) = (run.path / "records").glob("inject-faults-*.json")
    record = load_record(InjectRecord, path)
    assert record.brute_force.faults == record.faults
    assert record.brute_force.mismatches == ()
    return record


def test_upsets_are_judged_and_reported(run: RunDirectory) -> None:
    record = inject(run, "--fault", "upset", "--pattern", "2x2", "--interleave", "2", "--tensors", "*.weight")
    table = pq.read_table(run.path / record.outcomes)
    assert set(table["pattern"].to_pylist()) == {"2x2"}
    assert set(table["words_hit"].to_pylist()) == {4}
    assert sum(record.classes.values()) == record.faults == table.num_rows
    assert record.worst[0].site.count("+") == 3
    assert "Where faults do damage" in render_page([load_run_view(run.path)])


def test_another_layout_is_another_campaign(run: RunDirectory) -> None:
    one, two = (inject(run, "--fault", "upset", "--interleave", distance) for distance in ("1", "2"))
    assert one.outcomes != two.outcomes
    assert (one.fingerprint.configuration["interleave"], two.fingerprint.configuration["interleave"]) == (1, 2)


def test_transients_are_judged_and_reported(run: RunDirectory) -> None:
    record = inject(run, "--fault", "transient", "--values", "act*", "input*")
    assert {row.tensor for row in record.damage} == {"input_quant", "act1"}
    assert all(row.golden_word is None for row in record.worst)
    assert "Worst faults" in render_page([load_run_view(run.path)])


def test_decisions_alone_are_judged_too(run: RunDirectory) -> None:
    full = inject(run, "--fault", "transient", "--values", "act*")
    fast = inject(run, "--fault", "transient", "--values", "act*", "--detail", "decisions")
    tables = [pq.read_table(run.path / record.outcomes) for record in (full, fast)]
    assert tables[0]["decisions_changed"].to_pylist() == tables[1]["decisions_changed"].to_pylist()


def test_constants_are_judged(tmp_path: Path) -> None:
    recipe = Mlp(widths=(4, 3, 2), po2=False, bias=False, per_channel=True)
    onnx.save(recipe.model(), tmp_path / "scaled.onnx")
    np.savez(tmp_path / "x.npz", inputs=recipe.inputs(12), labels=np.arange(12) % 2)
    run = RunDirectory(tmp_path / "run")
    import_graph(tmp_path / "scaled.onnx", run, GraphOptions(inputs=tmp_path / "x.npz"))
    run.save_network(recipe.graph())
    record = inject(run, "--fault", "constant")
    assert {row.tensor for row in record.damage} == {"act1.multipliers", "act1.offsets", "act1.shifts"}


@pytest.mark.parametrize(
    "options",
    [
        ["--fault", "upset", "--bits", "msb"],
        ["--fault", "upset", "--skip-pruned"],
        ["--fault", "upset", "--pattern", "1x1"],
        ["--fault", "upset", "--words-per-row", "3", "--interleave", "2"],
        ["--fault", "transient", "--tensors", "fc1.weight"],
        ["--fault", "transient", "--values", "nowhere"],
        ["--fault", "constant"],
    ],
)
def test_what_cannot_be_is_a_usage_error(options: list[str], run: RunDirectory) -> None:
    assert edgeval(["inject-faults", str(run.path), *options]) == 2
