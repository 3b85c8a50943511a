"""Shards on worker processes of this machine, that may be killed without harm and never outlive their coordinator.

Not ``concurrent.futures``: its workers hold both ends of their own queue and wait for ever when the coordinator is
killed with SIGKILL, it loses every result in flight when one worker dies, and it imports the caller's main module again
in each worker.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Pipe, wait
from pathlib import Path
from typing import Any

from fault_injection.answers import result_of
from fault_injection.cores import blas_environment, require_cores
from fault_injection.parts import Result, Task
from hls.errors import ToolError

ATTEMPTS = 3
"""How often a task is begun before the death of its worker is its own fault."""

QUEUED = 2
"""Tasks a worker holds: the one it computes and the next, so that it never waits for the coordinator's disk."""

_DYING_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalWorkers:
    """A place to run shards: some processes of this machine.

    Attributes:
        workers: How many.
        threads: Kernel (and BLAS) threads of each.
    """

    workers: int
    threads: int = 1

    def __post_init__(self) -> None:
        require_cores(self.workers, self.threads)

    def results(
        self, function: Callable[[Any], Result], tasks: Sequence[Task], missing: Sequence[int]
    ) -> Iterator[tuple[int, Result]]:
        """Results of some tasks by position, in the order they are finished.

        Raises:
            ToolError: a task's worker died ``ATTEMPTS`` times. EdgevalError: the function refused a task. WorkerBug: it
                failed.
        """
        pending, attempts = deque(missing), Counter[int]()
        payload = pickle.dumps(function, protocol=5)
        pool = [_Process(self.threads) for _ in range(min(self.workers, len(missing)))]
        try:
            for process in pool:
                process.send(payload)
            while pending or any(process.held for process in pool):
                for process in pool:
                    _fill(process, pending, tasks)
                for process in _ready(pool):
                    answer = process.receive()
                    if answer is not None:
                        yield process.held.popleft(), result_of(pickle.loads(answer))
                        _fill(process, pending, tasks)
                        continue
                    pool[pool.index(process)] = replacement = _after_death(process, pending, attempts, tasks)
                    replacement.send(payload)
        finally:
            for process in pool:
                process.close()


@dataclass(slots=True)
class _Process:
    """One worker, the socket to it, and the tasks it holds by position."""

    threads: int
    held: deque[int] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.printed = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self.connection, theirs = Pipe()
        handle = theirs.fileno()
        command = [sys.executable, "-m", "fault_injection.worker", str(handle)]
        # Ctrl-C goes to every process of the terminal. A signal that is blocked when a process starts stays blocked in
        # it: the coordinator alone is interrupted, and it ends its workers.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process = subprocess.Popen(
                command,
                pass_fds=(handle,),
                stdin=subprocess.DEVNULL,
                stdout=self.printed,
                stderr=self.printed,
                env=_environment(self.threads),
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()

    printed: Any = field(init=False)
    connection: Any = field(init=False)
    process: subprocess.Popen[bytes] = field(init=False)

    def send(self, content: bytes) -> None:
        """Hand something over; a worker that has died is noticed when its answer is read."""
        with contextlib.suppress(OSError):
            self.connection.send_bytes(content)

    def receive(self) -> bytes | None:
        """The next answer; ``None`` when the worker has died."""
        try:
            return bytes(self.connection.recv_bytes())
        except (EOFError, OSError):
            return None

    def close(self) -> None:
        """End the worker."""
        self.process.kill()
        self.process.wait()
        self.connection.close()
        self.printed.close()

    def cause(self) -> str:
        """What a worker died of, and its last words."""
        try:
            code = self.process.wait(timeout=_DYING_S)
        except subprocess.TimeoutExpired:  # its socket is closed, so it is of no use any more
            self.process.kill()
            code = self.process.wait()
        self.printed.seek(0)
        printed = self.printed.read().decode(errors="replace").strip()[-2000:]
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"{name} {printed}".strip()


def _fill(process: _Process, pending: deque[int], tasks: Sequence[Task]) -> None:
    while pending and len(process.held) < QUEUED:
        position = pending.popleft()
        process.held.append(position)
        process.send(pickle.dumps(tasks[position].work, protocol=5))


def _ready(pool: Sequence[_Process]) -> list[_Process]:
    """Workers that have answered or died; waits for the first."""
    by_connection = {process.connection: process for process in pool if process.held}
    return [by_connection[connection] for connection in wait(list(by_connection))]


def _after_death(process: _Process, pending: deque[int], attempts: Counter[int], tasks: Sequence[Task]) -> _Process:
    """A new worker in the place of a dead one, whose tasks are done again.

    Raises:
        ToolError: the task it was at has cost too many workers.
    """
    cause = process.cause()
    process.close()
    begun = process.held[0]
    attempts[begun] += 1
    if attempts[begun] >= ATTEMPTS:
        raise ToolError(
            found=f"{attempts[begun]} worker processes that died at it, the last by {cause}",
            allowed="a worker that answers",
            where=f"task {tasks[begun].name}",
            remedy="SIGKILL points to memory: use fewer --workers or fewer --samples; what is computed is kept",
        )
    pending.extendleft(reversed(process.held))
    return _Process(process.threads)


def _environment(threads: int) -> dict[str, str]:
    """The coordinator's environment and import path, with that many threads in every BLAS from its start on."""
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    return {**os.environ, **blas_environment(threads), "PYTHONPATH": path}
