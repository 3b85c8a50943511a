"""Emulators as other software loads them: the same words, whatever else is in the process; nothing else exported."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from support.emulators import copy_package, golden_vectors, make_package, run_loader_program, shared_package
from support.networks import Mlp

from hls.emulator import (
    EmulatorName,
    Origin,
    load_package,
    name_from,
    require_replaceable,
    source,
    write_package,
)
from hls.emulator.build import build_package, find_make, run_loader
from hls.emulator.symbols import audit_symbols, exported_symbols
from hls.engine import ExactEngine
from hls.errors import InputError, RunDirectoryError, ToolError, UsageError
from hls.graph import WordChange
from hls.hls4ml_flow import load_manifest
from hls.toolchain import find_compiler

# One width, one structure, other words: hls4ml gives their arrays the same names.
FIRST, SECOND = (
    Mlp(widths=(4, 3, 2), per_channel=True, input_signed=signed, seed=seed) for signed, seed in ((False, 0), (True, 7))
)
GRAPH, OTHER = FIRST.graph(), SECOND.graph()
SAMPLES = 40
gxx = pytest.mark.gxx


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An emulator with plain arrays for ports, run on its caller's stack."""
    return shared_package(tmp_path_factory, GRAPH, FIRST.inputs(SAMPLES), name="first")


@pytest.fixture(scope="session")
def stream_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An emulator with streams for ports, run on a stack of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "OWN_STACK_ABOVE_BYTES", 0)
        return shared_package(tmp_path_factory, OTHER, SECOND.inputs(SAMPLES), name="second", io_type="io_stream")


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hls4ml project of the first network."""
    from hls.hls4ml_flow import ProjectOptions
    from hls.hls4ml_flow.project import write_project

    folder = tmp_path_factory.mktemp("project") / "hls4ml"
    write_project(GRAPH, folder, ProjectOptions())
    return folder


def library_of(package: Path) -> Path:
    return package / load_package(package).library


def tree(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# The same words.


@gxx
@pytest.mark.parametrize("which", ["package", "stream_package"])
def test_the_loader_finds_every_golden_word(which: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(which)
    check = run_loader(folder, load_package(folder).library)
    assert (check.words, check.differing, check.samples, check.first) == (SAMPLES * 2, 0, SAMPLES, "")
    assert len(np.unique(np.load(folder / "golden/outputs.npy"))) > 10


@gxx
@pytest.mark.parametrize("mode", [[], ["--global"]], ids=["RTLD_LOCAL", "RTLD_GLOBAL"])
@pytest.mark.parametrize("order", [1, -1])
def test_two_models_in_one_process_keep_their_words(
    package: Path, stream_package: Path, mode: list[str], order: int
) -> None:
    libraries = [str(library_of(package)), str(library_of(stream_package))][::order]
    done = run_loader_program(package / "test_emulator", *mode, *libraries)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] == ["MATCH 80 of 80 output words, 40 samples"] * 2


@gxx
@pytest.mark.parametrize("which", ["package", "stream_package"])
def test_only_the_interface_is_exported(which: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(which)
    stem = load_package(folder).namespace
    assert exported_symbols(library_of(folder)) == (
        "create_model", "destroy_model", f"{stem}_describe", f"{stem}_infer", f"{stem}_infer_values",
    )  # fmt: skip


@gxx
def test_the_stored_words_are_inside_as_the_array_holds_them(package: Path) -> None:
    manifest = load_manifest(package.with_name("first-project"))
    for array in manifest.arrays:
        text = (package / f"firmware/weights/{array.symbol}.h").read_text(encoding="utf-8")
        match = re.search(r"= \{(.*?)\};", text, re.DOTALL)
        assert match is not None
        held = [int(word) for word in match[1].split(",")]
        assert array.tensor is not None
        words = GRAPH.tensors[array.tensor].executor_words().reshape(-1)
        assert [held[array.position(i)] for i in range(array.size)] == words.tolist()


@gxx
def test_nothing_is_read_at_run_time_and_no_place_is_compiled_in(package: Path) -> None:
    content = library_of(package).read_bytes()
    assert b".txt" not in content
    assert str(package.parent).encode() not in content
    assert not list(package.rglob("*.txt"))


@gxx
def test_a_package_can_be_moved_and_checks_itself(package: Path, tmp_path: Path) -> None:
    moved = copy_package(package, tmp_path / "else where")
    done = subprocess.run(["make", "check"], cwd=moved, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "MATCH 80 of 80 output words" in done.stdout
    assert "-shared" not in done.stdout, "nothing had to be built"


# The C interface.


class Loaded:
    """A library behind ctypes."""

    def __init__(self, package: Path) -> None:
        manifest = load_package(package)
        self.inputs, self.outputs = manifest.input.size, manifest.output.size
        self.library = ctypes.CDLL(str(package / manifest.library))
        for name in ("infer", "infer_values"):
            function = getattr(self.library, f"{manifest.namespace}_{name}")
            function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
            function.restype = ctypes.c_int64
            setattr(self, name, function)
        self.describe = getattr(self.library, f"{manifest.namespace}_describe")

    def run(self, name: str, inputs: np.ndarray, dtype: type) -> tuple[int, np.ndarray]:
        given = np.ascontiguousarray(inputs, dtype)
        results = np.full((len(given), self.outputs), -99, dtype)
        code = getattr(self, name)(given.ctypes.data, results.ctypes.data, len(given))
        return code, results


@gxx
@pytest.mark.parametrize(("which", "recipe"), [("package", FIRST), ("stream_package", SECOND)])
def test_the_c_interface_gives_the_engines_words_and_values(
    which: str, recipe: Mlp, request: pytest.FixtureRequest
) -> None:
    graph, loaded = recipe.graph(), Loaded(request.getfixturevalue(which))
    values = np.random.default_rng(3).uniform(-3, 5, (500, 4))
    words = graph.quantize_inputs(values)
    expected = ExactEngine(graph).run(words).output
    code, outputs = loaded.run("infer", words, np.int64)
    assert (code, outputs.tolist()) == (0, expected.tolist())
    code, reals = loaded.run("infer_values", values, np.float64)
    assert (code, reals.tolist()) == (0, graph.output_values(expected).tolist())


@gxx
@pytest.mark.parametrize(("which", "recipe"), [("package", FIRST), ("stream_package", SECOND)])
def test_ties_and_ends_are_quantized_as_the_network_does(
    which: str, recipe: Mlp, request: pytest.FixtureRequest
) -> None:
    graph, loaded = recipe.graph(), Loaded(request.getfixturevalue(which))
    ties = (np.arange(-40, 40) + 0.5) * 0.125
    beside = np.concatenate([np.nextafter(ties, -np.inf), np.nextafter(ties, np.inf)])
    ends = np.array([1e300, -1e300, 1e18, -1e18, 0.0, -0.0, 5e-324, -5e-324])
    values = np.resize(np.concatenate([ties, beside, ends]), (62, 4))
    expected = graph.output_values(ExactEngine(graph).run(graph.quantize_inputs(values)).output)
    code, reals = loaded.run("infer_values", values, np.float64)
    assert (code, reals.tolist()) == (0, expected.tolist())


@gxx
def test_the_c_interface_names_the_sample_it_refuses(package: Path) -> None:
    loaded = Loaded(package)
    words = np.ones((3, 4), np.int64)
    good = loaded.run("infer", words, np.int64)[1]
    for wrong in (32, -1, 2**40):
        bad = words.copy()
        bad[1, 2] = wrong
        code, outputs = loaded.run("infer", bad, np.int64)
        assert code == 2
        assert outputs.tolist() == [good[0].tolist(), [-99, -99], [-99, -99]]
    for value in (np.nan, np.inf, -np.inf):
        code, _ = loaded.run("infer_values", np.array([[0.0, 0, 0, 0], [0, 0, 0, value]]), np.float64)
        assert code == 2
    assert loaded.infer(None, None, 1) == -1
    assert loaded.infer(None, None, 0) == 0


@gxx
@pytest.mark.parametrize("which", ["package", "stream_package"])
def test_threads_do_not_disturb_each_other(which: str, request: pytest.FixtureRequest) -> None:
    loaded = Loaded(request.getfixturevalue(which))
    folder = request.getfixturevalue(which)
    inputs, outputs = (np.load(folder / f"golden/{name}.npy") for name in ("inputs", "outputs"))
    with ThreadPoolExecutor(8) as pool:  # ctypes lets go of the interpreter while the library runs
        results = list(pool.map(lambda shift: loaded.run("infer", np.roll(inputs, shift, 0), np.int64)[1], range(64)))
    assert all(np.array_equal(np.roll(found, -shift, 0), outputs) for shift, found in enumerate(results))


@gxx
def test_the_c_interface_describes_itself(package: Path) -> None:
    class Description(ctypes.Structure):
        _fields_ = [
            *((name, ctypes.c_int64) for name in ("interface_version", "inputs", "outputs")),
            *((name, ctypes.c_char_p) for name in ("name", "version", "network")),
        ]

    loaded, manifest = Loaded(package), load_package(package)
    loaded.describe.restype = ctypes.POINTER(Description)
    found = loaded.describe().contents
    assert (found.interface_version, found.inputs, found.outputs) == (1, 4, 2)
    assert (found.name, found.version) == (b"first", b"1")
    assert found.network.decode() == manifest.digests["network"]


@gxx
def test_the_c_header_is_plain_c(package: Path) -> None:
    header = package / load_package(package).header
    subprocess.run(["gcc", "-std=c99", "-Wall", "-Werror", "-fsyntax-only", "-x", "c", str(header)], check=True)


# The interface of CMS software.


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
    source_file = Path(__file__).with_name("emulator_client.cpp")
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


@gxx
def test_install_copies_library_and_header(package: Path, tmp_path: Path) -> None:
    folder = copy_package(package, tmp_path / "package")
    refused = subprocess.run(["make", "install"], cwd=folder, capture_output=True, text=True, check=False)
    assert "needs PREFIX=folder" in refused.stderr
    subprocess.run(["make", "install", f"PREFIX={tmp_path / 'there'}"], cwd=folder, check=True, capture_output=True)
    installed = {path.relative_to(tmp_path / "there").as_posix() for path in (tmp_path / "there").rglob("*.*")}
    assert installed == {"lib64/first_v1.so", "include/first_v1.h"}


# Damage.


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


# The audit of the symbols, and that there is something to find.


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


# Writing.


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


# Names.


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
