"""A small run with its baseline, and a baseline that the run no longer fits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from support.locked_runs import exported_run

from edgeval.regression.lock import lock_runs

BASELINE = "edgeval-baseline.json"


def locked_run(folder: Path) -> Path:
    """The baseline of ``folder/run``, an exported run that was locked without faults."""
    lock_runs(folder / BASELINE, [exported_run(folder)], faults=0)
    return folder / BASELINE


def copied(baseline: Path, folder: Path) -> Path:
    """The same baseline and run in another folder."""
    shutil.copytree(baseline.parent, folder, dirs_exist_ok=True)
    return folder / BASELINE


def lock_another_type(baseline: Path) -> str:
    """Have the baseline say that a layer's result was one bit wider, so that the run has changed since.

    The run itself stays as it is, and with it the C-simulation that was built of it.

    Returns:
        The layer.
    """
    content = json.loads(baseline.read_text(encoding="utf-8"))
    locked = next(entry for entry in content["runs"][0]["types"] if entry["role"] == "result_t")
    width, rest = locked["type"].partition("<")[2].split(",", 1)
    locked["type"] = f"{locked['type'].partition('<')[0]}<{int(width) + 1},{rest}"
    baseline.write_text(json.dumps(content), encoding="utf-8")
    return str(locked["layer"])
