"""The names of the Python API, its signatures against the commands, and what a type checker knows."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import edgeval
from edgeval.commands.csim_compare import CompareConfig
from edgeval.commands.export import ExportConfig
from edgeval.commands.inject_faults import InjectConfig
from edgeval.commands.regress import CheckConfig, LockConfig
from edgeval.commands.report import ReportConfig
from edgeval.commands.train import TrainConfig

NAMES = [
    "CheckResult", "CompareResult", "EdgevalError", "ExportResult", "FormatError", "InjectResult", "InputError",
    "LockResult", "LoweringError", "MatrixResult", "PlanResult", "Run", "RunDirectoryError", "ToolError", "TrainResult",
    "UsageError", "check", "compare", "compare_matrix", "export", "inject", "lock", "open_run", "plan_faults", "train",
    "write_report",
]  # fmt: skip
"""What users may rely on. A name that goes or changes its meaning is a new major version."""

# Names.


def test_the_names_of_the_api_are_those_that_are_promised() -> None:
    assert edgeval.__all__ == NAMES
    assert set(NAMES) <= set(dir(edgeval))
    assert all(inspect.isclass(getattr(edgeval, name)) == name[0].isupper() for name in NAMES)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'comparre'"):
        edgeval.comparre  # noqa: B018


def test_no_module_takes_the_place_of_a_name() -> None:
    assert {module.name for module in pkgutil.iter_modules(edgeval.__path__)}.isdisjoint(NAMES)


@pytest.mark.long
def test_every_name_is_still_its_function_when_every_module_was_imported() -> None:
    for module in pkgutil.walk_packages(edgeval.__path__, "edgeval."):
        if module.name != "edgeval.__main__":
            importlib.import_module(module.name)
    assert all(callable(getattr(edgeval, name)) for name in NAMES)


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter loads for a line of code, beyond what it starts with."""
    script = (
        f"import sys\nbefore = set(sys.modules)\n{code}\nprint(*(m.split('.')[0] for m in set(sys.modules) - before))"
    )
    return set(
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    )


def test_importing_the_package_imports_nothing_but_itself() -> None:
    assert loaded_by("import edgeval; dir(edgeval); edgeval.__all__") <= {"edgeval", *sys.stdlib_module_names}


def test_using_a_name_imports_no_framework_until_it_is_called() -> None:
    loaded = loaded_by("import edgeval; edgeval.compare, edgeval.inject, edgeval.train, edgeval.export")
    assert "numpy" in loaded
    assert loaded.isdisjoint({"torch", "brevitas", "hls4ml", "qonnx", "onnx", "sklearn", "plotly", "pyarrow", "scipy"})


def test_every_name_is_told_on_its_page() -> None:
    page = (Path(__file__).parents[3] / "docs" / "python-api.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `edgeval\.(\w+)", page, re.MULTILINE)) == set(NAMES)


# Signatures.


def options(config: type) -> dict[str, Any]:
    """Options of a command by name, with their defaults; those of nested ones in their place."""
    hints = get_type_hints(config)
    found: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        if dataclasses.is_dataclass(hints[field.name]):
            found |= options(hints[field.name])
        elif field.name not in {"_", "json"}:
            found[field.name] = inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default
    return found


ON_THE_LINE = {"self_test", "serve", "port", "update", "github", "junit", "sarif", "markdown"}
"""Options about the command line itself: what it prints beside the record, writes for others, serves or tests."""


def as_option(default: Any) -> Any:
    """A default as the commands write it: files as paths."""
    return Path(default) if isinstance(default, str) and default.endswith(".json") else default


@pytest.mark.parametrize(
    ("function", "config", "elsewhere", "added"),
    [
        (edgeval.train, TrainConfig, set(), {"progress"}),
        (edgeval.export, ExportConfig, set(), {"labels", "progress"}),
        (edgeval.compare, CompareConfig, {"matrix"}, {"labels", "output", "progress", "project"}),
        (edgeval.compare_matrix, CompareConfig, {"matrix", "poke"}, {"labels", "output", "progress"}),
        (edgeval.inject, InjectConfig, {"plan", "time_budget"}, {"labels", "output", "progress"}),
        (
            edgeval.plan_faults,
            InjectConfig,
            {"plan", "sample", "executor", "verify_on_csim", "cross_check", "scheduler"},
            {"labels", "output", "progress"},
        ),
        (edgeval.write_report, ReportConfig, set(), set()),
        (edgeval.lock, LockConfig, set(), {"progress"}),
        (edgeval.check, CheckConfig, set(), {"progress"}),
    ],
)
def test_a_function_takes_what_its_command_takes_with_the_same_defaults(
    function: Any, config: type, elsewhere: set[str], added: set[str]
) -> None:
    arguments = {name: p.default for name, p in inspect.signature(function).parameters.items()}
    expected = {name: default for name, default in options(config).items() if name not in elsewhere | ON_THE_LINE}
    assert {name: as_option(default) for name, default in arguments.items() if name not in added} == expected
    assert set(arguments) == set(expected) | added


# Types.

SNIPPET = """
import numpy as np
import edgeval

X = np.zeros((3, 5), np.float32)
result = edgeval.compare("runs/digits", inputs=X, labels=np.zeros(3, np.int64))
reveal_type(result)
reveal_type(result.matched)
reveal_type(edgeval.inject(result).worst[0].site)
reveal_type(edgeval.export("model.onnx", "runs/mine", config={"Model": {}}).run.path)
reveal_type(edgeval.open_run("runs/digits").campaigns())
edgeval.compare("runs/digits", backend="Vitus")
edgeval.compaare("runs/digits")
"""


@pytest.mark.long
def test_a_type_checker_knows_the_api(tmp_path: Path) -> None:
    (tmp_path / "snippet.py").write_text(SNIPPET, encoding="utf-8")
    root = Path(__file__).parents[3]
    # The project's own configuration, so that what `make types` keeps serves here, too.
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", str(tmp_path / "snippet.py")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert re.sub(r"^.*?snippet\.py:", "", done.stdout, flags=re.MULTILINE).splitlines() == [
        '7: note: Revealed type is "edgeval.api.results.CompareResult"',
        '8: note: Revealed type is "bool"',
        '9: note: Revealed type is "str"',
        '10: note: Revealed type is "pathlib.Path"',
        '11: note: Revealed type is "tuple[edgeval.api.results.InjectResult, ...]"',
        '12: error: Argument "backend" to "compare" has incompatible type "Literal[\'Vitus\']"; expected '
        "\"Literal['Vitis', 'Vivado', 'Quartus', 'Catapult'] | None\"  [arg-type]",
        '13: error: Module has no attribute "compaare"; maybe "compare"?  [attr-defined]',
    ], done.stdout + done.stderr
