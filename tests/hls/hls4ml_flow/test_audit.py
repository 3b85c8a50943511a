"""A word changed behind edgeval's back, in either file, is named by tensor and index."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.networks import Mlp

from hls.errors import RunDirectoryError
from hls.graph import IntegerGraph, WordChange
from hls.hls4ml_flow import Manifest, ProjectOptions, load_manifest
from hls.hls4ml_flow.audit import AuditFinding, audit_project
from hls.hls4ml_flow.project import write_project

GRAPH = Mlp(widths=(4, 4, 2), per_channel=True).graph()
OPTIONS = {
    "latency": ProjectOptions(),
    "resource": ProjectOptions(strategy="Resource", reuse_factor=2),
    "stream": ProjectOptions(io_type="io_stream"),
}


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("projects")
    for name, options in OPTIONS.items():
        write_project(GRAPH, folder / name, options)
    return {name: folder / name for name in OPTIONS}


@pytest.fixture
def project(originals: dict[str, Path], tmp_path: Path) -> Path:
    return shutil.copytree(originals["latency"], tmp_path / "project")


def audit(project: Path, graph: IntegerGraph = GRAPH) -> list[AuditFinding]:
    return audit_project(graph, project, load_manifest(project))


def edit(path: Path, change: Callable[[str], str]) -> None:
    text = path.read_text(encoding="utf-8")
    assert change(text) != text
    path.write_text(change(text), encoding="utf-8")


def flip_value(position: int, unit_log2: int = 0) -> Callable[[str], str]:
    """Flip the least bit of one word of a comma-separated list, in a .txt or between the braces of a .h."""

    def change(text: str) -> str:
        head, body, tail = re.fullmatch(r"(.*=\s*\{|)(.*?)(\}\s*;.*|)", text, re.DOTALL).groups()
        values = body.split(",")
        word = int(float(values[position]) * 2.0**-unit_log2) ^ 1
        values[position] = repr(word * 2.0**unit_log2)
        return f"{head}{','.join(values)}{tail}"

    return change


def symbol(project: Path, tensor: str) -> str:
    return load_manifest(project).array_of(tensor).symbol


@pytest.mark.parametrize("name", list(OPTIONS))
def test_a_clean_project_has_no_findings(originals: dict[str, Path], name: str) -> None:
    assert audit(originals[name]) == []


@pytest.mark.parametrize("suffix", ["txt", "h"])
@pytest.mark.parametrize("index", [0, 5, 15])
def test_a_flipped_word_is_named_by_tensor_and_index(project: Path, suffix: str, index: int) -> None:
    name = symbol(project, "fc1.weight")
    unit = load_manifest(project).array_of("fc1.weight").unit_log2
    edit(project / f"firmware/weights/{name}.{suffix}", flip_value(index, unit))
    (finding,) = audit(project)
    word = int(GRAPH.tensors["fc1.weight"].executor_words().reshape(-1)[index])
    assert (finding.tensor, finding.index, finding.count) == ("fc1.weight", index, 1)
    assert finding.file == f"firmware/weights/{name}.{suffix}"
    assert (finding.found, finding.expected) == (f"word {word ^ 1}", f"word {word}")


@pytest.mark.parametrize("suffix", ["txt", "h"])
def test_a_transposed_array_is_named_by_the_index_of_the_tensor(
    originals: dict[str, Path], tmp_path: Path, suffix: str
) -> None:
    project = shutil.copytree(originals["resource"], tmp_path / "project")
    array = load_manifest(project).array_of("fc1.weight")
    assert array.axes == (1, 0)
    edit(project / f"firmware/weights/{array.symbol}.{suffix}", flip_value(array.position(6), array.unit_log2))
    (finding,) = audit(project)
    assert (finding.tensor, finding.index) == ("fc1.weight", 6)


def test_a_bias_word_is_named_in_units_of_its_accumulator(project: Path) -> None:
    array = load_manifest(project).array_of("fc2.bias")
    assert array.unit_log2 == -5
    edit(project / f"firmware/weights/{array.symbol}.txt", lambda text: re.sub(r"^[^,]+", "1.0", text))
    (finding,) = audit(project)
    assert (finding.tensor, finding.index, finding.found) == ("fc2.bias", 0, f"word {2.0**-array.unit_log2:g}")


def test_several_wrong_words_are_one_finding_with_a_count(project: Path) -> None:
    path = project / f"firmware/weights/{symbol(project, 'fc1.weight')}.txt"
    edit(path, flip_value(3))
    edit(path, flip_value(9))
    (finding,) = audit(project)
    assert (finding.index, finding.count) == (3, 2)
    assert "2 words of this file differ" in str(finding)


def test_both_files_are_looked_at(project: Path) -> None:
    name = symbol(project, "fc1.weight")
    for suffix in ("txt", "h"):
        edit(project / f"firmware/weights/{name}.{suffix}", flip_value(0))
    assert [finding.file[-4:].strip(".") for finding in audit(project)] == ["txt", f"{name}.h"[-4:].strip(".")]


@pytest.mark.parametrize("suffix", ["txt", "h"])
def test_a_truncated_file_is_named_with_its_length(project: Path, suffix: str) -> None:
    name = symbol(project, "fc1.weight")

    def truncate(text: str) -> str:
        cut = text.rindex(",")
        return text[:cut] + ("};" if suffix == "h" else "")

    edit(project / f"firmware/weights/{name}.{suffix}", truncate)
    (finding,) = audit(project)
    assert (finding.tensor, finding.index) == ("fc1.weight", None)
    assert (finding.found, finding.expected) == ("15 values", "16 values")


def test_an_empty_file_is_a_finding(project: Path) -> None:
    (project / f"firmware/weights/{symbol(project, 'fc1.weight')}.h").write_text("")
    assert audit(project)[0].found == "0 values"


@pytest.mark.parametrize("text", ["", "1e", "nan", "inf", "0x3", "0.5"])
def test_what_is_no_word_is_named_with_its_index(project: Path, text: str) -> None:
    path = project / f"firmware/weights/{symbol(project, 'fc1.weight')}.txt"
    edit(path, lambda content: ",".join([*content.split(",")[:2], text, *content.split(",")[3:]]))
    (finding,) = audit(project)
    assert (finding.tensor, finding.index) == ("fc1.weight", 2)


@pytest.mark.parametrize(
    "tensor", ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
)  # fmt: skip
def test_a_changed_type_of_an_array_is_named(project: Path, tensor: str) -> None:
    array = load_manifest(project).array_of(tensor)
    pattern = rf"ap_fixed<{array.width_bits},(-?\d+)(.*> {array.cpp_type};)"
    edit(project / "firmware/defines.h", lambda t: re.sub(pattern, rf"ap_fixed<{array.width_bits - 1},\1\2", t))
    (finding,) = audit(project)
    assert (finding.file, finding.tensor, finding.index) == ("firmware/defines.h", array.cpp_type, None)
    assert finding.found.startswith(f"ap_fixed<{array.width_bits - 1},")
    assert finding.expected.startswith(f"ap_fixed<{array.width_bits},")


def ports(project: Path) -> tuple[str, str]:
    manifest: Manifest = load_manifest(project)
    return manifest.input.cpp_type, manifest.output.cpp_type


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("name", ["latency", "stream"])
def test_a_changed_type_of_a_port_is_named(
    originals: dict[str, Path], tmp_path: Path, position: int, name: str
) -> None:
    project = shutil.copytree(originals[name], tmp_path / "project")
    cpp_type = ports(project)[position]

    def narrow(text: str) -> str:
        line = next(line for line in text.splitlines() if line.endswith(f" {cpp_type};"))
        return text.replace(line, re.sub(r"fixed<(\d+)", lambda m: f"fixed<{int(m[1]) - 1}", line))

    edit(project / "firmware/defines.h", narrow)
    assert [finding.tensor for finding in audit(project)] == [cpp_type]


@pytest.mark.parametrize("role", ["accumulator of fc1", "result of act1", "result of fc1"])
def test_a_changed_type_inside_is_named(project: Path, role: str) -> None:
    kind = next(kind for kind in load_manifest(project).types if kind.role == role)

    def narrow(text: str) -> str:
        line = next(line for line in text.splitlines() if line.endswith(f" {kind.cpp_type};"))
        return text.replace(line, re.sub(r"fixed<(\d+)", lambda m: f"fixed<{int(m[1]) - 1}", line))

    edit(project / "firmware/defines.h", narrow)
    assert [finding.tensor for finding in audit(project)] == [kind.cpp_type]


@pytest.mark.parametrize(("old", "new"), [("AP_RND_CONV", "AP_TRN"), ("AP_SAT", "AP_WRAP")])
def test_a_changed_rounding_or_saturation_of_a_layer_is_named(project: Path, old: str, new: str) -> None:
    kind = next(kind for kind in load_manifest(project).types if kind.role == "result of act1")

    def change(text: str) -> str:
        line = next(line for line in text.splitlines() if line.endswith(f" {kind.cpp_type};"))
        assert old in line
        return text.replace(line, line.replace(old, new))

    edit(project / "firmware/defines.h", change)
    (finding,) = audit(project)
    assert finding.tensor == kind.cpp_type
    assert new in finding.found
    assert old in finding.expected


def test_a_type_that_is_gone_is_named(project: Path) -> None:
    array = load_manifest(project).array_of("fc1.weight")
    edit(project / "firmware/defines.h", lambda text: text.replace(f" {array.cpp_type};", " other_t;"))
    assert audit(project)[0].found == "no such type"


def test_a_file_that_is_gone_is_an_error(project: Path) -> None:
    (project / f"firmware/weights/{symbol(project, 'fc1.weight')}.txt").unlink()
    with pytest.raises(RunDirectoryError, match="FileNotFoundError"):
        audit(project)


def test_a_file_that_is_not_text_is_an_error(project: Path) -> None:
    (project / f"firmware/weights/{symbol(project, 'fc1.weight')}.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RunDirectoryError, match="UnicodeDecodeError"):
        audit(project)


def test_another_network_is_seen_in_both_files(project: Path) -> None:
    changed = GRAPH.with_words([WordChange(tensor="fc2.weight", index=3, word=-8)])
    assert [(finding.tensor, finding.index) for finding in audit(project, changed)] == [("fc2.weight", 3)] * 2


def test_the_zeros_of_a_missing_bias_are_looked_at(tmp_path: Path) -> None:
    graph = Mlp(widths=(4, 3, 2), bias=False).graph()
    write_project(graph, tmp_path / "p", ProjectOptions())
    assert audit(tmp_path / "p", graph) == []
    array = next(array for array in load_manifest(tmp_path / "p").arrays if array.tensor is None)
    edit(tmp_path / f"p/firmware/weights/{array.symbol}.txt", flip_value(1))
    (finding,) = audit(tmp_path / "p", graph)
    assert (finding.tensor, finding.index) == (f"(constant) {array.symbol}", 1)


def test_a_finding_reads_as_a_sentence() -> None:
    finding = AuditFinding(file="w2.txt", tensor="fc1.weight", index=7, found="word 1", expected="word 3", count=1)
    assert str(finding) == "fc1.weight[7] in w2.txt: found word 1, expected word 3"
