"""What bridge and worker say to each other: length-prefixed msgpack, arrays as raw int64.

The worker is a process of its own because generated C++ may crash, print, or call ``exit``; none of that may reach the
command line except as an error message.
"""

from __future__ import annotations

import struct
from typing import IO

import msgspec
import numpy as np

from hls.formats import Words

_LENGTH = struct.Struct("<Q")


class PackedWords(msgspec.Struct, frozen=True, kw_only=True):
    """An int64 array on the wire."""

    shape: tuple[int, ...]
    data: bytes


class Load(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Load the library and run one sample of zeros, which makes hls4ml read its weights."""

    library: str
    input_size: int
    output_size: int
    tap_sizes: tuple[int, ...]
    stack_bytes: int


class Poke(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Set one raw word of a weight array."""

    array: int
    position: int
    word: int


class Run(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Poke, run, put the old words back and check that they are back."""

    inputs: PackedWords
    pokes: tuple[Poke, ...]
    taps: tuple[int, ...]


class Peek(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Read raw words of one weight array."""

    array: int
    size: int


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What a request gave; ``printed`` is everything the generated C++ wrote meanwhile."""

    output: PackedWords
    taps: tuple[PackedWords, ...] = ()
    printed: str = ""
    bad_sample: int | None = None
    error: str | None = None


Request = Load | Run | Peek


def pack(words: Words) -> PackedWords:
    """An array as it goes over the wire."""
    return PackedWords(shape=words.shape, data=np.ascontiguousarray(words, np.int64).tobytes())


def unpack(packed: PackedWords) -> Words:
    """The array again, writable."""
    return np.frombuffer(packed.data, np.int64).reshape(packed.shape).copy()


def send(stream: IO[bytes], message: msgspec.Struct) -> None:
    """Write one message and flush."""
    data = msgspec.msgpack.encode(message)
    stream.write(_LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes | None:
    """Read one message's bytes; ``None`` when the other side is gone."""
    header = stream.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        return None
    (size,) = _LENGTH.unpack(header)
    data = stream.read(size)
    return data if len(data) == size else None
