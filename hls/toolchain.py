"""External tools: find them, ask their version, run them, and say clearly when they are missing or fail."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hls.environment import compiler_override
from hls.errors import ToolError


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """An external program.

    Attributes:
        path: Absolute path of the executable.
        version: First line of what it prints of itself.
    """

    path: Path
    version: str


def find_compiler() -> Tool:
    """Find the C++ compiler: ``EDGEVAL_CXX``, else ``g++`` on PATH.

    Raises:
        ToolError: there is none, or it does not answer.
    """
    name = compiler_override() or "g++"
    found = shutil.which(name)
    if found is None:
        raise ToolError(
            found=f"no {name!r} on PATH",
            allowed="a C++17 compiler; g++ 12 and clang++ 14 were tried",
            where="C-simulation",
            remedy="install g++ (Debian: apt install g++; conda: gxx), or set EDGEVAL_CXX to a compiler",
        )
    return Tool(path=Path(found).absolute(), version=version_line([found, "--version"]))


def processor_flags(table: Path = Path("/proc/cpuinfo")) -> str:
    """What tells apart processors that ``-march=native`` compiles for: model and instruction sets.

    Where the system has no such table, its own name of the processor.
    """
    try:
        lines = table.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    wanted = ("vendor_id", "cpu family", "model", "model name", "flags", "CPU part", "Features")
    found = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return "\n".join(f"{name}: {found[name]}" for name in wanted if name in found) or platform.processor()


def version_line(command: Sequence[str]) -> str:
    """First line a tool prints about itself.

    Raises:
        ToolError: it fails or does not answer.
    """
    lines = run_tool(command, timeout_s=60.0).splitlines()
    return lines[0] if lines else ""


def run_tool(command: Sequence[str], *, timeout_s: float, directory: Path | None = None) -> str:
    """Run a program without a shell and return its standard output.

    Raises:
        ToolError: it cannot start, takes longer than ``timeout_s`` seconds, or exits non-zero; carries command, exit
            code and the end of both streams.
    """
    try:
        done = subprocess.run(
            list(command), cwd=directory, capture_output=True, timeout=timeout_s, check=False,
            encoding="utf-8", errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(
            found=f"{type(error).__name__}: {error}",
            allowed=f"an answer within {timeout_s:g} s",
            where=" ".join(command),
            remedy="check that the tool runs by hand",
        ) from error
    if done.returncode != 0:
        raise ToolError(
            found=f"exit code {done.returncode}\n{_tail(done.stdout)}{_tail(done.stderr)}",
            allowed="exit code 0",
            where=" ".join(command),
            remedy="read the messages above",
        )
    return done.stdout


def _tail(text: str, lines: int = 30) -> str:
    return "\n".join(text.splitlines()[-lines:]) + ("\n" if text else "")
