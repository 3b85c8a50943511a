"""What everything that can run a network offers, in words: the exact engine, the C-simulation, later the RTL.

Comparison and campaigns know only this protocol (``docs/interfaces.md``, Executors).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from hls.errors import InputError
from hls.formats import Words
from hls.graph import IntegerGraph, StoredTensor, WordChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What a network computed.

    Attributes:
        output: Output words, samples first, then the shape of the output value.
        taps: Words of the values asked for, by value name, samples first.
    """

    output: Words
    taps: Mapping[str, Words] = field(default_factory=dict)


@runtime_checkable  # the tests' shape checker asks isinstance of every argument
class Executor(Protocol):
    """Runs one network, words in and words out."""

    @property
    def graph(self) -> IntegerGraph:
        """The integer network being executed, with the current stored words."""
        ...

    def tensors(self) -> Mapping[str, StoredTensor]:
        """What is stored, by name, in data order."""
        ...

    def run(self, inputs: Words, taps: Sequence[str] = ()) -> Execution:
        """Execute on input words of shape (samples, ...), which the host quantizer produced."""
        ...

    def with_words(self, changes: Sequence[WordChange]) -> Executor:
        """The same executor with some stored words replaced; this one is untouched."""
        ...


def require_taps(graph: IntegerGraph, taps: Sequence[str]) -> None:
    """Refuse a tap that no node of the device produces."""
    produced = [node.output for node in graph.compute_nodes]
    for tap in taps:
        if tap not in produced:
            raise InputError(
                found=f"tap {tap!r}",
                allowed=", ".join(produced),
                where="taps",
                remedy="name the output value of a node",
            )
