from __future__ import annotations

from pathlib import Path

import hls4ml
import msgspec
import numpy as np
import onnx
import pytest
import yaml
from support.graphs import Net, unsigned
from support.networks import Mlp

from hls.errors import InputError, LoweringError, RunDirectoryError, ToolError
from hls.hls4ml_flow import ProjectOptions, apply_overrides, load_manifest
from hls.hls4ml_flow import project as project_module
from hls.hls4ml_flow.project import write_project
from hls.serialize import digest

GRAPH = Mlp(widths=(4, 4, 2)).graph()


def written(folder: Path, **choices: object) -> Path:
    write_project(GRAPH, folder / "hls4ml", ProjectOptions(**choices))
    return folder / "hls4ml"


def layer_settings(project: Path, layer: str) -> dict[str, object]:
    text = (project / "hls4ml_config.yml").read_text(encoding="utf-8")
    config = yaml.unsafe_load(text) if "!" in text else yaml.safe_load(text)
    return config["HLSConfig"]["LayerName"][layer]


def parameters(project: Path) -> str:
    return (project / "firmware" / "parameters.h").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("project"))


def test_the_manifest_is_saved_and_of_this_network(project: Path) -> None:
    manifest = load_manifest(project)
    assert manifest.network_digest == digest(GRAPH)
    assert {array.tensor for array in manifest.arrays} == set(GRAPH.tensors)


def test_the_canonical_graph_and_the_log_lie_beside(project: Path) -> None:
    onnx.checker.check_model(onnx.load(project / "canonical.onnx"))
    assert (project / "conversion.log").stat().st_size > 0


def test_hls4ml_prints_nothing_on_our_streams(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    written(tmp_path)
    assert capfd.readouterr() == ("", "")


def test_nothing_names_the_folder_it_was_written_in(tmp_path: Path) -> None:
    project = written(tmp_path)
    for path in project.rglob("*"):
        if path.is_file() and path.suffix in {".yml", ".cpp", ".h", ".json", ".tcl", ".sh"}:
            assert str(tmp_path) not in path.read_text(encoding="utf-8", errors="replace"), path


def test_equal_networks_give_equal_sources(project: Path, tmp_path: Path) -> None:
    again = written(tmp_path)
    for path in sorted((project / "firmware").rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (again / path.relative_to(project)).read_bytes(), path


def test_the_types_are_the_networks(project: Path) -> None:
    defines = (project / "firmware" / "defines.h").read_text(encoding="utf-8")
    manifest = load_manifest(project)
    weight = manifest.array_of("fc1.weight")
    assert f"typedef ap_fixed<4,{4 + weight.unit_log2}> {weight.cpp_type};" in defines
    assert "typedef ap_ufixed<5,2> input_t;" in defines


def test_the_parts_of_a_project_are_the_options(tmp_path: Path) -> None:
    project = written(tmp_path, backend="Vivado", io_type="io_stream", strategy="Resource", reuse_factor=2)
    manifest = load_manifest(project)
    assert (manifest.backend, manifest.io_type) == ("Vivado", "io_stream")
    assert parameters(project).count("reuse_factor = 2;") >= 2
    assert parameters(project).count("nnet::resource") == 2


@pytest.mark.parametrize(
    ("overrides", "resource_layers", "reused_layers"),
    [
        ({"LayerName": {"fc1": {"Strategy": "Resource", "ReuseFactor": 2}}}, 1, 1),
        ({"Model": {"Strategy": "Resource", "ReuseFactor": 2}}, 2, 2),
    ],
    ids=["one layer", "the whole model"],
)
def test_strategy_and_reuse_of_the_yaml_reach_the_layers(
    tmp_path: Path, overrides: dict[str, object], resource_layers: int, reused_layers: int
) -> None:
    project = written(tmp_path, overrides=overrides)
    dense = [part.split("};")[0] for part in parameters(project).split("nnet::dense_config {")[1:]]
    assert sum("strategy = nnet::resource" in part for part in dense) == resource_layers
    assert sum("reuse_factor = 2;" in part for part in dense) == reused_layers


def test_a_narrower_accumulator_reaches_the_types(tmp_path: Path) -> None:
    overrides = {"LayerName": {"fc1": {"Precision": {"accum": "fixed<6,1>"}}}}
    graph = apply_overrides(GRAPH, overrides)
    write_project(graph, tmp_path / "p", ProjectOptions(overrides=overrides))
    assert "typedef ap_fixed<6,1> dense_fc1_accum_t;" in (tmp_path / "p/firmware/defines.h").read_text()


def test_a_project_replaces_an_older_one_whole(tmp_path: Path) -> None:
    project = written(tmp_path)
    (project / "stale.txt").write_text("old")
    written(tmp_path)
    assert not (project / "stale.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["hls4ml"]


def test_a_failed_conversion_leaves_the_older_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = written(tmp_path)
    before = (project / "edgeval_project.json").read_bytes()

    def fail(*arguments: object) -> None:
        raise ToolError(found="x", allowed="y", where="z", remedy="w")

    monkeypatch.setattr(project_module, "_convert", fail)
    with pytest.raises(ToolError):
        written(tmp_path)
    assert (project / "edgeval_project.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["hls4ml"]


def test_a_type_hls4ml_chose_itself_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project_module, "_hls_type", lambda word_format, unit: "fixed<16,6>")
    with pytest.raises(ToolError, match=r"found fixed<16,6.*allowed: ap_"):
        written(tmp_path)


def test_what_hls4ml_cannot_convert_is_a_tool_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*arguments: object, **named: object) -> None:
        raise IndexError("list index out of range")

    monkeypatch.setattr(hls4ml.converters, "convert_from_onnx_model", crash)
    with pytest.raises(ToolError, match=r"hls4ml 1\.3\.0, back end Vitis: found IndexError"):
        written(tmp_path)


def test_a_layer_hls4ml_has_not_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    net = Net((5, 2), unsigned(3))
    net.matmul("q", 3)  # over a sequence
    with pytest.raises(LoweringError, match="matrix product over words of shape"):
        write_project(net.graph(), tmp_path / "hls4ml", ProjectOptions())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="writable folder"):
        written(tmp_path / "file")


def test_a_folder_without_a_manifest_is_no_project(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="a project folder written by `edgeval export`"):
        load_manifest(tmp_path)


def test_a_damaged_manifest_is_refused(project: Path, tmp_path: Path) -> None:
    (tmp_path / "edgeval_project.json").write_bytes((project / "edgeval_project.json").read_bytes()[:-20])
    with pytest.raises(RunDirectoryError):
        load_manifest(tmp_path)


@pytest.mark.parametrize(("shape", "axes"), [((4, 2), (1, 0)), ((3, 2, 2, 1), (2, 3, 1, 0))])
def test_positions_are_those_of_the_permuted_array(
    project: Path, shape: tuple[int, ...], axes: tuple[int, ...]
) -> None:
    size = int(np.prod(shape))
    array = msgspec.structs.replace(load_manifest(project).array_of("fc1.weight"), shape=shape, axes=axes, size=size)
    cpp = np.arange(size).reshape(shape).transpose(axes).reshape(-1)
    assert [cpp[array.position(index)] for index in range(size)] == list(range(size))
    assert array.stored_order().tolist() == cpp.tolist()
