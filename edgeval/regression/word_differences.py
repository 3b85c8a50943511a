"""How many words differ between a locked network and the network now, and the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeval.regression.baseline import GoldenSample, LayerWords, LockedRun
from edgeval.regression.locked_words import layer_words, sample_block, value_blocks
from edgeval.regression.stored_network import restored
from edgeval.word_comparison import Difference, first_difference
from hls.errors import EdgevalError
from hls.graph import IntegerGraph


@dataclass(frozen=True, slots=True, kw_only=True)
class WordDifferences:
    """What the words say.

    Attributes:
        text: ``no word differs``, ``12 of 12,800 words differ, first at fc2[3, 17]: 96 → 95``, or what digests say.
        any_differ: Whether a word differs, as far as it was looked at.
        notes: More about it.
    """

    text: str
    any_differ: bool
    notes: tuple[str, ...] = ()


def word_differences(
    old: LockedRun, new: LockedRun, graph: IntegerGraph | None, inputs: np.ndarray | None
) -> WordDifferences:
    """Compare what two networks compute.

    Args:
        old: Locked.
        new: Now.
        graph: The network now; ``None`` where there is only what a baseline says of it.
        inputs: Real inputs of the evaluation set now; ``None`` as well.

    Raises:
        InputError: the baseline is damaged.
    """
    same_data = old.words.data == new.words.data
    if same_data and _digests(old) == _digests(new):
        return _with_golden(old, new, WordDifferences(text="no word differs", any_differ=False))
    locked = restored(old)
    if graph is None or inputs is None or locked is None:
        return _with_golden(old, new, _by_digest(old, new, same_data=same_data))
    try:
        found = _counted(locked, graph, inputs)
    except EdgevalError as error:  # the locked network does not take these inputs: another shape
        return WordDifferences(
            text=f"the locked network cannot be run on this evaluation set ({error.found})", any_differ=True
        )
    notes = () if not same_data else _engine_note(old, locked, inputs)
    if notes and not found.any_differ:
        return _by_digest(old, new, same_data=True)
    return _with_golden(old, new, WordDifferences(text=found.text, any_differ=found.any_differ, notes=notes))


def _digests(run: LockedRun) -> dict[str, LayerWords]:
    return {layer.value: layer for layer in run.words.layers}


def _by_digest(old: LockedRun, new: LockedRun, *, same_data: bool) -> WordDifferences:
    """What digests say: which values differ, not how many words."""
    if not same_data:
        return WordDifferences(text="words on another evaluation set cannot be compared", any_differ=True)
    before, after = _digests(old), _digests(new)
    common = [value for value in after if value in before]
    wrong = [value for value in common if before[value] != after[value]]
    if not wrong:
        return WordDifferences(text="no word of a layer that both have differs", any_differ=before != after)
    words = sum(after[value].words for value in wrong)
    more = f", first in {wrong[0]}" if len(wrong) > 1 else ""
    layers = "layer" if len(wrong) == 1 else "layers"
    return WordDifferences(
        text=f"words of {len(wrong)} of {len(common)} {layers} differ{more} (among {words:,}; by their digests)"
        if len(wrong) > 1
        else f"words of {wrong[0]} differ (among {words:,}; by their digest)",
        any_differ=True,
    )


def _counted(old: IntegerGraph, new: IntegerGraph, inputs: np.ndarray) -> WordDifferences:
    """Run both networks side by side, block by block."""
    words = differing = 0
    first: Difference | None = None
    order = _common_values(old, new)
    left_out = [node.output for node in new.nodes if node.output not in order]
    start = 0
    before, after = old.quantize_inputs(inputs), new.quantize_inputs(inputs)
    size = min(sample_block(old), sample_block(new))
    blocks = zip(value_blocks(old, before, size), value_blocks(new, after, size), strict=True)
    for old_words, new_words in blocks:
        words += sum(new_words[value].size for value in order)
        differing += sum(int((old_words[value] != new_words[value]).sum()) for value in order)
        found = first_difference(order, old_words, new_words)
        if found is not None and (first is None or order.index(found.value) < order.index(first.value)):
            index = (found.index[0] + start, *found.index[1:])
            first = Difference(value=found.value, index=index, csim=found.csim, engine=found.engine)
        start += len(next(iter(new_words.values())))
    others = f"; {', '.join(left_out)} cannot be compared with what was locked" if left_out else ""
    if first is None:
        return WordDifferences(text=f"no word differs{others}", any_differ=bool(left_out))
    place = f"{first.value}[{', '.join(map(str, first.index))}]"
    text = f"{differing:,} of {words:,} words differ, first at {place}: {first.csim} → {first.engine}{others}"
    return WordDifferences(text=text, any_differ=True)


def _common_values(old: IntegerGraph, new: IntegerGraph) -> tuple[str, ...]:
    return tuple(
        node.output
        for node in new.nodes
        if node.output in old.values and old.values[node.output].shape == new.values[node.output].shape
    )


def _engine_note(old: LockedRun, locked: IntegerGraph, inputs: np.ndarray) -> tuple[str, ...]:
    """Whether the locked network, run today, still gives the words that were locked."""
    today = {layer.value: layer for layer in layer_words(locked, locked.quantize_inputs(inputs))}
    wrong = [value for value, layer in _digests(old).items() if today.get(value) != layer]
    if not wrong:
        return ()
    return (f"the exact engine itself gives other words for the locked network, first in {wrong[0]}",)


def _with_golden(old: LockedRun, new: LockedRun, found: WordDifferences) -> WordDifferences:
    wrong = golden_difference(old.words.golden, new.words.golden)
    if wrong is None:
        return found
    if not found.any_differ:
        return WordDifferences(
            text=f"{found.text} on the evaluation set, but {wrong}", any_differ=True, notes=found.notes
        )
    return WordDifferences(text=found.text, any_differ=True, notes=(*found.notes, wrong))


def golden_difference(old: Sequence[GoldenSample], new: Sequence[GoldenSample]) -> str | None:
    """The first golden output word that differs, in one sentence; ``None`` where all are equal."""
    answers = {sample.origin: sample for sample in new}
    for sample in old:
        now = answers.get(sample.origin)
        if now is None:
            return f"golden sample “{sample.origin}” is no input of this network any more"
        if (now.fill, now.input) != (sample.fill, sample.input):
            continue  # of another evaluation set
        if len(now.output) != len(sample.output):
            return f"golden sample “{sample.origin}” has {len(now.output)} output words, not {len(sample.output)}"
        for position, (before, after) in enumerate(zip(sample.output, now.output, strict=True)):
            if before != after:
                return f"golden sample “{sample.origin}” gives {after} instead of {before} at output [{position}]"
    return None
