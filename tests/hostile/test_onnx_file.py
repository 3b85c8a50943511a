"""ONNX files whose tensors lie in other files: read from the model's own folder, and from nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
import pytest
from support.networks import Mlp

from edgeval.importing import GraphOptions, import_graph
from edgeval.run_directory import RunDirectory
from hls.errors import InputError
from hls.lowering import lower
from hls.onnx_file import load_model

SECRET = b"\x00" * 4096


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model whose weights lie in ``weights.bin`` beside it."""
    folder = tmp_path / "model"
    folder.mkdir()
    onnx.save(
        Mlp(seed=2).model(), folder / "m.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    (tmp_path / "outside.bin").write_bytes(SECRET)
    return folder / "m.onnx"


def changed(model: Path, **entries: str) -> Path:
    """The model with entries of its first outside tensor replaced."""
    proto = onnx.load(model, load_external_data=False)
    tensor = next(t for t in proto.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL)
    kept = {item.key: item.value for item in tensor.external_data} | entries
    del tensor.external_data[:]
    for key, value in kept.items():
        item = tensor.external_data.add()
        item.key, item.value = key, value
    model.write_bytes(proto.SerializeToString())
    return model


def test_tensors_beside_the_model_are_read(model: Path) -> None:
    assert lower(load_model(model)) == Mlp(seed=2).graph()


def test_a_run_of_such_a_model_needs_no_other_file(model: Path, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    import_graph(model, run, GraphOptions())
    (model.parent / "weights.bin").unlink()
    assert lower(load_model(run.onnx_file)) == Mlp(seed=2).graph()


def test_other_weights_beside_the_model_are_another_run(model: Path, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    first = import_graph(model, run, GraphOptions()).fingerprint.digests["model"]
    content = bytearray((model.parent / "weights.bin").read_bytes())
    content[1] ^= 1
    (model.parent / "weights.bin").write_bytes(content)
    assert import_graph(model, RunDirectory(tmp_path / "b"), GraphOptions()).fingerprint.digests["model"] != first


@pytest.mark.parametrize(
    "location",
    [
        "../outside.bin",
        "sub/../../outside.bin",
        "/etc/passwd",
        "",
        ".",
        "missing.bin",
        "..\\outside.bin",
        "weights.bin\x00",
        "n" * 5000,
        "file:///etc/passwd",
    ],
)
def test_a_location_outside_the_folder_is_refused(location: str, model: Path) -> None:
    with pytest.raises(InputError, match="location"):
        load_model(changed(model, location=location))


@pytest.mark.parametrize("folder", [False, True])
def test_a_link_is_refused_as_a_place_of_tensors(folder: bool, model: Path, tmp_path: Path) -> None:
    if folder:
        (model.parent / "sub").symlink_to(tmp_path)
    else:
        (model.parent / "link.bin").symlink_to(tmp_path / "outside.bin")
    with pytest.raises(InputError, match="a link"):
        load_model(changed(model, location="sub/outside.bin" if folder else "link.bin"))


def test_a_pipe_is_refused_as_a_place_of_tensors(model: Path) -> None:
    os.mkfifo(model.parent / "pipe")
    with pytest.raises(InputError, match="no regular file"):
        load_model(changed(model, location="pipe"))


@pytest.mark.parametrize(
    "entries",
    [
        {"offset": "99999999"},
        {"offset": "-4"},
        {"length": "5"},
        {"length": str(2**62)},
        {"length": "-1"},
        {"offset": "x"},
        {"length": "1e3"},
        {"offset": str(10**30)},
    ],
)
def test_bytes_that_are_not_the_tensors_are_refused(entries: dict[str, str], model: Path) -> None:
    with pytest.raises(InputError, match=r"weights\.bin|offset"):
        load_model(changed(model, **entries))


def test_a_pipe_is_refused_as_a_model(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.onnx")
    with pytest.raises(InputError, match="no regular file"):
        load_model(tmp_path / "m.onnx")


def test_text_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    content = Mlp().model().SerializeToString().replace(b"Quant", b"Qua\xff\xfe")
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(InputError, match="utf-8"):
        load_model(tmp_path / "m.onnx")
