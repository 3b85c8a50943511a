"""Rank every stored bit of a run, and score all rankings against the exhaustive oracle."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from edgeval.bit_ranking import DERIVATIVE_METHODS, HessianOptions, Ranker
from edgeval.evaluation import network_outputs, run_metric
from edgeval.fingerprint import digest_arrays, identity, make_fingerprint
from edgeval.metrics import CROSS_ENTROPY, Metric
from edgeval.progress import progress
from edgeval.ranking_record import MethodScore, Oracle, RankedBit, RankRecord
from edgeval.records import RunRecord, save_record
from edgeval.run_directory import RunDirectory, Samples, load_samples
from edgeval.sensitivities import LossKind, Sensitivities
from edgeval.word_comparison import metric_value
from fault_injection.adaptive import adaptive_order, bit_lists
from fault_injection.campaign import TABLE, Campaign, run_campaign
from fault_injection.fault_list import StoredBits
from fault_injection.flips import Flips, flips_of
from fault_injection.golden import golden_run
from fault_injection.outcomes import Decision, Judge
from fault_injection.ranking import METHODS, Method, Ranking, by_damage
from fault_injection.ranking_score import harm, score_ranking
from fault_injection.shards import ThisProcess
from fault_injection.sites import all_sites
from hls.environment import usable_cores
from hls.errors import UsageError
from hls.files import atomic_write
from hls.graph import IntegerGraph
from hls.serialize import digest

ADAPTIVE = "adaptive"
"""PrioriFI's order, which measures every bit; scored beside the rankings that do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankOptions:
    """What is ranked by, and what is printed.

    Attributes:
        method: Of the ranking that is saved.
        top: Bits in the record.
        samples: Only the first of the evaluation set; ``None`` for all.
        seed: Of the random order and of the eigenvectors' start.
        hessian: FKeras' choices.
        score: Measure the damage of every bit, and score all methods.
    """

    method: Method = "fisher"
    top: int = 20
    samples: int | None = None
    seed: int = 0
    hessian: HessianOptions = HessianOptions()  # noqa: RUF009  # frozen: one default for all is what is meant
    score: bool = False


def rank_run(
    run: RunDirectory, options: RankOptions, inputs: Path | None = None, calibration: Path | None = None
) -> RankRecord:
    """Rank the stored bits of a run, and save ranking and record.

    Args:
        run: An exported run.
        options: Method and size.
        inputs: Samples in place of the run's evaluation set.
        calibration: Samples that derivatives and finite differences are taken on; the evaluation set if ``None``.

    Raises:
        UsageError: an option out of range, or a method that the network does not have. InputError: samples that
            cannot be used. RunDirectoryError: see ``RunDirectory``.
    """
    if options.top < 1:
        raise UsageError(found=str(options.top), allowed="1 or more", where="--top", remedy="give a positive number")
    started = time.monotonic()
    record, graph = run.run_record(), run.network()
    samples = (run.samples() if inputs is None else load_samples(inputs, inputs.name)).first(options.samples)
    calibrated = samples if calibration is None else load_samples(calibration, calibration.name)
    metric = loss_metric(record)
    judge, trial = (loss_judge(graph, part, metric) for part in (samples, calibrated))
    flips = flips_of(graph, all_sites(graph))
    ranker = Ranker(
        flips, trial, lambda: _sensitivities(graph, trial, record), seed=options.seed, hessian=options.hessian
    )
    ranking = ranker.ranking(options.method)
    fingerprint = make_fingerprint(
        "rank-bits",
        {"method": options.method, "top": options.top, "score": options.score, **asdict(options.hessian)},
        seeds={"ranking": options.seed},
        digests={"network": digest(graph), "data": samples.digest, "calibration": calibrated.digest},
    )
    columns = _columns(flips, ranking)
    oracle: Oracle | None = None
    scores: tuple[MethodScore, ...] = ()
    left_out: tuple[str, ...] = ()
    if options.score:
        damage, found = oracle_damage(run, judge, flips, metric.name)
        oracle = _oracle(damage, found=found)
        rankings, left_out = all_rankings(ranker, damage, {options.method: ranking})
        scores = _scores(rankings, damage)
        columns |= {"damage": damage} | {f"rank_{name}": other.rank for name, other in rankings.items()}
    file = f"rankings/{identity(fingerprint)}.parquet"
    _write_table(run.path / file, pa.table(columns))
    result = RankRecord(
        fingerprint=fingerprint,
        method=options.method,
        ranking=file,
        sites=len(flips),
        samples=len(samples.inputs),
        calibration=calibrated.origin,
        calibration_samples=len(calibrated.inputs),
        loss=metric_value(metric, judge.metric()),
        label_relative=samples.labels is not None,
        top=_top(flips, ranking, options.top),
        oracle=oracle,
        scores=scores,
        left_out=left_out,
        seconds=time.monotonic() - started,
    )
    save_record(result, run.record_file("rank-bits"))
    return result


def loss_metric(record: RunRecord) -> Metric:
    """What damage is counted in: the cross-entropy of a classification, a regression's own error."""
    return CROSS_ENTROPY if record.task == "classification" else run_metric(record)


def loss_judge(graph: IntegerGraph, samples: Samples, metric: Metric) -> Judge:
    """Judges faults by a loss.

    Raises:
        InputError: labels that do not fit the network's outputs.
    """
    if samples.labels is not None:
        metric.value(network_outputs(graph, samples.inputs), samples.labels)
    return Judge(
        golden=golden_run(graph, graph.quantize_inputs(samples.inputs)),
        # Says what the reference is where there are no labels: the answers' classes, or the answers.
        decision=Decision(kind="argmax" if metric.classes else "tolerance"),
        labels=samples.labels,
        per_sample=metric.per_sample,
        finish=metric.finish,
    )


def all_rankings(
    ranker: Ranker, damage: np.ndarray, known: Mapping[Method, Ranking]
) -> tuple[dict[str, Ranking], tuple[str, ...]]:
    """Every ranking of a network, the adaptive one and the oracle, and which methods it has not.

    Args:
        ranker: Makes them.
        damage: Of every site.
        known: Those that were made already.
    """
    rankings: dict[str, Ranking] = {}
    left_out: tuple[str, ...] = ()
    with progress("rankings") as advance:
        for done, method in enumerate(METHODS):
            try:
                rankings[method] = known[method] if method in known else ranker.ranking(method)
            except UsageError as error:
                if method not in DERIVATIVE_METHODS:
                    raise
                left_out = (*left_out, f"{method}: {error.where}: {error.found}")
            advance(done + 1, len(METHODS))
    planes = bit_lists(ranker.flips, rankings.get("hessian", rankings["msb-first"]))
    harms = harm(damage)
    order = adaptive_order(planes, lambda row: float(harms[row]))
    rankings[ADAPTIVE] = Ranking(method=ADAPTIVE, order=order, score=harms)
    return {**rankings, "oracle": by_damage(damage)}, left_out


def oracle_damage(run: RunDirectory, judge: Judge, flips: Flips, loss: str) -> tuple[np.ndarray, bool]:
    """Rise of the loss under the flip of every stored bit: a campaign that is resumed, and found when it is whole.

    Returns:
        One number a site, and whether it was found in the run.

    Raises:
        RunDirectoryError: an earlier measurement is damaged, or another process is at work on it.
    """
    arrays = {"inputs": judge.golden.inputs, "labels": judge.reference}
    fingerprint = make_fingerprint(
        "rank-bits oracle",
        {"loss": loss, "fault": "flip"},
        seeds={},
        digests={"network": digest(judge.golden.graph), "data": digest_arrays(arrays)},
    )
    name = identity(fingerprint)
    folder = run.path / "rankings" / f"oracle-{name}"
    found = (folder / f"{TABLE}.parquet").exists()
    campaign = Campaign(judge=judge, faults=StoredBits(sites=flips.sites, model="flip"))
    with progress("faults") as advance:
        place = ThisProcess(threads=usable_cores())
        outcomes = run_campaign(campaign, folder, advance, place=place, fingerprint=name)
    return np.asarray(outcomes["metric_change"].to_numpy()), found


def _sensitivities(graph: IntegerGraph, judge: Judge, record: RunRecord) -> Sensitivities:
    loss: LossKind = "cross-entropy" if record.task == "classification" else "squared-error"
    return Sensitivities(graph, judge.golden.inputs, judge.reference, loss)


def _columns(flips: Flips, ranking: Ranking) -> dict[str, object]:
    sites = flips.sites
    return {
        "site": sites.number,
        "tensor": pa.DictionaryArray.from_arrays(pa.array(sites.tensor, pa.int32()), list(sites.tensors)),
        "index": sites.index,
        "bit": sites.bit,
        "golden_word": flips.words,
        "delta": flips.delta,
        "score": ranking.score,
        "rank": ranking.rank,
    }


def _top(flips: Flips, ranking: Ranking, count: int) -> tuple[RankedBit, ...]:
    return tuple(
        RankedBit(
            site=str(flips.sites.site(row)),
            word=int(flips.words[row]),
            delta=int(flips.delta[row]),
            score=float(ranking.score[row]),
        )
        for row in ranking.order[:count].tolist()
    )


def _oracle(damage: np.ndarray, *, found: bool) -> Oracle:
    harms = harm(damage)
    return Oracle(
        harm=float(harms.sum()),
        improvement=float((harms - damage).sum()),
        harmful=int((damage > 0).sum()),
        found=found,
    )


def _scores(rankings: Mapping[str, Ranking], damage: np.ndarray) -> tuple[MethodScore, ...]:
    scores = [
        MethodScore(method=name, **asdict(score_ranking(damage, ranking.order))) for name, ranking in rankings.items()
    ]
    return tuple(sorted(scores, key=lambda score: -(score.area or 0.0)))


def _write_table(path: Path, table: pa.Table) -> None:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    atomic_write(path, buffer.getvalue())
