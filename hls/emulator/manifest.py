"""What a package says about itself: ``manifest.json``."""

from __future__ import annotations

from pathlib import Path

import msgspec

from hls.errors import RunDirectoryError
from hls.readers import UnreadableError, read_json

PACKAGE_FILE = "manifest.json"


class EmulatorPort(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes in or comes out.

    Attributes:
        shape: Of one sample; words lie in C order.
        size: Words a sample.
        element: C++ type of one element, whose raw bits are the word.
        scale: Real value of one unit, one number or one an output.
        minimum, maximum: Smallest and largest word.
    """

    shape: tuple[int, ...]
    size: int
    element: str
    width_bits: int
    signed: bool
    scale: tuple[float, ...]
    minimum: int
    maximum: int


class EmulatorManifest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="edgeval.emulator-package/1"
):
    """``manifest.json`` of a package.

    Attributes:
        namespace: C++ namespace of everything inside, and prefix of the C functions.
        symbols: Everything the library exports.
        rounding: Of the input quantizer, for real values.
        golden: Files of words and values, by what they hold, and the number of samples.
        digests: sha256 of network, QONNX file and other origins.
        tools: Versions of what wrote and built it.
        files: sha256 of every file of the package but this one and the checksums.
    """

    name: str
    version: str
    namespace: str
    library: str
    header: str
    symbols: tuple[str, ...]
    backend: str
    io_type: str
    input: EmulatorPort
    output: EmulatorPort
    rounding: str
    golden: dict[str, str]
    samples: int
    digests: dict[str, str]
    tools: dict[str, str]
    files: dict[str, str]


def load_package(directory: Path) -> EmulatorManifest:
    """Read the manifest of a package.

    Raises:
        RunDirectoryError: missing or damaged.
    """
    try:
        return read_json(directory / PACKAGE_FILE, EmulatorManifest)
    except UnreadableError as error:
        raise RunDirectoryError(
            found=str(error),
            allowed="a folder written by `edgeval emulator`",
            where=str(directory / PACKAGE_FILE),
            remedy="run `edgeval emulator` again",
        ) from error
