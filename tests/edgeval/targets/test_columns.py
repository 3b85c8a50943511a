from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from edgeval.targets.columns import read_columns
from hls.errors import InputError

ARFF = b"""% made by a test
@RELATION jets

@ATTRIBUTE extra REAL
@ATTRIBUTE 'mass' REAL
@attribute multiplicity INTEGER
@ATTRIBUTE class {g, q}

@DATA
0,1.5,3,g
1,-2.5e-3,4,q
"""
CSV = b"extra,mass,multiplicity,class\n0,1.5,3,g\n1,-2.5e-3,4,q\n"


def written(folder: Path, ending: str) -> Path:
    path = folder / f"table.{ending}"
    columns = {"class": ["g", "q"], "mass": [1.5, -2.5e-3], "multiplicity": [3, 4], "extra": [0.0, 1.0]}
    match ending:
        case "arff":
            path.write_bytes(ARFF)
        case "csv":
            path.write_bytes(CSV)
        case "parquet":
            table = pa.table(columns)
            parquet.write_table(table.set_column(0, "class", table.column("class").dictionary_encode()), path)
        case "npz":
            np.savez(path, **{name: np.array(values) for name, values in columns.items()})
    return path


def read(path: Path) -> dict[str, np.ndarray]:
    return read_columns(path, numbers=("mass", "multiplicity"), texts=("class",))


@pytest.mark.parametrize("ending", ["arff", "csv", "parquet", "npz"])
def test_every_kind_of_file_gives_the_same_columns(ending: str, tmp_path: Path) -> None:
    found = read(written(tmp_path, ending))
    assert {name: values.tolist() for name, values in found.items()} == {
        "mass": [1.5, -2.5e-3],
        "multiplicity": [3.0, 4.0],
        "class": ["g", "q"],
    }
    assert found["multiplicity"].dtype == np.float64


def test_windows_line_ends_and_quoted_classes_are_read(tmp_path: Path) -> None:
    path = tmp_path / "table.arff"
    path.write_bytes(ARFF.replace(b",g\n", b",'g'\n").replace(b"\n", b"\r\n"))
    assert read(path)["class"].tolist() == ["g", "q"]


@pytest.mark.parametrize("ending", ["arff", "csv", "parquet", "npz"])
def test_a_missing_column_is_named_with_those_that_are_wanted(ending: str, tmp_path: Path) -> None:
    path = written(tmp_path, ending)
    with pytest.raises(InputError, match=r"(?s)tau21.*allowed: columns mass, tau21, class"):
        read_columns(path, numbers=("mass", "tau21"), texts=("class",))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"1.5", b"?", "1 missing or infinite values in column mass"),
        (b"1.5", b"inf", "1 missing or infinite values in column mass"),
        (b"1.5", b"heavy", "found string in column mass"),
        (b",g\n", b",?\n", "1 missing values in column class"),
        (b",g\n", b"\n", "ArrowInvalid"),
        (b"@DATA", b"", "no @data line"),
        (b"0,1.5,3,g\n1,-2.5e-3,4,q\n", b"", "table.arff: found"),
    ],
)
def test_a_damaged_file_is_refused(old: bytes, new: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "table.arff"
    assert old in ARFF
    path.write_bytes(ARFF.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        read(path)


@pytest.mark.parametrize("ending", ["arff", "csv", "parquet", "npz"])
def test_a_file_of_other_content_is_refused(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"table.{ending}"
    path.write_bytes(b"\x00\x01nothing of the kind")
    with pytest.raises(InputError, match="table"):
        read(path)


@pytest.mark.parametrize(("name", "message"), [("table.csv", "No such file"), ("table.h5", "ends in .h5")])
def test_a_file_that_is_not_there_or_of_another_kind_is_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path / name)
