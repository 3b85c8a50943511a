"""Runs that the flow tests share: trained for a moment, because exactness does not depend on how well they learnt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from support.networks import Mlp

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
def sliced_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported run of a graph that ends in a slice, for which hls4ml has no layer."""
    folder = tmp_path_factory.mktemp("runs")
    model = Mlp().model()
    graph = model.graph
    for name, value in (("first", 0), ("last", 2), ("axis", 1)):
        graph.initializer.append(numpy_helper.from_array(np.array([value], np.int64), name))
    graph.node.append(helper.make_node("Slice", [graph.output[0].name, "first", "last", "axis"], ["part"], name="late"))
    graph.output[0].name = "part"
    graph.output[0].type.tensor_type.shape.dim[1].dim_value = 2
    onnx.save(model, folder / "sliced.onnx")
    assert edgeval(["export", str(folder / "sliced.onnx"), "-o", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture(scope="session")
def float_scale_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported run whose scales are no powers of two."""
    path = tmp_path_factory.mktemp("runs") / "float-scales"
    assert edgeval(["train", "digits", "-o", str(path), "--epochs", "4", "--scales", "float", "--per-channel"]) == 0
    assert edgeval(["export", str(path)]) == 0
    return path
