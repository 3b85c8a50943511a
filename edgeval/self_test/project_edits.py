"""Errors that only a written project can have, because no integer network means them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from edgeval.self_test.mutation import shuffled
from hls.engine import before_clipping
from hls.files import atomic_write
from hls.formats import Words
from hls.graph import IntegerGraph
from hls.hls4ml_flow.canonical import first_tensor
from hls.hls4ml_flow.manifest import Manifest
from hls.nodes import Shift

_TYPES = "firmware/defines.h"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A written project with one error in it.

    Attributes:
        place: Node whose C++ is wrong.
        change: What was changed, in one sentence.
        words: Every value's words as far as this error leaves them alone, and those that it changes first.
        apply: Makes the error in the folder of a project.
    """

    place: str
    change: str
    words: Mapping[str, Words]
    apply: Callable[[Path], None]


ProjectMutation = Callable[[IntegerGraph, Mapping[str, Words], Manifest, np.random.Generator], Iterator[Edit]]
"""(network, words of every value, the right project's manifest, draws) → wrong projects. The words are those of the
exact engine."""


def wrapped_result(
    graph: IntegerGraph, words: Mapping[str, Words], manifest: Manifest, rng: np.random.Generator
) -> Iterator[Edit]:
    """The type of an activation wraps where it should saturate."""
    saturating = {kind.role: kind.cpp_type for kind in manifest.types if kind.overflow == "AP_SAT"}
    for node in shuffled([node for node in graph.compute_nodes if isinstance(node, Shift)], rng):
        name = saturating.get(f"result of {node.output}")
        # Only where a Relu and a type do the work does the type clip: elsewhere the C++ has clipped before.
        if name is None or first_tensor(graph, node) == node.output:
            continue
        before = before_clipping(graph, node, words[node.input])
        assert before is not None
        yield Edit(
            place=node.name,
            change=f"{name} wraps instead of saturating",
            words={**words, node.output: node.format.wrap(np.maximum(before, 0))},
            apply=partial(_let_wrap, cpp_type=name),
        )


PROJECT_MUTATIONS: dict[str, ProjectMutation] = {"wrap instead of saturating": wrapped_result}
"""Every mutation of a written project, by the name that records and tables give it."""


def _let_wrap(folder: Path, *, cpp_type: str) -> None:
    file = folder / _TYPES
    text = file.read_text(encoding="utf-8")
    wrong, count = re.subn(rf"(typedef [^;\n]*?)(A[PC])_SAT([^;\n]*\b{re.escape(cpp_type)};)", r"\1\2_WRAP\3", text)
    assert count == 1, f"{cpp_type} has one type definition that saturates"
    atomic_write(file, wrong.encode())
