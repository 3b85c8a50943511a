"""The one shard runner: tasks, a function, a folder of parts, and a place to compute what is missing.

Campaigns use it, and so can every study or sweep that is many independent pieces. Only the process that calls
``run_shards`` writes parts, so a worker may be killed at any moment, and so may the caller: what is there is whole, the
same call computes the rest, and the results are the same for any place and any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from threadpoolctl import threadpool_limits

from fault_injection.cores import require_cores
from fault_injection.parts import PartStore, Result, Task

Progress = Callable[[int, int], None]
"""Told how much is done, and of how much."""


@runtime_checkable  # the tests' shape checker asks isinstance of every argument
class Place(Protocol):
    """Where shards are computed: this process, local workers, a Dask cluster."""

    @property
    def threads(self) -> int:
        """Kernel threads a shard may use."""
        ...

    def results(
        self, function: Callable[[Any], Result], tasks: Sequence[Task], missing: Sequence[int]
    ) -> Iterator[tuple[int, Result]]:
        """Results of the tasks at these positions, each with its position, in any order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ThisProcess:
    """A place to run shards: right here, one after the other.

    Attributes:
        threads: Kernel (and BLAS) threads.
    """

    threads: int = 1

    def __post_init__(self) -> None:
        require_cores(1, self.threads)

    def results(
        self, function: Callable[[Any], Result], tasks: Sequence[Task], missing: Sequence[int]
    ) -> Iterator[tuple[int, Result]]:
        """Results of some tasks by position, in order."""
        for position in missing:
            with threadpool_limits(self.threads):
                result = function(tasks[position].work)
            yield position, result


def run_shards(
    tasks: Sequence[Task],
    function: Callable[[Any], Result],
    store: PartStore,
    *,
    place: Place | None = None,
    progress: Progress = lambda done, total: None,
) -> list[Result]:
    """Compute what the store does not hold yet.

    Args:
        tasks: With unique names. Positions are asked for one at a time, so a sequence may make its tasks on the fly.
        function: Called with ``task.work``; picklable where the place is not this process.
        store: Where results are kept; nobody else may be at work there.
        place: Where to compute; ``None`` for this process with one thread.
        progress: Told after each task, in sizes of tasks.

    Returns:
        One result a task, in the order of the tasks.

    Raises:
        RunDirectoryError: a part that is there is damaged or of something else, or another process is at work there.
        InputError: the disk is full. ToolError: workers died. EdgevalError: the function refused a task.
    """
    results: dict[int, Result] = {}
    sizes = [0] * len(tasks)
    with store.locked():
        for position, task in enumerate(tasks):
            sizes[position] = task.size
            found = store.read(task)
            if found is not None:
                results[position] = found
        total, done = sum(sizes), sum(sizes[position] for position in results)
        missing = [position for position in range(len(tasks)) if position not in results]
        if done:
            progress(done, total)
        for position, result in (place or ThisProcess()).results(function, tasks, missing):
            store.write(tasks[position], result)
            results[position] = result
            done += sizes[position]
            progress(done, total)
    return [results[position] for position in range(len(tasks))]
