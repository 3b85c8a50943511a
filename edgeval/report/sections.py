"""What every section is made with, and the first and the last section of a run: overview and provenance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from edgeval.architecture import Architecture
from edgeval.fingerprint import identity
from edgeval.records import Complexity, Fingerprint, MetricValue, Recipe, RunRecord
from edgeval.report.markup import Child, Markup, code, definitions, element, join
from edgeval.report.numbers import better, change, count, counted, percent, quantity, sentence, significant
from edgeval.report.verdicts import banner, open_banner
from edgeval.report.view import RunView, Unread


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSection:
    """One section of a run.

    Attributes:
        anchor, title: Of the section and of its entry in the navigation.
        of: What its fingerprint is of, in the provenance; empty where it has none.
    """

    anchor: str
    title: str
    markup: Markup
    of: str = ""
    fingerprint: Fingerprint | None = None


def section(anchor: str, title: str, *content: Child) -> Markup:
    """A section of a run with its heading."""
    return element("section", element("h3", title), *content, id=anchor)


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
        _verdict(view),
        unread_alarm(view.unread) if view.unread else "",
        element("p", subject, recipe_sentence(run.recipe, run.architecture), class_="lead"),
        definitions([*_metrics(run), *_size(run.complexity)], "figures-of-merit"),
    )


def _verdict(view: RunView) -> Markup:
    """The verdict, before anything else; what cannot be read is no verdict."""
    if view.compare is not None:
        return banner(view.compare.verdict, view.compare.headline)
    if any(one.file == "csim-compare.json" for one in view.unread):
        return open_banner("UNREADABLE", "The record of the comparison with the C-simulation cannot be read.")
    return open_banner("NOT COMPARED", "No C-simulation has confirmed this network yet.")


def unread_alarm(files: tuple[Unread, ...]) -> Markup:
    """Files among the records that nothing on the page shows."""
    items = [
        element(
            "li", code(f"records/{one.file}"), f": {one.found}.", f" To mend it: {one.remedy}." if one.remedy else ""
        )
        for one in files
    ]
    return element("div", element("h4", "Not on this page"), element("ul", items), class_="alarm")


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
        element("div", element("h4", title), definitions(((k, code(v)) for k, v in entries.items()), "pairs"))
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
        ("sparsity", _value(percent(complexity.sparsity), "zero weights")),
        ("weights", _value(count(complexity.weights), f"{count(complexity.weights_nonzero)} not zero")),
        ("weight bits", _value(count(complexity.weight_bits), f"{significant(bits, 3)} a word")),
        ("BOPs", _value(significant(complexity.bops), "per inference")),
    ]


def _value(number: str, remark: str) -> Markup:
    return join(element("span", number, class_="value"), element("small", remark))


def _plain(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
