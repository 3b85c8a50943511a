"""A package: written beside its place, built, audited, tried on the golden vectors, and only then put there."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import msgspec
import numpy as np

from hls.emulator.build import TEST_PROGRAM, Check, build_package, find_make, run_loader
from hls.emulator.firmware import copy_firmware
from hls.emulator.manifest import PACKAGE_FILE, EmulatorManifest, EmulatorPort, load_package
from hls.emulator.names import EmulatorName
from hls.emulator.source import Sources
from hls.emulator.symbols import audit_symbols
from hls.errors import RunDirectoryError
from hls.files import atomic_write, write_error
from hls.formats import Words
from hls.graph import IntegerGraph
from hls.hls4ml_flow.manifest import Manifest, Port, load_manifest
from hls.serialize import digest
from hls.toolchain import find_compiler

CHECKSUMS_FILE = "SHA256SUMS"
_FIXED = {
    "edgeval_emulator.h": "edgeval_emulator.h",
    "edgeval_emulator_interface.h": "edgeval_emulator_interface.h",
    "edgeval_emulator_test.cpp": f"{TEST_PROGRAM}.cpp",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """Samples and what the exact engine makes of them.

    Attributes:
        values: Real inputs, samples first.
        inputs: The words they quantize to, same shape.
        outputs: Output words, shape (samples, outputs).
    """

    values: np.ndarray
    inputs: Words
    outputs: Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a package comes from.

    Attributes:
        project: Folder of the hls4ml project.
        digests: sha256 by what they are of, beside that of the network.
        tools: Versions by package, beside that of the compiler.
    """

    project: Path
    digests: Mapping[str, str]
    tools: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageResult:
    """A package that was built; it is in place only where no word differs."""

    manifest: EmulatorManifest
    check: Check
    compiler: str


def write_package(  # where, what, called what, and how to tell
    directory: Path,
    graph: IntegerGraph,
    golden: Golden,
    origin: Origin,
    *,
    name: EmulatorName,
    progress: Callable[[str], None] = lambda message: None,
) -> PackageResult:
    """Write, build, audit and try a package; put it in place when every golden word comes out.

    Args:
        directory: Its folder: not there yet, empty, or an older package, which is replaced.
        graph: The network.
        golden: Samples to try it on.
        origin: The hls4ml project and what else the manifest names.
        name: Name and version.
        progress: Told what is about to take time.

    Raises:
        RunDirectoryError: the folder holds something else, or the project is damaged or of another network.
        ToolError: no compiler, make or nm, they failed, the library exports more than it may, or it crashed.
    """
    directory = directory.resolve()  # "." has no name to write beside
    require_replaceable(directory)
    manifest = load_manifest(origin.project)
    _require_same_network(graph, manifest)
    compiler, make = find_compiler(), find_make()
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    except OSError as error:
        raise write_error(directory, error) from error
    try:
        described = _write_sources(work, graph, golden, origin, manifest, name)
        progress(f"compiling the emulator with {compiler.version}")
        build_package(work, compiler, make)
        audit_symbols(work / name.library, name.symbols)
        check = run_loader(work, name.library)
        (work / TEST_PROGRAM).unlink()
        described = _finish(work, described, {**origin.tools, "compiler": compiler.version})
        if check.differing == 0:
            work.chmod(0o755)
            _put_in_place(work, directory)
    except OSError as error:
        raise write_error(directory, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return PackageResult(manifest=described, check=check, compiler=compiler.version)


def require_replaceable(directory: Path) -> None:
    """Refuse a folder whose contents a new package would destroy.

    Raises:
        RunDirectoryError: it is a file, holds no package, or holds files that no package wrote.
    """
    if not directory.exists() or (directory.is_dir() and not any(directory.iterdir())):
        return
    try:
        manifest = load_package(directory)
    except RunDirectoryError as error:
        raise RunDirectoryError(
            found="a file or a folder that holds no emulator package",
            allowed="a free folder, or an emulator package to replace",
            where=str(directory),
            remedy="choose another --output, or delete the folder",
        ) from error
    ours = {*manifest.files, PACKAGE_FILE, CHECKSUMS_FILE, TEST_PROGRAM}
    foreign = sorted(_names(directory) - ours)
    if foreign:
        raise RunDirectoryError(
            found=f"{foreign[0]}, which no package wrote" + (f", and {len(foreign) - 1} more" if foreign[1:] else ""),
            allowed="an emulator package to replace, with nothing of yours in it",
            where=str(directory),
            remedy="move your files away, or choose another --output",
        )


def _require_same_network(graph: IntegerGraph, manifest: Manifest) -> None:
    if digest(graph) != manifest.network_digest:
        raise RunDirectoryError(
            found=f"a project of network {manifest.network_digest[:12]}",
            allowed=f"a project of network {digest(graph)[:12]}",
            where="hls4ml project",
            remedy="run `edgeval export` again: network and project have to be of one export",
        )


def _write_sources(  # everything a package is made of
    work: Path, graph: IntegerGraph, golden: Golden, origin: Origin, manifest: Manifest, name: EmulatorName
) -> EmulatorManifest:
    firmware = copy_firmware(origin.project, manifest, work / "firmware")
    sources = Sources(name=name, graph=graph, manifest=manifest, outer=firmware.outer, network_digest=digest(graph))
    for file, text in sources.files().items():
        (work / file).write_text(text, encoding="utf-8")
    for source, file in _FIXED.items():
        (work / file).write_bytes((files("hls") / "cpp" / source).read_bytes())
    vectors = {
        "inputs": np.asarray(golden.inputs, "<i8"),
        "values": np.asarray(golden.values, "<f8"),
        "outputs": np.asarray(golden.outputs, "<i8"),
    }
    (work / "golden").mkdir()
    for key, array in vectors.items():
        np.save(work / "golden" / f"{key}.npy", np.ascontiguousarray(array), allow_pickle=False)
    return EmulatorManifest(
        name=name.name,
        version=name.version,
        namespace=name.namespace,
        library=name.library,
        header=f"{name.stem}.h",
        symbols=name.symbols,
        backend=manifest.backend,
        io_type=manifest.io_type,
        input=_port(graph, manifest.input, graph.quantizer.output, firmware.types),
        output=_port(graph, manifest.output, graph.output, firmware.types),
        rounding=graph.quantizer.rounding,
        golden={key: f"golden/{key}.npy" for key in vectors},
        samples=len(golden.inputs),
        digests={"network": digest(graph), **origin.digests},
        tools={},
        files={},
    )


def _port(graph: IntegerGraph, port: Port, value: str, types: Mapping[str, str]) -> EmulatorPort:
    found = graph.values[value]
    assert found.format is not None, "only the float input of a network has no format"
    return EmulatorPort(
        shape=found.shape,
        size=port.size,
        element=re.sub(r"^nnet::array<\s*(.+>)\s*,[^<>]*>$", r"\1", types.get(port.cpp_type, port.cpp_type)),
        width_bits=port.width_bits,
        signed=port.signed,
        scale=tuple(np.asarray(found.scale, np.float64).reshape(-1).tolist()),
        minimum=found.format.minimum,
        maximum=found.format.maximum,
    )


def _finish(work: Path, manifest: EmulatorManifest, tools: Mapping[str, str]) -> EmulatorManifest:
    """Write manifest and checksums; these cover everything but the library, which a user may build anew."""
    sums = {name: _sha256(work / name) for name in sorted(_names(work))}
    done = msgspec.structs.replace(manifest, tools=dict(tools), files=sums)
    atomic_write(work / PACKAGE_FILE, msgspec.json.format(msgspec.json.encode(done), indent=1) + b"\n")
    listed = {**sums, PACKAGE_FILE: _sha256(work / PACKAGE_FILE)}
    lines = [f"{value}  {name}\n" for name, value in sorted(listed.items()) if name != manifest.library]
    atomic_write(work / CHECKSUMS_FILE, "".join(lines).encode())
    return done


def _names(directory: Path) -> set[str]:
    """Every file below a folder, by its name relative to it."""
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*") if not path.is_dir()}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _put_in_place(work: Path, directory: Path) -> None:
    """Rename the new package to its name; an older one steps aside first and comes back if that fails."""
    aside = work.with_name(f"{work.name}.old")
    if directory.exists():
        directory.rename(aside)
    try:
        work.rename(directory)
    except OSError:
        if aside.exists():
            aside.rename(directory)
        raise
    shutil.rmtree(aside, ignore_errors=True)
