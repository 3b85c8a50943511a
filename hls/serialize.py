"""One file for an integer network: the structure as JSON and the words as arrays, in one deterministic zip.

``network.npz`` opens with ``numpy.load`` (arrays) and with any unzip (``structure.json``). One file, so that it can be
replaced atomically: structure and words can never be of two different networks.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from hls.errors import InputError, RunDirectoryError
from hls.files import atomic_write
from hls.formats import WordFormat
from hls.graph import IntegerGraph, StoredTensor, Value
from hls.host import HostStep
from hls.nodes import Node
from hls.npz import UNREADABLE, array_of, open_archive
from hls.soundness import require_sound

STRUCTURE_VERSION = "edgeval.network/2"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # a fixed time in every member keeps equal networks equal as files


class _TensorEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    format: WordFormat
    shape: tuple[int, ...]
    scale: float | tuple[float, ...]
    widen: int | tuple[int, ...]
    zero_point: int | tuple[int, ...]
    channel_axis: int
    words_sha256: str


class _ValueEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    shape: tuple[int, ...]
    format: WordFormat | None
    scale: float | tuple[float, ...]


class _Structure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: str
    input: str
    output: str
    nodes: tuple[Node, ...]
    tensors: tuple[_TensorEntry, ...]
    values: tuple[_ValueEntry, ...]
    tail: tuple[HostStep, ...]
    output_axes: tuple[int, ...]
    notes: tuple[str, ...]


def structure_json(graph: IntegerGraph) -> bytes:
    """The structure of a network as indented JSON: everything but the words, and a digest of those."""
    return msgspec.json.format(msgspec.json.encode(_structure(graph)), indent=1)


def digest(graph: IntegerGraph) -> str:
    """sha256 of structure and words, as hexadecimal; equal exactly when the networks are."""
    return hashlib.sha256(structure_json(graph)).hexdigest()


def save_graph(graph: IntegerGraph, path: Path) -> None:
    """Write a network to one file, atomically; equal networks give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("structure.json", _EPOCH), structure_json(graph))
        for name, tensor in graph.tensors.items():
            member = io.BytesIO()
            np.save(member, tensor.words, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), member.getvalue(), zipfile.ZIP_DEFLATED)
    atomic_write(path, buffer.getvalue())


def load_graph(path: Path) -> IntegerGraph:
    """Read a network back, checked against its own digests.

    Raises:
        RunDirectoryError: missing, damaged, of another version, or no sound network.
    """
    try:
        with open_archive(path) as archive:
            structure = msgspec.json.decode(archive.read("structure.json"), type=_Structure)
            words = {e.name: array_of(archive.read(f"{e.name}.npy")) for e in structure.tensors}
        _require_recorded(structure, words, path)
        graph = _graph(structure, words)
        require_sound(graph)
    except (*UNREADABLE, InputError, msgspec.MsgspecError) as error:
        raise _refusal(path, f"{type(error).__name__}: {error}") from error
    return graph


def _require_recorded(structure: _Structure, words: dict[str, np.ndarray], path: Path) -> None:
    if structure.version != STRUCTURE_VERSION:
        raise _refusal(path, f"version {structure.version}")
    if len(words) != len(structure.tensors) or len({value.name for value in structure.values}) != len(structure.values):
        raise _refusal(path, "a name that is there twice")
    for entry in structure.tensors:
        if words[entry.name].dtype.kind not in "iu":
            raise _refusal(path, f"words of {entry.name} as {words[entry.name].dtype}")
        if _sha256(words[entry.name]) != entry.words_sha256:
            raise _refusal(path, f"words of {entry.name} whose sha256 is not the recorded {entry.words_sha256}")


def _refusal(path: Path, found: str) -> RunDirectoryError:
    return RunDirectoryError(
        found=found,
        allowed=f"an integer network written by edgeval ({STRUCTURE_VERSION})",
        where=str(path),
        remedy="run `edgeval export` again to write it anew",
    )


def _structure(graph: IntegerGraph) -> _Structure:
    return _Structure(
        version=STRUCTURE_VERSION,
        input=graph.input,
        output=graph.output,
        nodes=graph.nodes,
        tensors=tuple(
            _TensorEntry(
                name=t.name,
                format=t.format,
                shape=t.words.shape,
                scale=_plain(t.scale),
                widen=_plain(t.widen),
                zero_point=_plain(t.zero_point),
                channel_axis=t.channel_axis,
                words_sha256=_sha256(t.words),
            )
            for t in graph.tensors.values()
        ),
        values=tuple(
            _ValueEntry(name=name, shape=v.shape, format=v.format, scale=_plain(v.scale))
            for name, v in graph.values.items()
        ),
        tail=graph.tail,
        output_axes=graph.output_axes,
        notes=graph.notes,
    )


def _graph(structure: _Structure, words: dict[str, np.ndarray]) -> IntegerGraph:
    return IntegerGraph(
        nodes=structure.nodes,
        input=structure.input,
        output=structure.output,
        tail=structure.tail,
        output_axes=structure.output_axes,
        notes=structure.notes,
        tensors={
            e.name: StoredTensor(
                name=e.name,
                words=words[e.name].reshape(e.shape).astype(np.int64),
                format=e.format,
                scale=np.asarray(e.scale, np.float64),
                widen=np.asarray(e.widen, np.int64),
                zero_point=np.asarray(e.zero_point, np.int64),
                channel_axis=e.channel_axis,
            )
            for e in structure.tensors
        },
        values={
            e.name: Value(shape=e.shape, format=e.format, scale=np.asarray(e.scale, np.float64))
            for e in structure.values
        },
    )


def _plain(array: np.ndarray) -> Any:  # a number, or a tuple of numbers for one a channel
    return tuple(array.tolist()) if array.ndim else array.item()


def _sha256(words: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(words, np.int64).tobytes()).hexdigest()
