"""The audit reads what each back end writes: ac_fixed types, and Quartus' weights, which are headers only."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from support.networks import Mlp

from hls.hls4ml_flow import ProjectOptions, load_manifest
from hls.hls4ml_flow.audit import AuditFinding, audit_project
from hls.hls4ml_flow.project import write_project

GRAPH = Mlp(widths=(4, 4, 2), per_channel=True).graph()
BACKENDS = ["Quartus", "Catapult"]


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("projects")
    for backend in BACKENDS:
        for io_type in ("io_parallel", "io_stream"):
            options = ProjectOptions(backend=backend, io_type=io_type, strategy="Resource")
            write_project(GRAPH, folder / f"{backend}-{io_type}", options)
    return {path.name: path for path in folder.iterdir()}


def changed(original: Path, tmp_path: Path, file: str, pattern: str, replacement: str) -> list[AuditFinding]:
    """Findings after one substitution in a copy of a project."""
    project = shutil.copytree(original, tmp_path / "project")
    path = project / file
    text = path.read_text(encoding="utf-8")
    assert re.search(pattern, text)
    path.write_text(re.sub(pattern, replacement, text, count=1), encoding="utf-8")
    return audit_project(GRAPH, project, load_manifest(project))


@pytest.mark.parametrize("name", [f"{b}-{io}" for b in BACKENDS for io in ("io_parallel", "io_stream")])
def test_a_clean_project_has_no_findings(originals: dict[str, Path], name: str) -> None:
    assert audit_project(GRAPH, originals[name], load_manifest(originals[name])) == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_corrupted_weight_header_is_named(originals: dict[str, Path], tmp_path: Path, backend: str) -> None:
    original = originals[f"{backend}-io_parallel"]
    array = load_manifest(original).array_of("fc1.weight")
    file = f"firmware/weights/{array.symbol}.h"
    (finding,) = changed(original, tmp_path, file, r"= \{[^,]+,", "= {100,")
    assert (finding.tensor, finding.index, finding.file) == ("fc1.weight", 0, file)
    assert finding.found == f"word {100 * 2.0**-array.unit_log2:g}"


def test_quartus_has_no_text_files_to_look_at(originals: dict[str, Path]) -> None:
    assert list((originals["Quartus-io_stream"] / "firmware/weights").glob("*.txt")) == []


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"AC_RND_CONV", "AC_RND"),
        (r"AC_SAT\b", "AC_WRAP"),
        (r"ac_fixed<(\d+),(-?\d+),true", r"ac_fixed<\1,\2,false"),
    ],
)
def test_a_changed_type_is_named(
    originals: dict[str, Path], tmp_path: Path, backend: str, pattern: str, replacement: str
) -> None:
    # the first such type is of a table or of the input: change all of them, and at least one is the network's
    project = shutil.copytree(originals[f"{backend}-io_stream"], tmp_path / "project")
    path = project / "firmware/defines.h"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(pattern, replacement, text), encoding="utf-8")
    findings = audit_project(GRAPH, project, load_manifest(project))
    assert findings
    assert all(finding.file == "firmware/defines.h" and "ac_fixed<" in finding.expected for finding in findings)
