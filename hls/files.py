"""Writing files so that no one ever sees half of one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

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


Result = TypeVar("Result")


def replace_folder(directory: Path, write: Callable[[Path], Result]) -> Result:
    """Write a whole folder under a temporary name beside it, then put it in the older one's place.

    Args:
        directory: Folder to make or replace.
        write: Fills the folder it is given; what it raises leaves the older folder as it was.

    Raises:
        InputError: the folder cannot be written or the disk is full.
    """
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    except OSError as error:
        raise write_error(directory, error) from error
    try:
        result = write(temporary)
        temporary.chmod(0o755)
        if directory.exists():
            shutil.rmtree(directory)
        temporary.replace(directory)
    except OSError as error:
        raise write_error(directory, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return result


def write_error(path: Path, error: OSError) -> InputError:
    """The error for a file that could not be written."""
    return InputError(
        found=f"{error.strerror or error} while writing",
        allowed="a writable folder with free space",
        where=str(path),
        remedy="free some space or choose another output folder; nothing was changed",
    )
