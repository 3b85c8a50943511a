"""What this machine can do at most: measured by a small program that is compiled for it on the spot."""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hls.toolchain import find_compiler

SOURCE = Path(__file__).with_suffix(".cpp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Roof:
    """Best of five on so many threads.

    Attributes:
        triad: Bytes a second between memory and registers (a = b + 3 c on arrays of 128 MiB).
        compares: Byte compares a second, each counted, on data in the first cache.
        products: 16-bit multiply-adds a second, on data in the first cache.
    """

    threads: int
    triad: float
    compares: float
    products: float


def measure_roof(threads: int) -> Roof:
    """Compile and run.

    Raises:
        ToolError: there is no C++ compiler.
    """
    compiler = find_compiler()
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "roof"
        flags = ["-std=c++17", "-O3", "-march=native", "-pthread"]
        subprocess.run([str(compiler.path), *flags, str(SOURCE), "-o", str(program)], check=True)
        done = subprocess.run([str(program), str(threads)], check=True, capture_output=True, text=True)
    return Roof(threads=threads, **json.loads(done.stdout))
