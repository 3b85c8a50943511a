"""An hls4ml project in which chosen bits of stored words are kept three times and voted, made from an ordinary one.

The copies are two further arrays a tensor, beside its own; a voter of ``hls/cpp/nnet_edgeval_tmr.h`` stands in front of
the layers and hands them the majority. Everything else is as hls4ml wrote it. Outside the chosen bits nothing of a copy
is ever read, so it costs no storage.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path

import msgspec
import numpy as np
from jaxtyping import Int

from hls.errors import LoweringError, RunDirectoryError, ToolError
from hls.files import atomic_write, replace_folder
from hls.graph import IntegerGraph, StoredTensor
from hls.hls4ml_flow.manifest import MANIFEST_FILE, Array, Manifest, load_manifest
from hls.hls4ml_flow.options import AC_BACKENDS
from hls.serialize import digest

COPIES = (1, 2)
"""Copies beside the word itself, which is copy 0."""

_HEADER = "nnet_edgeval_tmr.h"
_LAYERS = "// hls-fpga-machine-learning insert layers"
_LOADED = "loaded_weights = true;"


def write_hardened(
    graph: IntegerGraph, source: Path, directory: Path, triplicated: Mapping[str, Int[np.ndarray, " words"]]
) -> Manifest:
    """Write a project whose chosen bits are voted, replacing an older one only when the new one is whole.

    Args:
        graph: The network both projects are of.
        source: Folder of the ordinary project, of a back end with ap_types.
        directory: Folder to write.
        triplicated: By tensor, of each word (C order) the stored bits that are kept three times, as a mask.

    Returns:
        The manifest, with an array for each copy.

    Raises:
        LoweringError: a back end or tensor that cannot be voted in this way.
        RunDirectoryError: the project is not of this network. ToolError: its C++ is not as expected.
    """
    manifest = load_manifest(source)
    if digest(graph) != manifest.network_digest:
        raise RunDirectoryError(
            found=f"a project of network {manifest.network_digest[:12]}",
            allowed=f"a project of network {digest(graph)[:12]}",
            where=str(source),
            remedy="run `edgeval export` again: network and project have to be of one export",
        )
    _require_votable(manifest)
    masks = {name: executor_masks(graph.tensors[name], bits) for name, bits in triplicated.items() if np.any(bits != 0)}
    return replace_folder(directory, lambda folder: _write_into(folder, source, manifest, masks))


def executor_masks(tensor: StoredTensor, bits: Int[np.ndarray, " words"]) -> Int[np.ndarray, " words"]:
    """The bits of the words in the C++ that hold given stored bits.

    The C++ has the executor's words: moved to the common scale, so that the top bit is there as often as the sign is
    repeated, and bipolar words in two bits.

    Args:
        tensor: The tensor.
        bits: Of each word (C order) a mask of stored bits.

    Raises:
        LoweringError: the zero point was taken off the words, so that the stored bits are not in the C++.
    """
    if np.any(tensor.zero_point):
        raise LoweringError(
            found="words with a zero point, which the C++ holds without it",
            allowed="triplicated bits that the C++ holds",
            where=tensor.name,
            remedy="harden another tensor, or quantize this one without a zero point",
        )
    words = tensor.words
    golden = tensor.to_executor(words)
    masks = np.zeros(words.size, np.int64)
    for bit in range(tensor.format.width_bits):
        moved = (golden ^ tensor.to_executor(tensor.format.flip(words, bit))).reshape(-1)
        masks |= np.where(bits >> bit & 1, moved, 0)
    return np.asarray(masks & ((1 << tensor.executor_format.width_bits) - 1))


def _require_votable(manifest: Manifest) -> None:
    if manifest.backend in AC_BACKENDS:
        raise LoweringError(
            found=f"back end {manifest.backend}",
            allowed="Vitis or Vivado: the voter is written for ap_types",
            where="hardened hls4ml project",
            remedy="export with --backend Vitis",
        )


def _write_into(folder: Path, source: Path, manifest: Manifest, masks: Mapping[str, np.ndarray]) -> Manifest:
    shutil.copytree(source, folder, dirs_exist_ok=True)
    voted = [manifest.array_of(name) for name in masks]
    copies = [
        msgspec.structs.replace(array, symbol=copy_symbol(array.symbol, copy), copy=copy)
        for array in voted
        for copy in COPIES
    ]
    firmware = folder / "firmware"
    shutil.copyfile(str(files("hls") / "cpp" / _HEADER), firmware / "nnet_utils" / _HEADER)
    for array in voted:
        _write_copies(firmware / "weights", array)
        _write_mask(firmware / "weights" / f"{array.symbol}_mask.h", array, masks[str(array.tensor)])
    _change(firmware / "parameters.h", lambda text: _with_includes(text, voted))
    _change(firmware / f"{manifest.project}.cpp", lambda text: _with_voters(text, voted))
    hardened = msgspec.structs.replace(
        manifest,
        arrays=(*manifest.arrays, *copies),
        products_on_stack=manifest.products_on_stack + sum(array.size for array in voted),
    )
    atomic_write(folder / MANIFEST_FILE, msgspec.json.format(msgspec.json.encode(hardened), indent=1))
    return hardened


def copy_symbol(symbol: str, copy: int) -> str:
    """C++ name of a copy of an array."""
    return f"{symbol}_copy{copy}"


def _write_copies(weights: Path, array: Array) -> None:
    header = (weights / f"{array.symbol}.h").read_text(encoding="utf-8")
    for copy in COPIES:
        name = copy_symbol(array.symbol, copy)
        renamed = re.sub(rf"\b{array.symbol}\b", name, header)
        renamed = re.sub(rf"\b{array.symbol.upper()}_H_\b", f"{name.upper()}_H_", renamed)
        atomic_write(weights / f"{name}.h", renamed.encode())
        shutil.copyfile(weights / f"{array.symbol}.txt", weights / f"{name}.txt")


def _write_mask(path: Path, array: Array, masks: Int[np.ndarray, " words"]) -> None:
    guard = f"{path.stem.upper()}_H_"
    values = ", ".join(f"{mask}ULL" for mask in masks[array.stored_order()].tolist())
    text = (
        f"// Bits of the words of {array.tensor} that are kept three times.\n#ifndef {guard}\n#define {guard}\n\n"
        f"static const unsigned long long {path.stem}[{array.size}] = {{{values}}};\n\n#endif\n"
    )
    atomic_write(path, text.encode())


def _with_includes(text: str, voted: list[Array]) -> str:
    for array in voted:
        names = [array.symbol, *(copy_symbol(array.symbol, copy) for copy in COPIES), f"{array.symbol}_mask"]
        lines = "\n".join(f'#include "weights/{name}.h"' for name in names)
        text = _replaced(text, f'#include "weights/{array.symbol}.h"', lines)
    first = f'#include "weights/{voted[0].symbol}.h"' if voted else ""
    return _replaced(text, first, f'#include "nnet_utils/{_HEADER}"\n{first}') if voted else text


def _with_voters(text: str, voted: list[Array]) -> str:
    """Copies are loaded where the words are, voted before the first layer, and the layers take what was voted."""
    loads, votes = [], []
    for array in voted:
        names = [copy_symbol(array.symbol, copy) for copy in COPIES]
        kind = f"<{array.cpp_type}, {array.size}>"
        loads += [f'nnet::load_weights_from_txt{kind}({name}, "{name}.txt");\n        ' for name in names]
        votes.append(
            f"    {array.cpp_type} {array.symbol}_voted[{array.size}];\n"
            f"    #pragma HLS ARRAY_PARTITION variable={array.symbol}_voted complete dim=0\n"
            f"    nnet::edgeval::vote{kind}({array.symbol}, {', '.join(names)}, {array.symbol}_mask, "
            f"{array.symbol}_voted);\n"
        )
    if not voted:
        return text
    head, layers = _halves(_replaced(text, _LOADED, "".join(loads) + _LOADED))
    for array in voted:
        layers, count = re.subn(rf"\b{array.symbol}\b", f"{array.symbol}_voted", layers)
        if not count:
            raise _unexpected(f"no layer that takes {array.symbol}")
    return f"{head}{_LAYERS}\n\n{''.join(votes)}{layers}"


def _halves(text: str) -> tuple[str, str]:
    head, marker, layers = text.partition(_LAYERS)
    if not marker:
        raise _unexpected(f"no line {_LAYERS!r}")
    return head, layers


def _replaced(text: str, old: str, new: str) -> str:
    if text.count(old) != 1:
        raise _unexpected(f"{text.count(old)} times {old!r}")
    return text.replace(old, new)


def _change(path: Path, change: Callable[[str], str]) -> None:
    atomic_write(path, change(path.read_text(encoding="utf-8")).encode())


def _unexpected(found: str) -> ToolError:
    return ToolError(
        found=found,
        allowed="the C++ that hls4ml 1.3.0 writes",
        where="hls4ml project to be hardened",
        remedy="run `edgeval export` again; the project was changed, or another hls4ml wrote it",
    )
