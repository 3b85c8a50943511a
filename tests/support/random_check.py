"""One random network against the exact engine: exact, explained, refused as allowed, or a failure."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from support.random_graphs import RandomGraph, build, spec_of

from edgeval.float_bound import explain
from hls.csim import build_csim, open_csim
from hls.engine import ExactEngine
from hls.errors import EdgevalError, LoweringError
from hls.graph import IntegerGraph
from hls.hls4ml_flow.audit import audit_project
from hls.hls4ml_flow.limits import require_hls4ml, require_io_type
from hls.hls4ml_flow.options import IoType, ProjectOptions
from hls.hls4ml_flow.project import write_project
from hls.lowering import lower_traced

FAILURES = ("unexplained", "refused wrongly", "crashed")


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a network went.

    Attributes:
        kind: exact, explained, skipped (float32 is too coarse for it), refused, or one of ``FAILURES``.
        detail: What a refusal or failure says.
    """

    kind: str
    detail: str = ""
    words: int = 0
    explained: int = 0

    @property
    def failed(self) -> bool:
        return self.kind in FAILURES


def check_graph(graph: RandomGraph) -> Verdict:
    """Lower a network and compare every quantized word with qonnx."""
    try:
        lowered = lower_traced(graph.model)
        report = explain(lowered, graph.inputs)
    except LoweringError as error:
        kind = "refused" if graph.may_be_refused(error.found) else "refused wrongly"
        return Verdict(kind, str(error) if kind != "refused" else error.found)
    except Exception as error:  # noqa: BLE001  # any other exception is a finding, told with its place
        last = traceback.extract_tb(error.__traceback__)[-1]
        return Verdict("crashed", f"{type(error).__name__}: {error} [{last.filename}:{last.lineno}]")
    if report.skipped:
        return Verdict("skipped", report.skipped, report.words, report.explained)
    if report.unexplained:
        return Verdict("unexplained", f"{report.unexplained} words, {report.first}", report.words, report.explained)
    return Verdict("explained" if report.explained else "exact", "", report.words, report.explained)


def check_module(seed: int) -> Verdict:
    """Export a random Brevitas module, which executes it against torch, and compare every word with qonnx."""
    from edgeval.module_export import export_module, quiet

    with quiet():
        from support.random_modules import random_module

        module, inputs = random_module(seed)
    try:
        with quiet():  # brevitas' own state_dict warns about how it calls torch's
            model = export_module(module, inputs, "random").model
        report = explain(lower_traced(model), inputs)
    except EdgevalError as error:  # nothing in these modules may be refused
        return Verdict("refused wrongly", f"{module.summary}: {error}")
    if report.skipped:
        return Verdict("skipped", report.skipped, report.words, report.explained)
    if report.unexplained:
        return Verdict("unexplained", f"{module.summary}: {report.first}", report.words, report.explained)
    return Verdict("explained" if report.explained else "exact", module.summary, report.words, report.explained)


def check_simulation(seed: int, folder: Path, most_words: int, io_type: IoType = "io_parallel") -> Verdict:
    """Compile the first network from a seed on that hls4ml has exact layers for, and compare its taps."""
    for number in range(seed, seed + 1000):
        graph = build(spec_of(number), samples=64)
        try:
            network = lower_traced(graph.model).graph
            require_hls4ml(network)
            require_io_type(network, io_type)
        except LoweringError:
            continue
        if sum(prod(value.shape) for value in network.values.values()) <= most_words:
            return simulated(network, graph.inputs, folder, number, io_type)
    return Verdict("crashed", f"no network for hls4ml from seed {seed} on")


def simulated(
    network: IntegerGraph, inputs: np.ndarray, folder: Path, number: int, io_type: IoType = "io_parallel"
) -> Verdict:
    """One network's C-simulation against the exact engine, on every value that the simulation shows."""
    words = network.quantize_inputs(inputs)
    manifest = write_project(network, folder, ProjectOptions(io_type=io_type))
    findings = audit_project(network, folder, manifest)
    if findings:
        return Verdict("unexplained", f"seed {number}: audit: {findings[0]}")
    with open_csim(network, build_csim(folder)) as simulation:
        taps = [node.output for node in network.compute_nodes if node.output in simulation.tappable()]
        found, expected = simulation.run(words, taps), ExactEngine(network).run(words, taps)
    for tap in taps:
        if not np.array_equal(found.taps[tap], expected.taps[tap]):
            node = network.producer_of(tap)
            return Verdict("unexplained", f"seed {number}: {tap} ({type(node).__name__}) differs")
    if not np.array_equal(found.output, expected.output):
        return Verdict("unexplained", f"seed {number}: the output differs")
    return Verdict("exact", words=expected.output.size)
