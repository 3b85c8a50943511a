"""One comparison of a run: audit, build, run both executors, verdict, float references, record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgeval.compare import error_statistics
from edgeval.evaluation import run_metric
from edgeval.export import load_onnx
from edgeval.fingerprint import digest_arrays, digest_file, make_fingerprint
from edgeval.pipeline import export_record
from edgeval.progress import progress, say
from edgeval.records import CompareRecord, ErrorStatistics, Fingerprint, RunRecord, save_record
from edgeval.run_directory import RunDirectory, Samples, load_samples
from edgeval.verdict import ComparedWords, audit_verdict, judge
from edgeval.witness import execute_qonnx
from fault_injection.faults import change_at
from fault_injection.outcomes import Decision
from fault_injection.sites import Site, parse_site
from hls.csim import CSimulation, build_csim, open_csim
from hls.engine import ExactEngine
from hls.errors import LoweringError
from hls.formats import Words
from hls.graph import IntegerGraph
from hls.hls4ml_flow.audit import audit_project
from hls.hls4ml_flow.canonical import canonical_model
from hls.hls4ml_flow.manifest import MANIFEST_FILE, load_manifest
from hls.serialize import digest

_BATCH = 64
"""Samples a request: small enough to show progress, large enough to keep the workers busy."""


def compare_run(
    run: RunDirectory,
    *,
    inputs: Path | None = None,
    samples: int | None = None,
    poke: str | None = None,
    workers: int | None = None,
) -> CompareRecord:
    """Compare the C-simulation of a run with the exact engine, and save the record.

    Args:
        run: An exported run.
        inputs: Samples other than the run's own.
        samples: Only the first so many.
        poke: A stored bit to flip in the C-simulation, as TENSOR:INDEX:BIT.
        workers: Processes of the C-simulation.

    Raises:
        LoweringError: the network has a layer that hls4ml cannot hold. ToolError: compiler or C-simulation failed.
        InputError, UsageError, RunDirectoryError: bad samples, site or run.
    """
    record = run.run_record()
    graph = run.network()
    _require_project(run, graph)
    site = None if poke is None else parse_site(graph, poke)
    chosen = (run.samples() if inputs is None else load_samples(inputs, inputs.name)).first(samples)
    words = graph.quantize_inputs(chosen.inputs)
    manifest = load_manifest(run.project)
    findings = audit_project(graph, run.project, manifest)
    references: tuple[ErrorStatistics, ...] = ()
    audit = tuple(str(finding) for finding in findings)
    if findings:
        verdict, build = audit_verdict(findings), None
    else:
        build = build_csim(run.project, say)
        with open_csim(graph, build, workers=workers) as csim:
            compared = _run_both(graph, csim, words, site)
        verdict = judge(graph, words, compared, site)
        references = _references(run, record, graph, chosen, compared.csim[graph.output])
        audit = tuple(
            f"{finding}: the cache entry {build.library.parent} is damaged; delete it" for finding in compared.loaded
        )
    result = CompareRecord(
        fingerprint=_fingerprint(graph, run, chosen, poke),
        verdict=verdict.kind,
        headline=verdict.headline,
        samples=len(words),
        words=sum(layer.words for layer in verdict.layers),
        differing=sum(layer.differing for layer in verdict.layers),
        layers=verdict.layers,
        first=verdict.first,
        audit=audit,
        poke=None if site is None else str(site),
        inputs=chosen.origin,
        references=references,
        backend=manifest.backend,
        io_type=manifest.io_type,
        compiler=build.compiler if build else "nothing was compiled",
        compiled=bool(build and build.compiled),
    )
    save_record(result, run.record_file("csim-compare" if poke is None else "csim-compare-poked"))
    return result


def _require_project(run: RunDirectory, graph: IntegerGraph) -> None:
    """A network that hls4ml cannot hold is refused by layer, whatever an older project in the folder says."""
    refused = export_record(run).refused
    if refused is not None:
        canonical_model(graph)  # raises with layer, reason and remedy
        raise LoweringError(
            found=refused, allowed="a network hls4ml can hold", where=str(run.path), remedy="export the run again"
        )


def _run_both(graph: IntegerGraph, csim: CSimulation, words: Words, site: Site | None) -> ComparedWords:
    flipped = csim if site is None else csim.with_words([change_at(graph, site, "flip")])
    order = tuple(node.output for node in graph.compute_nodes if node.output in csim.tappable())
    # Every value, not only the compared ones: saturations are counted in front of layers that hls4ml fused, too.
    engine = ExactEngine(graph).run(words, [node.output for node in graph.compute_nodes])
    parts: dict[str, list[Words]] = {value: [] for value in order}
    batch = _BATCH * len(csim.workers)
    with progress("C-simulation") as advance:
        for start in range(0, len(words), batch):
            execution = flipped.run(words[start : start + batch], order[:-1])
            for value in order[:-1]:
                parts[value].append(execution.taps[value])
            parts[graph.output].append(execution.output)  # the port itself, not the trace of the last layer
            advance(min(start + batch, len(words)), len(words))
    predicted = None
    if site is not None:
        faulty = graph.with_words([change_at(graph, site, "flip")])
        predicted = ExactEngine(faulty).run(words, order).taps
    return ComparedWords(
        order=order,
        csim={value: np.concatenate(found) for value, found in parts.items()},
        engine=engine.taps,
        predicted=predicted,
        loaded=tuple(_foreign_words(graph, csim)),
    )


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
) -> tuple[ErrorStatistics, ...]:
    """Float references against the C-simulation's outputs: the QONNX file, and the float model where there is one."""
    sources = {"QONNX in float32": execute_qonnx(load_onnx(run.onnx_file), samples.inputs)}
    if samples.float_outputs is not None:
        sources["float model"] = samples.float_outputs
    return tuple(
        error_statistics(
            name,
            expected,
            graph.output_values(output),
            unit=float(np.min(graph.output_scale)),
            decision=Decision(kind="argmax" if record.task == "classification" else "tolerance"),
            metric=run_metric(record),
            labels=samples.labels,
        )
        for name, expected in sources.items()
    )


def _fingerprint(graph: IntegerGraph, run: RunDirectory, samples: Samples, poke: str | None) -> Fingerprint:
    return make_fingerprint(
        "csim-compare",
        {"samples": len(samples.inputs), "inputs": samples.origin, "poke": poke},
        seeds={},
        digests={
            "network": digest(graph),
            "inputs": digest_arrays({"inputs": samples.inputs}),
            "project": digest_file(run.project / MANIFEST_FILE),
        },
    )
