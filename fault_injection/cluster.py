"""Shards on a Dask cluster: the same tasks and function, workers anywhere that the scheduler knows.

The function goes to the cluster once; workers keep it by its digest. Only results come back, and only the caller writes
them. See ``docs/clusters.md``.
"""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from threadpoolctl import threadpool_limits

from fault_injection.answers import Answer, attempt, result_of
from fault_injection.parts import Result, Task
from hls.environment import usable_cores
from hls.errors import ToolError, UsageError

ATTEMPTS = 3
"""How often work is sent out anew when workers have died with it."""

CONNECT_S = 10.0
"""How long a scheduler may take to answer."""

PATIENCE_S = 60.0
"""How long a cluster may be without any worker."""

QUEUED = 2
"""Tasks a worker thread holds: the one it computes and the next."""

_POLL_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DaskCluster:
    """A place to run shards: the workers of a Dask scheduler.

    Attributes:
        address: Of the scheduler, e.g. ``tcp://head:8786``.
        threads: Kernel (and BLAS) threads of each shard.
    """

    address: str
    threads: int = 1

    def results(
        self, function: Callable[[Any], Result], tasks: Sequence[Task], missing: Sequence[int]
    ) -> Iterator[tuple[int, Result]]:
        """Results of some tasks by position, in the order they are finished.

        Raises:
            UsageError: ``distributed`` is not installed, no scheduler answers, or its workers run more threads than
                their machines have cores. ToolError: workers died again and again, or there is none any more.
            EdgevalError: the function refused a task. WorkerBug: it failed.
        """
        if not missing:
            return
        payload = pickle.dumps(function, protocol=5)
        left = dict.fromkeys(missing)
        with _client(self.address) as client:
            _require_room(client, self.threads)
            for _ in range(ATTEMPTS):
                for position, result in _Round(client, payload, self.threads).results(tasks, list(left)):
                    del left[position]
                    yield position, result
                if not left:
                    return
        raise ToolError(
            found=f"{len(left)} tasks lost with the workers that held them, {ATTEMPTS} times over",
            allowed="workers that stay",
            where=f"Dask cluster {self.address}",
            remedy="look into the workers' logs (memory is the usual cause); what is computed is kept",
        )


class _Round:
    """Tasks sent out once; ends early when the cluster has lost some of them."""

    def __init__(self, client: Any, payload: bytes, threads: int) -> None:
        self.client, self.threads = client, threads
        self.digest = hashlib.sha256(payload).hexdigest()
        self.payload = client.scatter(payload, broadcast=True, hash=False)
        self.done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.held: dict[Any, int] = {}

    def results(self, tasks: Sequence[Task], positions: Sequence[int]) -> Iterator[tuple[int, Result]]:
        waiting = list(reversed(positions))
        try:
            while waiting or self.held:
                room = QUEUED * sum(self.client.nthreads().values()) - len(self.held)
                for _ in range(min(room, len(waiting))):
                    position = waiting.pop()
                    future = self.client.submit(
                        call, self.payload, self.digest, tasks[position].work, self.threads, pure=False
                    )
                    self.held[future] = position
                    future.add_done_callback(self.done.put)
                for future in self._finished():
                    position = self.held.pop(future)
                    if future.status != "finished":
                        return  # lost with its worker: the caller sends everything that is left anew
                    yield position, result_of(future.result())
        finally:
            with contextlib.suppress(Exception):
                self.client.cancel(list(self.held))

    def _finished(self) -> list[Any]:
        """Futures that are done; waits for one, but not for a cluster without workers."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return [self.done.get(timeout=_POLL_S)]
            except queue.Empty:
                if self.client.nthreads():
                    deadline = time.monotonic() + PATIENCE_S
                if time.monotonic() > deadline or self.client.status != "running":
                    raise ToolError(
                        found=f"no worker for {PATIENCE_S:.0f} s (client {self.client.status})",
                        allowed="a scheduler with at least one worker",
                        where=f"Dask cluster {self.client.scheduler.address}",
                        remedy="start workers and run the same command again; what is computed is kept",
                    ) from None


def call(payload: bytes, digest: str, work: Any, threads: int) -> Answer:
    """What a Dask worker runs: the function that was sent once, on one piece of work."""
    with threadpool_limits(threads):
        function = attempt(_function, (digest, payload))
        return attempt(function[1], work) if function[0] == "result" else function


_FUNCTIONS: dict[str, Callable[[Any], Result]] = {}
_LOCK = threading.Lock()


def _function(named: tuple[str, bytes]) -> Callable[[Any], Result]:
    digest, payload = named
    with _LOCK:  # a worker may run several threads
        if digest not in _FUNCTIONS:
            _FUNCTIONS.clear()  # one campaign at a time is in memory
            _FUNCTIONS[digest] = pickle.loads(payload)
        return _FUNCTIONS[digest]


@contextlib.contextmanager
def _client(address: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError as error:
        raise UsageError(
            found="a Python without dask.distributed",
            allowed="edgeval-toolkit with its dask extra",
            where="--scheduler",
            remedy="pip install 'edgeval-toolkit[dask]', here and where the workers run",
        ) from error
    try:
        client = Client(address, set_as_default=False, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise UsageError(
            found=f"no scheduler at {address} ({type(error).__name__}: {error})",
            allowed="the address of a running Dask scheduler, e.g. tcp://head:8786",
            where="--scheduler",
            remedy="start one with `dask scheduler`, or see docs/clusters.md",
        ) from error
    with client:
        yield client


def _require_room(client: Any, threads: int) -> None:
    """Refuse worker threads × kernel threads beyond the cores of any machine of the cluster."""
    deadline = time.monotonic() + PATIENCE_S
    while not (workers := client.scheduler_info(n_workers=-1)["workers"]):
        if time.monotonic() > deadline:
            raise ToolError(
                found=f"no worker within {PATIENCE_S:.0f} s",
                allowed="a scheduler with at least one worker",
                where=f"Dask cluster {client.scheduler.address}",
                remedy="start workers first, then run the same command",
            )
        time.sleep(_POLL_S)
    cores = client.run(usable_cores)
    used: Counter[str] = Counter()
    there: dict[str, int] = {}
    for address, worker in workers.items():
        used[worker["host"]] += worker["nthreads"] * threads
        there[worker["host"]] = max(there.get(worker["host"], 0), cores.get(address, 0))
    for host, number in used.items():
        if number > there[host] > 0:
            raise UsageError(
                found=f"{number} threads on {host} (worker threads × {threads} kernel threads)",
                allowed=f"{there[host]}, the cores its workers may use",
                where=f"Dask cluster {client.scheduler.address}",
                remedy="start workers with --nthreads 1 and fewer of them, or lower --kernel-threads",
            )
