"""What ``edgeval export`` is asked for when the project is not ours: the native flow, or an existing folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import onnx

from edgeval.fingerprint import digest_file
from hls.errors import UsageError
from hls.hls4ml_flow.options import Backend, IoType, Strategy

Flow = Literal["exact", "native", "project"]
"""Whose project a run holds: ours, hls4ml's of the user's own graph, or a copy of an existing folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeRequest:
    """A native project to write or to take.

    Attributes:
        project: An existing folder; ``None`` for a conversion.
        config: The user's configuration file in hls4ml's format.
    """

    project: Path | None
    config: Path | None
    default_precision: str
    backend: Backend
    io_type: IoType
    strategy: Strategy
    reuse_factor: int
    clock_period: float
    part: str | None

    def write(self, model: onnx.ModelProto, folder: Path) -> tuple[str, str, Flow]:
        """Write the project of a QONNX graph, or copy the existing one; returns back end, interface and flow.

        Raises:
            ToolError: qonnx or hls4ml refuses the graph. RunDirectoryError: the folder is no hls4ml project.
        """
        from hls.hls4ml_flow.native import NativeOptions, load_config, prepare, take_project, write_native
        from hls.hls4ml_flow.native_project import read_project

        if self.project is not None:
            existing = read_project(self.project)
            io_type: IoType = "io_stream" if existing.io_type == "io_stream" else "io_parallel"
            take_project(self.project, prepare(model, io_type), folder)
            return existing.backend, existing.io_type, "project"
        options = NativeOptions(
            backend=self.backend,
            io_type=self.io_type,
            strategy=self.strategy,
            reuse_factor=self.reuse_factor,
            clock_period=self.clock_period,
            part=self.part,
            default_precision=self.default_precision,
            config={} if self.config is None else load_config(self.config),
        )
        write_native(prepare(model, self.io_type), folder, options)
        return self.backend, self.io_type, "native"

    def configuration(self) -> dict[str, object]:
        """For fingerprints."""
        if self.project is not None:
            return {"flow": "project", "project": self.project.name}
        return {
            "flow": "native",
            "default-precision": self.default_precision,
            "config": None if self.config is None else digest_file(self.config),
        }


def native_request(  # noqa: PLR0913  # options of one command
    *,
    flow: Literal["exact", "native"],
    project: Path | None = None,
    config: Path | None = None,
    default_precision: str | None = None,
    backend: Backend = "Vitis",
    io_type: IoType | None = None,
    strategy: Strategy = "Latency",
    reuse_factor: int = 1,
    clock_period: float = 5.0,
    part: str | None = None,
) -> NativeRequest | None:
    """The native project that the options ask for, ``None`` for ours.

    Raises:
        UsageError: options that contradict each other.
    """
    if flow == "exact" and default_precision is not None:
        raise _usage(f"--default-precision {default_precision}", "it only with --flow native")
    if project is not None and (config is not None or default_precision is not None):
        raise _usage(f"--project {project} with a configuration", "a finished project as it is")
    if flow == "exact" and project is None:
        return None
    return NativeRequest(
        project=project,
        config=config,
        default_precision=default_precision or "fixed<16,6>",
        backend=backend,
        io_type=io_type or "io_parallel",
        strategy=strategy,
        reuse_factor=reuse_factor,
        clock_period=clock_period,
        part=part,
    )


def _usage(found: str, allowed: str) -> UsageError:
    return UsageError(found=found, allowed=allowed, where="edgeval export", remedy="leave one of the two options out")
