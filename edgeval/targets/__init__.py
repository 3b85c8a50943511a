"""Targets that can be built by name; adding one is one import and one line here.

Importing this loads neither torch nor scikit-learn nor RDKit: each target imports what it needs when it is used.
"""

from __future__ import annotations

from edgeval.targets.digits import DIGITS
from edgeval.targets.freesolv import FREESOLV
from edgeval.targets.protocol import InputFormat as InputFormat
from edgeval.targets.protocol import Split as Split
from edgeval.targets.protocol import Splits as Splits
from edgeval.targets.protocol import Target as Target
from hls.errors import UsageError

TARGETS: dict[str, Target] = {
    "digits": DIGITS,
    "freesolv": FREESOLV,
}


def find_target(name: str) -> Target:
    """The target of that name.

    Raises:
        UsageError: there is none.

    Example:
        >>> find_target("digits").output_count
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
