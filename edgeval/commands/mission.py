"""``edgeval mission``: from a campaign to upset rate, wrong decisions, MTTF and FIT in a given radiation."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path

from cyclopts import Parameter

from edgeval.mission_record import MissionRecord
from edgeval.report.mission_rows import mission_rows, not_modelled_text, scope_text, verdict_text
from edgeval.report.text import write_json, write_line, write_table


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class MissionConfig:
    """Options of ``edgeval mission``."""

    run: Path
    """Run directory with a campaign of every bit."""
    _: KW_ONLY
    cross_section: float
    """Upset cross-section of one stored bit, in cm² a bit."""
    flux: float
    """Flux of the particles that cross-section is for, in 1/cm²/s."""
    scrub: float | None = None
    """Time between two rewritings of the stored words, in s; left out, they are never rewritten during --duration."""
    duration: float | None = None
    """Length of the mission, in s."""
    devices: int = 1
    """Devices that fly; they fail independently."""
    multi_bit_share: float = 0.0
    """Share of the upsets that flip several bits at once; widens the bounds."""
    harmful_share: float = 0.0
    """An upset is a failure where it changes more than this share of the decisions."""
    campaign: str | None = None
    """First digits of the campaign's identity, where several would do."""
    json: bool = False
    """Print the record."""


def mission(config: MissionConfig) -> int:
    """Fold a campaign with cross-section, flux and scrubbing: upsets, wrong decisions, MTTF, FIT."""
    from edgeval.mission import MissionOptions, mission_run
    from edgeval.run_directory import RunDirectory

    record = mission_run(
        RunDirectory(config.run),
        MissionOptions(
            cross_section=config.cross_section,
            flux=config.flux,
            scrub=config.scrub,
            duration=config.duration,
            devices=config.devices,
            multi_bit_share=config.multi_bit_share,
            harmful_share=config.harmful_share,
            campaign=config.campaign,
        ),
    )
    if config.json:
        write_json(record)
    else:
        _write(record)
    return 0


def _write(record: MissionRecord) -> None:
    write_line(verdict_text(record))
    write_line(scope_text(record))
    write_table(["figure", "value", "meaning"], mission_rows(record))
    write_line(not_modelled_text(record))
