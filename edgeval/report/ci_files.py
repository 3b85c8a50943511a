"""The files that a check writes for continuous integration."""

from __future__ import annotations

from pathlib import Path

from edgeval.regression_record import RegressRecord
from edgeval.report.gates import Place
from edgeval.report.junit import junit_xml
from edgeval.report.markdown import markdown_summary
from edgeval.report.sarif import sarif_json
from hls.errors import UsageError
from hls.files import atomic_write


def write_ci_files(
    record: RegressRecord, place: Place, *, junit: Path | None, sarif: Path | None, markdown: Path | None
) -> None:
    """Write what was asked for, each file in one step.

    Args:
        record: Of a check.
        place: Where its baseline lies in the repository.
        junit: File to write, if any; so are the others.
        sarif: The same.
        markdown: The same.

    Raises:
        UsageError: one is something else than a file. InputError: one cannot be written.
    """
    if junit is not None:
        _write("--junit", junit, junit_xml(record, place.path))
    if sarif is not None:
        _write("--sarif", sarif, sarif_json(record, place))
    if markdown is not None:
        _write("--markdown", markdown, markdown_summary(record, place.path).encode())


def _write(option: str, path: Path, content: bytes) -> None:
    """Replace a file; never a device, such as ``/dev/stdout``, which would be gone for all."""
    target = path.resolve()
    if target.exists() and not target.is_file():
        raise UsageError(
            found=f"{path}, which is no file",
            allowed="a file, new or to be replaced",
            where=option,
            remedy="give the name of a file, and print that",
        )
    atomic_write(target, content)
