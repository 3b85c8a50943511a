"""One comparison of a native project: weight audit, build, run, verdict by layers, diagnosis, record."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from edgeval.brevitas_export import load_onnx
from edgeval.diagnosis import diagnose, diagnose_weights
from edgeval.diagnosis.remedies import Trial
from edgeval.diagnosis.weights import foreign_weights
from edgeval.diagnosis_record import Diagnosis
from edgeval.error_histogram import error_histogram
from edgeval.evaluation import run_metric
from edgeval.fingerprint import digest_arrays, digest_file, make_fingerprint
from edgeval.native import LayerValues, NativeCase, NativeValues, compare_values, open_case, require_same_meaning
from edgeval.native_export import Flow
from edgeval.pipeline import input_words_of
from edgeval.progress import say
from edgeval.records import (
    CompareRecord,
    ErrorHistogram,
    ErrorStatistics,
    FirstDifference,
    LayerVerdict,
    RunRecord,
    save_record,
)
from edgeval.run_directory import RunDirectory, Samples, load_samples
from edgeval.word_comparison import error_statistics, no_evidence, saturations
from fault_injection.outcomes import Decision
from hls.csim.native import NativeBuild, build_native, open_native
from hls.errors import UsageError
from hls.graph import IntegerGraph
from hls.hls4ml_flow.native import NATIVE_FILE, load_native_manifest
from hls.nodes import inputs_of
from hls.serialize import digest


def compare_native(
    run: RunDirectory,
    *,
    inputs: Path | None = None,
    samples: int | None = None,
    poke: str | None = None,
    workers: int | None = None,
) -> CompareRecord:
    """Compare a native project of a run with its integer network, diagnose a difference, and save the record.

    Args:
        run: A run exported with ``--flow native`` or ``--project``.
        inputs: Samples other than the run's own.
        samples: Only the first so many.
        workers: Processes of the C-simulation.
        poke: Refused: stored bits are poked in projects of the exact flow.

    Raises:
        UsageError: a poke. ToolError: compiler or C-simulation failed. RunDirectoryError: the project cannot be read.
    """
    if poke is not None:
        raise UsageError(
            found=f"--poke {poke} with a native project",
            allowed="--poke with a project of the exact flow, whose every stored bit has a place",
            where="edgeval csim-compare",
            remedy="export with --flow exact",
        )
    record, network = run.run_record(), run.network()
    chosen = (run.samples() if inputs is None else load_samples(inputs, inputs.name)).first(samples)
    values_in = np.asarray(chosen.inputs, np.float64)
    network.quantize_inputs(values_in)
    manifest = load_native_manifest(run.native)
    input_format = input_words_of(record)
    case = open_case(run.native, network, input_format)
    require_same_meaning(case, network, values_in)
    model = load_onnx(run.onnx_file)
    wrong = tuple(foreign_weights(case))
    values: NativeValues | None = None
    build: NativeBuild | None = None
    if wrong:
        trial = Trial(
            case=case, network=network, model=model, manifest=manifest, input_format=input_format,
            inputs=values_in[:64], failing=wrong[0].alignment.layer.name,
        )  # fmt: skip
        found = diagnose_weights(wrong[0], len(wrong) - 1, trial)
        return _saved(run, record, network, case, chosen, None, None, found, tuple(map(str, wrong)), manifest.flow)
    build = build_native(case.project, say)
    with open_native(build, workers=workers) as simulation:
        values = compare_values(case, values_in, simulation.run(case.inputs(values_in)))
        diagnosis = diagnose(
            case, values, values_in, simulation,
            network=network, model=model, manifest=manifest, input_format=input_format,
        )  # fmt: skip
    return _saved(run, record, network, case, chosen, values, build, diagnosis, (), manifest.flow)


def _saved(  # noqa: PLR0913  # everything a record holds
    run: RunDirectory,
    record: RunRecord,
    network: IntegerGraph,
    case: NativeCase,
    samples: Samples,
    values: NativeValues | None,
    build: NativeBuild | None,
    diagnosis: Diagnosis | None,
    audit: tuple[str, ...],
    flow: Flow,
) -> CompareRecord:
    layers = () if values is None else tuple(_layer_verdict(case, values, layer) for layer in values.layers)
    verdict, headline = _headline(case, values, layers, diagnosis, len(samples.inputs))
    references: tuple[ErrorStatistics, ...] = ()
    if values is not None:
        output = values.layers[-1]
        references = (
            error_statistics(
                "integer network", output.expected, output.found, unit=float(output.unit.min()),
                decision=Decision(kind="argmax" if record.task == "classification" else "tolerance"),
                metric=run_metric(record), labels=samples.labels,
            ),
        )  # fmt: skip
    result = CompareRecord(
        fingerprint=make_fingerprint(
            "csim-compare",
            {"samples": len(samples.inputs), "inputs": samples.origin, "poke": None, "flow": flow},
            seeds={},
            digests={
                "network": digest(network),
                "inputs": digest_arrays({"inputs": samples.inputs}),
                "project": digest_file(run.native / NATIVE_FILE),
            },
        ),
        verdict=verdict,
        headline=headline,
        samples=len(samples.inputs),
        words=sum(layer.words for layer in layers),
        differing=sum(layer.differing for layer in layers),
        layers=layers,
        first=None if values is None or diagnosis is None else _first(values, diagnosis),
        audit=audit,
        poke=None,
        inputs=samples.origin,
        references=references,
        backend=case.project.backend,
        io_type=case.project.io_type,
        compiler=build.compiler if build else "nothing was compiled",
        compiled=bool(build and build.compiled),
        flow=flow,
        diagnosis=diagnosis,
        histograms=() if values is None else tuple(map(_histogram, values.layers)),
    )
    save_record(result, run.record_file("csim-compare"))
    return result


def _layer_verdict(case: NativeCase, values: NativeValues, layer: LayerValues) -> LayerVerdict:
    graph = case.lowered.graph
    alignment = layer.alignment
    value = alignment.wire.value if alignment is not None and alignment.wire is not None else graph.output
    node = graph.producer_of(value)
    clipped = 0
    if node in graph.compute_nodes:
        clipped = saturations(graph, node, values.words[inputs_of(node)[0]])
    return LayerVerdict(
        value=layer.name, words=int(layer.expected.size), differing=int(layer.differs.sum()),
        distinct=int(np.unique(values.words[value]).size), saturations=clipped,
    )  # fmt: skip


def _histogram(layer: LayerValues) -> ErrorHistogram:
    """How far the native project's values are from the network's, in units of the network's words."""
    return error_histogram("native project", layer.name, (layer.found - layer.expected) / layer.unit)


def _headline(
    case: NativeCase,
    values: NativeValues | None,
    layers: tuple[LayerVerdict, ...],
    diagnosis: Diagnosis | None,
    samples: int,
) -> tuple[Literal["match", "differ", "no_verdict"], str]:
    if values is None:
        assert diagnosis is not None
        return "differ", f"DIFFER in the written project: {diagnosis.explanation}"
    words = sum(layer.words for layer in layers)
    if diagnosis is not None:
        place = f"{diagnosis.layer}[{', '.join(map(str, diagnosis.index))}]"
        found = "no number" if diagnosis.found is None else f"{diagnosis.found:.9g}"
        differing = sum(layer.differing for layer in layers)
        return "differ", (
            f"DIFFER {differing:,} of {words:,} values, first at {place} (hls4ml layer {diagnosis.hls_layer}): "
            f"native {found}, network {diagnosis.expected:.9g}"
        )
    if reason := no_evidence(case.lowered.graph, values.words[case.lowered.graph.output]):
        return "no_verdict", f"NO VERDICT: {reason}"
    return "match", f"MATCH {words:,} of {words:,} values, {len(layers)} layers, {samples:,} samples"


def _first(values: NativeValues, diagnosis: Diagnosis) -> FirstDifference:
    layer = values.first
    assert layer is not None
    unit = float(layer.unit[diagnosis.index[1]])
    found = 0.0 if diagnosis.found is None else diagnosis.found
    return FirstDifference(
        value=diagnosis.layer, index=diagnosis.index, csim=round(found / unit),
        engine=round(diagnosis.expected / unit), csim_format=diagnosis.found_format,
        engine_format=diagnosis.expected_format, cause=diagnosis.explanation,
    )  # fmt: skip
