"""The composite action for GitHub: its schema, what may stand in its scripts, and its steps run as shell."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.shell_steps import EXPRESSION, ROOT, action, action_inputs, action_outputs, executed, run_action_step
from support.small_baselines import copied, lock_another_type, locked_run


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A baseline and its run, read by all tests here."""
    return locked_run(tmp_path_factory.mktemp("locked"))


def check(workspace: Path, scratch: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run the step that checks."""
    return run_action_step("Check", action_inputs(**inputs), workspace=workspace, scratch=scratch)


def test_the_action_fits_the_schema_of_actions() -> None:
    command = ["-m", "check_jsonschema", "--builtin-schema", "vendor.github-actions", str(ROOT / "action.yml")]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_no_script_of_the_action_holds_an_expression() -> None:
    for step in action()["runs"]["steps"]:
        assert not EXPRESSION.search(step.get("run", "")), step["name"]


def test_every_action_that_it_uses_is_pinned_to_a_commit() -> None:
    used = [step["uses"] for step in action()["runs"]["steps"] if "uses" in step]
    assert len(used) == 2
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", name) for name in used)


def test_every_input_is_used_and_every_output_is_set() -> None:
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    for name in action()["inputs"]:
        assert re.search(rf"\$\{{\{{[^}}]*inputs\.{name}\b", text), name
    for output in action()["outputs"].values():
        name = re.fullmatch(r"\$\{\{ steps\.check\.outputs\.([\w-]+) \}\}", output["value"])
        assert name is not None
        assert f'echo "{name[1]}=' in text


@pytest.mark.slow
@pytest.mark.gxx
def test_a_run_as_locked_passes_and_says_so_everywhere(baseline: Path, tmp_path: Path) -> None:
    done = check(baseline.parent, tmp_path, runs="\nrun\n\n")
    assert done.returncode == 0, done.stdout
    outputs = action_outputs(tmp_path)
    assert (outputs["verdict"], outputs["exit-code"]) == ("passed", "0")
    assert "PASSED 11 gates of 1 run" in done.stdout
    assert [line.partition(" file=")[0] for line in executed(done.stdout)] == ["::notice"] * 3
    assert (tmp_path / "summary").read_text(encoding="utf-8").startswith("### edgeval regress check: ✅ passed\n")
    assert ElementTree.parse(outputs["junit"]).getroot().get("skipped") == "3"
    assert json.loads(Path(outputs["sarif"]).read_text(encoding="utf-8"))["version"] == "2.1.0"
    assert Path(outputs["folder"]) in Path(outputs["markdown"]).parents


@pytest.mark.slow
@pytest.mark.gxx
def test_a_run_that_changed_fails_the_step_and_still_leaves_everything(baseline: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    layer = lock_another_type(copied(baseline, workspace / "firmware"))
    done = check(workspace, tmp_path / "scratch", working_directory="firmware", skipped_is_error="true")
    assert done.returncode == 1, done.stdout
    outputs = action_outputs(tmp_path / "scratch")
    assert (outputs["verdict"], outputs["exit-code"]) == ("failed", "1")
    errors = executed(done.stdout)
    assert f"title=run%3A types::result_t of {layer} " in errors[0]
    assert [line.partition(" ")[0] for line in errors] == ["::error"] * 4  # one changed, three skipped
    assert f"result\\_t of {layer} ".replace("_quant", "\\_quant") in (tmp_path / "scratch" / "summary").read_text()
    assert ElementTree.parse(outputs["junit"]).getroot().get("failures") == "4"


def test_a_check_that_cannot_run_fails_the_step_and_says_error(tmp_path: Path) -> None:
    (tmp_path / "workspace").mkdir()
    done = check(tmp_path / "workspace", tmp_path / "scratch", baseline="gone; touch hacked $(touch hacked) `id`.json")
    assert done.returncode == 3
    assert action_outputs(tmp_path / "scratch") == {"verdict": "error", "exit-code": "3"}
    assert executed(done.stdout) == [
        "::error title=edgeval regress check::could not check, exit code 3; the log above says why"
    ]
    assert "gone; touch hacked $(touch hacked) `id`.json: found no such file" in done.stdout
    assert not list(tmp_path.rglob("hacked"))


@pytest.mark.slow
@pytest.mark.gxx
def test_text_that_is_an_option_reaches_the_command_as_a_run(baseline: Path, tmp_path: Path) -> None:
    shutil.copy(baseline, tmp_path)
    done = check(tmp_path, tmp_path / "scratch", runs="--update\n")
    assert done.returncode == 2
    assert "found run --update; allowed: run" in done.stdout


def install(tmp_path: Path, python: str, **inputs: str) -> tuple[subprocess.CompletedProcess[str], list[list[str]]]:
    """Run the step that installs with a Python that only notes what it is asked for, and its calls of pip."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "python"
    noted = tmp_path / "calls"
    script.write_text(
        f"#!/bin/sh\n[ \"$1\" = -c ] && echo {python} && exit\nprintf '%s\\t' \"$@\" >>'{noted}'\necho >>'{noted}'\n"
    )
    script.chmod(0o755)
    path = f"{script.parent}{os.pathsep}{os.environ['PATH']}"
    done = run_action_step("Install edgeval", action_inputs(**inputs), workspace=tmp_path, scratch=tmp_path, path=path)
    lines = noted.read_text().splitlines() if noted.exists() else []
    return done, [line.rstrip("\t").split("\t") for line in lines]


def test_edgeval_is_installed_from_the_action_with_the_lock_of_the_python_there(tmp_path: Path) -> None:
    done, calls = install(tmp_path, "3.12")
    assert done.returncode == 0, done.stderr
    lock = str(ROOT / "requirements" / "lock-3.12.txt")
    assert calls == [["-m", "pip", "install", "--quiet", "--constraint", lock, str(ROOT)]]


def test_torch_comes_from_its_own_index_in_the_version_of_the_lock(tmp_path: Path) -> None:
    _, calls = install(tmp_path, "3.13", torch_index="https://example.org/cpu")
    assert len(calls) == 2
    assert calls[0][:-1] == ["-m", "pip", "install", "--quiet", "--no-deps", "--index-url", "https://example.org/cpu"]
    assert re.fullmatch(r"torch==[\d.]+", calls[0][-1])


def test_a_python_without_a_lock_is_refused_with_those_that_have_one(tmp_path: Path) -> None:
    done, calls = install(tmp_path, "3.9")
    assert done.returncode == 3
    assert "::error title=edgeval::Python 3.9: edgeval runs on" in done.stdout
    assert calls == []
