"""Brevitas → QONNX, and back from a run directory to the torch model it holds."""

from __future__ import annotations

import math
import tempfile
import warnings
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from jaxtyping import Float64

from edgeval.architecture import Architecture, Conv, Dense
from edgeval.records import RunRecord
from edgeval.run_directory import RunDirectory
from edgeval.targets import find_target
from hls.errors import RunDirectoryError
from hls.files import atomic_write
from hls.onnx_file import load_model

_OPSET = 13  # TorchScript exporter: dynamo's Gemm without bias trips qonnx 1.0.0's GemmToMatMul


def save_weights(model: Any, run: RunDirectory) -> None:
    """Write a torch model's weights; safetensors, so that loading them cannot run code."""
    from safetensors.torch import save

    tensors = {name: tensor.detach().contiguous().clone() for name, tensor in model.state_dict().items()}
    atomic_write(run.weights_file, save(tensors))


def load_quantized_model(run: RunDirectory, record: RunRecord) -> Any:
    """The Brevitas model of a trained run, in evaluation mode.

    Raises:
        RunDirectoryError: the weights are missing, damaged or of another architecture.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    from edgeval import quantize

    assert record.recipe is not None, "a trained run has a recipe"
    assert record.architecture is not None, "a trained run has an architecture"
    _require_weights(run, record.architecture)
    recipe = quantize.Recipe(**msgspec.structs.asdict(record.recipe))
    target = find_target(record.source)
    model = quantize.quantized_network(record.architecture, target.input_format, recipe, seed=0)
    try:
        model.load_state_dict(load(run.weights_file.read_bytes()))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise RunDirectoryError(
            found=f"{type(error).__name__}: {str(error).splitlines()[0]}",
            allowed="the weights that `edgeval train` saved with this run",
            where=str(run.weights_file),
            remedy="train the run again",
        ) from error
    return model.eval()


def _require_weights(run: RunDirectory, architecture: Architecture) -> None:
    """Refuse an architecture with more weights than the file can hold, before anything of that size is made."""
    weights = sum(
        math.prod(step.input_shape) * step.layer.width
        if isinstance(step.layer, Dense)
        else step.input_shape[0] * step.layer.channels * step.layer.kernel**2
        for step in architecture.steps()
        if isinstance(step.layer, Dense | Conv)
    )
    held = run.weights_file.stat().st_size if run.weights_file.exists() else 0
    if held and _BYTES_A_WEIGHT * weights > held:
        raise RunDirectoryError(
            found=f"{weights:,} weights in run.json, {held:,} bytes of them",
            allowed="the architecture whose weights `edgeval train` saved with this run",
            where=str(run.run_file),
            remedy="train the run again",
        )


_BYTES_A_WEIGHT = 4


def model_outputs(model: Any, inputs: np.ndarray) -> Float64[np.ndarray, "samples outputs"]:
    """Outputs of a torch model, computed in float32."""
    import torch

    with torch.no_grad():
        output = model(torch.from_numpy(np.asarray(inputs, np.float32)))
    return np.asarray(output.numpy(), np.float64)


def export_brevitas(model: Any, record: RunRecord) -> onnx.ModelProto:
    """Export a trained model as QONNX, input and output named plainly."""
    import torch

    from edgeval.quantize import mend_one_bit_input

    assert record.architecture is not None, "a trained run has an architecture"
    sample = torch.zeros(1, *record.architecture.input_shape)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # Brevitas warns at import about its own future and about an accelerator package it can do without.
        warnings.filterwarnings("ignore", "brevitas.fx is deprecated", DeprecationWarning)
        warnings.filterwarnings("ignore", "fast_hadamard_transform package not found", UserWarning)
        from brevitas.export import export_qonnx

        path = Path(folder) / "model.onnx"
        export_qonnx(model, args=sample, export_path=str(path), dynamo=False, opset_version=_OPSET)
        exported = onnx.load(path)
    mend_one_bit_input(exported, find_target(record.source).input_format)
    _rename(exported.graph, exported.graph.input[0].name, "input")
    _rename(exported.graph, exported.graph.output[0].name, "output")
    exported.graph.name = record.source
    onnx.checker.check_model(exported)
    return exported


def load_onnx(path: Path) -> onnx.ModelProto:
    """Read an ONNX file.

    Raises:
        InputError: missing, not ONNX, or with tensors in files that it may not read.
    """
    return load_model(path)


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Rename a tensor wherever it is produced or read."""
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        node.output[:] = [new if name == old else name for name in node.output]
    for item in [*graph.input, *graph.output, *graph.value_info]:
        if item.name == old:
            item.name = new
