"""pytest plugin: the gates of a baseline as test items, and run directories as a fixture.

pytest loads this module in every suite of an environment that has edgeval: it imports nothing but pytest until an
option, a marker or the fixture asks for more, and without these it does nothing.

``--edgeval-baseline FILE`` adds one item a run and gate, ``FILE::RUN::GATE``; a run is recomputed once, when its first
gate runs. See ``docs/continuous-integration.md``.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import pytest

if TYPE_CHECKING:
    from edgeval.regression_record import RegressRecord
    from edgeval.run_directory import RunDirectory

_RUN = "edgeval_run"
"""Fixture and marker."""
_GATE = "edgeval_gate"
"""Marker of all items of a baseline: ``-m edgeval_gate``."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the options."""
    group = parser.getgroup("edgeval", "edgeval: runs against their baseline")
    group.addoption("--edgeval-baseline", metavar="FILE", help="check every gate of this baseline, one test item each")
    group.addoption(
        "--edgeval-skipped-is-error", action="store_true", help="a gate that could not be checked fails instead"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; have the baseline collected as if it had been named on the command line."""
    config.addinivalue_line("markers", f"{_RUN}(run): the run that the fixture edgeval_run gives, by name or by path")
    config.addinivalue_line("markers", f"{_GATE}: a gate of --edgeval-baseline")
    baseline = _baseline(config)
    if baseline is not None and str(baseline) not in config.args:
        config.args.append(str(baseline))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect the baseline, and no other file."""
    if file_path == _baseline(parent.config):
        collector: pytest.Collector = BaselineFile.from_parent(parent, path=file_path)
        return collector
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat a test that asks for a run and names none for every run of the baseline."""
    if _RUN not in metafunc.fixturenames or _names_its_run(metafunc):
        return
    baseline = _baseline(metafunc.config)
    if baseline is not None:
        metafunc.parametrize(_RUN, list(_run_folders(baseline)), indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say of a skipped gate where its run stands in the baseline, rather than where this module skipped it."""
    report = yield
    if isinstance(item, GateItem) and report.skipped and isinstance(report.longrepr, tuple):
        path, line, _ = item.reportinfo()
        report.longrepr = (str(path), line + 1, report.longrepr[2])
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name every gate that was skipped, even where pytest was not asked for reasons."""
    skipped = [report for report in terminalreporter.getreports("skipped") if _GATE in report.keywords]
    if skipped:
        terminalreporter.section("edgeval: gates that were not checked")
        for report in skipped:
            first, _, _ = report.longrepr[2].removeprefix("Skipped: ").partition("\n")
            terminalreporter.line(f"{report.nodeid}: {first}")


@pytest.fixture
def edgeval_run(request: pytest.FixtureRequest) -> RunDirectory:
    """An exported run, ready for ``edgeval.comparison.compare_run`` and its like.

    Which one: the parameter of an indirect parametrization, else ``@pytest.mark.edgeval_run(run)``; a name is looked up
    in the baseline, all else is a path from pytest's root. A test that says neither gets every run of the baseline, one
    after the other.
    """
    from edgeval.run_directory import RunDirectory
    from hls.errors import EdgevalError

    marker = request.node.get_closest_marker(_RUN)
    asked = getattr(request, "param", marker.args[0] if marker and marker.args else None)
    if asked is None:
        pytest.fail(
            "edgeval_run: found no run; allowed: a run by name or path. To mend it: mark the test with "
            f"@pytest.mark.{_RUN}('RUN'), or give --edgeval-baseline FILE",
            pytrace=False,
        )
    baseline = _baseline(request.config)
    folders = {} if baseline is None else _run_folders(baseline)
    run = RunDirectory(folders.get(str(asked), request.config.rootpath / asked))
    try:
        run.network()
    except EdgevalError as error:
        pytest.fail(f"edgeval_run: {error}", pytrace=False)
    return run


@final
class BaselineFile(pytest.File):
    """A baseline: a collector for each of its runs."""

    def collect(self) -> Iterator[pytest.Collector]:
        """Its runs, in the order of the file."""
        from edgeval.report.gates import find_place

        folders = _run_folders(self.path)
        place = find_place(self.path, folders)
        for run, folder in folders.items():
            yield BaselineRun.from_parent(self, name=run, folder=folder, line=place.lines.get(run, 1))


@final
class BaselineRun(pytest.Collector):
    """One run of a baseline: an item for each gate. It is recomputed when the first of them asks.

    Attributes:
        folder: Its run directory.
        line: Where it stands in the baseline, from 1.
    """

    def __init__(self, *, folder: Path, line: int, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.folder = folder
        self.line = line
        self._found: RegressRecord | Exception | None = None

    def collect(self) -> Iterator[pytest.Item]:
        """Its gates, in their fixed order."""
        from edgeval.regression.gates import ORDER

        for gate in ORDER:
            yield GateItem.from_parent(self, name=gate)

    def record(self) -> RegressRecord:
        """What was found of this run; what was raised is raised for every gate."""
        from edgeval.regression.check import check_baseline
        from hls.errors import EdgevalError

        if self._found is None:
            strict = self.config.getoption("--edgeval-skipped-is-error")
            try:
                self._found = check_baseline(self.path, [self.folder], skipped_is_error=strict)
            except EdgevalError as error:
                self._found = error
        if isinstance(self._found, Exception):
            raise self._found
        return self._found


@final
class GateItem(pytest.Item):
    """One gate of one run."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.add_marker(_GATE)

    def runtest(self) -> None:
        """Pass, fail or skip as the gate did."""
        from edgeval.report.gates import gate_text, outcome

        record = self._run().record()
        (gate,) = (gate for gate in record.gates if gate.name == self.name)
        match outcome(gate, record):
            case "skipped":
                pytest.skip(gate_text(gate, record))
            case "failed" | "skipped_is_error":
                raise GateFailedError(gate_text(gate, record))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The gate's own sentences; of an expected error its four parts; of a bug the traceback."""
        from hls.errors import EdgevalError

        if isinstance(excinfo.value, GateFailedError | EdgevalError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the run stands in the baseline."""
        run = self._run()
        return self.path, run.line - 1, f"{run.name}: {self.name}"

    def _run(self) -> BaselineRun:
        assert isinstance(self.parent, BaselineRun)
        return self.parent


class GateFailedError(Exception):
    """A gate that does not hold; its text says why."""


def _baseline(config: pytest.Config) -> Path | None:
    """The baseline that was asked for, absolute."""
    given = config.getoption("--edgeval-baseline")
    return None if given is None else (config.invocation_params.dir / given).resolve()


def _run_folders(baseline: Path) -> Mapping[str, Path]:
    """Runs of a baseline by name, with their folders.

    Raises:
        pytest.Collector.CollectError: it cannot be read.
    """
    from edgeval.regression.baseline import load_baseline
    from hls.errors import EdgevalError

    try:
        runs = load_baseline(baseline).runs
    except EdgevalError as error:
        raise pytest.Collector.CollectError(str(error)) from error
    return {run.name: baseline.parent / run.path for run in runs}


def _names_its_run(metafunc: pytest.Metafunc) -> bool:
    """Whether a test says by a marker or a parameter which run it is about."""
    marker = metafunc.definition.get_closest_marker(_RUN)
    if marker is not None and marker.args:
        return True
    listed = (
        mark.args[0] if mark.args else mark.kwargs["argnames"]
        for mark in metafunc.definition.iter_markers("parametrize")
    )
    names = (name for given in listed for name in (given.split(",") if isinstance(given, str) else given))
    return any(name.strip() == _RUN for name in names)
