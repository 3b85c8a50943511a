"""One comparison of a run: audit, build, run both executors, verdict, float references, record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np

from edgeval.error_histogram import ErrorHistogram, error_histogram, histograms
from edgeval.evaluation import network_outputs, run_metric
from edgeval.evidence import ComparedWords, Evidence, csim_histograms, gather, merged
from edgeval.fingerprint import digest_arrays, digest_file, make_fingerprint
from edgeval.pipeline import WITNESS, export_record, lowered_run, witness_report, witness_statistics
from edgeval.progress import Advance, progress, say
from edgeval.records import CompareRecord, ErrorStatistics, Fingerprint, RunRecord, save_record
from edgeval.run_directory import RunDirectory, Samples, load_samples
from edgeval.verdict import Verdict, audit_verdict, judge
from edgeval.word_comparison import error_statistics
from fault_injection.faults import change_at
from fault_injection.outcomes import Decision
from fault_injection.sites import Site, parse_site
from hls.csim import Build, CSimulation, build_csim, open_csim
from hls.engine import ExactEngine
from hls.errors import LoweringError
from hls.formats import Words
from hls.graph import IntegerGraph, WordChange
from hls.hls4ml_flow.audit import audit_project
from hls.hls4ml_flow.canonical import canonical_model
from hls.hls4ml_flow.manifest import MANIFEST_FILE, Manifest, load_manifest
from hls.hls4ml_flow.options import ProjectOptions
from hls.hls4ml_flow.project import write_project
from hls.serialize import digest

_BATCH = 64
"""Samples a request and worker: small enough to show progress, large enough to keep the workers busy."""
_BLOCK_WORDS = 1 << 26
"""Words of all values of one block, in each executor: 512 MB of int64. Images may need more for one sample a worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectComparison:
    """One hls4ml project against the exact engine.

    Attributes:
        verdict: Outcome; of the audit alone where that found something.
        manifest: Of the project.
        audit: Findings of the audit, or stored words that the loaded library holds otherwise.
        build: ``None`` where nothing was compiled.
        output: Output words of the C-simulation, ``None`` where nothing ran.
        histograms: How far its words are from the exact engine's, layer by layer.
    """

    verdict: Verdict
    manifest: Manifest
    audit: tuple[str, ...]
    build: Build | None
    output: Words | None
    histograms: tuple[ErrorHistogram, ...] = ()


def compare_project(
    graph: IntegerGraph, project: Path, words: Words, *, site: Site | None = None, workers: int | None = None
) -> ProjectComparison:
    """Audit a project, build its C-simulation, run both executors and judge.

    Args:
        graph: The network the project was written from.
        project: Folder of the project.
        words: Input words.
        site: A stored bit to flip in the C-simulation.
        workers: Processes of the C-simulation.

    Raises:
        ToolError: compiler or C-simulation failed. RunDirectoryError: the project is not of this network.
    """
    manifest = load_manifest(project)
    findings = audit_project(graph, project, manifest)
    if findings:
        audit = tuple(str(finding) for finding in findings)
        return ProjectComparison(
            verdict=audit_verdict(findings), manifest=manifest, audit=audit, build=None, output=None
        )
    build = build_csim(project, say)
    change = [] if site is None else [change_at(graph, site, "flip")]
    faulty = ExactEngine(graph.with_words(change)) if change else None
    with open_csim(graph, build, workers=workers) as csim, progress("C-simulation") as advance:
        evidence = run_both(graph, csim, words, changes=change, predicted=faulty, advance=advance)
    return ProjectComparison(
        verdict=judge(graph, evidence, site),
        manifest=manifest,
        audit=tuple(
            f"{finding}: the cache entry {build.library.parent} is damaged; delete it" for finding in evidence.loaded
        ),
        build=build,
        output=evidence.output,
        histograms=csim_histograms(evidence),
    )


def compare_run(
    run: RunDirectory,
    *,
    inputs: Path | None = None,
    samples: int | None = None,
    poke: str | None = None,
    workers: int | None = None,
    other: ProjectOptions | None = None,
) -> CompareRecord:
    """Compare the C-simulation of a run with the exact engine, and save the record.

    Args:
        run: An exported run.
        inputs: Samples other than the run's own.
        samples: Only the first so many.
        poke: A stored bit to flip in the C-simulation, as TENSOR:INDEX:BIT.
        workers: Processes of the C-simulation.
        other: Options of another project to write and compare in place of the run's own.

    Raises:
        LoweringError: the network has a layer that hls4ml cannot hold. ToolError: compiler or C-simulation failed.
        InputError, UsageError, RunDirectoryError: bad samples, site or run.
    """
    record = run.run_record()
    graph = run.network()
    if export_record(run).flow != "exact":
        from edgeval.native_comparison import compare_native

        return compare_native(run, inputs=inputs, samples=samples, poke=poke, workers=workers)
    require_project(run, graph)
    site = None if poke is None else parse_site(graph, poke)
    chosen = chosen_samples(run, inputs, samples)
    words = graph.quantize_inputs(chosen.inputs)
    project, name = run.project, "csim-compare"
    if other is not None:
        project = other_project(run, other)
        name = f"{name}-{project.name}"
        write_project(graph, project, other)
    found = compare_project(graph, project, words, site=site, workers=workers)
    verdict, build = found.verdict, found.build
    references: tuple[ErrorStatistics, ...] = ()
    float_histograms: tuple[ErrorHistogram, ...] = ()
    if found.output is not None:
        references, float_histograms = _references(run, record, graph, chosen, found.output)
    result = CompareRecord(
        fingerprint=_fingerprint(graph, project, chosen, poke),
        verdict=verdict.kind,
        headline=verdict.headline,
        samples=len(words),
        words=sum(layer.words for layer in verdict.layers),
        differing=sum(layer.differing for layer in verdict.layers),
        layers=verdict.layers,
        first=verdict.first,
        audit=found.audit,
        poke=None if site is None else str(site),
        inputs=chosen.origin,
        references=references,
        backend=found.manifest.backend,
        io_type=found.manifest.io_type,
        compiler=build.compiler if build else "nothing was compiled",
        compiled=bool(build and build.compiled),
        histograms=(*found.histograms, *float_histograms),
    )
    save_record(result, run.record_file(name if poke is None else f"{name}-poked"))
    return result


def chosen_samples(run: RunDirectory, inputs: Path | None, samples: int | None) -> Samples:
    """The run's own evaluation set or the given file's, cut to the first so many."""
    return (run.samples() if inputs is None else load_samples(inputs, inputs.name)).first(samples)


def other_project(run: RunDirectory, options: ProjectOptions) -> Path:
    """Where a project beside the run's own lies."""
    return run.path / "backends" / f"{options.backend}-{options.io_type}-{options.strategy}"


def require_project(run: RunDirectory, graph: IntegerGraph) -> None:
    """A network that hls4ml cannot hold is refused by layer, whatever an older project in the folder says."""
    refused = export_record(run).refused
    if refused is not None:
        canonical_model(graph)  # raises with layer, reason and remedy
        raise LoweringError(
            found=refused, allowed="a network hls4ml can hold", where=str(run.path), remedy="export the run again"
        )


def run_both(
    graph: IntegerGraph,
    csim: CSimulation,
    words: Words,
    *,
    changes: Sequence[WordChange] = (),
    predicted: ExactEngine | None = None,
    advance: Advance = lambda done, total: None,
) -> Evidence:
    """Run both executors on the same words.

    Args:
        graph: The network, for the exact engine.
        csim: The C-simulation.
        words: Input words.
        changes: Stored words to replace in the C-simulation, for this run.
        predicted: What the C-simulation is to compute then, where that is not what the network does.
        advance: Told how many samples are done, and of how many.
    """
    run = csim.with_words(changes) if changes else csim
    inside = [node.output for node in graph.compute_nodes if node.output in csim.tappable()]
    # A last layer that only copies has no trace of its own, but the port does.
    order = (*(value for value in inside if value != graph.output), graph.output)
    # Every value, not only the compared ones: saturations are counted in front of layers that hls4ml fused, too.
    every = tuple(node.output for node in graph.compute_nodes)
    size = _block_samples(graph, every, len(csim.workers))
    evidence: Evidence | None = None
    for start in range(0, len(words), size):
        block = words[start : start + size]
        execution = run.run(block, order[:-1])
        compared = ComparedWords(
            order=order,
            csim={**execution.taps, graph.output: execution.output},  # the port itself, not its layer's trace
            engine=ExactEngine(graph).run(block, every).taps,
            predicted=None if predicted is None else predicted.run(block, order).taps,
        )
        seen = gather(graph, block, compared)
        evidence = seen if evidence is None else merged(evidence, seen)
        advance(min(start + size, len(words)), len(words))
    assert evidence is not None, "quantize_inputs refuses an empty set"
    return replace(evidence, loaded=tuple(_foreign_words(graph, csim)))


def _block_samples(graph: IntegerGraph, values: tuple[str, ...], workers: int) -> int:
    """Samples that are compared at once: enough for every worker, as many as memory likes."""
    sample_words = sum(prod(graph.values[value].shape) for value in values)
    return max(workers, min(_BATCH * workers, _BLOCK_WORDS // sample_words))


def _foreign_words(graph: IntegerGraph, csim: CSimulation) -> Iterator[str]:
    """First word of each tensor that the loaded library holds otherwise than the network, e.g. from a damaged cache."""
    for name, tensor in graph.tensors.items():
        loaded, expected = csim.stored_words(name), tensor.executor_words()
        wrong = np.flatnonzero(loaded != expected)
        if wrong.size:
            index = int(wrong[0])
            yield f"{name}[{index}] is {loaded.flat[index]} instead of {expected.flat[index]}"


def _references(
    run: RunDirectory, record: RunRecord, graph: IntegerGraph, samples: Samples, output: Words
) -> tuple[tuple[ErrorStatistics, ...], tuple[ErrorHistogram, ...]]:
    """Float references against the C-simulation's outputs: the QONNX file, and the float model where there is one."""
    report = witness_report(lowered_run(run, record), samples)
    references = [witness_statistics(graph, report, record, samples)]
    unit = float(np.min(np.abs(graph.output_scale)))
    spread = [*histograms(WITNESS, report.errors)]
    if graph.output not in report.errors:
        beside = report.outputs - network_outputs(graph, samples.inputs)
        spread.append(error_histogram(WITNESS, graph.output, beside / unit))
    if samples.float_outputs is not None:
        values = graph.output_values(output)
        computed = values.reshape(len(values), -1)
        spread.append(error_histogram("float model", graph.output, (samples.float_outputs - computed) / unit))
        references.append(
            error_statistics(
                "float model",
                samples.float_outputs,
                computed,
                unit=unit,
                decision=Decision(kind="argmax" if record.task == "classification" else "tolerance"),
                metric=run_metric(record),
                labels=samples.labels,
            )
        )
    return tuple(references), tuple(spread)


def _fingerprint(graph: IntegerGraph, project: Path, samples: Samples, poke: str | None) -> Fingerprint:
    return make_fingerprint(
        "csim-compare",
        {"samples": len(samples.inputs), "inputs": samples.origin, "poke": poke},
        seeds={},
        digests={
            "network": digest(graph),
            "inputs": digest_arrays({"inputs": samples.inputs}),
            "project": digest_file(project / MANIFEST_FILE),
        },
    )
