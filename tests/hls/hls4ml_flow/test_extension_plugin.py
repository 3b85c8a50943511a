"""hls4ml finds the extension by its entry point, and one import converts a graph; told by fresh processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import hls

ROOT = Path(hls.__file__).parents[1]
DOMAIN = "edgeval.custom_op"

CONVERT = """
import sys
import hls4ml
{check}
import hls.hls4ml_flow.extension.handlers
import importlib
importlib.reload(hls.hls4ml_flow.extension.handlers)  # a second registration changes nothing
from qonnx.core.modelwrapper import ModelWrapper
model = ModelWrapper(sys.argv[1])
config = hls4ml.utils.config_from_onnx_model(
    model, granularity="name", backend="Vitis", default_precision="fixed<16,8>")
converted = hls4ml.converters.convert_from_onnx_model(
    model, output_dir=sys.argv[2], backend="Vitis", io_type="io_parallel", hls_config=config)
converted.write()
"""

FOUND = 'assert "EdgevalThreshold" in hls4ml.model.layers.layer_map, "the entry point registered nothing"'


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    thresholds = numpy_helper.from_array(np.array([[-1.5, 0.0, 2.25]], np.float32), "steps")
    nodes = [
        helper.make_node("MultiThreshold", ["x", "steps"], ["counts"], name="counts", domain="qonnx.custom_op.general",
                         out_dtype="UINT2"),
        helper.make_node("Lookup", ["counts"], ["y"], name="table", domain=DOMAIN, table=[5, -7, 0, 3], channels=1,
                         first=0, in_unit=0, out_unit=-1, out_bits=4, out_signed=1),
    ]  # fmt: skip
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in ("x", "counts", "y")]
    body = helper.make_graph(nodes, "plain", ports[:1], ports[2:], [thresholds], value_info=ports[1:2])
    domains = [
        helper.make_opsetid("", 13),
        helper.make_opsetid(DOMAIN, 1),
        helper.make_opsetid("qonnx.custom_op.general", 1),
    ]
    path = tmp_path_factory.mktemp("graph") / "plain.onnx"
    onnx.save(helper.make_model(body, ir_version=8, opset_imports=domains), path)
    return path


def installed(folder: Path) -> Path:
    """A folder for sys.path on which the entry points of pyproject.toml are installed, and nothing else."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    lines = [
        line for group, names in groups.items() for line in (f"[{group}]", *(f"{k} = {v}" for k, v in names.items()))
    ]
    information = folder / "edgeval_entry_points-0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: edgeval-entry-points\nVersion: 0\n")
    (information / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


def run(script: str, *arguments: str, path: list[Path]) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    process = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, env=environment, check=False
    )
    said = process.stdout + process.stderr
    assert process.returncode == 0, said
    return said


def require_quiet(said: str) -> None:
    for line in said.splitlines():
        assert "warning" not in line.lower(), said
        assert "plugin" not in line.lower(), said


def test_plain_hls4ml_converts_with_the_entry_point_and_one_import(graph: Path, tmp_path: Path) -> None:
    entry_points = installed(tmp_path / "site")
    said = run(CONVERT.format(check=FOUND), str(graph), str(tmp_path / "project"), path=[entry_points, ROOT])
    require_quiet(said)
    firmware = tmp_path / "project" / "firmware"
    weights = {path.stem.rstrip("0123456789"): path.read_text() for path in (firmware / "weights").glob("*.txt")}
    assert weights["thresholds"] == "-1.50, 0.00, 2.25"
    assert weights["table"] == "2.5, -3.5, 0.0, 1.5"
    assert {"nnet_edgeval.h", "nnet_edgeval_ap.h"} <= {path.name for path in (firmware / "nnet_utils").iterdir()}


def test_the_import_alone_is_enough_where_nothing_is_installed(graph: Path, tmp_path: Path) -> None:
    require_quiet(run(CONVERT.format(check=""), str(graph), str(tmp_path / "project"), path=[ROOT]))
    assert (tmp_path / "project" / "firmware" / "myproject.cpp").exists()


def test_the_entry_point_also_works_when_edgeval_is_imported_first(tmp_path: Path) -> None:
    script = "import hls.hls4ml_flow.extension.handlers, hls4ml\n" + FOUND
    require_quiet(run(script, path=[installed(tmp_path / "site"), ROOT]))


def test_hls_is_importable_without_hls4ml_qonnx_and_onnx() -> None:
    script = (
        "import sys\n"
        "import hls, hls.hls4ml_flow, hls.hls4ml_flow.extension, hls.hls4ml_flow.extension.parameters\n"
        "print([name for name in ('hls4ml', 'qonnx', 'onnx') if name in sys.modules])"
    )
    assert run(script, path=[ROOT]).strip() == "[]"


def test_qonnx_finds_the_operators_without_a_module_of_the_domains_name() -> None:
    script = (
        "import hls.hls4ml_flow.extension.operators\n"
        "from qonnx.custom_op.registry import is_custom_op\n"
        f"print([is_custom_op({DOMAIN!r}, name) for name in ('Threshold', 'Requantize', 'Lookup', 'ScaledAdd')])"
    )
    assert run(script, path=[ROOT]).strip() == "[True, True, True, True]"
