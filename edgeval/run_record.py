"""What ``run.json`` holds: what a run is of, how it was trained, and the identity of a result."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from edgeval.architecture import Architecture


class RecordPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all records and their parts: frozen, by keyword, nothing unknown."""


class Fingerprint(RecordPart, frozen=True):
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


class MetricValue(RecordPart, frozen=True):
    """One figure of merit of one model.

    Attributes:
        direction: Whether ``higher`` or ``lower`` is better.
    """

    name: str
    unit: str
    direction: Literal["higher", "lower"]
    value: float


class Recipe(RecordPart, frozen=True):
    """How the network was quantized and pruned, nothing left open; see ``edgeval.quantize.Recipe``."""

    weight_bits: int
    activation_bits: int
    bias_bits: int
    scales: Literal["po2", "float"]
    per_channel: bool
    sparsity: float
    prune: Literal["magnitude", "structured"]


class Complexity(RecordPart, frozen=True):
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


class OwnModel(RecordPart, frozen=True):
    """The Brevitas module that a graph was exported from, and how well the graph does what the module does.

    Attributes:
        factory: ``package.module:factory``, called with ``arguments``; of a live module, its class.
        checkpoint: Name of the file that the weights came from; ``None`` where they are the factory's own.
        weights_sha256: Of the module's state, however it got there.
        exporter: Which of torch's exporters wrote the graph.
        passed_over: Why the one that comes first did not; empty where it did.
        samples: Executed by the module and, as a graph, by qonnx.
        differing: Of these, samples with an output beyond ``tolerance``.
        max_error, tolerance: Absolute, in units of the output.
        notes: What people have to know about the export.
    """

    factory: str
    arguments: dict[str, Any]
    checkpoint: str | None
    checkpoint_sha256: str | None
    weights_sha256: str
    exporter: Literal["dynamo", "torchscript"]
    passed_over: str
    samples: int
    differing: int
    max_error: float
    tolerance: float
    notes: tuple[str, ...]


class Standardisation(RecordPart, frozen=True):
    """What the host does to each measured feature before it becomes an input word: (feature - mean) / deviation."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


class RunRecord(RecordPart, frozen=True, tag="edgeval.run/2"):
    """``run.json``: what this run is of.

    Attributes:
        source: Target name, the name of a third-party file, or the factory of a module.
        task: What the outputs mean.
        metric: Name of the metric; ``unit`` and ``direction`` belong to it.
        recipe: ``None`` for a third-party graph, as are all training results below.
        architecture: The network's layers after structured pruning.
        standardisation: ``None`` where the inputs are what the sensor delivers.
        float_metric: Of the float model on the test part.
        quantized_metric: Of the quantized torch model on the test part.
        clipped_biases: Bias words that the recipe's own width clips.
        seconds: Wall-clock time of training.
        input_format: Of the input words, as ``fixed<W,I>``, where the graph never quantizes its input; else empty.
        own_model: What ``source`` is, where it is the factory of a module.
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
    architecture: Architecture | None = None
    standardisation: Standardisation | None = None
    float_metric: MetricValue | None = None
    quantized_metric: MetricValue | None = None
    complexity: Complexity | None = None
    clipped_biases: int = 0
    seconds: float | None = None
    input_format: str = ""
    own_model: OwnModel | None = None
