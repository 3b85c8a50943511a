"""The cache of builds: addressed by content, whole or not there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.networks import Mlp

from hls.csim import build as build_module
from hls.csim import build_csim
from hls.csim.build import LIBRARY_FILE
from hls.csim.shim import shim_source
from hls.errors import InputError, RunDirectoryError, ToolError
from hls.graph import WordChange
from hls.hls4ml_flow import ProjectOptions, load_manifest
from hls.hls4ml_flow.project import write_project

GRAPH = Mlp(widths=(2, 2)).graph()

# Stands in for g++ where a test is about the cache and not about C++: writes what -o names and says what it did.
FAKE = """#!/bin/sh
if [ "$1" = "--version" ]; then echo "fake 1.0"; exit 0; fi
echo "$@" >> "{log}"
while [ "$#" -gt 1 ]; do [ "$1" = "-o" ] && echo built > "$2"; shift; done
"""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project") / "hls4ml"
    write_project(GRAPH, folder, ProjectOptions())
    return folder


@pytest.fixture
def project(original: Path, tmp_path: Path) -> Path:
    return shutil.copytree(original, tmp_path / "project")


@pytest.fixture
def log(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The commands of a fake compiler that is in use, one a line."""
    compiler, log = tmp_path / "fake-g++", tmp_path / "commands.log"
    compiler.write_text(FAKE.format(log=log), encoding="utf-8")
    compiler.chmod(0o755)
    monkeypatch.setenv("EDGEVAL_CXX", str(compiler))
    return log


def runs(log: Path) -> int:
    return len(log.read_text(encoding="utf-8").splitlines()) if log.exists() else 0


def entries(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "csim").iterdir()) if (cache / "csim").exists() else []


def weight_file(project: Path) -> Path:
    return project / f"firmware/weights/{load_manifest(project).array_of('fc1.weight').symbol}.txt"


def test_an_unchanged_project_is_not_compiled_again(project: Path, log: Path) -> None:
    first, again = build_csim(project), build_csim(project)
    assert (first.compiled, again.compiled) == (True, False)
    assert again.library == first.library
    assert runs(log) == 3


def test_progress_is_told_only_when_something_takes_time(project: Path, log: Path) -> None:
    told: list[str] = []
    build_csim(project, told.append)
    build_csim(project, told.append)
    assert told == ["compiling the C-simulation with fake 1.0"]


def test_a_project_in_another_place_is_the_same_content(project: Path, log: Path, tmp_path: Path) -> None:
    build_csim(project)
    assert not build_csim(shutil.copytree(project, tmp_path / "elsewhere")).compiled


def test_a_network_exported_again_is_the_same_content(project: Path, log: Path, tmp_path: Path) -> None:
    build_csim(project)
    write_project(GRAPH, tmp_path / "again", ProjectOptions())
    assert not build_csim(tmp_path / "again").compiled


def test_a_changed_weight_is_another_entry(log: Path, cache: Path, project: Path, tmp_path: Path) -> None:
    first = build_csim(project)
    changed = GRAPH.with_words([WordChange(tensor="fc1.weight", index=0, word=-8)])
    write_project(changed, tmp_path / "changed", ProjectOptions())
    second = build_csim(tmp_path / "changed")
    assert second.compiled
    assert second.library != first.library
    assert len(entries(cache)) == 2


@pytest.mark.parametrize("file", ["firmware/edgeval_network.cpp", "firmware/defines.h", "firmware/parameters.h"])
def test_any_changed_source_is_another_entry(project: Path, log: Path, file: str) -> None:
    first = build_csim(project)
    (project / file).write_text((project / file).read_text() + "\n")
    assert build_csim(project).library != first.library


def test_another_compiler_is_another_entry(project: Path, log: Path, tmp_path: Path) -> None:
    first = build_csim(project)
    compiler = tmp_path / "fake-g++"
    compiler.write_text(compiler.read_text().replace("fake 1.0", "fake 2.0"))
    assert build_csim(project).library != first.library


def test_other_flags_are_another_entry(project: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build_csim(project)
    monkeypatch.setattr(build_module, "_FLAGS", (*build_module._FLAGS, "-O1"))
    assert build_csim(project).library != first.library


def test_names_and_contents_cannot_be_confused(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "ab").write_text("c")
    (tmp_path / "a").write_text("bc")
    one, two = [("ab", tmp_path / "ab")], [("a", tmp_path / "a")]
    assert build_module.address_of(one, "", "g++", ()) != build_module.address_of(two, "", "g++", ())


def test_an_interrupted_build_leaves_nothing(
    project: Path, log: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(command: list[str], **named: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(build_module, "run_tool", interrupt)
        with pytest.raises(KeyboardInterrupt):
            build_csim(project)
    assert entries(cache) == []
    assert build_csim(project).compiled


def test_a_build_killed_outright_is_never_found(project: Path, log: Path, cache: Path) -> None:
    (cache / "csim" / ".building-x").mkdir(parents=True)
    (cache / "csim" / ".building-x" / LIBRARY_FILE).write_text("half")
    assert build_csim(project).compiled


def test_an_entry_without_its_library_is_built_again(project: Path, log: Path) -> None:
    first = build_csim(project)
    first.library.unlink()
    again = build_csim(project)
    assert again.compiled
    assert again.library.exists()


def test_a_builder_that_was_faster_wins(project: Path, log: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_it = build_module._compile

    def overtaken(work: Path, entry: Path, *others: object) -> None:
        compile_it(work, entry, *others)
        entry.mkdir(parents=True)
        (entry / LIBRARY_FILE).write_text("the other's")

    monkeypatch.setattr(build_module, "_compile", overtaken)
    assert build_csim(project).library.read_text() == "the other's"
    assert len(entries(cache)) == 1


def test_a_missing_compiler_names_the_variable(project: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEVAL_CXX", "no-such-g++")
    with pytest.raises(ToolError, match=r"no 'no-such-g\+\+' on PATH.*EDGEVAL_CXX"):
        build_csim(project)
    assert entries(cache) == []


@pytest.mark.gxx
def test_a_compile_error_carries_what_the_compiler_said(project: Path, cache: Path) -> None:
    (project / "firmware/edgeval_network.cpp").write_text("int nonsense = not_declared;\n")
    with pytest.raises(ToolError, match=r"(?s)exit code 1.*not_declared.*was not declared"):
        build_csim(project)
    assert entries(cache) == []


def test_a_folder_that_is_no_project_is_refused(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(RunDirectoryError, match="a project folder written by `edgeval export`"):
        build_csim(tmp_path)


def test_a_cache_that_cannot_be_written_is_an_input_error(
    project: Path, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("EDGEVAL_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match="writable folder"):
        build_csim(project)


def test_weights_are_read_from_the_entry_and_not_from_the_project(project: Path, log: Path) -> None:
    build = build_csim(project)
    assert f'-DWEIGHTS_DIR="{build.library.parent}/firmware/weights"' in log.read_text()
    assert (build.library.parent / weight_file(project).relative_to(project)).exists()


def test_the_shim_names_every_array_and_tap(project: Path) -> None:
    manifest = load_manifest(project)
    source = shim_source(manifest)
    assert all(f"extern {array.cpp_type} {array.symbol}[{array.size}];" in source for array in manifest.arrays)
    assert all(f'{{"{tap.hls_layer}", {tap.size}, {tap.unit_log2}}}' in source for tap in manifest.taps)


def test_another_processor_is_another_entry(project: Path, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build_csim(project)
    monkeypatch.setattr(build_module, "processor_flags", lambda: "flags: fpu avx512f")
    assert build_csim(project).library != first.library


def test_code_is_for_the_processor_at_hand(project: Path, log: Path) -> None:
    build_csim(project)
    assert all("native" in line for line in log.read_text().splitlines())
