"""What a fault campaign can be asked for; light, because the command line builds its help from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from cyclopts import Parameter


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class FaultOptions:
    """Which faults, how they are judged, and where they are run; see ``docs/commands/inject-faults.md``."""

    tensors: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = ("*",)
    """Stored tensors by name or pattern, e.g. fc1.weight '*.bias'; all of them if left out."""
    bits: str = "all"
    """Bit positions: all, msb, N or N..M."""
    sample: int | None = None
    """Draw N faults without repeats, each with the same chance, instead of all."""
    margin: float | None = None
    """Draw a stratified sample until the critical share is known to this margin; for --plan 0.01 if left out."""
    confidence: float = 0.95
    """Of --margin and of every interval."""
    samples: int | None = None
    """Judge on only the first N samples."""
    seed: int = 0
    """Seed of every draw, and of samples made where a QONNX file comes without --inputs."""
    fault: Literal["flip", "stuck0", "stuck1", "upset", "transient", "constant"] = "flip"
    """What happens, and to what: a stored bit, cells side by side (upset), a word on its way, a multiplier."""
    pattern: str = "1x2"
    """For upsets: rows x columns of cells."""
    interleave: int = 1
    """For upsets: columns between two neighbouring bits of a word."""
    words_per_row: int | None = None
    """For upsets: words in a row of a memory, a multiple of --interleave; exactly that many if left out."""
    values: Annotated[tuple[str, ...], Parameter(consume_multiple=True)] = ("*",)
    """For transients: values by name or pattern, e.g. act1 'fc*'; all that a register holds if left out."""
    metric: str | None = None
    """What damage is counted in: accuracy or cross-entropy, rmse or mae; the run's own if left out."""
    executor: Literal["exact", "csim"] = "exact"
    """Run faults in the exact engine (cached), or one by one in the C-simulation."""
    verify_on_csim: int | None = None
    """Repeat N random faults in the C-simulation and compare every output word."""
    skip_pruned: bool = False
    """Leave out words that are zero."""
    critical_threshold: float | None = None
    """Regression: how far an output may move, in the metric's unit; one float-versus-quantized RMSE if left out."""
    critical_share: float = 0.0
    """Share of the samples a class has to reach to be a fault's own; any sample if left out."""
    detail: Literal["full", "decisions"] = "full"
    """Every outcome column, or, faster, only what follows from decisions."""
    cross_check: int | None = None
    """Repeat N random faults by brute force; about 100 if left out, fewer where the network is large."""
    workers: int | None = None
    """Worker processes; one, this one, if left out. Of the C-simulation: as many as cores."""
    kernel_threads: int | None = None
    """Threads of each worker; what the cores leave for it if left out."""
    scheduler: str | None = None
    """Address of a Dask scheduler whose workers are to judge the faults, e.g. tcp://head:8786."""
    plan: bool = False
    """Judge nothing: print the number of faults, the predicted time and what to run."""
    time_budget: float = 300.0
    """For --plan: seconds that an exhaustive campaign may take."""
