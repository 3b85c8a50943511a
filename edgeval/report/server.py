"""A report served on this machine alone: the page, and every campaign's table page by page.

Only the loopback address is bound. A request has to name it as its host, so that a foreign name that is made to point
here (DNS rebinding) gets nothing; only GET is answered; there is a fixed table of routes and no path ever reaches the
file system; nothing but the report's own style and scripts may load or run.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from edgeval.outcome_tables import inside
from edgeval.report.fault_pages import Campaign, fault_content, fault_csv, parse_query
from edgeval.report.load import load_run_view
from edgeval.report.markup import Markup, element, join
from edgeval.report.page import asset, content_policy, render_page
from edgeval.report.view import RunView
from hls.errors import EdgevalError, ToolError, UsageError

HOST = "127.0.0.1"
DRAWN_FAULTS = 1_000_000
"""Campaigns of more faults are served without figures of single faults, so that no table is read as a whole."""
SCANS = 2
"""Tables that are read at the same time; further requests wait."""
_TIMEOUT_S = 30
"""For a client that connects and then says nothing."""

_OWN_POLICY = (
    "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a route answers with."""

    body: bytes
    content_type: str = "text/html; charset=utf-8"
    policy: str = _OWN_POLICY
    status: HTTPStatus = HTTPStatus.OK
    file_name: str = ""


Route = Callable[[str], Answer]
"""From what stands behind the question mark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A report that is being served.

    Attributes:
        url: Of the report.
        run: Answers requests until it is interrupted, or ``stop`` is called from another thread.
        views: What is shown.
    """

    url: str
    run: Callable[[], None]
    stop: Callable[[], None]
    views: tuple[RunView, ...]


@contextmanager
def served_report(runs: Sequence[Path], port: int = 0) -> Iterator[Served]:
    """Bind the server and close it at the end of the ``with`` block.

    Args:
        runs: Run directories.
        port: 0 for any that is free.

    Raises:
        RunDirectoryError: as ``load_run_view``. UsageError: no port. ToolError: the port cannot be had.
    """
    if not 0 <= port <= 65535:
        raise UsageError(found=f"{port}", allowed="0 to 65535", where="--port", remedy="leave it out for a free one")
    views, routes = site(runs)
    try:
        server = _Server((HOST, port), partial(_Handler, routes))
    except OSError as error:
        raise ToolError(
            found=f"{error}", allowed="a port that is free and may be used", where=f"--port {port}",
            remedy="choose another, or leave it out for a free one",
        ) from error  # fmt: skip
    with server:
        yield Served(
            url=f"http://{HOST}:{server.server_port}/", run=server.serve_forever, stop=server.shutdown, views=views
        )


def site(runs: Sequence[Path]) -> tuple[tuple[RunView, ...], Mapping[str, Route]]:
    """Everything that is served: what the report shows, and every route there is."""
    views, campaigns = [], []
    for number, path in enumerate(runs, start=1):
        view = load_run_view(path, drawn_faults=DRAWN_FAULTS)
        found = [_campaign(path, view, number, place) for place in range(len(view.campaigns))]
        browsed = [
            replace(one, browse=table.address if table else None)
            for one, table in zip(view.campaigns, found, strict=True)
        ]
        views.append(replace(view, campaigns=tuple(browsed)))
        campaigns += [table for table in found if table is not None]
    report = Answer(body=render_page(views).encode(), policy=f"{content_policy()}; frame-ancestors 'none'")
    style = Answer(body=asset("page.css").encode(), content_type="text/css; charset=utf-8")
    routes: dict[str, Route] = {"/": lambda _: report, "/page.css": lambda _: style}
    slots = threading.BoundedSemaphore(SCANS)
    for campaign in campaigns:
        routes[campaign.address] = partial(_table, campaign, slots)
        routes[f"{campaign.address}.csv"] = partial(_table_csv, campaign, slots)
    return tuple(views), routes


def _campaign(run: Path, view: RunView, number: int, place: int) -> Campaign | None:
    record = view.campaigns[place].record
    folder = inside(run, record.outcomes, run / "records", "inject-faults")
    if not any(folder.glob("*.parquet")):
        return None
    address = f"/runs/{number}/faults/{place + 1}"
    return Campaign(title=f"{view.name}, {record.fault}", record=record, folder=folder.resolve(), address=address)


def _table(campaign: Campaign, slots: threading.BoundedSemaphore, text: str) -> Answer:
    query = parse_query(text, campaign)
    with slots:
        page = campaign.page(query)
    return Answer(body=_document(f"Faults of {campaign.title}", fault_content(campaign, query, page)))


def _table_csv(campaign: Campaign, slots: threading.BoundedSemaphore, text: str) -> Answer:
    query = parse_query(text, campaign)
    with slots:
        page = campaign.page(query)
    name = f"faults-{campaign.address.strip('/').replace('/', '-')}.csv"
    return Answer(body=fault_csv(page).encode(), content_type="text/csv; charset=utf-8", file_name=name)


def _document(title: str, content: Markup) -> bytes:
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("link", rel="icon", href="data:,"),
        element("link", rel="stylesheet", href="/page.css"),
        element("title", f"{title}: edgeval report"),
    )
    body = element(
        "body",
        element("header", element("p", "edgeval", class_="brand"), element("h1", title)),
        element("main", content, class_="browse"),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n".encode()


def _failure(status: HTTPStatus, text: str) -> Answer:
    content = join(element("p", text), element("p", element("a", "← The report", href="/")))
    return Answer(body=_document(f"{status.value} {status.phrase}", content), status=status)


class _Server(ThreadingHTTPServer):
    """Threads that do not outlive the command."""

    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is no news; a bug is, with its traceback on standard error."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    """One request; knows the routes and nothing of the file system."""

    timeout = _TIMEOUT_S
    server_version = "edgeval"
    sys_version = ""

    def __init__(self, routes: Mapping[str, Route], *args: object) -> None:
        self.routes = routes
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Answer what is asked for."""
        if not self._is_meant():
            text = "This server answers to the address it was started with, and to no other name."
            self._send(_failure(HTTPStatus.MISDIRECTED_REQUEST, text))
            return
        path, _, query = self.path.partition("?")
        route = self.routes.get(path)
        if route is None:
            self._send(_failure(HTTPStatus.NOT_FOUND, "There is no such page."))
            return
        try:
            answer = route(query)
        except UsageError as error:
            answer = _failure(HTTPStatus.BAD_REQUEST, str(error))
        except EdgevalError as error:
            answer = _failure(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        self._send(answer)

    def refuse(self) -> None:
        """Answer every other method."""
        self._send(_failure(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET is answered."), with_body=self.command != "HEAD")

    do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = do_CONNECT = refuse

    def _is_meant(self) -> bool:
        """Whether the request names this server as its host, exactly once."""
        hosts = self.headers.get_all("Host", [])
        assert isinstance(self.server, _Server)
        port = self.server.server_port
        return len(hosts) == 1 and hosts[0].lower() in {f"{HOST}:{port}", f"localhost:{port}"}

    def _send(self, answer: Answer, *, with_body: bool = True) -> None:
        self.send_response(answer.status)
        headers = {
            "Content-Type": answer.content_type,
            "Content-Length": str(len(answer.body)),
            "Content-Security-Policy": answer.policy,
            "Cross-Origin-Resource-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }
        if answer.status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = "GET"
        if answer.file_name:
            headers["Content-Disposition"] = f'attachment; filename="{answer.file_name}"'
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:  # its name in the standard library
        """Nothing: what is asked for is nobody's business, and libraries never print."""
