"""Wrong devices, built: audit, library and words find them, and a comparison that does not look is found out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from support.networks import Mlp
from support.onnx_graphs import Graph

from edgeval.cli import run as edgeval
from edgeval.records import ExportRecord, load_record, save_record
from edgeval.run_directory import RunDirectory
from edgeval.self_test import csim
from edgeval.self_test.csim import self_test_comparison
from edgeval.verdict import Verdict
from hls.errors import UsageError
from hls.hls4ml_flow.manifest import load_manifest

MLP = ("flip a weight bit", "narrow an accumulator", "swap two output channels", "swap two branches")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, onnx.ModelProto], RunDirectory]:
    def export(name: str, model: onnx.ModelProto) -> RunDirectory:
        folder = tmp_path_factory.mktemp(name)
        onnx.save(model, folder / "net.onnx")
        assert edgeval(["export", str(folder / "net.onnx"), "-o", str(folder / "run")]) == 0
        return RunDirectory(folder / "run")

    return export


@pytest.fixture(scope="module")
def mlp(exported: Callable[[str, onnx.ModelProto], RunDirectory]) -> RunDirectory:
    return exported("mlp", Mlp(widths=(4, 3, 2)).model())


def turned() -> onnx.ModelProto:
    """An image that is turned between two convolutions."""
    rng = np.random.default_rng(5)
    graph = Graph(inputs=[("x", [1, 2, 4, 4])])
    value = graph.quant("x", "sensor", scale=0.25, signed=False)
    first = graph.weight(rng.integers(-3, 4, (2, 2, 2, 2)).astype(np.float32), "conv1.weight", bits=3.0)
    value = graph.node("Conv", [value, first], "conv1", kernel_shape=[2, 2])
    value = graph.quant(graph.node("Relu", [value], "relu"), "act", scale=1.0, bits=5.0, signed=False)
    value = graph.node("Transpose", [value], "turn", perm=[0, 1, 3, 2])
    second = graph.weight(rng.integers(-3, 4, (2, 2, 2, 2)).astype(np.float32), "conv2.weight", bits=3.0)
    value = graph.node("Conv", [value, second], "conv2", kernel_shape=[2, 2])
    return graph.model(graph.node("Flatten", [value], "flat"))


@pytest.mark.gxx
@pytest.mark.slow
def test_wrong_perceptrons_are_detected_by_everything_that_has_to_see_them(mlp: RunDirectory) -> None:
    record = self_test_comparison(mlp, samples=30, mutations=MLP)
    found = {mutant.mutation: mutant for mutant in record.mutants}
    assert record.headline == "SELF-TEST 3 of 3 visible mutants detected (1 without a place) on 30 samples"
    assert found["flip a weight bit"].detected_by == ("audit", "library", "words", "poke")
    assert found["narrow an accumulator"].detected_by == ("audit", "words")
    assert found["swap two output channels"].detected_by == ("audit", "words")
    assert found["swap two branches"].status == "no_place"
    place = found["narrow an accumulator"].place
    assert f"first at {place}[" in found["narrow an accumulator"].evidence
    assert not list(mlp.path.parent.glob(".*self-test*"))
    assert mlp.record_file("self-test-csim-compare").exists()


@pytest.mark.gxx
@pytest.mark.long
def test_a_comparison_that_always_says_match_misses_what_words_have_to_see(
    mlp: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    match = Verdict(kind="match", headline="MATCH", layers=(), first=None)
    monkeypatch.setattr(csim, "judge", lambda graph, evidence, site: match)
    record = self_test_comparison(mlp, samples=30, mutations=MLP)
    assert [mutant.status for mutant in record.mutants] == ["missed", "missed", "missed", "no_place"]
    assert record.verdict == "missed"
    assert record.headline.startswith("SELF-TEST 0 of 3 visible mutants detected")


@pytest.mark.gxx
@pytest.mark.long
def test_an_audit_that_finds_nothing_is_missed_although_the_words_differ(
    mlp: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csim, "audit_project", lambda graph, project, manifest: [])
    record = self_test_comparison(mlp, samples=30, mutations=MLP[2:])
    (swapped, _) = record.mutants
    assert (swapped.status, swapped.detected_by) == ("missed", ("words",))
    assert swapped.evidence.startswith("audit: found nothing")


@pytest.mark.gxx
@pytest.mark.long
def test_a_dropped_transpose_differs_first_where_the_words_go_wrong(
    exported: Callable[[str, onnx.ModelProto], RunDirectory],
) -> None:
    record = self_test_comparison(exported("cnn", turned()), samples=30, mutations=("drop a transpose",))
    (mutant,) = record.mutants
    assert (mutant.status, mutant.detected_by) == ("detected", ("words",)), mutant.evidence
    assert "audit: cannot see it" in mutant.evidence


def test_a_device_that_differs_by_itself_gives_no_verdict(
    mlp: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    symbol = load_manifest(mlp.project).array_of("fc1.weight").symbol
    weights = mlp.project / f"firmware/weights/{symbol}.txt"
    text = weights.read_text()
    weights.write_text("77," + text.split(",", 1)[1])
    try:
        assert edgeval(["csim-compare", str(mlp.path), "--self-test"]) == 1
    finally:
        weights.write_text(text)
    headline = capsys.readouterr().out.splitlines()[0]
    assert headline.startswith("SELF-TEST NO VERDICT: without any error, DIFFER in the written project: fc1.weight[0]")


def test_a_native_project_is_refused_in_four_parts(mlp: RunDirectory) -> None:
    export = load_record(ExportRecord, mlp.record_file("export"))
    fields = {name: getattr(export, name) for name in export.__struct_fields__}
    save_record(ExportRecord(**{**fields, "flow": "native"}), mlp.record_file("export"))
    try:
        with pytest.raises(UsageError) as error:
            self_test_comparison(mlp)
    finally:
        save_record(export, mlp.record_file("export"))
    assert error.value.found == "--self-test of a run of the native flow"
    assert "without --flow native" in error.value.remedy


@pytest.mark.parametrize("other", [["--poke", "fc1.weight:0:0"], ["--matrix"]])
def test_two_ways_of_comparing_at_once_are_refused(
    mlp: RunDirectory, other: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert edgeval(["csim-compare", str(mlp.path), "--self-test", *other]) == 2
    message = capsys.readouterr().err
    assert f"found {' '.join(other)} with --self-test; allowed: one of the two. To mend it: test one" in message
