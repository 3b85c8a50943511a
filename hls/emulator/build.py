"""Build a package by its own Makefile, and run its own loader program on the golden vectors."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hls.errors import ToolError
from hls.toolchain import Tool, run_tool

TEST_PROGRAM = "test_emulator"
_TIMEOUT_S = 3600.0
_REPORT = re.compile(r"(MATCH|DIFFER) (\d+) of (\d+) output words, (\d+) samples: [^;]+(?:; (.*))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What the loader program found on the golden vectors.

    Attributes:
        words: Output words compared.
        differing: Those that differ.
        first: The first difference, in the program's words; empty when there is none.
    """

    words: int
    differing: int
    samples: int
    first: str


def build_package(directory: Path, compiler: Tool, make: str, *variables: str) -> None:
    """Build library and loader program with the package's own Makefile.

    Args:
        directory: The package.
        compiler: C++ compiler.
        make: Path of make.
        variables: More of the Makefile's variables, as NAME=VALUE.

    Raises:
        ToolError: it failed.
    """
    # A make that runs us must not pass its own flags and job server on.
    clean = [argument for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CXXFLAGS") for argument in ("-u", name)]
    command = ["env", *clean, make, "-j2", f"CXX={compiler.path}", *variables, "all", TEST_PROGRAM]
    run_tool(command, timeout_s=_TIMEOUT_S, directory=directory)


def run_loader(directory: Path, library: str) -> Check:
    """Run the golden vectors of a built package through its library, in a process of its own.

    Raises:
        ToolError: the program cannot load the library or read the vectors, or it crashed.
    """
    program = directory / TEST_PROGRAM
    try:
        done = subprocess.run(
            [str(program.absolute()), f"./{library}"], cwd=directory, capture_output=True, timeout=_TIMEOUT_S,
            check=False, encoding="utf-8", errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _loader_error(f"{type(error).__name__}: {error}", library) from error
    match = re.match(
        r"(MATCH|DIFFER) (\d+) of (\d+) output words, (\d+) samples: \S+?(?:; (.*))?$", done.stdout.strip()
    )
    if match is None or done.returncode != (0 if match[1] == "MATCH" else 1):
        how = signal.Signals(-done.returncode).name if done.returncode < 0 else f"exit code {done.returncode}"
        raise _loader_error(f"{how}\n{(done.stdout + done.stderr).strip()[-2000:]}", library)
    if done.stderr.strip():
        raise _loader_error(f"messages from the generated C++:\n{done.stderr.strip()[:2000]}", library)
    return Check(
        words=int(match[3]),
        differing=int(match[2]) if match[1] == "DIFFER" else 0,
        samples=int(match[4]),
        first=match[5] or "",
    )


def _loader_error(found: str, library: str) -> ToolError:
    return ToolError(
        found=found,
        allowed="MATCH or DIFFER, and nothing else printed",
        where=f"{TEST_PROGRAM} on {library}",
        remedy="run `edgeval csim-compare` on the run; where that matches, please report this",
    )


def find_make() -> str:
    """Path of make.

    Raises:
        ToolError: there is none.
    """
    found = shutil.which("make")
    if found is None:
        raise ToolError(
            found="no 'make' on PATH",
            allowed="GNU make, which builds a package by its own Makefile",
            where="emulator package",
            remedy="install make (Debian: apt install make; conda: make)",
        )
    return found
