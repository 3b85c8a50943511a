"""What a worker process answers: a result, a refusal in four parts, or the traceback of a bug."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from hls.errors import EdgevalError

Answer = tuple[Any, ...]
"""``("result", value)``, ``("refused", class, parts)`` or ``("bug", traceback)``: plain, so that it always pickles."""


class WorkerBug(RuntimeError):
    """A function failed in a worker process with something that is no expected failure."""


def attempt(function: Callable[[Any], Any], work: Any) -> Answer:
    """Call a function in a worker and put whatever happens into an answer."""
    try:
        return ("result", function(work))
    except EdgevalError as error:
        parts = {"found": error.found, "allowed": error.allowed, "where": error.where, "remedy": error.remedy}
        return ("refused", type(error), parts)
    except Exception:  # noqa: BLE001  # the coordinator raises it; here it would only end a worker
        return ("bug", traceback.format_exc())


def result_of(answer: Answer) -> Any:
    """The result in an answer.

    Raises:
        EdgevalError: the function refused its work. WorkerBug: it failed otherwise.
    """
    kind, *rest = answer
    if kind == "refused":
        raise rest[0](**rest[1])
    if kind == "bug":
        raise WorkerBug(f"in a worker process:\n{rest[0]}")
    return rest[0]
