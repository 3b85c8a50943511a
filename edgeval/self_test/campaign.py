"""``inject-faults --self-test``: wrong campaigns, each of which the repetition by brute force has to see."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from math import comb
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from edgeval.campaign_setup import set_up
from edgeval.fault_lists import drawn
from edgeval.fault_options import FaultOptions
from edgeval.fingerprint import make_fingerprint
from edgeval.judging import make_judge
from edgeval.progress import progress, say
from edgeval.records import Fingerprint, save_record
from edgeval.run_directory import RunDirectory
from edgeval.self_test import MUTATIONS
from edgeval.self_test.mutation import Mutated
from edgeval.self_test.places import generator, without_place
from edgeval.self_test.score import scored, without_verdict
from edgeval.self_test.tables import TABLE_MUTATIONS, WrongTable
from edgeval.self_test_record import Mutant, SelfTestRecord
from fault_injection.campaign import Campaign, outcome_table
from fault_injection.crosscheck import check_rows, checked_faults
from fault_injection.outcomes import Judge
from hls.errors import UsageError
from hls.graph import IntegerGraph
from hls.serialize import digest

SAMPLES = 50
"""Judged on unless asked otherwise."""

FAULTS = 2000
"""Drawn from the campaign's faults unless asked otherwise: every mutant judges them all."""

TOUCHED = 8
"""Faults with a wrong outcome that are repeated for each mutant, where it has so many."""

RANDOM = 8
"""Faults that are repeated beside them, whatever their outcome."""

TRIED_NETWORKS = 8
"""Places of one kind that are tried: each judges every fault."""

TRIED_TABLES = 64
"""The same for errors in a table, which cost less."""

_CAMPAIGN_MUTATIONS = (*MUTATIONS, *TABLE_MUTATIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _True:
    """A campaign that is as it should be.

    Attributes:
        campaign: On the right network.
        table: Its outcomes.
        rows: The same, row by row.
        judge: Makes a judge that holds another network.
        threads: Kernel threads.
        seed: Of places and draws.
        random: Faults to repeat beside those that are wrong.
    """

    campaign: Campaign
    table: pa.Table
    rows: list[dict[str, object]]
    judge: Callable[[IntegerGraph], Judge]
    threads: int
    seed: int
    random: int


def self_test_campaign(
    run: RunDirectory,
    options: FaultOptions,
    inputs: Path | None = None,
    mutations: Collection[str] = _CAMPAIGN_MUTATIONS,
) -> SelfTestRecord:
    """Make every error there is in a campaign, cross-check it as ``inject-faults`` does, and save what was seen.

    Args:
        run: An exported run.
        options: Which faults, and how they are judged.
        inputs: Samples other than the run's own.
        mutations: Names of those to make.

    Raises:
        UsageError: an option that has no meaning here, or out of range. RunDirectoryError: see ``RunDirectory``.
    """
    require_options(options)
    setup = set_up(run, replace(options, samples=options.samples or SAMPLES), inputs)
    graph, samples = setup.campaign.golden.graph, len(setup.samples.inputs)
    rows = drawn(setup.campaign.faults, options.sample or FAULTS, np.random.default_rng(options.seed))
    campaign = replace(setup.campaign, faults=setup.campaign.faults.take(rows))
    threads = setup.placement.kernel_threads
    say(f"{len(rows):,} faults without any error")
    table = campaign.outcomes(campaign.faults, threads)
    fingerprint = _fingerprint(options, graph, setup.samples.digest, len(rows), samples, mutations)
    count = options.cross_check or checked_faults(graph, samples, len(rows))
    control = check_rows(campaign, table, drawn_rows(len(rows), count, np.random.default_rng([options.seed, 1])))
    if control.mismatches:
        reason = f"{len(control.mismatches)} of {control.faults} faults differ, first {control.mismatches[0]}"
        record = without_verdict("inject-faults", fingerprint, samples, reason)
    else:

        def judge(other: IntegerGraph) -> Judge:
            return make_judge(other, setup.samples, setup.judged_by, options.critical_share)

        right = _True(
            campaign=campaign,
            table=table,
            rows=table.to_pylist(),
            judge=judge,
            threads=threads,
            seed=options.seed,
            random=options.cross_check or RANDOM,
        )
        record = scored("inject-faults", fingerprint, samples, _tested(right, mutations))
    save_record(record, run.record_file("self-test-inject-faults"))
    return record


def require_options(options: FaultOptions) -> None:
    """Refuse options that would be left aside without a word.

    Raises:
        UsageError: naming the first of them.
    """
    default = FaultOptions()
    without = ("plan", "margin", "executor", "verify_on_csim", "workers", "scheduler", "time_budget")
    given = [name for name in without if getattr(options, name) != getattr(default, name)]
    if given:
        name = f"--{given[0].replace('_', '-')}"
        raise UsageError(
            found=f"{name} with --self-test",
            allowed="which faults, samples and metric; the exact engine in this process judges and repeats them",
            where="edgeval inject-faults",
            remedy=f"leave out {name}",
        )
    if options.fault not in ("flip", "stuck0", "stuck1"):
        raise UsageError(
            found=f"--fault {options.fault} with --self-test",
            allowed="flip, stuck0, stuck1",
            where="edgeval inject-faults",
            remedy="test the campaign of stored bits; the cross-check of the other kinds is the same code",
        )


def drawn_rows(rows: int, count: int, rng: np.random.Generator) -> Int[np.ndarray, " count"]:
    """Random rows without repeats, rising."""
    return np.sort(rng.choice(rows, min(count, rows), replace=False))


def found_by_chance(faults: int, touched: int, checked: int) -> float:
    """Probability that random faults without repeats hold one of the touched ones.

    Args:
        faults: In all.
        touched: Of these, with a wrong outcome.
        checked: Drawn.

    Example:
        >>> found_by_chance(faults=10, touched=1, checked=5)
        0.5
    """
    return 1 - comb(faults - touched, checked) / comb(faults, checked)


def _tested(right: _True, mutations: Collection[str]) -> list[Mutant]:
    rows = []
    with progress("mutants judged and cross-checked") as advance:
        for done, name in enumerate(mutations):
            rows.append(_mutant(right, name))
            advance(done + 1, len(mutations))
    return rows


def _mutant(right: _True, name: str) -> Mutant:
    """Make one error at the first place where it touches an outcome, and let brute force see it."""
    rng = generator(right.seed, name)
    if name in MUTATIONS:
        places: Iterable[Mutated | WrongTable] = MUTATIONS[name](right.campaign.golden.graph, rng)
        tried = TRIED_NETWORKS
    else:
        places, tried = TABLE_MUTATIONS[name](right.campaign, right.table, rng), TRIED_TABLES
    offered = 0
    for made in islice(places, tried):
        offered += 1
        table = made.table if isinstance(made, WrongTable) else _judged_on(right, made.graph)
        touched = _touched(right, table)
        if touched.size:
            return _checked(right, name, made, table, touched, rng)
    return without_place(name, offered, "outcome")


def _judged_on(right: _True, graph: IntegerGraph) -> pa.Table:
    """What the campaign would say if its judge held another network; the rows still name the right bits and words."""
    campaign, faults = right.campaign, right.campaign.faults
    judged = faults.judge(right.judge(graph), detail=campaign.detail, threads=right.threads)
    return outcome_table(campaign.golden.graph, faults, judged, campaign.detail)


def _touched(right: _True, table: pa.Table) -> Int[np.ndarray, " touched"]:
    """Faults whose row is not what it should be."""
    pairs = zip_longest(right.rows, table.to_pylist())
    return np.array([row for row, (true, wrong) in enumerate(pairs) if true != wrong], np.int64)


def _checked(
    right: _True,
    name: str,
    made: Mutated | WrongTable,
    table: pa.Table,
    touched: Int[np.ndarray, " touched"],
    rng: np.random.Generator,
) -> Mutant:
    campaign, faults = right.campaign, right.campaign.faults
    wrong = touched[drawn_rows(len(touched), TOUCHED, rng)]
    rows = np.union1d(wrong, drawn_rows(len(faults), right.random, rng))
    check = check_rows(campaign, table, rows)
    expected = {faults.text(int(row)) for row in np.intersect1d(rows, touched)}
    saw = set(check.mismatches) == expected
    seen = f"{len(check.mismatches)} of {check.faults} repeated faults differ, {len(expected)} of them are wrong"
    first = f", first {check.mismatches[0]}" if check.mismatches else ""
    golden = campaign.golden
    count = checked_faults(golden.graph, golden.samples, len(faults))
    chance = found_by_chance(len(faults), len(touched), count)
    known = f"{100 * chance:.1f} %" if chance < 0.9995 else "more than 99.9 %"
    return Mutant(
        mutation=name,
        place=made.place,
        change=made.change,
        status="detected" if saw else "missed",
        detected_by=("brute force",) if saw else (),
        evidence=f"{seen}{first}; it touches {len(touched):,} of {len(faults):,} outcomes, and {count} random faults "
        f"find one of them with a probability of {known}",
    )


def _fingerprint(  # everything the record depends on
    options: FaultOptions,
    graph: IntegerGraph,
    data: str,
    faults: int,
    samples: int,
    mutations: Collection[str],
) -> Fingerprint:
    return make_fingerprint(
        "inject-faults",
        {
            "self-test": True,
            "tensors": list(options.tensors),
            "bits": options.bits,
            "fault": options.fault,
            "metric": options.metric,
            "detail": options.detail,
            "skip-pruned": options.skip_pruned,
            "critical-threshold": options.critical_threshold,
            "critical-share": options.critical_share,
            "faults": faults,
            "samples": samples,
            "mutations": list(mutations),
        },
        seeds={"places": options.seed},
        digests={"network": digest(graph), "data": data},
    )
