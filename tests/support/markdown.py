"""Tables of the documentation pages, as rows by column name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

Row = dict[str, str]


def tables(text: str) -> list[list[Row]]:
    """All Markdown tables of a text, each a list of rows by column name, code marks taken off."""
    found: list[list[list[str]]] = []
    inside = False
    for line in text.splitlines():
        if not line.startswith("|"):
            inside = False
            continue
        if not inside:
            found.append([])
        inside = True
        found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
    assert all(len({len(row) for row in rows}) == 1 for rows in found), "every row of a table has its columns"
    return [[dict(zip(rows[0], map(plain, row), strict=True)) for row in map(list, rows[2:])] for rows in found]


def plain(cell: str) -> str:
    """A cell without code marks, when it is nothing but one piece of code."""
    return cell.strip("`") if re.fullmatch(r"`[^`]+`", cell) else cell


def table(page: Path, *columns: str) -> list[Row]:
    """The one table of a page that has exactly these columns."""
    fitting = [rows for rows in tables(page.read_text(encoding="utf-8")) if rows and list(rows[0]) == list(columns)]
    assert len(fitting) == 1, f"{page.name}: {len(fitting)} tables with columns {', '.join(columns)}"
    return fitting[0]


def column(rows: Iterable[Row], name: str) -> list[str]:
    """One column, in order; a name that stands twice is an error."""
    cells = [row[name] for row in rows]
    assert len(set(cells)) == len(cells), f"twice in column {name}: {cells}"
    return cells
