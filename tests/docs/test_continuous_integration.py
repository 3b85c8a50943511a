"""The page on continuous integration against the action, the template, the hook and the options."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.markdown import DOCS, column, table
from support.shell_steps import ROOT, action

from edgeval.cli import make_app

PAGE = DOCS / "continuous-integration.md"


def snippets(language: str) -> list[str]:
    """Code blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def problems(file: Path, schema: str) -> str:
    """What a schema of check-jsonschema has against a file."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema]
    transform = ["--data-transform", "gitlab-ci"] if schema == "vendor.gitlab-ci" else []
    done = subprocess.run([*command, *transform, str(file)], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_the_inputs_of_the_action_are_those_of_its_file() -> None:
    documented = [(row["input"], row["default"], row["meaning"]) for row in table(PAGE, "input", "default", "meaning")]
    expected = [(name, value["default"], value["description"]) for name, value in action()["inputs"].items()]
    assert documented == expected


def test_the_outputs_of_the_action_are_those_of_its_file() -> None:
    documented = [(row["output"], row["meaning"]) for row in table(PAGE, "output", "meaning")]
    assert documented == [(name, value["description"]) for name, value in action()["outputs"].items()]


def test_every_output_on_the_page_is_an_option_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    options = [name.split()[0] for name in column(table(PAGE, *COLUMNS), "option") if name.startswith("-")]
    make_app()(["regress", "check", "--help"])
    shown = capsys.readouterr().out
    assert options == ["--json", "--junit", "--sarif", "--github", "--markdown"]
    assert all(option in shown for option in options)


COLUMNS = ("option", "writes", "passed", "failed", "skipped", "skipped, with `--skipped-is-error`")


def test_the_workflow_on_the_page_fits_the_schema_of_workflows_and_the_inputs_of_the_action(tmp_path: Path) -> None:
    workflow = tmp_path / "workflow.yml"
    workflow.write_text(f"on: push\n{snippets('yaml')[0]}", encoding="utf-8")
    assert problems(workflow, "vendor.github-workflows") == ""
    used = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]["regress"]["steps"][-1]
    assert set(used["with"]) <= set(action()["inputs"])


def test_the_job_on_the_page_fits_the_schema_of_gitlab_and_the_variables_of_the_template(tmp_path: Path) -> None:
    (snippet,) = (text for text in snippets("yaml") if "extends:" in text)
    job = tmp_path / "gitlab-ci.yml"
    job.write_text(snippet, encoding="utf-8")
    assert problems(job, "vendor.gitlab-ci") == ""
    template = yaml.safe_load((ROOT / "ci/gitlab/edgeval.gitlab-ci.yml").read_text(encoding="utf-8"))
    assert set(yaml.safe_load(snippet)["regress"]["variables"]) <= set(template[".edgeval-regress"]["variables"])


def test_the_hook_on_the_page_is_the_one_there_is(tmp_path: Path) -> None:
    from pre_commit.clientlib import load_config

    (snippet,) = (text for text in snippets("yaml") if "hooks:" in text)
    config = tmp_path / ".pre-commit-config.yaml"
    config.write_text(snippet, encoding="utf-8")
    (repository,) = load_config(str(config))["repos"]
    offered = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert [hook["id"] for hook in repository["hooks"]] == [hook["id"] for hook in offered]


def test_a_workflow_with_an_unknown_key_is_seen(tmp_path: Path) -> None:
    workflow = tmp_path / "workflow.yml"
    workflow.write_text(f"on: push\n{snippets('yaml')[0]}".replace("runs-on:", "runs-at:"), encoding="utf-8")
    assert "runs-on" in problems(workflow, "vendor.github-workflows")
