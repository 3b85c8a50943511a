"""The emulators that these tests share: they are built once, and only read."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.emulators import FIRST, SAMPLES, SECOND, shared_package

from hls.emulator import source
from hls.hls4ml_flow import ProjectOptions
from hls.hls4ml_flow.project import write_project


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An emulator with plain arrays for ports, run on its caller's stack."""
    return shared_package(tmp_path_factory, FIRST.graph(), FIRST.inputs(SAMPLES), name="first")


@pytest.fixture(scope="session")
def stream_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An emulator with streams for ports, run on a stack of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "OWN_STACK_ABOVE_BYTES", 0)
        return shared_package(
            tmp_path_factory, SECOND.graph(), SECOND.inputs(SAMPLES), name="second", io_type="io_stream"
        )


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hls4ml project of the first network."""
    folder = tmp_path_factory.mktemp("project") / "hls4ml"
    write_project(FIRST.graph(), folder, ProjectOptions())
    return folder
