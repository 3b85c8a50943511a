"""Static audit: do the files hls4ml wrote hold the integer network's words? Seconds, no compiler, nothing runs.

hls4ml 1.3.0 is known to write corrupted binary weights without a word. Here every written weight is decoded, from the
text file the C-simulation reads (Quartus has none) *and* from the header synthesis reads, and compared with the stored
words; the types in ``defines.h`` are compared with the manifest.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hls.errors import RunDirectoryError
from hls.formats import Words
from hls.graph import IntegerGraph
from hls.hls4ml_flow.manifest import Array, CppType, Manifest, Port
from hls.hls4ml_flow.options import AC_BACKENDS


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFinding:
    """One way in which the written project departs from the integer network.

    Attributes:
        file: Path inside the project.
        tensor: Stored tensor, or the C++ type's name.
        index: Flat index of the first wrong word in the stored tensor, ``None`` when the whole is wrong.
        found: What the file says.
        expected: What the integer network says.
        count: How many words of this file are wrong.
    """

    file: str
    tensor: str
    index: int | None
    found: str
    expected: str
    count: int

    def __str__(self) -> str:
        place = self.tensor if self.index is None else f"{self.tensor}[{self.index}]"
        more = f" ({self.count:,} words of this file differ)" if self.count > 1 else ""
        return f"{place} in {self.file}: found {self.found}, expected {self.expected}{more}"


def audit_project(graph: IntegerGraph, project: Path, manifest: Manifest) -> list[AuditFinding]:
    """Compare everything written with the integer network.

    Args:
        graph: The network.
        project: Folder of the hls4ml project.
        manifest: Its manifest.

    Returns:
        Findings in data order; empty when the project holds exactly the network's words and types.

    Raises:
        RunDirectoryError: a file of the project is missing or not text.
    """
    findings = _audit_types(project, manifest)
    parsers: dict[str, Callable[[str], list[str]]] = {"txt": _parse_text, "h": _parse_header}
    if manifest.backend == "Quartus":  # its C-simulation compiles the header in
        del parsers["txt"]
    for array in manifest.arrays:
        for suffix, parse in parsers.items():
            file = f"firmware/weights/{array.symbol}.{suffix}"
            values = parse(_read(project / file))
            findings += _compare(graph, array, file, values)
    return findings


def _compare(graph: IntegerGraph, array: Array, file: str, values: list[str]) -> list[AuditFinding]:
    tensor = array.tensor or f"(constant) {array.symbol}"
    expected = _expected(graph, array)
    if len(values) != array.size:
        return [_finding(file, tensor, None, f"{len(values)} values", f"{array.size} values")]
    for position, text in enumerate(values):
        if _number(text) is None:
            return [_finding(file, tensor, _index(array, position), repr(text), "a number")]
    numbers = np.array([float(text) for text in values])
    written = np.empty(array.size)
    written[array.stored_order()] = np.ldexp(numbers, -array.unit_log2)
    wrong = np.flatnonzero(written != expected)
    if wrong.size == 0:
        return []
    first = int(wrong[0])
    return [
        AuditFinding(
            file=file,
            tensor=tensor,
            index=first,
            found=f"word {written[first]:g}",
            expected=f"word {expected[first]}",
            count=int(wrong.size),
        )
    ]


def _expected(graph: IntegerGraph, array: Array) -> Words:
    if array.tensor is None:
        return np.full(array.size, array.fill, np.int64)
    return graph.tensors[array.tensor].executor_words().reshape(-1)


def _index(array: Array, position: int) -> int:
    return int(array.stored_order()[position])


def _audit_types(project: Path, manifest: Manifest) -> list[AuditFinding]:
    file = "firmware/defines.h"
    types = {name: text for text, name in re.findall(r"typedef\s+(.+?)\s+(\w+);", _read(project / file))}
    findings = []
    items: list[Port | Array | CppType] = [manifest.input, *manifest.arrays, *manifest.types, manifest.output]
    # The last layer's result is the output port: one name, one finding.
    for item in {item.cpp_type: item for item in reversed(items)}.values():
        found = types.get(item.cpp_type, "no such type")
        parsed = _parse_type(found)
        width_bits = max(2, item.width_bits) if manifest.backend in AC_BACKENDS else item.width_bits
        expected = (width_bits, item.width_bits + item.unit_log2, item.signed)
        # Rounding and saturation matter where something is computed; ports and weights hold words that fit.
        modes = (item.rounding, item.overflow) if isinstance(item, CppType) else parsed[1] if parsed else None
        if parsed is None or parsed != (expected, modes):
            modes = (item.rounding, item.overflow) if isinstance(item, CppType) else None
            allowed = _type_text(manifest.backend, expected, modes)
            findings.append(_finding(file, item.cpp_type, None, found, allowed))
    return findings[::-1]


def _type_text(backend: str, shape: tuple[int, int, bool], modes: tuple[str, str] | None) -> str:
    """A type as hls4ml writes it; ``shape`` as ``_parse_type`` returns it."""
    width_bits, integer_bits, signed = shape
    ac = backend in AC_BACKENDS
    name = "ac_fixed" if ac else "ap_fixed" if signed else "ap_ufixed"
    sign = [str(signed).lower()] if ac else []
    given = [mode.replace("AP_", "AC_") if ac else mode for mode in modes or ()]
    return f"{name}<{','.join([str(width_bits), str(integer_bits), *sign, *given])}>"


def _parse_type(text: str) -> tuple[tuple[int, int, bool], tuple[str, str]] | None:
    """(width, integer bits, sign) and (rounding, overflow) of a type, or of a stream's array of them.

    Modes are AMD's names, which ac_types spell with AC instead of AP.
    """
    if match := re.fullmatch(r"nnet::array<\s*(.+>)\s*,[^<>]*>", text):
        text = match[1]
    if match := re.fullmatch(r"ap_(u?)fixed<\s*(\d+)\s*,\s*(-?\d+)\s*((?:,[^<>]*)?)>", text):
        return (int(match[2]), int(match[3]), match[1] == ""), _modes(match[4])
    if match := re.fullmatch(r"ac_fixed<\s*(\d+)\s*,\s*(-?\d+)\s*,\s*(true|false)\s*((?:,[^<>]*)?)>", text):
        return (int(match[1]), int(match[2]), match[3] == "true"), _modes(match[4])
    if match := re.fullmatch(r"ac_int<\s*(\d+)\s*,\s*(true|false)\s*>", text):
        return (int(match[1]), int(match[1]), match[2] == "true"), _modes("")
    if match := re.fullmatch(r"ap_(u?)int<\s*(\d+)\s*>", text):
        return (int(match[2]), int(match[2]), match[1] == ""), _modes("")
    return None


def _modes(text: str) -> tuple[str, str]:
    given = [part.strip().replace("AC_", "AP_") for part in text.split(",") if part.strip()]
    return (*given, "AP_TRN", "AP_WRAP")[0], (*given[1:], "AP_WRAP")[0]


def _parse_text(content: str) -> list[str]:
    return [part.strip() for part in content.split(",")]


def _parse_header(content: str) -> list[str]:
    match = re.search(r"=\s*\{(.*?)\}\s*;", content, re.DOTALL)
    return _parse_text(match[1]) if match else []


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunDirectoryError(
            found=f"{type(error).__name__}: {error}",
            allowed="a readable file of the hls4ml project",
            where=str(path),
            remedy="run `edgeval export` again",
        ) from error


def _finding(file: str, tensor: str, index: int | None, found: str, expected: str) -> AuditFinding:
    return AuditFinding(file=file, tensor=tensor, index=index, found=found, expected=expected, count=1)
