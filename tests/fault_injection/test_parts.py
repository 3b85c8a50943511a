from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fault_injection.parts import PartStore, Task, locked, table_digest
from hls.errors import RunDirectoryError

TASK = Task(name="one", work=None, identity="i")


def table(seed: int = 0, rows: int = 50) -> pa.Table:
    rng = np.random.default_rng(seed)
    names = pa.DictionaryArray.from_arrays(pa.array(rng.integers(0, 2, rows), pa.int32()), ["a", "b", "unused"])
    return pa.table(
        {
            "number": np.arange(rows),
            "tensor": names,
            "change": rng.normal(size=rows),
            "count": pa.array([None if n == 3 else n for n in range(rows)], pa.int64()),
            "nothing": pa.nulls(rows, pa.float64()),
            "outcome": pa.array(rng.choice(["masked", "critical"], rows).tolist(), pa.string()),
        }
    )


def stores(folder: Path) -> list[tuple[PartStore, pa.Table | bytes]]:
    return [
        (PartStore(folder=folder / "tables", fingerprint="f"), table()),
        (PartStore(folder=folder / "bytes", fingerprint="f", kind="bytes"), b"\n some \x00 bytes \n" * 40),
    ]


@pytest.mark.parametrize("kind", [0, 1], ids=["table", "bytes"])
def test_what_was_written_is_read_back(tmp_path: Path, kind: int) -> None:
    store, content = stores(tmp_path)[kind]
    assert store.read(TASK) is None
    store.write(TASK, content)
    assert store.read(TASK) == content


@pytest.mark.parametrize("kind", [0, 1], ids=["table", "bytes"])
@pytest.mark.parametrize("other", ["fingerprint", "identity", "name"])
def test_a_part_of_something_else_is_refused(tmp_path: Path, kind: int, other: str) -> None:
    store, content = stores(tmp_path)[kind]
    store.write(TASK, content)
    task = TASK
    if other == "fingerprint":
        store = replace(store, fingerprint="another")
    elif other == "identity":
        task = replace(task, identity="another")
    else:
        task = replace(task, name="two")
        store.path("one").rename(store.path("two"))
    with pytest.raises(RunDirectoryError, match=r"of another task or fingerprint.*delete this file"):
        store.read(task)


@pytest.mark.parametrize("kind", [0, 1], ids=["table", "bytes"])
def test_no_flipped_bit_goes_unnoticed(tmp_path: Path, kind: int) -> None:
    store, content = stores(tmp_path)[kind]
    store.write(TASK, content)
    path = store.path(TASK.name)
    whole = path.read_bytes()
    refused = 0
    for position in range(0, len(whole), 23):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        try:
            found = store.read(TASK)
        except RunDirectoryError:
            refused += 1
            continue
        assert found == content, position
    assert refused > len(whole) // 23 // 2


@pytest.mark.parametrize("kind", [0, 1], ids=["table", "bytes"])
@pytest.mark.parametrize("length", [0, 10, -1])
def test_half_a_part_is_refused(tmp_path: Path, kind: int, length: int) -> None:
    store, content = stores(tmp_path)[kind]
    store.write(TASK, content)
    store.path(TASK.name).write_bytes(store.path(TASK.name).read_bytes()[:length])
    with pytest.raises(RunDirectoryError):
        store.read(TASK)


def test_a_digest_does_not_hang_on_chunks_or_dictionaries() -> None:
    whole = table()
    cut = pa.concat_tables([whole.slice(0, 20), whole.slice(20)])
    again = whole.set_column(1, "tensor", pa.array(whole["tensor"].to_pylist()).dictionary_encode())
    assert table_digest(cut) == table_digest(again) == table_digest(whole)


def test_a_digest_hangs_on_the_type() -> None:
    whole = table()
    plain = whole.set_column(1, "tensor", whole["tensor"].cast(pa.string()))
    assert table_digest(plain) != table_digest(whole)


@pytest.mark.parametrize("name", table().column_names)
def test_a_digest_hangs_on_every_value(name: str) -> None:
    whole = table()
    position = whole.column_names.index(name)
    values = whole[name].to_pylist()
    values[7] = {"number": 8, "tensor": "unused", "change": 0.5, "count": None, "nothing": 0.0, "outcome": "m"}[name]
    column = pa.array(values, whole[name].cast(pa.string()).type if name == "tensor" else whole[name].type)
    assert table_digest(whole.set_column(position, name, column)) != table_digest(whole)


def test_a_digest_of_nested_values_hangs_on_them() -> None:
    assert table_digest(pa.table({"x": [[1, 2], [3]]})) != table_digest(pa.table({"x": [[1], [2, 3]]}))


def test_a_second_process_is_kept_out(tmp_path: Path) -> None:
    ask = f"import fault_injection.parts as p, pathlib\nwith p.locked(pathlib.Path({str(tmp_path)!r})): pass"
    root = Path(__file__).parents[2]
    with locked(tmp_path):
        refused = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, cwd=root, check=False)
    assert "another process at work in this folder" in refused.stderr
    assert subprocess.run([sys.executable, "-c", ask], cwd=root, check=False).returncode == 0


def test_what_a_killed_process_left_half_written_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".part-00000.parquet.a1b2c3").write_bytes(b"half")
    (tmp_path / "part-00001.parquet").write_bytes(b"kept")
    with locked(tmp_path):
        assert sorted(path.name for path in tmp_path.iterdir()) == ["_lock", "part-00001.parquet"]


def test_tables_are_plain_parquet(tmp_path: Path) -> None:
    store, content = stores(tmp_path)[0]
    store.write(TASK, content)
    assert pq.read_table(store.folder)["number"].to_pylist() == list(range(50))


def test_the_digest_of_bytes_is_theirs_with_the_stamp(tmp_path: Path) -> None:
    store, _ = stores(tmp_path)[1]
    store.write(TASK, b"abc")
    header, content = store.path(TASK.name).read_bytes().split(b"\n", 1)
    stamp = header.split(b" ")[2]
    assert (content, header.split(b" ")[1].decode()) == (b"abc", hashlib.sha256(stamp + b"abc").hexdigest())
