"""``edgeval report``: one self-contained page about one or several runs."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from edgeval.report.text import write_line


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class ReportConfig:
    """Options of ``edgeval report``."""

    runs: Annotated[tuple[Path, ...], Parameter(consume_multiple=True)]
    """Run directories."""
    _: KW_ONLY
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None
    """Page to write; report.html in the first run if left out."""


def report(config: ReportConfig) -> int:
    """Write one HTML page with the tables and pictures of one or several runs; it needs no network."""
    from edgeval.report.load import load_run_view
    from edgeval.report.page import render_page
    from hls.files import atomic_write

    page = render_page([load_run_view(path) for path in config.runs])
    output = config.output or config.runs[0] / "report.html"
    atomic_write(output, page.encode())
    write_line(f"report saved in {output}")
    return 0
