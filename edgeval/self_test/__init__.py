"""Errors made on purpose, which every comparison has to see: ``--self-test``.

A mutation takes an integer network and gives wrong ones. They are here and not in ``hls``, because nothing that
computes or injects needs them: they belong to the verbs. A verb joins by making what it compares out of a ``Mutated``,
and handing what it saw to ``score.scored`` (``docs/self-test.md``).
"""

from edgeval.self_test.computations import (
    clipped_early,
    dropped_transpose,
    moved_point,
    narrowed_accumulator,
    shifted_multiplier,
    shifted_rounding,
    shifted_ties,
    swapped_branches,
)
from edgeval.self_test.mutation import Mutated, Mutation
from edgeval.self_test.stored_words import (
    dropped_bias,
    flipped_weight_bit,
    reordered_weights,
    shifted_steps,
    swapped_channels,
    swapped_inputs,
)

__all__ = ["MUTATIONS", "Mutated", "Mutation"]

MUTATIONS: dict[str, Mutation] = {
    "flip a weight bit": flipped_weight_bit,
    "shift a rounding mode": shifted_rounding,
    "round ties up": shifted_ties,
    "drop a transpose": dropped_transpose,
    "narrow an accumulator": narrowed_accumulator,
    "swap two output channels": swapped_channels,
    "swap two inputs": swapped_inputs,
    "swap two branches": swapped_branches,
    "drop a bias": dropped_bias,
    "read weights in another order": reordered_weights,
    "shift a threshold": shifted_steps,
    "shift a multiplier": shifted_multiplier,
    "move a binary point": moved_point,
    "clip one word early": clipped_early,
}
"""Every mutation of a network, by the name that records and tables give it."""
