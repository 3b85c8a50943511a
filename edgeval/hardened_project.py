"""The hls4ml project of a hardened run: chosen bits stored three times and voted, and what its C-simulation shows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgeval.comparison import compare_project
from edgeval.hardening_record import VoterCheck
from edgeval.progress import progress, say
from edgeval.run_directory import RunDirectory
from fault_injection.faults import change_at
from fault_injection.hardening.memory import NONE, TMR, TensorPlan
from fault_injection.sites import Site
from hls.csim import CSimulation, build_csim, open_csim
from hls.engine import ExactEngine
from hls.formats import Words
from hls.graph import IntegerGraph
from hls.hls4ml_flow.hardened import write_hardened

HARDENED_PROJECT = "hls4ml-hardened"
"""Folder in the run."""

_PAIRS = ((0, 1), (0, 2), (1, 2))


def write_voted_project(run: RunDirectory, graph: IntegerGraph, plans: Sequence[TensorPlan]) -> str | None:
    """Write the project of a plan; an older one is removed where this plan has none.

    Returns:
        ``None``, or why there is no project: what the C++ has voters for is triplicated bits.

    Raises:
        LoweringError: a project that cannot be voted. RunDirectoryError: no project to start from.
    """
    folder = run.path / HARDENED_PROJECT
    others = [plan.tensor for plan in plans if plan.storage != "native" or not _only_voted(plan)]
    if others:
        shutil.rmtree(folder, ignore_errors=True)
        return f"{others[0]} is protected by more than voters, which is all the C++ has; --scheme tmr writes one"
    if not any(plan.triplicated.any() for plan in plans):
        shutil.rmtree(folder, ignore_errors=True)
        return "no bit is triplicated"
    write_hardened(graph, run.project, folder, {plan.tensor: plan.triplicated for plan in plans})
    return None


def check_voters(  # noqa: PLR0913  # what is built, on what, and how much of it is tried
    run: RunDirectory,
    graph: IntegerGraph,
    plans: Sequence[TensorPlan],
    inputs: Words,
    *,
    count: int,
    rng: np.random.Generator,
    workers: int | None,
) -> VoterCheck:
    """Compare the hardened C-simulation with the exact engine, fault-free and under flips in single and two copies.

    Args:
        run: With its hardened project.
        graph: The network.
        plans: What is triplicated.
        inputs: Input words.
        count: Triplicated bits to try, and unprotected ones.
        rng: Source of the draw.
        workers: Processes of the C-simulation.
    """
    folder = run.path / HARDENED_PROJECT
    compared = compare_project(graph, folder, inputs, workers=workers)
    verdict = compared.verdict
    if verdict.kind != "match":
        return VoterCheck(
            verdict=verdict.kind, headline=verdict.headline, single=0, double=0, unprotected=0, visible=0, words=0,
            mismatches=(),
        )  # fmt: skip
    trials = list(_trials(graph, plans, count, rng))
    with open_csim(graph, build_csim(folder, say), workers=workers) as csim, progress("flips in copies") as advance:
        shown = []
        for done, trial in enumerate(trials, start=1):
            shown.append(_shown(graph, csim, trial, inputs))
            advance(done, len(trials))
    kinds = [trial.kind for trial in trials]
    outputs = int(np.prod(graph.values[graph.output].shape))
    return VoterCheck(
        verdict=verdict.kind,
        headline=verdict.headline,
        single=kinds.count("single"),
        double=kinds.count("double"),
        unprotected=kinds.count("unprotected"),
        visible=sum(visible for _, visible in shown),
        words=len(trials) * len(inputs) * outputs,
        mismatches=tuple(str(t) for t, (agrees, _) in zip(trials, shown, strict=True) if not agrees),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """One bit flipped in some of its copies; ``kind`` says what has to come of it."""

    kind: str
    site: Site
    copies: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.site} in copy {' and '.join(map(str, self.copies))}"


def _trials(graph: IntegerGraph, plans: Sequence[TensorPlan], count: int, rng: np.random.Generator) -> Iterator[_Trial]:
    voted, once = [], []
    for plan in plans:
        width = graph.tensors[plan.tensor].format.width_bits
        held = (plan.triplicated[:, None] >> np.arange(width) & 1).astype(bool)
        voted += [Site(tensor=plan.tensor, index=int(i), bit=int(b)) for i, b in np.argwhere(held)]
        once += [Site(tensor=plan.tensor, index=int(i), bit=int(b)) for i, b in np.argwhere(~held)]
    for row in rng.choice(len(voted), min(count, len(voted)), replace=False):
        yield from (_Trial(kind="single", site=voted[row], copies=(copy,)) for copy in range(3))
        yield _Trial(kind="double", site=voted[row], copies=_PAIRS[int(rng.integers(3))])
    for row in rng.choice(len(once), min(count, len(once)), replace=False):
        yield _Trial(kind="unprotected", site=once[row], copies=(0,))


def _shown(graph: IntegerGraph, csim: CSimulation, trial: _Trial, inputs: Words) -> tuple[bool, bool]:
    """Whether the C-simulation does what it has to, and whether an output word changes where one may."""
    change = change_at(graph, trial.site, "flip")
    golden = ExactEngine(graph).run(inputs).output
    expected = golden if trial.kind == "single" else ExactEngine(graph).with_words([change]).run(inputs).output
    faulty = csim
    for copy in trial.copies:
        faulty = faulty.with_copy([change], copy)
    found = faulty.run(inputs).output
    return np.array_equal(found, expected), bool((expected != golden).any())


def _only_voted(plan: TensorPlan) -> bool:
    return bool(np.isin(plan.protection, (NONE, TMR)).all())
