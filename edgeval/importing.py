"""A QONNX file that somebody else exported → a run directory: samples, task, metric, format of the input words."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import onnx

from edgeval.brevitas_export import load_onnx
from edgeval.evaluation import network_outputs
from edgeval.fingerprint import differences, digest_arrays, make_fingerprint
from edgeval.input_words import coarsest_format, parse_format, words_text
from edgeval.metrics import METRICS
from edgeval.records import RunRecord
from edgeval.run_directory import RunDirectory, Samples, load_samples
from edgeval.stimuli import spanning_samples
from hls.errors import UsageError
from hls.files import atomic_write
from hls.graph import IntegerGraph
from hls.lowering import InputWords, lower

Task = Literal["classification", "regression"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphOptions:
    """What a third-party graph has to be told.

    Attributes:
        inputs: ``.npz`` with ``inputs`` and perhaps ``labels``; ``None`` for samples spanning the input format.
        task: ``None`` for classification where labels are integers or there is more than one output.
        metric: Name in ``METRICS``; ``None`` for accuracy or rmse, by task.
        input_format: Format of the input words, as ``fixed<W,I>``, for a graph that never quantizes its input.
        seed: Of spanning samples.
    """

    inputs: Path | None = None
    task: Task | None = None
    metric: str | None = None
    input_format: str | None = None
    seed: int = 0


def import_graph(
    path: Path,
    run: RunDirectory,
    options: GraphOptions,
    describe: Callable[[RunRecord], RunRecord] = lambda record: record,
) -> RunRecord:
    """Make a run of a third-party QONNX file.

    Args:
        path: The file.
        run: Where; free, or the run of the same file and samples.
        options: Samples, task and metric.
        describe: Says more about where the graph comes from.

    Raises:
        InputError, LoweringError: file or samples cannot be used. RunDirectoryError: the folder holds something else.
    """
    model = load_onnx(path)
    content = _self_contained(path, model)
    given = None if options.inputs is None else load_samples(options.inputs, str(options.inputs.name))
    words = input_words(model, options.input_format, given)
    graph = lower(model, input_format=words)
    samples = spanning_samples(graph, options.seed) if given is None else given
    graph.quantize_inputs(samples.inputs)
    input_format = "" if words is None else words_text(words)
    digest = hashlib.sha256(content).hexdigest()
    record = describe(_graph_record(path, digest, graph, samples, replace(options, input_format=input_format)))
    if run.run_file.exists():
        changes = differences(run.run_record().fingerprint, record.fingerprint)
        if changes:
            raise run.occupied(f"another run ({'; '.join(changes)})")
    elif not run.is_free():
        raise run.occupied("a file or folder that is no run")
    atomic_write(run.onnx_file, content)
    run.save_samples(samples)
    run.save_run_record(record)
    return record


def input_words(model: onnx.ModelProto, text: str | None, samples: Samples | None) -> InputWords | None:
    """Format and scale of the input words of a graph that never quantizes its input; ``None`` for one that does.

    Args:
        model: The graph.
        text: ``fixed<W,I>`` as the user gave it.
        samples: Whose coarsest exact format is taken where no format was given.

    Raises:
        UsageError: a format for a graph that has an input quantizer. InputError: no format holds the inputs exactly.
    """
    quantized = quantizes_input(model)
    if text is not None:
        if quantized:
            raise UsageError(
                found=text,
                allowed="no format: the graph quantizes its own input",
                where="--input-format",
                remedy="leave it out",
            )
        return parse_format(text, "--input-format")
    return None if quantized or samples is None else coarsest_format(samples.inputs)


def _self_contained(path: Path, model: onnx.ModelProto) -> bytes:
    """The file as it is, or with the tensors in it that lie in files beside it: a run needs no other file."""
    content = path.read_bytes()
    as_given = onnx.ModelProto()
    as_given.ParseFromString(content)
    if as_given == model:
        return content
    return bytes(model.SerializeToString(deterministic=True))


def _graph_record(path: Path, digest: str, graph: IntegerGraph, samples: Samples, options: GraphOptions) -> RunRecord:
    """``options.input_format`` is the format that was taken, empty where the graph quantizes its own input."""
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
            {"source": path.name, "task": task, "metric": name, "input-format": options.input_format},
            seeds={"samples": options.seed},
            digests={"model": digest, "data": digest_arrays(arrays)},
        ),
        source=path.name,
        title=f"third-party graph {path.name}, {samples.origin}",
        task=task,
        metric=name,
        unit=metric.unit,
        direction=metric.direction,
        samples=len(samples.inputs),
        input_format=options.input_format or "",
    )


def quantizes_input(model: onnx.ModelProto) -> bool:
    """Whether every path from the graph's input meets a quantizer before anything else that computes.

    Operators that the host can do in front of a quantizer (layout, constants added or multiplied) do not count.
    """
    graph = model.graph
    initializers = {item.name for item in graph.initializer}
    flowing = {item.name for item in graph.input if item.name not in initializers}
    for node in graph.node:
        if node.op_type == "Shape" or not flowing & set(node.input):
            continue  # nothing of the values themselves
        if node.op_type in _HOST_OPERATORS:
            flowing.update(node.output)
        elif node.op_type not in _QUANTIZERS:
            return False
    return True


_QUANTIZERS = ("Quant", "IntQuant", "BipolarQuant")
_HOST_OPERATORS = (
    "Add", "Cast", "Div", "Dropout", "Flatten", "Identity", "Mul", "Neg", "Reshape", "Squeeze", "Sub",
    "Transpose", "Unsqueeze",
)  # fmt: skip
