"""Run directory → integer network and hls4ml project, and whatever a command takes as RUN → an exported run."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import onnx

from edgeval.compare import error_statistics
from edgeval.evaluation import network_outputs, run_metric
from edgeval.export import export_brevitas, load_onnx, load_quantized_model, model_outputs
from edgeval.fingerprint import differences, digest_arrays, digest_file, make_fingerprint
from edgeval.float_bound import explain
from edgeval.metrics import METRICS
from edgeval.records import ErrorStatistics, ExportRecord, LayerRow, RunRecord, load_record, save_record
from edgeval.run_directory import RunDirectory, Samples, load_samples
from edgeval.stimuli import spanning_samples
from edgeval.witness import execute_qonnx
from fault_injection.outcomes import Decision
from hls.engine import arithmetic_of, sum_interval
from hls.errors import InputError, LoweringError, UsageError
from hls.files import atomic_write
from hls.formats import Rounding
from hls.graph import IntegerGraph
from hls.hls4ml_flow import ProjectOptions, apply_overrides
from hls.hls4ml_flow.canonical import unit_log2
from hls.lowering import lower
from hls.nodes import MatMul, Node, Quantize, Requantize, Shift
from hls.serialize import digest

Task = Literal["classification", "regression"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphOptions:
    """What a third-party graph has to be told.

    Attributes:
        inputs: ``.npz`` with ``inputs`` and perhaps ``labels``; ``None`` for samples spanning the input format.
        task: ``None`` for classification where labels are integers or there is more than one output.
        metric: Name in ``METRICS``; ``None`` for accuracy or rmse, by task.
        seed: Of spanning samples.
    """

    inputs: Path | None = None
    task: Task | None = None
    metric: str | None = None
    seed: int = 0


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
        _refuse_graph_options(graph_options, path)
        yield run
        return
    with tempfile.TemporaryDirectory(prefix="edgeval-run-") as folder:
        run = RunDirectory(Path(folder) / path.stem)
        import_graph(path, run, graph_options)
        export_run(run, project or ProjectOptions())
        yield run


def _refuse_graph_options(options: GraphOptions, path: Path) -> None:
    """A run directory knows its task and metric; saying them again could only contradict it."""
    for option, value in (("--task", options.task), ("--metric", options.metric)):
        if value is not None:
            raise UsageError(
                found=f"{option} {value} with the run directory {path}",
                allowed=f"{option} only with a QONNX file",
                where="command line",
                remedy="leave it out",
            )


def import_graph(path: Path, run: RunDirectory, options: GraphOptions) -> RunRecord:
    """Make a run of a third-party QONNX file.

    Args:
        path: The file.
        run: Where; free, or the run of the same file and samples.
        options: Samples, task and metric.

    Raises:
        InputError, LoweringError: file or samples cannot be used. RunDirectoryError: the folder holds something else.
    """
    model = load_onnx(path)
    graph = lower(model)
    samples = spanning_samples(graph, options.seed) if options.inputs is None else load_samples(
        options.inputs, str(options.inputs.name)
    )  # fmt: skip
    graph.quantize_inputs(samples.inputs)
    record = _graph_record(path, graph, samples, options)
    if run.run_file.exists():
        changes = differences(run.run_record().fingerprint, record.fingerprint)
        if changes:
            raise run.occupied(f"another run ({'; '.join(changes)})")
    elif not run.is_free():
        raise run.occupied("a file or folder that is no run")
    atomic_write(run.onnx_file, path.read_bytes())
    run.save_samples(samples)
    run.save_run_record(record)
    return record


def export_run(run: RunDirectory, options: ProjectOptions) -> ExportRecord:
    """Write everything between the model of a run and its C-simulation.

    QONNX file (checked by executing it), integer network (checked against that execution), hls4ml project.

    Args:
        run: A trained run, or one of a third-party graph.
        options: hls4ml choices.

    Raises:
        LoweringError: no exact integer meaning. InputError: the QONNX file and the integer network disagree.
    """
    from hls.hls4ml_flow.project import write_project

    record = run.run_record()
    samples = run.samples()
    model, torch_outputs = _qonnx_model(run, record, samples)
    executed = execute_qonnx(model, samples.inputs)
    graph = apply_overrides(lower(model), options.overrides)
    witness = _check_witness(graph, executed, record, samples)
    run.save_network(graph)
    refused = None
    try:
        write_project(graph, run.project, options)
    except LoweringError as error:
        refused = str(error)
        shutil.rmtree(run.project, ignore_errors=True)  # a project of an older export would be of another network
    export = ExportRecord(
        fingerprint=make_fingerprint(
            "export",
            _configuration(options),
            seeds={},
            digests={"qonnx": digest_file(run.onnx_file), "network": digest(graph)},
        ),
        layers=layer_rows(graph),
        notes=graph.notes,
        network_digest=digest(graph),
        qonnx=witness,
        brevitas_max_error=None if torch_outputs is None else float(np.abs(executed - torch_outputs).max()),
        project=None if refused else run.project.name,
        refused=refused,
        backend=options.backend,
        io_type=options.io_type,
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


def layer_rows(graph: IntegerGraph) -> tuple[LayerRow, ...]:
    """Every node of a network as ``edgeval export`` prints it."""
    return tuple(_layer_row(graph, node, unit) for node, unit in zip(graph.nodes, _units(graph), strict=True))


def _layer_row(graph: IntegerGraph, node: Node, unit: int) -> LayerRow:
    word_format = graph.values[node.output].format
    assert word_format is not None
    rounding: Rounding = "half_even" if isinstance(node, Requantize) else "floor"
    if isinstance(node, Quantize | Shift):
        rounding = node.rounding
    matmul = node if isinstance(node, MatMul) else None
    weight = graph.tensors[matmul.weight] if matmul else None
    bias = graph.tensors[matmul.bias] if matmul and matmul.bias else None
    return LayerRow(
        name=node.name,
        form=type(node).__name__,
        output_format=word_format.ap_fixed(unit, rounding=rounding),
        weight_format=weight.format.ap_fixed(0) if weight else "",
        bias_format=bias.format.ap_fixed(unit) if bias else "",
        accumulator_bits=matmul.accumulator.width_bits if matmul else 0,
        arithmetic=arithmetic_of(graph, matmul) if matmul else "",
        weights=weight.words.size if weight else 0,
        zero_share=float((weight.words == 0).mean()) if weight else 0.0,
    )


def _units(graph: IntegerGraph) -> list[int]:
    units = unit_log2(graph)
    return [units[node.output] for node in graph.nodes]


def _qonnx_model(run: RunDirectory, record: RunRecord, samples: Samples) -> tuple[onnx.ModelProto, np.ndarray | None]:
    """The QONNX model of a run, written anew from the torch model where there is one, and that model's outputs."""
    if record.recipe is None:
        return load_onnx(run.onnx_file), None
    torch_model = load_quantized_model(run, record)
    model = export_brevitas(torch_model, record)
    atomic_write(run.onnx_file, model.SerializeToString(deterministic=True))
    return model, model_outputs(torch_model, samples.inputs)


def _check_witness(graph: IntegerGraph, executed: np.ndarray, record: RunRecord, samples: Samples) -> ErrorStatistics:
    """Compare the QONNX file, executed in float32, with the exact engine, sample by sample.

    Where an accumulator was narrowed on purpose the two may differ: the record then leaves ``explained`` and
    ``unexplained`` open, because a float witness does not wrap.
    """
    statistics = error_statistics(
        "QONNX executed in float32",
        executed,
        network_outputs(graph, samples.inputs),
        unit=float(np.min(graph.output_scale)),
        decision=Decision(kind="argmax" if record.task == "classification" else "tolerance"),
        metric=run_metric(record),
        labels=samples.labels,
    )
    if wrapping_layers(graph):
        return statistics
    explanation = explain(graph, graph.quantize_inputs(samples.inputs), executed)
    if explanation.unexplained:
        raise InputError(
            found=f"{explanation.unexplained} samples whose outputs no float rounding explains",
            allowed="a QONNX execution that agrees with the integer network",
            where="model.onnx against network.npz",
            remedy="please report this graph: its lowering is wrong",
        )
    return msgspec.structs.replace(statistics, explained=explanation.explained, unexplained=explanation.unexplained)


def wrapping_layers(graph: IntegerGraph) -> list[str]:
    """Layers whose accumulator is narrower than their sum, so that they wrap."""
    return [
        node.name
        for node in graph.compute_nodes
        if isinstance(node, MatMul) and not sum_interval(graph, node).within(node.accumulator)
    ]


def _graph_record(path: Path, graph: IntegerGraph, samples: Samples, options: GraphOptions) -> RunRecord:
    integers = samples.labels is not None and samples.labels.dtype.kind in "iu"
    many = int(np.prod(graph.values[graph.output].shape)) > 1
    task = options.task or ("classification" if integers or (samples.labels is None and many) else "regression")
    name = options.metric or ("accuracy" if task == "classification" else "rmse")
    if name not in METRICS:
        raise UsageError(
            found=repr(name), allowed=", ".join(METRICS), where="--metric", remedy="choose one of these metrics"
        )
    metric = METRICS[name]
    if samples.labels is not None:
        metric.value(network_outputs(graph, samples.inputs), samples.labels)  # labels that do not fit are refused now
    arrays = {"inputs": samples.inputs, **({} if samples.labels is None else {"labels": samples.labels})}
    return RunRecord(
        fingerprint=make_fingerprint(
            "export",
            {"source": path.name, "task": task, "metric": name},
            seeds={"samples": options.seed},
            digests={"model": digest_file(path), "data": digest_arrays(arrays)},
        ),
        source=path.name,
        title=f"third-party graph {path.name}, {samples.origin}",
        task=task,
        metric=name,
        unit=metric.unit,
        direction=metric.direction,
        samples=len(samples.inputs),
    )


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
