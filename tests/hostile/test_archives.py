"""Archives of arrays, JSON and YAML that promise more than they hold, or hold what could run: refused in words."""

from __future__ import annotations

import copy
import io
import os
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.fuzz_examples import example, record_kinds
from support.networks import Mlp

from edgeval.records import CompareRecord, RunRecord, load_record
from edgeval.run_directory import load_samples
from hls.errors import InputError, RunDirectoryError, UsageError
from hls.hls4ml_flow.manifest import MANIFEST_FILE, Manifest, load_manifest
from hls.hls4ml_flow.native import load_config
from hls.hls4ml_flow.options import load_overrides
from hls.serialize import load_graph, save_graph


def npz(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def header(text: str, content: bytes = b"") -> bytes:
    """An ``.npy`` file with any header."""
    padded = text.encode()
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded + content


NOT_ARRAYS = {
    "more than the file holds": header("{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000, 8), }"),
    "less than the file holds": npy(np.zeros((3, 4))) + b"more",
    "objects": npy(np.array([[object()]])),
    "objects in a struct": header("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1, 1), }", b"\0" * 8),
    "a negative size": header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 1), }"),
    "too many axes": header("{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1, " * 70 + "), }", b"\0" * 8),
    "code": header("__import__('os').system('touch escape')"),
    "no literal": header("{" * 300),
    "nothing": b"",
    "half": npy(np.zeros((3, 4)))[:-5],
}


@pytest.mark.parametrize("name", NOT_ARRAYS)
def test_an_array_that_is_not_what_its_header_says_is_refused(name: str, tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"samples\.npz"):
            load_samples(npz(tmp_path / "samples.npz", {"inputs.npy": NOT_ARRAYS[name]}), "a file")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50 * 2**20


def test_an_array_in_the_order_of_fortran_is_read(tmp_path: Path) -> None:
    array = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    loaded = load_samples(npz(tmp_path / "samples.npz", {"inputs.npy": npy(array)}), "a file")
    assert np.array_equal(loaded.inputs, array)


def test_members_that_overlap_to_become_more_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("inputs.npy", npy(np.zeros((10, 1000))))
        first = bomb.infolist()[0]
        for number in range(3000):  # each names the bytes of the first
            entry = copy.copy(first)
            entry.filename = f"b{number}.npy"
            entry.file_size = 2**30
            bomb.filelist.append(entry)
            bomb.NameToInfo[entry.filename] = entry
    with pytest.raises(InputError, match="more than it can hold"):
        load_samples(tmp_path / "bomb.npz", "a file")


def test_another_compression_than_numpys_is_refused(tmp_path: Path) -> None:
    path = npz(tmp_path / "samples.npz", {"inputs.npy": npy(np.zeros((100, 8)))}, zipfile.ZIP_LZMA)
    with pytest.raises(InputError, match="stored or deflated only"):
        load_samples(path, "a file")


def test_a_member_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = npz(tmp_path / "samples.npz", {"inputs.npy": npy(np.zeros((2, 2)))})
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("inputs.npy", npy(np.ones((2, 2))))
    with pytest.raises(InputError, match="twice"):
        load_samples(path, "a file")


def test_a_pipe_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "samples.npz")
    os.mkfifo(tmp_path / "record.json")
    with pytest.raises(InputError, match="no regular file"):
        load_samples(tmp_path / "samples.npz", "a file")
    with pytest.raises(RunDirectoryError, match="no regular file"):
        load_record(RunRecord, tmp_path / "record.json")


def spoiled(path: Path, change: Callable[[dict], object]) -> Path:  # type: ignore[type-arg]  # a JSON tree
    """A saved network whose structure says something else, its words and digests as they were."""
    import json

    save_graph(Mlp(seed=2).graph(), path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    tree = json.loads(members["structure.json"])
    change(tree)
    return npz(path, members | {"structure.json": json.dumps(tree).encode()})


def rename(tree: dict) -> None:  # type: ignore[type-arg]
    old, new = tree["nodes"][-1]["output"], 'y"; system("id"); //'
    tree["nodes"][-1]["output"] = tree["output"] = new
    next(value for value in tree["values"] if value["name"] == old)["name"] = new


UNSOUND: dict[str, Callable[[dict], object]] = {  # type: ignore[type-arg]
    "a name that would be C++": rename,
    "a value that nothing makes": lambda tree: tree["nodes"][1].update(input="nowhere"),
    "a cycle": lambda tree: tree["nodes"][1].update(input=tree["nodes"][-1]["output"]),
    "no nodes": lambda tree: tree.update(nodes=[]),
    "a node twice": lambda tree: tree["nodes"].append(tree["nodes"][-1]),
    "another shape": lambda tree: tree["values"][-1].update(shape=[2**40]),
    "a scale of nothing": lambda tree: tree["values"][-1].update(scale=0.0),
    "words behind the range": lambda tree: tree["nodes"][0].update(high=2**61),
    "a view of other size": lambda tree: tree["nodes"][0].update(view=[3, 3]),
    "axes that are none": lambda tree: tree["nodes"][0].update(axes=[7]),
    "a widening beyond the word": lambda tree: tree["tensors"][0].update(widen=-3),
    "a zero point of a hundred digits": lambda tree: tree["tensors"][0].update(zero_point=10**100),
    "an unknown function": lambda tree: tree.update(tail=[{"type": "HostApply", "function": "os.system"}]),
    "an accumulator of another width": lambda tree: next(n for n in tree["nodes"] if n["type"] == "MatMul")[
        "accumulator"
    ].update(width_bits=40),
}


@pytest.mark.parametrize("name", UNSOUND)
def test_a_network_that_contradicts_itself_is_refused(name: str, tmp_path: Path) -> None:
    path = spoiled(tmp_path / "network.npz", UNSOUND[name])
    with pytest.raises(RunDirectoryError, match=r"network\.npz"):
        load_graph(path)


def test_a_network_that_is_only_written_again_is_taken(tmp_path: Path) -> None:
    assert load_graph(spoiled(tmp_path / "network.npz", lambda tree: tree)) == Mlp(seed=2).graph()


DAMAGE = {
    "nested without end": b"[" * 200_000,
    "objects without end": b'{"a":' * 200_000,
    "no UTF-8": b'{"type": "edgeval.run/2", "\xee": 1}',
    "a number without end": b'{"fingerprint": ' + b"9" * 10_000 + b"}",
    "no number": b'{"samples": NaN}',
    "a lone surrogate": b'{"\\ud800": 1}',
    "another file": b"\x93NUMPY",
}


@pytest.mark.parametrize("name", DAMAGE)
@pytest.mark.parametrize("kind", [RunRecord, CompareRecord], ids=lambda kind: kind.__name__)
def test_a_record_that_is_no_record_is_refused(name: str, kind: type, tmp_path: Path) -> None:
    (tmp_path / "record.json").write_bytes(DAMAGE[name])
    with pytest.raises(RunDirectoryError, match=r"record\.json"):
        load_record(kind, tmp_path / "record.json")


@pytest.mark.parametrize("kind", record_kinds(), ids=lambda kind: str(kind.__struct_config__.tag))
def test_the_example_of_every_record_is_one(kind: type, tmp_path: Path) -> None:
    import msgspec

    (tmp_path / "record.json").write_bytes(msgspec.json.encode(example(kind)))
    assert isinstance(load_record(kind, tmp_path / "record.json"), kind)


LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]\n" for n in range(12))


@pytest.mark.parametrize(
    "text",
    [
        f"{LAUGHS}Model: *a12\n",
        "[" * 3000,
        "!!python/object/apply:os.system ['touch escape']",
        "Model: {a: !!python/name:os.system }",
        "2001-99-99: 1",
        "? [a, b]\n: 1",
    ],
)
@pytest.mark.parametrize("read", [load_overrides, load_config])
def test_yaml_that_is_more_or_other_than_settings_is_refused(
    read: Callable[[Path], object], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.yml").write_text(text)
    with pytest.raises(UsageError, match=r"c\.yml"):
        read(tmp_path / "c.yml")
    assert not (tmp_path / "escape").exists()


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("project", "../../outside"),
        ("project", 'x"\n#include "/etc/passwd'),
        ("arrays.0.symbol", "../../../outside"),
        ("arrays.0.cpp_type", "int64_t>(0)); system("),
        ("input.cpp_type", "int; //"),
        ("output.cpp_name", "a b"),
        ("taps.0.hls_layer", 'x"'),
        ("input.size", 10**12),
        ("arrays.0.size", -1),
        ("arrays.0.axes", [5]),
    ],
)
def test_names_and_sizes_of_a_project_that_edgeval_never_writes_are_refused(
    place: str, value: object, tmp_path: Path
) -> None:
    import json

    import msgspec

    tree = json.loads(msgspec.json.encode(example(Manifest, lambda field: field or "text")))
    tree["arrays"][0] |= {"axes": [0], "shape": [1]}
    (tmp_path / MANIFEST_FILE).write_text(json.dumps(tree))
    assert load_manifest(tmp_path)
    *steps, last = place.split(".")
    inner = tree
    for step in steps:
        inner = inner[int(step) if step.isdigit() else step]
    inner[last] = value
    (tmp_path / MANIFEST_FILE).write_text(json.dumps(tree))
    with pytest.raises(RunDirectoryError, match=MANIFEST_FILE):
        load_manifest(tmp_path)
