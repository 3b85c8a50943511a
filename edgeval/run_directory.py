"""The run directory: one folder that holds one model and the records about it.

The layout is in ``docs/interfaces.md``. A run can be moved and copied: nothing in it holds its own place.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeval.fingerprint import digest_arrays
from edgeval.records import RunRecord, load_record, save_record
from hls.errors import InputError, RunDirectoryError, UsageError
from hls.files import atomic_write
from hls.graph import IntegerGraph
from hls.npz import UNREADABLE, load_arrays
from hls.serialize import load_graph, save_graph, structure_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """The evaluation set.

    Attributes:
        inputs: Real values, samples first.
        labels: Class numbers or target values, one a sample; ``None`` where there are none.
        float_outputs: Outputs of the float model the network was trained from; ``None`` for a third-party graph.
        origin: Where they came from, for people.
    """

    inputs: np.ndarray
    labels: np.ndarray | None = None
    float_outputs: np.ndarray | None = None
    origin: str = "the run's evaluation set"

    @property
    def digest(self) -> str:
        """sha256 of what faults are judged on: inputs and labels."""
        return digest_arrays({"inputs": self.inputs, **({} if self.labels is None else {"labels": self.labels})})

    def first(self, count: int | None) -> Samples:
        """The first ``count`` samples; all of them for ``None``.

        Raises:
            UsageError: ``count`` is below 1.
        """
        if count is None:
            return self
        if count < 1:
            raise UsageError(
                found=f"{count} samples", allowed="1 or more", where="--samples", remedy="give a positive number"
            )
        return Samples(
            inputs=self.inputs[:count],
            labels=None if self.labels is None else self.labels[:count],
            float_outputs=None if self.float_outputs is None else self.float_outputs[:count],
            origin=self.origin,
        )


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Paths of a run and the files that more than one command reads."""

    path: Path

    @property
    def run_file(self) -> Path:
        """The first record."""
        return self.path / "run.json"

    @property
    def weights_file(self) -> Path:
        """Weights of the quantized torch model."""
        return self.path / "model.safetensors"

    @property
    def onnx_file(self) -> Path:
        """QONNX as exported or as given."""
        return self.path / "model.onnx"

    @property
    def network_file(self) -> Path:
        """The integer network, in one file."""
        return self.path / "network.npz"

    @property
    def samples_file(self) -> Path:
        """The evaluation set."""
        return self.path / "samples.npz"

    @property
    def project(self) -> Path:
        """The hls4ml project."""
        return self.path / "hls4ml"

    @property
    def native(self) -> Path:
        """A native hls4ml project: hls4ml's own of the user's graph, or a copy of an existing folder."""
        return self.path / "native"

    def record_file(self, name: str) -> Path:
        """Path of a command's record."""
        return self.path / "records" / f"{name}.json"

    def outcomes(self, identity: str) -> Path:
        """Folder of a campaign's per-fault tables."""
        return self.path / "outcomes" / identity

    def is_free(self) -> bool:
        """Whether a run may be made here: nothing is there, or only what an interrupted making leaves behind.

        ``run.json`` is written last, so a folder with it is a run and never free.
        """
        if not self.path.exists():
            return True
        return self.path.is_dir() and all(path.name in _BEFORE_RUN_FILE for path in self.path.iterdir())

    def occupied(self, found: str) -> RunDirectoryError:
        """The error for a folder that holds something else than the run about to be made."""
        return RunDirectoryError(
            found=found,
            allowed="a free folder, or one that holds exactly this run",
            where=str(self.path),
            remedy="choose another --output, or delete the folder",
        )

    def run_record(self) -> RunRecord:
        """What this run is of.

        Raises:
            RunDirectoryError: not a run directory, damaged, or with links that lead out of it.
        """
        if not self.run_file.exists():
            raise RunDirectoryError(
                found="no run.json" if self.path.is_dir() else "no such folder",
                allowed="a run directory (made by `edgeval train` or `edgeval export MODEL.onnx -o RUN`)",
                where=str(self.path),
                remedy="check the path, or make the run first",
            )
        require_inside(self.path)
        return load_record(RunRecord, self.run_file)

    def save_run_record(self, record: RunRecord) -> None:
        """Write ``run.json``, last of all files: a folder without it is no run yet."""
        save_record(record, self.run_file)

    def samples(self) -> Samples:
        """The evaluation set.

        Raises:
            RunDirectoryError: missing or damaged.
        """
        require_inside(self.path)
        return load_samples(self.samples_file, "the run's evaluation set")

    def save_samples(self, samples: Samples) -> None:
        """Write the evaluation set."""
        arrays = {"inputs": samples.inputs, "labels": samples.labels, "float_outputs": samples.float_outputs}
        buffer = io.BytesIO()
        present: dict[str, Any] = {name: array for name, array in arrays.items() if array is not None}
        np.savez_compressed(buffer, **present)
        atomic_write(self.samples_file, buffer.getvalue())

    def network(self) -> IntegerGraph:
        """The integer network.

        Raises:
            RunDirectoryError: not exported yet, or damaged.
        """
        require_inside(self.path)
        if not self.network_file.exists():
            self.run_record()
            raise RunDirectoryError(
                found="no network.npz",
                allowed="an exported run",
                where=str(self.path),
                remedy=f"run `edgeval export {self.path}` first",
            )
        return load_graph(self.network_file)

    def save_network(self, graph: IntegerGraph) -> None:
        """Write the integer network, and its structure once more as plain text for readers."""
        save_graph(graph, self.network_file)
        atomic_write(self.path / "network.json", structure_json(graph) + b"\n")


def require_inside(folder: Path) -> None:
    """Refuse a folder with a link that leads out of it, or with anything that is neither file nor folder.

    What is written below a link to a folder, or removed there, would be written or removed elsewhere; a pipe or a
    device in the place of a file is read without end.

    Raises:
        RunDirectoryError: naming the first such thing.
    """
    root, waiting = folder.resolve(), [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    elif not entry.is_file(follow_symlinks=False) and not _leads_inside(entry, root):
                        raise _leads_out(Path(entry.path))
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            raise RunDirectoryError(
                found="no such folder" if missing else f"{type(error).__name__}: {error}",
                allowed="a folder that can be read",
                where=str(folder),
                remedy="check the path, or make the run first" if missing else "check its permissions",
            ) from error


def _leads_inside(entry: os.DirEntry[str], root: Path) -> bool:
    if not entry.is_symlink():
        return False
    target = Path(entry.path).resolve()
    return target.is_relative_to(root) and target.exists()


def _leads_out(path: Path) -> RunDirectoryError:
    return RunDirectoryError(
        found="a link that leads out of the run" if path.is_symlink() else "neither a file nor a folder",
        allowed="files, folders, and links between them: a run holds everything itself",
        where=str(path),
        remedy="replace it by what it stands for, or delete it",
    )


_BEFORE_RUN_FILE = {"model.safetensors", "model.onnx", "samples.npz"}
"""Files that `train` and `export MODEL.onnx` write before ``run.json``."""


def load_samples(path: Path, origin: str) -> Samples:
    """Read ``inputs`` and, where they are, ``labels`` from an ``.npz`` file.

    Raises:
        InputError: missing, damaged, without inputs, or labels that do not fit.
    """
    try:
        arrays = load_arrays(path, ("inputs", "labels", "float_outputs"))
    except UNREADABLE as error:
        raise _bad_samples(path, f"{type(error).__name__}: {error}") from error
    if "inputs" not in arrays:
        raise _bad_samples(path, f"arrays {', '.join(sorted(arrays)) or 'none'}")
    inputs, labels = arrays["inputs"], arrays.get("labels")
    if inputs.ndim < 2 or len(inputs) == 0:
        raise _bad_samples(path, f"inputs of shape {list(inputs.shape)}")
    if labels is not None and (labels.shape[:1] != inputs.shape[:1] or labels.dtype.kind not in "iuf"):
        raise _bad_samples(path, f"{labels.dtype} labels of shape {list(labels.shape)} for {len(inputs)} samples")
    return Samples(inputs=inputs, labels=labels, float_outputs=arrays.get("float_outputs"), origin=origin)


def _bad_samples(path: Path, found: str) -> InputError:
    return InputError(
        found=found,
        allowed="an .npz with `inputs` (samples first, at least one) and, optionally, `labels` (one number a sample)",
        where=str(path),
        remedy="write it with numpy.savez(path, inputs=..., labels=...)",
    )
