"""Every environment variable the project reads, in one place, parsed strictly.

======================  ======================================================
``EDGEVAL_CACHE``       folder for built C-simulations and extracted data
``EDGEVAL_CXX``         C++ compiler to use instead of ``g++``
``EDGEVAL_WORKERS``     how many worker processes; default: the cores we may use
``EDGEVAL_DATA``        folder with real data for the tests; read by tests only
``XDG_CACHE_HOME``      where caches live, by the desktop's own convention
======================  ======================================================
"""

from __future__ import annotations

import os
from pathlib import Path

from hls.errors import UsageError

VARIABLES = {
    "EDGEVAL_CACHE": "folder for built C-simulations and extracted data",
    "EDGEVAL_CXX": "C++ compiler to use instead of g++",
    "EDGEVAL_WORKERS": "worker processes of the C-simulation",
    "EDGEVAL_DATA": "real data for the tests",
    "EDGEVAL_TORCH_INDEX": "package index of the set-up",
}
"""Every variable of ours, and what it is for; the set-up scripts read the last one."""


def cache_directory() -> Path:
    """Folder that holds what can be made again: built C-simulations, extracted data files.

    Returns:
        ``EDGEVAL_CACHE`` if it is set, else ``~/.cache/edgeval`` (``XDG_CACHE_HOME`` is honoured). Not created here.
    """
    if chosen := os.environ.get("EDGEVAL_CACHE"):
        return Path(chosen).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "edgeval"


def compiler_override() -> str | None:
    """Name or path of the C++ compiler the user asked for, ``None`` for the default."""
    return os.environ.get("EDGEVAL_CXX") or None


def usable_cores() -> int:
    """Cores this process may run on."""
    return max(1, len(os.sched_getaffinity(0)))


def worker_count() -> int:
    """How many worker processes to run at once.

    Raises:
        UsageError: ``EDGEVAL_WORKERS`` is not a positive integer.
    """
    text = os.environ.get("EDGEVAL_WORKERS")
    if text is None or text == "":
        return usable_cores()
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(
            found=repr(text),
            allowed="a positive integer",
            where="environment variable EDGEVAL_WORKERS",
            remedy="unset it or give the number of processes",
        )
    return int(text)
