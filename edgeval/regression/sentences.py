"""A change as a sentence: by itself, or as something that a tool did."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that is not as it was.

    Attributes:
        text: ``rounding of act1 changed from AP_RND_CONV to AP_TRN``.
        by_tool: As something that was done: ``changed rounding of act1 from AP_RND_CONV to AP_TRN``.
        layer: Node it is at; empty where it is at none.
        derived: Whether something else that changed made it so: a sum is as wide as its weights make it.
    """

    text: str
    by_tool: str
    layer: str = ""
    derived: bool = False


def changed(what: str, old: object, new: object, layer: str = "", *, derived: bool = False) -> Change:
    """Something has another value.

    Example:
        >>> changed("strategy", "Latency", "Resource").text
        'strategy changed from Latency to Resource'
    """
    return Change(
        text=f"{what} changed from {old} to {new}",
        by_tool=f"changed {what} from {old} to {new}",
        layer=layer,
        derived=derived,
    )


def gone(what: str, layer: str = "") -> Change:
    """Something is not there any more."""
    return Change(text=f"{what} is gone", by_tool=f"took away {what}", layer=layer)


def new_thing(what: str, layer: str = "") -> Change:
    """Something was not there."""
    return Change(text=f"{what} is new", by_tool=f"added {what}", layer=layer)


def number_text(numbers: float | int | tuple[float | int, ...]) -> str:
    """A number, or the first of one a channel.

    Example:
        >>> number_text(0.125), number_text((1, 2, 4, 8, 16))
        ('0.125', '[1, 2, 4, 8, …]')
    """
    if isinstance(numbers, tuple):
        return f"[{', '.join(number_text(item) for item in numbers[:4])}{', …' if len(numbers) > 4 else ''}]"
    return f"{numbers:.6g}" if isinstance(numbers, float) else f"{numbers}"
