"""A run as it is now: made anew, executed in both executors, judged; in the very form in which it would be locked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from edgeval.comparison import compare_project
from edgeval.evaluation import run_metric
from edgeval.fingerprint import installed_versions
from edgeval.records import ExportRecord, MetricValue
from edgeval.regression.attribution import COMPILER, TOOLS
from edgeval.regression.baseline import GoldenSample, LockedFaults, LockedRun, LockedWords
from edgeval.regression.damage import chosen_faults, measure_faults
from edgeval.regression.locked_words import (
    golden_inputs,
    golden_outputs,
    golden_samples,
    layer_words,
    sample_block,
    value_blocks,
)
from edgeval.regression.recompute import locked_model, locked_options, recomputed
from edgeval.regression.stored_network import (
    locked_network,
    locked_tensors,
    network_types,
    project_types,
    stored_bits,
)
from edgeval.regression.vendor_reports import vendor_report
from edgeval.run_directory import RunDirectory
from edgeval.word_comparison import metric_value
from hls.errors import InputError, RunDirectoryError, ToolError
from hls.formats import Words
from hls.graph import IntegerGraph
from hls.hls4ml_flow import load_manifest
from hls.hls4ml_flow.audit import audit_project
from hls.serialize import digest
from hls.toolchain import find_compiler


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is measured.

    Attributes:
        faults: Faults to judge; ``None`` for as many as are affordable.
        seed: Of their draw.
        tolerance: Of a regression's decision, in the metric's unit; ``None`` for its default.
        golden: Samples to run; ``None`` to choose them.
        workers: Processes; ``None`` for the cores at hand.
    """

    faults: int | Literal["all"] | None = None
    seed: int = 0
    tolerance: float | None = None
    golden: Sequence[GoldenSample] | None = None
    workers: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """What the C-simulation said.

    Attributes:
        kind: ``refused`` where hls4ml has no such network, ``no_compiler`` where this machine has none, ``failed``
            where it was not built or did not run.
        text: Verdict or reason.
        remedy: For all but a match.
    """

    kind: Literal["match", "differ", "no_verdict", "failed", "refused", "no_compiler"]
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A run as it is now.

    Attributes:
        run: In the form of the baseline.
        graph: Its integer network, made anew.
        inputs: Real inputs of its evaluation set.
        simulated: Its C-simulation.
        wrong_faults: Why its campaign of faults cannot be believed; empty where it can.
        stale: Why the run's own export is not what was made anew; empty where it is.
        report_note: Why there is no synthesis report.
        seconds: By gate.
    """

    run: LockedRun
    graph: IntegerGraph
    inputs: np.ndarray
    simulated: Simulated
    wrong_faults: str
    stale: str
    report_note: str
    seconds: dict[str, float] = field(default_factory=dict)


def observe(run: RunDirectory, name: str, path: str, asked: Asked) -> Observation:
    """Make a run anew and measure it.

    Args:
        run: An exported run; nothing is written into it.
        name: In the baseline.
        path: In the baseline.
        asked: What is measured.

    Raises:
        RunDirectoryError: no run, or damaged. UsageError: not of the exact flow.
        LoweringError, InputError, ToolError: its model cannot be exported as it was.
    """
    seconds: dict[str, float] = {}
    clock = time.monotonic()
    with recomputed(run) as (copy, export):
        graph, samples, record = copy.network(), copy.samples(), copy.run_record()
        inputs = graph.quantize_inputs(samples.inputs)
        seconds["network"], clock = time.monotonic() - clock, time.monotonic()
        golden = golden_samples(graph, inputs) if asked.golden is None else golden_outputs(graph, asked.golden)
        words = LockedWords(samples=len(inputs), data=samples.digest, layers=layer_words(graph, inputs), golden=golden)
        metric = _metric(copy, graph, inputs)
        seconds["words"], clock = time.monotonic() - clock, time.monotonic()
        simulated = _simulated(graph, copy, export, _with_golden(graph, inputs, golden), asked.workers)
        seconds["csim"], clock = time.monotonic() - clock, time.monotonic()
        faults, wrong = _faults(copy, asked)
        seconds["faults"] = time.monotonic() - clock
        stale = _stale(run, graph, export)
        report = None if stale else vendor_report(run.project)
        locked = LockedRun(
            name=name,
            path=path,
            source=record.source,
            task=record.task,
            model=locked_model(copy if record.recipe is None else run),
            options=locked_options(export),
            versions=tool_versions(),
            stored_bits=stored_bits(graph),
            metric=metric,
            faults=faults,
            csim=simulated.kind if simulated.kind in ("match", "refused") else simulated.text,
            report=report,
            types=network_types(graph) if export.refused else project_types(graph, load_manifest(copy.project)),
            network=locked_network(graph),
            words=words,
            tensors=locked_tensors(graph),
        )
    return Observation(
        run=locked,
        graph=graph,
        inputs=samples.inputs,
        simulated=simulated,
        wrong_faults=wrong,
        stale=stale,
        report_note=_report_note(run, stale),
        seconds=seconds,
    )


def _faults(run: RunDirectory, asked: Asked) -> tuple[LockedFaults, str]:
    """Damage of faults, and why none of it can be believed; empty where it can."""
    count = chosen_faults(run, asked.faults)
    try:
        return measure_faults(run, count, seed=asked.seed, tolerance=asked.tolerance, workers=asked.workers), ""
    except ToolError as error:  # its kernels are compiled, too
        return LockedFaults(skipped=error.found), ""
    except InputError as error:
        return LockedFaults(skipped=error.found), error.found


def tool_versions() -> dict[str, str]:
    """Versions of everything that can change a word; absent packages and an absent compiler are left out."""
    installed = installed_versions()
    versions = {name: installed[name] for name in TOOLS if name in installed}
    try:
        return {**versions, COMPILER: find_compiler().version}
    except ToolError:
        return versions


def existing_run(path: Path) -> RunDirectory:
    """A run that is to be measured.

    Raises:
        RunDirectoryError: it is none, or not exported.
    """
    run = RunDirectory(path)
    if path.is_file():
        raise RunDirectoryError(
            found="a file",
            allowed="a run directory",
            where=str(path),
            remedy=f"run `edgeval export {path} -o RUN` first",
        )
    run.run_record()
    run.network()
    return run


def _metric(run: RunDirectory, graph: IntegerGraph, inputs: Words) -> MetricValue | None:
    samples = run.samples()
    if samples.labels is None:
        return None
    blocks = value_blocks(graph, inputs, sample_block(graph))
    values = graph.output_values(np.concatenate([words[graph.output] for words in blocks]))
    metric = run_metric(run.run_record())
    return metric_value(metric, metric.value(values.reshape(len(values), -1), samples.labels))


def _with_golden(graph: IntegerGraph, inputs: Words, golden: Sequence[GoldenSample]) -> Words:
    extra = golden_inputs(graph, golden)
    return inputs if extra is None else np.concatenate([inputs, extra])


def _simulated(
    graph: IntegerGraph, run: RunDirectory, export: ExportRecord, words: Words, workers: int | None
) -> Simulated:
    if export.refused is not None:
        return Simulated(
            kind="refused",
            text=f"hls4ml cannot hold this network: {export.refused}",
            remedy="export it with a back end or interface that can",
        )
    try:
        find_compiler()
    except ToolError as error:
        return Simulated(kind="no_compiler", text=f"no C-simulation was run: {error.found}", remedy=error.remedy)
    try:
        found = compare_project(graph, run.project, words, workers=workers)
    except ToolError as error:
        return Simulated(kind="failed", text=f"the C-simulation failed: {error.found}", remedy=error.remedy)
    remedy = "" if found.verdict.kind == "match" else "run `edgeval csim-compare` on this run; it names layer and cause"
    return Simulated(kind=found.verdict.kind, text=found.verdict.headline, remedy=remedy)


def _stale(run: RunDirectory, graph: IntegerGraph, export: ExportRecord) -> str:
    """Why what lies in a run is not what its model gives: what is built for a chip is made from those files."""
    if digest(run.network()) != digest(graph):
        return "network.npz is not what the run's model gives with the tools installed now"
    if export.refused is not None:
        return ""
    try:
        manifest = load_manifest(run.project)
        if manifest.network_digest != digest(graph):
            return f"{run.project.name}/ is the project of another network"
        findings = audit_project(graph, run.project, manifest)
    except RunDirectoryError as error:
        return f"{error.where}: {error.found}"
    return f"{run.project.name}/ departs from the network: {findings[0]}" if findings else ""


def _report_note(run: RunDirectory, stale: str) -> str:
    return stale or f"no synthesis report in {run.project.name}/"
