"""The compiled kernels of exhaustive campaigns: built once on this machine, loaded into this process.

C++ and not numba: the kernels live from byte compares and 16-bit products whose vector form has to be certain, the
compiler is needed for the C-simulation anyway, and numba's own compile time would be paid in every worker. The code is
for the processor it is built on, so the cache entry is addressed by the processor's instructions too
(``hls.csim.build.address_of``); without vector instructions the same source compiles to portable loops.
"""

from __future__ import annotations

import ctypes
import functools
from ctypes import POINTER, Structure, c_double, c_int8, c_int16, c_int32, c_int64, c_uint64, c_void_p
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

from hls.csim.build import address_of, make_entry
from hls.environment import cache_directory
from hls.toolchain import find_compiler, run_tool

LIBRARY_FILE = "libedgeval_faults.so"
_SOURCES = ("edgeval_decisions.cpp", "edgeval_values.cpp")
_FLAGS = (
    "-O3", "-march=native", "-fPIC", "-std=c++17", "-Wall", "-Wextra", "-Werror",
    "-fno-math-errno", "-fno-trapping-math",  # lets std::nearbyint be one vector instruction; no result changes
)  # fmt: skip
_TIMEOUT_S = 600.0


class Activation(Structure):
    """``edgeval::Activation``: what stands between two dense layers."""

    _fields_ = [
        ("kind", c_int32), ("shift_bits", c_int32), ("half_even", c_int32), ("low", c_int32), ("high", c_int32),
        ("table_first", c_int32), ("table_stride", c_int32),
        ("multiplier", POINTER(c_double)), ("offset", POINTER(c_double)), ("unit", POINTER(c_double)),
        ("table", POINTER(c_int16)),
    ]  # fmt: skip


class Layer(Structure):
    """``edgeval::Layer``: a dense layer behind the changed word, with its fault-free values."""

    _fields_ = [
        ("inputs", c_int32), ("padded_inputs", c_int32), ("outputs", c_int32), ("padded", c_int32),
        ("rows", POINTER(c_int16)), ("pairs", POINTER(c_int16)), ("rising", POINTER(c_int16)),
        ("sinking", POINTER(c_int16)), ("golden_sums", POINTER(c_int32)), ("golden_words", POINTER(c_int16)),
        ("activation", Activation),
    ]  # fmt: skip


class Inputs(Structure):
    """``edgeval::Inputs``: words that the faulty layer reads, positive and negative parts."""

    _fields_ = [
        ("samples", c_int64), ("inputs", c_int32), ("stride", c_int32), ("bytes", c_int32),
        ("positive", c_void_p), ("negative", c_void_p), ("largest", POINTER(c_int32)),
    ]  # fmt: skip


class Neuron(Structure):
    """``edgeval::Neuron``: one output of the faulty layer and the faults of its stored words."""

    _fields_ = [
        ("channel", c_int32), ("sums", POINTER(c_int32)), ("steps", POINTER(c_int32)),
        ("low", c_int32), ("values", c_int32),
        ("bits", c_int32), ("log2_steps", POINTER(c_int32)), ("falling", POINTER(c_uint64)),
        ("chosen", POINTER(c_uint64)),
        ("bias_bits", c_int32), ("bias_log2_steps", POINTER(c_int32)), ("bias_signs", POINTER(c_int8)),
    ]  # fmt: skip


class Decisions(Structure):
    """``Decisions`` of ``edgeval_steps.h``: fault-free outputs, decisions and labels."""

    _fields_ = [
        ("classes", c_int32), ("output", POINTER(c_int32)), ("best", POINTER(c_int32)), ("label", POINTER(c_int32)),
        ("rising", POINTER(c_int16)), ("sinking", POINTER(c_int16)),
    ]  # fmt: skip


class Visits(Structure):
    """``Visits`` of ``edgeval_values.cpp``: which faults take which samples to which rows."""

    _fields_ = [
        ("count", c_int64), ("rows", c_int64),
        ("fault", POINTER(c_int32)), ("row", POINTER(c_int32)), ("sample", POINTER(c_int32)),
        ("step", POINTER(c_int32)),
    ]  # fmt: skip


_CTYPES: dict[str, Any] = {
    "int8": c_int8, "int16": c_int16, "int32": c_int32, "int64": c_int64, "uint64": c_uint64, "float64": c_double,
}  # fmt: skip


def pointer(array: np.ndarray) -> Any:
    """Address of an array as the kernels take it; the caller keeps the array alive.

    Args:
        array: C-contiguous, of a type that ``_CTYPES`` names.
    """
    assert array.flags.c_contiguous, "the kernels read rows one behind the other"
    return array.ctypes.data_as(POINTER(_CTYPES[array.dtype.name]))


@functools.cache
def kernels() -> ctypes.CDLL:
    """The library, compiled when the cache does not have it.

    Raises:
        ToolError: no compiler, or it failed. InputError: the cache cannot be written.
    """
    library = ctypes.CDLL(str(build_kernels()))
    for name, arguments in (
        ("edgeval_collect", [POINTER(Inputs), POINTER(Neuron), POINTER(Activation), c_int64, c_int64, POINTER(Visits)]),
        ("edgeval_outputs", [POINTER(Layer), c_int32, c_int32, POINTER(Visits), c_int32, POINTER(c_int32),
                             POINTER(c_int32)]),
        ("edgeval_add_up", [POINTER(Visits), POINTER(c_uint64), POINTER(c_double), POINTER(c_double), POINTER(c_int64),
                            POINTER(c_double), POINTER(c_double)]),
        ("edgeval_decide", [POINTER(Inputs), POINTER(Neuron), POINTER(Activation), POINTER(Layer), c_int32,
                            POINTER(Decisions), POINTER(c_int32), POINTER(c_int32)]),
    ):  # fmt: skip
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, None
    return library


def build_kernels() -> Path:
    """Compile the kernels, or find them compiled.

    Returns:
        Path of the shared library.
    """
    compiler = find_compiler()
    with as_file(files("fault_injection") / "cpp") as folder:
        sources = sorted((path.name, path) for path in folder.iterdir() if path.suffix in {".cpp", ".h"})
        entry = cache_directory() / "faults" / address_of(sources, "", compiler.version, _FLAGS)

        def fill(work: Path) -> None:
            command = [str(compiler.path), *_FLAGS, "-shared", *(str(folder / name) for name in _SOURCES)]
            run_tool([*command, "-o", LIBRARY_FILE], timeout_s=_TIMEOUT_S, directory=work)

        if not (entry / LIBRARY_FILE).exists():
            make_entry(entry, fill, LIBRARY_FILE)
    return entry / LIBRARY_FILE
