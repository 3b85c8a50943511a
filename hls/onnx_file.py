"""An ONNX file that somebody else wrote → a model that is complete in memory, whatever the file names outside itself.

ONNX lets a tensor lie in another file. Here that file has to lie in the model's own folder or below it, be a plain file
that no link leads to, and hold exactly the bytes that the tensor's shape and type need; nothing is read before that is
certain, and afterwards the model holds them itself.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any

import onnx
from onnx import TensorProto, helper

from hls.errors import InputError

MOST_MODEL_BYTES = 2**31 - 1
"""Bytes of the file and of all tensors that lie outside it: what a protobuf message can hold."""


def load_model(path: Path) -> onnx.ModelProto:
    """Read an ONNX file, tensors that lie in other files of its folder included.

    Raises:
        InputError: missing, no ONNX, or a tensor's file may not or cannot be read.
    """
    from google.protobuf.message import DecodeError

    try:
        content = _content(path)
        model = onnx.ModelProto()
        model.ParseFromString(content)
        tensors = list(tensors_of_model(model))
    except (OSError, DecodeError, ValueError, RuntimeError) as error:
        raise _not_onnx(path, f"{type(error).__name__}: {error}") from error
    if not model.graph.node:
        raise _not_onnx(path, "a file without a single node")
    room = MOST_MODEL_BYTES - len(content)
    for tensor in tensors:
        if tensor.data_location == TensorProto.EXTERNAL:
            room -= _embed(tensor, path, room)
    return model


def _content(path: Path) -> bytes:
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise OSError("no regular file")
    if facts.st_size > MOST_MODEL_BYTES:
        raise OSError(f"{facts.st_size:,} bytes, more than {MOST_MODEL_BYTES:,}")
    return path.read_bytes()


def tensors_of_model(message: Any) -> Iterator[Any]:
    """Every tensor anywhere in a model: initializers, attributes, subgraphs, functions.

    Raises:
        ValueError: a text that is no UTF-8; protobuf hands it out as bytes.
    """
    if isinstance(message, TensorProto):
        yield message
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for item in [value] if hasattr(value, "ListFields") else value:
                yield from tensors_of_model(item)
        elif descriptor.type == descriptor.TYPE_STRING:
            texts = [value] if isinstance(value, str | bytes) else value
            if not all(isinstance(text, str) for text in texts):
                raise ValueError(f"{descriptor.full_name} that is no utf-8")


def _embed(tensor: TensorProto, model: Path, room: int) -> int:
    """Put the bytes of an outside tensor into it; how many they are."""
    entries = {item.key: item.value for item in tensor.external_data}
    file = _inside(tensor, model, entries.get("location", ""))
    needed = _bytes_needed(tensor, model)
    try:
        offset, length = int(entries.get("offset", "0")), int(entries.get("length", str(needed)))
    except ValueError as error:
        raise _outside(tensor, model, f"offset {entries.get('offset')!r}, length {entries.get('length')!r}") from error
    held = file.stat().st_size
    if length != needed or length > room or offset < 0 or offset + length > held:
        found = f"bytes {offset:,} to {offset + length:,} of {file.name} ({held:,} bytes) for {needed:,}"
        raise _outside(tensor, model, found)
    with file.open("rb") as stream:
        stream.seek(offset)
        tensor.raw_data = stream.read(length)
    tensor.data_location = TensorProto.DEFAULT
    del tensor.external_data[:]
    return needed


def _bytes_needed(tensor: TensorProto, model: Path) -> int:
    try:
        bits = _BITS.get(tensor.data_type) or 8 * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except (KeyError, ValueError, TypeError) as error:
        raise _outside(tensor, model, f"elements of type {tensor.data_type}") from error
    if any(size < 0 for size in tensor.dims) or tensor.data_type == TensorProto.STRING:
        raise _outside(tensor, model, f"shape {list(tensor.dims[:8])} of type {tensor.data_type}")
    return int(-(-prod(tensor.dims) * bits // 8))


_BITS = {TensorProto.INT4: 4, TensorProto.UINT4: 4, TensorProto.FLOAT4E2M1: 4}
"""Types whose elements share bytes."""


def _inside(tensor: TensorProto, model: Path, location: str) -> Path:
    relative = PurePosixPath(location)
    parts = relative.parts
    if not parts or relative.is_absolute() or ".." in parts or "\\" in location or "\0" in location:
        raise _outside(tensor, model, f"location {location[:200]!r}")
    file = model.parent
    for part in parts:
        file = file / part
        try:
            mode = file.lstat().st_mode
        except (OSError, ValueError) as error:
            raise _outside(tensor, model, f"location {location[:200]!r}: {type(error).__name__}") from error
        if stat.S_ISLNK(mode):
            raise _outside(tensor, model, f"location {location[:200]!r}, which is or passes a link")
    if not stat.S_ISREG(mode):
        raise _outside(tensor, model, f"location {location[:200]!r}, which is no regular file")
    return file


def _outside(tensor: TensorProto, model: Path, found: str) -> InputError:
    return InputError(
        found=found,
        allowed="bytes of a plain file in the model's own folder or below it, as many as shape and type need",
        where=f"tensor {tensor.name[:100]!r} of {model}",
        remedy="save the model with its weights inside (onnx.save), or put the weights' file beside it",
    )


def _not_onnx(path: Path, found: str) -> InputError:
    return InputError(
        found=found, allowed="a QONNX model in ONNX format", where=str(path), remedy="check the path; export it again"
    )
