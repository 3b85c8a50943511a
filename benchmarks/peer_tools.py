"""The environment that other fault injectors live in, and how the benchmark asks them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from campaign_networks import Subject

from hls.environment import cache_directory

TORCH = ("torch==2.13.0", "numpy", "scipy", "PyYAML")
PEERS = ("pytorchfi==0.6.0", "mrfi==2.1.0")
"""Installed without what they ask for: MRFI would bring torchvision, which its weight faults never import."""

WAYS = {"pytorchfi": "PyTorchFI 0.6.0", "mrfi": "MRFI 2.1.0", "torch": "plain torch loop"}
SCRIPT = Path(__file__).with_name("peer_injectors.py")
EXACT_FLOAT32 = 2**24


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Flips of single weight bits, as the peers take them.

    Attributes:
        layer, input, output, bit: Where.
        word: The faulty word.
    """

    layer: np.ndarray
    input: np.ndarray
    output: np.ndarray
    bit: np.ndarray
    word: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerResult:
    """What one peer did.

    Attributes:
        seconds: Of each injection.
        changed: Samples whose decision each one changed.
    """

    seconds: list[float]
    changed: list[int]


def peer_python(folder: Path | None) -> Path:
    """The Python of an environment that holds the peers; made on first use."""
    folder = folder or cache_directory() / "benchmark-peers"
    python, done = folder / "bin" / "python", folder / "edgeval-peers.txt"
    pins = "\n".join([*TORCH, *PEERS])
    if done.exists() and done.read_text(encoding="utf-8") == pins:
        return python
    print(f"making {folder} with {', '.join([*TORCH, *PEERS])}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet"]
    index = os.environ.get("EDGEVAL_TORCH_INDEX")
    if index:
        subprocess.run([*install, "--no-deps", "--index-url", index, TORCH[0]], check=True)
    subprocess.run([*install, *TORCH], check=True)
    subprocess.run([*install, "--no-deps", *PEERS], check=True)
    done.write_text(pins, encoding="utf-8")
    return python


def ask_peer(python: Path, way: str, subject: Subject, faults: Faults, seconds: float, threads: int) -> PeerResult:
    """Let one peer inject faults, in order, for so many seconds."""
    with tempfile.TemporaryDirectory() as folder:
        network, listed = Path(folder) / "network.npz", Path(folder) / "faults.npz"
        _write_network(subject, network)
        bits = np.full(len(faults.layer), subject.shape.bits)
        np.savez(
            listed, layer=faults.layer, input=faults.input, output=faults.output, bit=faults.bit, word=faults.word,
            bits=bits,
        )  # fmt: skip
        command = [str(python), str(SCRIPT), way, str(network), str(listed), str(seconds), str(threads)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{way} failed:\n{done.stderr}")
    return PeerResult(**json.loads(done.stdout.splitlines()[-1]))


def _write_network(subject: Subject, path: Path) -> None:
    arrays: dict[str, np.ndarray] = {
        "inputs": subject.inputs.astype(np.int16),
        "shifts": np.array([layer.shift for layer in subject.layers]),
        "high": np.array(2**subject.shape.bits - 1),
    }
    largest = np.abs(subject.inputs).astype(np.float64)
    for position, layer in enumerate(subject.layers):
        weights = np.abs(layer.weight).astype(np.float64)
        # Partial sums in whatever order, and the largest faulty word in addition.
        reach = (largest @ weights).max() + np.abs(layer.bias).max() + largest.max() * 2**subject.shape.bits
        if reach >= EXACT_FLOAT32:
            raise SystemExit(f"{subject.name}: partial sums up to {reach:.0f} are not exact in the peers' float32")
        arrays |= {f"weight{position}": layer.weight, f"bias{position}": layer.bias}
        largest = np.full((1, layer.weight.shape[1]), float(2**subject.shape.bits - 1))
    np.savez(path, **arrays)  # type: ignore[arg-type]
