"""Run directory → integer network and hls4ml project, and whatever a command takes as RUN → an exported run."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import onnx

from edgeval.brevitas_export import export_brevitas, load_onnx, load_quantized_model, model_outputs
from edgeval.evaluation import network_outputs, run_metric
from edgeval.fingerprint import digest_file, make_fingerprint
from edgeval.float_bound import WitnessReport, explain
from edgeval.importing import GraphOptions, import_graph
from edgeval.input_words import parse_format
from edgeval.native_export import Flow, NativeRequest
from edgeval.records import ErrorStatistics, ExportRecord, LayerRow, RunRecord, load_record, save_record
from edgeval.run_directory import RunDirectory, Samples
from edgeval.witness import execute_qonnx
from edgeval.word_comparison import error_statistics
from fault_injection.outcomes import Decision
from hls.engine import arithmetic_of, sum_interval
from hls.errors import InputError, LoweringError, UsageError
from hls.files import atomic_write
from hls.formats import Rounding
from hls.graph import IntegerGraph
from hls.hls4ml_flow import ProjectOptions, apply_overrides
from hls.hls4ml_flow.units import unit_log2
from hls.lowering import InputWords, Lowered, lower_traced
from hls.nodes import Conv, MatMul, Node, Quantize, Requantize, Shift, accumulator_of, tensors_of
from hls.serialize import digest

_EXACT: Flow = "exact"


@contextlib.contextmanager
def opened_run(
    path: Path, graph_options: GraphOptions, project: ProjectOptions | None = None
) -> Iterator[RunDirectory]:
    """What a command takes as RUN: an exported run directory, or a QONNX file turned into a temporary one.

    Raises:
        RunDirectoryError, InputError, LoweringError: it is neither, or cannot be exported.
    """
    if not path.is_file():
        run = RunDirectory(path)
        run.run_record()
        refuse_graph_options(graph_options, path)
        yield run
        return
    with tempfile.TemporaryDirectory(prefix="edgeval-run-") as folder:
        run = RunDirectory(Path(folder) / path.stem)
        import_graph(path, run, graph_options)
        export_run(run, project or ProjectOptions())
        yield run


def refuse_graph_options(options: GraphOptions, path: Path) -> None:
    """A run directory knows its task and metric; saying them again could only contradict it."""
    given = {"--task": options.task, "--metric": options.metric, "--input-format": options.input_format}
    for option, value in given.items():
        if value is not None:
            raise UsageError(
                found=f"{option} {value} with the run directory {path}",
                allowed=f"{option} only with a QONNX file",
                where="command line",
                remedy="leave it out",
            )


def export_run(
    run: RunDirectory, options: ProjectOptions, *, strict: bool = False, native: NativeRequest | None = None
) -> ExportRecord:
    """Write everything between the model of a run and its C-simulation.

    QONNX file (checked by executing it), integer network (checked against that execution), hls4ml project.

    Args:
        run: A trained run, or one of a third-party graph.
        options: hls4ml choices.
        strict: Refuse float constants that would have to be rounded to the scale of a sum.
        native: A native project in place of ours.

    Raises:
        LoweringError: no exact integer meaning. InputError: the QONNX file and the integer network disagree.
    """
    from hls.hls4ml_flow.project import write_project

    record = run.run_record()
    samples = run.samples()
    model, torch_outputs = _qonnx_model(run, record, samples)
    lowered = lower_traced(model, input_format=input_words_of(record), strict=strict)
    graph = apply_overrides(lowered.graph, options.overrides)
    report = witness_report(replace(lowered, graph=graph), samples)
    witness = witness_statistics(graph, report, record, samples)
    _require_explained(report)
    options = replace(options, io_type=options.chosen_io_type(graph))
    run.save_network(graph)
    refused, flow = None, _EXACT
    backend, io_type = str(options.backend), str(options.chosen_io_type(graph))
    shutil.rmtree(run.native, ignore_errors=True)  # a project of an older export would be of another network
    if native is not None:
        shutil.rmtree(run.project, ignore_errors=True)
        backend, io_type, flow = native.write(model, run.native)
    else:
        try:
            write_project(graph, run.project, options)
        except LoweringError as error:
            refused = str(error)
            shutil.rmtree(run.project, ignore_errors=True)
    export = ExportRecord(
        fingerprint=make_fingerprint(
            "export",
            {**_configuration(options), "strict": strict, **({} if native is None else native.configuration())},
            seeds={},
            digests={"qonnx": digest_file(run.onnx_file), "network": digest(graph)},
        ),
        layers=layer_rows(graph),
        notes=graph.notes,
        network_digest=digest(graph),
        qonnx=witness,
        brevitas_max_error=None if torch_outputs is None else float(np.abs(report.outputs - torch_outputs).max()),
        project=None if refused else (run.project if native is None else run.native).name,
        refused=refused,
        backend=backend,
        io_type=io_type,
        flow=flow,
    )
    save_record(export, run.record_file("export"))
    return export


def export_record(run: RunDirectory) -> ExportRecord:
    """The export record of a run.

    Raises:
        RunDirectoryError: not exported yet, or damaged.
    """
    run.network()  # its error says to export
    return load_record(ExportRecord, run.record_file("export"))


def lowered_run(run: RunDirectory, record: RunRecord) -> Lowered:
    """The lowering of an exported run's QONNX file, with the network as exported (overrides included)."""
    lowered = lower_traced(load_onnx(run.onnx_file), input_format=input_words_of(record))
    return replace(lowered, graph=run.network())


def layer_rows(graph: IntegerGraph) -> tuple[LayerRow, ...]:
    """Every node of a network as ``edgeval export`` prints it."""
    return tuple(_layer_row(graph, node) for node in graph.nodes)


def _layer_row(graph: IntegerGraph, node: Node) -> LayerRow:
    word_format = graph.values[node.output].format
    assert word_format is not None
    units = unit_log2(graph)
    unit = units[node.output]
    rounding: Rounding = "half_even" if isinstance(node, Requantize | Quantize) else "floor"
    if isinstance(node, Shift):
        rounding = node.rounding
    accumulator = accumulator_of(node)
    layer = node if isinstance(node, MatMul | Conv) else None
    weight = graph.tensors[layer.weight] if layer else None
    bias = graph.tensors[layer.bias] if layer and layer.bias else None
    return LayerRow(
        name=node.name,
        form=type(node).__name__,
        shape=graph.values[node.output].shape,
        output_format=word_format.ap_fixed(unit, rounding=rounding),
        weight_format=weight.format.ap_fixed(unit - units[layer.input]) if weight and layer else "",
        bias_format=bias.format.ap_fixed(unit) if bias else "",
        accumulator_bits=0 if accumulator is None else accumulator.width_bits,
        arithmetic="" if accumulator is None else arithmetic_of(graph, node),
        weights=weight.words.size if weight else 0,
        zero_share=float((weight.words == 0).mean()) if weight else 0.0,
        constants=sum(graph.tensors[name].words.size for name in tensors_of(node)) if layer is None else 0,
    )


def input_words_of(record: RunRecord) -> InputWords | None:
    """Format of the input words where the run's graph never quantizes its input."""
    return parse_format(record.input_format, "run.json") if record.input_format else None


def _qonnx_model(run: RunDirectory, record: RunRecord, samples: Samples) -> tuple[onnx.ModelProto, np.ndarray | None]:
    """The QONNX model of a run, written anew from the torch model where there is one, and that model's outputs."""
    if record.recipe is None:
        return load_onnx(run.onnx_file), None
    torch_model = load_quantized_model(run, record)
    model = export_brevitas(torch_model, record)
    atomic_write(run.onnx_file, model.SerializeToString(deterministic=True))
    return model, model_outputs(torch_model, samples.inputs)


WITNESS = "QONNX in float32"
"""Name of that reference in records."""


def witness_report(lowered: Lowered, samples: Samples) -> WitnessReport:
    """The QONNX file executed in float32, and what float rounding explains of its differences."""
    wrapping = wrapping_layers(lowered.graph)
    if not wrapping:
        return explain(lowered, samples.inputs)
    return WitnessReport(
        outputs=execute_qonnx(lowered.model, samples.inputs),
        words=0,
        explained=0,
        unexplained=0,
        skipped=f"the accumulator of {wrapping[0]} was narrowed and wraps, which a float execution does not",
    )


def witness_statistics(
    graph: IntegerGraph, report: WitnessReport, record: RunRecord, samples: Samples
) -> ErrorStatistics:
    """The float32 execution against the exact engine, for the records."""
    statistics = error_statistics(
        WITNESS,
        report.outputs,
        network_outputs(graph, samples.inputs),
        unit=float(np.min(np.abs(graph.output_scale))),
        decision=Decision(kind="argmax" if record.task == "classification" else "tolerance"),
        metric=run_metric(record),
        labels=samples.labels,
    )
    if not report.words:
        return msgspec.structs.replace(statistics, skipped=report.skipped)
    return msgspec.structs.replace(
        statistics,
        words=report.words,
        explained=report.explained,
        unexplained=report.unexplained,
        skipped=report.skipped,
    )


def _require_explained(report: WitnessReport) -> None:
    if report.unexplained:
        raise InputError(
            found=f"{report.unexplained:,} words that no float rounding explains, first {report.first}",
            allowed="a QONNX execution that agrees with the integer network",
            where="model.onnx against network.npz",
            remedy="please report this graph: its lowering, or qonnx' execution of it, is wrong",
        )


def wrapping_layers(graph: IntegerGraph) -> list[str]:
    """Layers whose accumulator is narrower than their sum, so that they wrap."""
    return [
        node.name
        for node in graph.compute_nodes
        if isinstance(node, MatMul | Conv) and not sum_interval(graph, node).within(node.accumulator)
    ]


def _configuration(options: ProjectOptions) -> dict[str, object]:
    return {
        "backend": options.backend,
        "io-type": options.io_type,
        "strategy": options.strategy,
        "reuse-factor": options.reuse_factor,
        "clock-period": options.clock_period,
        "part": options.part,
        "overrides": dict(options.overrides),
    }
