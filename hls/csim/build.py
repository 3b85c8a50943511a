"""Compile an hls4ml project into a shared library, once: the cache is addressed by content.

The address is a digest of every source file, the bridge, the compiler, the flags and the processor's instructions
(the code is for the machine it is built on, and a cache may be shared), each with its length. Unchanged
means no compile; anything else is another entry. A build happens in a folder of its own and is renamed when whole, so
an interrupted one is never found.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from hls.csim.families import Family, family_of
from hls.csim.headers import adapt_headers
from hls.csim.shim import SHIM_FILE, shim_source
from hls.environment import cache_directory
from hls.files import write_error
from hls.hls4ml_flow.manifest import Manifest, load_manifest
from hls.toolchain import find_compiler, processor_flags, run_tool

LIBRARY_FILE = "libcsim.so"
_BUILD_TIMEOUT_S = 1800.0
_FLAGS = ("-O3", "-march=native", "-fPIC", "-std=c++17")
# ap_types builds its temporaries bit by bit, which the optimiser reports in *our* file once it is inlined there.
_OUR_WARNINGS = (
    "-Wall", "-Wextra", "-Werror", "-Wno-uninitialized", "-Wno-maybe-uninitialized",
    "-Wno-unknown-warning-option",  # clang has no maybe-uninitialized and would say so
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """A compiled C-simulation.

    Attributes:
        library: The shared library.
        manifest: What its arrays and layers are.
        compiler: First line the compiler prints about itself.
        compiled: Whether this call compiled it; false when the cache had it.
    """

    library: Path
    manifest: Manifest
    compiler: str
    compiled: bool


def build_csim(project: Path, progress: Callable[[str], None] = lambda message: None) -> Build:
    """Compile a project, or find it compiled.

    Args:
        project: Folder written by ``hls.hls4ml_flow.project.write_project``.
        progress: Told what is about to take time.

    Raises:
        RunDirectoryError: no such project. ToolError: no compiler, or it failed. InputError: the disk is full.
    """
    manifest = load_manifest(project)
    compiler = find_compiler()
    shim = shim_source(manifest)
    compiled = False
    with as_file(files("hls") / "cpp") as bridge:
        sources = sources_of(project, bridge)
        address = address_of(sources, shim, compiler.version, _FLAGS)
        entry = cache_directory() / "csim" / address
        if not (entry / LIBRARY_FILE).exists():
            progress(f"compiling the C-simulation with {compiler.version}")
            _compile_into(entry, project, bridge, shim, str(compiler.path))
            compiled = True
    return Build(library=entry / LIBRARY_FILE, manifest=manifest, compiler=compiler.version, compiled=compiled)


def sources_of(project: Path, bridge: Path) -> list[tuple[str, Path]]:
    """Every file the library depends on, by relative name, sorted."""
    found = [
        (str(path.relative_to(root)), path)
        for root, folder in ((project, project / "firmware"), (bridge, bridge))
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in {".cpp", ".h", ".hpp", ".txt"}
    ]
    return sorted(found)


def address_of(sources: list[tuple[str, Path]], shim: str, compiler: str, flags: tuple[str, ...]) -> str:
    """Name of a cache entry: a digest of all that the library depends on."""
    digest = hashlib.sha256()
    # The cache's own place counts too: hls4ml reads its weights from a path that is compiled in.
    place = str(cache_directory())
    # So does the code that changes the headers, and what -march=native means here.
    changes = (Path(__file__).parent / "headers.py").read_text(encoding="utf-8")
    parts = {
        "shim": shim, "compiler": compiler, "flags": " ".join(flags), "place": place, "changes": changes,
        "processor": processor_flags(),
    }  # fmt: skip
    texts = [(name, text.encode()) for name, text in parts.items()]
    for name, content in [*texts, *((name, path.read_bytes()) for name, path in sources)]:
        # Lengths keep two different lists of files from reading as one text.
        digest.update(f"{len(name)}:{name}:{len(content)}:".encode())
        digest.update(content)
    return digest.hexdigest()[:40]


def _compile_into(entry: Path, project: Path, bridge: Path, shim: str, compiler: str) -> None:
    manifest = load_manifest(project)
    family = family_of(manifest.backend)

    def fill(work: Path) -> None:
        shutil.copytree(project / "firmware", work / "firmware")
        adapt_headers(work / "firmware", family, bridge)
        (work / SHIM_FILE).write_text(shim, encoding="utf-8")
        _compile(work, entry, bridge, compiler, manifest.project, family)
        for name in {"firmware/nnet_utils", *("/".join(name.split("/")[:2]) for name in family.includes)}:
            shutil.rmtree(work / name, ignore_errors=True)

    make_entry(entry, fill)


def make_entry(entry: Path, fill: Callable[[Path], None], library: str = LIBRARY_FILE) -> None:
    """Build a cache entry in a folder of its own and rename it when whole.

    Args:
        entry: Folder of the entry.
        fill: Makes the library in the folder it is given.
        library: Name of its file; an entry without it is not whole.

    Raises:
        InputError: the cache cannot be written or the disk is full.
    """
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".building-", dir=entry.parent))
    except OSError as error:
        raise write_error(entry, error) from error
    try:
        fill(work)
        work.chmod(0o755)
        if entry.exists() and not (entry / library).exists():
            shutil.rmtree(entry)  # someone emptied it
        # Two builders of the same content may race: the first to rename wins, the other's result is the same.
        if not entry.exists():
            work.rename(entry)
    except OSError as error:
        if not (entry / library).exists():
            raise write_error(entry, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _compile(work: Path, entry: Path, bridge: Path, compiler: str, project: str, family: Family) -> None:
    # hls4ml's own headers are system headers here: their warnings are not ours to mend.
    folders = (*family.includes, "firmware", ".")
    includes = [f"-I{bridge}", *(part for folder in folders for part in ("-isystem", folder))]
    weights = f'-DWEIGHTS_DIR="{entry / "firmware" / "weights"}"'
    common = [compiler, *_FLAGS, *includes, weights, "-c"]
    units = (
        [*common, f"firmware/{project}.cpp", "-o", "network.o"],
        [*common, *_OUR_WARNINGS, SHIM_FILE, "-o", "shim.o"],
    )
    with ThreadPoolExecutor(len(units)) as pool:  # a compiler each; both take about as long
        list(pool.map(lambda unit: run_tool(unit, timeout_s=_BUILD_TIMEOUT_S, directory=work), units))
    run_tool(
        [compiler, *_FLAGS, "-shared", "network.o", "shim.o", "-o", LIBRARY_FILE],
        timeout_s=_BUILD_TIMEOUT_S,
        directory=work,
    )
    for leftover in ("network.o", "shim.o"):
        (work / leftover).unlink()
