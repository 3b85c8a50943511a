"""Every code block of the documentation is run, or stands in a list with the reason why not."""

from __future__ import annotations

import ast
import fcntl
import os
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from support import doc_material as material
from support.doc_session import Printed, Session
from support.snippets import Block, Reader, agrees, blocks

from edgeval.cli import make_app

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md"), ROOT / "README.md"],
    key=lambda path: path.relative_to(ROOT).as_posix(),
)
BLOCKS = [block for page in PAGES for block in blocks(page, ROOT)]

DRAWING = "a drawing or a listing: nothing to run"
NOT_RUN = {
    "docs/architecture.md: edgeval/           the workbench: targets, quantization": DRAWING,
    "docs/architecture.md: target ─► recipe ─► Brevitas model": DRAWING,
    "docs/fault-models.md: interleave 1, one word a row": DRAWING,
    "docs/interfaces.md: runs/digits/": DRAWING,
    "docs/hls4ml.md: error: static assertion failed": "what g++ says; tests/hls/hls4ml_flow/test_extension_cpp.py",
    "docs/clusters.md: dask scheduler --port 8786": "servers; docs/how-to/slurm.md is run and starts the same",
    "docs/clusters.md: from dask_jobqueue import SLURMCluster": "needs SLURM; docs/how-to/slurm.md is run instead",
    "docs/clusters.md: python cluster.py": "needs SLURM; docs/how-to/slurm.md is run instead",
    "docs/clusters.md: from dask_jobqueue import HTCondorCluster": "needs HTCondor",
    "docs/commands/doctor.md: ": "versions and variables of one machine; the tutorial runs it",
    "docs/commands/export.md: edgeval export RUN": "the three forms of the command; each has its example below",
    "docs/continuous-integration.md: ": "files of services; tests/ci/test_action.py, tests/ci/test_gitlab.py run them",
    "docs/regression.md: ": "names runs that are not here; tests/flow/test_regress.py tells the whole story",
    "docs/commands/regress.md: ": "tests/flow/test_regress.py tells the whole story; the tutorial locks and checks",
    "docs/tutorial.md: python3 -m venv": "the installation; `.ci/run` installs the wheel into a fresh environment",
    "docs/tutorial.md: jobs:": "a workflow of GitHub; tests/ci/test_action.py runs the action's steps",
    "docs/how-to/read-a-differ.md: DIFFER 1,765": "the line that the last block prints",
    "docs/python-api.md: import edgeval": "tests/edgeval/api/test_results.py runs it on a module and arrays",
    "README.md: make demo": "`.ci/run` runs both",
    "README.md: digits: float accuracy 98.6 %": "what `make demo` prints; `.ci/run` runs it",
    "README.md: import edgeval": "tests/edgeval/api/test_results.py calls the same on a module and arrays",
    "README.md: $ edgeval export TFC_1W1A.onnx": "needs third-party models; tests/flow/test_third_party.py runs them",
}
"""Blocks that no test runs, by the beginning of their name, and why."""

LONG = {
    "docs/commands/csim-compare.md: $ edgeval csim-compare runs/digits --matrix": "fourteen C-simulations",
    "docs/commands/demo.md: ": "trains two models; `.ci/run` runs it as well",
    "docs/commands/emulator.md: ": "compiles; docs/how-to/cms-emulator.md shows the same of a smaller network",
    "docs/commands/error-rate.md: ": "two thousand images of a memory",
    "docs/commands/export.md: $ cd examples/own_model": "trains; exports twice",
    "docs/commands/harden.md: ": "compiles 1,981 voters; docs/how-to/harden-under-a-budget.md shows the rest",
    "docs/commands/inject-faults.md: ": "six campaigns; docs/how-to/plan-a-campaign.md runs three of them",
    "docs/commands/rank-bits.md: ": "ten rankings, each scored on every bit",
    "docs/commands/train.md: ": "trains; the tutorial does so as well",
    "docs/commands/worst-flips.md: ": "eleven campaigns",
    "docs/diagnosis.md: ": "builds; docs/how-to/read-a-differ.md shows the same",
    "docs/how-to/cms-emulator.md: ": "compiles; tests/flow/test_emulator.py does so with a smaller network",
    "docs/how-to/gate-in-ci.md: ": "locks and checks in a clone; the tutorial locks and checks",
    "docs/how-to/harden-under-a-budget.md: ": "half a minute; tests/edgeval/test_hardening.py is sooner",
    "docs/how-to/own-qonnx.md: $ edgeval export model.onnx -o runs/native": "builds; read-a-differ.md does so as well",
    "docs/tutorial.md: $ edgeval regress check --update": "one more check; tests/flow/test_regress.py updates",
    "examples/README.md: $ python examples/brevitas_module.py": "trains and builds",
    "examples/own_model/README.md: ": "trains and builds",
}
"""Blocks that are only run by ``make test-long``, by the beginning of their name, and what takes so long."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a page is run with.

    Attributes:
        exact: Whether the numbers on it are of the network that is trained here.
        brings: What lies in its folder, beside the run ``runs/digits``.
        substitutes: Texts that stand for something of the reader's own.
    """

    exact: bool = True
    brings: tuple[Callable[[Path], None], ...] = ()
    substitutes: dict[str, str] = field(default_factory=dict)


SETTINGS = {
    "docs/commands/demo.md": Setting(exact=False),
    "docs/commands/export.md": Setting(
        exact=False,
        brings=(material.examples, material.narrow_graph),
        substitutes={
            "-o RUN --project": "-o runs/other --project",
            "~/designs/trigger": "runs/mine/native",
            "-o RUN": "-o runs/mine",
            "hls4ml.yml": "narrow.yml",
        },
    ),
    "docs/commands/inject-faults.md": Setting(brings=(material.mine_with_multipliers,)),
    "docs/diagnosis.md": Setting(brings=(material.narrow_graph,)),
    "docs/how-to/cms-emulator.md": Setting(brings=(material.mine,)),
    "docs/how-to/own-qonnx.md": Setting(brings=(material.own_graph,)),
    "docs/how-to/read-a-differ.md": Setting(brings=(material.narrow_graph,)),
    "docs/how-to/slurm.md": Setting(
        brings=(material.slurm,), substitutes={"source ~/edgeval/.venv/bin/activate": "cd ."}
    ),
    "docs/hls4ml.md": Setting(exact=False, brings=(material.edited_weight, material.plain_graph)),
    "README.md": Setting(exact=False, brings=(material.own_graph,), substitutes={"runs/demo/digits": "runs/digits"}),
    "examples/README.md": Setting(brings=(material.examples,)),
    "examples/own_model/README.md": Setting(brings=(material.own_model,)),
}
"""Pages that need something else than the run; the others have only that."""


def _listed(block: Block, listing: dict[str, str]) -> str | None:
    """Why a block stands in a list; ``None`` where it does not."""
    return next((reason for start, reason in listing.items() if block.name.startswith(start)), None)


def _to_run(page: str, *, long: bool) -> list[Block]:
    """The blocks of a page that a test runs, in order."""
    blocks_of_page = [block for block in BLOCKS if block.page == page and _listed(block, NOT_RUN) is None]
    return [block for block in blocks_of_page if long or _listed(block, LONG) is None]


RUN_PAGES = list(dict.fromkeys(block.page for block in BLOCKS if _to_run(block.page, long=False)))
IN_CI = ("docs/tutorial.md",)
"""Pages that CI has time for: the tutorial calls most verbs. `make test-long` runs all."""
LONG_PAGES = list(dict.fromkeys(block.page for block in BLOCKS if _listed(block, LONG)))


@pytest.mark.parametrize("block", BLOCKS, ids=[f"{block.page}:{block.number}" for block in BLOCKS])
def test_a_block_is_run_or_says_why_not(block: Block) -> None:
    reason = _listed(block, NOT_RUN)
    assert (block.kind == "text") <= (reason is not None), "commands begin with '$ ' or a known program; see NOT_RUN"
    for path in re.findall(r"(?:tests|docs)/[\w/.-]+\.(?:py|md)", reason or ""):
        assert (ROOT / path).exists(), f"{path} is to run what {block.name} shows"


@pytest.mark.parametrize("start", [*NOT_RUN, *LONG])
def test_no_reason_is_left_behind_by_a_block_that_is_gone(start: str) -> None:
    assert any(block.name.startswith(start) for block in BLOCKS)


def _edgeval_lines() -> list[tuple[Block, str]]:
    """Every line of the pages that calls ``edgeval`` and nothing else."""
    lines = []
    for block in BLOCKS:
        for command in block.commands() if block.kind == "console" else ():
            words = shlex.split(command.line, comments=True)
            if words and words[0] == "edgeval" and not {"|", "&&", ";", ">"} & set(words):
                lines.append((block, command.line))
    return lines


@pytest.mark.parametrize(("block", "line"), _edgeval_lines(), ids=lambda item: item if isinstance(item, str) else "")
def test_every_command_line_is_one_that_the_program_takes(block: Block, line: str) -> None:
    make_app().parse_args(shlex.split(line, comments=True)[1:], exit_on_error=False, print_error=False)


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language == "python"], ids=lambda block: block.name
)
def test_every_python_block_is_python(block: Block) -> None:
    ast.parse(block.text)


# The pages, run.


TUTORIAL = "docs/tutorial.md"
CAMPAIGN = "$ edgeval inject-faults runs/digits"


@dataclass(frozen=True, kw_only=True)
class Start:
    """What the first half of the tutorial left behind, where the other pages begin.

    Attributes:
        run: The run of digits, with everything up to a campaign.
        printed: What its commands printed.
        known: Whether training gave the network whose numbers are on the pages.
    """

    run: Path
    printed: list[Printed]
    known: bool


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Start:
    """The tutorial up to its campaign, followed once for all worker processes."""
    shared = tmp_path_factory.getbasetemp() if worker_id == "master" else tmp_path_factory.getbasetemp().parent
    folder = shared / "tutorial"
    folder.mkdir(exist_ok=True)
    record = folder / "printed.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not record.exists():
            session = Session(folder=folder)
            for block in _first_half():
                session.run(block)
            record.write_bytes(msgspec.json.encode(session.printed))
    run = folder / "runs" / "digits"
    return Start(
        run=run,
        printed=msgspec.json.decode(record.read_bytes(), type=list[Printed]),
        known=material.words_of(run) == material.DIGITS_WORDS,
    )


def _first_half() -> list[Block]:
    """The blocks of the tutorial up to its campaign."""
    tutorial = _to_run(TUTORIAL, long=False)
    last = next(place for place, block in enumerate(tutorial) if block.text.startswith(CAMPAIGN))
    return tutorial[: last + 1]


def _follow(page: str, start: Start, folder: Path, *, long: bool) -> None:
    """Run a page and require what it says."""
    setting = SETTINGS.get(page, Setting())
    shutil.copytree(start.run, folder / "runs" / "digits")
    for bring in setting.brings:
        bring(folder)
    (campaign,) = (start.run / "outcomes").iterdir()
    session = Session(folder=folder, substitutes={"<identity>": campaign.name, **setting.substitutes})
    done = _first_half() if page == TUTORIAL else []
    for block in _to_run(page, long=long):
        if block not in done:
            session.run(block)
    replaced = {str(folder): "", os.environ.get("EDGEVAL_CACHE", "~/.cache/edgeval"): "/home/you/.cache/edgeval"}
    reader = Reader(exact=setting.exact and start.known, replaced=replaced)
    printed = [*(start.printed if page == TUTORIAL else ()), *session.printed]
    wrong = [problem for problem in (entry.wrong(reader) for entry in printed) if problem]
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.gxx
@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page if page in IN_CI else pytest.param(page, marks=pytest.mark.long) for page in RUN_PAGES]
)
def test_a_page_does_what_it_says(page: str, start: Start, tmp_path: Path) -> None:
    _follow(page, start, tmp_path, long=False)


@pytest.mark.gxx
@pytest.mark.long
@pytest.mark.parametrize("page", LONG_PAGES)
def test_a_page_does_what_it_says_with_what_takes_long(page: str, start: Start, tmp_path: Path) -> None:
    _follow(page, start, tmp_path, long=True)


# The reader itself: it has to be able to fail.

NUMBERS = Reader(exact=True)
FORM = Reader(exact=False)


def test_another_number_is_seen() -> None:
    assert agrees(["DIFFER 3 of 10 words"], ["DIFFER 3 of 10 words"], NUMBERS)
    assert not agrees(["DIFFER 3 of 10 words"], ["DIFFER 4 of 10 words"], NUMBERS)


def test_another_word_is_seen_whatever_the_numbers() -> None:
    assert agrees(["DIFFER 3 of 10 words"], ["DIFFER 1,024 of 10 words"], FORM)
    assert not agrees(["DIFFER 3 of 10 words"], ["MATCH 3 of 10 words"], FORM)


def test_a_line_too_much_and_a_line_too_few_are_seen() -> None:
    assert not agrees(["a"], ["a", "b"], NUMBERS)
    assert not agrees(["a", "b"], ["a"], NUMBERS)
    assert not agrees(["a"], [], FORM)


def test_an_ellipsis_stands_for_lines_and_for_the_middle_of_one() -> None:
    assert agrees(["a", "…", "d"], ["a", "b", "c", "d"], NUMBERS)
    assert agrees(["a", "…"], ["a"], NUMBERS)
    assert agrees(["a … d"], ["a b c d"], NUMBERS)
    assert not agrees(["a", "…", "d"], ["a", "b", "c"], NUMBERS)


def test_times_digests_and_the_compiler_may_differ() -> None:
    said = ["0.88 s with g++ (Debian 12.2.0-14) 12.2.0, 8283071260cdcbac"]
    assert agrees(said, ["1.2 s with g++ (GCC) 13.1, 1b07f8ba97dd4c5e"], NUMBERS)
    assert not agrees(said, ["1.2 s with clang, 1b07f8ba97dd4c5e"], NUMBERS)


def _block(text: str, *, language: str = "", before: str = "") -> Block:
    return Block(page="page.md", number=1, language=language, text=text, before=before)


def test_blocks_are_told_apart() -> None:
    assert _block("$ edgeval doctor\nall is here\n").kind == "console"
    assert _block("edgeval doctor   # looks\nmake demo\n").kind == "console"
    assert _block("a ─► b\n").kind == "text"
    assert _block("x = 1\n", language="python").kind == "python"
    assert _block("x: 1\n", language="yaml", before="Save as `gate.yml`:").file == "gate.yml"


def test_a_page_that_says_something_else_fails(tmp_path: Path) -> None:
    session = Session(folder=tmp_path)
    session.run(_block("$ echo one\none\n$ echo two\n$ echo one\ntwo\n$ false\n$ edgeval export nowhere\n"))
    assert [bool(entry.wrong(NUMBERS)) for entry in session.printed] == [False, False, True, True, True]
