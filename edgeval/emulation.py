"""One emulator package of a run: audit of the project, golden vectors, package, verdict, record."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from edgeval.comparison import require_project
from edgeval.fingerprint import digest_arrays, digest_file, installed_versions, make_fingerprint
from edgeval.progress import say
from edgeval.records import EmulatorRecord, Fingerprint, save_record
from edgeval.run_directory import RunDirectory, Samples
from edgeval.word_comparison import no_evidence
from hls.emulator import EmulatorName, Golden, Origin, PackageResult, name_from, require_replaceable, write_package
from hls.engine import ExactEngine
from hls.graph import IntegerGraph
from hls.hls4ml_flow.audit import audit_project
from hls.hls4ml_flow.manifest import MANIFEST_FILE, load_manifest
from hls.serialize import digest

Verdict = Literal["match", "differ", "no_verdict"]
_VERSION_DIGITS = 8


def package_run(
    run: RunDirectory, directory: Path, *, name: str | None = None, version: str | None = None, samples: int | None
) -> EmulatorRecord:
    """Package the C-simulation of a run as an emulator, and save the record.

    Args:
        run: An exported run.
        directory: Folder of the package; free, or an older package.
        name: Of the model; by default the run's target or file.
        version: Of the model; by default the first digits of the network's digest.
        samples: Golden vectors: the first so many of the run's samples.

    Raises:
        LoweringError: the network has a layer that hls4ml cannot hold. RunDirectoryError: no such run, or the folder
        holds something else. ToolError: compiler, audit of the symbols or loader failed. UsageError: a bad name.
    """
    record = run.run_record()
    graph = run.network()
    called = EmulatorName(
        name=name if name is not None else name_from(record.source),
        version=version if version is not None else digest(graph)[:_VERSION_DIGITS],
    )
    require_replaceable(directory)
    require_project(run, graph)
    chosen = run.samples().first(samples)
    words = graph.quantize_inputs(chosen.inputs)
    outputs = ExactEngine(graph).run(words).output
    golden = Golden(values=np.asarray(chosen.inputs, np.float64), inputs=words, outputs=outputs.reshape(len(words), -1))
    manifest = load_manifest(run.project)
    audit = tuple(str(finding) for finding in audit_project(graph, run.project, manifest))
    nothing = None if audit else no_evidence(graph, outputs)
    result = None
    if not audit and nothing is None:
        origin = Origin(
            project=run.project,
            digests={"qonnx": digest_file(run.onnx_file), "project": digest_file(run.project / MANIFEST_FILE)},
            tools=installed_versions(),
        )
        result = write_package(directory, graph, golden, origin, name=called, progress=say)
    verdict, headline = _judge(audit, nothing, result)
    emulator = EmulatorRecord(
        fingerprint=_fingerprint(graph, run, chosen, called),
        verdict=verdict,
        headline=headline,
        name=called.name,
        version=called.version,
        namespace=called.namespace,
        library=called.library if verdict == "match" else None,
        library_digest=result.manifest.files[called.library] if result and verdict == "match" else None,
        symbols=called.symbols,
        samples=len(words),
        words=result.check.words if result else 0,
        differing=result.check.differing if result else 0,
        audit=audit,
        backend=manifest.backend,
        io_type=manifest.io_type,
        compiler=result.compiler if result else "nothing was compiled",
    )
    save_record(emulator, run.record_file("emulator"))
    return emulator


def _judge(audit: tuple[str, ...], nothing: str | None, result: PackageResult | None) -> tuple[Verdict, str]:
    """Verdict and its first line; a package is in place only behind ``match``."""
    if audit:
        return "differ", f"DIFFER in the written project: {audit[0]}"
    if nothing is not None:
        return "no_verdict", f"NO VERDICT: {nothing}; no package was written"
    assert result is not None, "without a finding a package was tried"
    check = result.check
    if check.differing:
        counts = f"{check.differing:,} of {check.words:,} output words through the emulator, {check.samples:,} samples"
        return "differ", f"DIFFER {counts}; {check.first}; no package was written"
    words = f"{check.words:,}"
    return "match", f"MATCH {words} of {words} output words through the emulator, {check.samples:,} samples"


def _fingerprint(graph: IntegerGraph, run: RunDirectory, samples: Samples, name: EmulatorName) -> Fingerprint:
    return make_fingerprint(
        "emulator",
        {"samples": len(samples.inputs), "name": name.name, "model-version": name.version},
        seeds={},
        digests={
            "network": digest(graph),
            "inputs": digest_arrays({"inputs": samples.inputs}),
            "project": digest_file(run.project / MANIFEST_FILE),
        },
    )
