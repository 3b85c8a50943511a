"""What the documentation pages take for granted: runs, graphs, samples, configurations. Each is put into a folder."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from support.doc_session import add_program
from support.native_runs import INPUTS, Perceptron, grid_inputs
from support.networks import Mlp

from edgeval.cli import run as edgeval
from edgeval.run_directory import RunDirectory

ROOT = Path(__file__).parents[2]

DIGITS_WORDS = "979ad008e524"
"""First digits of the sha256 of that run's words, where the numbers on the pages were read."""


def words_of(run: Path) -> str:
    """Digest of the words that a network stores."""
    digest = hashlib.sha256()
    for name, tensor in sorted(RunDirectory(run).network().tensors.items()):
        digest.update(name.encode() + tensor.words.astype("<i8").tobytes())
    return digest.hexdigest()[: len(DIGITS_WORDS)]


def examples(folder: Path) -> None:
    """The scripts of ``examples/``, where a checkout has them."""
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__", "runs"))


def own_model(folder: Path) -> None:
    """The files of ``examples/own_model``, as its page has its reader stand among them."""
    shutil.copytree(ROOT / "examples" / "own_model", folder, dirs_exist_ok=True)


def own_graph(folder: Path) -> None:
    """``model.onnx`` and ``x.npz``: a QONNX file of the reader's own."""
    example = _module(ROOT / "examples" / "third_party_graph.py")
    onnx.save(example.make_model(seed=0), folder / "model.onnx")
    inputs = np.random.default_rng(1).uniform(0.0, 2.0, (200, example.INPUTS)).astype(np.float32)
    np.savez(folder / "x.npz", inputs=inputs)


def mine(folder: Path) -> None:
    """``runs/mine``: the reader's own QONNX file, exported."""
    own_graph(folder)
    command = ["export", str(folder / "model.onnx"), "-o", str(folder / "runs" / "mine")]
    assert edgeval([*command, "--inputs", str(folder / "x.npz")]) == 0


def mine_with_multipliers(folder: Path) -> None:
    """``runs/mine``: a network whose scales are no powers of two, so that ``act1`` multiplies."""
    recipe = Mlp(widths=(4, 3, 2), po2=False, bias=False, per_channel=True)
    onnx.save(recipe.model(), folder / "model.onnx")
    assert edgeval(["export", str(folder / "model.onnx"), "-o", str(folder / "runs" / "mine")]) == 0


def slurm(folder: Path) -> None:
    """``sbatch`` and ``srun`` that run a job here and now, two tasks of it."""
    add_program(folder, "srun", 'trap \'kill $(jobs -p)\' TERM\n"$@" &\n"$@" &\nwait')
    cache = 'mkdir scratch\nln -s "${EDGEVAL_CACHE:-$HOME/.cache/edgeval}" scratch/edgeval\nexport TMPDIR=$PWD/scratch'
    job = 'SLURM_JOB_ID=4711 bash "$1" >slurm-4711.out 2>&1 || { cat slurm-4711.out >&2; exit 1; }'
    add_program(folder, "sbatch", f'set -e\nbash -n "$1"\n{cache}\n{job}\necho "Submitted batch job 4711"')


def narrow_graph(folder: Path) -> None:
    """``model.onnx``, ``x.npz`` and a ``narrow.yml`` with which hls4ml's own project of them overflows."""
    onnx.save(Perceptron().model(), folder / "model.onnx")
    np.savez(folder / "x.npz", inputs=grid_inputs((INPUTS,), samples=60))
    (folder / "narrow.yml").write_text("LayerName: {MatMul_0: {Precision: {accum: 'fixed<10,2>'}}}\n")


def edited_weight(folder: Path) -> None:
    """One weight of the written project of ``runs/digits`` changed by hand."""
    run = folder / "runs" / "digits"
    files = sorted((run / "hls4ml" / "firmware" / "weights").glob("w*.txt"), key=lambda path: int(path.stem[1:]))
    words = files[0].read_text(encoding="utf-8").split(",")
    files[0].write_text(",".join(["99", *words[1:]]), encoding="utf-8")


def plain_graph(folder: Path) -> None:
    """``network.onnx`` for hls4ml alone: inputs ``x`` times a matrix, in a node called ``fc``."""
    weights = np.random.default_rng(0).integers(-7, 8, (4, 3)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="fc")],
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(weights, "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]), folder / "network.onnx")


def _module(path: Path):  # type: ignore[no-untyped-def]  # a script
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
