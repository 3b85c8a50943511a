"""Run directories: what is written is read back, and nothing else passes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.networks import Mlp

from edgeval.run_directory import RunDirectory, Samples, load_samples
from hls.errors import InputError, RunDirectoryError, UsageError
from hls.serialize import structure_json


def test_samples_come_back_as_they_were(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    samples = Samples(inputs=np.ones((3, 2), np.float32), labels=np.arange(3), float_outputs=np.zeros((3, 1)))
    run.save_samples(samples)
    back = run.samples()
    assert np.array_equal(back.inputs, samples.inputs)
    assert back.labels is not None
    assert np.array_equal(back.labels, np.arange(3))
    assert back.float_outputs is not None


def test_the_first_samples_keep_their_labels() -> None:
    samples = Samples(inputs=np.arange(8.0).reshape(4, 2), labels=np.arange(4)).first(2)
    assert samples.labels is not None
    assert samples.inputs.tolist() == [[0, 1], [2, 3]]
    assert samples.labels.tolist() == [0, 1]


@pytest.mark.parametrize("count", [0, -1])
def test_fewer_than_one_sample_is_refused(count: int) -> None:
    with pytest.raises(UsageError, match="--samples"):
        Samples(inputs=np.ones((4, 2))).first(count)


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", inputs=np.array([[object()]]))
    with pytest.raises(InputError, match="objects could run code"):
        load_samples(tmp_path / "x.npz", "x")


def test_a_plain_array_file_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "x.npz").open("wb") as file:
        np.save(file, np.ones((3, 2)))
    with pytest.raises(InputError, match="with `inputs`"):
        load_samples(tmp_path / "x.npz", "x")


def test_a_network_is_one_file_and_a_readable_copy_of_its_structure(tmp_path: Path) -> None:
    run, graph = RunDirectory(tmp_path), Mlp().graph()
    run.save_network(graph)
    assert run.network() == graph
    assert (tmp_path / "network.json").read_bytes().rstrip() == structure_json(graph).rstrip()
    (tmp_path / "network.json").unlink()
    assert run.network() == graph


def test_a_folder_without_a_run_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="edgeval train"):
        RunDirectory(tmp_path).run_record()
