"""Integer network ↔ its part of the baseline: a locked network can be run again, long after its run has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from edgeval.regression.baseline import LockedNetwork, LockedRun, LockedTensor, LockedType, LockedValue
from edgeval.regression.packed_words import pack_rows, unpack_rows
from hls.errors import InputError
from hls.formats import Rounding, WordFormat, Words
from hls.graph import IntegerGraph, StoredTensor, Value
from hls.hls4ml_flow.manifest import Array, CppType, Manifest, Port
from hls.nodes import Conv, MatMul, Threshold
from hls.serialize import digest
from hls.soundness import require_sound

KEPT_BITS = 8 * 200_000
"""Stored bits of a network whose words are kept: 250,000 characters. Beyond, chunks of words have digests."""
CHUNK_WORDS = 256
"""Words of one chunk."""


def locked_network(graph: IntegerGraph) -> LockedNetwork:
    """The structure of a network."""
    return LockedNetwork(
        digest=digest(graph),
        input=graph.input,
        output=graph.output,
        output_axes=graph.output_axes,
        tail=graph.tail,
        notes=graph.notes,
        nodes=graph.nodes,
        values=tuple(
            LockedValue(name=name, shape=value.shape, format=value.format, scale=_plain(value.scale))
            for name, value in graph.values.items()
        ),
    )


def locked_tensors(graph: IntegerGraph) -> tuple[LockedTensor, ...]:
    """The stored words of a network, or digests of their chunks where they are too many."""
    kept = stored_bits(graph) <= KEPT_BITS
    return tuple(
        LockedTensor(
            name=tensor.name,
            format=tensor.format,
            shape=tensor.words.shape,
            scale=_plain(tensor.scale),
            widen=_plain(tensor.widen),
            zero_point=_plain(tensor.zero_point),
            channel_axis=tensor.channel_axis,
            sha256=words_digest(tensor.words),
            rows=pack_rows(tensor.words, tensor.format) if kept else (),
            chunks=() if kept else _chunks(tensor.words),
        )
        for tensor in graph.tensors.values()
    )


def stored_bits(graph: IntegerGraph) -> int:
    """Bits of all stored words."""
    return sum(tensor.words.size * tensor.format.width_bits for tensor in graph.tensors.values())


def stored_words(tensor: LockedTensor) -> Words | None:
    """The words of a locked tensor, ``None`` where only digests were kept.

    Raises:
        InputError: they are damaged.
    """
    if not tensor.rows:
        return None
    words = unpack_rows(tensor.rows, tensor.format, tensor.shape, f"baseline, tensor {tensor.name}")
    if words_digest(words) != tensor.sha256:
        raise InputError(
            found=f"words whose sha256 is not the recorded {tensor.sha256[:8]}…",
            allowed="the words that were locked",
            where=f"baseline, tensor {tensor.name}",
            remedy="take the file from version control again, or lock anew",
        )
    return words


def restored(run: LockedRun) -> IntegerGraph | None:
    """The integer network of a locked run, ``None`` where its words were too many to be kept.

    Raises:
        InputError: the baseline is damaged, or holds a network whose parts contradict each other.
    """
    try:
        graph = _restored(run)
        found = "" if graph is None or digest(graph) == run.network.digest else "one of another digest"
    except (ValueError, IndexError, TypeError, OverflowError) as error:  # what NumPy says to what does not fit
        graph, found = None, f"{type(error).__name__}: {error}"
    if found:
        raise InputError(
            found=f"a network that is not the one that was locked ({found})",
            allowed="the network of the recorded digest",
            where=f"baseline, run {run.name}",
            remedy="take the file from version control again, or lock anew",
        )
    if graph is not None:
        require_sound(graph)  # its digest may be forged with it
    return graph


def _restored(run: LockedRun) -> IntegerGraph | None:
    tensors: dict[str, StoredTensor] = {}
    for entry in run.tensors:
        words = stored_words(entry)
        if words is None:
            return None
        tensors[entry.name] = StoredTensor(
            name=entry.name,
            words=words,
            format=entry.format,
            scale=np.asarray(entry.scale, np.float64),
            widen=np.asarray(entry.widen, np.int64),
            zero_point=np.asarray(entry.zero_point, np.int64),
            channel_axis=entry.channel_axis,
        )
    network = run.network
    return IntegerGraph(
        nodes=network.nodes,
        tensors=tensors,
        values={
            value.name: Value(shape=value.shape, format=value.format, scale=np.asarray(value.scale, np.float64))
            for value in network.values
        },
        input=network.input,
        output=network.output,
        tail=network.tail,
        output_axes=network.output_axes,
        notes=network.notes,
    )


def words_digest(words: Words) -> str:
    """sha256 of words as int64, C order."""
    return hashlib.sha256(np.ascontiguousarray(words, np.int64).tobytes()).hexdigest()


def project_types(graph: IntegerGraph, manifest: Manifest) -> tuple[LockedType, ...]:
    """Every type of a project, in hls4ml's notation, in data order."""
    order = [node.name for node in graph.nodes]
    found = [*_computed(manifest), *_stored(graph, manifest)]
    return tuple(sorted(found, key=lambda item: order.index(item.layer)))


def network_types(graph: IntegerGraph) -> tuple[LockedType, ...]:
    """The types of a network that hls4ml cannot hold, as ``edgeval export`` prints them."""
    from edgeval.pipeline import layer_rows

    return tuple(
        LockedType(layer=row.name, role=role, type=text)
        for row in layer_rows(graph)
        for role, text in (
            ("result_t", row.output_format), ("weight_t", row.weight_format), ("bias_t", row.bias_format),
        )
        if text
    )  # fmt: skip


def _computed(manifest: Manifest) -> Iterator[LockedType]:
    roles = {"result": "result_t", "accumulator": "accum_t"}
    for item in manifest.types:
        role, _, layer = item.role.partition(" of ")
        yield LockedType(layer=layer, role=roles[role], type=_text(item, item.rounding, item.overflow))


def _stored(graph: IntegerGraph, manifest: Manifest) -> Iterator[LockedType]:
    for array in manifest.arrays:
        if array.tensor is None or array.copy:
            continue
        node = graph.owner_of(array.tensor)
        role = "thresholds_t" if isinstance(node, Threshold) else "table_t"
        if isinstance(node, MatMul | Conv):
            role = "weight_t" if array.tensor == node.weight else "bias_t"
        yield LockedType(layer=node.name, role=role, type=_text(array))


def _text(item: CppType | Array | Port, rounding: str = "AP_TRN", overflow: str = "AP_WRAP") -> str:
    name = "ap_fixed" if item.signed else "ap_ufixed"
    modes = "" if (rounding, overflow) == ("AP_TRN", "AP_WRAP") else f",{rounding},{overflow}"
    return f"{name}<{item.width_bits},{item.width_bits + item.unit_log2}{modes}>"


def _chunks(words: Words) -> tuple[str, ...]:
    flat = words.reshape(-1)
    return tuple(words_digest(flat[start : start + CHUNK_WORDS])[:8] for start in range(0, flat.size, CHUNK_WORDS))


def _plain(array: np.ndarray) -> Any:  # a number, or a tuple of numbers for one a channel
    return tuple(array.tolist()) if array.ndim else array.item()


def rounding_name(rounding: Rounding | str) -> str:
    """AMD's name of a rounding where it has one."""
    return {"half_even": "AP_RND_CONV", "floor": "AP_TRN"}.get(rounding, rounding)


def format_text(word_format: WordFormat | None) -> str:
    """A format for people."""
    if word_format is None:
        return "float"
    narrow = ", narrow" if word_format.narrow else ""
    return f"{word_format.width_bits} bits {word_format.encoding}, {word_format.overflow}{narrow}"
