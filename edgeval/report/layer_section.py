"""The section about the layers of a run: formats, forms, accumulators and sparsity of every node."""

from __future__ import annotations

from collections.abc import Sequence

from edgeval.records import ExportRecord, LayerRow
from edgeval.report.comparison_section import references_table
from edgeval.report.markup import Child, Markup, code, element, join, table
from edgeval.report.numbers import count, percent, significant
from edgeval.report.sections import section

_HEADER = ["Node", "Form", "Shape", "Output", "Weight", "Bias", "Computed in", "Accumulator", "Weights", "Zero"]
_HEADER += ["Constants"]
_TEXT_COLUMNS = 7

_FLOWS = {
    "exact": "hls4ml project of edgeval's in ",
    "native": "hls4ml's own project of the user's graph in ",
    "project": "Copy of an existing hls4ml project in ",
}


def layers(record: ExportRecord, anchor: str) -> Markup:
    """Every node of the integer network.

    Args:
        record: Of ``edgeval export``.
        anchor: Of the section.
    """
    rows = [_row(row) for row in record.layers]
    kept = [column for column in range(len(_HEADER)) if any(row[column] for row in rows)]
    header = [_HEADER[column] for column in kept]
    text_columns = sum(column < _TEXT_COLUMNS for column in kept)
    body = [[row[column] for column in kept] for row in rows]
    return section(
        anchor,
        "Layers",
        table("Nodes of the integer network, in data order", header, body, text_columns=text_columns),
        element("p", _sparsity(record.layers), class_="note"),
        element("p", _project(record), class_="note"),
        _notes(record.notes),
        references_table("The exported file against the integer network", [record.qonnx]),
        _brevitas(record),
    )


def _row(row: LayerRow) -> list[Child]:
    return [
        code(row.name),
        row.form,
        " × ".join(count(axis) for axis in row.shape),
        *(code(text) if text else "" for text in (row.output_format, row.weight_format, row.bias_format)),
        row.arithmetic,
        f"{row.accumulator_bits} bits" if row.accumulator_bits else "",
        count(row.weights) if row.weights else "",
        percent(row.zero_share) if row.weights else "",
        count(row.constants) if row.constants else "",
    ]


def _sparsity(rows: Sequence[LayerRow]) -> str:
    weights = sum(row.weights for row in rows)
    zero = round(sum(row.weights * row.zero_share for row in rows))
    if not weights:
        return "No stored weights."
    widest = max((row.accumulator_bits for row in rows), default=0)
    share = percent(zero / weights)
    zeros = f"{count(zero)} of {count(weights)} stored weights are zero ({share})"
    return f"{zeros}; the widest accumulator has {widest} bits."


def _project(record: ExportRecord) -> Markup:
    if not record.project:
        return join(f"No hls4ml project: {record.refused or 'not asked for'}.")
    return join(_FLOWS[record.flow], code(record.project), f", {record.backend}, {record.io_type}.")


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
