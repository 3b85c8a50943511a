"""Bits that are not stored words: those of values and constants, numbered and filtered as stored bits are."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fault_injection.sites import SiteTable, bit_mask
from hls.errors import UsageError
from hls.formats import WordFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedWords:
    """Words under one name.

    Attributes:
        words: How many.
        format: Of each.
    """

    words: int
    format: WordFormat


def bits_of(named: Mapping[str, NamedWords], *, names: Sequence[str], bits: str, option: str) -> SiteTable:
    """The bits a filter leaves; ``tensors`` of the table are all names, ``tensor`` points into them.

    Args:
        named: Everything there is, in the order in which it is numbered: by name, then word, then bit from the least
            significant. A filter never renumbers.
        names: Names or glob patterns.
        bits: As for ``select_sites``.
        option: Option that chooses names, for messages.

    Raises:
        UsageError: there is nothing to choose from, a pattern or the whole filter selects nothing, or ``bits`` cannot
            be read.
    """
    for pattern in names:
        if not fnmatch.filter(list(named), pattern):
            raise UsageError(
                found=f"nothing named {pattern!r}",
                allowed=", ".join(named) or "nothing: this network has none",
                where=option,
                remedy="choose one of these names, or a pattern such as '*'",
            )
    sizes = [(one.words, one.format.width_bits) for one in named.values()]
    tensor = np.concatenate([np.full(words * width, i) for i, (words, width) in enumerate(sizes)])
    index = np.concatenate([np.repeat(np.arange(words), width) for words, width in sizes])
    bit = np.concatenate([np.tile(np.arange(width), words) for words, width in sizes])
    chosen = [i for i, name in enumerate(named) if any(fnmatch.fnmatchcase(name, pattern) for pattern in names)]
    keep = np.isin(tensor, chosen) & bit_mask(bits, bit, np.array([width for _, width in sizes])[tensor])
    if not keep.any():
        raise UsageError(
            found=f"a filter that selects no bit ({', '.join(names)}; bits {bits})",
            allowed="; ".join(f"{name} with bits 0..{one.format.width_bits - 1}" for name, one in named.items()),
            where="fault filter",
            remedy=f"widen {option} or --bits",
        )
    rows = np.flatnonzero(keep)
    return SiteTable(tensors=tuple(named), number=rows, tensor=tensor[rows], index=index[rows], bit=bit[rows])


def same_word(sites: SiteTable, key: np.ndarray) -> list[np.ndarray]:
    """Rows of the same tensor and key, together; every row in exactly one group."""
    order = np.lexsort((key, sites.tensor))
    starts = np.flatnonzero((np.diff(sites.tensor[order]) != 0) | (np.diff(key[order]) != 0)) + 1
    return [np.sort(part) for part in np.split(order, starts)] if len(sites) else []
