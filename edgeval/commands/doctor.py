"""``edgeval doctor``: tools, versions, what is missing and how to get it."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

import msgspec
from cyclopts import Parameter

from edgeval.installation import EXTRAS, TESTED, Check, cache_bytes, installation
from edgeval.report.text import write_json, write_line, write_table
from hls.environment import cache_directory, usable_cores, worker_count
from hls.errors import UsageError


class DoctorRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="edgeval.doctor/2"):
    """What ``edgeval doctor --json`` prints.

    Attributes:
        checks: Everything that was looked for.
        as_tested: Packages in exactly the version that was tried, of ``packages`` that are there.
        cache: Folder of what can be made again, and its size.
        workers: Worker processes that the C-simulation would run.
        healthy: Whether nothing that is needed is missing or broken.
    """

    checks: tuple[Check, ...]
    as_tested: int
    packages: int
    cache: str
    cache_bytes: int
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
    checks = installation()
    packages = [check for check in checks if check.name in TESTED and check.state != "missing"]
    record = DoctorRecord(
        checks=checks,
        as_tested=sum(check.state == "ok" for check in packages),
        packages=len(packages),
        cache=str(cache_directory()),
        cache_bytes=cache_bytes(),
        workers=_workers(),
        healthy=not any(check.needed and check.state in {"missing", "broken"} for check in checks),
    )
    if config.json:
        write_json(record)
    else:
        _write(record)
    return 0 if record.healthy else 3


def _workers() -> int:
    try:
        return worker_count()
    except UsageError:  # the row of the variable says so
        return usable_cores()


def _write(record: DoctorRecord) -> None:
    write_line(_verdict(record))
    write_table(
        ["what", "state", "found", "tried with", "for", "remedy"],
        [[check.name, check.state, check.found, check.tested, check.purpose, check.remedy] for check in record.checks],
    )
    write_line(
        f"{record.as_tested} of {record.packages} packages in the versions that were tried together"
        + ("" if record.as_tested == record.packages else "; the others may do as well")
    )
    write_line(f"cache {record.cache}, {record.cache_bytes / 1e6:,.0f} MB; {record.workers} worker processes")


def _verdict(record: DoctorRecord) -> str:
    if record.healthy:
        left_out = [EXTRAS[check.name] for check in record.checks if check.name in EXTRAS and check.state == "missing"]
        return "all that is needed is here" + (f"; without the extras {', '.join(left_out)}" if left_out else "")
    parts = []
    for state in ("missing", "broken"):
        names = [check.name for check in record.checks if check.needed and check.state == state]
        if names:
            parts.append(f"{state}: {', '.join(names)}")
    return "; ".join(parts)
