"""What may mend a native project, and trying it: change, build, run on the failing samples, compare."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx

from edgeval.native import NativeCase, NativeValues, compare_values, open_case
from hls.csim import build_csim, open_csim
from hls.csim.native import build_native, open_native
from hls.engine import ExactEngine
from hls.errors import EdgevalError
from hls.graph import IntegerGraph
from hls.hls4ml_flow import ProjectOptions
from hls.hls4ml_flow.native import NativeManifest, merge, prepare, write_native
from hls.hls4ml_flow.native_project import read_text
from hls.hls4ml_flow.native_types import ApType
from hls.hls4ml_flow.options import Backend
from hls.hls4ml_flow.project import write_project
from hls.lowering import InputWords

Role = Literal["accum", "bias", "result", "weight"]
Action = Literal["types", "exact", "io_parallel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeChange:
    """One type of a project replaced.

    Attributes:
        layer: Name in hls4ml's configuration.
        role: Which of the layer's types.
        key: Key under ``Precision``: the role, or ``result`` of the constant that holds a bias.
        typedef: Name in ``defines.h``.
    """

    layer: str
    role: Role
    key: str
    typedef: str
    type: ApType


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """Something to change.

    Attributes:
        text: For people; settings of the configuration are added to it.
        action: How it is tried: other types, the exact flow, or whole arrays instead of streams.
    """

    text: str
    action: Action
    changes: tuple[TypeChange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Everything that trying a remedy needs.

    Attributes:
        case: The project as it is.
        inputs: The failing samples, as the run holds them.
        failing: Name of hls4ml's layer that differs first; its words have to agree afterwards.
    """

    case: NativeCase
    network: IntegerGraph
    model: onnx.ModelProto
    manifest: NativeManifest
    input_format: InputWords | None
    inputs: np.ndarray
    failing: str

    def try_remedy(self, remedy: Remedy) -> str | None:
        """What to write where the failing samples agree afterwards, ``None`` where they do not or nothing builds."""
        tries: dict[Action, tuple[Callable[[Remedy, Path], str | None], ...]] = {
            "types": (self._other_config, self._other_typedefs),
            "exact": (self._exact,),
            "io_parallel": (self._io_parallel,),
        }
        for attempt in tries[remedy.action]:
            with tempfile.TemporaryDirectory(prefix="edgeval-remedy-") as folder:
                try:
                    text = attempt(remedy, Path(folder) / "project")
                except EdgevalError:  # a remedy that does not convert, build or run is none
                    continue
            if text is not None:
                return text
        return None

    def _other_config(self, remedy: Remedy, folder: Path) -> str | None:
        if self.manifest.flow != "native":
            return None
        changes: dict[str, Any] = {}
        for change in remedy.changes:
            merge(changes, {"LayerName": {change.layer: {"Precision": {change.key: change.type.hls4ml}}}})
        options = self.manifest.native_options()
        config: dict[str, Any] = {}
        merge(config, options.config)
        merge(config, changes)
        write_native(self.case.lowered.model, folder, replace(options, config=config))
        if not self._agrees(folder):
            return None
        settings = "; ".join(f"{c.layer}: Precision: {{{c.key}: {c.type.hls4ml!r}}}" for c in remedy.changes)
        return f"{remedy.text}; in the configuration, under LayerName: {settings}"

    def _other_typedefs(self, remedy: Remedy, folder: Path) -> str | None:
        shutil.copytree(self.case.project.path, folder)
        defines = folder / "firmware" / "defines.h"
        text = read_text(defines)
        for change in remedy.changes:
            packed = self.case.project.types[change.typedef].packed
            kind = str(change.type)
            if "nnet::array" in next(iter(re.findall(rf"typedef (.+?) {change.typedef};", text)), ""):
                kind = f"nnet::array<{kind}, {packed}*1>"
            text = re.sub(rf"typedef .+? {change.typedef};", f"typedef {kind} {change.typedef};", text)
        defines.write_text(text, encoding="utf-8")
        if not self._agrees(folder):
            return None
        settings = "; ".join(f"{c.typedef} = {c.type}" for c in remedy.changes)
        return f"{remedy.text}; in firmware/defines.h: {settings}"

    def _io_parallel(self, remedy: Remedy, folder: Path) -> str | None:
        if self.manifest.flow != "native":
            return None
        options = replace(self.manifest.native_options(), io_type="io_parallel")
        write_native(prepare(self.model, "io_parallel"), folder, options)
        return remedy.text if self._agrees(folder, everywhere=True) else None

    def _exact(self, remedy: Remedy, folder: Path) -> str | None:
        backend: Backend = "Vivado" if self.case.project.backend == "Vivado" else "Vitis"
        write_project(self.network, folder, ProjectOptions(backend=backend))
        words = self.network.quantize_inputs(self.inputs)
        with open_csim(self.network, build_csim(folder), workers=1) as csim:
            output = csim.run(words).output
        return remedy.text if np.array_equal(output, ExactEngine(self.network).run(words).output) else None

    def _agrees(self, folder: Path, *, everywhere: bool = False) -> bool:
        case = open_case(folder, self.network, self.input_format)
        values = run_case(case, self.inputs)
        if everywhere:
            return values.first is None
        return not any(layer.differs.any() for layer in values.layers if layer.layer == self.failing)


def run_case(case: NativeCase, inputs: np.ndarray) -> NativeValues:
    """Build a native project and compare it on some samples, in one worker."""
    with open_native(build_native(case.project), workers=1) as simulation:
        return compare_values(case, inputs, simulation.run(case.inputs(inputs)))
