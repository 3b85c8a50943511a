"""The workbench: targets, quantization, training, export, comparison, campaigns, records and reports.

The names of ``__all__`` are the Python API, told in ``docs/python-api.md``. They are loaded when they are first used,
so that ``import edgeval`` takes no time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgeval.api.comparing import compare, compare_matrix
    from edgeval.api.faults import inject, plan_faults
    from edgeval.api.gate import check, lock
    from edgeval.api.models import export, open_run, train, write_report
    from edgeval.api.results import (
        CheckResult,
        CompareResult,
        ExportResult,
        InjectResult,
        LockResult,
        MatrixResult,
        PlanResult,
        TrainResult,
    )
    from edgeval.api.run import Run
    from hls.errors import (
        EdgevalError,
        FormatError,
        InputError,
        LoweringError,
        RunDirectoryError,
        ToolError,
        UsageError,
    )

    __version__: str

_HOMES = {
    "compare": "edgeval.api.comparing",
    "compare_matrix": "edgeval.api.comparing",
    "inject": "edgeval.api.faults",
    "plan_faults": "edgeval.api.faults",
    "check": "edgeval.api.gate",
    "lock": "edgeval.api.gate",
    "export": "edgeval.api.models",
    "open_run": "edgeval.api.models",
    "train": "edgeval.api.models",
    "write_report": "edgeval.api.models",
    "CheckResult": "edgeval.api.results",
    "CompareResult": "edgeval.api.results",
    "ExportResult": "edgeval.api.results",
    "InjectResult": "edgeval.api.results",
    "LockResult": "edgeval.api.results",
    "MatrixResult": "edgeval.api.results",
    "PlanResult": "edgeval.api.results",
    "TrainResult": "edgeval.api.results",
    "Run": "edgeval.api.run",
    "EdgevalError": "hls.errors",
    "FormatError": "hls.errors",
    "InputError": "hls.errors",
    "LoweringError": "hls.errors",
    "RunDirectoryError": "hls.errors",
    "ToolError": "hls.errors",
    "UsageError": "hls.errors",
}

__all__ = [
    "CheckResult",
    "CompareResult",
    "EdgevalError",
    "ExportResult",
    "FormatError",
    "InjectResult",
    "InputError",
    "LockResult",
    "LoweringError",
    "MatrixResult",
    "PlanResult",
    "Run",
    "RunDirectoryError",
    "ToolError",
    "TrainResult",
    "UsageError",
    "check",
    "compare",
    "compare_matrix",
    "export",
    "inject",
    "lock",
    "open_run",
    "plan_faults",
    "train",
    "write_report",
]


if not TYPE_CHECKING:  # a type checker that saw this would take every misspelt name for something

    def __getattr__(name: str) -> Any:
        """Load a name of the API when it is first asked for."""
        if name == "__version__":
            from importlib.metadata import version

            return version("edgeval-toolkit")
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        found = getattr(import_module(_HOMES[name]), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    """The API, and what every module has."""
    return sorted({*__all__, "__version__", *globals()})
