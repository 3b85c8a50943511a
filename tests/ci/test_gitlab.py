"""The template for GitLab CI: its schema, and its job run as shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from support.shell_steps import ROOT, path_with_edgeval, run_shell
from support.small_baselines import copied, lock_another_type, locked_run

TEMPLATE = ROOT / "ci" / "gitlab" / "edgeval.gitlab-ci.yml"


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A baseline and its run, read by all tests here."""
    return locked_run(tmp_path_factory.mktemp("locked"))


def job() -> Any:
    """The hidden job that users extend."""
    return yaml.safe_load(TEMPLATE.read_text(encoding="utf-8"))[".edgeval-regress"]


def run_part(part: str, folder: Path, path: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a part of the job as the runner does: its lines in one shell that stops at the first failure."""
    lines = "\n".join(job()[part])
    return run_shell(["sh", "-e", "-c", lines], folder, {**job()["variables"], **variables, "PATH": path})


@pytest.mark.parametrize("use", ["", "\nregress:\n  extends: .edgeval-regress\n  needs: [export]\n"])
def test_the_template_and_a_job_of_it_fit_the_schema_of_gitlab(use: str, tmp_path: Path) -> None:
    file = tmp_path / "gitlab-ci.yml"
    export = "\nexport:\n  script: [edgeval export model.onnx -o runs/mine]\n" if use else ""
    file.write_text(TEMPLATE.read_text(encoding="utf-8") + export + use, encoding="utf-8")
    options = ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci", str(file)]
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_torch_is_pinned_to_the_version_of_the_project() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (wanted,) = re.findall(r'"(torch==[\d.]+)"', text)
    assert re.findall(r"torch==[\d.]+", TEMPLATE.read_text(encoding="utf-8")) == [wanted]


def test_every_file_of_the_script_is_an_artefact_also_of_a_job_that_failed() -> None:
    artifacts = job()["artifacts"]
    written = re.findall(r"--(?:junit|markdown|sarif) (\S+)", "\n".join(job()["script"]))
    assert sorted(artifacts["paths"]) == sorted(written)
    assert artifacts["reports"]["junit"] in written
    assert artifacts["when"] == "always"


def test_the_package_and_the_index_reach_pip_as_they_are(tmp_path: Path) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\nprintf '%s|' \"$@\"\necho\n")
    script.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    given = {"EDGEVAL_PACKAGE": "a $(touch hacked)", "EDGEVAL_TORCH_INDEX": "https://x; touch hacked"}
    done = run_part("before_script", tmp_path, path, **given)
    assert done.stdout.splitlines() == [
        "-m|pip|install|--quiet|--index-url|https://x; touch hacked|torch==2.13.0|",
        "-m|pip|install|--quiet|a $(touch hacked)|",
    ]
    assert not (tmp_path / "hacked").exists()


@pytest.mark.slow
@pytest.mark.gxx
def test_a_run_that_changed_fails_the_job_and_leaves_the_junit_report(baseline: Path, tmp_path: Path) -> None:
    layer = lock_another_type(copied(baseline, tmp_path / "repository"))
    cache = os.environ.get("EDGEVAL_CACHE", str(Path.home() / ".cache" / "edgeval"))
    done = run_part("script", tmp_path / "repository", path_with_edgeval(tmp_path / "bin"), EDGEVAL_CACHE=cache)
    assert done.returncode == 1, done.stderr
    root = ElementTree.parse(tmp_path / "repository" / "edgeval-regress.xml").getroot()
    (failure,) = root.iter("failure")
    assert f"result_t of {layer} " in failure.attrib["message"]
    assert len(list(root.iter("skipped"))) == 3
    assert (tmp_path / "repository" / "edgeval-regress.md").exists()
