"""Records: one validated file for every command that was run, and what it found.

A record is a frozen msgspec struct tagged ``edgeval.<kind>/<version>``; unknown fields, wrong types and wrong versions
are refused with a path. ``--json`` prints exactly the record. See ``docs/interfaces.md``, Records.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from edgeval.diagnosis_record import Diagnosis
from edgeval.error_histogram import ErrorHistogram
from edgeval.run_record import (
    Complexity,
    Fingerprint,
    MetricValue,
    OwnModel,
    Recipe,
    RecordPart,
    RunRecord,
    Standardisation,
)  # fmt: skip
from fault_injection.damage import DamageRow
from fault_injection.estimates import Estimate, Estimated
from hls.errors import RunDirectoryError
from hls.files import atomic_write
from hls.readers import UnreadableError, read_json

__all__ = [
    "CompareRecord", "Complexity", "CrossCheckRow", "Diagnosis", "EmulatorRecord", "ErrorHistogram", "ErrorStatistics",
    "ExportRecord", "FaultRow", "Fingerprint", "FirstDifference", "InjectRecord", "LayerRow", "LayerVerdict",
    "MatrixRecord", "MatrixRow", "MetricValue", "OwnModel", "Recipe", "Record", "RunRecord", "Standardisation",
    "load_record", "save_record", "to_json",
]  # fmt: skip

Kind = TypeVar("Kind", bound=msgspec.Struct)


class LayerRow(RecordPart, frozen=True):
    """One node of the integer network as ``edgeval export`` prints it.

    Attributes:
        form: Kind of node; for an activation the exact form chosen (Shift, Requantize, Threshold, Lookup).
        shape: Of the words of one sample.
        output_format: In hls4ml's notation.
        weight_format, bias_format: Of the stored words; empty where there are none.
        accumulator_bits: Width of the sum, proved by interval analysis; 0 for nodes without one.
        arithmetic: What the exact engine computes a matrix product in.
        weights: Stored weight words.
        zero_share: Share of these that are zero.
        constants: Stored thresholds or table entries.
    """

    name: str
    form: str
    shape: tuple[int, ...]
    output_format: str
    weight_format: str
    bias_format: str
    accumulator_bits: int
    arithmetic: str
    weights: int
    zero_share: float
    constants: int


class ErrorStatistics(RecordPart, frozen=True):
    """A float reference against the integer network, on the network's outputs.

    Attributes:
        reference: What it is compared with.
        max_error, mean_error: Absolute, in units of the output.
        max_error_lsb: In units of the output word's scale.
        decisions_equal: Share of samples with the same decision; ``None`` where the task has none.
        reference_metric, network_metric: Task metric of both; ``None`` without labels.
        words: Words of quantized tensors that were compared, ``None`` where nothing has to be explained because the
            reference is another model.
        explained: Of these, differing within the float error bound of a rounding boundary.
        unexplained: Differing beyond it; zero for a correct lowering.
        skipped: Why words of a layer, or all, were not compared: a float execution proves nothing there. ``None`` where
            all were.
    """

    reference: str
    max_error: float
    mean_error: float
    max_error_lsb: float
    decisions_equal: float | None
    reference_metric: MetricValue | None
    network_metric: MetricValue | None
    words: int | None = None
    explained: int | None = None
    unexplained: int | None = None
    skipped: str | None = None


class ExportRecord(RecordPart, frozen=True, tag="edgeval.export/2"):
    """``records/export.json``: from the model to the integer network and the hls4ml project.

    Attributes:
        layers: Every node in data order.
        notes: What lowering took for equal.
        qonnx: The QONNX file executed in float32 against the exact engine.
        brevitas_max_error: Largest output difference between the torch model and the QONNX file; ``None`` without one.
        project: Folder of the hls4ml project in the run, ``None`` where it was refused, for the reason given.
        flow: Whose project that is: ours, hls4ml's of the user's own graph, or a copy of an existing folder.
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
    flow: Literal["exact", "native", "project"] = "exact"


class LayerVerdict(RecordPart, frozen=True):
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


class FirstDifference(RecordPart, frozen=True):
    """The first word, in data order, that differs.

    Attributes:
        index: Sample, then position in the layer.
    """

    value: str
    index: tuple[int, ...]
    csim: int
    engine: int
    csim_format: str
    engine_format: str
    cause: str


class CompareRecord(RecordPart, frozen=True, tag="edgeval.csim-compare/3"):
    """``records/csim-compare.json``: exact engine against C-simulation, and both against float.

    Attributes:
        verdict: ``match``, ``differ`` or ``no_verdict``.
        headline: First line for people.
        audit: Findings of the static audit, any of which means that nothing was run; or stored words that the loaded
            C-simulation holds otherwise than the written project.
        poke: The flipped site, ``None`` for an honest comparison.
        inputs: Where the samples came from.
        flow: Whose project was compared: ours, hls4ml's of the user's own graph, or an existing folder.
        diagnosis: Why a native project differs, ``None`` where it does not or is ours.
        histograms: How errors are spread, in LSB: of the C-simulation and of each float reference, layer by layer where
            the reference has layers.
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
    flow: Literal["exact", "native", "project"] = "exact"
    diagnosis: Diagnosis | None = None
    histograms: tuple[ErrorHistogram, ...] = ()


class MatrixRow(RecordPart, frozen=True):
    """One back end, interface and strategy of hls4ml, compared with the exact engine.

    Attributes:
        status: A verdict; ``refused`` where hls4ml has no such project of this network; ``failed`` where its project
            does not compile or run.
        detail: First line of the verdict, or the reason.
        layers: Values compared, the network's output among them.
        words: How many words were compared.
        differing: How many differ.
    """

    backend: str
    io_type: str
    strategy: str
    status: Literal["match", "differ", "no_verdict", "refused", "failed"]
    detail: str
    layers: int
    words: int
    differing: int


class MatrixRecord(RecordPart, frozen=True, tag="edgeval.csim-compare-matrix/1"):
    """``records/csim-compare-matrix.json``: every C-simulation hls4ml has of one network against the exact engine.

    Attributes:
        verdict: ``match`` where every combination that is not refused matches, and at least one does.
        headline: First line for people.
        inputs: Where the samples came from.
    """

    fingerprint: Fingerprint
    verdict: Literal["match", "differ", "no_verdict"]
    headline: str
    samples: int
    inputs: str
    rows: tuple[MatrixRow, ...]
    compiler: str


class CrossCheckRow(RecordPart, frozen=True):
    """Faults repeated by brute force, their outcomes compared with the table.

    Attributes:
        executor: What ran them: the exact engine, or that and the C-simulation, whose words have to be equal.
        words: Output words compared.
        mismatches: Faults that did not agree, as TENSOR:INDEX:BIT.
    """

    executor: str
    faults: int
    words: int
    mismatches: tuple[str, ...]


class FaultRow(RecordPart, frozen=True):
    """One harmful fault, for people; without words where it is none of one stored word."""

    site: str
    golden_word: int | None
    faulty_word: int | None
    metric_change: float
    decisions_changed: int


class InjectRecord(RecordPart, frozen=True, tag="edgeval.inject-faults/2"):
    """``records/inject-faults-<fingerprint>.json``: a campaign and its layer × bit table.

    Attributes:
        outcomes: Folder of the per-fault tables, relative to the run.
        detail: ``full``, or ``decisions`` where only what follows from decisions is known.
        run_on: Where the faults were judged: this process, local workers, or a Dask cluster.
        workers: Processes that judged them, each with ``kernel_threads``; 0 for a cluster, whose workers come and go.
        faults: Faults judged, of ``sites`` that could be drawn.
        pruned: Stored bits in zero words among those that tensors and bits select, whether skipped or not.
        decision: ``argmax`` or ``tolerance``, with the tolerance and its unit.
        classes: Judged faults by their own class: masked, tolerable, critical; in ``decisions`` detail kept, critical.
        label_relative: Whether metric and right/wrong counts are against labels; else against fault-free answers.
        worst: The most harmful faults, worst first.
        decisions_changed: Mean share of samples whose decision a fault changes, over all faults; with an interval for
            another evaluation set from the same source and, for a sample of the faults, for other faults.
        estimate: What a sample says about all ``sites``; ``None`` where all were judged.
        brute_force: Faults that every campaign repeats, each by a run of its own, and compares with its table.
        cross_check: Faults repeated in the C-simulation, too; ``None`` where that was not asked for.
    """

    fingerprint: Fingerprint
    outcomes: str
    fault: str
    executor: str
    detail: Literal["full", "decisions"]
    run_on: Literal["this process", "local workers", "dask cluster"]
    workers: int
    kernel_threads: int
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
    decisions_changed: Estimated
    estimate: Estimate | None
    brute_force: CrossCheckRow
    cross_check: CrossCheckRow | None
    seconds: float

    @property
    def agreed(self) -> bool:
        """Whether every repeated fault did what the table says."""
        return not self.brute_force.mismatches and (self.cross_check is None or not self.cross_check.mismatches)


class EmulatorRecord(RecordPart, frozen=True, tag="edgeval.emulator/1"):
    """``records/emulator.json``: the C-simulation as a shared library, tried on golden vectors.

    Attributes:
        verdict: ``match``, ``differ`` or ``no_verdict``; a package is in place only behind ``match``.
        headline: First line for people.
        namespace: C++ namespace of everything in the library, and prefix of its C functions.
        library: File of the library in the package, with its sha256; ``None`` where no package was written.
        symbols: Everything the library exports.
        words: Output words compared, of which ``differing`` differ.
        audit: Findings of the static audit of the project, any of which means that nothing was built.
    """

    fingerprint: Fingerprint
    verdict: Literal["match", "differ", "no_verdict"]
    headline: str
    name: str
    version: str
    namespace: str
    library: str | None
    library_digest: str | None
    symbols: tuple[str, ...]
    samples: int
    words: int
    differing: int
    audit: tuple[str, ...]
    backend: str
    io_type: str
    compiler: str


Record = RunRecord | ExportRecord | CompareRecord | InjectRecord | EmulatorRecord


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
        return read_json(path, kind)
    except UnreadableError as error:
        raise RunDirectoryError(
            found=str(error),
            allowed=f"a record of kind {kind.__struct_config__.tag or kind.__name__}",
            where=str(path),
            remedy="run the command that writes it again",
        ) from error
