"""argv → one frozen config per command → ``run(config)`` → exit code. Imports nothing heavy.

Exit codes: 0 done and true; 1 done and false (words differ, no verdict, a cross-check failed); 2 usage; 3 input or tool
problem; 4 bug; 130 interrupted.
"""

from __future__ import annotations

import sys
import tempfile
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cyclopts import App, Parameter

from edgeval.commands.csim_compare import csim_compare
from edgeval.commands.demo import demo
from edgeval.commands.doctor import doctor
from edgeval.commands.emulator import emulator
from edgeval.commands.error_rate import error_rate
from edgeval.commands.export import export
from edgeval.commands.harden import harden
from edgeval.commands.inject_faults import inject_faults
from edgeval.commands.mission import mission
from edgeval.commands.rank_bits import rank_bits
from edgeval.commands.regress import make_regress
from edgeval.commands.report import report
from edgeval.commands.targets import targets
from edgeval.commands.train import train
from edgeval.commands.worst_flips import worst_flips
from hls.errors import EdgevalError

_INPUT = 3
_BUG = 4
_INTERRUPTED = 130


def make_app() -> App:
    """The command line: one verb a command."""
    app = App(
        name="edgeval",
        help="Prove that the network in the FPGA is the network you trained, and know what a flipped bit does to it.",
        version=_version,
        default_parameter=Parameter(negative=()),
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    commands = (
        targets, train, export, csim_compare, emulator, inject_faults, rank_bits, error_rate, worst_flips, harden,
        mission, report, demo, doctor,
    )  # fmt: skip
    for command in commands:
        app.command(command)
    app.command(make_regress())
    return app


def main(arguments: list[str] | None = None) -> None:
    """Entry point: run a command and exit with its code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run a command line and return its exit code; expected failures become one message on standard error."""
    try:
        code = make_app()(arguments)
    except EdgevalError as error:
        sys.stderr.write(f"error: {_printable(str(error))}\n")
        return error.exit_code
    except MemoryError:
        sys.stderr.write(_NO_MEMORY)
        return _INPUT
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; run the same command again to go on\n")
        return _INTERRUPTED
    except Exception:  # noqa: BLE001  # the one place where a bug becomes an exit code
        return _report_bug(arguments)
    return int(code or 0)


_NO_MEMORY = (
    "error: memory: found more to hold than this machine has free; allowed: what fits. To mend it: give fewer "
    "--samples, a smaller network, or a machine with more memory.\n"
)


def _printable(text: str) -> str:
    """A message whose names, which come out of files, cannot move a terminal's cursor or pass for another line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _report_bug(arguments: list[str]) -> int:
    with tempfile.NamedTemporaryFile("w", prefix="edgeval-", suffix=".log", delete=False, encoding="utf-8") as log:
        log.write(f"edgeval {_version()} {' '.join(arguments)}\n\n{traceback.format_exc()}")
    last = traceback.format_exc().strip().splitlines()[-1]
    sys.stderr.write(f"this is a bug in edgeval: {last}\nplease report it with {Path(log.name)}\n")
    return _BUG


def _version() -> str:
    try:
        return version("edgeval-toolkit")
    except PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    main()
