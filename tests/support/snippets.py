"""The code blocks of the documentation pages: what each is, which commands it holds, what it says they print.

A block is *console* where a line starts with ``$ `` (what follows up to the next one is the output) or where every line
is a call of a known program (then nothing is said of the output); *python*, *bash* and so on by its language; else
*text*. A block with a language behind "save as `name`" or a line that
ends in "`name`:" is a *file*.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Kind = Literal["console", "python", "file", "text"]

PROGRAMS = ("edgeval", "python", "make", "dask", "pip", "pytest", "git", "cd", "sbatch", "cp", "export")
"""First words by which a block without prompts is told to be commands."""

_FENCE = re.compile(r"^( *)```([\w{}-]*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"(?:[Ss]ave (?:it |this )?as )?`([\w./-]+\.\w+)`[^`\n]*:\s*$|[Ss]ave (?:it |this )?as `([\w./-]+)`")
_NUMBER = re.compile(r"[−-]?(?<![A-Za-z_.\d])\d[\d,]*(?:\.\d+)?(?:[eE][−+-]?\d+)?|(?<=[A-Za-z_.])\d+")
LEFT_OUT = "…"


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command line of a block and what the page says it prints; nothing said is an empty tuple."""

    line: str
    output: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block of a page.

    Attributes:
        page: Path of the page from the root of the checkout.
        number: Which line of the page the fence is, from 1.
        language: What stands behind the fence.
        text: What lies in the fence, without its indentation.
        before: The last line of text in front of it.
    """

    page: str
    number: int
    language: str
    text: str
    before: str = ""

    @property
    def name(self) -> str:
        """The page and the first line: what the list of blocks that are not run calls it by."""
        return f"{self.page}: {self.text.strip().partition(chr(10))[0].strip()}"

    @property
    def kind(self) -> Kind:
        """What it is."""
        if self.file:
            return "file"
        if self.language == "python":
            return "python"
        lines = [line for line in self.text.splitlines() if line.strip()]
        if any(line.startswith("$ ") for line in lines):
            return "console"
        calls = [line for line in lines if not line.startswith(("#", " "))]
        return "console" if calls and all(line.split()[0] in PROGRAMS for line in calls) else "text"

    @property
    def file(self) -> str | None:
        """The name that the line before the block says it is to be saved as."""
        found = _FILE.search(self.before) if self.language else None
        return None if found is None else found[1] or found[2]

    def commands(self) -> Iterator[Command]:
        """The commands of a console block; a backslash at the end of a line goes on in the next."""
        text = self.text.replace("\\\n", " ")
        if "$ " not in {line[:2] for line in text.splitlines()}:
            yield from (Command(line=line) for line in text.splitlines() if line.strip() and line[0] != "#")
            return
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            line, *output = part.rstrip("\n").split("\n")
            yield Command(line=line, output=tuple(output))


def blocks(page: Path, root: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        before = [line for line in text[: match.start()].splitlines() if line.strip()]
        found.append(
            Block(
                page=page.relative_to(root).as_posix(),
                number=text.count("\n", 0, match.start()) + 1,
                language=match[2],
                text=re.sub(rf"^{match[1]}", "", match[3], flags=re.MULTILINE),
                before=before[-1] if before else "",
            )
        )
    return found


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Reads output so that what may differ between machines is equal.

    Attributes:
        exact: Whether numbers are compared. Training in floating point gives other networks on other processors; then
            what is printed has to have the same form with other numbers in it.
        replaced: Texts of this machine and what pages write in their place.
    """

    exact: bool
    replaced: dict[str, str] = field(default_factory=dict)

    def lines(self, lines: Sequence[str]) -> list[str]:
        """Comparable lines: blanks and rules of tables collapsed, times and places of one machine taken out."""
        read = [self._line(line) for line in lines]
        while read and not read[-1]:
            read.pop()
        if self.exact:
            return read
        return [line for place, line in enumerate(read) if place == 0 or line != read[place - 1]]

    def _line(self, line: str) -> str:
        for found, written in self.replaced.items():
            line = line.replace(found, written)
        line = re.sub(r"\s+", " ", line).strip()  # no-break blanks, too
        line = re.sub(r"g\+\+ \([^)]*\) [\d.]+", "g++", line)
        line = re.sub(r"\b\d[\d.,]* (?:s|ms|min)\b", "# s", line)
        line = re.sub(r"\b[0-9a-f]{7,64}\b(?<=\d.{6}|[a-f].{6})", _digest, line)
        line = re.sub(r"─+", "─", line)
        return line if self.exact else _NUMBER.sub("#", line)


def _digest(match: re.Match[str]) -> str:
    """A digest has letters and digits in it; a long number or word is none."""
    text = match[0]
    return "<digest>" if re.search(r"\d", text) and re.search(r"[a-f]", text) else text


def agrees(said: Sequence[str], printed: Sequence[str], reader: Reader) -> bool:
    """Whether the output of a command is what its page says.

    A line ``…`` stands for any lines, also none; an ellipsis within a line for any text.
    """
    pattern = ""
    for line in reader.lines(said):
        if line == LEFT_OUT:
            pattern += r"(?:[^\n]*\n)*?"
        else:
            pattern += ".*?".join(map(re.escape, line.split(LEFT_OUT))) + r"\n"
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in reader.lines(printed))) is not None
