"""The pre-commit hook: its manifest, and the hook run by pre-commit itself on a repository of a user."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from pre_commit.clientlib import load_manifest
from support.shell_steps import ROOT, path_with_edgeval, run_shell
from support.small_baselines import copied, lock_another_type, locked_run

MANIFEST = ROOT / ".pre-commit-hooks.yaml"


def repository(folder: Path) -> None:
    """Make a folder a Git repository with all it holds committed."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-q", "-m", "x"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


def test_the_manifest_is_one_that_pre_commit_reads() -> None:
    (hook,) = load_manifest(str(MANIFEST))
    assert hook["id"] == "edgeval-regress"
    assert hook["entry"] == "edgeval regress check"
    assert hook["pass_filenames"] is False


@pytest.mark.slow
@pytest.mark.gxx
@pytest.mark.skipif(shutil.which("git") is None, reason="git was not found")
def test_pre_commit_runs_the_hook_and_stops_the_push_with_the_cause(tmp_path: Path) -> None:
    offered = tmp_path / "edgeval"
    offered.mkdir()
    shutil.copy(MANIFEST, offered)
    repository(offered)
    (tmp_path / "made").mkdir()
    used = copied(locked_run(tmp_path / "made"), tmp_path / "used")
    layer = lock_another_type(used)
    repository(used.parent)
    arguments = ["try-repo", str(offered), "edgeval-regress", "--all-files", "--hook-stage", "pre-push"]
    environment = {
        "PATH": path_with_edgeval(tmp_path / "bin"),
        "PRE_COMMIT_HOME": str(tmp_path / "home"),
        "EDGEVAL_CACHE": os.environ.get("EDGEVAL_CACHE", str(Path.home() / ".cache" / "edgeval")),
    }
    done = run_shell(["python", "-m", "pre_commit", *arguments], used.parent, environment)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "edgeval regress check" in done.stdout
    assert "- exit code: 1" in done.stdout
    assert f"result_t of {layer} changed from" in done.stdout
