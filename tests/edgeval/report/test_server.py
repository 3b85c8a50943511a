"""The served report: what it answers, what it refuses, and that nothing but its own routes can be reached."""

from __future__ import annotations

import csv
import http.client
import io
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.chromium import needs_chromium
from support.opened_pages import accessibility_faults, opened_page

from edgeval.cli import run as edgeval
from edgeval.records import save_record
from edgeval.report import server
from edgeval.report.fault_pages import Campaign, address_of, parse_query
from edgeval.report.fault_query import FaultQuery, Place
from edgeval.report.server import served_report, site
from edgeval.report.view import RunView
from hls.errors import ToolError, UsageError


def needs_browser(test: Callable[..., None]) -> Callable[..., None]:
    for mark in needs_chromium:
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def run(view: RunView, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("served") / "digits"
    campaign = view.campaigns[0]
    save_record(view.run, path / "run.json")
    save_record(campaign.record, path / "records" / "inject-faults-0123456789abcdef.json")
    folder = path / campaign.record.outcomes
    folder.mkdir(parents=True)
    assert campaign.outcomes is not None
    pq.write_table(campaign.outcomes, folder / "outcomes.parquet")
    return path


@pytest.fixture(scope="module")
def port(run: Path) -> Iterator[int]:
    with served_report([run]) as served:
        thread = threading.Thread(target=served.run)
        thread.start()
        yield int(served.url.rsplit(":", 1)[1].strip("/"))
        served.stop()
        thread.join()


def ask(port: int, path: str, method: str = "GET", host: str | None = None) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, headers={"Host": host or f"127.0.0.1:{port}"})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, dict(response.getheaders()), text


def test_the_report_links_to_the_faults_of_its_campaign(port: int) -> None:
    status, headers, text = ask(port, "/")
    assert status == 200
    assert 'href="/runs/1/faults/1"' in text
    assert "script-src 'sha256-" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_a_page_of_faults_shows_the_worst_first_without_any_script(port: int, view: RunView) -> None:
    status, headers, text = ask(port, "/runs/1/faults/1")
    assert status == 200
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
    assert "<script" not in text
    sites = re.findall(r'<th scope="row"[^>]*><code>(.*?)</code>', text)
    assert sites[:12] == [row.site for row in view.campaigns[0].record.worst]
    assert len(sites) == 50


def test_links_lead_through_the_whole_table(port: int, view: RunView) -> None:
    address, seen = "/runs/1/faults/1?rows=100", 0
    while address:
        text = ask(port, address)[2]
        seen += text.count('<th scope="row"')
        link = re.search(r'<a href="([^"]*)">Next</a>', text)
        address = link[1].replace("&amp;", "&") if link else ""
    assert seen == view.campaigns[0].record.faults


def test_the_csv_of_a_page_holds_its_rows(port: int, view: RunView) -> None:
    status, headers, text = ask(port, "/runs/1/faults/1.csv?tensor=fc1.weight&bit=5&order=site&rows=25")
    assert (status, headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert headers["Content-Disposition"] == 'attachment; filename="faults-runs-1-faults-1.csv"'
    table = view.campaigns[0].outcomes
    assert table is not None
    rows = [row for row in table.to_pylist() if row["tensor"] == "fc1.weight" and row["bit"] == 5][:25]
    found = list(csv.DictReader(io.StringIO(text)))
    assert [int(row["site"]) for row in found] == [row["site"] for row in rows]
    assert [float(row["metric_change"]) for row in found] == [row["metric_change"] for row in rows]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
def test_only_get_is_answered(port: int, method: str) -> None:
    status, headers, _ = ask(port, "/", method)
    assert (status, headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "localhost"])
def test_a_request_under_another_name_is_refused(port: int, host: str) -> None:
    status, _, text = ask(port, "/", host=host)
    assert status == 421
    assert "digits" not in text


def test_localhost_is_this_machine_too(port: int) -> None:
    assert ask(port, "/page.css", host=f"localhost:{port}")[0] == 200


@pytest.mark.parametrize("raw", [b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"])
def test_a_request_without_one_host_is_refused(port: int, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(raw)
        assert connection.recv(64).startswith(b"HTTP/1.0 421")


@pytest.mark.parametrize(
    "path",
    [
        "/../run.json", "/runs/1/run.json", "/run.json", "//etc/passwd", "/%2e%2e/run.json", "/runs/1/faults/1/",
        "/runs/2/faults/1", "http://127.0.0.1/run.json", "/page.css/..", "/.",
    ],
)  # fmt: skip
def test_nothing_but_its_routes_is_there(port: int, path: str) -> None:
    assert ask(port, path)[0] == 404


@pytest.mark.parametrize(
    "query",
    [
        "tensor=fc9.weight", "bit=99", "outcome=worse", "order=size", "rows=1000000", "after=nan,1", "after=1",
        "after=1,2&before=1,2", "colour=red", "last=2", "&".join(f"a{i}=1" for i in range(20)), "after=inf,1",
    ],
)  # fmt: skip
def test_what_cannot_be_asked_for_is_refused_with_what_can(port: int, query: str) -> None:
    status, _, text = ask(port, f"/runs/1/faults/1?{query}")
    assert status == 400
    assert "allowed:" in text


def test_markup_in_an_address_stays_text(port: int) -> None:
    assert "<script" not in ask(port, "/runs/1/faults/1?tensor=<script>alert(1)</script>".replace("<", "%3C"))[2]


def test_a_table_that_is_damaged_while_it_is_served_is_told(run: Path, port: int) -> None:
    file = next(run.glob("outcomes/*/*.parquet"))
    content = file.read_bytes()
    file.write_bytes(content[:100])
    try:
        status, _, text = ask(port, "/runs/1/faults/1")
    finally:
        file.write_bytes(content)
    assert status == 500
    assert "run the same `edgeval inject-faults` again" in text


@pytest.mark.parametrize(
    "query",
    [
        FaultQuery(),
        FaultQuery(tensor="fc1.weight", bit=5, outcome="critical", order="site", rows=250),
        FaultQuery(after=Place(0.1 + 0.2, 17)),
        FaultQuery(before=Place(-1e-17, 3)),
        FaultQuery(last=True),
    ],
)
def test_an_address_is_read_back_as_the_query_it_was_made_of(view: RunView, query: FaultQuery) -> None:
    campaign = Campaign(title="digits", record=view.campaigns[0].record, folder=Path(), address="/runs/1/faults/1")
    assert parse_query(address_of(campaign, query).partition("?")[2], campaign) == query


def test_a_campaign_too_large_to_be_drawn_is_browsed_all_the_same(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DRAWN_FAULTS", 1)
    views, routes = site([run])
    assert views[0].campaigns[0].outcomes is None
    assert b"is not read as a whole" in routes["/"]("").body
    assert b"Rows 1 to 50 of 540" in routes["/runs/1/faults/1"]("").body


def test_the_server_is_bound_to_the_loopback_address_alone(run: Path) -> None:
    with served_report([run]) as served:
        assert served.url.startswith("http://127.0.0.1:")


def test_a_port_in_use_is_refused_with_a_remedy(run: Path, port: int) -> None:
    with pytest.raises(ToolError, match="choose another"), served_report([run], port):
        pass


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_cannot_be_is_refused(run: Path, port: int) -> None:
    with pytest.raises(UsageError, match="0 to 65535"), served_report([run], port):
        pass


def test_options_that_contradict_each_other_are_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert edgeval(["report", str(run), "--port", "8000"]) == 2
    assert edgeval(["report", str(run), "--serve", "-o", "page.html"]) == 2
    assert "leave one of the two options out" in capsys.readouterr().err


def test_ctrl_c_ends_it_with_the_code_of_an_interruption(run: Path) -> None:
    started = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"  # ignored in a background job
    )
    command = [sys.executable, "-c", f"{started}; from edgeval.cli import main; main()", "report", str(run), "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(r"report at http://127\.0\.0\.1:(\d+)/\n", line)
            assert found is not None, line
            assert ask(int(found[1]), "/")[0] == 200
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()  # nothing to do where it has ended; else the block would wait for it for ever
    assert process.returncode == 130
    assert errors.startswith("Ctrl-C ends it\n")
    assert "Traceback" not in errors


@needs_browser
def test_the_page_of_faults_is_for_everybody_on_every_width(browser: Any, port: int) -> None:
    for width, scheme in ((1440, "light"), (800, "dark"), (390, "light")):
        url = f"http://127.0.0.1:{port}/runs/1/faults/1?rows=25"
        with opened_page(browser, url, width=width, scheme=scheme) as opened:
            assert opened.complaints == []
            assert {request.split("?")[0] for request in opened.requests} <= {
                url.split("?")[0], f"http://127.0.0.1:{port}/page.css", "data:,",
            }  # fmt: skip
            assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
            assert accessibility_faults(opened.page) == []


@needs_browser
def test_the_form_selects_and_its_links_keep_the_selection(browser: Any, port: int) -> None:
    with opened_page(browser, f"http://127.0.0.1:{port}/") as opened:
        page = opened.page
        page.get_by_role("link", name="Browse all 540 faults").click()
        page.get_by_label("Tensor").select_option("fc1.weight")
        page.get_by_label("Rows").select_option("25")
        page.get_by_role("button", name="Show").click()
        assert page.locator("#shown").text_content().endswith("Rows 1 to 25 of 288.")
        page.get_by_role("link", name="Next").first.click()
        assert page.locator("#shown").text_content().endswith("Rows 26 to 50 of 288.")
        assert page.get_by_label("Tensor").input_value() == "fc1.weight"
        assert all(site.startswith("fc1.weight:") for site in page.locator("tbody th code").all_text_contents())
        assert opened.complaints == []
