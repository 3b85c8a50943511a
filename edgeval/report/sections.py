"""The sections about one run: overview, layers, comparison, provenance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from edgeval.architecture import Architecture
from edgeval.diagnosis_record import Diagnosis
from edgeval.fingerprint import identity
from edgeval.records import (
    CompareRecord,
    Complexity,
    ErrorStatistics,
    ExportRecord,
    Fingerprint,
    MetricValue,
    Recipe,
    RunRecord,
)
from edgeval.report.markup import Child, Markup, code, definitions, element, join, table
from edgeval.report.numbers import better, change, count, counted, percent, quantity, sentence, significant
from edgeval.report.view import RunView

LABELS = {"match": "MATCH", "differ": "DIFFER", "no_verdict": "NO VERDICT"}
SIGNS = {"match": "✓", "differ": "✕", "no_verdict": "?"}
"""Beside the colour and the word, for eyes that see neither green nor red."""


def section(anchor: str, title: str, *content: Child) -> Markup:
    """A section of a run with its heading."""
    return element("section", element("h3", title), *content, id=anchor, aria_label=title)


def missing(what: str, command: str) -> Markup:
    """In place of a section whose record is not there."""
    return element("p", f"{what} Make it with ", code(command), ".", class_="missing")


def overview(view: RunView, anchor: str) -> Markup:
    """What the run is of, its verdict, its figures of merit and its size."""
    run = view.run
    subject = [
        f"{sentence(run.title)}. ",
        f"{run.task.capitalize()}, {counted(run.samples, 'evaluation sample')}. ",
    ]
    return section(
        anchor,
        "Overview",
        verdict_banner(view.compare),
        element("p", subject, recipe_sentence(run.recipe, run.architecture), class_="lead"),
        definitions([*_metrics(run), *_size(run.complexity)], "figures-of-merit"),
    )


def verdict_badge(record: CompareRecord) -> Markup:
    """Sign and word of a verdict."""
    sign = element("span", SIGNS[record.verdict], aria_hidden="true")
    return element("strong", sign, " ", LABELS[record.verdict], class_=f"badge {record.verdict.replace('_', '-')}")


def verdict_banner(record: CompareRecord | None) -> Markup:
    """The verdict, before anything else."""
    if record is None:
        return element(
            "div",
            element("strong", "NOT COMPARED", class_="badge"),
            element("p", "No C-simulation has confirmed this network yet."),
            class_="verdict",
        )
    headline = record.headline.removeprefix(LABELS[record.verdict]).lstrip(" :")
    return element(
        "div", verdict_badge(record), element("p", headline), class_=f"verdict {record.verdict.replace('_', '-')}"
    )


def recipe_sentence(recipe: Recipe | None, architecture: Architecture | None) -> Markup:
    """How the network was quantized, in one sentence or two."""
    shape = f"{_layers_text(architecture)}. " if architecture else ""
    if recipe is None:
        return join(shape, "A third-party graph, taken as it is.")
    scales = {"po2": "power-of-two", "float": "float"}[recipe.scales]
    spread = "per channel" if recipe.per_channel else "per tensor"
    pruned = f", {percent(recipe.sparsity)} pruned ({recipe.prune})" if recipe.sparsity else ", not pruned"
    return join(
        f"{shape}{recipe.weight_bits}-bit weights, {recipe.activation_bits}-bit activations, "
        f"{recipe.bias_bits}-bit biases, {scales} scales {spread}{pruned}."
    )


def _layers_text(architecture: Architecture) -> str:
    widths = architecture.perceptron_widths
    return f"Layers {' → '.join(count(width) for width in widths)}" if widths else f"Layers: {architecture.text}"


def layers(record: ExportRecord | None, anchor: str) -> Markup:
    """Every node of the integer network."""
    if record is None:
        return section(anchor, "Layers", missing("The network has not been exported.", "edgeval export RUN"))
    header = ["Node", "Form", "Output", "Weight", "Bias", "Computed in", "Accumulator", "Weights", "Zero"]
    rows = [
        [
            code(row.name),
            row.form,
            _format(row.output_format),
            _format(row.weight_format),
            _format(row.bias_format),
            row.arithmetic,
            f"{row.accumulator_bits} bits" if row.accumulator_bits else "",
            count(row.weights) if row.weights else "",
            percent(row.zero_share) if row.weights else "",
        ]
        for row in record.layers
    ]
    project = (
        join("hls4ml project in ", code(record.project), f", {record.backend}, {record.io_type}.")
        if record.project
        else join(f"No hls4ml project: {record.refused or 'not asked for'}.")
    )
    return section(
        anchor,
        "Layers",
        table("Nodes of the integer network, in data order", header, rows, text_columns=6),
        element("p", project, class_="note"),
        _notes(record.notes),
        _errors("The exported file against the integer network", [record.qonnx]),
        _brevitas(record),
    )


def comparison(record: CompareRecord | None, anchor: str) -> Markup:
    """Exact engine against C-simulation, layer by layer, and both against float."""
    if record is None:
        text = "No comparison with the C-simulation yet."
        return section(anchor, "Comparison", missing(text, "edgeval csim-compare RUN"))
    rows = [
        [code(row.value), count(row.words), count(row.differing), count(row.distinct), count(row.saturations)]
        for row in record.layers
    ]
    header = ["Layer", "Words compared", "Differing", "Distinct words", "Clipping events"]
    facts: list[tuple[Child, Child]] = [
        ("Words compared", count(record.words)),
        ("Differing", count(record.differing)),
        ("Samples", count(record.samples)),
        ("Inputs", record.inputs),
        ("Backend", f"{record.backend}, {record.io_type}"),
        ("Compiler", record.compiler or "none"),
    ]
    if record.poke:
        facts.append(("Flipped on purpose", code(record.poke)))
    return section(
        anchor,
        "Comparison",
        definitions(facts, "facts"),
        _first_difference(record),
        _audit(record.audit),
        table("Exact engine against C-simulation, word by word", header, rows) if rows else "",
        _errors("Float references against the integer network, on its outputs", record.references),
    )


def provenance(records: Iterable[tuple[str, Fingerprint]], anchor: str) -> Markup:
    """What was run, so that it can be run again."""
    lead = "What was run, with its configuration, seeds, versions and digests. Equal fingerprints give equal results."
    return section(anchor, "Provenance", element("p", lead), [_fingerprint(name, f) for name, f in records])


def _fingerprint(name: str, fingerprint: Fingerprint) -> Markup:
    groups: list[tuple[str, dict[str, str]]] = [
        ("Configuration", {k: _plain(v) for k, v in fingerprint.configuration.items()}),
        ("Seeds", {k: str(v) for k, v in fingerprint.seeds.items()}),
        ("Versions", fingerprint.versions),
        ("Digests (sha256)", fingerprint.digests),
    ]
    blocks = [
        element("div", element("h5", title), definitions(((k, code(v)) for k, v in entries.items()), "pairs"))
        for title, entries in groups
        if entries
    ]
    named = [code(f"edgeval {fingerprint.command}"), f", {name}: fingerprint "]
    summary = element("summary", named, code(identity(fingerprint)))
    return element("details", summary, element("div", blocks, class_="provenance"))


def _metrics(run: RunRecord) -> list[tuple[Child, Child]]:
    both = (run.float_metric, run.quantized_metric)
    items: list[tuple[Child, Child]] = [
        (f"{metric.name}, {model}", _measured(metric))
        for model, metric in zip(("float", "quantized"), both, strict=True)
        if metric is not None
    ]
    if run.float_metric is not None and run.quantized_metric is not None:
        difference = change(run.quantized_metric.value - run.float_metric.value, run.quantized_metric.unit)
        items.append((f"{run.metric}, difference", _value(difference, "quantized minus float")))
    return items


def _measured(metric: MetricValue) -> Markup:
    return _value(quantity(metric.value, metric.unit), better(metric.direction))


def _size(complexity: Complexity | None) -> list[tuple[Child, Child]]:
    if complexity is None:
        return []
    bits = complexity.weight_bits / complexity.weights if complexity.weights else 0.0
    return [
        ("sparsity", _value(percent(complexity.sparsity), "share pruned")),
        ("weights", _value(count(complexity.weights), f"{count(complexity.weights_nonzero)} not zero")),
        ("weight bits", _value(count(complexity.weight_bits), f"{significant(bits, 3)} a word")),
        ("BOPs", _value(significant(complexity.bops), "per inference")),
    ]


def _value(number: str, remark: str) -> Markup:
    return join(element("span", number, class_="value"), element("small", remark))


def _format(text: str) -> Child:
    return code(text) if text else ""


def _notes(notes: Sequence[str]) -> Child:
    if not notes:
        return ""
    items = element("ul", [element("li", note) for note in notes])
    return element("details", element("summary", f"Lowering took for equal or set aside ({count(len(notes))})"), items)


def _brevitas(record: ExportRecord) -> Child:
    if record.brevitas_max_error is None:
        return ""
    text = f"Largest output difference between torch model and QONNX file: {significant(record.brevitas_max_error)}."
    return element("p", text, class_="note")


def _errors(caption: str, references: Sequence[ErrorStatistics]) -> Child:
    if not references:
        return ""
    header = ["Reference", "Largest error", "Mean error", "Largest, in LSB", "Decisions equal"]
    header += ["Its metric", "Network's metric", "Words compared", "Explained", "Unexplained", "Not compared because"]
    rows = [
        [
            row.reference,
            significant(row.max_error),
            significant(row.mean_error),
            significant(row.max_error_lsb),
            "" if row.decisions_equal is None else percent(row.decisions_equal),
            *("" if m is None else quantity(m.value, m.unit) for m in (row.reference_metric, row.network_metric)),
            *("" if n is None else count(n) for n in (row.words, row.explained, row.unexplained)),
            row.skipped or "",
        ]
        for row in references
    ]
    kept = [column for column in range(len(header)) if any(row[column] for row in rows)]
    return table(caption, [header[c] for c in kept], [[row[c] for c in kept] for row in rows])


def _first_difference(record: CompareRecord) -> Child:
    first = record.first
    if record.diagnosis is not None:
        return _diagnosis(record.diagnosis)
    if first is None:
        return ""
    facts: list[tuple[Child, Child]] = [
        ("Layer", code(first.value)),
        ("Sample, position", f"{count(first.index[0])}, {count(first.index[1])}"),
        ("C-simulation", join(count(first.csim), " in ", code(first.csim_format))),
        ("Exact engine", join(count(first.engine), " in ", code(first.engine_format))),
        ("Likely cause", first.cause),
    ]
    return element("div", element("h4", "First difference"), definitions(facts, "facts"), class_="alarm")


def _diagnosis(diagnosis: Diagnosis) -> Child:
    """Why a native project differs, and what mends it."""
    found = "no number" if diagnosis.found is None else significant(diagnosis.found, 9)
    verified = "Remedy, verified by running it" if diagnosis.remedy_verified else "Remedy, not verified"
    facts: list[tuple[Child, Child]] = [
        ("Layer", join(code(diagnosis.layer), " (hls4ml layer ", code(diagnosis.hls_layer), ")")),
        ("Sample, position", ", ".join(count(index) for index in diagnosis.index)),
        ("Native project", join(found, " in ", code(diagnosis.found_format))),
        ("Integer network", join(significant(diagnosis.expected, 9), " in ", diagnosis.expected_format)),
        ("Cause", join(code(diagnosis.cause), ": ", diagnosis.explanation)),
        ("Evidence", diagnosis.evidence),
        (verified, diagnosis.remedy),
    ]
    return element("div", element("h4", "Diagnosis"), definitions(facts, "facts"), class_="alarm")


def _audit(findings: Sequence[str]) -> Child:
    if not findings:
        return ""
    items = element("ul", [element("li", finding) for finding in findings])
    return element("div", element("h4", "Static audit: nothing was run"), items, class_="alarm")


def _plain(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
