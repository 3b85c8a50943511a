"""A folder of results that are written once: atomic, digest-checked, each bound to its task and fingerprint.

Campaigns, studies and sweeps keep what they have computed here. A part is either whole and of this very task, or it is
refused by name; a process that is killed at any moment leaves whole parts and, at worst, a hidden temporary file, which
the next one removes.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hls.errors import RunDirectoryError
from hls.files import atomic_write

Result: TypeAlias = pa.Table | bytes
"""What a task gives: a table, kept as Parquet, or bytes."""

_STAMP = b"edgeval.task"
_DIGEST = b"edgeval.sha256"
_HEADER = b"edgeval.part/1 "
_LOCK = "_lock"  # the underscore hides it from Parquet readers of the folder
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One piece of work with a result of its own.

    Attributes:
        name: Stable, unique among its tasks, and a file name: letters, digits, ``.``, ``_`` and ``-``.
        work: What the function is called with; picklable where another process is to do it.
        identity: Says which work this is, e.g. a digest of it: a part with another identity is refused.
        size: How much of the whole it is, for progress.
    """

    name: str
    work: Any
    identity: str = ""
    size: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PartStore:
    """A folder of parts.

    Attributes:
        folder: Made when the first part is written.
        fingerprint: Of everything the results depend on beside the task; a part with another one is refused.
        kind: Whether the results are tables (``NAME.parquet``) or bytes (``NAME.bin``).
    """

    folder: Path
    fingerprint: str
    kind: Literal["table", "bytes"] = "table"

    def path(self, name: str) -> Path:
        """File of a task's result."""
        return self.folder / f"{name}.{'parquet' if self.kind == 'table' else 'bin'}"

    def write(self, task: Task, result: Result) -> None:
        """Write a result, atomically.

        Raises:
            InputError: the disk is full or the folder cannot be written.
        """
        stamp = self._stamp(task)
        if isinstance(result, bytes):
            content = _HEADER + hashlib.sha256(stamp + result).hexdigest().encode() + b" " + stamp + b"\n" + result
        else:
            sink = pa.BufferOutputStream()
            metadata = {_STAMP: stamp, _DIGEST: table_digest(result).encode()}
            pq.write_table(result.replace_schema_metadata(metadata), sink)
            content = sink.getvalue().to_pybytes()
        atomic_write(self.path(task.name), content)

    def read(self, task: Task) -> Result | None:
        """A result that is there, ``None`` where it is not.

        Raises:
            RunDirectoryError: damaged, or of another task or fingerprint.
        """
        path = self.path(task.name)
        if not path.exists():
            return None
        return self._table(path, task) if self.kind == "table" else self._bytes(path, task)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other process out of this folder while the ``with`` block runs; see ``locked``."""
        with locked(self.folder):
            yield

    def _stamp(self, task: Task) -> bytes:
        text = msgspec.json.encode([self.fingerprint, task.name, task.identity])
        return hashlib.sha256(text).hexdigest().encode()

    def _table(self, path: Path, task: Task) -> pa.Table:
        try:
            table = pq.read_table(path)
            metadata = table.schema.metadata or {}
            digest = table_digest(table).encode()
        except (OSError, pa.ArrowException, ValueError) as error:
            raise damaged(path, f"{type(error).__name__}: {error}") from error
        if metadata.get(_DIGEST) != digest:
            raise damaged(path, "values whose sha256 is not the recorded one")
        if metadata.get(_STAMP) != self._stamp(task):
            raise damaged(path, "a part of another task or fingerprint")
        return table.replace_schema_metadata(None)

    def _bytes(self, path: Path, task: Task) -> bytes:
        header, _, content = path.read_bytes().partition(b"\n")
        digest, _, stamp = header.removeprefix(_HEADER).partition(b" ")
        if not header.startswith(_HEADER) or digest != hashlib.sha256(stamp + content).hexdigest().encode():
            raise damaged(path, "bytes whose sha256 is not the recorded one")
        if stamp != self._stamp(task):
            raise damaged(path, "a part of another task or fingerprint")
        return content


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other process that asks out of a folder, and remove what a killed one left half written.

    The lock goes with the process that holds it, however that ends. Where a file system has no locks, nobody is kept
    out and nothing is removed: parts are whole all the same, but two commands may do the same work.

    Raises:
        RunDirectoryError: another process is at work there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise RunDirectoryError(
                    found="another process at work in this folder",
                    allowed="one process a folder",
                    where=str(folder),
                    remedy="wait until it is done, or end it",
                ) from error
        else:
            for leftover in folder.glob(".*.*.*"):  # .NAME.parquet.XXXX: what atomic_write writes before it renames
                leftover.unlink(missing_ok=True)
        yield
    finally:
        os.close(handle)


def table_digest(table: pa.Table) -> str:
    """sha256 of names, types and values, however they are cut into chunks or numbered in dictionaries.

    Parquet's own page checksums leave its headers out, so values are what is checked.
    """
    digest = hashlib.sha256()
    for name, column in zip(table.column_names, table.columns, strict=True):
        is_dictionary = pa.types.is_dictionary(column.type)
        kind = column.type.value_type if is_dictionary else column.type
        digest.update(f"{len(name)}:{name}:{kind}:{is_dictionary}:{len(column)}:".encode())
        for part in _column_bytes(column, kind):
            digest.update(part)
    return digest.hexdigest()


def damaged(path: Path, found: str) -> RunDirectoryError:
    """The error for a part that cannot be used."""
    return RunDirectoryError(
        found=found,
        allowed="a part that this very command wrote",
        where=str(path),
        remedy="delete this file and run the same command again; only this part is computed anew",
    )


def _column_bytes(column: pa.ChunkedArray, kind: pa.DataType) -> Iterator[Any]:
    yield np.packbits(column.is_valid().to_numpy()).data if len(column) else b""
    if pa.types.is_dictionary(column.type):
        column = column.cast(kind)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        yield np.ascontiguousarray(column.fill_null(0).to_numpy()).data
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        # Numbered by first appearance: outcome classes and tensor names are few, however many rows there are.
        encoded = pc.dictionary_encode(column.combine_chunks())
        yield msgspec.json.encode(encoded.dictionary.to_pylist())
        yield np.ascontiguousarray(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)).data
    else:
        yield msgspec.json.encode(column.to_pylist())
