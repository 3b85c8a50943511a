from __future__ import annotations

import sys

import numpy as np
import pytest

from edgeval.targets.freesolv import FREESOLV, fingerprints
from hls.errors import InputError, ToolError


def test_fingerprints_are_bits() -> None:
    pytest.importorskip("rdkit")
    bits = fingerprints(["CCO", "c1ccccc1"])
    assert (bits.shape, bits.dtype, np.unique(bits).tolist()) == ((2, 1024), np.float32, [0.0, 1.0])


def test_the_same_molecule_written_otherwise_has_the_same_bits() -> None:
    pytest.importorskip("rdkit")
    first, other, different = fingerprints(["CCO", "OCC", "CCN"])
    assert np.array_equal(first, other)
    assert not np.array_equal(first, different)


def test_rejected_molecules_are_counted_and_named(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rdkit")
    with pytest.raises(InputError, match=r"2 of 3 molecules that RDKit rejects: 'C\(' \(number 1\), 'XY' \(number 2\)"):
        fingerprints(["C", "C(", "XY"])
    assert capfd.readouterr() == ("", "")


def test_a_missing_rdkit_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rdkit", None)
    with pytest.raises(ToolError, match=r"edgeval-toolkit\[molecules\]"):
        fingerprints(["C"])


@pytest.mark.data
def test_the_split_is_eighty_ten_ten_of_all_molecules() -> None:
    splits = FREESOLV.splits(0)
    assert [part.inputs.shape for part in (splits.train, splits.validation, splits.test)] == [
        (514, 1024),
        (64, 1024),
        (64, 1024),
    ]


@pytest.mark.data
def test_labels_are_free_energies_in_kcal_per_mol() -> None:
    splits = FREESOLV.splits(0)
    labels = np.concatenate([part.labels for part in (splits.train, splits.validation, splits.test)])
    # The published range of FreeSolv: glucose-like sugars to perfluorocarbons.
    assert (labels.min(), labels.max()) == (-25.47, 3.43)
