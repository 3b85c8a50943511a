"""Where a campaign's shards are computed, from what the options ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgeval.fault_options import FaultOptions
from fault_injection.cluster import DaskCluster
from fault_injection.cores import share_cores
from fault_injection.local_workers import LocalWorkers
from fault_injection.shards import Place, ThisProcess
from hls.environment import usable_cores, worker_count
from hls.errors import UsageError

RunOn = Literal["this process", "local workers", "dask cluster"]
"""Where the faults of a campaign are judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A place with what the record says about it.

    Attributes:
        place: Where shards are computed.
        run_on: Which kind of place.
        workers: Processes that judge; of a C-simulation, its worker processes; 0 for a cluster's, which come and go.
        kernel_threads: Threads of each.
    """

    place: Place
    run_on: RunOn
    workers: int
    kernel_threads: int


def placement(options: FaultOptions) -> Placement:
    """Where the options want the shards to be computed.

    Raises:
        UsageError: more workers × threads than cores, or options that contradict each other.
    """
    if options.executor == "csim":
        _require_alone(options)
        workers = worker_count() if options.workers is None else options.workers
        return Placement(place=ThisProcess(), run_on="this process", workers=workers, kernel_threads=1)
    if options.scheduler is not None:
        _require_no_workers(options)
        threads = 1 if options.kernel_threads is None else options.kernel_threads
        if threads < 1:
            share_cores(None, threads)
        cluster = DaskCluster(address=options.scheduler, threads=threads)
        return Placement(place=cluster, run_on="dask cluster", workers=0, kernel_threads=threads)
    # Beside a C-simulation for the cross-check, --workers keeps meaning its processes, too.
    workers, threads = share_cores(options.workers, options.kernel_threads)
    if workers == 1:
        here = ThisProcess(threads=threads)
        return Placement(place=here, run_on="this process", workers=1, kernel_threads=threads)
    local = LocalWorkers(workers=workers, threads=threads)
    return Placement(place=local, run_on="local workers", workers=workers, kernel_threads=threads)


def _require_alone(options: FaultOptions) -> None:
    if options.scheduler is not None or options.kernel_threads is not None:
        raise UsageError(
            found="--executor csim with --scheduler or --kernel-threads",
            allowed="--executor csim with --workers only: its processes are of this machine",
            where="command line",
            remedy="leave them out, or use --executor exact",
        )


def _require_no_workers(options: FaultOptions) -> None:
    if options.workers is not None:
        raise UsageError(
            found=f"--workers {options.workers} with --scheduler",
            allowed="the workers that the scheduler has",
            where="command line",
            remedy=f"leave out --workers; this machine has {usable_cores()} cores for workers of its own",
        )
