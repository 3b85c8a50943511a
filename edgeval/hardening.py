"""Hardening a run: the plan under a budget, its check by a campaign, the Pareto curve, the files and the record."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from decimal import Decimal

import numpy as np

from edgeval.evaluation import campaign_metric
from edgeval.exhaustive_campaign import ExhaustiveCampaign, exhaustive_campaign
from edgeval.fingerprint import identity, make_fingerprint
from edgeval.harden_options import HardenOptions
from edgeval.hardened_project import HARDENED_PROJECT, check_voters, write_voted_project
from edgeval.hardening_record import (
    HardenedMemory,
    HardenedRow,
    HardenedTensor,
    HardeningCheck,
    HardenRecord,
    HeldOut,
    ParetoRow,
    TriplicatedWord,
    VoterCheck,
)
from edgeval.progress import say
from edgeval.records import save_record
from edgeval.run_directory import RunDirectory
from edgeval.word_comparison import metric_value
from fault_injection.golden import golden_run
from fault_injection.hardening import (
    Assessor,
    Plan,
    StoredDamage,
    damages_of,
    judged_damage,
    make_plan,
    pareto,
    total,
    verify,
)
from fault_injection.hardening.memory import NONE, PROTECTIONS, TMR, TensorMemory, TensorPlan, unprotected, voters
from hls.environment import usable_cores
from hls.errors import LoweringError, RunDirectoryError, UsageError
from hls.graph import IntegerGraph
from hls.serialize import digest

HARDENING_FILE = "hardening.json"
"""Which bits are protected, in the run."""

BUDGET_SHARES = (0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 75, 100, 150, 200)
"""Budgets of the Pareto curve, in per cent of the stored bits."""


def harden_run(run: RunDirectory, options: HardenOptions) -> HardenRecord:
    """Choose what to protect, prove what remains, and save plan, project and record.

    Args:
        run: An exported run with a campaign that flipped every stored bit.
        options: Budget, scheme and damage.

    Raises:
        UsageError: an option out of range. RunDirectoryError: no such run or campaign.
        LoweringError, ToolError: the C-simulation was asked for and cannot be had.
    """
    _require_options(options)
    started = time.monotonic()
    graph = run.network()
    campaign = exhaustive_campaign(run, options.campaign)
    _require_held_out(run, campaign, options.held_out)
    stored = campaign.outcomes.num_rows
    budget = budget_bits(options.budget, stored)
    metric = campaign_metric(run.run_record(), campaign.record.metric.name)
    assessor = Assessor(
        judge=campaign.judge,
        measure=options.damage,
        higher_is_better=metric.direction == "higher",
        threads=usable_cores(),
    )
    say("judging words that are zeroed, clipped or stored as sign and magnitude")
    damages = list(damages_of(graph, assessor, assessor.of_flips(campaign.outcomes)))
    plan = make_plan(damages, options.scheme, budget)
    say("flipping every physical bit of the hardened memory")
    rng = np.random.default_rng(options.seed)
    checked = verify(plan, assessor, options.check, rng)
    held_out = None if options.held_out is None else _held_out(run, campaign, plan, assessor, options.held_out)
    save_record(hardened_memory(graph, plan, options.scheme), run.path / HARDENING_FILE)
    project, refused, voted = _project(run, graph, plan, campaign, options)
    record = HardenRecord(
        fingerprint=make_fingerprint(
            "harden",
            {"budget": options.budget, "scheme": options.scheme, "damage": options.damage},
            seeds={"check": options.seed},
            digests=dict(campaign.record.fingerprint.digests),
        ),
        campaign=identity(campaign.record.fingerprint),
        scheme=options.scheme,
        damage=options.damage,
        samples=len(campaign.samples.inputs),
        stored_bits=stored,
        budget_bits=budget,
        added_bits=plan.choice.cost,
        damage_before=total(assessor.of_table(campaign.outcomes)),
        damage_after=checked.predicted,
        bound=plan.choice.bound,
        optimal=plan.choice.optimal,
        voters=voters(plan.tensors),
        metric=metric_value(metric, campaign.judge.metric()),
        tensors=_rows(graph, plan, damages),
        pareto=tuple(
            ParetoRow(
                scheme=point.scheme,
                budget_bits=point.budget_bits,
                added_bits=point.added_bits,
                damage=point.damage,
            )
            for point in pareto(damages, sorted({stored * share // 100 for share in BUDGET_SHARES}))
        ),
        check=HardeningCheck(
            physical_bits=checked.physical_bits,
            predicted=checked.predicted,
            verified=checked.verified,
            differing=checked.differing,
            brute_force=checked.brute_force,
            mismatches=checked.mismatches,
            agrees=checked.agrees,
        ),
        held_out=held_out,
        project=project,
        no_project=refused,
        voter_check=voted,
        seconds=time.monotonic() - started,
    )
    save_record(record, run.record_file("harden"))
    return record


def budget_bits(text: str, stored_bits: int) -> int:
    """Bits of a budget, rounded down.

    Args:
        text: A number of bits, or a share of the stored bits with a % sign.
        stored_bits: Of the network.

    Raises:
        UsageError: neither.

    Example:
        >>> budget_bits("10%", 1234), budget_bits("0.5 %", 1000), budget_bits("77", 1234)
        (123, 5, 77)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%?)", text.strip())
    if match is None or (not match[2] and "." in match[1]):
        raise UsageError(
            found=repr(text),
            allowed="a number of bits, or a share of the stored bits such as 10%",
            where="--budget",
            remedy="write e.g. --budget 10% or --budget 4000",
        )
    number = Decimal(match[1])
    return int(number * stored_bits / 100) if match[2] else int(number)


def hardened_memory(graph: IntegerGraph, plan: Plan, scheme: str) -> HardenedMemory:
    """The plan as the file that names every protected bit."""
    return HardenedMemory(
        network_digest=digest(graph),
        scheme=scheme,
        tensors=tuple(_tensor(graph, tensor) for tensor in plan.tensors),
    )


def _tensor(graph: IntegerGraph, plan: TensorPlan) -> HardenedTensor:
    width = graph.tensors[plan.tensor].format.width_bits
    triplicated = [
        TriplicatedWord(
            index=int(index), bits=tuple(b for b in range(width - 1, -1, -1) if plan.triplicated[index] >> b & 1)
        )
        for index in np.flatnonzero(plan.protection == TMR)
    ]
    others = {
        name: tuple(np.flatnonzero(plan.protection == kind).tolist())
        for kind, name in enumerate(PROTECTIONS)
        if kind not in (NONE, TMR)
    }
    memory = TensorMemory(graph.tensors[plan.tensor], plan)
    return HardenedTensor(
        tensor=plan.tensor,
        storage=plan.storage,
        clip_range=memory.bounds if plan.storage == "clip" else None,
        triplicated=tuple(triplicated),
        words={name: words for name, words in others.items() if words},
    )


def _rows(graph: IntegerGraph, plan: Plan, damages: list[tuple[StoredDamage, ...]]) -> tuple[HardenedRow, ...]:
    rows = []
    for tensor, chosen, before in zip(plan.tensors, plan.damages, damages, strict=True):
        memory = TensorMemory(graph.tensors[tensor.tensor], tensor)
        counts = np.bincount(tensor.protection, minlength=len(PROTECTIONS)).tolist()
        after = np.concatenate([chosen.predicted(tensor, memory.bits()), chosen.bounds])
        rows.append(
            HardenedRow(
                tensor=tensor.tensor,
                words=len(tensor.protection),
                storage=tensor.storage,
                protected={name: n for name, n in zip(PROTECTIONS, counts, strict=True) if n and name != "none"},
                triplicated=voters((tensor,)),
                added_bits=memory.added_bits,
                damage_before=total(before[0].flips.reshape(-1)),
                damage_after=total(after),
            )
        )
    return tuple(rows)


def _held_out(run: RunDirectory, campaign: ExhaustiveCampaign, plan: Plan, assessor: Assessor, count: int) -> HeldOut:
    used, samples = len(campaign.samples.inputs), run.samples()
    say(f"judging the plan on {count:,} other samples")
    part = slice(used, used + count)
    graph = campaign.judge.golden.graph
    golden = golden_run(graph, graph.quantize_inputs(samples.inputs[part]))
    labels = None if samples.labels is None else samples.labels[part]
    other = replace(assessor, judge=replace(campaign.judge, golden=golden, labels=labels))
    return HeldOut(
        samples=count,
        damage_before=judged_damage(unprotected(graph), other),
        damage_after=judged_damage(plan.tensors, other),
    )


def _project(
    run: RunDirectory, graph: IntegerGraph, plan: Plan, campaign: ExhaustiveCampaign, options: HardenOptions
) -> tuple[str | None, str | None, VoterCheck | None]:
    """Folder of the voted project, why there is none, and what its C-simulation showed."""
    try:
        refused = write_voted_project(run, graph, plan.tensors)
    except (LoweringError, RunDirectoryError) as error:
        if options.verify_on_csim is not None:
            raise
        refused = str(error)
    if options.verify_on_csim is None:
        return (HARDENED_PROJECT, None, None) if refused is None else (None, refused, None)
    if refused is not None:
        raise UsageError(
            found=f"no project to try: {refused}",
            allowed="a plan of triplicated bits",
            where="--verify-on-csim",
            remedy="choose --scheme tmr and a budget of 2 bits or more",
        )
    inputs = graph.quantize_inputs(campaign.samples.inputs)
    rng = np.random.default_rng(options.seed)
    checked = check_voters(
        run, graph, plan.tensors, inputs, count=options.verify_on_csim, rng=rng, workers=options.workers
    )
    return HARDENED_PROJECT, None, checked


def _require_options(options: HardenOptions) -> None:
    for name, value in (("--check", options.check), ("--verify-on-csim", options.verify_on_csim)):
        if value is not None and value < (0 if name == "--check" else 1):
            raise UsageError(found=str(value), allowed="1 or more", where=name, remedy="give a number")


def _require_held_out(run: RunDirectory, campaign: ExhaustiveCampaign, count: int | None) -> None:
    used, whole = len(campaign.samples.inputs), len(run.samples().inputs)
    if count is not None and not 1 <= count <= whole - used:
        raise UsageError(
            found=str(count),
            allowed=f"1 to {whole - used}: the run has {whole:,} samples, of which the campaign used {used:,}",
            where="--held-out",
            remedy="run `edgeval inject-faults` with --samples, and name that campaign with --campaign",
        )
