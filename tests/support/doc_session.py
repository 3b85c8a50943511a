"""Runs the blocks of one documentation page, one after another, in a folder of the page's own.

``edgeval`` runs in this process, because importing torch once is enough; everything else runs in bash, with an
``edgeval`` of this checkout on its path.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from support.snippets import Block, Command, Reader, agrees

from edgeval.cli import run as edgeval

ROOT = Path(__file__).parents[2]
_SHELL = frozenset("|&;<>$()*?`")


class Printed(msgspec.Struct, frozen=True, kw_only=True):
    """What one command line of a page did, and what the page says of it."""

    command: Command
    code: int
    text: str

    def wrong(self, reader: Reader) -> str:
        """What is not as the page says; nothing is an empty text."""
        shown = f"$ {self.command.line}\nexit code {self.code}\n{self.text}"
        said = self.command.output
        if self.code not in (0, 1) or (self.code == 1 and not said):
            return shown
        if said and not agrees(said, self.text.splitlines(), reader):
            return "\n".join([shown, "the page says", *said])
        return ""


@dataclass(kw_only=True)
class Session:
    """The state of a reader who follows a page.

    Attributes:
        folder: Where the commands run, with everything the page takes for granted in it.
        substitutes: Texts of commands and code that stand for something of the reader's own, and what they are here.
        names: Names that the Python blocks of the page have bound.
        printed: What every command line did, in order.
    """

    folder: Path
    substitutes: Mapping[str, str] = field(default_factory=dict)
    names: dict[str, Any] = field(default_factory=dict)
    printed: list[Printed] = field(default_factory=list)

    def run(self, block: Block) -> None:
        """Run one block; what its command lines did is in ``printed``."""
        match block.kind:
            case "console":
                for command in block.commands():
                    line = self._here(command.line)
                    code, text = self._in_process(line) if _is_plain(line) else self._in_bash(line)
                    self.printed.append(Printed(command=command, code=code, text=text))
            case "python":
                with contextlib.chdir(self.folder):
                    exec(compile(self._here(block.text), block.page, "exec"), self.names)  # noqa: S102  it is our page
            case "file":
                path = self.folder / str(block.file)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(self._here(block.text), encoding="utf-8")
            case "text":
                raise AssertionError("nothing to run")

    def _in_process(self, line: str) -> tuple[int, str]:
        printed = io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(printed):
            code = edgeval(shlex.split(line, comments=True)[1:])
        return code, printed.getvalue()

    def _in_bash(self, line: str) -> tuple[int, str]:
        """Run a line in bash; a ``cd`` alone lasts."""
        if line.startswith("cd ") and _is_plain(line.replace("cd ", "edgeval ", 1)):
            self.folder = self.folder / shlex.split(line, comments=True)[1]
            return (0 if self.folder.is_dir() else 1), ""
        done = subprocess.run(
            ["bash", "-c", line], cwd=self.folder, env=environment(self.folder), stdout=subprocess.PIPE, text=True
        )  # fmt: skip
        return done.returncode, done.stdout

    def _here(self, text: str) -> str:
        for stands, means in self.substitutes.items():
            text = text.replace(stands, means)
        return text


def _is_plain(line: str) -> bool:
    """Whether a line is one call of ``edgeval`` that needs no shell."""
    words = shlex.split(line, comments=True)
    return bool(words) and words[0] == "edgeval" and not _SHELL & set("".join(words))


def environment(folder: Path) -> dict[str, str]:
    """The environment of a page's shell: ``edgeval`` and ``python`` are those of this checkout."""
    programs = folder / ".programs"
    add_program(folder, "edgeval", f'exec "{sys.executable}" -m edgeval "$@"')
    path = f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}


def add_program(folder: Path, name: str, script: str) -> None:
    """Put a program of bash onto the path of a page's shell."""
    program = folder / ".programs" / name
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/bash\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
