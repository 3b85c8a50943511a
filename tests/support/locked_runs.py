"""A small exported run that can be made anew with one thing changed, and baselines of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from support.networks import Mlp

from edgeval.evaluation import network_outputs
from edgeval.importing import GraphOptions, import_graph
from edgeval.pipeline import export_run
from edgeval.run_directory import RunDirectory
from hls.hls4ml_flow import ProjectOptions

RECIPE = Mlp(widths=(5, 4, 4), weight_bits=4, bias_bits=6, seed=2)
SAMPLES = 40


def exported_run(
    folder: Path,
    change: Callable[[onnx.ModelProto], None] = lambda model: None,
    *,
    options: ProjectOptions | None = None,
    task: str = "classification",
    samples: int = SAMPLES,
) -> Path:
    """Make the run in ``folder/run`` anew; its labels are what the unchanged network answers."""
    shutil.rmtree(folder / "run", ignore_errors=True)
    folder.mkdir(exist_ok=True, parents=True)
    model = RECIPE.model()
    change(model)
    onnx.save(model, folder / "mlp.onnx")
    inputs = RECIPE.inputs(samples)
    answers = network_outputs(RECIPE.graph(), inputs)
    np.savez(folder / "x.npz", inputs=inputs, labels=answers.argmax(axis=1) if task == "classification" else answers)
    run = RunDirectory(folder / "run")
    import_graph(folder / "mlp.onnx", run, GraphOptions(inputs=folder / "x.npz", task=task))  # type: ignore[arg-type]
    export_run(run, options or ProjectOptions())
    return run.path


def one_weight(model: onnx.ModelProto) -> None:
    """Word 7 of fc1.weight, -2, becomes -1."""
    scale = float(constant(model, "fc1.weight_scale"))
    weights = constant(model, "fc1.w").copy()
    weights.flat[7] += scale
    set_constant(model, "fc1.w", weights)


def three_bits(model: onnx.ModelProto) -> None:
    """The weights of fc1 get 3 bits in place of 4."""
    set_constant(model, "fc1.weight_bits", np.float32(3))


def floor(model: onnx.ModelProto) -> None:
    """act1 rounds down in place of to the nearest."""
    (node,) = (node for node in model.graph.node if node.output[0] == "act1" and node.op_type == "Quant")
    (rounding,) = (item for item in node.attribute if item.name == "rounding_mode")
    rounding.s = b"FLOOR"


def constant(model: onnx.ModelProto, name: str) -> np.ndarray:
    """A constant of a graph."""
    return numpy_helper.to_array(next(item for item in model.graph.initializer if item.name == name))


def set_constant(model: onnx.ModelProto, name: str, values: np.ndarray) -> None:
    """Replace a constant of a graph."""
    next(item for item in model.graph.initializer if item.name == name).CopyFrom(
        numpy_helper.from_array(np.asarray(values, np.float32), name)
    )
