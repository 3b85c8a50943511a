"""Packages are written whole or not at all, over nothing but their like, under names that every language takes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from support.emulators import FIRST, copy_package, golden_vectors

from hls.emulator import EmulatorName, Origin, load_package, name_from, require_replaceable, write_package
from hls.emulator.build import find_make
from hls.errors import InputError, RunDirectoryError, ToolError, UsageError
from hls.graph import WordChange
from hls.hls4ml_flow import load_manifest

gxx = pytest.mark.gxx
GRAPH = FIRST.graph()


def tree(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def failing_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A compiler that knows its version and nothing else."""
    compiler = tmp_path / "fake-g++"
    compiler.write_text('#!/bin/sh\n[ "$1" = "--version" ] && echo "fake 1.0" && exit 0\necho broken >&2\nexit 1\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("EDGEVAL_CXX", str(compiler))
    return compiler


def write(directory: Path, project: Path, values: np.ndarray | None = None) -> None:
    golden = golden_vectors(GRAPH, FIRST.inputs(5) if values is None else values)
    write_package(
        directory, GRAPH, golden, Origin(project=project, digests={}, tools={}),
        name=EmulatorName(name="first", version="1"),
    )  # fmt: skip


def test_a_failed_build_leaves_nothing(project: Path, failing_compiler: Path, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="broken"):
        write(tmp_path / "new" / "package", project)
    assert tree(tmp_path / "new") == set()


@gxx
def test_a_failed_build_leaves_the_older_package(
    package: Path, project: Path, failing_compiler: Path, tmp_path: Path
) -> None:
    older = copy_package(package, tmp_path / "packages" / "older")
    with pytest.raises(ToolError, match="broken"):
        write(older, project)
    assert tree(tmp_path / "packages") == {"older"}
    assert tree(older) == tree(package)


@gxx
@pytest.mark.slow
def test_a_package_is_replaced_by_a_new_one_and_a_differing_one_is_not_put_in_place(
    package: Path, project: Path, tmp_path: Path
) -> None:
    older = copy_package(package, tmp_path / "older")
    write(older, project)
    assert load_package(older).samples == 5
    assert tree(tmp_path) == {"older"}
    golden = golden_vectors(GRAPH, FIRST.inputs(5))
    golden.outputs[0, 0] += 1
    result = write_package(
        tmp_path / "wrong", GRAPH, golden, Origin(project=project, digests={}, tools={}),
        name=EmulatorName(name="first", version="1"),
    )  # fmt: skip
    assert result.check.differing == 1
    assert tree(tmp_path) == {"older"}


def test_a_folder_that_is_no_package_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path, tmp_path / "file"):
        with pytest.raises(RunDirectoryError, match="holds no emulator package"):
            require_replaceable(place)
    (tmp_path / "empty").mkdir()
    require_replaceable(tmp_path / "empty")
    require_replaceable(tmp_path / "new")


@gxx
def test_a_package_with_a_file_of_the_users_is_refused(package: Path, tmp_path: Path) -> None:
    folder = copy_package(package, tmp_path / "package")
    require_replaceable(folder)
    (folder / "notes.md").write_text("mine")
    with pytest.raises(RunDirectoryError, match=r"notes\.md, which no package wrote"):
        require_replaceable(folder)


def test_a_project_of_another_network_is_refused(project: Path, tmp_path: Path) -> None:
    other = GRAPH.with_words([WordChange(tensor="fc1.weight", index=0, word=-8)])
    golden = golden_vectors(other, FIRST.inputs(5))
    with pytest.raises(RunDirectoryError, match="have to be of one export"):
        write_package(
            tmp_path / "package", other, golden, Origin(project=project, digests={}, tools={}),
            name=EmulatorName(name="first", version="1"),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("{", "{0.5, ", "values for 12 words"),
        ("= {", "= {x", "'x"),
        ("= {", "= {0.25+", "'0.25"),
        ("= {", "= {99999, 0};", "2 values for 12 words"),
        ("= {", "= {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4096}; // {", "word 32768 at position 11, of -"),
    ],
)
def test_a_damaged_weight_header_is_refused(project: Path, tmp_path: Path, old: str, new: str, found: str) -> None:
    damaged = shutil.copytree(project, tmp_path / "damaged")
    file = damaged / f"firmware/weights/{load_manifest(project).array_of('fc1.weight').symbol}.h"
    file.write_text(file.read_text().replace(old, new, 1))
    with pytest.raises(RunDirectoryError, match=found):
        write(tmp_path / "package", damaged)


def test_a_weight_header_that_the_manifest_does_not_know_is_refused(project: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(project, tmp_path / "damaged")
    (damaged / "firmware/weights/w99.h").write_text("int w99[1];\n")
    parameters = damaged / "firmware/parameters.h"
    parameters.write_text(parameters.read_text() + '#include "weights/w99.h"\n')
    with pytest.raises(RunDirectoryError, match=r"w99\.h: found weights that the project's manifest does not list"):
        write(tmp_path / "package", damaged)


def test_without_make_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ToolError, match=r"no 'make' on PATH.*apt install make"):
        find_make()


def test_name_and_version_make_every_name() -> None:
    name = EmulatorName(name="jets", version="2_1")
    assert (name.library, name.namespace) == ("jets_v2_1.so", "edgeval_jets_v2_1")
    assert "edgeval_jets_v2_1_infer" in name.symbols


@pytest.mark.parametrize("name", ["", "4bit", "a__b", "a_", "a-b", "a b", "../x", "ä"])
def test_a_name_that_is_no_identifier_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--name"):
        EmulatorName(name=name, version="1")


@pytest.mark.parametrize("version", ["", "1.0", "a__b", "_1", "1_"])
def test_a_version_that_fits_no_identifier_is_refused(version: str) -> None:
    with pytest.raises(UsageError, match="--model-version"):
        EmulatorName(name="a", version=version)


@pytest.mark.parametrize("text", ["digits", "jet-tagger.onnx", "4bit.onnx", "__.onnx", ".onnx", "ä.onnx", "a__b.onnx"])
def test_every_file_name_gives_a_legal_name(text: str) -> None:
    EmulatorName(name=name_from(text), version="1")


def test_a_full_disk_says_where(project: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="while writing"):
        write(tmp_path / "file" / "package", project)
