"""``edgeval doctor``: tools, versions, what is missing and how to get it."""

from __future__ import annotations

import os
import sys
from dataclasses import KW_ONLY, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

import msgspec
from cyclopts import Parameter

from edgeval.report.text import write_json, write_line, write_table
from hls.environment import cache_directory, worker_count
from hls.errors import EdgevalError
from hls.toolchain import find_compiler

State = Literal["ok", "untested", "missing"]
"""``ok``: as tried. ``untested``: there, in a version that was not tried. ``missing``: not there."""

TESTED: dict[str, tuple[str, str]] = {
    "torch": ("2.13.0", "training"),
    "brevitas": ("0.13.4", "quantization, QONNX export"),
    "onnxoptimizer": ("0.4.2", "imported by the QONNX exporter"),
    "qonnx": ("1.0.0", "float witness"),
    "hls4ml": ("1.3.0", "HLS project"),
    "onnx": ("1.23.2", "graphs"),
    "onnxruntime": ("1.32.0", "float witness"),
    "numpy": ("2.4.6", "words"),
    "scikit-learn": ("1.9.1", "target digits"),
    "rdkit": ("2026.9.1", "molecular targets (extra: molecules)"),
}
"""Versions that were tried together, end to end, and what each is for."""

OPTIONAL = {"rdkit"}
"""Packages that only some targets need."""


class Check(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that was looked for."""

    name: str
    state: State
    found: str
    tested: str
    purpose: str
    remedy: str
    needed: bool


class DoctorRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="edgeval.doctor/1"):
    """What ``edgeval doctor --json`` prints."""

    checks: tuple[Check, ...]
    cache: str
    workers: int
    healthy: bool


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class DoctorConfig:
    """Options of ``edgeval doctor``."""

    _: KW_ONLY
    json: bool = False
    """Print the record instead of a table."""


def doctor(config: DoctorConfig = DoctorConfig()) -> int:
    """Show tools and versions, tested combinations, what is missing and how to get it."""
    checks = (_python(), _compiler(), *(_package(name) for name in TESTED), _cache())
    record = DoctorRecord(
        checks=checks,
        cache=str(cache_directory()),
        workers=worker_count(),
        healthy=not any(check.needed and check.state == "missing" for check in checks),
    )
    if config.json:
        write_json(record)
    else:
        _write(record)
    return 0 if record.healthy else 3


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    tried = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Check(
        name="python",
        state="ok" if tried else "untested",
        found=found,
        tested="3.11 to 3.13",
        purpose="everything",
        remedy="" if tried else "use Python 3.11, 3.12 or 3.13",
        needed=True,
    )


def _compiler() -> Check:
    try:
        found, state, remedy = find_compiler().version, "ok", ""
    except EdgevalError as error:
        found, state, remedy = error.found, "missing", error.remedy
    return Check(
        name="g++",
        state="ok" if state == "ok" else "missing",
        found=found,
        tested="12.2.0",
        purpose="C-simulation",
        remedy=remedy,
        needed=True,
    )


def _package(name: str) -> Check:
    tested, purpose = TESTED[name]
    try:
        found = version(name)
    except PackageNotFoundError:
        extra = "[molecules]" if name in OPTIONAL else ""
        return Check(
            name=name,
            state="missing",
            found="not installed",
            tested=tested,
            purpose=purpose,
            remedy=f"pip install 'edgeval-toolkit{extra}', or {name}=={tested}",
            needed=name not in OPTIONAL,
        )
    same = found.split("+")[0] == tested
    return Check(
        name=name,
        state="ok" if same else "untested",
        found=found,
        tested=tested,
        purpose=purpose,
        remedy="" if same else f"if something fails, try {name}=={tested}",
        needed=name not in OPTIONAL,
    )


def _cache() -> Check:
    folder = cache_directory()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    writable = os.access(existing, os.W_OK)
    return Check(
        name="cache",
        state="ok" if writable else "missing",
        found=str(folder) if writable else f"{existing} cannot be written",
        tested="a writable folder",
        purpose="built C-simulations",
        remedy="" if writable else "set EDGEVAL_CACHE to a folder you can write",
        needed=True,
    )


def _write(record: DoctorRecord) -> None:
    missing = [check.name for check in record.checks if check.state == "missing" and check.needed]
    write_line("all that is needed is here" if record.healthy else f"missing: {', '.join(missing)}")
    write_table(
        ["what", "state", "found", "tried with", "for", "remedy"],
        [[check.name, check.state, check.found, check.tested, check.purpose, check.remedy] for check in record.checks],
    )
    write_line(f"cache {record.cache}; {record.workers} worker processes")
