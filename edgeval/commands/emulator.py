"""``edgeval emulator``: the C-simulation of a run as a shared library that CMS and other software loads."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from edgeval.records import EmulatorRecord
from edgeval.report.text import write_json, write_line


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class EmulatorConfig:
    """Options of ``edgeval emulator``."""

    run: Path
    """Run directory."""
    _: KW_ONLY
    output: Annotated[Path, Parameter(name=["--output", "-o"])]
    """Folder of the package; an older package there is replaced."""
    name: str | None = None
    """Name of the model; the run's target or file if left out."""
    model_version: str | None = None
    """Version of the model; the first digits of the network's digest if left out."""
    samples: int = 1000
    """Golden vectors: the first N samples of the run, at most."""
    json: bool = False
    """Print the record."""


def emulator(config: EmulatorConfig) -> int:
    """Package the C-simulation as a shared library with weights inside, and try golden vectors on it."""
    from edgeval.emulation import package_run
    from edgeval.run_directory import RunDirectory

    record = package_run(
        RunDirectory(config.run),
        config.output,
        name=config.name,
        version=config.model_version,
        samples=config.samples,
    )
    if config.json:
        write_json(record)
    else:
        _write(record, config.output)
    return 0 if record.verdict == "match" else 1


def _write(record: EmulatorRecord, output: Path) -> None:
    write_line(record.headline)
    for finding in record.audit:
        write_line(f"audit: {finding}")
    if record.library is None:
        return
    write_line(f"exported, and nothing else: {', '.join(record.symbols)}")
    write_line(f"{record.backend} {record.io_type}, {record.compiler}")
    write_line(
        f"package in {output}: {record.library}, C++ namespace {record.namespace}; `make check` there repeats it"
    )
