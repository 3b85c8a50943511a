"""Records: one validated file for every command that was run, and what it found.

A record is a frozen msgspec struct tagged ``edgeval.<kind>/<version>``; unknown fields, wrong types and wrong versions
are refused with a path. ``--json`` prints exactly the record. See ``docs/interfaces.md``, Records.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from fault_injection.damage import DamageRow
from hls.errors import RunDirectoryError
from hls.files import atomic_write

Kind = TypeVar("Kind", bound=msgspec.Struct)


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all records and their parts: frozen, by keyword, nothing unknown."""


class Fingerprint(_Record, frozen=True):
    """What was run, so that it can be run again; equal fingerprints give equal results on one machine.

    Attributes:
        command: Verb.
        configuration: Options that influence the result, by their names on the command line.
        seeds: Every seed, by what it is for.
        versions: Python and packages.
        digests: sha256 of model, data and project, by what they are of.
    """

    command: str
    configuration: dict[str, Any]
    seeds: dict[str, int]
    versions: dict[str, str]
    digests: dict[str, str]


class MetricValue(_Record, frozen=True):
    """One figure of merit of one model.

    Attributes:
        direction: Whether ``higher`` or ``lower`` is better.
    """

    name: str
    unit: str
    direction: Literal["higher", "lower"]
    value: float


class Recipe(_Record, frozen=True):
    """How the network was quantized and pruned, nothing left open; see ``edgeval.quantize.Recipe``."""

    weight_bits: int
    activation_bits: int
    bias_bits: int
    scales: Literal["po2", "float"]
    per_channel: bool
    sparsity: float
    prune: Literal["magnitude", "structured"]


class Complexity(_Record, frozen=True):
    """Size of the quantized network.

    Attributes:
        weights: Stored weight words.
        weights_nonzero: Those that are not zero.
        weight_bits: Bits of all stored weight words.
        bops: Bit operations of one inference (Baskin et al. 2018; Hawks et al. 2021).
        sparsity: Share that was pruned.
    """

    weights: int
    weights_nonzero: int
    weight_bits: int
    bops: float
    sparsity: float


class RunRecord(_Record, frozen=True, tag="edgeval.run/1"):
    """``run.json``: what this run is of.

    Attributes:
        source: Target name, or the name of a third-party file.
        task: What the outputs mean.
        metric: Name of the metric; ``unit`` and ``direction`` belong to it.
        recipe: ``None`` for a third-party graph, as are all training results below.
        widths: Neurons of each layer after structured pruning, inputs first.
        float_metric: Of the float model on the test part.
        quantized_metric: Of the quantized torch model on the test part.
        clipped_biases: Bias words that the recipe's own width clips.
        seconds: Wall-clock time of training.
    """

    fingerprint: Fingerprint
    source: str
    title: str
    task: Literal["classification", "regression"]
    metric: str
    unit: str
    direction: Literal["higher", "lower"]
    samples: int
    recipe: Recipe | None = None
    widths: tuple[int, ...] = ()
    float_metric: MetricValue | None = None
    quantized_metric: MetricValue | None = None
    complexity: Complexity | None = None
    clipped_biases: int = 0
    seconds: float | None = None


class LayerRow(_Record, frozen=True):
    """One node of the integer network as ``edgeval export`` prints it.

    Attributes:
        form: Kind of node; for an activation the exact form chosen (Shift, Requantize).
        output_format: In hls4ml's notation.
        weight_format, bias_format: Of the stored words; empty where there are none.
        accumulator_bits: Width of the sum, proved by interval analysis; 0 for nodes without one.
        arithmetic: What the exact engine computes a matrix product in.
        weights: Stored weight words.
        zero_share: Share of these that are zero.
    """

    name: str
    form: str
    output_format: str
    weight_format: str
    bias_format: str
    accumulator_bits: int
    arithmetic: str
    weights: int
    zero_share: float


class ErrorStatistics(_Record, frozen=True):
    """A float reference against the integer network, on the network's outputs.

    Attributes:
        reference: What it is compared with.
        max_error, mean_error: Absolute, in units of the output.
        max_error_lsb: In units of the output word's scale.
        decisions_equal: Share of samples with the same decision; ``None`` where the task has none.
        reference_metric, network_metric: Task metric of both; ``None`` without labels.
        explained: Samples beyond the float error bound that sit at a rounding boundary somewhere.
        unexplained: Samples beyond the bound that do not; zero for a correct lowering. ``None`` where nothing has to
            be explained: the reference is another model, or an accumulator was narrowed and wraps.
    """

    reference: str
    max_error: float
    mean_error: float
    max_error_lsb: float
    decisions_equal: float | None
    reference_metric: MetricValue | None
    network_metric: MetricValue | None
    explained: int | None = None
    unexplained: int | None = None


class ExportRecord(_Record, frozen=True, tag="edgeval.export/1"):
    """``records/export.json``: from the model to the integer network and the hls4ml project.

    Attributes:
        layers: Every node in data order.
        notes: What lowering took for equal.
        qonnx: The QONNX file executed in float32 against the exact engine.
        brevitas_max_error: Largest output difference between the torch model and the QONNX file; ``None`` without one.
        project: Folder of the hls4ml project in the run, ``None`` where it was refused, for the reason given.
    """

    fingerprint: Fingerprint
    layers: tuple[LayerRow, ...]
    notes: tuple[str, ...]
    network_digest: str
    qonnx: ErrorStatistics
    brevitas_max_error: float | None
    project: str | None
    refused: str | None
    backend: str
    io_type: str


class LayerVerdict(_Record, frozen=True):
    """Words of one layer, compared.

    Attributes:
        words: How many were compared.
        differing: How many differ.
        distinct: Distinct words seen in the exact engine.
        saturations: Clipping events: values in front of the clipping outside its range.
    """

    value: str
    words: int
    differing: int
    distinct: int
    saturations: int


class FirstDifference(_Record, frozen=True):
    """The first word, in data order, that differs.

    Attributes:
        index: Sample, then position in the layer.
    """

    value: str
    index: tuple[int, int]
    csim: int
    engine: int
    csim_format: str
    engine_format: str
    cause: str


class CompareRecord(_Record, frozen=True, tag="edgeval.csim-compare/1"):
    """``records/csim-compare.json``: exact engine against C-simulation, and both against float.

    Attributes:
        verdict: ``match``, ``differ`` or ``no_verdict``.
        headline: First line for people.
        audit: Findings of the static audit, any of which means that nothing was run; or stored words that the loaded
            C-simulation holds otherwise than the written project.
        poke: The flipped site, ``None`` for an honest comparison.
        inputs: Where the samples came from.
    """

    fingerprint: Fingerprint
    verdict: Literal["match", "differ", "no_verdict"]
    headline: str
    samples: int
    words: int
    differing: int
    layers: tuple[LayerVerdict, ...]
    first: FirstDifference | None
    audit: tuple[str, ...]
    poke: str | None
    inputs: str
    references: tuple[ErrorStatistics, ...]
    backend: str
    io_type: str
    compiler: str
    compiled: bool


class CrossCheckRow(_Record, frozen=True):
    """Faults repeated by brute force in the exact engine and on another executor.

    Attributes:
        words: Output words compared.
        mismatches: Sites that did not agree, as TENSOR:INDEX:BIT.
    """

    executor: str
    faults: int
    words: int
    mismatches: tuple[str, ...]


class FaultRow(_Record, frozen=True):
    """One harmful fault, for people."""

    site: str
    golden_word: int
    faulty_word: int
    metric_change: float
    decisions_changed: int


class InjectRecord(_Record, frozen=True, tag="edgeval.inject-faults/1"):
    """``records/inject-faults-<fingerprint>.json``: a campaign and its layer × bit table.

    Attributes:
        outcomes: Folder of the per-fault tables, relative to the run.
        faults: Faults judged, of ``sites`` that could be drawn.
        pruned: Stored bits in zero words among those that tensors and bits select, whether skipped or not.
        decision: ``argmax`` or ``tolerance``, with the tolerance and its unit.
        classes: Faults by their own class.
        label_relative: Whether metric and right/wrong counts are against labels; else against fault-free answers.
        worst: The most harmful faults, worst first.
    """

    fingerprint: Fingerprint
    outcomes: str
    fault: str
    executor: str
    faults: int
    sites: int
    pruned: int
    samples: int
    exhaustive: bool
    decision: str
    tolerance: float
    critical_share: float
    label_relative: bool
    metric: MetricValue
    classes: dict[str, int]
    damage: tuple[DamageRow, ...]
    worst: tuple[FaultRow, ...]
    cross_check: CrossCheckRow | None
    seconds: float


Record = RunRecord | ExportRecord | CompareRecord | InjectRecord


def to_json(record: msgspec.Struct) -> bytes:
    """A record as indented JSON with a final newline: what is saved, and what ``--json`` prints."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def save_record(record: msgspec.Struct, path: Path) -> None:
    """Write a record atomically."""
    atomic_write(path, to_json(record))


def load_record(kind: type[Kind], path: Path) -> Kind:
    """Read a record of a known kind.

    Raises:
        RunDirectoryError: missing, damaged, of another kind or version; says which field.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError) as error:
        raise RunDirectoryError(
            found=f"{type(error).__name__}: {error}",
            allowed=f"a record of kind {kind.__struct_config__.tag or kind.__name__}",
            where=str(path),
            remedy="run the command that writes it again",
        ) from error
