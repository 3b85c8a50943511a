"""Steps of a composite action and of a GitLab job, run here as their services would run them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
EXPRESSION = re.compile(r"\$\{\{(.*?)\}\}")


def action() -> Any:
    """The composite action of this repository."""
    return yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))


def path_with_edgeval(folder: Path) -> str:
    """A PATH whose ``edgeval`` is this checkout and whose ``python`` is this interpreter."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, arguments in (("edgeval", "-m edgeval"), ("python", "")):
        script = folder / name
        script.write_text(
            f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" {arguments} "$@"\n', encoding="utf-8"
        )
        script.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def action_inputs(**given: str) -> dict[str, str]:
    """Inputs of the action: what is given, else the defaults."""
    defaults = {name: value["default"] for name, value in action()["inputs"].items()}
    return {**defaults, **{name.replace("_", "-"): value for name, value in given.items()}}


def run_action_step(
    name: str, inputs: Mapping[str, str], *, workspace: Path, scratch: Path, path: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one ``run`` step of the action as the runner does: ``env`` is filled in, the script is a file for bash.

    Args:
        name: Of the step.
        inputs: Of the action.
        workspace: The checked-out repository.
        scratch: For ``RUNNER_TEMP`` and the files ``output`` and ``summary``, which are appended to.
        path: Where programs are found; by default this checkout's edgeval comes first.
    """
    (step,) = (step for step in action()["runs"]["steps"] if step["name"] == name)
    scratch.mkdir(exist_ok=True)
    script = scratch / "step.sh"
    script.write_text(step["run"], encoding="utf-8")
    context = {f"inputs.{name}": value for name, value in inputs.items()} | {"github.action_path": str(ROOT)}
    env = {key: filled(value, context) for key, value in step["env"].items()} | {
        "GITHUB_OUTPUT": str(scratch / "output"),
        "GITHUB_STEP_SUMMARY": str(scratch / "summary"),
        "PATH": path or path_with_edgeval(scratch / "bin"),
        "RUNNER_TEMP": str(scratch),
    }
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
    return run_shell(command, workspace / filled(step.get("working-directory", "."), context), env)


def run_shell(command: list[str], folder: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a command with more in its environment."""
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **env}, capture_output=True, text=True, check=False, timeout=300
    )


def filled(text: str, context: Mapping[str, str]) -> str:
    """Text with its expressions replaced by what they stand for."""
    return EXPRESSION.sub(lambda match: context[match[1].strip()], text)


def action_outputs(scratch: Path) -> dict[str, str]:
    """What a step set as outputs."""
    lines = (scratch / "output").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines)


def executed(log: str) -> list[str]:
    """Lines of a log that GitHub's runner would execute: none between ``stop-commands`` and its token."""
    token, found = None, []
    for line in log.splitlines():
        if token is not None:
            token = None if line == f"::{token}::" else token
        elif match := re.fullmatch(r"::stop-commands::(\w+)", line):
            token = match[1]
        elif line.lstrip().startswith("::"):
            found.append(line)
    assert token is None, "commands were never switched on again"
    return found
