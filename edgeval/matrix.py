"""Every C-simulation that hls4ml has of a run's network, each against the exact engine: a second opinion on the first.

Vivado and Vitis compute in AMD's ap_types, Quartus and Catapult in ac_types, which share no code; io_parallel and
io_stream, Latency and Resource run different C++ of hls4ml's. Whatever all of them agree on is not one's own mistake.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args

from edgeval.comparison import chosen_samples, compare_project, other_project, require_project
from edgeval.fingerprint import digest_arrays, make_fingerprint
from edgeval.pipeline import export_record
from edgeval.progress import say
from edgeval.records import LayerVerdict, MatrixRecord, MatrixRow, save_record
from edgeval.run_directory import RunDirectory
from hls.errors import EdgevalError, LoweringError, ToolError, UsageError
from hls.formats import Words
from hls.graph import IntegerGraph
from hls.hls4ml_flow.options import STRATEGIES, Backend, IoType, ProjectOptions, Strategy
from hls.hls4ml_flow.project import write_project
from hls.serialize import digest
from hls.toolchain import find_compiler

Selection = tuple[Backend | None, IoType | None, Strategy | None]
"""Back end, interface and strategy; ``None`` for the run's own, or for all."""

_Status = Literal["match", "differ", "no_verdict", "refused", "failed"]


def other_options(run: RunDirectory, chosen: Selection = (None, None, None)) -> ProjectOptions:
    """The options a run was exported with, with another back end, interface or strategy.

    A back end without the run's strategy gets the one it has; another back end gets its own default part.

    Raises:
        UsageError: a strategy that the back end does not have. RunDirectoryError: the run was not exported.
    """
    configuration = export_record(run).fingerprint.configuration
    backend: Backend = chosen[0] or configuration["backend"]
    _, io_type, strategy = chosen
    own: Strategy = configuration["strategy"]
    return ProjectOptions(
        backend=backend,
        io_type=io_type or configuration["io-type"],
        strategy=strategy or (own if own in STRATEGIES[backend] else STRATEGIES[backend][0]),
        reuse_factor=configuration["reuse-factor"],
        clock_period=configuration["clock-period"],
        part=configuration["part"] if backend == configuration["backend"] else None,
        overrides=_without_strategies(configuration["overrides"]),
    )


def compare_matrix(
    run: RunDirectory,
    *,
    only: Selection = (None, None, None),
    inputs: Path | None = None,
    samples: int | None = None,
    workers: int | None = None,
) -> MatrixRecord:
    """Compare every combination of back end, interface and strategy with the exact engine, and save the record.

    Args:
        run: An exported run.
        only: One back end, interface or strategy each, ``None`` for all there are.
        inputs: Samples other than the run's own.
        samples: Only the first so many.
        workers: Processes of each C-simulation.

    Raises:
        LoweringError: the network has a layer that hls4ml cannot hold. ToolError: no compiler.
        InputError, RunDirectoryError: bad samples or run.
    """
    graph = run.network()
    require_project(run, graph)
    compiler = find_compiler().version
    chosen = chosen_samples(run, inputs, samples)
    words = graph.quantize_inputs(chosen.inputs)
    rows = tuple(_rows(run, graph, words, only, workers))
    verdict, headline = _judged(rows)
    record = MatrixRecord(
        fingerprint=make_fingerprint(
            "csim-compare",
            {"matrix": True, **dict(zip(("backend", "io-type", "strategy"), only, strict=True)),
             "samples": len(chosen.inputs), "inputs": chosen.origin},
            seeds={},
            digests={"network": digest(graph), "inputs": digest_arrays({"inputs": chosen.inputs})},
        ),
        verdict=verdict,
        headline=headline,
        samples=len(words),
        inputs=chosen.origin,
        rows=rows,
        compiler=compiler,
    )  # fmt: skip
    save_record(record, run.record_file("csim-compare-matrix"))
    return record


def _rows(
    run: RunDirectory,
    graph: IntegerGraph,
    words: Words,
    only: Selection,
    workers: int | None,
) -> Iterator[MatrixRow]:
    base = other_options(run)
    axes = [[choice] if choice else get_args(kind) for choice, kind in zip(only, _AXES, strict=True)]
    for backend, io_type, strategy in product(*axes):
        combination = {"backend": backend, "io_type": io_type, "strategy": strategy}
        say(" ".join(combination.values()))
        status, detail, layers = _compared(run, graph, words, base, combination, workers)
        yield MatrixRow(
            **combination,
            status=status,
            detail=detail,
            layers=len(layers),
            words=sum(layer.words for layer in layers),
            differing=sum(layer.differing for layer in layers),
        )


_AXES = (Backend, IoType, Strategy)


def _compared(
    run: RunDirectory,
    graph: IntegerGraph,
    words: Words,
    base: ProjectOptions,
    combination: dict[str, Any],
    workers: int | None,
) -> tuple[_Status, str, tuple[LayerVerdict, ...]]:
    try:
        part = base.part if combination["backend"] == base.backend else None
        options = replace(base, **combination, part=part)
        project = other_project(run, options)
        write_project(graph, project, options)
    except (UsageError, LoweringError) as error:
        return "refused", _reason(error), ()
    except ToolError as error:
        return "failed", _reason(error), ()
    try:
        found = compare_project(graph, project, words, workers=workers)
    except ToolError as error:
        return "failed", _reason(error), ()
    return found.verdict.kind, found.verdict.headline, found.verdict.layers


def _reason(error: EdgevalError) -> str:
    return f"{error.found}; allowed: {error.allowed}"


def _judged(rows: tuple[MatrixRow, ...]) -> tuple[Literal["match", "differ", "no_verdict"], str]:
    count = {status: sum(row.status == status for row in rows) for status in get_args(_Status)}
    wrong = count["differ"] + count["failed"]
    refused = f"; {count['refused']} refused" if count["refused"] else ""
    if wrong:
        first = next(row for row in rows if row.status in ("differ", "failed"))
        name = f"{first.backend} {first.io_type} {first.strategy}"
        return "differ", f"DIFFER {wrong} of {len(rows)} C-simulations, first {name}: {first.detail}{refused}"
    if count["no_verdict"] or not count["match"]:
        return "no_verdict", f"NO VERDICT: {count['match']} of {len(rows)} C-simulations match{refused}"
    return "match", f"MATCH {count['match']} of {len(rows)} C-simulations{refused}"


def _without_strategies(overrides: dict[str, Any]) -> dict[str, Any]:
    """Overrides without the strategies in them, which would contradict the one asked for."""
    return {
        section: {
            name: {key: value for key, value in settings.items() if key != "Strategy"}
            if section == "LayerName" and settings
            else settings
            for name, settings in (content or {}).items()
            if not (section == "Model" and name == "Strategy")
        }
        for section, content in overrides.items()
    }
