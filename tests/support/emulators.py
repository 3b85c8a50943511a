"""Emulator packages that several tests share, and what it takes to try them."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.networks import Mlp

from hls.emulator import EmulatorName, Golden, Origin, PackageResult, load_package, write_package
from hls.emulator.build import build_package, find_make
from hls.engine import ExactEngine
from hls.graph import IntegerGraph
from hls.hls4ml_flow import ProjectOptions
from hls.hls4ml_flow.project import write_project
from hls.toolchain import find_compiler

# One width, one structure, other words: hls4ml gives their arrays the same names.
FIRST, SECOND = (
    Mlp(widths=(4, 3, 2), per_channel=True, input_signed=signed, seed=seed) for signed, seed in ((False, 0), (True, 7))
)
SAMPLES = 40


def golden_vectors(graph: IntegerGraph, values: np.ndarray) -> Golden:
    """Real inputs with the words that the network itself makes of them."""
    words = graph.quantize_inputs(values)
    return Golden(values=np.asarray(values, np.float64), inputs=words, outputs=ExactEngine(graph).run(words).output)


def make_package(
    directory: Path, graph: IntegerGraph, values: np.ndarray, *, name: str, io_type: str = "io_parallel"
) -> PackageResult:
    """Export a network and package it; the project lies beside the package."""
    project = directory.with_name(f"{directory.name}-project")
    write_project(graph, project, ProjectOptions(io_type="io_stream" if io_type == "io_stream" else "io_parallel"))
    origin = Origin(project=project, digests={"qonnx": "none"}, tools={})
    called = EmulatorName(name=name, version="1")
    return write_package(directory, graph, golden_vectors(graph, values), origin, name=called)


def shared_package(
    factory: pytest.TempPathFactory, graph: IntegerGraph, values: np.ndarray, *, name: str, io_type: str = "io_parallel"
) -> Path:
    """A package made once a session, however many worker processes run the tests. Only for reading."""
    root = factory.getbasetemp()
    root = root.parent if os.environ.get("PYTEST_XDIST_WORKER") else root
    directory = root / "emulators" / name
    directory.parent.mkdir(exist_ok=True)
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.exists():
            result = make_package(directory, graph, values, name=name, io_type=io_type)
            assert result.check.differing == 0, result.check.first
            build_package(directory, find_compiler(), find_make())  # the loader program as well
    return directory


def library_of(package: Path) -> Path:
    return package / load_package(package).library


def copy_package(package: Path, target: Path) -> Path:
    """A package to damage; times are kept, so that make finds nothing to do."""
    return shutil.copytree(package, target)


def run_loader_program(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The loader program with arguments of the test's own."""
    return subprocess.run([str(program), *arguments], capture_output=True, text=True, check=False)
