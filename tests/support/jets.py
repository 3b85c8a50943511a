"""A small file in the layout of OpenML data set 42468, of jets that were never near a collider."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeval.targets.jets import CLASSES, FEATURES


def write_jets(path: Path, *, count: int = 600, seed: int = 0) -> Path:
    """Write an ARFF file with features whose means depend on the class, each on its own scale."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(CLASSES), count)
    centres = rng.normal(size=(len(CLASSES), len(FEATURES)))
    scales = 10.0 ** rng.integers(-3, 3, len(FEATURES))
    values = (centres[labels] + 0.5 * rng.normal(size=(count, len(FEATURES))) + 2.0) * scales
    lines = ["@RELATION hls4ml_lhc_jets_hlf", ""]
    lines += [f"@ATTRIBUTE {name} REAL" for name in FEATURES]
    lines += [f"@ATTRIBUTE class {{{', '.join(CLASSES)}}}", "", "@DATA"]
    lines += [
        ",".join([*(repr(float(value)) for value in row), CLASSES[label]])
        for row, label in zip(values, labels, strict=True)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
