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
    """Draw N faults without repeats instead of all."""
    samples: int | None = None
    """Judge on only the first N samples."""
    seed: int = 0
    """Seed of --sample, --verify-on-csim and of samples made where a QONNX file comes without --inputs."""
    fault: Literal["flip", "stuck0", "stuck1"] = "flip"
    """What happens to a bit."""
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
    workers: int | None = None
    """Worker processes of the C-simulation."""
