from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.graphs import BIPOLAR, Net, signed, unsigned

from hls.errors import RunDirectoryError
from hls.graph import IntegerGraph, WordChange
from hls.host import HostAffine, HostApply
from hls.nodes import NODE_KINDS
from hls.serialize import digest, load_graph, save_graph, structure_json


def perceptron() -> IntegerGraph:
    net = Net((4,), unsigned(5))
    value = net.shift(net.matmul("q", 3, signed(4), signed(10)), 3)
    net.matmul(value, 2, signed(4), signed(10), widen=[0, 2])
    return net.graph()


def branches() -> IntegerGraph:
    net = Net((6, 6, 2), BIPOLAR)
    value = net.conv("q", 2, (3, 3), BIPOLAR, pads=(1, 1, 1, 1), groups=2)
    value = net.threshold(value, np.array([[0], [1]]), signed(6), [1, -1], [-1, 1], BIPOLAR, stride=2)
    pooled = net.max_pool(net.concat([value, "q"], 2), (2, 2))
    table = net.lookup(net.sum_pool(pooled, (3, 3)), signed(7), rows=4)
    scaled = net.requantize(table, [3, -1, 2, 1], [0, 1, -1, 2], [0, 1, 2, 3])
    left = net.resize(net.pad(scaled, (0, 2, 0, 0, 0, 0)), (2, 1, 1))
    right = net.transpose(net.slice(pooled, 0, 0, 2), (0, 1, 2))
    net.add([left, right], [1, -2])
    return net.graph(
        tail=(HostAffine(factors=(0.5, 0.25, 2.0, 1.0), offsets=(1.0,)), HostApply(function="softmax")),
        output_axes=(2, 0, 1),
        notes=("a note",),
    )  # fmt: skip


def asymmetric() -> IntegerGraph:
    net = Net((5, 3), unsigned(3))
    value = net.conv("q", 2, (2,), unsigned(3), zero_point=[3, 4], widen=[1, 0])
    net.matmul(net.reshape(value, (8,)), 2, unsigned(4), zero_point=7)
    return net.graph()


GRAPHS = {"perceptron": perceptron(), "branches": branches(), "asymmetric": asymmetric()}
GRAPH = GRAPHS["perceptron"]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "network.npz"
    save_graph(GRAPH, path)
    return path


def rewrite(path: Path, **members: bytes) -> None:
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (content | {name.replace("__", "."): data for name, data in members.items()}).items():
            archive.writestr(name, data)


@pytest.mark.parametrize("name", list(GRAPHS))
def test_a_saved_network_comes_back_equal(name: str, tmp_path: Path) -> None:
    graph = GRAPHS[name]
    save_graph(graph, tmp_path / "network.npz")
    assert load_graph(tmp_path / "network.npz") == graph


def test_every_kind_of_node_is_among_them() -> None:
    kinds = {type(node).__name__ for graph in GRAPHS.values() for node in graph.nodes}
    assert kinds == set(NODE_KINDS)


@pytest.mark.parametrize(
    "change",
    [
        {"tail": (HostApply(function="tanh"),)},
        {"output_axes": (0,)},
        {"notes": ("another",)},
    ],
    ids=str,
)
def test_anything_that_differs_changes_the_digest(change: dict[str, object]) -> None:
    assert digest(replace(GRAPH, **change)) != digest(GRAPH)


@pytest.mark.parametrize("change", [{"zero_point": np.asarray(1)}, {"channel_axis": 0}], ids=str)
def test_so_does_a_field_of_a_tensor(change: dict[str, object]) -> None:
    tensors = {**GRAPH.tensors, "fc1.weight": replace(GRAPH.tensors["fc1.weight"], **change)}
    assert digest(replace(GRAPH, tensors=tensors)) != digest(GRAPH)


def test_equal_networks_are_equal_files(saved: Path, tmp_path: Path) -> None:
    save_graph(load_graph(saved), tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == saved.read_bytes()


def test_the_words_open_with_numpy(saved: Path) -> None:
    with np.load(saved) as arrays:
        assert np.array_equal(arrays["fc1.weight"], GRAPH.tensors["fc1.weight"].words)


def test_the_structure_is_json_for_people(saved: Path) -> None:
    with zipfile.ZipFile(saved) as archive:
        structure = json.loads(archive.read("structure.json"))
    assert structure["nodes"][1]["name"] == "fc1"


@given(st.data())
@settings(deadline=None)
def test_any_changed_word_changes_the_digest(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(GRAPH.tensors)))
    tensor = GRAPH.tensors[name]
    index = data.draw(st.integers(0, tensor.words.size - 1))
    word = int(tensor.format.flip(tensor.words.reshape(-1)[[index]], data.draw(st.integers(0, 3)))[0])
    changed = GRAPH.with_words([WordChange(tensor=name, index=index, word=word)])
    assert digest(changed) != digest(GRAPH)


def test_a_network_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="FileNotFoundError"):
        load_graph(tmp_path / "network.npz")


def test_words_that_are_not_the_recorded_ones_are_refused(saved: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "words.npy", GRAPH.tensors["fc1.bias"].words + 1)
    rewrite(saved, fc1__bias__npy=(tmp_path / "words.npy").read_bytes())
    with pytest.raises(RunDirectoryError, match=r"words of fc1\.bias whose sha256"):
        load_graph(saved)


def test_a_network_of_another_version_is_refused(saved: Path) -> None:
    rewrite(saved, structure__json=structure_json(GRAPH).replace(b"edgeval.network/2", b"edgeval.network/1"))
    with pytest.raises(RunDirectoryError, match=r"edgeval\.network/1"):
        load_graph(saved)


def test_an_unknown_field_is_refused(saved: Path) -> None:
    rewrite(saved, structure__json=structure_json(GRAPH).replace(b'"input": "x"', b'"input": "x", "extra": 1', 1))
    with pytest.raises(RunDirectoryError, match="extra"):
        load_graph(saved)


def test_a_shape_that_does_not_hold_the_words_is_refused(saved: Path) -> None:
    structure = json.loads(structure_json(GRAPH))
    structure["tensors"][0]["shape"] = [4, 4]
    rewrite(saved, structure__json=json.dumps(structure).encode())
    with pytest.raises(RunDirectoryError):
        load_graph(saved)


@given(position=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255))
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_byte_is_refused_or_harmless(saved: Path, position: float, change: int) -> None:
    content = bytearray(saved.read_bytes())
    content[int(position * len(content))] ^= change
    damaged = saved.with_name("damaged.npz")
    damaged.write_bytes(content)
    found: IntegerGraph | None = None
    try:
        found = load_graph(damaged)
    except RunDirectoryError:
        return
    assert found == GRAPH


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_file_is_refused(saved: Path, share: float) -> None:
    content = saved.read_bytes()
    saved.write_bytes(content[: int(share * len(content))])
    with pytest.raises(RunDirectoryError):
        load_graph(saved)
