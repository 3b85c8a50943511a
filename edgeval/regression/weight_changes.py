"""Stored words that are not as they were: which tensor, how many words, the first of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from edgeval.regression.baseline import LockedRun, LockedTensor
from edgeval.regression.sentences import Change, changed, gone, new_thing, number_text
from edgeval.regression.stored_network import CHUNK_WORDS, format_text, stored_words
from hls.nodes import tensors_of

_PLURALS = {"weight": "weights", "bias": "biases", "thresholds": "thresholds"}
"""How people call a tensor, by what it is to its node."""


def weight_changes(old: LockedRun, new: LockedRun) -> list[Change]:
    """Stored words that are not as they were, tensor by tensor in data order."""
    before, after = ({tensor.name: tensor for tensor in run.tensors} for run in (old, new))
    owners = {**_owners(old), **_owners(new)}
    changes = [replace(gone(name), layer=owners.get(name, "")) for name in before if name not in after]
    for name, tensor in after.items():
        found = [new_thing(name)] if name not in before else _tensor_changes(before[name], tensor, owners.get(name, ""))
        changes += [replace(change, layer=owners.get(name, "")) for change in found]
    return changes


def _owners(run: LockedRun) -> dict[str, str]:
    """Node that each tensor belongs to."""
    return {tensor: node.name for node in run.network.nodes for tensor in tensors_of(node)}


def _tensor_changes(old: LockedTensor, new: LockedTensor, owner: str) -> Iterator[Change]:
    name = new.name
    plural = _PLURALS.get(name.removeprefix(f"{owner}."), "")
    spoken = f"{plural} of {owner}" if plural else name
    if old.format.width_bits != new.format.width_bits:
        bits = f"from {old.format.width_bits} to {new.format.width_bits} bits"
        yield Change(text=f"{spoken} went {bits}", by_tool=f"took {spoken} {bits}")
    elif old.format != new.format:
        yield changed(f"format of {name}", format_text(old.format), format_text(new.format))
    if old.shape != new.shape:
        yield changed(f"shape of {name}", list(old.shape), list(new.shape))
    elif old.sha256 != new.sha256:
        yield _words_change(plural, old, new)
    for field in ("scale", "widen", "zero_point"):
        was, now = getattr(old, field), getattr(new, field)
        if was != now:
            yield changed(f"{field.replace('_', ' ')} of {name}", number_text(was), number_text(now))


def _words_change(plural: str, old: LockedTensor, new: LockedTensor) -> Change:
    before, after = stored_words(old), stored_words(new)
    noun = {"weights": "weight words", "biases": "bias words"}.get(plural, "words")
    if before is None or after is None:
        return _chunk_change(noun, old, new)
    wrong = np.flatnonzero(before != after)
    first = int(wrong[0])
    count = f"{wrong.size:,} of {before.size:,} {noun}"
    first_text = f"first [{first}]: {before.flat[first]} → {after.flat[first]}"
    return Change(
        text=f"{count} of {new.name} changed, {first_text}",
        by_tool=f"changed {count} of {new.name}, {first_text}",
    )


def _chunk_change(noun: str, old: LockedTensor, new: LockedTensor) -> Change:
    pairs = enumerate(zip(old.chunks, new.chunks, strict=False))
    wrong = [position for position, (before, after) in pairs if before != after]
    if not wrong:  # one of the two keeps words, the other digests
        return Change(text=f"{noun} of {new.name} changed", by_tool=f"changed {noun} of {new.name}")
    start = wrong[0] * CHUNK_WORDS
    count = f"{noun} of {new.name} in {len(wrong):,} of {len(new.chunks):,} chunks"
    return Change(
        text=f"{count} changed, first between [{start}] and [{start + CHUNK_WORDS - 1}]",
        by_tool=f"changed {count}, first between [{start}] and [{start + CHUNK_WORDS - 1}]",
    )
