"""The pytest plugin in suites of its own: gates as items, the fixture, and nothing at all where it is not asked."""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from pathlib import Path

import pytest
from support.small_baselines import BASELINE, copied, lock_another_type, locked_run

import edgeval.comparison
import edgeval.regression.check
import edgeval.report.gates

ROOT = Path(__file__).parents[2]
CHECKED = ["options", "network", "types", "weights", "words", "csim", "metric"]
SKIPPED = ["faults", "resources", "latency"]
ORDER = [*CHECKED, *SKIPPED, "versions"]
PLUGIN = ("-p", "edgeval.pytest_plugin", "-p", "no:cacheprovider")
pytest_plugins = ["pytester"]
# What the plugin loads when it is used: pytester unloads what a suite in this process loaded, and a second copy of a
# module has other classes than the first.
LOADED_ONCE = (edgeval.comparison, edgeval.regression.check, edgeval.report.gates)


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A baseline and its run, read by all tests here."""
    return locked_run(tmp_path_factory.mktemp("locked"))


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """An empty suite that has this checkout's plugin, installed or not, and no other."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeini("[pytest]\naddopts = --strict-markers --strict-config\nfilterwarnings = error\n")
    return pytester


def run(suite: pytest.Pytester, *options: str) -> pytest.RunResult:
    """Run a suite with the plugin, in this process."""
    return suite.runpytest_inprocess(*PLUGIN, *options)


def outcomes(result: pytest.RunResult) -> dict[str, str]:
    """What verbose output says of each item."""
    lines = (re.match(r"(\S+) (PASSED|FAILED|SKIPPED|ERROR)", line) for line in result.outlines)
    return {match[1].rpartition("::")[2]: match[2].lower() for match in lines if match}


@pytest.mark.gxx
def test_every_gate_of_a_baseline_is_an_item(suite: pytest.Pytester, baseline: Path) -> None:
    copied(baseline, suite.path)
    result = run(suite, "-v", "--edgeval-baseline", BASELINE)
    assert result.ret == 0
    found = outcomes(result)
    assert list(found) == ORDER
    assert {name for name, status in found.items() if status == "skipped"} == set(SKIPPED)
    told = [f"{BASELINE}::run::{name}: skipped, nothing was compared: *" for name in SKIPPED]
    result.stdout.fnmatch_lines(["*edgeval: gates that were not checked*", *told], consecutive=True)


@pytest.mark.gxx
def test_a_gate_that_does_not_hold_fails_with_its_sentence_and_no_traceback(
    suite: pytest.Pytester, baseline: Path
) -> None:
    layer = lock_another_type(copied(baseline, suite.path))
    result = run(suite, "-v", "--edgeval-baseline", BASELINE, "-k", "types or weights")
    result.assert_outcomes(passed=1, failed=1, deselected=9)
    text = result.stdout.str()
    assert re.search(rf"result_t of {layer} .*from ap_\w*fixed<.* to ap_\w*fixed<", text)
    assert "To do: " in text
    assert "Traceback" not in text
    assert ".py:" not in text


@pytest.mark.gxx
def test_a_skipped_gate_fails_where_skips_are_errors(suite: pytest.Pytester, baseline: Path) -> None:
    copied(baseline, suite.path)
    options = ("--edgeval-baseline", BASELINE, "--edgeval-skipped-is-error", f"{BASELINE}::run::latency")
    result = run(suite, "-v", *options, "-k", "latency")
    result.assert_outcomes(failed=1, deselected=10)
    result.stdout.fnmatch_lines(["skipped, which was asked to be an error: *"])


def test_a_baseline_that_is_not_there_is_a_usage_error(suite: pytest.Pytester) -> None:
    result = run(suite, "--edgeval-baseline", "gone.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*gone.json*"])


def test_a_damaged_baseline_is_not_collected_and_says_what_to_do(suite: pytest.Pytester) -> None:
    (suite.path / BASELINE).write_text("{}")
    result = run(suite, "--edgeval-baseline", BASELINE)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*edgeval.baseline/1*To mend it: *"])
    assert ".py:" not in result.stdout.str()


def test_a_run_that_is_gone_fails_every_gate_with_one_sentence(suite: pytest.Pytester, baseline: Path) -> None:
    shutil.copy(baseline, suite.path / BASELINE)
    result = run(suite, "--edgeval-baseline", BASELINE)
    result.assert_outcomes(failed=len(ORDER))
    result.stdout.fnmatch_lines(["*found no such folder*To mend it: *"])
    assert "Traceback" not in result.stdout.str()


USES = """
    import pytest
    from edgeval.run_directory import RunDirectory

    def test_use({arguments}):
        assert isinstance(edgeval_run, RunDirectory)
        assert len(edgeval_run.network().nodes) == 4
"""


def test_the_fixture_gives_every_run_of_the_baseline(suite: pytest.Pytester, baseline: Path) -> None:
    copied(baseline, suite.path)
    suite.makepyfile(USES.format(arguments="edgeval_run"))
    result = run(suite, "-v", "--edgeval-baseline", BASELINE, "-m", "not edgeval_gate")
    result.assert_outcomes(passed=1, deselected=len(ORDER))
    result.stdout.fnmatch_lines(["*::test_use[[]run] PASSED*"])


@pytest.mark.parametrize("mark", ["edgeval_run('run')", "parametrize('edgeval_run', ['run'], indirect=True)"])
def test_the_fixture_gives_the_run_that_a_mark_names(suite: pytest.Pytester, baseline: Path, mark: str) -> None:
    copied(baseline, suite.path)
    marked = USES.format(arguments="edgeval_run").replace("def test_use", f"@pytest.mark.{mark}\n    def test_use")
    suite.makepyfile(marked)
    options = ("--edgeval-baseline", BASELINE, "-m", "not edgeval_gate")
    run(suite, *options).assert_outcomes(passed=1, deselected=len(ORDER))


def test_the_fixture_takes_a_path_where_there_is_no_baseline(suite: pytest.Pytester, baseline: Path) -> None:
    shutil.copytree(baseline.parent / "run", suite.path / "runs" / "mine")
    marked = USES.format(arguments="edgeval_run")
    suite.makepyfile(marked.replace("def test_use", "@pytest.mark.edgeval_run('runs/mine')\n    def test_use"))
    run(suite).assert_outcomes(passed=1)


def test_the_fixture_without_any_run_says_how_to_name_one(suite: pytest.Pytester) -> None:
    suite.makepyfile(USES.format(arguments="edgeval_run"))
    result = run(suite)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["edgeval_run: found no run; allowed: *--edgeval-baseline FILE"])


def test_the_fixture_names_a_run_that_is_not_there(suite: pytest.Pytester) -> None:
    marked = USES.format(arguments="edgeval_run")
    suite.makepyfile(marked.replace("def test_use", "@pytest.mark.edgeval_run('gone')\n    def test_use"))
    result = run(suite)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["edgeval_run: *gone: found no such folder*"])


def test_another_suite_sees_no_difference_and_loads_nothing(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import sys

        def test_nothing_heavy_is_loaded():
            heavy = {"torch", "numpy", "msgspec", "onnx", "hls", "edgeval.records", "edgeval.regression"}
            assert heavy.isdisjoint(sys.modules)
            assert "edgeval.pytest_plugin" in sys.modules
        """
    )
    result = suite.runpytest_subprocess(*PLUGIN)
    result.assert_outcomes(passed=1)
    assert "edgeval" not in "\n".join(result.outlines[-3:])


@pytest.mark.long
@pytest.mark.gxx
def test_workers_share_the_gates_and_find_each_once(suite: pytest.Pytester, baseline: Path) -> None:
    copied(baseline, suite.path)
    options = ("-p", "xdist.plugin", "-n", "2", "--dist", "loadscope", "--edgeval-baseline", BASELINE)
    suite.runpytest_subprocess(*PLUGIN, *options).assert_outcomes(passed=8, skipped=3)


def installed(folder: Path) -> None:
    """Make a folder look like one that edgeval's plugin was installed into, its code being this checkout's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [f"{name} = {module}" for name, module in project["entry-points"]["pytest11"].items()]
    metadata = folder / "plugin_of_edgeval-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin-of-edgeval\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[pytest11]\n" + "\n".join(lines) + "\n")


def test_an_installed_plugin_is_found_by_its_entry_point(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(suite.path / "site")
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    monkeypatch.setenv("PYTHONPATH", f"{suite.path / 'site'}{os.pathsep}{ROOT}")
    suite.runpytest_subprocess("--help").stdout.fnmatch_lines(["*--edgeval-baseline=FILE*"])


def test_the_installed_plugin_leaves_our_own_suite_to_jaxtyping(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(suite.path / "site")
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    monkeypatch.setenv("PYTHONPATH", f"{suite.path / 'site'}{os.pathsep}{ROOT}")
    checked = "--jaxtyping-packages=edgeval,hls,fault_injection,beartype.beartype"
    page = str(ROOT / "tests" / "hls" / "test_files.py")
    result = suite.runpytest_subprocess("-c", str(ROOT / "pyproject.toml"), checked, "--collect-only", "-q", page)
    assert result.ret == 0


@pytest.mark.gxx
def test_the_example_in_the_documentation_passes(suite: pytest.Pytester, baseline: Path) -> None:
    copied(baseline, suite.path)
    page = (ROOT / "docs" / "continuous-integration.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    suite.makepyfile(example.replace('"digits"', '"run"'))
    options = ("--edgeval-baseline", BASELINE, "-m", "not edgeval_gate")
    run(suite, *options).assert_outcomes(passed=1, deselected=len(ORDER))
