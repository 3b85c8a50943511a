"""``edgeval report``: one self-contained page about one or several runs, written or served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from edgeval.progress import say
from edgeval.report.text import write_line
from hls.errors import UsageError

if TYPE_CHECKING:
    from edgeval.report.view import RunView


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class ReportConfig:
    """Options of ``edgeval report``."""

    runs: Annotated[tuple[Path, ...], Parameter(consume_multiple=True)]
    """Run directories."""
    _: KW_ONLY
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None
    """Page to write; report.html in the first run if left out."""
    serve: bool = False
    """Serve the page on this machine alone, with the tables of all campaigns fault by fault, until Ctrl-C."""
    port: int | None = None
    """With --serve: port of 127.0.0.1; any that is free if left out."""


def report(config: ReportConfig) -> int:
    """Write one HTML page with the tables and pictures of one or several runs; it needs no network."""
    if config.serve:
        return _serve(config)
    if config.port is not None:
        raise _usage(f"--port {config.port} without --serve", "a port for a page that is served")
    from edgeval.report.load import load_run_view
    from edgeval.report.page import render_page
    from hls.files import atomic_write

    views = [load_run_view(path) for path in config.runs]
    page = render_page(views)
    output = config.output or config.runs[0] / "report.html"
    atomic_write(output, page.encode())
    write_line(f"report saved in {output}")
    return 3 if _say_unread(config.runs, views) else 0


def _serve(config: ReportConfig) -> int:
    if config.output is not None:
        raise _usage(f"--serve with --output {config.output}", "a page that is written or one that is served")
    from edgeval.report.server import served_report

    with served_report(config.runs, config.port or 0) as served:
        _say_unread(config.runs, served.views)
        write_line(f"report at {served.url}")
        say("Ctrl-C ends it")
        served.run()
    return 0


def _say_unread(runs: Sequence[Path], views: Sequence[RunView]) -> bool:
    """Name every record that the page could only name, too; whether there is one."""
    unread = [(run, one) for run, view in zip(runs, views, strict=True) for one in view.unread]
    for run, one in unread:
        say(f"not shown: {run / 'records' / one.file}: {one.found}")
    return bool(unread)


def _usage(found: str, allowed: str) -> UsageError:
    return UsageError(found=found, allowed=allowed, where="edgeval report", remedy="leave one of the two options out")
