"""A process that tries damaged files: ``python -m support.fuzz_worker FOLDER TARGET FIRST COUNT``, run by ``fuzzing``.

It says before and after each case what happens, one JSON line each, so that whoever reads knows the case that ended
the process. It may not write outside its folder, start programs or take more memory than is set.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import resource
import shutil
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

EXTRA_BYTES = 1 << 30
"""Memory that one case may take, beyond what the process has when it starts."""
LARGEST_FILE_BYTES = 1 << 28

_OPENED, _NAMED, _PAIRS = {"open"}, {
    "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.chown", "os.utime", "shutil.rmtree",
    "tempfile.mkstemp", "tempfile.mkdtemp",
}, {"os.rename", "os.link", "os.symlink", "shutil.copyfile", "shutil.move"}  # fmt: skip
_SOURCE_STAYS = {"os.symlink", "shutil.copyfile"}
_HARMLESS = {"uname"}  # how Python's own platform module asks for the processor
_NEVER = {
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "socket.connect", "pty.spawn",
    "webbrowser.open",
}  # fmt: skip


class Watch:
    """What a case does beyond its folder, seen by an audit hook; it is refused as well as remembered."""

    def __init__(self, allowed: Path) -> None:
        self.allowed = os.path.realpath(allowed)
        self.active = False
        self.seen: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.active:
            return
        if event in _NEVER and not self._is_stub(arguments):
            self._refuse(f"{event} {arguments!r:.200}")
        elif event in _OPENED:
            path, mode, flags = arguments
            writes = (isinstance(mode, str) and any(c in mode for c in "wax+")) or (
                isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            )
            if writes and not isinstance(path, int):
                self._inside(event, path)
        elif event in _NAMED:
            self._inside(event, arguments[0])
        elif event in _PAIRS:
            for path in arguments[event in _SOURCE_STAYS : 2]:
                self._inside(event, path)

    def _is_stub(self, arguments: tuple[Any, ...]) -> bool:
        return bool(arguments) and str(arguments[0]) in {os.environ["EDGEVAL_CXX"], *_HARMLESS}

    def _inside(self, event: str, path: Any) -> None:
        if isinstance(path, int) or path is None:
            return
        text = str(Path(os.fsdecode(path)).parent.resolve())  # of a link, where the link itself lies
        if text != self.allowed and not text.startswith(f"{self.allowed}{os.sep}") and os.fsdecode(path) != os.devnull:
            self._refuse(f"{event} {os.fsdecode(path)}")

    def _refuse(self, what: str) -> None:
        self.seen.append(what)
        raise PermissionError(f"not in a fuzzed process: {what}")


def main(folder: Path, target: str, first: int, count: int) -> None:
    """Try the cases ``first`` to ``first + count``."""
    sys.dont_write_bytecode = True
    faulthandler.enable()
    temporary = folder / "tmp"
    for place in (temporary, folder / "corpus", folder / "cwd"):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
    os.environ |= {"TMPDIR": str(temporary), "EDGEVAL_WORKERS": "1"}
    tempfile.tempdir = None
    os.chdir(folder / "cwd")
    from support import fuzz_targets

    from edgeval import cli

    last: list[str] = []
    cli._report_bug = lambda arguments: last.append(traceback.format_exc()) or 4
    attempt = fuzz_targets.targets()[target](folder / "corpus")
    # Kernels are loaded by now; from here on there is no compiler, and nothing of the machine's own to write to.
    os.environ |= {"EDGEVAL_CACHE": str(folder / "cache"), "EDGEVAL_CXX": "/bin/false", "HOME": str(folder)}
    watch = Watch(folder)
    sys.addaudithook(watch)
    _limit()
    answers = os.fdopen(os.dup(1), "w")
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115  # for as long as the process lives
    for case in range(first, first + count):
        place = folder / "case"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        answers.write(json.dumps({"start": case}) + "\n")
        answers.flush()
        last.clear()
        answer = _tried(attempt, case, place, watch, last)
        answers.write(json.dumps({"case": case, **answer}) + "\n")
        answers.flush()
        for left in temporary.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def _tried(attempt: Any, case: int, place: Path, watch: Watch, last: list[str]) -> dict[str, str]:
    from hls.errors import EdgevalError

    watch.seen.clear()
    watch.active = True
    try:
        attempt(case, place)
        answer = {"outcome": "taken"}
    except EdgevalError as error:
        answer = {"outcome": "refused", "text": f"{type(error).__name__}: {error}"[:300]}
        if "MemoryError" in str(error) or "Unable to allocate" in str(error):
            answer = {"outcome": "finding", "text": f"memory: {error}"[:600], "where": _place(error)}
    except BaseException as error:  # noqa: BLE001  # whatever it is, it is a finding
        told = last[-1] if last else "".join(traceback.format_exception(error))
        answer = {"outcome": "finding", "text": told[-2500:], "where": _last_place(told) if last else _place(error)}
        del error
    watch.active = False
    if watch.seen:
        answer = {"outcome": "finding", "text": f"{watch.seen[:3]}", "where": f"outside: {watch.seen[0]}"[:120]}
    if list((place.parent / "cwd").iterdir()):
        answer = {"outcome": "finding", "text": "the working folder was written to", "where": "cwd"}
    gc.collect() if case % 50 == 0 else None
    return answer


def _place(error: BaseException) -> str:
    """Kind of an error and the innermost line of this repository: equal for findings with one cause."""
    root = str(Path(__file__).parents[2])
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f.filename.startswith(root) and "/tests/" not in f.filename] or list(frames)
    last = own[-1]
    return f"{type(error).__name__} {last.filename.removeprefix(f'{root}/')}:{last.name}"


def _last_place(told: str) -> str:
    import re

    root = str(Path(__file__).parents[2])
    own = re.findall(rf'File "{re.escape(root)}/((?!tests/)[^"]+)", line \d+, in (\w+)', told)
    kind = told.strip().splitlines()[-1].split(":")[0]
    return f"{kind} {own[-1][0]}:{own[-1][1]}" if own else kind


def _limit() -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + EXTRA_BYTES, size + EXTRA_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE_BYTES, LARGEST_FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
