"""The baseline file: what runs were when they were locked, as text that is kept and reviewed in a repository.

``docs/regression.md`` explains every field. Order is fixed, and one layer, type or row of words stands on one line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from edgeval.run_record import MetricValue, RecordPart
from hls.errors import RunDirectoryError
from hls.files import atomic_write
from hls.formats import WordFormat
from hls.host import HostStep
from hls.nodes import Node
from hls.readers import UnreadableError, read_json

BASELINE_TAG = "edgeval.baseline/1"
_NESTING = 4
"""Levels that are written one item a line: the file, its runs, a run, and each of its parts."""
_LONG_TEXT = 20
"""Characters of texts that get a line each: rows of words, but no names."""


Count = Annotated[int, msgspec.Meta(ge=0)]
"""A number that is not negative, whoever edited the file."""


class LockedModel(RecordPart, frozen=True):
    """What the network is made from.

    Attributes:
        file: ``model.safetensors`` of a trained run, ``model.onnx`` of another.
        sha256: Of that file.
        recipe: How it was quantized and what layers it has; empty where the file says that itself.
        input_format: Of the input words, where the graph never quantizes its input; else empty.
    """

    file: str
    sha256: str
    recipe: dict[str, Any]
    input_format: str


class LockedOptions(RecordPart, frozen=True):
    """What was asked of hls4ml, by the names of ``edgeval export``."""

    flow: str
    backend: str
    io_type: str
    strategy: str
    reuse_factor: int
    clock_period: float
    part: str | None
    strict: bool
    overrides: dict[str, Any]


class LockedValue(RecordPart, frozen=True):
    """What flows between two nodes; see ``hls.graph.Value``."""

    name: str
    shape: tuple[int, ...]
    format: WordFormat | None
    scale: float | tuple[float, ...]


class LockedNetwork(RecordPart, frozen=True):
    """Structure of the integer network; see ``hls.graph.IntegerGraph``.

    Attributes:
        digest: sha256 of structure and words, as in the export record.
    """

    digest: str
    input: str
    output: str
    output_axes: tuple[int, ...]
    tail: tuple[HostStep, ...]
    notes: tuple[str, ...]
    nodes: tuple[Node, ...]
    values: tuple[LockedValue, ...]


class LockedType(RecordPart, frozen=True):
    """A type of the hls4ml project.

    Attributes:
        layer: Node of the integer network.
        role: As hls4ml names its types: ``result_t``, ``accum_t``, ``weight_t``, ``bias_t`` …
        type: In hls4ml's notation.
    """

    layer: str
    role: str
    type: str


class LockedTensor(RecordPart, frozen=True, omit_defaults=True):
    """Stored words.

    Attributes:
        sha256: Of the words as int64, C order.
        rows: The words; see ``edgeval.regression.packed_words``. Empty where they were too many to be kept.
        chunks: In their place, eight digits of the sha256 of every ``CHUNK_WORDS`` words.
    """

    name: str
    format: WordFormat
    shape: tuple[int, ...]
    scale: float | tuple[float, ...]
    widen: int | tuple[int, ...]
    zero_point: int | tuple[int, ...]
    channel_axis: int
    sha256: str
    rows: tuple[str, ...] = ()
    chunks: tuple[str, ...] = ()


class LayerWords(RecordPart, frozen=True):
    """All words of one value on the evaluation set.

    Attributes:
        words: How many.
        sha256: First sixteen digits, of the words as int64, samples first.
    """

    value: str
    words: int
    sha256: str


class GoldenSample(RecordPart, frozen=True, omit_defaults=True):
    """Input words and the output words that the network gives for them.

    Attributes:
        origin: ``every word -16``, or ``sample 7 of the evaluation set``.
        fill: The one word that all of the input is.
        input: Input words in C order; empty where ``fill`` says it all, or where they are too many.
        output: Output words in C order.
    """

    origin: str
    fill: int | None = None
    input: tuple[int, ...] = ()
    output: tuple[int, ...] = ()


class LockedWords(RecordPart, frozen=True):
    """What the network computes.

    Attributes:
        samples: Of the evaluation set.
        data: sha256 of inputs and labels.
        layers: Every value in data order; the network's output is the last.
    """

    samples: int
    data: str
    layers: tuple[LayerWords, ...]
    golden: tuple[GoldenSample, ...]


class LockedFaults(RecordPart, frozen=True, omit_defaults=True):
    """What a flipped stored bit does, judged on the evaluation set.

    Attributes:
        skipped: Why there is nothing; empty where there is.
        faults: Judged, of ``sites`` stored bits: all of them, or a sample drawn with ``seed``.
        tolerance: Of a regression's decision, in the metric's unit; ``None`` for arg-max.
        mean_harm: Mean change of the metric in the bad direction, in its unit.
        mean_decisions: Mean share of the samples whose decision a fault changes.
        worst_harm: Of the most harmful fault.
        worst_site: TENSOR:INDEX:BIT; empty where no fault harms.
    """

    skipped: str = ""
    faults: Count = 0
    sites: Count = 0
    seed: Count = 0
    tolerance: float | None = None
    metric: MetricValue | None = None
    mean_harm: float = 0.0
    mean_decisions: float = 0.0
    worst_harm: float = 0.0
    worst_site: str = ""


class VendorReport(RecordPart, frozen=True):
    """Figures of a synthesis report in the hls4ml project, by hls4ml's own keys.

    Attributes:
        resources: BRAM_18K, DSP, FF, LUT, URAM.
        cycles: BestLatency, WorstLatency, IntervalMin, IntervalMax.
        clock_ns: TargetClockPeriod, EstimatedClockPeriod.
    """

    file: str
    resources: dict[str, int]
    cycles: dict[str, int]
    clock_ns: dict[str, float]


class LockedRun(RecordPart, frozen=True):
    """One run as it was.

    Attributes:
        name: Unique in the file.
        path: Of the run directory, relative to the folder of the file.
        stored_bits: Of all stored words.
        csim: ``match``: the C-simulation gave the exact engine's words; else why there is none.
        versions: Python, packages and compiler that made all this.
        metric: On the evaluation set; ``None`` without labels.
        report: ``None`` where no synthesis report lay in the project.
    """

    name: str
    path: Annotated[str, msgspec.Meta(pattern=r"^[^\x00]+$")]
    source: str
    task: Literal["classification", "regression"]
    model: LockedModel
    options: LockedOptions
    versions: dict[str, str]
    stored_bits: int
    metric: MetricValue | None
    faults: LockedFaults
    csim: str
    report: VendorReport | None
    types: tuple[LockedType, ...]
    network: LockedNetwork
    words: LockedWords
    tensors: tuple[LockedTensor, ...]


class Baseline(RecordPart, frozen=True, tag=BASELINE_TAG):
    """The file."""

    runs: tuple[LockedRun, ...]


def save_baseline(baseline: Baseline, path: Path) -> None:
    """Write the file atomically: an interrupted lock leaves the old one.

    Raises:
        InputError: the folder cannot be written or the disk is full.
    """
    atomic_write(path, baseline_text(baseline).encode())


def load_baseline(path: Path) -> Baseline:
    """Read the file.

    Raises:
        RunDirectoryError: missing, damaged, of a newer version, or no baseline.
    """
    try:
        baseline = read_json(path, Baseline)
    except UnreadableError as error:
        missing = not path.exists()
        raise RunDirectoryError(
            found="no such file" if missing else str(error),
            allowed=f"a baseline ({BASELINE_TAG})",
            where=str(path),
            remedy="write one with `edgeval regress lock RUN`, or name it with --baseline"
            if missing
            else "take it from version control again, use the edgeval that wrote it, or lock anew",
        ) from error
    names = [run.name for run in baseline.runs]
    if len(set(names)) != len(names) or not names:
        raise RunDirectoryError(
            found=f"runs {', '.join(names) or '(none)'}",
            allowed="one or more runs, each with a name of its own",
            where=str(path),
            remedy="take it from version control again, or lock anew",
        )
    return baseline


def baseline_text(baseline: Baseline) -> str:
    """The file's content: JSON, deterministic, one layer, type or row of words a line."""
    return f"{_lines(msgspec.to_builtins(baseline), 0)}\n"


def _lines(value: Any, depth: int) -> str:
    items = list(value.items() if isinstance(value, dict) else value) if isinstance(value, dict | list | tuple) else []
    if not items or not _is_broken(value, depth):
        return msgspec.json.encode(value).decode()
    inside, outside = " " * (depth + 1), " " * depth
    if isinstance(value, dict):
        parts = [f"{inside}{msgspec.json.encode(k).decode()}: {_lines(v, depth + 1)}" for k, v in items]
        return "{\n" + ",\n".join(parts) + f"\n{outside}}}"
    return "[\n" + ",\n".join(inside + _lines(item, depth + 1) for item in items) + f"\n{outside}]"


def _is_broken(value: Any, depth: int) -> bool:
    """Whether each item gets a line of its own: a run's parts, each layer and type, each row of words."""
    if isinstance(value, dict):
        return depth < _NESTING or len(value.get("rows", ())) > 1
    if any(isinstance(item, dict) for item in value):
        return depth <= _NESTING
    return len(value) > 1 and all(isinstance(item, str) and len(item) >= _LONG_TEXT for item in value)
