"""Writing files so that no one ever sees half of one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hls.errors import InputError


def atomic_write(path: Path, content: bytes) -> None:
    """Write to a temporary name in the same folder, then rename: readers see the old file or the new one.

    Raises:
        InputError: the folder cannot be written or the disk is full; the old file is still there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise write_error(path, error) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def write_error(path: Path, error: OSError) -> InputError:
    """The error for a file that could not be written."""
    return InputError(
        found=f"{error.strerror or error} while writing",
        allowed="a writable folder with free space",
        where=str(path),
        remedy="free some space or choose another output folder; nothing was changed",
    )
