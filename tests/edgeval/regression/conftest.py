"""One run, observed once, that the tests of the gates compare with edited copies of itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.locked_runs import exported_run

from edgeval.regression.observe import Asked, Observation, observe
from edgeval.run_directory import RunDirectory


@pytest.fixture(scope="session")
def observation(tmp_path_factory: pytest.TempPathFactory) -> Observation:
    """A small run as it is now, without a C-simulation, every stored bit flipped."""
    run = exported_run(tmp_path_factory.mktemp("observed"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgeval.regression.observe._simulated", without_csim)
        return observe(RunDirectory(Path(run)), "run", "run", Asked(faults="all", workers=1))


def without_csim(*_: object) -> object:
    """What is said where no compiler is there: these tests are about what comes behind."""
    from edgeval.regression.observe import Simulated

    return Simulated(kind="no_compiler", text="no C-simulation was run", remedy="install g++")
