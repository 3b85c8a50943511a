"""What was run, as a small tree that can be compared: the identity of a result."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgeval.records import Fingerprint

PACKAGES = (
    "edgeval-toolkit",
    "torch",
    "brevitas",
    "qonnx",
    "hls4ml",
    "onnx",
    "numpy",
    "scikit-learn",
    "scipy",
    "rdkit",
)
"""Packages whose version can change a result."""


def make_fingerprint(
    command: str, configuration: Mapping[str, Any], *, seeds: Mapping[str, int], digests: Mapping[str, str]
) -> Fingerprint:
    """Describe a command about to run; paths and devices stay out, so a run can be moved."""
    return Fingerprint(
        command=command,
        configuration=dict(configuration),
        seeds=dict(seeds),
        versions=installed_versions(),
        digests=dict(digests),
    )


def installed_versions() -> dict[str, str]:
    """Versions of Python and of every package that can change a result; absent ones are left out."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def identity(fingerprint: Fingerprint) -> str:
    """Sixteen hexadecimal digits that name a fingerprint, in file names."""
    return hashlib.sha256(msgspec.json.encode(fingerprint, order="deterministic")).hexdigest()[:16]


def differences(old: Fingerprint, new: Fingerprint) -> list[str]:
    """What differs between two fingerprints, one line each, with its path.

    Example:
        >>> old = Fingerprint(command="train", configuration={"epochs": 3}, seeds={}, versions={}, digests={})
        >>> new = Fingerprint(command="train", configuration={"epochs": 4}, seeds={}, versions={}, digests={})
        >>> differences(old, new)
        ['configuration.epochs: 3 → 4']
    """
    return list(_differences(msgspec.to_builtins(old), msgspec.to_builtins(new), ""))


def _differences(old: Any, new: Any, path: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif old != new:
        yield f"{path}: {old} → {new}"


def digest_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """sha256 of named arrays: names, types, shapes and contents."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name}:{array.dtype.str}:{array.shape}:".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def digest_file(path: Path) -> str:
    """sha256 of a file's contents."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
