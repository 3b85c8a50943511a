"""A mission of a run: the exact outcomes of one of its campaigns, folded with cross-section, flux and scrub period."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa

from edgeval.fingerprint import make_fingerprint
from edgeval.mission_record import MissionRecord
from edgeval.outcome_tables import campaign_records, outcome_table
from edgeval.records import InjectRecord, save_record
from edgeval.run_directory import RunDirectory
from fault_injection.mission import NOT_MODELLED, Mission, outlook, sensitivity
from hls.errors import RunDirectoryError, UsageError
from hls.serialize import digest

COLUMNS = ("site", "decisions_changed", "right_to_wrong")
"""Of the outcome table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissionOptions:
    """What a mission is like; see ``docs/commands/mission.md``.

    Attributes:
        cross_section: cm² a bit.
        flux: 1/cm²/s.
        scrub: Seconds between two rewritings; ``None``: never during the mission.
        duration: Seconds of the mission; ``None``: not said.
        devices: How many fly.
        multi_bit_share: Share of the upsets that flip several bits at once.
        harmful_share: A bit is harmful where its flip changes more than this share of the decisions.
        campaign: First digits of a campaign's identity; ``None`` for the only one that will do.
    """

    cross_section: float
    flux: float
    scrub: float | None = None
    duration: float | None = None
    devices: int = 1
    multi_bit_share: float = 0.0
    harmful_share: float = 0.0
    campaign: str | None = None


def mission_run(run: RunDirectory, options: MissionOptions) -> MissionRecord:
    """Fold a campaign with a mission, and save the record.

    Args:
        run: An exported run with an exhaustive campaign of flips.
        options: What the mission is like.

    Raises:
        UsageError: an option out of range, or several campaigns to choose from. RunDirectoryError: no campaign that
            will do, or its tables are gone or damaged.
    """
    _require_options(options)
    graph = run.network()
    name, record, table = _campaign(run, options.campaign)
    if record.fingerprint.digests["network"] != digest(graph):
        raise _no_campaign(run, f"campaign {name}, which judged another network than the run holds now")
    labelled = table["right_to_wrong"].null_count == 0
    bits = sensitivity(
        table["decisions_changed"].to_numpy(),
        table["right_to_wrong"].to_numpy() if labelled else None,
        samples=record.samples,
        harmful_share=options.harmful_share,
    )
    period = options.scrub if options.scrub is not None else options.duration
    assert period is not None, "required above"
    mission = Mission(
        cross_section=options.cross_section,
        flux=options.flux,
        period=period,
        multi_bit_share=options.multi_bit_share,
    )
    device = outlook(mission, bits)
    device_seconds = None if options.duration is None else options.duration * options.devices
    failures = None if device_seconds is None else device.failure_rate * device_seconds
    result = MissionRecord(
        fingerprint=make_fingerprint(
            "mission",
            {
                "cross-section": options.cross_section,
                "flux": options.flux,
                "scrub": options.scrub,
                "duration": options.duration,
                "devices": options.devices,
                "multi-bit-share": options.multi_bit_share,
                "harmful-share": options.harmful_share,
            },
            seeds={},
            digests=record.fingerprint.digests,
        ),
        campaign=name,
        bits=bits.bits,
        stored_bits=sum(tensor.words.size * tensor.format.width_bits for tensor in graph.tensors.values()),
        samples=record.samples,
        cross_section=options.cross_section,
        flux=options.flux,
        period=period,
        scrubbed=options.scrub is not None,
        duration=options.duration,
        devices=options.devices,
        multi_bit_share=options.multi_bit_share,
        harmful_share=options.harmful_share,
        harmful_bits=bits.harmful,
        changed=bits.changed,
        device=device,
        upsets=None if device_seconds is None else device.upset_rate * device_seconds,
        failures=failures,
        no_failure=None if failures is None else math.exp(-failures),
        not_modelled=NOT_MODELLED,
    )
    save_record(result, run.record_file("mission"))
    return result


def _require_options(options: MissionOptions) -> None:
    physical = {
        "--cross-section": (options.cross_section, "cm² a bit"),
        "--flux": (options.flux, "1/cm²/s"),
        "--scrub": (options.scrub, "seconds"),
        "--duration": (options.duration, "seconds"),
    }
    for name, (value, unit) in physical.items():
        if value is not None and not (math.isfinite(value) and value > 0):
            raise _out_of_range(name, value, f"a finite number above 0, in {unit}")
    shares = {"--multi-bit-share": options.multi_bit_share, "--harmful-share": options.harmful_share}
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise _out_of_range(name, share, "0 to 1")
    if options.devices < 1:
        raise _out_of_range("--devices", float(options.devices), "1 or more")
    if options.scrub is None and options.duration is None:
        raise UsageError(
            found="neither a scrub period nor a duration",
            allowed="--scrub, --duration or both, in seconds",
            where="--scrub",
            remedy="say how often the words are rewritten; without scrubbing, how long the mission lasts",
        )
    if options.scrub is not None and options.duration is not None and options.scrub > options.duration:
        raise _out_of_range("--scrub", options.scrub, f"at most the duration, {options.duration:g} s")


def _out_of_range(name: str, value: float, allowed: str) -> UsageError:
    return UsageError(found=f"{value:g}", allowed=allowed, where=name, remedy="give a value in that range")


def _campaign(run: RunDirectory, wanted: str | None) -> tuple[str, InjectRecord, pa.Table]:
    """Identity, record and table of the exhaustive campaign of flips to use."""
    found = {_identity(record): (path, record) for path, record in campaign_records(run)}
    if not found:
        raise _no_campaign(run, "no campaign")
    named = {name: one for name, one in found.items() if wanted is None or name.startswith(wanted)}
    if not named:
        raise UsageError(
            found=repr(wanted), allowed=", ".join(found), where="--campaign", remedy="name one of these campaigns"
        )
    usable = {name: (path, record) for name, (path, record) in named.items() if _lacking(record) is None}
    if not usable:
        reasons = "; ".join(f"{name}: {_lacking(record)}" for name, (_, record) in named.items())
        raise _no_campaign(run, f"no campaign of every bit ({reasons})")
    if len({_judged(record) for _, record in usable.values()}) > 1:
        listed = [f"{name} ({r.faults:,} bits, {r.samples:,} samples)" for name, (_, r) in usable.items()]
        raise UsageError(
            found=f"{len(usable)} campaigns that will do",
            allowed=", ".join(listed),
            where=str(run.path),
            remedy="say which one with --campaign",
        )
    name, (path, record) = next(iter(usable.items()))  # what is read of them is the same
    return name, record, _table(run, path, record)


def _judged(record: InjectRecord) -> bytes:
    """What a campaign's decisions depend on: two of another detail or metric say the same of them."""
    names = ("tensors", "bits", "skip-pruned", "decision", "tolerance")
    chosen = {name: record.fingerprint.configuration.get(name) for name in names}
    return msgspec.json.encode([chosen, record.fingerprint.digests, record.samples], order="sorted")


def _lacking(record: InjectRecord) -> str | None:
    """Why the figures of a campaign say nothing exact of every bit; ``None`` where they do."""
    if record.fault != "flip":
        return f"fault {record.fault}, where an upset is a flip"
    if not record.exhaustive:
        return f"a sample, {record.faults:,} of {record.sites:,} bits"
    return None


def _identity(record: InjectRecord) -> str:
    return record.outcomes.rpartition("/")[2]


def _table(run: RunDirectory, path: Path, record: InjectRecord) -> pa.Table:
    table = outcome_table(run, path, record, COLUMNS)
    if table is None:
        raise _no_campaign(run, f"no outcome tables in {record.outcomes}")
    sites = table["site"].to_numpy()
    if len(np.unique(sites)) != len(sites):
        raise _no_campaign(run, f"outcome tables in {record.outcomes} that hold a site twice")
    return table


def _no_campaign(run: RunDirectory, found: str) -> RunDirectoryError:
    return RunDirectoryError(
        found=found,
        allowed="the outcomes of an exhaustive campaign: the flip of every bit, judged",
        where=str(run.path),
        remedy=f"run `edgeval inject-faults {run.path}` over every bit, without a sample",
    )
