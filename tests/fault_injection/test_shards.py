from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import work

from fault_injection import cores
from fault_injection.answers import WorkerBug
from fault_injection.cores import require_cores, share_cores
from fault_injection.local_workers import LocalWorkers
from fault_injection.parts import PartStore, Task
from fault_injection.shards import Place, ThisProcess, run_shards
from hls.errors import RunDirectoryError, ToolError, UsageError

NUMBERS = list(range(7))
ROOT = Path(__file__).parents[2]
PATIENCE_S = 60


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "usable_cores", lambda: 4)


def tasks(numbers: list[int] = NUMBERS) -> list[Task]:
    return [Task(name=f"part-{number:05d}", work=number, identity=str(number), size=10 + number) for number in numbers]


def tables(folder: Path) -> PartStore:
    return PartStore(folder=folder, fingerprint="f")


def texts(folder: Path) -> PartStore:
    return PartStore(folder=folder, fingerprint="f", kind="bytes")


PLACES: dict[str, Callable[[], Place]] = {
    "here": ThisProcess,
    "two workers": lambda: LocalWorkers(workers=2),
}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    return PLACES[request.param]()


def test_results_come_in_the_order_of_the_tasks_and_are_kept(tmp_path: Path, place: Place) -> None:
    results = run_shards(tasks(), work.square, tables(tmp_path), place=place)
    assert [result.to_pylist() for result in results] == [[{"number": n, "square": n * n}] for n in NUMBERS]
    assert sorted(path.name for path in tmp_path.glob("[!_]*")) == [f"part-{n:05d}.parquet" for n in NUMBERS]


def test_bytes_are_kept_too(tmp_path: Path, place: Place) -> None:
    assert run_shards(tasks(), work.text, texts(tmp_path), place=place) == [work.text(n) for n in NUMBERS]


def test_progress_is_told_in_sizes(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    run_shards(tasks([1, 2, 3]), work.square, tables(tmp_path), progress=lambda *now: told.append(now))
    assert told == [(11, 36), (23, 36), (36, 36)]


def test_only_what_is_missing_is_computed(tmp_path: Path, place: Place) -> None:
    run_shards(tasks([1, 4, 5]), work.square, tables(tmp_path))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("part-*")}
    results = run_shards(tasks(), work.square, tables(tmp_path), place=place)
    assert [result["number"].to_pylist() for result in results] == [[n] for n in NUMBERS]
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_nothing_is_started_where_nothing_is_missing(tmp_path: Path) -> None:
    run_shards(tasks(), work.square, tables(tmp_path))
    results = run_shards(tasks(), work.Dies(3), tables(tmp_path), place=LocalWorkers(workers=2))
    assert len(results) == len(NUMBERS)


def test_a_damaged_part_is_refused_by_name(tmp_path: Path, place: Place) -> None:
    run_shards(tasks(), work.square, tables(tmp_path))
    (tmp_path / "part-00003.parquet").write_bytes(b"PAR1")
    with pytest.raises(RunDirectoryError, match=r"part-00003\.parquet.*delete this file"):
        run_shards(tasks(), work.square, tables(tmp_path), place=place)


def test_a_refusal_in_a_worker_is_the_same_refusal_here(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"work: found \d; allowed: nothing. To mend it: ask for less"):
        run_shards(tasks(), work.refuse, texts(tmp_path), place=LocalWorkers(workers=2))


def test_a_bug_in_a_worker_shows_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(WorkerBug, match=r"(?s)in fail\n.*ZeroDivisionError"):
        run_shards(tasks(), work.fail, texts(tmp_path), place=LocalWorkers(workers=2))


def test_a_function_that_other_processes_cannot_import_is_no_hang(tmp_path: Path) -> None:
    with pytest.raises((AttributeError, TypeError)):
        run_shards(tasks(), lambda number: work.square(number), tables(tmp_path), place=LocalWorkers(workers=1))


def test_a_worker_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    function = work.DiesOnce(2, str(tmp_path / "told"))
    results = run_shards(tasks(), function, tables(tmp_path / "parts"), place=LocalWorkers(workers=2))
    assert (tmp_path / "told").exists()
    assert [result["number"].to_pylist() for result in results] == [[n] for n in NUMBERS]


def test_a_task_that_kills_every_worker_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="part-00006: found 3 worker processes that died at it, the last by SIGKILL"):
        run_shards(tasks(), work.Dies(6), tables(tmp_path), place=LocalWorkers(workers=1))
    assert len(list(tmp_path.glob("part-*"))) == 6


def test_workers_never_import_torch(tmp_path: Path) -> None:
    (loaded,) = run_shards(tasks([1]), work.modules, texts(tmp_path), place=LocalWorkers(workers=1))
    assert isinstance(loaded, bytes)
    assert {"torch", "brevitas", "scipy"}.isdisjoint(loaded.decode().split())


@pytest.mark.parametrize("threads", [1, 2])
def test_blas_has_the_kernel_threads_of_its_worker(tmp_path: Path, threads: int) -> None:
    for place in (LocalWorkers(workers=1, threads=threads), ThisProcess(threads=threads)):
        (found,) = run_shards(tasks([1]), work.blas_threads, texts(tmp_path / str(type(place))), place=place)
        assert found == str(min(threads, os.cpu_count() or 1)).encode()


def test_every_worker_does_its_share(tmp_path: Path) -> None:
    found = run_shards(tasks(list(range(12))), work.process, texts(tmp_path), place=LocalWorkers(workers=3))
    assert len(set(found)) > 1
    assert str(os.getpid()).encode() not in found


def test_what_workers_print_stays_out_of_the_output(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run_shards(tasks(), work.print_and_square, tables(tmp_path), place=LocalWorkers(workers=2))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("workers", "threads"), [(3, 2), (5, 1), (0, 1), (1, 0), (1, 5)])
def test_more_threads_than_cores_are_refused(workers: int, threads: int) -> None:
    with pytest.raises(UsageError, match="at most 4 in all"):
        require_cores(workers, threads)
    with pytest.raises(UsageError):
        LocalWorkers(workers=workers, threads=threads)


@pytest.mark.parametrize(
    ("asked", "given"),
    [((None, None), (1, 4)), ((2, None), (2, 2)), ((3, None), (3, 1)), ((None, 2), (1, 2)), ((2, 1), (2, 1))],
)
def test_what_is_left_open_is_filled_up_to_the_cores(asked: tuple[int | None, int | None], given: object) -> None:
    assert share_cores(*asked) == given


# Processes that are killed or interrupted as a whole.

COORDINATOR = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background of a script starts with it ignored
from pathlib import Path
from support import work
from fault_injection import cores
from fault_injection.local_workers import LocalWorkers
from fault_injection.parts import PartStore, Task
from fault_injection.shards import run_shards
cores.usable_cores = lambda: 4
tasks = [Task(name=str(n), work=n) for n in range(4)]
store = PartStore(folder=Path(sys.argv[1], "parts"), fingerprint="f")
run_shards(tasks, work.Lingers(sys.argv[1]), store, place=LocalWorkers(workers=2))
"""


@pytest.fixture
def coordinator(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], list[int]]]:
    """A process with two busy workers, and their process numbers."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    process = subprocess.Popen(
        [sys.executable, "-c", COORDINATOR, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE,
    )  # fmt: skip
    wait_until(lambda: len([path for path in tmp_path.iterdir() if path.name.isdecimal()]) == 2)
    workers = [int(path.name) for path in tmp_path.iterdir() if path.name.isdecimal()]
    yield process, workers
    process.kill()
    process.communicate()


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def gone(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_workers_end_with_their_coordinator(coordinator: tuple[subprocess.Popen[bytes], list[int]], name: str) -> None:
    process, workers = coordinator
    assert not any(gone(worker) for worker in workers)
    process.send_signal(getattr(signal, name))
    wait_until(lambda: process.poll() is not None and all(gone(worker) for worker in workers))
    assert process.returncode == -getattr(signal, name)
