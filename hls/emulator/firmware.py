"""The project's sources as a package needs them: only what is reached, with the stored words inside.

hls4ml reads its weights from text files unless ``__SYNTHESIS__`` is defined, and that switch changes more than weights.
Here only the project's own source is switched, by a name of its own, and each weight header becomes a table of raw
words that fills the array when the library is loaded: no file, no decimal conversion, one small integer a word.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from hls.errors import RunDirectoryError
from hls.hls4ml_flow.manifest import Array, Manifest

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^">]+)[">]', re.MULTILINE)
_INITIALIZER = re.compile(r"=\s*\{(.*?)\}\s*;", re.DOTALL)
_SWITCH = "__SYNTHESIS__"
_OUR_SWITCH = "EDGEVAL_EMULATOR"
_WORDS_A_LINE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """Sources that were copied.

    Attributes:
        outer: Headers to include before the model's namespace is opened: of the system and of ap_types, in the order
            they are met.
        types: Right-hand side of every typedef in ``defines.h``, by name.
    """

    outer: tuple[str, ...]
    types: dict[str, str]


def copy_firmware(project: Path, manifest: Manifest, target: Path) -> Firmware:
    """Copy the sources that the top function reaches, and ap_types, into a folder.

    Args:
        project: Folder of the hls4ml project.
        manifest: Its manifest.
        target: New folder.

    Raises:
        RunDirectoryError: a source is missing, or holds weights the manifest does not know or cannot hold.
    """
    firmware = project / "firmware"
    weights = {f"weights/{array.symbol}.h": array for array in manifest.arrays}
    reached, outer = _reach(firmware, f"{manifest.project}.cpp")
    for name in reached:
        text = _read(firmware / name)
        if name in weights:
            text = _word_table(weights[name], text, firmware / name)
        elif name.startswith("weights/"):
            raise _bad_source(firmware / name, "weights that the project's manifest does not list")
        elif "/" not in name:
            text = text.replace(_SWITCH, _OUR_SWITCH)
        destination = target / name
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_text(text, encoding="utf-8")
    missing = weights.keys() - set(reached)
    if missing:
        raise _bad_source(firmware / min(missing), "a weight header that no source includes")
    shutil.copytree(firmware / "ap_types", target / "ap_types")
    types = {name: text for text, name in re.findall(r"typedef\s+(.+?)\s+(\w+);", _read(firmware / "defines.h"))}
    return Firmware(outer=tuple(outer), types=types)


def _reach(firmware: Path, start: str) -> tuple[list[str], list[str]]:
    """Files of the firmware that a file includes, itself first, and headers outside it that they include."""
    reached, outer, waiting = [start], list[str](), [start]
    while waiting:
        name = waiting.pop()
        for mark, included in _INCLUDE.findall(_read(firmware / name)):
            inside = _inside(firmware, name, included) if mark == '"' else None
            if inside is None:
                if included not in outer:
                    outer.append(included)
            elif inside not in reached:
                reached.append(inside)
                waiting.append(inside)
    return reached, outer


def _inside(firmware: Path, name: str, included: str) -> str | None:
    """Where a quoted include lies in the firmware, relative to it; ``None`` for ap_types and the system."""
    for base in ((firmware / name).parent, firmware):
        path = (base / included).resolve()
        if path.is_file() and path.is_relative_to(firmware.resolve()):
            relative = path.relative_to(firmware.resolve()).as_posix()
            return None if relative.startswith("ap_types/") else relative
    return None


def _word_table(array: Array, header: str, path: Path) -> str:
    words = _words(array, header, path)
    low, high = -(1 << (array.width_bits - 1)) if array.signed else 0, (1 << array.width_bits - array.signed) - 1
    for position, word in enumerate(words):
        if not low <= word <= high:
            raise _bad_source(path, f"word {word} at position {position}, of {low} to {high}")
    carrier = next(bits for bits in (8, 16, 32, 64) if array.width_bits + (not array.signed) <= bits)
    rows = [words[i : i + _WORDS_A_LINE] for i in range(0, len(words), _WORDS_A_LINE)]
    table = ",\n    ".join(", ".join(map(str, row)) for row in rows)
    held = array.tensor or "no stored tensor: zeros"
    return (
        f"// {held}: raw words of {array.width_bits} bits, as the array holds them.\n"
        f"#ifndef EDGEVAL_{array.symbol.upper()}_H_\n#define EDGEVAL_{array.symbol.upper()}_H_\n\n"
        f"static const int{carrier}_t {array.symbol}_words[{array.size}] = {{\n    {table}\n}};\n"
        f"{array.cpp_type} {array.symbol}[{array.size}];\n"
        f"static const bool {array.symbol}_filled = emulator::fill({array.symbol}, {array.symbol}_words);\n\n"
        f"#endif\n"
    )


def _words(array: Array, header: str, path: Path) -> list[int]:
    """The words of a header that synthesis reads, in the order of the C++ array."""
    match = _INITIALIZER.search(header)
    texts = [text.strip() for text in match[1].split(",")] if match else []
    if len(texts) != array.size:
        raise _bad_source(path, f"{len(texts)} values for {array.size} words")
    unit = Fraction(2) ** array.unit_log2
    words = []
    for text in texts:
        try:
            word = Fraction(text) / unit
        except ValueError as error:
            raise _bad_source(path, repr(text)) from error
        if word.denominator != 1:
            raise _bad_source(path, f"{text}, which is no multiple of 2^{array.unit_log2}")
        words.append(int(word))
    return words


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _bad_source(path, f"{type(error).__name__}: {error}") from error


def _bad_source(path: Path, found: str) -> RunDirectoryError:
    return RunDirectoryError(
        found=found,
        allowed="the sources that `edgeval export` wrote",
        where=str(path),
        remedy="run `edgeval export` again",
    )
