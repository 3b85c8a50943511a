"""The Python API: its names, its signatures against the commands, and results that show themselves."""

from __future__ import annotations

import dataclasses
import gc
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import numpy as np
import onnx
import pytest
import torch
from support.chromium import needs_chromium
from support.native_runs import Perceptron, grid_inputs
from support.networks import Mlp

import edgeval
from edgeval.cli import run as command
from edgeval.commands.csim_compare import CompareConfig
from edgeval.commands.export import ExportConfig
from edgeval.commands.inject_faults import InjectConfig
from edgeval.commands.regress import CheckConfig, LockConfig
from edgeval.commands.report import ReportConfig
from edgeval.commands.train import TrainConfig
from edgeval.evaluation import network_outputs
from edgeval.fingerprint import make_fingerprint
from edgeval.own_model import ModuleSource, load_module
from edgeval.regression_record import Gate, RegressRecord, Tolerances

NAMES = [
    "CheckResult", "CompareResult", "EdgevalError", "ExportResult", "FormatError", "InjectResult", "InputError",
    "LockResult", "LoweringError", "MatrixResult", "PlanResult", "Run", "RunDirectoryError", "ToolError", "TrainResult",
    "UsageError", "check", "compare", "compare_matrix", "export", "inject", "lock", "open_run", "plan_faults", "train",
    "write_report",
]  # fmt: skip
"""What users may rely on. A name that goes or changes its meaning is a new major version."""

RECIPE = Mlp(widths=(5, 4, 4), weight_bits=3, bias_bits=6, seed=2)
INPUTS = RECIPE.inputs(40)
LABELS = network_outputs(RECIPE.graph(), INPUTS).argmax(axis=1)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> edgeval.ExportResult:
    """An exported run of a small graph, from arrays."""
    return edgeval.export(RECIPE.model(), tmp_path_factory.mktemp("api") / "run", inputs=INPUTS, labels=LABELS)


@pytest.fixture(scope="module")
def compared(exported: edgeval.ExportResult) -> edgeval.CompareResult:
    return edgeval.compare(exported)


@pytest.fixture(scope="module")
def campaign(exported: edgeval.ExportResult) -> edgeval.InjectResult:
    return edgeval.inject(exported.run, cross_check=5)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same graph and samples as files, for the command line."""
    folder = tmp_path_factory.mktemp("files")
    onnx.save(RECIPE.model(), folder / "model.onnx")
    np.savez(folder / "x.npz", inputs=INPUTS, labels=LABELS)
    return folder


# Names.


def test_the_names_of_the_api_are_those_that_are_promised() -> None:
    assert edgeval.__all__ == NAMES
    assert set(NAMES) <= set(dir(edgeval))
    assert all(inspect.isclass(getattr(edgeval, name)) == name[0].isupper() for name in NAMES)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'comparre'"):
        edgeval.comparre  # noqa: B018


def test_no_module_takes_the_place_of_a_name() -> None:
    assert {module.name for module in pkgutil.iter_modules(edgeval.__path__)}.isdisjoint(NAMES)


@pytest.mark.long
def test_every_name_is_still_its_function_when_every_module_was_imported() -> None:
    for module in pkgutil.walk_packages(edgeval.__path__, "edgeval."):
        if module.name != "edgeval.__main__":
            importlib.import_module(module.name)
    assert all(callable(getattr(edgeval, name)) for name in NAMES)


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter loads for a line of code, beyond what it starts with."""
    script = (
        f"import sys\nbefore = set(sys.modules)\n{code}\nprint(*(m.split('.')[0] for m in set(sys.modules) - before))"
    )
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )


def test_importing_the_package_imports_nothing_but_itself() -> None:
    assert loaded_by("import edgeval; dir(edgeval); edgeval.__all__") <= {"edgeval", *sys.stdlib_module_names}


def test_using_a_name_imports_no_framework_until_it_is_called() -> None:
    loaded = loaded_by("import edgeval; edgeval.compare, edgeval.inject, edgeval.train, edgeval.export")
    assert "numpy" in loaded
    assert loaded.isdisjoint({"torch", "brevitas", "hls4ml", "qonnx", "onnx", "sklearn", "plotly", "pyarrow", "scipy"})


def test_every_name_is_told_on_its_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "python-api.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `edgeval\.(\w+)", page, re.MULTILINE)) == set(NAMES)


# Signatures.


def options(config: type) -> dict[str, Any]:
    """Options of a command by name, with their defaults; those of nested ones in their place."""
    hints = get_type_hints(config)
    found: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        if dataclasses.is_dataclass(hints[field.name]):
            found |= options(hints[field.name])
        elif field.name not in {"_", "json"}:
            found[field.name] = inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default
    return found


ON_THE_LINE = {"self_test", "serve", "port", "update", "github", "junit", "sarif", "markdown"}
"""Options about the command line itself: what it prints beside the record, writes for others, serves or tests."""


def as_option(default: Any) -> Any:
    """A default as the commands write it: files as paths."""
    return Path(default) if isinstance(default, str) and default.endswith(".json") else default


@pytest.mark.parametrize(
    ("function", "config", "elsewhere", "added"),
    [
        (edgeval.train, TrainConfig, set(), {"progress"}),
        (edgeval.export, ExportConfig, set(), {"labels", "progress"}),
        (edgeval.compare, CompareConfig, {"matrix"}, {"labels", "output", "progress", "project"}),
        (edgeval.compare_matrix, CompareConfig, {"matrix", "poke"}, {"labels", "output", "progress"}),
        (edgeval.inject, InjectConfig, {"plan", "time_budget"}, {"labels", "output", "progress"}),
        (
            edgeval.plan_faults,
            InjectConfig,
            {"plan", "sample", "executor", "verify_on_csim", "cross_check", "scheduler"},
            {"labels", "output", "progress"},
        ),
        (edgeval.write_report, ReportConfig, set(), set()),
        (edgeval.lock, LockConfig, set(), {"progress"}),
        (edgeval.check, CheckConfig, set(), {"progress"}),
    ],
)
def test_a_function_takes_what_its_command_takes_with_the_same_defaults(
    function: Any, config: type, elsewhere: set[str], added: set[str]
) -> None:
    arguments = {name: p.default for name, p in inspect.signature(function).parameters.items()}
    expected = {name: default for name, default in options(config).items() if name not in elsewhere | ON_THE_LINE}
    assert {name: as_option(default) for name, default in arguments.items() if name not in added} == expected
    assert set(arguments) == set(expected) | added


# Results.


@pytest.mark.gxx
def test_a_graph_and_arrays_give_what_their_files_give_on_the_command_line(
    files: Path, compared: edgeval.CompareResult, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["csim-compare", str(files / "model.onnx"), "--inputs", str(files / "x.npz")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert repr(compared).splitlines()[0] == lines[0] == "MATCH 480 of 480 words, 3 layers, 40 samples"
    assert (compared.verdict, compared.matched, compared.first, compared.exit_code) == ("match", True, None, 0)


@pytest.mark.gxx
def test_a_flipped_bit_is_a_result_that_does_not_match(exported: edgeval.ExportResult) -> None:
    result = edgeval.compare(exported.run.path, poke="fc1.weight:0:msb")
    assert not result.matched
    assert result.exit_code == 1
    assert result.first is not None
    assert repr(result).splitlines()[0] == result.headline
    assert result.headline.startswith(
        f"DIFFER {result.differing} of {result.words} words, first at {result.first.value}"
    )


@pytest.mark.gxx
def test_an_array_takes_the_place_of_the_runs_own_samples(exported: edgeval.ExportResult) -> None:
    result = edgeval.compare(exported, inputs=INPUTS[:7])
    assert (result.record.samples, result.record.inputs) == (7, "arrays given in Python")


@pytest.mark.gxx
@pytest.mark.parametrize("page", ["README.md", "docs/python-api.md"])
def test_the_lines_that_pages_show_do_what_they_say(page: str) -> None:
    text = (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(import edgeval\n.*?)^```", text, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {"model": RECIPE.model(), "X": INPUTS, "y": LABELS}
    exec(block, names)  # noqa: S102  # our own page
    assert names["result"].matched


def test_an_export_shows_the_first_line_of_its_command(
    exported: edgeval.ExportResult, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["export", str(exported.run.path)]) == 0
    assert repr(exported).splitlines()[0] == capsys.readouterr().out.splitlines()[0]


def test_a_campaign_shows_the_first_line_of_its_command_and_holds_its_table(
    campaign: edgeval.InjectResult, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["inject-faults", str(campaign.run.path), "--cross-check", "5"]) == 0
    assert repr(campaign).splitlines()[0] == capsys.readouterr().out.splitlines()[0]
    table = campaign.table()
    assert table.num_rows == campaign.record.faults == sum(campaign.classes.values())
    assert table["metric_change"].to_numpy().min() == campaign.worst[0].metric_change
    assert campaign.agreed


def test_a_plan_shows_the_first_line_of_its_command(
    exported: edgeval.ExportResult, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = edgeval.plan_faults(exported)
    assert command(["inject-faults", str(exported.run.path), "--plan"]) == 0
    assert repr(plan).splitlines()[0] == capsys.readouterr().out.splitlines()[0]
    assert plan.chosen == "exhaustive"


@pytest.mark.long
def test_a_training_shows_the_first_line_of_its_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = edgeval.train("digits", tmp_path / "run", epochs=1, progress=False)
    assert capsys.readouterr() == ("", "")
    assert command(["train", "digits", "-o", str(tmp_path / "run"), "--epochs", "1"]) == 0
    assert repr(result).splitlines()[0] == capsys.readouterr().out.splitlines()[0]


def test_a_run_that_is_opened_again_has_its_results(
    exported: edgeval.ExportResult, campaign: edgeval.InjectResult
) -> None:
    run = edgeval.open_run(exported.run.path)
    again = run.exported()
    assert again is not None
    assert again.layers == exported.layers
    assert campaign.record.outcomes in {found.record.outcomes for found in run.campaigns()}
    assert run.network().output == "fc2"
    assert "export" in run.record_names
    assert "records: " in repr(run)


def test_a_folder_that_is_no_run_can_still_be_shown(tmp_path: Path) -> None:
    run = edgeval.Run(tmp_path)
    assert repr(run) == f"no run: no run.json\nrun {tmp_path}"
    assert run._repr_html_() is None


def test_no_result_has_a_truth_value(exported: edgeval.ExportResult, campaign: edgeval.InjectResult) -> None:
    with pytest.raises(TypeError, match=r"neither true nor false: ask result\.agreed"):
        bool(campaign)
    with pytest.raises(TypeError, match="neither true nor false"):
        assert exported


def test_progress_is_on_standard_error_and_can_be_turned_off(
    exported: edgeval.ExportResult, capsys: pytest.CaptureFixture[str]
) -> None:
    edgeval.inject(exported, cross_check=5, progress=False)
    assert capsys.readouterr() == ("", "")
    edgeval.inject(exported, cross_check=5)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "cross-check by brute force: " in shown.err


@pytest.mark.gxx
def test_every_second_opinion_has_its_row(exported: edgeval.ExportResult) -> None:
    result = edgeval.compare_matrix(exported, backend="Vitis", io_type="io_parallel", strategy="Latency", samples=5)
    assert (result.matched, len(result.rows)) == (True, 1)
    assert repr(result).splitlines()[:2] == [result.headline, "Vitis io_parallel Latency: match"]


@pytest.mark.gxx
@pytest.mark.long
def test_a_run_that_was_locked_passes(
    exported: edgeval.ExportResult, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "baseline.json"
    locked = edgeval.lock(exported, baseline=file, faults=20, progress=False)
    checked = edgeval.check(baseline=file, progress=False)
    assert capsys.readouterr() == ("", "")
    assert repr(locked) == f"LOCKED 1 run of 1 in {file}, {file.stat().st_size:,} bytes"
    assert repr(checked).splitlines()[0] == checked.headline
    assert (checked.passed, checked.failed, checked.exit_code) == (True, (), 0)


def test_a_failed_gate_is_told_with_its_cause(tmp_path: Path) -> None:
    gates = tuple(
        Gate(run="a", name="types", status=status, summary=f"<b>{status}</b>", remedy="mend it")
        for status in ("passed", "failed", "skipped")
    )
    record = RegressRecord(
        fingerprint=make_fingerprint("regress check", {}, seeds={}, digests={}), verdict="failed",
        headline="FAILED 3 gates of 1 run: 1 failed, 1 passed, 1 skipped", baseline="b.json",
        tolerances=Tolerances(), skipped_is_error=False, gates=gates,
    )  # fmt: skip
    result = edgeval.CheckResult(baseline=tmp_path / "b.json", record=record)
    assert (result.passed, result.exit_code, result.failed) == (False, 1, (gates[1],))
    assert repr(result).splitlines()[:2] == [
        "FAILED 3 gates of 1 run: 1 failed, 1 passed, 1 skipped",
        "a types: <b>failed</b>",
    ]
    shown = result._repr_html_()
    assert ">FAILED</strong>" in shown
    assert shown.index("&lt;b&gt;failed") < shown.index("&lt;b&gt;skipped")


def test_a_report_of_runs_is_written(exported: edgeval.ExportResult, tmp_path: Path) -> None:
    page = edgeval.write_report([exported, exported.run], tmp_path / "page.html")
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")


# Models.


def live_module() -> Any:
    return load_module(ModuleSource(factory="support.own_modules:plain"))


MODULE_INPUTS = np.random.default_rng(0).uniform(0.0, 1.0, (30, 8)).astype(np.float32)


@pytest.mark.long
def test_a_module_without_quantizers_is_refused() -> None:
    with pytest.raises(edgeval.InputError, match="Linear without a single Brevitas quantizer"):
        edgeval.export(torch.nn.Linear(2, 2), inputs=MODULE_INPUTS)


@pytest.mark.gxx
@pytest.mark.long
def test_a_live_module_is_compared_and_left_as_it_was() -> None:
    module = live_module().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    result = edgeval.compare(module, inputs=torch.from_numpy(MODULE_INPUTS))
    assert result.matched
    assert result.run.record.source == "support.own_modules:Mlp"
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    named = edgeval.export("support.own_modules:plain", inputs=MODULE_INPUTS, factory_args={"seed": 0})
    exported = result.run.exported()
    assert exported is not None
    assert named.record.network_digest == exported.record.network_digest


@pytest.mark.gxx
@pytest.mark.long
def test_a_model_of_hls4ml_is_judged_where_it_writes_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, inputs = Perceptron().model(), grid_inputs((8,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # hls4ml and qonnx, about their own future
        import hls4ml
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.util.cleanup import cleanup_model

        wrapped = cleanup_model(ModelWrapper(model))
        config = hls4ml.utils.config_from_onnx_model(wrapped, granularity="name", backend="Vitis")
        hls_model = hls4ml.converters.convert_from_onnx_model(
            wrapped, output_dir=str(tmp_path / "project"), backend="Vitis", hls_config=config
        )
    capsys.readouterr()
    result = edgeval.compare(model, hls_model, inputs)
    assert capsys.readouterr().out == ""
    assert (result.record.flow, result.matched) == ("project", True)


def test_a_temporary_run_goes_with_the_last_that_holds_it() -> None:
    result = edgeval.export(RECIPE.model())
    run = result.run
    folder = run.path
    del result
    gc.collect()
    assert folder.is_dir()
    del run
    gc.collect()
    assert not folder.parent.exists()


def test_a_configuration_is_a_dictionary_or_a_file(tmp_path: Path) -> None:
    config = {"LayerName": {"fc1": {"Precision": {"accum": "fixed<9,4>"}}}}
    (tmp_path / "config.yml").write_text("LayerName: {fc1: {Precision: {accum: 'fixed<9,4>'}}}", encoding="utf-8")
    exports = [edgeval.export(RECIPE.model(), config=given) for given in (config, tmp_path / "config.yml", None)]
    narrow, same, wide = ([row.accumulator_bits for row in item.layers] for item in exports)
    assert narrow == same != wide


# Errors.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda run: edgeval.compare(run, labels=LABELS), "labels beside an array"),
        (lambda run: edgeval.compare(run, inputs=[["a"], ["b"]]), "found <U1 inputs"),
        (lambda run: edgeval.compare(run, inputs=[[1.0], [1.0, 2.0]]), "an array of numbers"),
        (lambda run: edgeval.compare(run, task="regression"), "only with a QONNX file"),
        (lambda run: edgeval.compare(run, "folder"), "export the run again"),
        (lambda run: edgeval.compare(3), "found a int"),
        (lambda run: edgeval.compare("no/such/run"), "no such folder"),
        (lambda run: edgeval.open_run("no/such/run"), "no such folder"),
        (lambda run: edgeval.export(run, "elsewhere"), "--output elsewhere"),
        (lambda run: edgeval.export(torch.nn.Linear(2, 2)), "without inputs"),
        (lambda run: edgeval.export(run, project=object()), "the folder of an hls4ml project"),
        (lambda run: edgeval.export("a:b", config={"Model": object()}, inputs=INPUTS), "mappings, lists, text"),
        (lambda run: edgeval.export("a:b", factory_args={"a": object()}, inputs=INPUTS), "that JSON can hold"),
        (lambda run: edgeval.write_report([]), "found no run"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_an_error_in_four_parts(call: Any, message: str, exported: edgeval.ExportResult) -> None:
    with pytest.raises(edgeval.EdgevalError, match=re.escape(message)) as raised:
        call(exported.run)
    assert raised.value.remedy


# In a notebook.


@pytest.fixture(scope="module")
def pieces(
    exported: edgeval.ExportResult, campaign: edgeval.InjectResult, compared: edgeval.CompareResult
) -> list[str]:
    """The HTML of one result of each kind, and of a comparison that differs and one without a verdict."""
    run, record = exported.run, compared.record
    other = [
        msgspec.structs.replace(record, verdict="differ", headline="DIFFER 1 of 2 words"),
        msgspec.structs.replace(record, verdict="no_verdict", headline="NO VERDICT: nothing to see"),
    ]
    results: list[Any] = [
        run, exported, compared, campaign, edgeval.plan_faults(run), edgeval.TrainResult(run=run, record=run.record),
        *(edgeval.CompareResult(run=run, record=item) for item in other),
    ]  # fmt: skip
    return [result._repr_html_() for result in results]


@pytest.mark.gxx
def test_a_notebook_shows_a_verdict_with_its_evidence(pieces: list[str]) -> None:
    for piece, badge in zip(pieces[2::4], ["MATCH", "DIFFER"], strict=False):
        assert f">{badge}</strong>" in piece
    assert "480 of 480 words, 3 layers, 40 samples" in pieces[2]
    assert pieces[2].count("<tr>") == 4


@pytest.mark.gxx
def test_a_piece_needs_nothing_from_elsewhere_and_runs_nothing(pieces: list[str]) -> None:
    for piece in pieces:
        assert not re.search(r"<script|<style|<link|<img|url\(|https?:|\son\w+=", piece)


def test_names_cannot_forge_markup(exported: edgeval.ExportResult) -> None:
    layers = tuple(msgspec.structs.replace(row, name="<script>alert(1)</script>") for row in exported.layers)
    forged = edgeval.ExportResult(run=exported.run, record=msgspec.structs.replace(exported.record, layers=layers))
    assert "<script" not in forged._repr_html_()
    assert "&lt;script&gt;" in forged._repr_html_()


def test_a_long_table_says_what_it_leaves_out(exported: edgeval.ExportResult) -> None:
    record = msgspec.structs.replace(exported.record, layers=exported.layers * 20)
    shown = edgeval.ExportResult(run=exported.run, record=record)._repr_html_()
    assert f"and {20 * len(exported.layers) - 40} more rows" in shown


@pytest.mark.gxx
class TestInABrowser:
    pytestmark = needs_chromium

    def test_every_piece_can_be_read_in_both_schemes_at_the_width_of_a_phone(
        self, pieces: list[str], browser: Any
    ) -> None:
        for ground, ink in (("#ffffff", "#111111"), ("#111111", "#e0e0e0")):
            page = browser.new_page(viewport={"width": 390, "height": 800})
            said: list[str] = []
            page.on("console", lambda message, said=said: said.append(message.text))
            page.on("request", lambda request, said=said: said.append(request.url))
            page.set_content(f"<body style='background:{ground};color:{ink}'>{''.join(pieces)}</body>")
            assert said == []
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            inks = page.evaluate("[...document.querySelectorAll('td')].map(cell => getComputedStyle(cell).color)")
            assert set(inks) == {page.evaluate("getComputedStyle(document.body).color")}


# Types.

SNIPPET = """
import numpy as np
import edgeval

X = np.zeros((3, 5), np.float32)
result = edgeval.compare("runs/digits", inputs=X, labels=np.zeros(3, np.int64))
reveal_type(result)
reveal_type(result.matched)
reveal_type(edgeval.inject(result).worst[0].site)
reveal_type(edgeval.export("model.onnx", "runs/mine", config={"Model": {}}).run.path)
reveal_type(edgeval.open_run("runs/digits").campaigns())
edgeval.compare("runs/digits", backend="Vitus")
edgeval.compaare("runs/digits")
"""


@pytest.mark.long
def test_a_type_checker_knows_the_api(tmp_path: Path) -> None:
    (tmp_path / "snippet.py").write_text(SNIPPET, encoding="utf-8")
    root = Path(__file__).parents[2]
    # The project's own configuration, so that what `make types` keeps serves here, too.
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(tmp_path / "snippet.py")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert re.sub(r"^.*?snippet\.py:", "", done.stdout, flags=re.MULTILINE).splitlines() == [
        '7: note: Revealed type is "edgeval.api.results.CompareResult"',
        '8: note: Revealed type is "bool"',
        '9: note: Revealed type is "str"',
        '10: note: Revealed type is "pathlib.Path"',
        '11: note: Revealed type is "tuple[edgeval.api.results.InjectResult, ...]"',
        '12: error: Argument "backend" to "compare" has incompatible type "Literal[\'Vitus\']"; expected '
        "\"Literal['Vitis', 'Vivado', 'Quartus', 'Catapult'] | None\"  [arg-type]",
        '13: error: Module has no attribute "compaare"; maybe "compare"?  [attr-defined]',
    ], done.stdout + done.stderr
