"""JSON and YAML that somebody else wrote: read into values, or refused in one way whatever is wrong with them."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from hls.errors import EdgevalError
from hls.sizes import MOST_RECORD_BYTES

Kind = TypeVar("Kind")

MOST_SETTINGS = 100_000
"""Values in one YAML file, every use of an anchor counted: a few lines of anchors can stand for billions."""


class UnreadableError(Exception):
    """A file that is missing, damaged or of another kind, in words; callers say where and what to do."""


def read_json(path: Path, kind: type[Kind]) -> Kind:
    """The value that a JSON file holds.

    Args:
        path: A regular file of at most ``MOST_RECORD_BYTES``.
        kind: A msgspec type.

    Raises:
        UnreadableError: missing, damaged, nested without end, or not of that type.
    """
    try:
        return msgspec.json.decode(_content(path), type=kind)
    except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError, EdgevalError) as error:
        raise UnreadableError(f"{type(error).__name__}: {error}") from error


def read_yaml(path: Path) -> Any:
    """The plain values that a YAML file holds; no tag makes an object.

    Raises:
        UnreadableError: missing, damaged, nested without end, or too large.
    """
    try:
        content = yaml.safe_load(_content(path).decode("utf-8"))
    except (OSError, UnicodeError, ValueError, TypeError, LookupError, RecursionError, yaml.YAMLError) as error:
        raise UnreadableError(f"{type(error).__name__}: {error}") from error
    if _count(content, MOST_SETTINGS) > MOST_SETTINGS:
        raise UnreadableError(f"more than {MOST_SETTINGS:,} values")
    return content


def _content(path: Path) -> bytes:
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise OSError("no regular file")
    if facts.st_size > MOST_RECORD_BYTES:
        raise OSError(f"{facts.st_size:,} bytes, more than {MOST_RECORD_BYTES:,}")
    return path.read_bytes()


def _count(tree: Any, most: int) -> int:
    """Values in a tree, as if every shared part were written out; stops behind ``most``."""
    waiting, count = [tree], 0
    while waiting and count <= most:
        item = waiting.pop()
        count += 1
        if isinstance(item, dict):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list | tuple):
            waiting += item
    return count
