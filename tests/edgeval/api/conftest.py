"""One exported run of a small network, which no test changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from support.api_runs import INPUTS, LABELS, RECIPE

import edgeval


@pytest.fixture(scope="package")
def exported(tmp_path_factory: pytest.TempPathFactory) -> edgeval.ExportResult:
    """An exported run of a small graph, from arrays."""
    return edgeval.export(RECIPE.model(), tmp_path_factory.mktemp("api") / "run", inputs=INPUTS, labels=LABELS)


@pytest.fixture(scope="package")
def compared(exported: edgeval.ExportResult) -> edgeval.CompareResult:
    return edgeval.compare(exported)


@pytest.fixture(scope="package")
def campaign(exported: edgeval.ExportResult) -> edgeval.InjectResult:
    return edgeval.inject(exported.run, cross_check=5)


@pytest.fixture(scope="package")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same graph and samples as files, for the command line."""
    folder = tmp_path_factory.mktemp("files")
    onnx.save(RECIPE.model(), folder / "model.onnx")
    np.savez(folder / "x.npz", inputs=INPUTS, labels=LABELS)
    return folder
