"""What is fuzzed: small valid files, how each kind is damaged, and the real entry point that reads it.

A target is made once a process (its valid files are built then) and called with the number of a case, which decides
the damage. It returns when the file was taken, and raises whatever the entry point raises.
"""

from __future__ import annotations

import contextlib
import io
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from support import fuzz_mutations as damage
from support.fuzz_examples import example, record_kinds
from support.fuzz_mutations import Attempt
from support.fuzz_weights import checkpoint, weights
from support.networks import Mlp

from hls.errors import InputError, LoweringError


class RefusedError(Exception):
    """A command line ended with an exit code that a damaged file must not cause."""


def targets() -> dict[str, Callable[[Path], Attempt]]:
    """Every target by name; each is made in a folder of its own."""
    return {
        "onnx": _onnx, "onnx-export": _onnx_export, "network": _network, "samples": _samples, "records": _records,
        "run": _run, "checkpoint": checkpoint, "weights": weights, "columns": _columns, "project": _project,
        "settings": _settings,
    }  # fmt: skip


def edgeval(arguments: list[object], allowed: tuple[int, ...] = (0, 1, 2, 3)) -> int:
    """Run a command line in this process; anything but an ordinary end is raised.

    Raises:
        RefusedError: exit 4, or an error without its four parts. InputError: the command refused its input.
    """
    from edgeval import cli

    said, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(told):
        try:
            code = cli.run([str(argument) for argument in arguments])
        except SystemExit as ended:  # a usage error of the command line itself
            code = int(ended.code or 0)
    errors = [line for line in told.getvalue().splitlines() if line.startswith("error: ")]
    four = all(part in line for line in errors for part in (": found ", "; allowed: ", ". To mend it: "))
    if code not in allowed or (code == 3 and not (errors and four)):
        raise RefusedError(f"exit code {code}: {told.getvalue()[-600:]}")
    if code in (2, 3):
        raise InputError(found=f"exit code {code}", allowed="0", where=f"{arguments[0]}", remedy=f"{errors[-1:]}")
    return code


# ---- ONNX -----------------------------------------------------------------------------------------------------------


def onnx_corpus() -> list[bytes]:
    """Small models with every kind of layer that lowering knows."""
    from support.conformance_cases import CASES

    models = [Mlp(widths=(5, 4, 3), weight_bits=3, bias_bits=6, seed=2).model()]
    models += [case.model() for case in CASES[::3]]
    return [model.SerializeToString() for model in models]


def _onnx(folder: Path) -> Attempt:
    from edgeval.importing import GraphOptions, import_graph
    from edgeval.run_directory import RunDirectory
    from hls.engine import ExactEngine

    corpus = onnx_corpus()

    def attempt(case: int, place: Path) -> None:
        rng = damage.seeded("onnx", case)
        (place / "model.onnx").write_bytes(damage.damaged_onnx(rng.choice(corpus), rng))
        run = RunDirectory(place / "run")
        import_graph(place / "model.onnx", run, GraphOptions(input_format=None if rng.random() < 0.8 else "fixed<8,3>"))
        from hls.lowering import lower

        graph = lower(onnx.load(place / "model.onnx"))
        run.save_network(graph)
        graph = run.network()
        ExactEngine(graph).run(graph.quantize_inputs(run.samples().inputs[:2]))

    return attempt


def _onnx_export(folder: Path) -> Attempt:
    corpus = onnx_corpus()

    def attempt(case: int, place: Path) -> None:
        rng = damage.seeded("onnx-export", case)
        (place / "model.onnx").write_bytes(damage.damaged_onnx(rng.choice(corpus), rng))
        edgeval(["export", place / "model.onnx", "-o", place / "run"])

    return attempt


# ---- files of a run -------------------------------------------------------------------------------------------------


def _small_run(folder: Path) -> Path:
    """An exported run with every record that takes no compiler, and small made-up ones of the others."""
    from support.small_runs import small_run

    run = small_run(folder).path
    flight = ["--cross-section", "3e-14", "--flux", "1e6", "--scrub", "10"]
    for verb in (
        ["rank-bits", run, "--method", "random"], ["inject-faults", run], ["worst-flips", run, "--count", "2"],
        ["mission", run, *flight], ["error-rate", run, "--rates", "0.01", "--draws", "5"], ["harden", run],
    ):  # fmt: skip
        edgeval(verb, allowed=(0,))
    return run


def _with_made_up_records(run: Path) -> None:
    from edgeval.records import CompareRecord, ExportRecord

    for name, kind in (("export", ExportRecord), ("csim-compare", CompareRecord)):
        path = run / "records" / f"{name}.json"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(msgspec.json.encode(example(kind)))


def _damaged(content: bytes, name: str, rng: random.Random) -> bytes:
    if name.endswith(".json"):
        return damage.damaged_json(content, rng)
    if name.endswith(".npz"):
        return damage.damaged_archive(content, rng)
    if name.endswith(".onnx"):
        return damage.damaged_onnx(content, rng)
    if name.endswith((".h", ".cpp", ".txt", ".yml", ".csv", ".arff")):
        return damage.damaged_text(content, rng)
    return damage.damaged_bytes(content, rng)


def _run(folder: Path) -> Attempt:
    """A run with one or two damaged files, given to the commands that read them."""
    run = _small_run(folder)
    _with_made_up_records(run)
    files = sorted(path.relative_to(run) for path in run.rglob("*") if path.is_file())
    files = [path for path in files if path.name not in ("network.json", "report.html") and "/." not in str(path)]

    def attempt(case: int, place: Path) -> None:
        rng = damage.seeded("run", case)
        shutil.copytree(run, place / "run")
        for path in rng.sample(files, rng.choice((1, 1, 1, 2))):
            content = (run / path).read_bytes()
            (place / "run" / path).write_bytes(_damaged(content, path.name, rng))
        verb = rng.choice(("report", "report", "report", "mission", "harden", "worst-flips", "csim-compare", "export"))
        more = ["--cross-section", "3e-14", "--flux", "1e6", "--scrub", "10"] if verb == "mission" else []
        output = ["-o", place / "run" / "report.html"] if verb == "report" else []
        edgeval([verb, place / "run", *more, *output])

    return attempt


def _network(folder: Path) -> Attempt:
    from support.fault_networks import goldens

    from hls.engine import ExactEngine
    from hls.hls4ml_flow.canonical import canonical_model
    from hls.serialize import load_graph, save_graph, structure_json

    corpus = []
    for number, golden in enumerate(goldens().values()):
        save_graph(golden.graph, folder / f"{number}.npz")
        corpus.append((folder / f"{number}.npz").read_bytes())

    def attempt(case: int, place: Path) -> None:
        rng = damage.seeded("network", case)
        (place / "network.npz").write_bytes(damage.damaged_archive(rng.choice(corpus), rng))
        graph = load_graph(place / "network.npz")
        structure_json(graph)
        zeros = np.zeros((2, *graph.values[graph.input].shape))
        engine = ExactEngine(graph)
        result = engine.run(graph.quantize_inputs(zeros), [node.output for node in graph.compute_nodes])
        graph.output_values(result.output)
        with contextlib.suppress(LoweringError):  # what hls4ml has no layer for is refused undamaged, too
            canonical_model(graph)

    return attempt


def _samples(folder: Path) -> Attempt:
    from edgeval.evaluation import network_outputs
    from edgeval.metrics import METRICS
    from edgeval.run_directory import load_samples

    graph = Mlp(widths=(5, 4, 4), seed=2).graph()
    buffer = io.BytesIO()
    inputs = Mlp(widths=(5, 4, 4), seed=2).inputs(40)
    np.savez_compressed(buffer, inputs=inputs, labels=np.arange(40) % 4, float_outputs=np.zeros((40, 4)))
    corpus = buffer.getvalue()

    def attempt(case: int, place: Path) -> None:
        rng = damage.seeded("samples", case)
        (place / "samples.npz").write_bytes(damage.damaged_archive(corpus, rng))
        samples = load_samples(place / "samples.npz", "a file")
        assert samples.digest
        outputs = network_outputs(graph, samples.inputs)
        if samples.labels is not None:
            for name in ("accuracy", "cross-entropy"):  # those of classes, as the labels are
                METRICS[name].value(outputs, samples.labels)

    return attempt


def _records(folder: Path) -> Attempt:
    from edgeval.records import load_record, to_json

    corpus = [(kind, msgspec.json.encode(example(kind))) for kind in record_kinds()]
    from hls.emulator.manifest import EmulatorManifest, load_package
    from hls.hls4ml_flow.manifest import MANIFEST_FILE, Manifest, load_manifest
    from hls.hls4ml_flow.native import NATIVE_FILE, NativeManifest, load_native_manifest

    folders: list[tuple[type, str, Callable[[Path], Any]]] = [
        (Manifest, MANIFEST_FILE, load_manifest),
        (NativeManifest, NATIVE_FILE, load_native_manifest),
        (EmulatorManifest, "manifest.json", load_package),
    ]

    def attempt(case: int, place: Path) -> None:
        rng = damage.seeded("records", case)
        if rng.random() < 0.15:
            kind, name, load = rng.choice(folders)
            (place / name).write_bytes(damage.damaged_json(msgspec.json.encode(example(kind)), rng))
            load(place)
            return
        record_kind, content = rng.choice(corpus)
        (place / "record.json").write_bytes(damage.damaged_json(content, rng))
        to_json(load_record(record_kind, place / "record.json"))

    return attempt


# ---- data and projects ----------------------------------------------------------------------------------------------


def _columns(folder: Path) -> Attempt:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from edgeval.targets.columns import read_columns

    table = {"a": np.arange(30.0), "b": np.arange(30.0) * 2, "name": np.array(["x", "y", "z"] * 10)}
    np.savez_compressed(folder / "t.npz", **table)
    pq.write_table(pa.table(table), folder / "t.parquet")
    rows = "\n".join(f"{a},{b},{c}" for a, b, c in zip(*table.values(), strict=True))
    (folder / "t.csv").write_text(f"a,b,name\n{rows}\n")
    header = "@relation t\n@attribute a real\n@attribute b real\n@attribute name {x,y,z}\n@data\n"
    (folder / "t.arff").write_text(f"{header}{rows}\n")
    corpus = {suffix: (folder / f"t{suffix}").read_bytes() for suffix in (".npz", ".parquet", ".csv", ".arff")}

    def attempt(case: int, place: Path) -> None:
        rng = damage.seeded("columns", case)
        suffix = rng.choice(tuple(corpus))
        (place / f"t{suffix}").write_bytes(_damaged(corpus[suffix], f"t{suffix}", rng))
        read_columns(place / f"t{suffix}", numbers=["a", "b"], texts=["name"])

    return attempt


def _project(folder: Path) -> Attempt:
    """An hls4ml project: ours through the audit and the shim, and read as somebody else's."""
    from hls.csim.shim import shim_source
    from hls.hls4ml_flow.audit import audit_project
    from hls.hls4ml_flow.manifest import load_manifest
    from hls.hls4ml_flow.native_project import read_project
    from hls.hls4ml_flow.options import ProjectOptions
    from hls.hls4ml_flow.project import write_project

    graph = Mlp(widths=(5, 4, 3), weight_bits=3, bias_bits=6, seed=2).graph()
    write_project(graph, folder / "project", ProjectOptions())
    own = [
        path
        for path in (folder / "project").rglob("*")
        if path.is_file() and not {"nnet_utils", "ap_types"} & set(path.parts)
    ]
    texts = sorted(
        p.relative_to(folder / "project") for p in own if p.suffix in (".h", ".cpp", ".txt", ".yml", ".json")
    )

    def attempt(case: int, place: Path) -> None:
        rng = damage.seeded("project", case)
        shutil.copytree(folder / "project", place / "project", ignore=shutil.ignore_patterns("nnet_utils", "ap_types"))
        for path in rng.sample(texts, rng.choice((1, 1, 2))):
            (place / "project" / path).write_bytes(_damaged((folder / "project" / path).read_bytes(), path.name, rng))
        if rng.random() < 0.5:
            manifest = load_manifest(place / "project")
            audit_project(graph, place / "project", manifest)
            shim_source(manifest)
        else:
            project = read_project(place / "project")
            for array in project.arrays:
                project.weights(array)

    return attempt


def _settings(folder: Path) -> Attempt:
    """YAML in hls4ml's format."""
    from hls.hls4ml_flow.native import load_config
    from hls.hls4ml_flow.options import apply_overrides, load_overrides

    graph = Mlp(widths=(5, 4, 3), weight_bits=3, bias_bits=6, seed=2).graph()
    layer = b"    fc1:\n      Precision:\n        accum: fixed<20,15>\n      ReuseFactor: 4\n"
    text = b"HLSConfig:\n  Model:\n    ReuseFactor: 2\n    Strategy: Resource\n  LayerName:\n" + layer
    laughs = "\n".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]" for n in range(12))
    special = [
        f"a0: &a0 [x]\n{laughs}\nModel: *a12\n".encode(), b"[" * 3000, b"- " * 5000,
        b"!!python/object/apply:os.system ['touch escape']",
    ]  # fmt: skip

    def attempt(case: int, place: Path) -> None:
        rng = damage.seeded("settings", case)
        content = rng.choice(special) if rng.random() < 0.05 else damage.damaged_text(text, rng)
        (place / "c.yml").write_bytes(content)
        if rng.random() < 0.5:
            apply_overrides(graph, load_overrides(place / "c.yml"))
        else:
            load_config(place / "c.yml")

    return attempt
