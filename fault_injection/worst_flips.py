"""The worst few flips: at each step the single flip that does most harm on top of those before it.

This is the progressive bit search of Rakin, He, Fan, Bit-Flip Attack: Crushing Neural Network with Progressive Bit
Search, ICCV 2019, with one difference: they rank bits by the gradient and try a few a layer; here every candidate is
judged, exactly, over the whole evaluation set. The search is greedy, so another set of as many flips may be worse
still: what it finds is a lower bound of the worst case.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from fault_injection.exact import Detail
from fault_injection.faults import change_at, faulty_words
from fault_injection.golden import golden_run
from fault_injection.outcomes import Judge
from fault_injection.propagate import propagate
from fault_injection.shards import Progress
from fault_injection.single_flips import judge_single_flips
from fault_injection.sites import Site, SiteTable
from hls.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstFlip:
    """One step.

    Attributes:
        site: The bit.
        golden_word, faulty_word: Stored word before this flip, with the earlier ones in place, and after it.
        metric: With this flip and all before it.
        decisions_changed: Samples whose decision is another one than without any fault.
        judged: Flips that were judged for this step.
        confirmed: Whether a run of the whole network with all flips in place gives the output words, and the number
            of changed decisions, that the step's judgement of this flip said.
    """

    site: Site
    golden_word: int
    faulty_word: int
    metric: float
    decisions_changed: int
    judged: int
    confirmed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is searched.

    Attributes:
        judge: Fault-free network, evaluation set, decision and metric.
        sites: Bits that may flip.
        higher_is_better: Direction of the metric.
        detail: ``decisions`` is enough where the metric is accuracy.
        candidates: Judge only so many bits after the first step, those that did most harm alone; ``None`` for all.
        chance: Stop where the metric is no better than this; ``None`` to go on.
        threads: Of the compiled kernels.
    """

    judge: Judge
    sites: SiteTable
    higher_is_better: bool
    detail: Detail
    candidates: int | None = None
    chance: float | None = None
    threads: int = 1


def worst_flips(search: Search, count: int, progress: Progress = lambda done, total: None) -> Iterator[WorstFlip]:
    """Search greedily; one step at a time, so that a caller can show each.

    Ends after ``count`` flips, at chance level, or where no flip does any more harm. Of flips that do the same harm,
    that which changes more decisions is taken, then the one of the lowest site number. No bit flips twice.

    Args:
        search: What is searched.
        count: Flips at most; 1 or more.
        progress: Told how many faults of a step are judged.

    Raises:
        UsageError: a count or a number of candidates below 1.
    """
    for found, name in ((count, "--count"), (search.candidates, "--candidates")):
        if found is not None and found < 1:
            raise UsageError(found=str(found), allowed="1 or more", where=name, remedy="give a positive number")
    return _steps(search, count, progress)


def _steps(search: Search, count: int, progress: Progress) -> Iterator[WorstFlip]:
    sign = 1.0 if search.higher_is_better else -1.0
    # Without labels the metric is against the fault-free answers, at every step.
    judge = replace(search.judge, labels=search.judge.reference)
    sites = search.sites
    for step in range(count):
        if not len(sites):
            return
        change, decisions = judge_single_flips(
            judge, sites, detail=search.detail, threads=search.threads, progress=progress
        )
        harm = -sign * change
        order = np.lexsort((sites.number, -decisions, -harm))
        best = int(order[0])
        if not harm[best] > 0:
            return
        site = sites.site(best)
        before = judge
        judge, same_words = _with_flip(before, sites.take(np.array([best])))
        moved = before.decision.differs(before.golden_values, judge.golden_values).sum()
        yield WorstFlip(
            site=site,
            golden_word=int(before.golden.graph.tensors[site.tensor].words.reshape(-1)[site.index]),
            faulty_word=int(judge.golden.graph.tensors[site.tensor].words.reshape(-1)[site.index]),
            metric=judge.metric(),
            decisions_changed=int(search.judge.decision.differs(search.judge.golden_values, judge.golden_values).sum()),
            judged=len(sites),
            confirmed=same_words and bool(moved == decisions[best]),
        )
        if search.chance is not None and sign * judge.metric() <= sign * search.chance:
            return
        rest = order[1:]
        if step == 0 and search.candidates is not None:
            rest = rest[: search.candidates]
        sites = sites.take(np.sort(rest))


def _with_flip(judge: Judge, site: SiteTable) -> tuple[Judge, bool]:
    """The judge of the network with one more flip, and whether its run gives the words that the cached path gives."""
    golden = judge.golden
    changed = propagate(golden, site, *faulty_words(golden.graph, site, "flip"))
    expected = golden.output.astype(np.int64)
    expected[changed.sample] = changed.output
    faulty = golden_run(golden.graph.with_words([change_at(golden.graph, site.site(0), "flip")]), golden.inputs)
    return replace(judge, golden=faulty), bool(np.array_equal(faulty.output, expected))
