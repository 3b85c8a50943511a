from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from edgeval.targets import TARGETS, InputFormat, find_target
from edgeval.targets.protocol import random_splits
from hls.errors import InputError, UsageError

INPUTS = np.arange(20, dtype=np.float32).reshape(20, 1)
LABELS = np.arange(20)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="found 'digit'; allowed: digits, freesolv, jets, mnist, mnist-mlp"):
        find_target("digit")


def test_every_target_goes_by_its_name() -> None:
    assert {name: target.name for name, target in TARGETS.items()} == {name: name for name in TARGETS}


def test_listing_targets_loads_nothing_heavy() -> None:
    code = "import sys, edgeval.targets; print(sorted({'torch', 'sklearn', 'rdkit', 'brevitas'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_the_parts_are_disjoint_and_complete() -> None:
    parts = random_splits(INPUTS, LABELS, shares=(0.7, 0.1), seed=3)
    labels = [part.labels.tolist() for part in (parts.train, parts.validation, parts.test)]
    assert [len(part) for part in labels] == [14, 2, 4]
    assert sorted(label for part in labels for label in part) == LABELS.tolist()


def test_inputs_stay_with_their_labels() -> None:
    part = random_splits(INPUTS, LABELS, shares=(0.7, 0.1), seed=3).test
    assert part.inputs[:, 0].tolist() == part.labels.tolist()


def test_another_seed_gives_another_split() -> None:
    first, again, other = (random_splits(INPUTS, LABELS, shares=(0.7, 0.1), seed=seed) for seed in (3, 3, 4))
    assert first.test.labels.tolist() == again.test.labels.tolist() != other.test.labels.tolist()


def test_an_empty_part_is_refused() -> None:
    with pytest.raises(InputError, match="at least one sample in each part"):
        random_splits(INPUTS[:3], LABELS[:3], shares=(0.7, 0.1), seed=0)


@pytest.mark.parametrize(("signed", "extremes"), [(True, (-8, 7)), (False, (0, 15))])
def test_an_input_format_knows_its_range(*, signed: bool, extremes: tuple[int, int]) -> None:
    words = InputFormat(width_bits=4, signed=signed, scale_log2=-2)
    assert (words.minimum, words.maximum, words.scale) == (*extremes, 0.25)
