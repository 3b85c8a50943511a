"""Which bits exist: every stored bit of a network, numbered once, filtered and sampled.

A site is (tensor, index, bit). Sites are numbered by tensor in data order, then flat index (C order), then bit from
the least significant: that number is the identity used in tables and when a campaign is resumed. A filter selects
sites, it never renumbers them. See ``docs/interfaces.md``, Sites and bits.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from jaxtyping import Bool, Int

from hls.errors import FormatError, UsageError
from hls.graph import IntegerGraph, StoredTensor, require_index


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One stored bit.

    Attributes:
        tensor: Name of the stored tensor.
        index: Flat index of the word, C order.
        bit: 0 is the least significant.
    """

    tensor: str
    index: int
    bit: int

    def __str__(self) -> str:
        return f"{self.tensor}:{self.index}:{self.bit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteTable:
    """Many sites, in campaign order.

    Attributes:
        tensors: Names of all stored tensors, in data order; ``tensor`` points into them.
        number: Site numbers, rising.
        tensor: Position of each site's tensor in ``tensors``.
        index: Flat index of each site's word.
        bit: Bit of each site.
    """

    tensors: tuple[str, ...]
    number: Int[np.ndarray, " sites"]
    tensor: Int[np.ndarray, " sites"]
    index: Int[np.ndarray, " sites"]
    bit: Int[np.ndarray, " sites"]

    def __len__(self) -> int:
        return len(self.number)

    def site(self, row: int) -> Site:
        """One row as a value."""
        return Site(tensor=self.tensors[self.tensor[row]], index=int(self.index[row]), bit=int(self.bit[row]))

    def take(self, rows: Int[np.ndarray, " rows"] | slice) -> SiteTable:
        """Some rows, in the order given."""
        return SiteTable(
            tensors=self.tensors,
            number=self.number[rows],
            tensor=self.tensor[rows],
            index=self.index[rows],
            bit=self.bit[rows],
        )


def all_sites(graph: IntegerGraph) -> SiteTable:
    """Every stored bit of a network."""
    parts = [_sites_of(position, tensor) for position, tensor in enumerate(graph.tensors.values())]
    tensor, index, bit = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return SiteTable(tensors=tuple(graph.tensors), number=np.arange(len(tensor)), tensor=tensor, index=index, bit=bit)


def select_sites(
    graph: IntegerGraph, *, tensors: Sequence[str] = ("*",), bits: str = "all", skip_pruned: bool = False
) -> SiteTable:
    """The sites a filter leaves.

    Args:
        graph: The network.
        tensors: Names or glob patterns, e.g. ``fc1.weight`` or ``*.bias``.
        bits: ``all``, ``msb`` (each tensor's top bit), ``N`` or ``N..M``, both included.
        skip_pruned: Leave out words that are zero.

    Raises:
        UsageError: a pattern or the whole filter selects nothing, or ``bits`` cannot be read.
    """
    sites = all_sites(graph)
    keep = np.isin(sites.tensor, _matching(graph, tensors))
    widths = np.array([tensor.format.width_bits for tensor in graph.tensors.values()])[sites.tensor]
    keep &= bit_mask(bits, sites.bit, widths)
    if skip_pruned:
        keep &= ~_pruned(graph, sites)
    if not keep.any():
        raise UsageError(
            found=f"a filter that selects no stored bit (tensors {', '.join(tensors)}; bits {bits})",
            allowed="; ".join(f"{t.name} with bits 0..{t.format.width_bits - 1}" for t in graph.tensors.values()),
            where="fault filter",
            remedy="widen --tensors or --bits",
        )
    return sites.take(np.flatnonzero(keep))


def sample_sites(sites: SiteTable, count: int, rng: np.random.Generator) -> SiteTable:
    """Draw sites without repeats, each with the same chance, back in campaign order.

    Raises:
        UsageError: ``count`` is below 1.
    """
    if count < 1:
        raise UsageError(
            found=f"a sample of {count} faults", allowed="1 or more", where="--sample", remedy="give a positive number"
        )
    if count >= len(sites):
        return sites
    return sites.take(np.sort(rng.choice(len(sites), count, replace=False)))


def pruned_count(graph: IntegerGraph, sites: SiteTable) -> int:
    """How many of the sites lie in words that are zero."""
    return int(_pruned(graph, sites).sum())


def parse_site(graph: IntegerGraph, text: str) -> Site:
    """Read ``TENSOR:INDEX:BIT``; INDEX is flat or one number an axis (``fc1.weight:3,5:0``), BIT a number or ``msb``.

    Raises:
        UsageError: not of that form, or no such tensor, index or bit.
    """
    match = re.fullmatch(r"(.+):(\d+(?:,\d+)*):(\d+|msb)", text)
    if match is None:
        raise UsageError(
            found=repr(text), allowed="TENSOR:INDEX:BIT", where="site", remedy="write e.g. fc1.weight:3,5:msb"
        )
    name, place, bit_text = match.groups()
    if name not in graph.tensors:
        raise graph.unknown_tensor(name)
    tensor = graph.tensors[name]
    axes = [int(part) for part in place.split(",")]
    index = axes[0] if len(axes) == 1 else _flat_index(tensor, axes)
    require_index(tensor, index)
    bit = tensor.format.width_bits - 1 if bit_text == "msb" else int(bit_text)
    try:
        tensor.format.require_bit(bit)
    except FormatError as error:
        raise UsageError(found=error.found, allowed=error.allowed, where=f"site {text}", remedy=error.remedy) from error
    return Site(tensor=name, index=index, bit=bit)


def bit_mask(
    bits: str, positions: Int[np.ndarray, " sites"], widths: Int[np.ndarray, " sites"]
) -> Bool[np.ndarray, " sites"]:
    """Which sites a choice of bits keeps.

    Args:
        bits: As for ``select_sites``.
        positions: Bit of each site.
        widths: Width of each site's word.

    Raises:
        UsageError: ``bits`` cannot be read.
    """
    if bits == "all":
        return np.ones(len(positions), bool)
    if bits == "msb":
        return np.asarray(positions == widths - 1)
    match = re.fullmatch(r"(\d+)(?:\.\.(\d+))?", bits)
    if match is None or int(match[2] or match[1]) < int(match[1]):
        raise UsageError(
            found=repr(bits), allowed="all, msb, N or N..M with N ≤ M", where="--bits", remedy="write e.g. 3..5"
        )
    return np.asarray((positions >= int(match[1])) & (positions <= int(match[2] or match[1])))


def _sites_of(position: int, tensor: StoredTensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    width, size = tensor.format.width_bits, tensor.words.size
    return (
        np.full(size * width, position, np.int64),
        np.repeat(np.arange(size, dtype=np.int64), width),
        np.tile(np.arange(width, dtype=np.int64), size),
    )


def _matching(graph: IntegerGraph, patterns: Sequence[str]) -> list[int]:
    names = list(graph.tensors)
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            raise graph.unknown_tensor(pattern)
    return [i for i, name in enumerate(names) if any(fnmatch.fnmatchcase(name, p) for p in patterns)]


def _pruned(graph: IntegerGraph, sites: SiteTable) -> np.ndarray:
    mask = np.zeros(len(sites), bool)
    for position, tensor in enumerate(graph.tensors.values()):
        rows = sites.tensor == position
        mask[rows] = tensor.words.reshape(-1)[sites.index[rows]] == 0
    return mask


def _flat_index(tensor: StoredTensor, axes: list[int]) -> int:
    shape = tensor.words.shape
    if len(axes) != len(shape) or any(axis >= size for axis, size in zip(axes, shape, strict=False)):
        raise UsageError(
            found=f"index {axes}",
            allowed=f"a flat index below {prod(shape)}, or {len(shape)} numbers below {list(shape)}",
            where=tensor.name,
            remedy="give an index inside the tensor",
        )
    return int(np.ravel_multi_index(axes, shape))
