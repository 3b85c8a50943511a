"""`edgeval emulator` on a trained run: from the verb to a package that software of others can load."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgeval.cli import run as edgeval
from edgeval.records import EmulatorRecord, load_record
from edgeval.run_directory import RunDirectory
from hls.emulator import load_package
from hls.engine import ExactEngine
from hls.serialize import digest

pytestmark = pytest.mark.gxx


def copy_of(run: Path, tmp_path: Path) -> Path:
    return shutil.copytree(run, tmp_path / "copy")


def test_the_package_of_a_run_gives_every_word(
    digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, package = RunDirectory(digits_run), tmp_path / "emulator"
    assert edgeval(["emulator", str(digits_run), "-o", str(package)]) == 0
    samples, graph = run.samples(), run.network()
    count = len(samples.inputs)
    first = capsys.readouterr().out.splitlines()[0]
    assert first == f"MATCH {10 * count:,} of {10 * count:,} output words through the emulator, {count} samples"
    record, manifest = load_record(EmulatorRecord, run.record_file("emulator")), load_package(package)
    assert (record.verdict, record.words, record.differing, record.samples) == ("match", 10 * count, 0, count)
    assert (record.name, record.version) == ("digits", digest(graph)[:8])
    assert record.namespace == manifest.namespace == f"edgeval_digits_v{digest(graph)[:8]}"
    assert record.library_digest == manifest.files[manifest.library]
    assert manifest.digests["network"] == digest(graph)
    assert (manifest.input.size, manifest.output.size, manifest.samples) == (64, 10, count)
    words = graph.quantize_inputs(samples.inputs)
    assert np.array_equal(np.load(package / manifest.golden["inputs"]), words)
    assert np.array_equal(np.load(package / manifest.golden["outputs"]), ExactEngine(graph).run(words).output)
    assert not [path for path in tmp_path.iterdir() if path != package]


@pytest.mark.slow
def test_the_package_of_a_run_checks_itself_elsewhere_with_a_name_of_ones_own(
    digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "emulator"
    options = ["--name", "ocr", "--model-version", "2", "--samples", "20", "--json"]
    assert edgeval(["emulator", str(digits_run), "-o", str(package), *options]) == 0
    printed = capsys.readouterr().out
    assert printed.encode() == RunDirectory(digits_run).record_file("emulator").read_bytes()
    assert msgspec.json.decode(printed, type=EmulatorRecord).library == "ocr_v2.so"
    moved = shutil.move(package, tmp_path / "elsewhere")
    for command in (["make", "clean"], ["make", "check"]):
        done = subprocess.run(command, cwd=moved, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert "MATCH 200 of 200 output words, 20 samples: ./ocr_v2.so" in done.stdout


@pytest.mark.slow
def test_streams_and_the_resource_strategy_give_the_same_words(digits_run: Path, tmp_path: Path) -> None:
    run = copy_of(digits_run, tmp_path)
    assert edgeval(["export", str(run), "--strategy", "Resource", "--io-type", "io_stream"]) == 0
    assert edgeval(["emulator", str(run), "-o", str(tmp_path / "package"), "--samples", "50"]) == 0
    assert load_package(tmp_path / "package").io_type == "io_stream"


def test_a_folder_that_is_no_package_is_left_alone(
    digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert edgeval(["emulator", str(digits_run), "-o", str(tmp_path)]) == 3
    assert "holds no emulator package" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_name_that_is_no_identifier_is_a_usage_error(
    digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edgeval(["emulator", str(digits_run), "-o", str(tmp_path / "new"), "--name", "jet-tagger"]) == 2
    assert "--name: found 'jet-tagger'" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_damaged_project_is_a_difference_and_no_package(
    digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copy_of(digits_run, tmp_path)
    file = next((run / "hls4ml" / "firmware" / "weights").glob("w*.h"))
    text = file.read_text()
    start = text.index("= {") + 3
    end = text.index(",", start)
    file.write_text(text[:start] + str(float(text[start:end]) * 2 + 1) + text[end:])
    assert edgeval(["emulator", str(run), "-o", str(tmp_path / "new")]) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("DIFFER in the written project: fc")
    assert "compiling" not in captured.err
    assert not (tmp_path / "new").exists()
    assert load_record(EmulatorRecord, RunDirectory(run).record_file("emulator")).library is None


def test_samples_that_make_the_network_say_one_thing_are_no_evidence(
    digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunDirectory(copy_of(digits_run, tmp_path))
    samples = run.samples()
    samples.inputs[:] = samples.inputs[:1]
    run.save_samples(samples)
    assert edgeval(["emulator", str(run.path), "-o", str(tmp_path / "new")]) == 1
    assert capsys.readouterr().out.startswith("NO VERDICT: the final output is the same for every sample")
    assert not (tmp_path / "new").exists()


def test_a_network_that_hls4ml_cannot_hold_is_refused_by_layer(
    sliced_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edgeval(["emulator", str(sliced_run), "-o", str(tmp_path / "new")]) == 3
    assert "late (Slice)" in capsys.readouterr().err


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    assert edgeval(["emulator", str(tmp_path), "-o", str(tmp_path / "new")]) == 3
