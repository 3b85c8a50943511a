"""What two runs have that is not the same: options, nodes, types; one sentence each, in data order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec

from edgeval.regression.baseline import LockedOptions, LockedRun
from edgeval.regression.sentences import Change, changed, gone, new_thing, number_text
from edgeval.regression.stored_network import format_text, rounding_name
from edgeval.regression.weight_changes import weight_changes
from hls.formats import WordFormat
from hls.nodes import Node

_OPTION_NAMES = {
    "flow": "flow", "backend": "back end", "io_type": "io type", "strategy": "strategy",
    "reuse_factor": "reuse factor", "clock_period": "clock period", "part": "part", "strict": "strict",
    "overrides": "overrides",
}  # fmt: skip
_WORD_OPTIONS = ("strict", "overrides")
"""Options that can change what is computed; the others change how."""


def leading_change(old: LockedRun, new: LockedRun) -> Change | None:
    """The change that most likely made the others: the first in data order that nothing else made so."""
    order = {node.name: place for place, node in enumerate((*old.network.nodes, *new.network.nodes))}
    # Words of a layer come before its rounding: they are what training writes.
    found = [*weight_changes(old, new), *network_changes(old, new), *type_changes(old, new)]
    return min(found, key=lambda change: (change.derived, order.get(change.layer, len(order))), default=None)


def option_changes(old: LockedOptions, new: LockedOptions) -> list[Change]:
    """Options of the export that are not as they were."""
    before, after = msgspec.to_builtins(old), msgspec.to_builtins(new)
    return [
        changed(name, _option(before[key]), _option(after[key]))
        for key, name in _OPTION_NAMES.items()
        if before[key] != after[key]
    ]


def options_can_change_words(old: LockedOptions, new: LockedOptions) -> bool:
    """Whether one of the options that are not as they were has a say in what is computed."""
    return any(getattr(old, name) != getattr(new, name) for name in _WORD_OPTIONS)


def _option(value: Any) -> str:
    if value is None or value == {}:
        return "none"
    return msgspec.json.encode(value).decode() if isinstance(value, dict) else f"{value}"


def network_changes(old: LockedRun, new: LockedRun) -> list[Change]:
    """Nodes and values that are not as they were, in the order of the new network."""
    before = {node.name: node for node in old.network.nodes}
    after = {node.name: node for node in new.network.nodes}
    changes = [gone(f"layer {name}", name) for name in before if name not in after]
    for name, node in after.items():
        if name not in before:
            changes.append(new_thing(f"layer {name} ({type(node).__name__})", name))
        elif before[name] != node:
            changes += _node_changes(name, before[name], node)
    changes += _value_changes(old, new)
    for part in ("input", "output", "output_axes", "tail"):
        if getattr(old.network, part) != getattr(new.network, part):
            changes.append(changed(f"{part.replace('_', ' ')} of the network", *_parts(old, new, part)))
    if not changes and [*before] != [*after]:
        changes.append(changed("order of the layers", ", ".join(before), ", ".join(after)))
    return sorted(changes, key=lambda change: change.derived)


def _parts(old: LockedRun, new: LockedRun, part: str) -> tuple[str, str]:
    before, after = (msgspec.json.encode(getattr(run.network, part)).decode() for run in (old, new))
    return before, after


def _node_changes(name: str, old: Node, new: Node) -> Iterator[Change]:
    if type(old) is not type(new):
        yield changed(f"form of {name}", type(old).__name__, type(new).__name__, name)
        return
    fields = [field for field in old.__struct_fields__ if getattr(old, field) != getattr(new, field)]
    fields.sort(key=lambda field: field != "rounding")  # what people ask for first
    for field in fields:
        before, after = getattr(old, field), getattr(new, field)
        if field == "rounding":
            yield changed(f"rounding of {name}", rounding_name(before), rounding_name(after), name)
        elif isinstance(before, WordFormat) and isinstance(after, WordFormat):
            change = _format_change("accumulator" if field == "accumulator" else "words", name, before, after)
            yield replace(change, layer=name, derived=field == "accumulator")
        else:
            yield changed(f"{field.replace('_', ' ')} of {name}", before, after, name)


def _format_change(what: str, name: str, old: WordFormat, new: WordFormat) -> Change:
    if old.width_bits != new.width_bits and old == replace(new, width_bits=old.width_bits):
        return Change(
            text=f"{what} of {name} went from {old.width_bits} to {new.width_bits} bits",
            by_tool=f"took {what} of {name} from {old.width_bits} to {new.width_bits} bits",
        )
    return changed(
        f"format of {what} of {name}" if what != "words" else f"format of {name}", format_text(old), format_text(new)
    )


def _value_changes(old: LockedRun, new: LockedRun) -> Iterator[Change]:
    before = {value.name: value for value in old.network.values}
    for value in new.network.values:
        known = before.get(value.name)
        if known is None:
            continue  # its node is new, too
        if known.shape != value.shape:
            yield changed(f"shape of {value.name}", list(known.shape), list(value.shape), derived=True)
        if known.scale != value.scale:
            yield changed(f"scale of {value.name}", number_text(known.scale), number_text(value.scale), derived=True)


def type_changes(old: LockedRun, new: LockedRun) -> list[Change]:
    """Types of the hls4ml project that are not as they were, in the order of the new project."""
    before = {(item.layer, item.role): item.type for item in old.types}
    after = {(item.layer, item.role): item.type for item in new.types}
    names = {key: f"{key[1]} of {key[0]}" for key in (*before, *after)}
    changes = [gone(names[key], key[0]) for key in before if key not in after]
    for key, text in after.items():
        if key not in before:
            changes.append(new_thing(f"{names[key]}, {text},", key[0]))
        elif before[key] != text:
            changes.append(changed(names[key], before[key], text, key[0]))
    return [replace(change, derived=True) for change in changes]
