"""A target whose data the user brings: the run knows which file it was, and needs it no more afterwards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.jets import write_jets

from edgeval.cli import run as edgeval
from edgeval.fingerprint import digest_file
from edgeval.records import CompareRecord, load_record
from edgeval.run_directory import RunDirectory


def train(run: Path, *options: str) -> int:
    return edgeval(["train", "jets", "-o", str(run), "--epochs", "3", *options])


@pytest.mark.slow
@pytest.mark.gxx
def test_a_run_is_exported_and_compared_after_its_data_are_gone(tmp_path: Path) -> None:
    data, run = write_jets(tmp_path / "jets.arff"), tmp_path / "run"
    assert train(run, "--data", str(data)) == 0
    digest = digest_file(data)
    data.unlink()
    assert edgeval(["export", str(run)]) == 0
    assert edgeval(["csim-compare", str(run)]) == 0
    record = RunDirectory(run).run_record()
    assert record.fingerprint.digests["file"] == digest
    assert record.standardisation is not None
    assert len(record.standardisation.mean) == len(record.standardisation.deviation) == 16
    compared = load_record(CompareRecord, run / "records" / "csim-compare.json")
    assert compared.verdict == "match"


def test_the_same_file_under_another_name_is_the_same_run_and_another_file_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, other = write_jets(tmp_path / "jets.arff"), write_jets(tmp_path / "other.arff", seed=1)
    run = tmp_path / "run"
    assert train(run, "--data", str(first)) == 0
    before = RunDirectory(run).weights_file.stat().st_mtime_ns
    assert train(run, "--data", str(first.rename(tmp_path / "moved.arff"))) == 0
    assert RunDirectory(run).weights_file.stat().st_mtime_ns == before
    assert train(run, "--data", str(other)) == 3
    assert "digests.file" in capsys.readouterr().err


def test_without_data_the_command_says_where_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path / "run") == 2
    assert "https://www.openml.org/d/42468" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_data_that_cannot_be_read_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path / "run", "--data", str(tmp_path / "none.arff")) == 3
    assert "No such file" in capsys.readouterr().err
    np.savez(tmp_path / "some.npz", inputs=np.ones(3))
    assert train(tmp_path / "run", "--data", str(tmp_path / "some.npz")) == 3


def test_data_for_a_target_that_brings_its_own_are_refused(tmp_path: Path) -> None:
    data = write_jets(tmp_path / "jets.arff", count=30)
    assert edgeval(["train", "digits", "-o", str(tmp_path / "run"), "--data", str(data)]) == 2
