"""Where an error is made: at the first place whose effect can be seen on the samples at hand."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Literal, TypeVar

import numpy as np

from edgeval.self_test_record import Mutant

Effect = Literal["none", "inside", "output"]
"""``none``: no word of these samples changes; ``inside``: words change, but no output; ``output``: outputs change."""

TRIED_PLACES = 64
"""Places of one kind that are tried before an error is called equivalent."""

Place = TypeVar("Place")


def generator(seed: int, mutation: str) -> np.random.Generator:
    """The draws of one mutation, whatever other mutations there are."""
    return np.random.default_rng([seed, zlib.crc32(mutation.encode())])


class Counted(Iterator[Place]):
    """An iterator that knows how much it handed out."""

    def __init__(self, places: Iterable[Place]) -> None:
        self._places = iter(places)
        self.count = 0

    def __next__(self) -> Place:
        place = next(self._places)
        self.count += 1
        return place


def visible(places: Iterable[Place], effect: Callable[[Place], Effect], tried: int = TRIED_PLACES) -> Iterator[Place]:
    """Places whose effect can be seen, those that reach the output first.

    Args:
        places: In the order they are to be tried.
        effect: What an error at a place does, from running it.
        tried: Places looked at.
    """
    inside = []
    for place in islice(places, tried):
        seen = effect(place)
        if seen == "output":
            yield place
        elif seen == "inside":
            inside.append(place)
    yield from inside


def without_place(mutation: str, offered: int, changes: str, refused: str = "") -> Mutant:
    """The row of an error that was not made.

    Args:
        mutation: Its name.
        offered: Places that were tried.
        changes: What it would have had to change.
        refused: Why the visible ones could not be made; empty where there were none.
    """
    if refused:
        evidence = refused
    elif offered:
        places = "the one place" if offered == 1 else f"any of {offered} places"
        evidence = f"no {changes} of these samples changes at {places}, says the exact engine"
    else:
        evidence = "the network has nothing of this kind"
    status: Literal["equivalent", "no_place"] = "equivalent" if offered and not refused else "no_place"
    return Mutant(mutation=mutation, place="", change="", status=status, detected_by=(), evidence=evidence)
