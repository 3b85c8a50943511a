"""What flipping each stored bit does to its word: the input of every ranking, one row a site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from fault_injection.faults import faulty_words
from fault_injection.sites import SiteTable
from hls.graph import IntegerGraph, StoredTensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Flips:
    """Single-bit flips of some sites.

    Attributes:
        sites: Where, in campaign order.
        words: Stored words without the fault.
        delta: Faulty word - fault-free word, signed, in stored-word units: the sign bit of a two's-complement word
            takes 2^(w-1) off, a set bit is cleared, a clear one is set; 2 or -2 for a bipolar word.
        plane: Places below the top bit of the word: 0 for each tensor's most significant bit.
        step: Real value of one stored unit at each site.
    """

    sites: SiteTable
    words: Int[np.ndarray, " sites"]
    delta: Int[np.ndarray, " sites"]
    plane: Int[np.ndarray, " sites"]
    step: Float[np.ndarray, " sites"]

    def __len__(self) -> int:
        return len(self.sites)

    def at(self, by_tensor: Mapping[str, np.ndarray]) -> Float[np.ndarray, " sites"]:
        """A number of each stored word, at every site.

        Args:
            by_tensor: One array a stored tensor, of the shape of its words.

        Raises:
            KeyError: a tensor with sites has no array.
        """
        return at_sites(self.sites, {name: by_tensor[name] for name in _present(self.sites)})


def flips_of(graph: IntegerGraph, sites: SiteTable) -> Flips:
    """What a flip of each site does to its word."""
    words, faulty = faulty_words(graph, sites, "flip")
    widths = np.array([tensor.format.width_bits for tensor in graph.tensors.values()])
    steps = {name: value_steps(tensor) for name, tensor in graph.tensors.items()}
    return Flips(
        sites=sites,
        words=words,
        delta=faulty - words,
        plane=widths[sites.tensor] - 1 - sites.bit,
        step=at_sites(sites, steps),
    )


def value_steps(tensor: StoredTensor) -> Float[np.ndarray, "..."]:
    """Real value of one stored unit of every word of a tensor, in the tensor's shape."""
    return np.broadcast_to(along_channels(tensor, np.asarray(tensor.scale, np.float64)), tensor.words.shape)


def along_channels(tensor: StoredTensor, numbers: np.ndarray) -> np.ndarray:
    """One number, or one a channel, shaped so that it broadcasts against the words of a tensor."""
    if numbers.ndim == 0:
        return numbers
    axis = tensor.channel_axis % tensor.words.ndim
    return numbers.reshape(-1, *(1 for _ in range(tensor.words.ndim - 1 - axis)))


def at_sites(sites: SiteTable, by_tensor: Mapping[str, np.ndarray]) -> Float[np.ndarray, " sites"]:
    """A number of each stored word, at every site; tensors without an array have no sites."""
    values = np.empty(len(sites))
    for position, name in enumerate(sites.tensors):
        rows = np.flatnonzero(sites.tensor == position)
        if len(rows):
            values[rows] = np.asarray(by_tensor[name], np.float64).reshape(-1)[sites.index[rows]]
    return values


def _present(sites: SiteTable) -> list[str]:
    return [sites.tensors[position] for position in np.unique(sites.tensor)]
