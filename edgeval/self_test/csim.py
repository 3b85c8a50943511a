"""``csim-compare --self-test``: wrong devices, each of which audit and word comparison have to see."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from edgeval.comparison import chosen_samples, compare_project, other_project, require_project, run_both
from edgeval.fingerprint import digest_arrays, make_fingerprint
from edgeval.matrix import other_options
from edgeval.pipeline import export_record
from edgeval.progress import progress, say
from edgeval.records import Fingerprint, save_record
from edgeval.run_directory import RunDirectory, Samples
from edgeval.self_test import MUTATIONS
from edgeval.self_test.devices import Device, Right, build_all, held_to, words_of, wrong_device, wrong_project
from edgeval.self_test.project_edits import PROJECT_MUTATIONS
from edgeval.self_test.score import scored, without_verdict
from edgeval.self_test_record import Mutant, SelfTestRecord
from edgeval.verdict import Verdict, judge
from edgeval.word_comparison import Difference, first_difference
from fault_injection.faults import change_at
from hls.csim import CSimulation, build_csim, open_csim
from hls.engine import ExactEngine
from hls.environment import worker_count
from hls.errors import RunDirectoryError, UsageError
from hls.files import write_error
from hls.graph import IntegerGraph
from hls.hls4ml_flow.audit import audit_project
from hls.hls4ml_flow.manifest import load_manifest
from hls.hls4ml_flow.options import ProjectOptions
from hls.hls4ml_flow.project import write_project
from hls.serialize import digest

SAMPLES = 50
"""Compared for each mutant unless asked otherwise: a wrong device differs soon, and there are many."""

_CSIM_MUTATIONS = (*MUTATIONS, *PROJECT_MUTATIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What one kind of check has to say about a wrong device.

    Attributes:
        by: The check.
        saw: Whether it saw the error, and the right one.
        had_to: Whether it must: an audit reads words and types, and nothing else.
        text: What was seen.
    """

    by: str
    saw: bool
    had_to: bool
    text: str


def self_test_comparison(  # noqa: PLR0913  # the options of csim-compare that it shares, and which mutations
    run: RunDirectory,
    *,
    inputs: Path | None = None,
    samples: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    other: ProjectOptions | None = None,
    mutations: Collection[str] = _CSIM_MUTATIONS,
) -> SelfTestRecord:
    """Make every error there is in the device, compare as ``csim-compare`` does, and save what was seen.

    Args:
        run: An exported run.
        inputs: Samples other than the run's own.
        samples: Only the first so many; ``SAMPLES`` if left out.
        seed: Of the places where errors are made.
        workers: Builds at once.
        other: Options of another project than the run's own.
        mutations: Names of those to make.

    Raises:
        UsageError: a native project. LoweringError: a network hls4ml cannot hold. ToolError: the compiler failed.
        InputError, RunDirectoryError: bad samples or run.
    """
    _require_exact_flow(run)
    graph = run.network()
    require_project(run, graph)
    chosen = chosen_samples(run, inputs, samples or SAMPLES)
    words = graph.quantize_inputs(chosen.inputs)
    project, name = run.project, "self-test-csim-compare"
    if other is not None:
        project = other_project(run, other)
        name = f"{name}-{project.name}"
        write_project(graph, project, other)
    fingerprint = _fingerprint(graph, chosen, seed, project.name, mutations)
    say("the device without any error")
    control = compare_project(graph, project, words, workers=1)
    if control.verdict.kind != "match":
        record = without_verdict("csim-compare", fingerprint, len(words), control.verdict.headline)
    else:
        right = Right(
            graph=graph,
            inputs=words,
            words=words_of(graph, words),
            manifest=load_manifest(project),
            options=other or _own_options(run),
            seed=seed,
        )
        with _folder_beside(run) as folder:
            rows = _tested(right, project, folder, mutations, workers or worker_count())
        record = scored("csim-compare", fingerprint, len(words), rows)
    save_record(record, run.record_file(name))
    return record


def _tested(right: Right, project: Path, folder: Path, mutations: Collection[str], cores: int) -> list[Mutant]:
    found = dict(_made(right, folder, mutations))
    devices = [device for device in found.values() if isinstance(device, Device)]
    compiled = [device for device in devices if not device.is_poked(right.graph)]
    with progress("mutants compiled") as advance:
        builds = build_all(compiled, cores, advance)
    with (
        open_csim(right.graph, build_csim(project), workers=1) as unharmed,
        progress("mutants compared") as advance,
    ):
        for done, device in enumerate(devices):
            if device.mutation in builds:
                with open_csim(right.graph, builds[device.mutation], workers=1) as csim:
                    found[device.mutation] = _row(right, device, csim, unharmed)
            else:
                found[device.mutation] = _row(right, device, unharmed, unharmed)
            advance(done + 1, len(devices))
    return [row for row in found.values() if isinstance(row, Mutant)]


def _made(right: Right, folder: Path, mutations: Collection[str]) -> Iterator[tuple[str, Device | Mutant]]:
    """Wrong projects, or why there is none, one at a time: hls4ml keeps its passes in one global place."""
    with progress("mutants written") as advance:
        for done, name in enumerate(mutations):
            place = folder / name.replace(" ", "-")
            if name in MUTATIONS:
                yield name, wrong_device(right, name, MUTATIONS[name], place)
            else:
                yield name, wrong_project(right, name, PROJECT_MUTATIONS[name], place)
            advance(done + 1, len(mutations))


def _row(right: Right, device: Device, csim: CSimulation, unharmed: CSimulation) -> Mutant:
    """Let audit, library and words see a wrong device."""
    seen = [_audited(right, device), *_compared(right, device, csim, poked=csim is unharmed)]
    if device.mutated is not None and device.mutated.site is not None:
        seen += _poked(right, device, unharmed)
    missed = [item for item in seen if item.had_to and not item.saw]
    return Mutant(
        mutation=device.mutation,
        place=device.made.place,
        change=device.made.change,
        status="missed" if missed else "detected",
        detected_by=tuple(item.by for item in seen if item.saw),
        evidence="; ".join(f"{item.by}: {item.text}" for item in seen),
    )


def _audited(right: Right, device: Device) -> _Seen:
    """Whether the audit of the right network finds what is wrong in the files."""
    manifest = held_to(right.manifest, device.manifest)
    other_types = any(item not in device.manifest.types for item in manifest.types)
    had_to = bool(device.changes(right.graph)) or other_types or device.mutated is None
    try:
        findings = audit_project(right.graph, device.project, manifest)
    except RunDirectoryError as error:  # a file of the right project is not there
        return _Seen(by="audit", saw=True, had_to=had_to, text=f"{Path(error.where).name} is missing")
    if findings:
        return _Seen(by="audit", saw=True, had_to=had_to, text=str(findings[0]))
    text = "found nothing" if had_to else "cannot see it, for it reads stored words and types, which are right"
    return _Seen(by="audit", saw=False, had_to=had_to, text=text)


def _compared(right: Right, device: Device, csim: CSimulation, *, poked: bool) -> Iterator[_Seen]:
    """Whether the comparison of words says where the wrong device goes wrong first, audit passed over."""
    mutated = device.mutated
    evidence = run_both(
        right.graph,
        csim,
        right.inputs,
        changes=device.changes(right.graph) if poked else (),
        predicted=None if mutated is None else ExactEngine(mutated.graph),
    )
    if device.changes(right.graph) and not poked:
        text = evidence.loaded[0] if evidence.loaded else "holds the right words"
        yield _Seen(by="library", saw=bool(evidence.loaded), had_to=True, text=text)
    verdict = judge(right.graph, replace(evidence, loaded=()), None)
    expected = first_difference(tuple(evidence.layers), device.words, right.words)
    text = verdict.headline
    saw = _is_first(verdict, expected)
    if not saw:
        text += f", although the error shows first at {expected}"
    elif not evidence.as_predicted:
        saw, text = False, f"{text}, but not as the exact engine runs the mutant: another error than the one made"
    yield _Seen(by="words", saw=saw, had_to=True, text=text)


def _poked(right: Right, device: Device, unharmed: CSimulation) -> Iterator[_Seen]:
    """The same flipped bit in the right library, as ``--poke`` flips it."""
    assert device.mutated is not None
    site = device.mutated.site
    assert site is not None
    evidence = run_both(
        right.graph,
        unharmed,
        right.inputs,
        changes=[change_at(right.graph, site, "flip")],
        predicted=ExactEngine(device.mutated.graph),
    )
    verdict = judge(right.graph, evidence, site)
    expected = first_difference(tuple(evidence.layers), device.words, right.words)
    reaches = bool((device.words[right.graph.output] != right.words[right.graph.output]).any())
    saw = _is_first(verdict, expected) if reaches else verdict.kind == "match" and verdict.headline.find("masked") >= 0
    yield _Seen(by="poke", saw=saw and evidence.as_predicted, had_to=True, text=verdict.headline)


def _is_first(verdict: Verdict, expected: Difference | None) -> bool:
    """Whether a verdict is DIFFER and names layer, place and both words of the first difference."""
    first = verdict.first
    if verdict.kind != "differ" or first is None or expected is None:
        return False
    return (first.value, first.index, first.csim, first.engine) == (
        expected.value, expected.index, expected.csim, expected.engine,
    )  # fmt: skip


def _require_exact_flow(run: RunDirectory) -> None:
    flow = export_record(run).flow
    if flow != "exact":
        raise UsageError(
            found=f"--self-test of a run of the {flow} flow",
            allowed="runs of the exact flow: errors are made in the integer network, and its project is written anew",
            where=str(run.path),
            remedy="export the same graph without --flow native or --project into another run, and test that",
        )


@contextlib.contextmanager
def _folder_beside(run: RunDirectory) -> Iterator[Path]:
    """A folder beside a run for the projects of its mutants, gone when they are compared."""
    path = run.path.resolve()
    try:
        folder = tempfile.TemporaryDirectory(prefix=f".{path.name}-self-test-", dir=path.parent)
    except OSError as error:
        raise write_error(path.parent, error) from error
    with folder as name:
        yield Path(name)


def _own_options(run: RunDirectory) -> ProjectOptions:
    """The options a run's own project was written with."""
    return replace(other_options(run), overrides=export_record(run).fingerprint.configuration["overrides"])


def _fingerprint(
    graph: IntegerGraph, samples: Samples, seed: int, project: str, mutations: Collection[str]
) -> Fingerprint:
    return make_fingerprint(
        "csim-compare",
        {
            "self-test": True,
            "samples": len(samples.inputs),
            "inputs": samples.origin,
            "project": project,
            "mutations": list(mutations),
        },
        seeds={"places": seed},
        digests={"network": digest(graph), "inputs": digest_arrays({"inputs": samples.inputs})},
    )
