"""Progress of long work, on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import contextvars
import sys
import time
from collections.abc import Callable, Iterator

_LINE_EVERY_S = 10.0
_SHOWN = contextvars.ContextVar("shown", default=True)

Advance = Callable[[int, int], None]
"""Told how much is done, and of how much."""


@contextlib.contextmanager
def shown(wanted: bool) -> Iterator[None]:  # noqa: FBT001  # a switch is what it is
    """Show progress, or nothing of it, while the ``with`` block runs; results are not concerned."""
    token = _SHOWN.set(wanted)
    try:
        yield
    finally:
        _SHOWN.reset(token)


@contextlib.contextmanager
def progress(label: str) -> Iterator[Advance]:
    """Show how far one piece of work is, while the ``with`` block runs."""
    if not _SHOWN.get():
        yield lambda done, total: None
        return
    if not sys.stderr.isatty():
        yield _lines(label)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def say(message: str) -> None:
    """One line of progress for people."""
    if not _SHOWN.get():
        return
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()


def _lines(label: str) -> Advance:
    last = time.monotonic()

    def advance(done: int, total: int) -> None:
        nonlocal last
        if done == total or time.monotonic() - last >= _LINE_EVERY_S:
            last = time.monotonic()
            say(f"{label}: {done:,} of {total:,}")

    return advance
