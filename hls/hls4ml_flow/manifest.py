"""What edgeval knows about an hls4ml project it wrote: which C++ name holds which words.

Saved beside the project as ``edgeval_project.json``, so that the C-simulation bridge needs no hls4ml at all.
"""

from __future__ import annotations

from math import prod
from pathlib import Path

import msgspec
import numpy as np

from hls.errors import RunDirectoryError, UsageError
from hls.readers import UnreadableError, read_json
from hls.sizes import MOST_WORDS
from hls.soundness import IDENTIFIER

MANIFEST_FILE = "edgeval_project.json"
PROJECT_NAME = "edgeval_network"


class Port(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An argument of the top function.

    Attributes:
        cpp_name: Its name in the top function's signature.
        cpp_type: Its element type in ``defines.h``.
        size: Words a sample.
        width_bits: Of a word.
        signed: Whether negative words exist.
        unit_log2: log2 of the C++ value of one unit.
    """

    cpp_name: str
    cpp_type: str
    size: int
    width_bits: int
    signed: bool
    unit_log2: int


class Tap(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A layer whose result hls4ml's trace hands out.

    Attributes:
        hls_layer: hls4ml's name, after fusion.
        value: The integer network's value that layer computes, once everything fused into it is done.
    """

    hls_layer: str
    value: str
    size: int
    width_bits: int
    signed: bool
    unit_log2: int


class CppType(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A type the network computes in, as ``defines.h`` has to define it.

    Attributes:
        role: What it is of, for people.
        cpp_type: Its name in ``defines.h``.
        rounding, overflow: AMD's names of the modes, ``AP_TRN`` and ``AP_WRAP`` where the type names none.
    """

    role: str
    cpp_type: str
    width_bits: int
    signed: bool
    unit_log2: int
    rounding: str
    overflow: str


class Array(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An array of constants in the generated C++.

    Attributes:
        symbol: Its C++ name, e.g. ``w2``.
        cpp_type: Its element type in ``defines.h``.
        size: Number of words.
        tensor: The stored tensor it holds, ``None`` for constants of hls4ml's own layers, all equal to ``fill``.
        fill: That word: 0 where there is no bias, 1 for the weights of an average.
        shape: Of the stored tensor.
        axes: Order in which hls4ml stores its axes, outermost first.
        unit_log2: log2 of the C++ value of one unit.
        copy: 0 for the words themselves; 1 and 2 for the copies of a hardened project.
    """

    symbol: str
    cpp_type: str
    size: int
    tensor: str | None
    fill: int
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    width_bits: int
    signed: bool
    unit_log2: int
    copy: int = 0

    def stored_order(self) -> np.ndarray:
        """Flat index into the stored tensor (C order) of each position of the C++ array."""
        return np.arange(self.size).reshape(self.shape).transpose(self.axes).ravel()

    def position(self, index: int) -> int:
        """Where the stored tensor's flat index (C order) lies in the C++ array."""
        coordinates = np.unravel_index(index, self.shape)
        moved = tuple(coordinates[axis] for axis in self.axes)
        return int(np.ravel_multi_index(moved, tuple(self.shape[axis] for axis in self.axes)))


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="edgeval.project/2"):
    """Everything the bridge and the audit need.

    Attributes:
        network_digest: Of the integer network the project was written from.
        types: Accumulators and results of all layers.
        products_on_stack: Words that hls4ml keeps on the stack: all products of one layer, all values.
    """

    project: str
    backend: str
    io_type: str
    hls4ml_version: str
    network_digest: str
    input: Port
    output: Port
    taps: tuple[Tap, ...]
    arrays: tuple[Array, ...]
    types: tuple[CppType, ...]
    products_on_stack: int

    def array_of(self, tensor: str, copy: int = 0) -> Array:
        """The C++ array that holds a stored tensor, or one of its copies.

        Raises:
            UsageError: there is no such copy.
        """
        copies = self.copies_of(tensor)
        if copy not in range(len(copies)):
            raise UsageError(
                found=f"copy {copy}",
                allowed=f"0 to {len(copies) - 1}",
                where=f"stored tensor {tensor}",
                remedy="name a copy that the project has; only hardened projects have more than one",
            )
        return copies[copy]

    def copies_of(self, tensor: str) -> tuple[Array, ...]:
        """All C++ arrays that hold a stored tensor, the words themselves first."""
        return tuple(sorted((a for a in self.arrays if a.tensor == tensor), key=lambda array: array.copy))


def load_manifest(project: Path) -> Manifest:
    """Read the manifest of a project folder.

    Raises:
        RunDirectoryError: missing or damaged.
    """
    try:
        manifest = read_json(project / MANIFEST_FILE, Manifest)
        _require_plain(manifest)
    except UnreadableError as error:
        raise RunDirectoryError(
            found=str(error),
            allowed="a project folder written by `edgeval export`",
            where=str(project / MANIFEST_FILE),
            remedy="run `edgeval export` again",
        ) from error
    return manifest


def _require_plain(manifest: Manifest) -> None:
    """Names of a manifest become paths and C++, its sizes allocations: only what edgeval itself writes may be there."""
    names = [manifest.project, *(tap.hls_layer for tap in manifest.taps), *(a.symbol for a in manifest.arrays)]
    items: list[Port | Tap | Array | CppType] = [
        manifest.input, manifest.output, *manifest.taps, *manifest.arrays, *manifest.types,
    ]  # fmt: skip
    names += [item.cpp_type for item in items if not isinstance(item, Tap)]
    for port in (manifest.input, manifest.output):
        names += port.cpp_name.split(".")
    for name in names:
        if not IDENTIFIER.fullmatch(name) or len(name) > _LONGEST_SYMBOL:
            raise UnreadableError(f"the name {name[:60]!r}, which is no C++ identifier")
    for item in items:
        if not 1 <= item.width_bits <= _WIDEST_BITS or abs(item.unit_log2) > _FARTHEST_UNIT:
            raise UnreadableError(f"words of {item.width_bits} bits with a unit of 2**{item.unit_log2}")
        if not isinstance(item, CppType) and not 1 <= item.size <= MOST_WORDS:
            raise UnreadableError(f"{item.size} words")
    for array in manifest.arrays:
        whole = sorted(array.axes) == list(range(len(array.shape))) and min(array.shape, default=1) >= 1
        if array.tensor is not None and not (whole and prod(array.shape) == array.size and 0 <= array.copy <= _COPIES):
            raise UnreadableError(f"array {array.symbol} of {array.size} words, shape {array.shape}, axes {array.axes}")


_LONGEST_SYMBOL = 200
_WIDEST_BITS = 256
_FARTHEST_UNIT = 1 << 11
_COPIES = 2
