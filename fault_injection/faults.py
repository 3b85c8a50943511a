"""What happens to a stored bit: the fault models of single bits.

A fault changes the word at its site and nothing else: never a scale, never another word.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool

from fault_injection.sites import Site, SiteTable
from hls.errors import UsageError
from hls.formats import Words
from hls.graph import IntegerGraph, WordChange

FaultModel = Literal["flip", "stuck0", "stuck1"]
"""``flip``: the bit inverts (single-event upset). ``stuck0``/``stuck1``: it reads 0 or 1 whatever was written."""

FAULT_MODELS: tuple[FaultModel, ...] = get_args(FaultModel)


def faulty_words(graph: IntegerGraph, sites: SiteTable, model: FaultModel) -> tuple[Words, Words]:
    """Stored words at each site without and with the fault.

    Args:
        graph: The network.
        sites: Where.
        model: What happens to the bit.

    Returns:
        (golden words, faulty words), one a site; equal where a stuck bit already has that value.
    """
    golden = np.empty(len(sites), np.int64)
    faulty = np.empty(len(sites), np.int64)
    for position, tensor in enumerate(graph.tensors.values()):
        rows = np.flatnonzero(sites.tensor == position)
        words, bits = tensor.words.reshape(-1)[sites.index[rows]], sites.bit[rows]
        golden[rows] = words
        flipped = tensor.format.flip(words, bits)
        if model != "flip":
            flipped = np.where(_changes(tensor.format.bit_is_set(words, bits), model), flipped, words)
        faulty[rows] = flipped
    return golden, faulty


def change_at(graph: IntegerGraph, site: Site, model: FaultModel) -> WordChange:
    """One fault as the word it leaves behind."""
    tensor = graph.tensors[site.tensor]
    word = tensor.words.reshape(-1)[site.index : site.index + 1]
    changes = _changes(tensor.format.bit_is_set(word, site.bit), model)
    faulty = np.where(changes, tensor.format.flip(word, site.bit), word)
    return WordChange(tensor=site.tensor, index=site.index, word=int(faulty[0]))


def require_model(name: str) -> FaultModel:
    """A fault model by its name.

    Raises:
        UsageError: there is none of that name.
    """
    for model in FAULT_MODELS:
        if model == name:
            return model
    raise UsageError(
        found=repr(name), allowed=", ".join(FAULT_MODELS), where="--fault", remedy="choose one of these fault models"
    )


def _changes(is_set: Bool[np.ndarray, "..."], model: FaultModel) -> Bool[np.ndarray, ...]:
    match model:
        case "flip":
            return np.ones(is_set.shape, bool)
        case "stuck0":
            return is_set
        case "stuck1":
            return ~is_set
