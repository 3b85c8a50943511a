"""What the sources of this project never do, whatever file is read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for package in ("edgeval", "hls", "fault_injection") for path in (ROOT / package).rglob("*.py"))
NEVER = {
    "eval", "exec", "os.system", "os.popen", "subprocess.getoutput", "pickle.load", "yaml.load", "yaml.unsafe_load",
    "tarfile.open", "shutil.unpack_archive", "np.load", "numpy.load",
}  # fmt: skip
"""Calls that execute text, unpack archives by their own names, or unpickle."""


def calls(text: str) -> list[str]:
    """Names of what a source calls that must not be called, and calls with ``shell`` or an unsafe ``weights_only``."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            options = {item.arg: ast.unparse(item.value) for item in node.keywords}
            if name in NEVER or name.endswith(".extractall"):
                found.append(name)
            if options.get("shell", "False") != "False" or options.get("allow_pickle", "False") != "False":
                found.append(f"{name} with shell or pickles")
            if name == "torch.load" and options.get("weights_only") != "True":
                found.append("torch.load without weights_only")
            if name == "onnx.load" and "path" not in ast.unparse(node.args[0]):
                found.append("onnx.load")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_runs_text_a_shell_or_a_pickle(path: Path) -> None:
    assert calls(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "eval('1')",
        "subprocess.run('ls', shell=True)",
        "np.load(p, allow_pickle=True)",
        "torch.load(p)",
        "a.extractall()",
    ],
)
def test_such_a_call_would_be_found(text: str) -> None:
    assert calls(text)
