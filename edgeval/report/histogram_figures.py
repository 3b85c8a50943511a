"""How errors are spread: one histogram a layer and reference, and one sentence for all where there is no error."""

from __future__ import annotations

from collections.abc import Sequence

from edgeval.error_histogram import ErrorHistogram
from edgeval.report.figures import Draw, Figure
from edgeval.report.markup import Child, Markup, code, element, join
from edgeval.report.numbers import count, counted, percent, significant
from edgeval.report.verdicts import checked

_FAINT = 30
"""From this ratio of the fullest bin to the emptiest filled one on, the axis of counts is logarithmic."""


def error_spread(histograms: Sequence[ErrorHistogram], draw: Draw) -> Child:
    """Every reference: the layers where nothing differs in a sentence, the others as figures.

    Args:
        histograms: Of one comparison.
        draw: Places a figure.
    """
    if not histograms:
        return ""
    parts = [element("h4", "How errors are spread"), element("p", _LEAD)]
    for reference in dict.fromkeys(one.reference for one in histograms):
        found = [one for one in histograms if one.reference == reference]
        equal = [one for one in found if one.equal == one.errors]
        if equal:
            parts.append(_equal(reference, equal, len(found)))
        figures = [draw(histogram_figure(one)) for one in found if one.equal != one.errors]
        if figures:
            parts.append(element("div", figures, class_="grid three"))
    return join(*parts)


_LEAD = "Each reference minus the integer network, in the last bit (LSB) of the layer's own words."


def _equal(reference: str, equal: Sequence[ErrorHistogram], layers: int) -> Markup:
    words = sum(one.errors for one in equal)
    where = f"all {count(layers)}" if len(equal) == layers else f"{count(len(equal))} of {count(layers)}"
    text = f"{reference}: no error in any of {counted(words, 'value')}, {where} compared layers: "
    return checked(text, _names(equal), ".", good=True)


def _names(histograms: Sequence[ErrorHistogram]) -> Markup:
    return join(*(join(", " if place else "", code(one.value)) for place, one in enumerate(histograms)))


def histogram_figure(histogram: ErrorHistogram) -> Figure:
    """Errors of one layer against one reference, zero in the middle of a bin."""
    centres, counts = list(histogram.centres_lsb), list(histogram.counts)
    filled = [number for number in counts if number]
    trace = {
        "type": "bar",
        "name": histogram.reference,
        "x": centres,
        "y": counts,
        "width": histogram.bin_lsb,
        "marker": {
            "color": ["--masked" if centre == 0 else "--critical" for centre in centres],
            "line": {"color": "--paper", "width": 0.5},
        },
        "hovertemplate": "%{x:,} LSB: %{y:,}<extra></extra>",
    }
    reach = max(abs(centre) for centre in centres) + histogram.bin_lsb if centres else 1.0
    steep = bool(filled) and max(filled) / min(filled) >= _FAINT
    scale = {"type": "log", "dtick": 1, "exponentformat": "power"} if steep else {"rangemode": "tozero", "nticks": 5}
    return Figure(
        title=f"{histogram.reference}, {histogram.value}",
        traces=[trace],
        layout={
            "xaxis": {"title": {"text": "error [LSB]"}, "range": [-reach, reach], "nticks": 6, "zeroline": False},
            "yaxis": {"title": {"text": "values"}, "tickformat": ",~s" if not steep else "", **scale},
            "bargap": 0,
            "showlegend": False,
        },
        columns=(("reference", "name"), ("error, middle of the bin [LSB]", "x"), ("values", "y")),
        height=230,
        note=_note(histogram),
    )


def _note(histogram: ErrorHistogram) -> str:
    width = significant(histogram.bin_lsb, 3)
    parts = [
        f"{percent(histogram.equal / max(1, histogram.errors))} of {counted(histogram.errors, 'value')} without error; "
        f"bins of {width} LSB."
    ]
    if histogram.not_finite:
        parts.append(f"{count(histogram.not_finite)} are no number and in no bin.")
    return " ".join(parts)
