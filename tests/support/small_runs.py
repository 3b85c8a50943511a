"""Runs that are made in no time: a small network and its samples, no training and no hls4ml project."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from support.networks import Mlp

from edgeval.evaluation import network_outputs
from edgeval.importing import GraphOptions, import_graph
from edgeval.run_directory import RunDirectory

RECIPE = Mlp(widths=(5, 4, 4), weight_bits=3, bias_bits=6, seed=2)


def small_run(folder: Path, *, task: str = "classification", samples: int = 40) -> RunDirectory:
    """An exported run whose labels are the network's own answers."""
    onnx.save(RECIPE.model(), folder / "mlp.onnx")
    graph, inputs = RECIPE.graph(), RECIPE.inputs(samples)
    answers = network_outputs(graph, inputs)
    labels = answers.argmax(axis=1) if task == "classification" else answers
    np.savez(folder / "x.npz", inputs=inputs, labels=labels)
    run = RunDirectory(folder / "run")
    import_graph(folder / "mlp.onnx", run, GraphOptions(inputs=folder / "x.npz", task=task))
    run.save_network(graph)
    return run
