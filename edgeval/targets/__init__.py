"""Targets that can be built by name; adding one is one import and one line here.

Importing this loads neither torch nor scikit-learn nor RDKit: each target imports what it needs when it is used.
"""

from __future__ import annotations

from pathlib import Path

from edgeval.targets.digits import DIGITS
from edgeval.targets.freesolv import FREESOLV
from edgeval.targets.jets import JETS
from edgeval.targets.mnist import MNIST, MNIST_MLP
from edgeval.targets.protocol import FileTarget as FileTarget
from edgeval.targets.protocol import InputFormat as InputFormat
from edgeval.targets.protocol import Split as Split
from edgeval.targets.protocol import Splits as Splits
from edgeval.targets.protocol import Target as Target
from hls.errors import UsageError

TARGETS: dict[str, Target] = {
    "digits": DIGITS,
    "freesolv": FREESOLV,
    "jets": JETS,
    "mnist": MNIST,
    "mnist-mlp": MNIST_MLP,
}


def find_target(name: str) -> Target:
    """The target of that name.

    Raises:
        UsageError: there is none.

    Example:
        >>> find_target("digits").architecture.output_count
        10
    """
    if name not in TARGETS:
        raise UsageError(
            found=repr(name),
            allowed=", ".join(sorted(TARGETS)),
            where="target",
            remedy="choose one of these, or export your own model.onnx with --inputs",
        )
    return TARGETS[name]


def with_data(target: Target, path: Path | None) -> Target:
    """A target that reads its data from the user's file.

    Args:
        target: Which.
        path: The file; ``None`` leaves the target as it is.

    Raises:
        UsageError: a file for a target that brings its own data.
    """
    if path is None:
        return target
    if not isinstance(target, FileTarget):
        takers = [name for name, item in TARGETS.items() if isinstance(item, FileTarget)]
        raise UsageError(
            found=f"{path} for {target.name}",
            allowed=f"a data file for {', '.join(takers)} only; {target.name} brings its own data",
            where="--data",
            remedy="leave it out",
        )
    return target.with_data(path)
