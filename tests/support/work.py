"""Functions that shard tests send to other processes: of a module of its own, so that every process can import it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from hls.errors import UsageError


def square(number: int) -> pa.Table:
    return pa.table({"number": [number], "square": [number * number]})


def text(number: int) -> bytes:
    return f"{number}\n\n".encode() * number


def modules(_: object) -> bytes:
    return " ".join(sorted(sys.modules)).encode()


def blas_threads(_: object) -> bytes:
    import numpy as np
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))
    return str(max(library["num_threads"] for library in threadpool_info())).encode()


def process(_: object) -> bytes:
    time.sleep(0.05)
    return str(os.getpid()).encode()


def refuse(number: int) -> bytes:
    raise UsageError(found=str(number), allowed="nothing", where="work", remedy="ask for less")


def fail(number: int) -> bytes:
    return str(1 // (number * 0)).encode()


def print_and_square(number: int) -> pa.Table:
    os.write(1, b"noise\n")
    return square(number)


@dataclass(frozen=True)
class DiesOnce:
    """Ends its process with SIGKILL at one number, until a file says that it did."""

    number: int
    told: str

    def __call__(self, number: int) -> pa.Table:
        if number == self.number and not Path(self.told).exists():
            Path(self.told).write_text("died")
            os.kill(os.getpid(), signal.SIGKILL)
        return square(number)


@dataclass(frozen=True)
class Dies:
    """Ends its process with SIGKILL at one number, always."""

    number: int

    def __call__(self, number: int) -> pa.Table:
        if number == self.number:
            os.kill(os.getpid(), signal.SIGKILL)
        return square(number)


@dataclass(frozen=True)
class Lingers:
    """Writes down its process and stays busy for as long as a test could ever take."""

    told: str

    def __call__(self, number: int) -> pa.Table:
        Path(self.told, str(os.getpid())).touch()
        threading.Event().wait(600)
        return square(number)
