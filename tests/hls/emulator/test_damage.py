"""What is found when a package is not what was written: wrong words, damaged files, symbols that must not be seen."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.emulators import FIRST, SAMPLES, copy_package, library_of, make_package, run_loader_program
from support.networks import Mlp

from hls.emulator import load_package
from hls.emulator.build import build_package, find_make, run_loader
from hls.emulator.symbols import audit_symbols, exported_symbols
from hls.errors import ToolError
from hls.hls4ml_flow import load_manifest
from hls.toolchain import find_compiler

gxx = pytest.mark.gxx


@gxx
def test_one_wrong_golden_word_is_a_difference(package: Path, tmp_path: Path) -> None:
    damaged = copy_package(package, tmp_path / "damaged")
    outputs = np.load(damaged / "golden/outputs.npy")
    outputs[7, 1] += 1
    np.save(damaged / "golden/outputs.npy", outputs)
    check = run_loader(damaged, load_package(damaged).library)
    assert (check.words, check.differing) == (80, 1)
    assert check.first == f"first at sample 7, output 1: emulator {outputs[7, 1] - 1}, golden {outputs[7, 1]}"
    done = run_loader_program(damaged / "test_emulator", str(library_of(damaged)))
    assert done.returncode == 1
    assert done.stdout.startswith("DIFFER 1 of 80 output words, 40 samples")


@gxx
def test_one_wrong_golden_value_is_a_difference(package: Path, tmp_path: Path) -> None:
    damaged = copy_package(package, tmp_path / "damaged")
    values = np.load(damaged / "golden/values.npy")
    np.save(damaged / "golden/values.npy", values[::-1])
    check = run_loader(damaged, load_package(damaged).library)
    assert check.differing > 40
    assert "(from real values)" in check.first


@gxx
@pytest.mark.parametrize("file", ["golden/inputs.npy", "emulator.cpp", "manifest.json"])
def test_a_damaged_file_fails_the_check(package: Path, tmp_path: Path, file: str) -> None:
    damaged = copy_package(package, tmp_path / "damaged")
    with (damaged / file).open("ab") as stream:
        stream.write(b"\n")
    (damaged / "Makefile").write_text(  # the sums alone; nothing is built for them
        (damaged / "Makefile").read_text().replace("check: first_v1.so test_emulator", "check:")
    )
    done = subprocess.run(["make", "check"], cwd=damaged, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{file}: FAILED" in done.stdout


@gxx
@pytest.mark.parametrize(
    ("file", "content", "found"),
    [
        ("golden/outputs.npy", b"\x93NUMPY", "not a NumPy file"),
        ("golden/inputs.npy", None, "do not fit its shape"),
        ("first_v1.so", b"not a library", "first_v1.so"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error(
    package: Path, tmp_path: Path, file: str, content: bytes | None, found: str
) -> None:
    damaged = copy_package(package, tmp_path / "damaged")
    path = damaged / file
    path.write_bytes(path.read_bytes()[:-8] if content is None else content)
    with pytest.raises(ToolError, match=found):
        run_loader(damaged, "first_v1.so")


@gxx
@pytest.mark.slow
def test_a_changed_stored_word_in_a_package_is_a_difference(package: Path, tmp_path: Path) -> None:
    damaged = copy_package(package, tmp_path / "damaged")
    symbol = load_manifest(package.with_name("first-project")).array_of("fc2.bias").symbol
    file = damaged / f"firmware/weights/{symbol}.h"
    text = file.read_text()
    first = int(re.search(r"\{\s*(-?\d+)", text)[1])  # type: ignore[index]
    file.write_text(re.sub(r"\{(\s*)-?\d+", rf"{{\g<1>{first ^ 1}", text, count=1))
    build_package(damaged, find_compiler(), find_make())
    assert run_loader(damaged, "first_v1.so").differing == SAMPLES  # a bias of the last layer: one output of each


def handmade(folder: Path, body: str, *flags: str) -> Path:
    (folder / "model.cpp").write_text(body, encoding="utf-8")
    library = folder / "model.so"
    subprocess.run(["g++", "-shared", "-fPIC", *flags, str(folder / "model.cpp"), "-o", str(library)], check=True)
    return library


@gxx
def test_an_exported_weight_array_is_refused_by_name(tmp_path: Path) -> None:
    library = handmade(tmp_path, 'int w2[3] = {1, 2, 3}; extern "C" int create_model() { return w2[0]; }')
    with pytest.raises(ToolError, match="exports w2; allowed: exactly create_model"):
        audit_symbols(library, ["create_model"])


@gxx
def test_a_template_static_that_all_libraries_would_share_is_refused(tmp_path: Path) -> None:
    body = "template <class T> int &shared() { static int w; return w; } int create_model() { return shared<int>(); }"
    with pytest.raises(ToolError, match="_Z6sharedIiERiv"):
        audit_symbols(handmade(tmp_path, body), ["create_model"])


@gxx
def test_a_missing_function_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="does not export destroy_model"):
        audit_symbols(
            handmade(tmp_path, 'extern "C" int create_model() { return 0; }'), ["create_model", "destroy_model"]
        )


def test_an_audit_without_nm_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ToolError, match=r"no 'nm' on PATH.*apt install binutils"):
        exported_symbols(tmp_path / "model.so")


@gxx
@pytest.mark.slow
def test_without_hiding_two_models_of_one_name_collide_and_the_audit_says_so(tmp_path: Path) -> None:
    """The failure the package is built against: with everything exported, two models share their arrays."""
    libraries = []
    for folder, recipe in (("a", FIRST), ("b", Mlp(widths=(4, 3, 2), per_channel=True, seed=11))):
        directory = tmp_path / folder / "same"
        make_package(directory, recipe.graph(), recipe.inputs(SAMPLES), name="same")
        build_package(directory, find_compiler(), find_make())
        libraries.append(library_of(directory))
    program = libraries[0].with_name("test_emulator")
    hidden = run_loader_program(program, "--global", *map(str, libraries))
    assert hidden.returncode == 0, hidden.stdout
    for library in libraries:
        library.unlink()
        build_package(library.parent, find_compiler(), find_make(), "HIDDEN=", "EXPORTS=")
        with pytest.raises(ToolError, match="exports _Z"):
            audit_symbols(library, load_package(library.parent).symbols)
    open_wide = run_loader_program(program, "--global", *map(str, libraries))
    assert open_wide.returncode == 1
    assert "DIFFER" in [line.split()[0] for line in open_wide.stdout.splitlines()]
