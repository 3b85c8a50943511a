"""Runs that the flow tests share: trained for a moment, because exactness does not depend on how well they learnt."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeval.cli import run as edgeval


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported run of the digits target: 4-bit, per-channel, half pruned."""
    path = tmp_path_factory.mktemp("runs") / "digits"
    options = ["--epochs", "4", "--weight-bits", "4", "--activation-bits", "4", "--sparsity", "0.5", "--per-channel"]
    assert edgeval(["train", "digits", "-o", str(path), *options]) == 0
    assert edgeval(["export", str(path)]) == 0
    return path


@pytest.fixture(scope="session")
def float_scale_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported run whose scales are no powers of two."""
    path = tmp_path_factory.mktemp("runs") / "float-scales"
    assert edgeval(["train", "digits", "-o", str(path), "--epochs", "4", "--scales", "float", "--per-channel"]) == 0
    assert edgeval(["export", str(path)]) == 0
    return path
