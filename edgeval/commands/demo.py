"""``edgeval demo``: the main job on real data, from training to a flipped bit."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from edgeval.commands.csim_compare import CompareConfig, csim_compare
from edgeval.commands.export import ExportConfig, export
from edgeval.commands.inject_faults import InjectConfig, inject_faults
from edgeval.commands.report import ReportConfig, report
from edgeval.commands.train import TrainConfig, train
from edgeval.fault_options import FaultOptions
from edgeval.report.text import write_line

TARGETS = ("digits", "freesolv")
_SMALL_EPOCHS = 10
_SMALL_FAULTS = 4_000


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class DemoConfig:
    """Options of ``edgeval demo``."""

    _: KW_ONLY
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("runs/demo")
    """Folder of the run directories and of the page."""
    small: bool = False
    """A short training and a sample of the faults, for a quick look."""
    seed: int = 0
    """Seed of everything."""


def demo(config: DemoConfig = DemoConfig()) -> int:
    """Train, prune, quantize, export, compare word by word and flip every stored bit of two models."""
    codes = [_target(config, target) for target in TARGETS]
    runs = tuple(config.output / target for target in TARGETS)
    codes.append(report(ReportConfig(runs, output=config.output / "report.html")))
    return max(codes)


def _target(config: DemoConfig, target: str) -> int:
    run = config.output / target
    write_line(f"── {target} " + "─" * 40)
    epochs = _SMALL_EPOCHS if config.small else None
    sample = _SMALL_FAULTS if config.small else None
    codes = [
        train(TrainConfig(target, output=run, sparsity=0.5, seed=config.seed, epochs=epochs)),
        export(ExportConfig(run)),
        csim_compare(CompareConfig(run)),
        inject_faults(InjectConfig(run, faults=FaultOptions(sample=sample, verify_on_csim=100, seed=config.seed))),
    ]
    write_line()
    return max(codes)
