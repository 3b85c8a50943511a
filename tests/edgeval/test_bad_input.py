"""Bad input: each a clear error in four parts, a non-zero exit, and nothing half-written."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from support.networks import Mlp

from edgeval.cli import run as edgeval
from edgeval.run_directory import RunDirectory
from fault_injection.fault_list import FaultList, StoredBits
from fault_injection.sites import all_sites
from hls.csim import build_csim
from hls.hls4ml_flow.manifest import load_manifest


@pytest.fixture(scope="module")
def graph_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported run of a small third-party graph."""
    folder = tmp_path_factory.mktemp("graph")
    onnx.save(Mlp().model(), folder / "mlp.onnx")
    labels = np.arange(40) % 3
    np.savez(folder / "x.npz", inputs=Mlp().inputs(40).astype(np.float32), labels=labels)
    run = folder / "run"
    assert edgeval(["export", str(folder / "mlp.onnx"), "-o", str(run), "--inputs", str(folder / "x.npz")]) == 0
    return run


@pytest.fixture
def run(graph_run: Path, tmp_path: Path) -> Path:
    """A copy of that run to spoil."""
    shutil.copytree(graph_run, tmp_path / "run")
    return tmp_path / "run"


def error_of(arguments: list[object], code: int, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert edgeval([str(argument) for argument in arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    last = captured.err.splitlines()[-1]
    assert last.startswith("error: ")
    for part in (": found ", "; allowed: ", ". To mend it: "):
        assert part in last
    return last


@pytest.mark.parametrize("verb", ["export", "csim-compare", "inject-faults", "report"])
def test_a_missing_run_directory_is_said(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such folder" in error_of([verb, tmp_path / "nothing"], 3, capsys)


@pytest.mark.parametrize("file", ["run.json", "network.npz", "samples.npz", "hls4ml/edgeval_project.json"])
@pytest.mark.parametrize("content", [b"", b"{}", b"garbage\x00"])
def test_a_corrupt_file_of_a_run_is_named(
    file: str, content: bytes, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / file).write_bytes(content)
    assert Path(file).name in error_of(["csim-compare", run], 3, capsys)


def test_a_network_whose_words_were_changed_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import io
    import zipfile

    with zipfile.ZipFile(run / "network.npz") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    words = np.load(io.BytesIO(members["fc1.weight.npy"]))
    words.flat[0] ^= 1
    changed = io.BytesIO()
    np.save(changed, words)
    members["fc1.weight.npy"] = changed.getvalue()
    with zipfile.ZipFile(run / "network.npz", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    assert "words of fc1.weight whose sha256" in error_of(["inject-faults", run], 3, capsys)


def test_a_project_of_another_network_is_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(Mlp(seed=5).model(), tmp_path / "other.onnx")
    other = tmp_path / "other"
    assert edgeval(["export", str(tmp_path / "other.onnx"), "-o", str(other)]) == 0
    shutil.rmtree(run / "hls4ml")
    shutil.copytree(other / "hls4ml", run / "hls4ml")
    capsys.readouterr()
    assert edgeval(["csim-compare", str(run)]) == 1  # the audit sees other words in the files
    assert capsys.readouterr().out.startswith("DIFFER in the written project")


def test_a_file_that_is_no_onnx_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a model")
    assert "model.onnx" in error_of(["csim-compare", tmp_path / "model.onnx"], 3, capsys)


def test_a_graph_without_quantization_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph), tmp_path / "float.onnx")
    assert "no quantization" in error_of(["csim-compare", tmp_path / "float.onnx"], 3, capsys)


def test_an_unsupported_operator_is_named_with_the_supported_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Mlp().model()
    model.graph.node[-1].op_type = "Cos"
    onnx.save(model, tmp_path / "sub.onnx")
    message = error_of(["export", tmp_path / "sub.onnx", "-o", tmp_path / "run"], 3, capsys)
    assert "operator Cos" in message
    assert "MatMul, Max, MaxPool" in message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (np.zeros((5, 7), np.float32), "shape [5, 7]"),
        (np.zeros((0, 8), np.float32), "inputs of shape [0, 8]"),
        (np.full((5, 8), np.nan, np.float32), "nan"),
        (np.where(np.eye(8) == 1, np.inf, 0.0), "inf"),
        (np.array([["a"] * 8]), "dtype <U1"),
        (np.zeros((5, 8), complex), "dtype complex128"),
    ],
)
def test_inputs_that_do_not_fit_are_said(
    inputs: np.ndarray, said: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "bad.npz", inputs=inputs)
    for verb in ("csim-compare", "inject-faults"):
        assert said in error_of([verb, run, "--inputs", tmp_path / "bad.npz"], 3, capsys)


@pytest.mark.parametrize("labels", [np.zeros(4, np.int64), np.full(40, 3), np.full(40, 0.5)])
def test_labels_that_do_not_fit_are_said(
    labels: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx.save(Mlp().model(), tmp_path / "mlp.onnx")
    np.savez(tmp_path / "x.npz", inputs=Mlp().inputs(40), labels=labels)
    arguments = ["export", tmp_path / "mlp.onnx", "-o", tmp_path / "run", "--inputs", tmp_path / "x.npz"]
    error_of([*arguments, "--task", "classification"], 3, capsys)
    assert not (tmp_path / "run").exists()


def test_zero_samples_are_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "0 samples" in error_of(["csim-compare", run, "--samples", 0], 2, capsys)
    assert "0 samples" in error_of(["inject-faults", run, "--samples", 0], 2, capsys)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--bits", "20"], 2),
        (["--bits", "3..1"], 2),
        (["--bits", "top"], 2),
        (["--tensors", "fc9.weight"], 2),
        (["--sample", "0"], 2),
        (["--verify-on-csim", "0"], 2),
        (["--critical-share", "1.5"], 2),
        (["--critical-threshold", "1"], 2),
    ],
)
def test_a_fault_filter_that_selects_nothing_or_makes_no_sense_is_refused(
    options: list[str], code: int, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error_of(["inject-faults", run, *options], code, capsys)
    assert not (run / "outcomes").exists()


@pytest.mark.parametrize(
    "site", ["fc1.weight", "fc9.weight:0:0", "fc1.weight:9999:0", "fc1.weight:0:99", "fc1.weight:0,77:1"]
)
def test_a_poke_at_no_site_is_refused(site: str, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert edgeval(["csim-compare", str(run), "--poke", site]) == 2
    assert "error: " in capsys.readouterr().err


def test_a_missing_compiler_says_how_to_get_one(
    run: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EDGEVAL_CXX", "no-such-compiler")
    assert "apt install g++" in error_of(["csim-compare", run], 3, capsys)
    assert not cache.exists()


@pytest.mark.gxx
def test_an_interrupted_build_is_not_found_and_the_next_one_works(
    run: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import hls.csim.build

    def interrupted(*arguments: object, **options: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(hls.csim.build, "run_tool", interrupted)
        assert edgeval(["csim-compare", str(run)]) == 130
    assert list((cache / "csim").iterdir()) == []
    assert edgeval(["csim-compare", str(run), "--samples", "5"]) == 0
    assert not build_csim(run / "hls4ml").compiled
    assert load_manifest(run / "hls4ml").project


def test_a_full_disk_loses_nothing(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left on device" in error_of(["inject-faults", run], 3, capsys)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_an_interrupted_campaign_goes_on_where_it_stopped(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import fault_injection.campaign as campaign

    monkeypatch.setattr(campaign, "SHARD_FAULTS", 100)
    monkeypatch.setattr(campaign, "SMALLEST_SHARD_FAULTS", 100)
    judged = campaign.Campaign.outcomes
    calls: list[int] = []

    def stops_at_the_third(self: campaign.Campaign, faults: FaultList, threads: int) -> object:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return judged(self, faults, threads)

    monkeypatch.setattr(campaign.Campaign, "outcomes", stops_at_the_third)
    assert edgeval(["inject-faults", str(run)]) == 130
    assert len(list(run.glob("outcomes/*/_parts/part-*.parquet"))) == 2
    assert not list(run.glob("records/inject-faults-*.json"))
    assert edgeval(["inject-faults", str(run)]) == 0
    (folder,) = run.glob("outcomes/*")
    assert sorted(path.name for path in folder.iterdir()) == ["_fingerprint.json", "_lock", "outcomes.parquet"]
    graph = RunDirectory(run).network()
    shards = campaign.shards_of(StoredBits(sites=all_sites(graph), model="flip"), graph)
    assert len(calls) == len(shards) + 1  # the interrupted one was asked for twice, the first two only once


def test_a_run_is_never_overwritten_by_another_graph(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx.save(Mlp(seed=9).model(), tmp_path / "other.onnx")
    message = error_of(["export", tmp_path / "other.onnx", "-o", run], 3, capsys)
    assert "digests.model" in message


def test_a_yaml_with_other_keys_is_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yml").write_text("Layers: {}\n")
    assert "Layers" in error_of(["export", run, "--config", tmp_path / "c.yml"], 2, capsys)
