"""The table of all C-simulations: what agrees, what hls4ml does not have, what differs."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import onnx
import pytest
from support.networks import Mlp

from edgeval import matrix as matrix_module
from edgeval.importing import GraphOptions
from edgeval.matrix import compare_matrix, other_options
from edgeval.pipeline import opened_run
from edgeval.records import MatrixRecord, MatrixRow, load_record
from edgeval.run_directory import RunDirectory
from hls.errors import ToolError
from hls.hls4ml_flow import ProjectOptions

RECIPE = Mlp(widths=(4, 3, 2))


@pytest.fixture
def run(tmp_path: Path, cache: Path) -> RunDirectory:
    file = tmp_path / "net.onnx"
    onnx.save(RECIPE.model(), file)
    np.savez(tmp_path / "inputs.npz", inputs=RECIPE.inputs(20).astype(np.float32))
    options = GraphOptions(inputs=tmp_path / "inputs.npz", task="regression", metric=None, input_format=None, seed=0)
    with opened_run(file, options) as opened:
        return RunDirectory(shutil.copytree(opened.path, tmp_path / "run"))


def row(**changes: object) -> MatrixRow:
    fields = {
        "backend": "Vitis", "io_type": "io_parallel", "strategy": "Latency", "status": "match", "detail": "MATCH",
        "layers": 3, "words": 10, "differing": 0,
    }  # fmt: skip
    return MatrixRow(**{**fields, **changes})


@pytest.mark.parametrize(
    ("statuses", "verdict", "headline"),
    [
        (("match", "match"), "match", "MATCH 2 of 2 C-simulations"),
        (("match", "refused"), "match", "MATCH 1 of 2 C-simulations; 1 refused"),
        (("refused", "refused"), "no_verdict", "NO VERDICT: 0 of 2 C-simulations match; 2 refused"),
        (("match", "no_verdict"), "no_verdict", "NO VERDICT: 1 of 2 C-simulations match"),
        (("no_verdict", "differ"), "differ", "DIFFER 1 of 2 C-simulations, first Vitis io_parallel Latency: MATCH"),
        (("match", "failed"), "differ", "DIFFER 1 of 2 C-simulations, first Vitis io_parallel Latency: MATCH"),
    ],
)
def test_the_verdict_over_all_rows(statuses: tuple[str, ...], verdict: str, headline: str) -> None:
    assert matrix_module._judged(tuple(row(status=status) for status in statuses)) == (verdict, headline)


@pytest.mark.gxx
def test_what_hls4ml_lacks_is_a_row_and_the_rest_agrees(run: RunDirectory) -> None:
    record = compare_matrix(run, only=("Quartus", "io_parallel", None), workers=1)
    refused, compared = record.rows
    assert (refused.strategy, refused.status) == ("Latency", "refused")
    assert refused.detail == "strategy Latency; allowed: Resource for hls4ml's Quartus back end"
    assert (compared.strategy, compared.status, compared.differing) == ("Resource", "match", 0)
    assert compared.words == 20 * (3 + 3 + 2)
    assert record.headline == "MATCH 1 of 2 C-simulations; 1 refused"
    assert load_record(MatrixRecord, run.record_file("csim-compare-matrix")) == record
    assert (run.path / "backends/Quartus-io_parallel-Resource/edgeval_project.json").exists()


def test_a_project_that_does_not_compile_failed(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **named: object) -> None:
        raise ToolError(found="exit code 1", allowed="exit code 0", where="g++", remedy="read")

    monkeypatch.setattr(matrix_module, "compare_project", broken)
    record = compare_matrix(run, only=("Catapult", "io_stream", "Latency"))
    assert [(item.status, item.detail) for item in record.rows] == [("failed", "exit code 1; allowed: exit code 0")]
    assert record.verdict == "differ"


def test_a_project_that_hls4ml_writes_otherwise_failed_and_is_not_refused(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def otherwise(*_: object) -> None:
        raise ToolError(found="fixed<16,6>", allowed="fixed<12,7>", where="result of fc1", remedy="report it")

    monkeypatch.setattr(matrix_module, "write_project", otherwise)
    record = compare_matrix(run, only=("Vitis", "io_parallel", "Latency"), samples=5)
    assert [row.status for row in record.rows] == ["failed"]
    assert record.verdict == "differ"


def test_another_back_end_keeps_the_runs_choices(run: RunDirectory) -> None:
    assert other_options(run, ("Catapult", None, None)) == ProjectOptions(
        backend="Catapult", io_type="io_parallel", strategy="Latency"
    )
    assert other_options(run, ("Quartus", "io_stream", None)).strategy == "Resource"


def test_strategies_of_single_layers_give_way() -> None:
    overrides = {"Model": {"Strategy": "Latency", "ReuseFactor": 2}, "LayerName": {"fc1": {"Strategy": "Latency"}}}
    assert matrix_module._without_strategies(overrides) == {"Model": {"ReuseFactor": 2}, "LayerName": {"fc1": {}}}


def test_no_other_status_can_be_recorded() -> None:
    with pytest.raises(msgspec.ValidationError, match="status"):
        msgspec.convert({**msgspec.to_builtins(row()), "status": "skipped"}, MatrixRow)
