from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.jets import write_jets

from edgeval.targets import jets, with_data
from edgeval.targets.columns import read_columns
from edgeval.targets.digits import DIGITS
from edgeval.targets.jets import CLASSES, FEATURE, FEATURES, JETS, input_values
from edgeval.targets.protocol import Splits, Standardisation
from hls.errors import InputError, UsageError


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_jets(tmp_path_factory.mktemp("jets") / "jets.arff")


@pytest.fixture(scope="module")
def splits(data: Path) -> Splits:
    return JETS.with_data(data).splits(0)


def standardisation(splits: Splits) -> Standardisation:
    assert splits.standardisation is not None
    return splits.standardisation


def test_the_split_is_eighty_ten_ten(splits: Splits) -> None:
    shapes = [part.inputs.shape for part in (splits.train, splits.validation, splits.test)]
    assert shapes == [(480, 16), (60, 16), (60, 16)]


def test_a_large_file_leaves_no_more_than_the_largest_part_to_judge_by(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jets, "LARGEST_PART", 40)
    parts = JETS.with_data(data).splits(0)
    assert [len(part.labels) for part in (parts.train, parts.validation, parts.test)] == [520, 40, 40]


def test_the_training_part_alone_is_what_features_are_standardised_by(splits: Splits) -> None:
    assert np.allclose(splits.train.inputs.mean(axis=0), 0.0, atol=FEATURE.scale)
    assert np.allclose(splits.train.inputs.std(axis=0), 1.0, atol=FEATURE.scale)
    assert not np.allclose(splits.test.inputs.mean(axis=0), 0.0, atol=FEATURE.scale)


def test_the_input_words_hold_the_inputs_without_loss(splits: Splits) -> None:
    words = splits.train.inputs / FEATURE.scale
    assert np.array_equal(words, np.round(words))
    assert FEATURE.minimum <= words.min() < words.max() <= FEATURE.maximum


def test_the_host_makes_the_same_inputs_from_the_recorded_standardisation(data: Path, splits: Splits) -> None:
    columns = read_columns(data, numbers=FEATURES, texts=("class",))
    features = np.stack([columns[name] for name in FEATURES], axis=1)
    found = {tuple(row) for row in input_values(features, standardisation(splits)).tolist()}
    assert {tuple(row) for row in splits.test.inputs.tolist()} <= found


def test_labels_are_indices_of_the_classes(data: Path, splits: Splits) -> None:
    names = read_columns(data, numbers=(), texts=("class",))["class"]
    labels = np.concatenate([part.labels for part in (splits.train, splits.validation, splits.test)])
    assert np.bincount(labels).tolist() == [int(np.sum(names == name)) for name in CLASSES]


def test_inputs_far_outside_saturate() -> None:
    one = Standardisation(mean=np.zeros(2), deviation=np.ones(2))
    assert input_values(np.array([[-1e9, 1e9]]), one).tolist() == [[-32.0, 32.0 - 2.0**-10]]


def test_without_a_file_it_says_where_to_get_one() -> None:
    with pytest.raises(UsageError, match=r"no data file; allowed: .*\.arff.*https://www\.openml\.org/d/42468.*--data"):
        JETS.splits(0)


def test_a_class_that_is_none_of_the_five_is_refused(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "jets.arff"
    path.write_text(data.read_text(encoding="utf-8").replace(",g\n", ",h\n"), encoding="utf-8")
    with pytest.raises(InputError, match=r"samples of class 'h'; allowed: g, q, t, w, z"):
        JETS.with_data(path).splits(0)


def test_a_feature_that_never_changes_is_refused(tmp_path: Path) -> None:
    columns = {name: np.arange(30.0) for name in FEATURES} | {"class": np.array(["g", "q", "t"] * 10)}
    np.savez(tmp_path / "jets.npz", **(columns | {"mass_mmdt": np.ones(30)}))
    with pytest.raises(InputError, match="the same value in every training sample of mass_mmdt"):
        JETS.with_data(tmp_path / "jets.npz").splits(0)


def test_a_target_that_brings_its_data_takes_no_file(data: Path) -> None:
    assert with_data(DIGITS, None) is DIGITS
    with pytest.raises(UsageError, match="a data file for jets only"):
        with_data(DIGITS, data)
