"""What a shared library exports, and the refusal of anything it should not.

Two hls4ml emulators in one process once read each other's weights, because both exported an array of one name and the
loader bound both to the first. A library that exports a few functions of its own and nothing else cannot do that.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from hls.errors import ToolError
from hls.toolchain import run_tool

_TIMEOUT_S = 60.0
_SHOWN = 5


def exported_symbols(library: Path) -> tuple[str, ...]:
    """Names of every dynamic symbol that a library defines, sorted, mangled as they are.

    Raises:
        ToolError: no nm, or it cannot read the file.
    """
    nm = shutil.which("nm")
    if nm is None:
        raise ToolError(
            found="no 'nm' on PATH",
            allowed="nm of GNU binutils or LLVM",
            where="symbol audit",
            remedy="install binutils (Debian: apt install binutils); a package is not written without the audit",
        )
    listing = run_tool([nm, "--dynamic", "--defined-only", "--format=posix", str(library)], timeout_s=_TIMEOUT_S)
    return tuple(sorted(line.split()[0] for line in listing.splitlines() if line.strip()))


def audit_symbols(library: Path, allowed: Iterable[str]) -> None:
    """Refuse a library that exports anything but exactly ``allowed``.

    Raises:
        ToolError: naming the first symbols too many or missing.
    """
    found, expected = set(exported_symbols(library)), set(allowed)
    for text, names in (("exports", found - expected), ("does not export", expected - found)):
        if names:
            shown = ", ".join(sorted(names)[:_SHOWN])
            more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
            raise ToolError(
                found=f"a library that {text} {shown}{more}",
                allowed=f"exactly {', '.join(sorted(expected))}",
                where=f"symbol audit of {library.name}",
                remedy="build with the Makefile's own HIDDEN and EXPORTS: shared names bind two models to one array",
            )
