"""Projects and builds that several tests read: each made once a session, all in one cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hls.csim import Build, build_csim
from hls.graph import IntegerGraph
from hls.hls4ml_flow import ProjectOptions
from hls.hls4ml_flow.project import write_project
from hls.serialize import digest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the C-simulations slow that the default suite can do without, before ``-m`` chooses."""
    for item in items:
        if getattr(getattr(item, "cls", None), "slow_csim", False) and item.get_closest_marker("gxx"):
            item.add_marker(pytest.mark.slow)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Without a compiler the C-simulations are skipped; in CI such a skip is a failure."""
    if item.get_closest_marker("gxx") and shutil.which(os.environ.get("EDGEVAL_CXX") or "g++") is None:
        pytest.skip("no g++")


Builder = Callable[[IntegerGraph, ProjectOptions], Build]


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The cache all builds of this session share: the caller's, or a new one."""
    if chosen := os.environ.get("EDGEVAL_CACHE"):
        yield Path(chosen)
        return
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEVAL_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def csim_build(session_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """Writes and compiles the project of a network, once for equal networks and options."""
    made: dict[tuple[str, str], Build] = {}

    def build(graph: IntegerGraph, options: ProjectOptions) -> Build:
        key = (digest(graph), repr(options))
        if key not in made:
            folder = tmp_path_factory.mktemp("project") / "hls4ml"
            write_project(graph, folder, options)
            made[key] = build_csim(folder)
        return made[key]

    return build
