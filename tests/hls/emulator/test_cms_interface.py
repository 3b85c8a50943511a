"""The interface of CMS software, as a C++ program sees it: every documented type, and a refusal of all others."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.emulators import FIRST, copy_package, library_of, run_loader_program

from hls.emulator import load_package
from hls.emulator.build import build_package, find_make, run_loader
from hls.emulator.symbols import audit_symbols
from hls.engine import ExactEngine
from hls.toolchain import find_compiler

gxx = pytest.mark.gxx
GRAPH = FIRST.graph()


@pytest.fixture(scope="session")
def client(package: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """What a C++ program saw that calls the first emulator in every way, by case."""
    manifest = load_package(package)
    program = tmp_path_factory.mktemp("client") / "client"
    element = (package / "firmware/defines.h").read_text()
    types = dict(re.findall(r"typedef\s+(.+?)\s+(input_t|result_t);", element)[i][::-1] for i in (0, 1))
    macros = {
        "ELEMENT_IN": types["input_t"], "ELEMENT_OUT": types["result_t"], "SIZE_IN": manifest.input.size,
        "SIZE_OUT": manifest.output.size, "SCALE_IN": manifest.input.scale[0], "SCALE_OUT": manifest.output.scale[0],
    }  # fmt: skip
    source_file = Path(__file__).with_name("client.cpp")
    defines = [f"-D{name}={value}" for name, value in macros.items()]
    includes = [f"-I{package}", "-isystem", str(package / "firmware/ap_types")]
    subprocess.run(
        ["g++", "-std=c++17", "-O0", "-Wall", *defines, *includes, str(source_file), "-o", str(program), "-ldl"],
        check=True,
    )
    done = run_loader_program(program, str(library_of(package)))
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    return {name: (kind, text) for name, kind, text in lines}


def client_words() -> str:
    """What the exact engine makes of the client's input."""
    words = 3 * np.arange(4)[None] + 1
    return " ".join(map(str, ExactEngine(GRAPH).run(words).output[0]))


@gxx
@pytest.mark.parametrize(
    "case",
    ["words", "writable words", "array of words", "constant array of words", "array by value", "doubles",
     "array of doubles", "floats", "elements", "array of elements", "predict twice", "results as elements"],
)  # fmt: skip
def test_every_documented_type_gives_the_words(client: dict[str, tuple[str, str]], case: str) -> None:
    assert client[case] == ("words", client_words())


@gxx
def test_results_as_doubles_are_scale_times_word(client: dict[str, tuple[str, str]]) -> None:
    kind, text = client["results as doubles"]
    assert (kind, [float(value) for value in text.split()]) == ("words", [float(w) for w in client_words().split()])


@gxx
@pytest.mark.parametrize(
    ("case", "kind", "message"),
    [
        (
            "string",
            "invalid_argument",
            "a std::any of std::.*string.* in prepare_input; allowed: words as const int",
        ),
        ("vector", "invalid_argument", "std::vector<long.*; allowed: .* or a pointer to a std::array of 4 of them"),
        ("int", "invalid_argument", r"a std::any of int\* in prepare_input; allowed: .*const ap_ufixed<5, 2"),
        ("other length", "invalid_argument", "std::array<long, 5ul>.*; allowed: .*each to 4 numbers"),
        ("other ap_fixed", "invalid_argument", "a std::any of ap_fixed<6, 3"),
        ("nothing", "invalid_argument", "a std::any of nothing"),
        ("null", "invalid_argument", "a null pointer in prepare_input"),
        ("too large a word", "out_of_range", "input word 32 at position 1; allowed: 0 to 31"),
        ("NaN", "invalid_argument", "position 2 that is NaN or infinite"),
        ("predict first", "logic_error", r"predict\(\) without an input"),
        ("predict after a refusal", "logic_error", r"predict\(\) without an input"),
        ("read before predict", "logic_error", r"read_result\(\) without a result"),
        (
            "results as floats",
            "invalid_argument",
            r"float\* in read_result; allowed: words as int64_t\*, real",
        ),
        ("results in a constant", "invalid_argument", r"long const\* in read_result; allowed: words as int64_t\*"),
    ],
)
def test_anything_else_is_an_exception_that_says_what_is_allowed(
    client: dict[str, tuple[str, str]], case: str, kind: str, message: str
) -> None:
    found, text = client[case]
    assert found == kind
    assert text.startswith("emulator first_v1: found ")
    assert re.search(message, text), text


@gxx
def test_the_upstream_header_is_used_where_there_is_one(package: Path, tmp_path: Path) -> None:
    (tmp_path / "hls4ml").mkdir()
    (tmp_path / "hls4ml/emulator.h").write_text("int upstream;\n", encoding="utf-8")
    command = ["g++", "-std=c++17", "-E", "-x", "c++", str(package / "edgeval_emulator_interface.h")]
    without = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = subprocess.run([*command, f"-I{tmp_path}"], capture_output=True, text=True, check=True).stdout
    assert ("class Model" in without, "int upstream" in without) == (True, False)
    assert ("class Model" in found, "int upstream" in found) == (False, True)


UPSTREAM = """
#pragma once
#include <any>
#include <memory>
#include <string>
namespace hls4mlEmulator {
class Model {
  public:
    virtual void prepare_input(std::any) = 0;
    virtual void predict() = 0;
    virtual void read_result(std::any) = 0;
    virtual ~Model() = default;
};
typedef Model* create_model_cls();
typedef void destroy_model_cls(Model*);
}
static const char upstream_was_here[] __attribute__((used)) = "upstream was here";
"""


@gxx
@pytest.mark.slow
def test_a_library_built_with_the_upstream_header_serves_a_caller_built_with_ours(
    package: Path, tmp_path: Path
) -> None:
    extras = tmp_path / "extras"
    (extras / "include/hls4ml").mkdir(parents=True)
    (extras / "include/hls4ml/emulator.h").write_text(UPSTREAM, encoding="utf-8")
    shutil.copytree(package / "firmware/ap_types", extras / "include/ap_types")
    folder = copy_package(package, tmp_path / "package")
    shutil.rmtree(folder / "firmware/ap_types")
    library_of(folder).unlink()
    build_package(folder, find_compiler(), find_make(), f"EMULATOR_EXTRAS={extras}")
    assert b"upstream was here" in library_of(folder).read_bytes()
    assert b"upstream was here" not in (folder / "test_emulator").read_bytes(), "the caller is not built again"
    assert run_loader(folder, "first_v1.so").differing == 0
    audit_symbols(library_of(folder), load_package(folder).symbols)
