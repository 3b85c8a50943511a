"""The verbs one after another, on a trained run, as a user would call them."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest

from edgeval.cli import run as edgeval
from edgeval.records import CompareRecord, ExportRecord, InjectRecord, RunRecord, load_record
from edgeval.run_directory import RunDirectory
from fault_injection.faults import change_at
from fault_injection.sites import all_sites
from hls.engine import ExactEngine
from hls.hls4ml_flow import load_manifest

pytestmark = pytest.mark.gxx


def copy_of(run: Path, tmp_path: Path) -> Path:
    target = tmp_path / "copy"
    shutil.copytree(run, target)
    return target


def visible_and_masked_sites(run: Path) -> tuple[str, str]:
    """A stored bit whose flip reaches the outputs, and one whose flip does not, by the exact engine's own word."""
    graph = RunDirectory(run).network()
    engine, sites = ExactEngine(graph), all_sites(graph)
    inputs = graph.quantize_inputs(RunDirectory(run).samples().inputs)
    golden = engine.run(inputs).output
    found: dict[bool, str] = {}
    for row in np.random.default_rng(0).permutation(len(sites)):
        site = sites.site(int(row))
        faulty = engine.with_words([change_at(graph, site, "flip")]).run(inputs).output
        found.setdefault(bool((faulty != golden).any()), str(site))
        if len(found) == 2:
            return found[True], found[False]
    raise AssertionError("every site has the same effect")


def test_the_first_line_says_match_with_counts(digits_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert edgeval(["csim-compare", str(digits_run)]) == 0
    first = capsys.readouterr().out.splitlines()[0]
    samples = len(RunDirectory(digits_run).samples().inputs)
    words = samples * (64 + 64 + 32 + 32 + 10)
    assert first == f"MATCH {words:,} of {words:,} words, 5 layers, {samples:,} samples"


def test_json_prints_exactly_the_saved_record(digits_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert edgeval(["csim-compare", str(digits_run), "--samples", "20", "--json"]) == 0
    printed = capsys.readouterr().out
    assert printed.encode() == RunDirectory(digits_run).record_file("csim-compare").read_bytes()
    assert msgspec.json.decode(printed, type=CompareRecord).samples == 20


def test_a_poked_visible_bit_differs_at_the_first_layer_and_index(
    digits_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    visible, _ = visible_and_masked_sites(digits_run)
    graph = RunDirectory(digits_run).network()
    assert edgeval(["csim-compare", str(digits_run), "--poke", visible]) == 1
    line = capsys.readouterr().out.splitlines()[0]
    record = load_record(CompareRecord, RunDirectory(digits_run).record_file("csim-compare-poked"))
    assert record.first is not None
    # What the engine itself says about the two words at that place, from a network with the flipped bit in it.
    tensor, index, bit = visible.split(":")
    sites = all_sites(graph)
    row = next(r for r in range(len(sites)) if str(sites.site(r)) == f"{tensor}:{index}:{bit}")
    faulty = graph.with_words([change_at(graph, sites.site(row), "flip")])
    inputs = graph.quantize_inputs(RunDirectory(digits_run).samples().inputs)
    value, place = record.first.value, record.first.index
    assert value == tensor.split(".")[0]
    assert record.first.csim == ExactEngine(faulty).run(inputs, [value]).taps[value][place]
    assert record.first.engine == ExactEngine(graph).run(inputs, [value]).taps[value][place]
    assert f"first at {value}[{place[0]}, {place[1]}]: C-sim {record.first.csim}, engine {record.first.engine}" in line
    assert line.startswith("DIFFER ")


def test_a_poked_masked_bit_matches(digits_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, masked = visible_and_masked_sites(digits_run)
    assert edgeval(["csim-compare", str(digits_run), "--poke", masked]) == 0
    assert capsys.readouterr().out.startswith("MATCH ")


def test_a_poke_leaves_the_built_simulation_as_it_was(digits_run: Path) -> None:
    visible, _ = visible_and_masked_sites(digits_run)
    assert edgeval(["csim-compare", str(digits_run), "--poke", visible]) == 1
    assert edgeval(["csim-compare", str(digits_run)]) == 0


@pytest.mark.parametrize("suffix", ["txt", "h"])
def test_a_corrupted_weight_file_is_named_before_anything_runs(
    digits_run: Path, tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copy_of(digits_run, tmp_path)
    file = next((run / "hls4ml" / "firmware" / "weights").glob(f"w*.{suffix}"))
    text = file.read_text()
    start = text.index("= {") + 3 if suffix == "h" else 0
    end = text.index(",", start)
    file.write_text(text[:start] + str(float(text[start:end]) * 2 + 1) + text[end:])
    assert edgeval(["csim-compare", str(run)]) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("DIFFER in the written project: fc")
    assert ".weight[0] in firmware/weights/" in captured.out
    assert "compiling" not in captured.err


def test_a_damaged_cache_entry_is_named_by_tensor_and_index(
    digits_run: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edgeval(["csim-compare", str(digits_run), "--samples", "5"]) == 0
    manifest = load_manifest(digits_run / "hls4ml")
    array = manifest.array_of("fc2.weight")
    name = array.symbol
    (file,) = cache.glob(f"csim/*/firmware/weights/{name}.txt")
    first, rest = file.read_text().split(",", 1)
    word = int(float(first) * 2.0**-array.unit_log2)
    file.write_text(f"{(word ^ 1) * 2.0**array.unit_log2},{rest}")
    capsys.readouterr()
    assert edgeval(["csim-compare", str(digits_run), "--samples", "5"]) == 1
    output = capsys.readouterr().out
    assert output.startswith(f"DIFFER in the loaded C-simulation: fc2.weight[0] is {word ^ 1} instead of {word}")
    assert "delete it" in output


def test_a_moved_run_still_matches(digits_run: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "renamed"
    moved.parent.mkdir()
    shutil.copytree(digits_run, moved)
    assert edgeval(["csim-compare", str(moved), "--samples", "10"]) == 0


def test_an_exhaustive_campaign_judges_every_stored_bit(digits_run: Path) -> None:
    assert edgeval(["inject-faults", str(digits_run), "--verify-on-csim", "40"]) == 0
    run = RunDirectory(digits_run)
    records = [load_record(InjectRecord, path) for path in run.path.glob("records/inject-faults-*.json")]
    record = next(r for r in records if r.exhaustive and r.fault == "flip" and r.executor == "exact")
    table = pq.read_table(run.path / record.outcomes)
    bits = sum(t.words.size * t.format.width_bits for t in run.network().tensors.values())
    assert record.faults == table.num_rows == bits
    assert table["site"].to_pylist() == list(range(bits))
    assert record.cross_check is not None
    assert (record.cross_check.faults, record.cross_check.mismatches) == (40, ())
    counts = [sum(table[name].to_pylist()) for name in ("masked", "tolerable", "critical")]
    assert sum(counts) == bits * record.samples
    assert sum(record.classes.values()) == bits


def test_the_csim_executor_gives_the_table_of_the_exact_one(digits_run: Path) -> None:
    run = RunDirectory(digits_run)
    tables = {}
    for executor in ("exact", "csim"):
        options = ["--sample", "60", "--seed", "3", "--samples", "40", "--executor", executor, "--fault", "stuck1"]
        assert edgeval(["inject-faults", str(digits_run), *options]) == 0
        newest = max(run.path.glob("records/inject-faults-*.json"), key=lambda path: path.stat().st_mtime_ns)
        tables[executor] = pq.read_table(run.path / load_record(InjectRecord, newest).outcomes)
    assert tables["exact"].equals(tables["csim"])


def test_float_scales_match_through_multiplications(float_scale_run: Path) -> None:
    record = load_record(ExportRecord, RunDirectory(float_scale_run).record_file("export"))
    assert (record.qonnx.unexplained, record.refused) == (0, None)
    assert [row.form for row in record.layers if row.name.startswith("act")] == ["Requantize", "Requantize"]
    assert edgeval(["inject-faults", str(float_scale_run), "--sample", "200", "--verify-on-csim", "10"]) == 0
    assert edgeval(["csim-compare", str(float_scale_run)]) == 0


def test_what_hls4ml_cannot_hold_runs_in_the_engine_and_is_refused_by_layer_for_csim(
    sliced_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = load_record(ExportRecord, RunDirectory(sliced_run).record_file("export"))
    assert record.qonnx.unexplained == 0
    assert record.project is None
    assert edgeval(["inject-faults", str(sliced_run), "--sample", "200"]) == 0
    capsys.readouterr()
    assert edgeval(["csim-compare", str(sliced_run)]) == 3
    assert "layer late (Slice): found a slice" in capsys.readouterr().err


def test_records_carry_both_metrics_and_the_size(digits_run: Path) -> None:
    record = load_record(RunRecord, RunDirectory(digits_run).run_file)
    assert record.float_metric is not None
    assert record.quantized_metric is not None
    assert record.complexity is not None
    graph = RunDirectory(digits_run).network()
    weights = [tensor.words for name, tensor in graph.tensors.items() if name.endswith(".weight")]
    assert record.complexity.weights == sum(w.size for w in weights)
    assert record.complexity.weights_nonzero == sum(int((w != 0).sum()) for w in weights)
    assert record.complexity.weight_bits == 4 * record.complexity.weights


def test_training_again_into_the_same_folder_is_told_apart(
    digits_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edgeval(["train", "digits", "-o", str(digits_run), "--epochs", "4", "--weight-bits", "5"]) == 3
    assert "configuration.weight-bits: 4 → 5" in capsys.readouterr().err
