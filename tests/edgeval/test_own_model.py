"""A Brevitas module by the name of its factory: imported, loaded, exported, and executed before it counts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file

from edgeval.cli import run as edgeval
from edgeval.importing import GraphOptions
from edgeval.module_export import EXPORTERS, Exporter, compare_outputs, module_outputs
from edgeval.own_model import ModuleSource, import_module, load_checkpoint, load_module
from edgeval.pipeline import export_run
from edgeval.run_directory import RunDirectory
from edgeval.witness import execute_qonnx
from hls.errors import InputError, RunDirectoryError, UsageError
from hls.hls4ml_flow import ProjectOptions

FACTORIES = "support.own_modules"
SAMPLES = 200
INPUTS = np.random.default_rng(0).uniform(0.0, 1.0, (SAMPLES, 8)).astype(np.float32)


def made(name: str, **arguments: Any) -> Any:
    return load_module(ModuleSource(factory=f"{FACTORIES}:{name}", arguments=arguments))


@pytest.fixture(scope="session")
def inputs_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "x.npz"
    np.savez(path, inputs=INPUTS)
    return path


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory, inputs_file: Path) -> dict[Exporter, RunDirectory]:
    """The same module, exported by each exporter."""
    folder = tmp_path_factory.mktemp("runs")
    found: dict[Exporter, RunDirectory] = {}
    for exporter in EXPORTERS:
        found[exporter] = RunDirectory(folder / exporter)
        source = ModuleSource(factory=f"{FACTORIES}:plain", arguments={"seed": 3}, exporter=exporter)
        import_module(source, found[exporter], GraphOptions(inputs=inputs_file))
        export_run(found[exporter], ProjectOptions())
    return found


# What comes out.


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_the_run_is_of_a_graph_that_does_what_the_module_does(
    exporter: Exporter, runs: dict[Exporter, RunDirectory]
) -> None:
    model = onnx.load(runs[exporter].onnx_file)
    expected = module_outputs(made("plain", seed=3), INPUTS)
    assert compare_outputs(expected, execute_qonnx(model, INPUTS)).exact
    own = runs[exporter].run_record().own_model
    assert own is not None
    assert (own.exporter, own.differing, own.samples, own.checkpoint) == (exporter, 0, SAMPLES, None)
    assert own.arguments == {"seed": 3}


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_names_are_plain_and_nothing_is_about_the_exporting_machine(
    exporter: Exporter, runs: dict[Exporter, RunDirectory]
) -> None:
    model = onnx.load(runs[exporter].onnx_file)
    assert [item.name for item in model.graph.input] == ["input"]
    assert [item.name for item in model.graph.output] == ["output"]
    assert {"/fc1/Gemm", "/act1/act_quant/Quant", "/fc2/Gemm"} <= {node.name for node in model.graph.node}
    content = runs[exporter].onnx_file.read_bytes()
    assert b"site-packages" not in content
    assert str(Path(__file__).parents[1]).encode() not in content


def test_both_exporters_give_the_same_integer_network(runs: dict[Exporter, RunDirectory]) -> None:
    first, second = (runs[exporter].network() for exporter in EXPORTERS)
    assert first == second
    assert list(first.tensors) == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]


def test_the_same_module_again_is_the_same_run_and_another_is_refused(
    runs: dict[Exporter, RunDirectory], inputs_file: Path
) -> None:
    run, options = runs["torchscript"], GraphOptions(inputs=inputs_file)
    before = run.onnx_file.read_bytes()
    source = ModuleSource(factory=f"{FACTORIES}:plain", arguments={"seed": 3}, exporter="torchscript")
    import_module(source, run, options)
    assert run.onnx_file.read_bytes() == before
    other = ModuleSource(factory=f"{FACTORIES}:plain", arguments={"seed": 4}, exporter="torchscript")
    with pytest.raises(RunDirectoryError, match=r"another run .*weights"):
        import_module(other, run, options)


def test_a_later_export_needs_no_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    module = tmp_path / "edgeval_test_module_that_goes.py"
    module.write_text(f"from {FACTORIES} import plain\n")
    arguments = ["--inputs", str(inputs_file), "-o", "run", "--exporter", "torchscript"]
    assert edgeval(["export", f"{module.stem}:plain", *arguments]) == 0
    out = capsys.readouterr().out
    assert "no checkpoint: the factory's own weights" in out
    assert "exported by torchscript" in out
    assert "a factory that talks" not in out
    assert str(tmp_path) not in sys.path
    module.unlink()
    monkeypatch.delitem(sys.modules, module.stem)
    assert edgeval(["export", "run"]) == 0


def test_json_is_the_record_and_nothing_else(
    tmp_path: Path, inputs_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--inputs", str(inputs_file), "-o", str(tmp_path / "run"), "--exporter", "torchscript", "--json"]
    assert edgeval(["export", f"{FACTORIES}:plain", "--factory-args", '{"hidden": 4}', *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["layers"][1]["weights"] == 8 * 4


# Factories.


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("edgeval_no_such_module:make", "found no module edgeval_no_such_module"),
        (f"{FACTORIES}.deeper:make", f"found no module {FACTORIES}.deeper"),
        (f"{FACTORIES}:absent", r"no attribute absent; allowed: one of Mlp, plain"),
        (f"{FACTORIES}:Mlp.absent", "no attribute absent"),
        (f"{FACTORIES}:", "package.module:factory"),
        (f"{FACTORIES}:failing", r"the factory raised RuntimeError: no weights today \(own_modules.py, line \d+\)"),
        (f"{FACTORIES}:leaving", "the factory raised SystemExit: bye"),
        (f"{FACTORIES}:NUMBER", "int, which cannot be called"),
        (f"{FACTORIES}:listing", "a factory that gives list, not an nn.Module"),
        (f"{FACTORIES}:floating", "Linear without a single Brevitas quantizer"),
    ],
)
def test_a_factory_that_gives_no_quantized_module_is_refused(factory: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_module(ModuleSource(factory=factory))


def test_a_module_that_fails_while_it_is_imported_is_told_from_a_missing_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "edgeval_test_broken.py").write_text("import edgeval_no_such_module\n")
    with pytest.raises(
        InputError, match=r"importing the module raised ModuleNotFoundError.*edgeval_test_broken.py, line 1"
    ):
        load_module(ModuleSource(factory="edgeval_test_broken:make"))


def test_a_module_that_is_there_already_is_taken_as_it_is_and_takes_no_arguments() -> None:
    assert type(made("INSTANCE")).__name__ == "Mlp"
    with pytest.raises(UsageError, match="--factory-args"):
        made("INSTANCE", hidden=3)


def test_arguments_that_do_not_fit_show_those_that_do() -> None:
    with pytest.raises(InputError, match=r"unexpected keyword argument 'hiden'.*plain\(seed"):
        made("plain", hiden=3)


# Checkpoints.


@pytest.mark.parametrize("kind", ["safetensors", "torch", "state_dict", "model"])
def test_a_checkpoint_gives_the_module_its_weights(kind: str, tmp_path: Path) -> None:
    state, path = made("plain", seed=7).state_dict(), tmp_path / "weights"
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save(state if kind == "torch" else {"epoch": 3, kind: state}, path)
    module = made("plain", seed=0)
    assert not np.array_equal(module_outputs(module, INPUTS), module_outputs(made("plain", seed=7), INPUTS))
    load_checkpoint(module, path)
    assert np.array_equal(module_outputs(module.eval(), INPUTS), module_outputs(made("plain", seed=7), INPUTS))


def test_missing_and_unexpected_tensors_are_listed(tmp_path: Path) -> None:
    state = made("plain").state_dict()
    state["head.weight"] = state.pop("fc2.weight")
    torch.save(state, tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"1 missing \(fc2.weight\) and 1 unexpected \(head.weight\)"):
        load_checkpoint(made("plain"), tmp_path / "other.pt")


def test_tensors_of_another_shape_are_refused(tmp_path: Path) -> None:
    torch.save(made("plain", hidden=4).state_dict(), tmp_path / "narrow.pt")
    with pytest.raises(InputError, match=r"size mismatch for fc1.weight"):
        load_checkpoint(made("plain"), tmp_path / "narrow.pt")


class Trap:
    """A pickle that would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    torch.save({"state_dict": Trap(tmp_path / "sprung")}, tmp_path / "trap.pt")
    with pytest.raises(InputError, match="a pickle with more than tensors in it"):
        load_checkpoint(made("plain"), tmp_path / "trap.pt")
    assert not (tmp_path / "sprung").exists()
    torch.load(tmp_path / "trap.pt", weights_only=False)
    assert (tmp_path / "sprung").exists()  # the trap works


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "FileNotFoundError"),
        (b"", "found"),
        (b"PK\x03\x04 cut short", "found"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00{cut", "SafetensorError"),
        (b"plain text, no weights at all", "found"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_checkpoint(made("plain"), path)


def test_a_checkpoint_without_a_state_dict_shows_what_it_has(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "weights": [1, 2]}, tmp_path / "other.pt")
    with pytest.raises(InputError, match="a dict with the keys epoch, weights"):
        load_checkpoint(made("plain"), tmp_path / "other.pt")


# The command line.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([f"{FACTORIES}:plain", "-o", "RUN"], "without --inputs"),
        ([f"{FACTORIES}:plain", "--inputs", "x.npz"], "a module without --output"),
        ([f"{FACTORIES}:plain", "-o", "RUN", "--inputs", "X", "--factory-args", "[1]"], "a JSON object"),
        ([f"{FACTORIES}:plain", "-o", "RUN", "--inputs", "X", "--factory-args", "{"], "a JSON object"),
        ([".", "--checkpoint", "w.pt"], "--checkpoint w.pt with ."),
        ([".", "--factory-args", "{}"], "--factory-args {} with ."),
        ([".", "--exporter", "dynamo"], "--exporter dynamo with ."),
    ],
)
def test_options_that_do_not_fit_are_refused(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs_file: Path, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert edgeval(["export", *[str(inputs_file) if item == "X" else item for item in arguments]]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "RUN").exists()


def test_a_path_with_a_colon_that_exists_is_a_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "a:b"
    folder.mkdir()
    assert edgeval(["export", str(folder)]) == 3
    assert "no run.json" in capsys.readouterr().err
