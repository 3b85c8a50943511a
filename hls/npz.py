"""Arrays out of an ``.npz`` that somebody else wrote: nothing in it is executed, and nothing it only names is believed.

``numpy.load`` allocates what a header announces before it looks whether the file holds it, and unpacks whatever a
member claims to be. Here every member's size is checked against the file, and every header against its member.
"""

from __future__ import annotations

import stat
import tokenize
import zipfile
import zlib
from collections.abc import Collection
from io import BytesIO
from math import prod
from pathlib import Path

import numpy as np

MOST_BYTES = 1 << 32
"""Bytes of all members of one archive, unpacked."""

_BEST_RATIO = 1032
"""Most bytes that one byte of deflate can stand for; more is an archive whose members overlap."""

_SMALL_BYTES = 1 << 12

UNREADABLE = (
    OSError, zipfile.BadZipFile, zlib.error, LookupError, ValueError, EOFError, ArithmeticError, TypeError,
    AttributeError, NotImplementedError, RuntimeError, SyntaxError, tokenize.TokenError,
)  # fmt: skip
"""All that zipfile, zlib and NumPy raise for bytes that are not what they should be.

Zipfile raises ``NotImplementedError`` and ``RuntimeError`` where a damaged header asks for a compression or a password
that does not exist; NumPy reads headers with Python's own tokenizer and parser.
"""


def open_archive(path: Path) -> zipfile.ZipFile:
    """Open a zip whose members can be unpacked: their sizes are what the file can hold.

    Raises:
        OSError, ValueError, zipfile.BadZipFile: it is none. See ``UNREADABLE``.
    """
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise ValueError("no regular file")
    archive = zipfile.ZipFile(path)
    try:
        _require_sizes(archive, facts.st_size)
    except ValueError:
        archive.close()
        raise
    return archive


def _require_sizes(archive: zipfile.ZipFile, size: int) -> None:
    members = archive.infolist()
    total = sum(member.file_size for member in members)
    if total > MOST_BYTES or total > _BEST_RATIO * size + _SMALL_BYTES:
        raise ValueError(f"{total:,} bytes unpacked out of {size:,}, more than it can hold (limit {MOST_BYTES:,})")
    if len({member.filename for member in members}) != len(members):
        raise ValueError("a member that is there twice")
    for member in members:
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"compression {member.compress_type} of {member.filename[:60]!r}: stored or deflated only")


def load_arrays(path: Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Arrays of an ``.npz``, none of them of Python objects.

    Args:
        path: The file.
        names: Which arrays; all where ``None``. What is not there is left out.

    Raises:
        One of ``UNREADABLE``.
    """
    with open_archive(path) as archive:
        members = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
        chosen = members if names is None else {name: members[name] for name in names if name in members}
        return {name: array_of(archive.read(member)) for name, member in chosen.items()}


def array_of(content: bytes) -> np.ndarray:
    """The array that the bytes of an ``.npy`` file hold: exactly as many as its header says, numbers, texts or dates.

    Raises:
        ValueError: anything else. SyntaxError, tokenize.TokenError: a header that is no Python literal.
    """
    file = BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"version {version} of the .npy format: 1.0 or 2.0 only")
    if dtype.hasobject or dtype.itemsize == 0:
        raise ValueError(f"an array of {dtype}: numbers only, since objects could run code")
    held = len(content) - file.tell()
    if any(size < 0 for size in shape) or prod(shape) * dtype.itemsize != held:
        raise ValueError(f"{dtype} of shape {list(shape[:10])} in {held:,} bytes")
    array = np.frombuffer(content, dtype, offset=file.tell()).reshape(shape[::-1] if fortran else shape)
    return np.array(array.transpose() if fortran else array)


__all__ = ["MOST_BYTES", "UNREADABLE", "array_of", "load_arrays", "open_archive"]
