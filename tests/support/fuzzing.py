"""Damaged files by the thousand: each case in a worker process, under limits, and what was found."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

CASE_SECONDS = 20.0
START_SECONDS = 180.0
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A case that ended otherwise than by success or a clear refusal.

    Attributes:
        where: Kind of the error and the innermost place in this repository.
    """

    target: str
    case: int
    where: str
    text: str


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the cases of one target."""

    target: str
    taken: int = 0
    refused: int = 0
    findings: list[Finding] = field(default_factory=list)
    messages: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def cases(self) -> int:
        """How many were tried."""
        return self.taken + self.refused + len(self.findings)


def fuzz(target: str, folder: Path, *, first: int = 0, count: int) -> Tally:
    """Try the cases ``first`` to ``first + count`` of a target.

    Args:
        target: Name in ``fuzz_targets.targets()``.
        folder: The only place that may be written to; a listing of all around it is compared.
        first: Number of the first case: a case is made again by its number.
        count: How many.
    """
    tally, started = Tally(target=target), time.monotonic()
    inner = folder / "inner"
    inner.mkdir(parents=True)
    (folder / "beside.txt").write_text("untouched")
    case = first
    while case < first + count:
        case = _worker(target, inner, case, first + count - case, tally)
    outside = sorted(path.name for path in folder.iterdir())
    if outside != ["beside.txt", "inner"] or (folder / "beside.txt").read_text() != "untouched":
        tally.findings.append(Finding(target=target, case=-1, where="beside", text=f"written outside: {outside}"))
    tally.seconds = time.monotonic() - started
    return tally


def _worker(target: str, folder: Path, first: int, count: int, tally: Tally) -> int:
    """One process, until it has done all or died; the number of the next case."""
    paths = f"{ROOT}:{ROOT / 'tests'}"
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-W", "ignore", "-m", "support.fuzz_worker", str(folder), target, str(first), str(count)]
    with (
        (folder / "errors.txt").open("w+b") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment, cwd=ROOT) as process,
    ):
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        selector = selectors.DefaultSelector()
        selector.register(process.stdout, selectors.EVENT_READ)
        running, buffer, limit = None, b"", START_SECONDS
        while True:
            if not selector.select(limit):
                process.kill()
                where = f"took more than {limit:g} s"
                break
            chunk = process.stdout.read()
            if not chunk:
                process.wait()
                where = f"the process ended with {process.returncode}"
                break
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                running = _count(json.loads(line), tally)
                limit = CASE_SECONDS
        process.wait()
        errors.seek(0)
        told = errors.read()[-1500:].decode(errors="replace")
    if running is None:
        if process.returncode != 0:
            raise RuntimeError(f"the worker of {target} failed between cases: {where}\n{told}")
        return first + count
    tally.findings.append(Finding(target=target, case=running, where=where, text=told))
    return running + 1


def _count(line: dict[str, str | int], tally: Tally) -> int | None:
    """Add up an answer; the case that is running, if one is."""
    if "start" in line:
        return int(line["start"])
    match line["outcome"]:
        case "taken":
            tally.taken += 1
        case "refused":
            tally.refused += 1
            tally.messages[str(line["text"])[:120]] += 1
        case _:
            where, text = str(line["where"]), str(line["text"])
            tally.findings.append(Finding(target=tally.target, case=int(line["case"]), where=where, text=text))
    return None
