"""How large what a file asks for may be: a short file must not make this machine allocate or compute without end.

Numbers that a file itself holds are as many as its bytes; these limits are about what it only *names*: shapes, pads,
repetitions, constants to be worked out, members of an archive. ``docs/security.md`` lists them.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from hls.errors import LoweringError

MOST_AXES = 8
"""Axes of one sample."""

MOST_WORDS = 1 << 24
"""Words of one value of one sample: an image of 4096 × 4096 pixels, or 512 × 512 with 64 channels."""

MOST_INPUT_WORDS = 1 << 22
"""Words of one sample of the network's input, of which many samples are held at once."""

MOST_COMPUTED = 1 << 24
"""Elements of all constants together that a graph computes from others."""

MOST_RECORD_BYTES = 1 << 28
"""Bytes of one JSON file."""

LONGEST_NAME = 96
"""Characters of a name of a node, value or tensor; file names and C++ identifiers are made of them."""


def require_shape(shape: Sequence[int], where: str, most: int = MOST_WORDS) -> None:
    """Refuse the shape of one sample that is empty, has too many axes or too many words.

    Raises:
        LoweringError: naming the place.
    """
    if not 1 <= len(shape) <= MOST_AXES or any(size < 1 for size in shape) or prod(shape) > most:
        shown = ", ".join(map(str, shape[: MOST_AXES + 1])) + (", …" if len(shape) > MOST_AXES + 1 else "")
        raise LoweringError(
            found=f"shape [{shown}] of one sample",
            allowed=f"1 to {MOST_AXES} axes of at least 1, {most:,} words at most",
            where=where,
            remedy="export the graph with the sizes that the hardware is to have",
        )
