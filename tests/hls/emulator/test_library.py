"""The library as other programs load it: the same words, whatever else is in the process; nothing else exported."""

from __future__ import annotations

import ctypes
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from support.emulators import FIRST, SAMPLES, SECOND, copy_package, library_of, run_loader_program
from support.networks import Mlp

from hls.emulator import load_package
from hls.emulator.build import run_loader
from hls.emulator.symbols import exported_symbols
from hls.engine import ExactEngine
from hls.hls4ml_flow import load_manifest

gxx = pytest.mark.gxx
GRAPH = FIRST.graph()


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


@gxx
def test_install_copies_library_and_header(package: Path, tmp_path: Path) -> None:
    folder = copy_package(package, tmp_path / "package")
    refused = subprocess.run(["make", "install"], cwd=folder, capture_output=True, text=True, check=False)
    assert "needs PREFIX=folder" in refused.stderr
    subprocess.run(["make", "install", f"PREFIX={tmp_path / 'there'}"], cwd=folder, check=True, capture_output=True)
    installed = {path.relative_to(tmp_path / "there").as_posix() for path in (tmp_path / "there").rglob("*.*")}
    assert installed == {"lib64/first_v1.so", "include/first_v1.h"}
