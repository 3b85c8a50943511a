"""``edgeval harden``: which stored bits to protect under a budget of bits, and proof of what remains."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from cyclopts import Parameter

from edgeval.harden_options import HardenOptions
from edgeval.hardening_record import HardenRecord
from edgeval.report.text import percent, write_json, write_line, write_table

_DAMAGE = {"decisions": "wrong decisions", "metric": "{unit} of {name}", "critical": "critical bits"}


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class HardenConfig:
    """Options of ``edgeval harden``."""

    run: Path
    """Run directory."""
    _: KW_ONLY
    hardening: HardenOptions = HardenOptions()  # noqa: RUF009  # frozen: one default for all is what is meant
    """What to protect, by which damage."""
    json: bool = False
    """Print the record."""


def harden(config: HardenConfig) -> int:
    """Choose which stored bits to protect under a budget of bits, and prove what damage remains."""
    from edgeval.hardening import harden_run
    from edgeval.run_directory import RunDirectory

    record = harden_run(RunDirectory(config.run), config.hardening)
    if config.json:
        write_json(record)
    else:
        _write(record)
    voted = record.voter_check
    failed = voted is not None and (voted.verdict != "match" or bool(voted.mismatches))
    return 1 if failed or not record.check.agrees else 0


def _write(record: HardenRecord) -> None:
    what = _DAMAGE[record.damage].format(unit=record.metric.unit, name=record.metric.name)
    write_line(
        f"{record.scheme}: {record.added_bits:,} of {record.budget_bits:,} bits spent on {record.stored_bits:,} stored "
        f"ones (+{percent(record.added_bits / record.stored_bits)}); {record.voters:,} voters"
    )
    left = f" ({percent(record.damage_after / record.damage_before)})" if record.damage_before else ""
    write_line(
        f"damage of all single flips, {what} on {record.samples:,} samples: {_number(record.damage_before)} before, "
        f"{_number(record.damage_after)} after{left}"
    )
    write_line(_proof(record))
    _write_check(record)
    if (other := record.held_out) is not None:
        share = f" ({percent(other.damage_after / other.damage_before)})" if other.damage_before else ""
        write_line(
            f"on {other.samples:,} other samples: {_number(other.damage_before)} before, "
            f"{_number(other.damage_after)} after{share}"
        )
    write_table(
        ["tensor", "words", "storage", "protected words", "triplicated bits", "added bits", "before", "after"],
        [
            [
                row.tensor,
                f"{row.words:,}",
                row.storage,
                ", ".join(f"{count:,} {name}" for name, count in row.protected.items()) or "none",
                f"{row.triplicated:,}",
                f"{row.added_bits:,}",
                _number(row.damage_before),
                _number(row.damage_after),
            ]
            for row in record.tensors
        ],
    )
    _write_project(record)
    _write_pareto(record)


def _proof(record: HardenRecord) -> str:
    if record.optimal:
        return "no plan of this scheme within the budget leaves less"
    return f"no plan of this scheme within the budget leaves less than {_number(record.bound)}"


def _write_check(record: HardenRecord) -> None:
    check = record.check
    agreed = (
        "equal, bit by bit" if check.agrees else f"DIFFERS at {check.differing:,} bits; predicted {check.predicted}"
    )
    write_line(
        f"verified: {check.physical_bits:,} physical bits flipped and decoded, {_number(check.verified)}, {agreed}"
    )
    again = "all agree" if not check.mismatches else f"DISAGREE at {', '.join(check.mismatches[:5])}"
    write_line(f"{check.brute_force:,} of them repeated by plain runs: {again}")


def _write_project(record: HardenRecord) -> None:
    if record.project is None:
        write_line(f"no hardened hls4ml project: {record.no_project}")
        return
    write_line(f"hls4ml project with voters in {record.project}; protected bits in hardening.json")
    if (check := record.voter_check) is None:
        return
    write_line(f"C-simulation: {check.headline}")
    write_line(
        f"flips in one copy {check.single:,}, in two copies {check.double:,}, of unprotected bits "
        f"{check.unprotected:,}; {check.words:,} output words, "
        + (
            f"{len(check.mismatches)} WRONG: {', '.join(check.mismatches[:5])}"
            if check.mismatches
            else "all as they have to be"
        )
        + f"; {check.visible:,} of the last two kinds change an output word"
    )


def _write_pareto(record: HardenRecord) -> None:
    budgets = sorted({row.budget_bits for row in record.pareto})
    damage = {(row.scheme, row.budget_bits): row.damage for row in record.pareto}
    schemes = list(dict.fromkeys(row.scheme for row in record.pareto))
    write_line("damage that remains, in per cent of the unprotected network's, by budget:")
    write_table(
        ["budget", *schemes],
        [
            [
                f"+{percent(budget / record.stored_bits, 0)}",
                *(_share(damage[scheme, budget], record.damage_before) for scheme in schemes),
            ]
            for budget in budgets
        ],
    )


def _share(damage: float, before: float) -> str:
    return f"{100 * damage / before:.1f}" if before else "0"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"
