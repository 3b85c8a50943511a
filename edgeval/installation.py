"""What is installed: everything edgeval stands on, looked for and tried without importing anything heavy."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import msgspec

from hls.environment import VARIABLES, cache_directory, worker_count
from hls.errors import EdgevalError, ToolError
from hls.toolchain import find_compiler, run_tool

State = Literal["ok", "untested", "missing", "broken"]
"""``ok``: as tried. ``untested``: there, in a version that was not tried. ``missing``: not there. ``broken``: there and
of no use."""

TESTED: dict[str, tuple[str, str]] = {
    "torch": ("2.13.0", "training"),
    "brevitas": ("0.13.4", "quantization, QONNX export"),
    "onnxoptimizer": ("0.4.2", "imported by the QONNX exporter"),
    "qonnx": ("1.0.0", "float witness"),
    "hls4ml": ("1.3.0", "HLS project"),
    "onnx": ("1.23.2", "graphs"),
    "onnxruntime": ("1.32.0", "float witness"),
    "mpmath": ("1.3.0", "real functions to any precision"),
    "numpy": ("2.4.6", "words"),
    "scikit-learn": ("1.9.1", "target digits"),
    "safetensors": ("0.8.0", "weights"),
    "pyyaml": ("6.0.3", "hls4ml's configuration"),
    "cyclopts": ("5.4.0", "command line"),
    "msgspec": ("0.22.0", "records"),
    "rich": ("15.0.0", "progress"),
    "plotly": ("7.1.0", "pictures of the report"),
    "pyarrow": ("26.0.1", "outcome tables"),
    "scipy": ("1.17.1", "intervals, eigenpairs"),
    "threadpoolctl": ("3.8.0", "threads of a shard"),
    "jaxtyping": ("0.3.11", "array shapes in signatures"),
    "rdkit": ("2026.9.1", "molecular targets: freesolv (extra: molecules)"),
    "distributed": ("2026.8.0", "campaigns on a cluster: --scheduler (extra: dask)"),
}
"""Versions that were tried together, end to end, and what each is for."""

EXTRAS = {"rdkit": "molecules", "distributed": "dask"}
"""Packages that not everybody needs, and the extra that brings them."""

NAMESAKES = ("edgeval", "fault-injection")
"""Other people's distributions that install packages of the same names, over ours."""

_PROGRAM = """#include <iostream>
#include <optional>
int main() {
    std::optional<int> standard{17};
    if constexpr (__cplusplus >= 201703L) std::cout << "C++" << *standard << "\\n";
}
"""


class Check(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that was looked for.

    Attributes:
        found: Version or place; what is wrong where something is.
        tested: What was tried.
        remedy: Empty where there is nothing to do.
        needed: Whether edgeval is of no use without it.
    """

    name: str
    state: State
    found: str
    tested: str
    purpose: str
    remedy: str
    needed: bool


def installation() -> tuple[Check, ...]:
    """Everything that was looked for, what all need first."""
    packages = [_package(name) for name in TESTED]
    return (
        _python(),
        *(check for check in packages if check.needed),
        _compiler(),
        _cache(),
        *(check for check in packages if not check.needed),
        _browser(),
        *_namesakes(),
        *_variables(),
    )


def cache_bytes() -> int:
    """Size of the cache folder; 0 where there is none yet. What another process removes meanwhile does not count."""
    total = 0
    for folder, _, names in os.walk(cache_directory()):
        for name in names:
            try:
                total += (Path(folder) / name).lstat().st_size
            except OSError:
                continue
    return total


def _check(  # noqa: PLR0913  # the fields of a row
    name: str, *, found: str, tested: str, purpose: str, remedy: str = "", state: State = "ok", needed: bool = True
) -> Check:
    return Check(name=name, state=state, found=found, tested=tested, purpose=purpose, remedy=remedy, needed=needed)


def _python() -> Check:
    tried = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return _check(
        "python",
        state="ok" if tried else "untested",
        found=".".join(map(str, sys.version_info[:3])),
        tested="3.11 to 3.13",
        purpose="everything",
        remedy="" if tried else "use Python 3.11, 3.12 or 3.13",
    )


def _package(name: str) -> Check:
    tested, purpose = TESTED[name]
    needed = name not in EXTRAS
    try:
        found = version(name)
    except PackageNotFoundError:
        extra = f"[{EXTRAS[name]}]" if name in EXTRAS else ""
        remedy = f"pip install 'edgeval-toolkit{extra}', or {name}=={tested}"
        return _check(
            name, state="missing", found="not installed", tested=tested, purpose=purpose, remedy=remedy, needed=needed
        )
    same = found.split("+")[0] == tested
    return _check(
        name,
        state="ok" if same else "untested",
        found=found,
        tested=tested,
        purpose=purpose,
        remedy="" if same else f"if something fails, try {name}=={tested}",
        needed=needed,
    )


def _compiler() -> Check:
    tested, purpose = "12.2.0", "C-simulation"
    try:
        tool = find_compiler()
    except EdgevalError as error:
        return _check("g++", state="missing", found=error.found, tested=tested, purpose=purpose, remedy=error.remedy)
    try:
        compile_and_run(tool.path)
    except ToolError as error:
        found = f"{tool.version}, which fails: {' '.join(error.found.split())[:200]}"
        remedy = "repair it (headers of the C++ library are often a package of their own), or set EDGEVAL_CXX"
        return _check("g++", state="broken", found=found, tested=tested, purpose=purpose, remedy=remedy)
    return _check("g++", found=f"{tool.version}, compiles C++17", tested=tested, purpose=purpose)


def compile_and_run(compiler: Path) -> None:
    """Compile a C++17 program and run it.

    Raises:
        ToolError: it does not compile, does not run, or prints something else.
    """
    with tempfile.TemporaryDirectory(prefix="edgeval-doctor-") as folder:
        source, program = Path(folder) / "try.cpp", Path(folder) / "try"
        source.write_text(_PROGRAM, encoding="utf-8")
        run_tool([str(compiler), "-std=c++17", "-o", str(program), str(source)], timeout_s=60.0)
        said = run_tool([str(program)], timeout_s=60.0).strip()
    if said != "C++17":
        raise ToolError(found=f"a program that says {said!r}", allowed="C++17", where=str(compiler), remedy="update it")


def _cache() -> Check:
    folder = cache_directory()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing) as file:  # permissions do not tell of full or read-only disks
            file.write(b"edgeval")
        problem = None
    except OSError as error:
        problem = error.strerror or str(error)
    return _check(
        "cache",
        state="ok" if problem is None else "broken",
        found=str(folder) if problem is None else f"{existing} cannot be written: {problem}",
        tested="a writable folder",
        purpose="built C-simulations",
        remedy="" if problem is None else "set EDGEVAL_CACHE to a folder you can write",
    )


def _browser() -> Check:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    return _check(
        "chromium",
        state="ok" if found else "missing",
        found=found or "not on PATH",
        tested="Debian's package",
        purpose="tests that open the report",
        remedy="" if found else "only to work on edgeval: apt install chromium",
        needed=False,
    )


def _namesakes() -> Iterator[Check]:
    """A row for each distribution of somebody else that shares a package with ours."""
    for name in NAMESAKES:
        try:
            found = version(name)
        except PackageNotFoundError:
            continue
        yield _check(
            f"{name} (another project)",
            state="broken",
            found=found,
            tested="not installed",
            purpose="it installs a package of the same name over edgeval-toolkit's",
            remedy=f"pip uninstall {name}, then pip install --force-reinstall --no-deps edgeval-toolkit",
        )


def _variables() -> Iterator[Check]:
    """A row for each variable that is set and looks like ours."""
    for name in sorted(key for key in os.environ if key.startswith("EDGEVAL_")):
        if name not in VARIABLES:
            yield _check(
                name,
                state="broken",
                found="set, and read by nothing",
                tested="",
                purpose="no variable of edgeval",
                remedy="check its spelling, or unset it",
                needed=False,
            )
            continue
        # An index may have a password in its address.
        found = "set" if name == "EDGEVAL_TORCH_INDEX" else os.environ[name] or "empty"
        yield (
            _workers(found)
            if name == "EDGEVAL_WORKERS"
            else _check(name, found=found, tested="anything", purpose=VARIABLES[name])
        )


def _workers(found: str) -> Check:
    name = "EDGEVAL_WORKERS"
    try:
        worker_count()
    except EdgevalError as error:
        return _check(
            name, state="broken", found=found, tested=error.allowed, purpose=VARIABLES[name], remedy=error.remedy
        )
    return _check(name, found=found, tested="a positive integer", purpose=VARIABLES[name])
