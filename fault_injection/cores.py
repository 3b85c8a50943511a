"""How many cores there are and who may use them: workers × kernel threads never exceeds what this process may use."""

from __future__ import annotations

from hls.environment import usable_cores
from hls.errors import UsageError

_BLAS_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")


def share_cores(workers: int | None, threads: int | None) -> tuple[int, int]:
    """Workers and kernel threads of each, where one or both were left open.

    One worker if not said. The threads are then what the cores leave for each worker, at least one.

    Args:
        workers: As asked for, or ``None``.
        threads: As asked for, or ``None``.

    Raises:
        UsageError: fewer than one of either, or together more than the usable cores.
    """
    chosen = 1 if workers is None else workers
    each = max(1, usable_cores() // max(1, chosen)) if threads is None else threads
    require_cores(chosen, each)
    return chosen, each


def require_cores(workers: int, threads: int) -> None:
    """Refuse more workers × threads than there are usable cores.

    Raises:
        UsageError: see above, or fewer than one of either.
    """
    cores = usable_cores()
    if workers < 1 or threads < 1 or workers * threads > cores:
        raise UsageError(
            found=f"{workers} workers × {threads} kernel threads",
            allowed=f"1 or more of each, at most {cores} in all: the cores this process may use",
            where="--workers, --kernel-threads",
            remedy="ask for fewer; more would only make them wait for one another",
        )


def blas_environment(threads: int) -> dict[str, str]:
    """Environment of a process whose BLAS is to use so many threads; read when the library is loaded."""
    return dict.fromkeys(_BLAS_VARIABLES, str(threads))
