"""Which faults the options ask for: one builder a kind of fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgeval.fault_options import FaultOptions
from fault_injection.constants import constants_of
from fault_injection.fault_list import FaultList, StoredBits
from fault_injection.faults import require_model
from fault_injection.sites import pruned_count, select_sites
from fault_injection.transients import transients_of
from fault_injection.upsets import upsets_of
from hls.errors import UsageError
from hls.graph import IntegerGraph


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Faults that could be judged.

    Attributes:
        faults: All that the filters leave.
        pruned: Stored bits in zero words among those that tensors and bits select, whether skipped or not.
    """

    faults: FaultList
    pruned: int


Builder = Callable[[IntegerGraph, FaultOptions], Population]


def stored_bits(graph: IntegerGraph, options: FaultOptions) -> Population:
    """Single bits of stored words."""
    filtered = select_sites(graph, tensors=options.tensors, bits=options.bits)
    selected = select_sites(graph, tensors=options.tensors, bits=options.bits, skip_pruned=options.skip_pruned)
    faults = StoredBits(sites=selected, model=require_model(options.fault))
    return Population(faults=faults, pruned=pruned_count(graph, filtered))


def upsets(graph: IntegerGraph, options: FaultOptions) -> Population:
    """Clusters of neighbouring cells."""
    _refuse(options, bits=options.bits != "all")
    faults = upsets_of(graph, options.tensors, options.pattern, options.interleave, options.words_per_row)
    return Population(faults=faults, pruned=0)


def transients(graph: IntegerGraph, options: FaultOptions) -> Population:
    """Words on their way, in one inference."""
    _refuse(options, tensors=options.tensors != ("*",))
    return Population(faults=transients_of(graph, options.values, options.bits), pruned=0)


def constants(graph: IntegerGraph, options: FaultOptions) -> Population:
    """Multipliers, offsets and shifts; --tensors names them as NODE.FIELD."""
    _refuse(options)
    return Population(faults=constants_of(graph, options.tensors, options.bits), pruned=0)


def _refuse(options: FaultOptions, **more: bool) -> None:
    """Refuse filters that this kind of fault has no use for: they would be left aside without a word."""
    given = [name for name, there in {"skip-pruned": options.skip_pruned, **more}.items() if there]
    if given:
        raise UsageError(
            found=f"--{given[0]} with --fault {options.fault}",
            allowed="filters that this kind of fault has",
            where="command line",
            remedy=f"leave out --{given[0]}",
        )


FAULT_LISTS: dict[str, Builder] = {
    "flip": stored_bits,
    "stuck0": stored_bits,
    "stuck1": stored_bits,
    "upset": upsets,
    "transient": transients,
    "constant": constants,
}
"""By the name that ``--fault`` takes."""


def population_of(graph: IntegerGraph, options: FaultOptions) -> Population:
    """The faults that the options select.

    Raises:
        UsageError: a filter that selects nothing.
    """
    return FAULT_LISTS[options.fault](graph, options)


def drawn(faults: FaultList, count: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of a random sample without repeats, each fault with the same chance, in campaign order."""
    if count >= len(faults):
        return np.arange(len(faults))
    return np.sort(rng.choice(len(faults), count, replace=False))
