"""Rules of the house that a machine can check: size, imports, no machine's own paths."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("edgeval", "hls", "fault_injection")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LONGEST = 400


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_one_idea(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("path", [p for p in SOURCES if p.read_text().strip()], ids=lambda p: str(p.relative_to(ROOT)))
def test_the_first_line_says_what_a_file_is_for(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith('"""')


@pytest.mark.parametrize("package", ["hls", "fault_injection"])
def test_the_lower_floors_never_load_torch(package: str) -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in SOURCES
        if path.is_relative_to(ROOT / package) and path.name != "__main__.py"
    ]
    code = f"import importlib, sys\n[importlib.import_module(m) for m in {modules!r}]\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert {"torch", "brevitas"}.isdisjoint(done.stdout.split())
