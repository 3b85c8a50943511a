"""Named columns of a data file that a user brings: ARFF, CSV, Parquet or NPZ, by the file's ending."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hls.errors import InputError
from hls.npz import UNREADABLE, load_arrays

_ATTRIBUTE = re.compile(r"""@attribute\s+(?:'([^']*)'|"([^"]*)"|(\S+))\s""", re.IGNORECASE)


def read_columns(path: Path, *, numbers: Sequence[str], texts: Sequence[str]) -> dict[str, np.ndarray]:
    """Read some columns of a data file; others are ignored.

    Args:
        path: ``.arff`` (dense), ``.csv`` (first line: column names), ``.parquet``, or ``.npz`` (one array a column).
        numbers: Columns of finite numbers.
        texts: Columns of text, e.g. class names.

    Returns:
        One array a column, all of one length, at least one row: float64 for numbers, ``str`` objects for texts.

    Raises:
        InputError: missing, damaged, of another kind, a column is missing, or a value is missing or no number.
    """
    readers: dict[str, Callable[[Path, list[str]], Any]] = {
        ".arff": _read_arff,
        ".csv": _read_csv,
        ".parquet": _read_parquet,
        ".npz": _read_npz,
    }
    if path.suffix.lower() not in readers:
        raise _unreadable(path, f"a file that ends in {path.suffix or 'nothing'}", ", ".join(readers))
    names = [*numbers, *texts]
    try:
        table = readers[path.suffix.lower()](path, names)
    except _errors() as error:
        raise _unreadable(path, f"{type(error).__name__}: {error}", f"columns {', '.join(names)}") from error
    if len(table) == 0:
        raise _unreadable(path, "no rows", "at least one row")
    columns = {name: _numbers(table, name, path) for name in numbers}
    return columns | {name: _texts(table, name, path) for name in texts}


def _errors() -> tuple[type[Exception], ...]:
    import pyarrow as pa

    return (*UNREADABLE, pa.ArrowException)


def _read_arff(path: Path, names: list[str]) -> Any:
    """Header by hand, rows as CSV: that is what follows ``@data`` in a dense file, with ``?`` for what is missing."""
    import pyarrow as pa
    from pyarrow import csv

    content = path.read_bytes()
    head = re.search(rb"^[ \t]*@data[ \t]*\r?\n", content, re.IGNORECASE | re.MULTILINE)
    if head is None:
        raise ValueError("no @data line")
    attributes = [
        next(part for part in match.groups() if part is not None)
        for line in content[: head.start()].decode("utf-8").splitlines()
        if (match := _ATTRIBUTE.match(line.strip()))
    ]
    return csv.read_csv(
        pa.BufferReader(memoryview(content)[head.end() :]),
        read_options=csv.ReadOptions(column_names=attributes),
        parse_options=csv.ParseOptions(quote_char="'"),
        convert_options=csv.ConvertOptions(include_columns=names, null_values=["?"], strings_can_be_null=True),
    )


def _read_csv(path: Path, names: list[str]) -> Any:
    from pyarrow import csv

    return csv.read_csv(path, convert_options=csv.ConvertOptions(include_columns=names, strings_can_be_null=True))


def _read_parquet(path: Path, names: list[str]) -> Any:
    from pyarrow import parquet

    # Read whole: asked for columns that are not there, Parquet leaves them out in silence.
    return parquet.read_table(path).select(names)


def _read_npz(path: Path, names: list[str]) -> Any:
    import pyarrow as pa

    arrays = load_arrays(path, names)
    return pa.table({name: arrays[name] for name in names})


def _numbers(table: Any, name: str, path: Path) -> np.ndarray:
    import pyarrow as pa

    column = table.column(name)
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise _unreadable(path, f"{column.type} in column {name}", "numbers")
    values = np.asarray(column.to_numpy(), np.float64)
    if wrong := int(np.sum(~np.isfinite(values))):
        raise _unreadable(path, f"{wrong:,} missing or infinite values in column {name}", "finite numbers")
    return values


def _texts(table: Any, name: str, path: Path) -> np.ndarray:
    import pyarrow as pa

    column = table.column(name)
    if column.null_count:
        raise _unreadable(path, f"{column.null_count:,} missing values in column {name}", "one in every row")
    try:
        return np.array(column.cast(pa.string()).to_pylist(), dtype=object)
    except pa.ArrowException as error:
        raise _unreadable(path, f"{column.type} in column {name}", "text") from error


def _unreadable(path: Path, found: str, allowed: str) -> InputError:
    return InputError(found=found, allowed=allowed, where=str(path), remedy="check the file, or give another one")
