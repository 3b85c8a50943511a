"""Errors of all three packages: four parts, one exit code each.

::

    EdgevalError                what was found, what is allowed, where, what to do
    ├── UsageError              the command was asked for something that cannot be (exit 2)
    ├── InputError              a file, array or model that cannot be used (exit 3)
    │   ├── FormatError         a word does not fit its format
    │   ├── LoweringError       a graph that has no exact integer meaning here
    │   └── RunDirectoryError   missing, corrupt or foreign run directory
    └── ToolError               a compiler or simulator is missing, failed or crashed (exit 3)

They live in ``hls`` because it is the lowest floor: the other two packages raise them as they are.
"""

from __future__ import annotations


class EdgevalError(Exception):
    """An expected failure, told in four parts.

    Args:
        found: What was found, with the offending value.
        allowed: What would have been accepted.
        where: Layer, tensor, index, file or option.
        remedy: What the user can do about it.

    Example:
        >>> print(InputError(found="NaN", allowed="finite values", where="inputs[3, 1]", remedy="drop that sample"))
        inputs[3, 1]: found NaN; allowed: finite values. To mend it: drop that sample.
    """

    exit_code = 3

    def __init__(self, *, found: str, allowed: str, where: str, remedy: str) -> None:
        super().__init__(f"{where}: found {found}; allowed: {allowed}. To mend it: {remedy}.")
        self.found = found
        self.allowed = allowed
        self.where = where
        self.remedy = remedy


class UsageError(EdgevalError):
    """A command was asked for something that cannot be."""

    exit_code = 2


class InputError(EdgevalError):
    """A file, array or model cannot be used."""


class FormatError(InputError):
    """A word does not fit its format, or a format cannot exist."""


class LoweringError(InputError):
    """A graph has no exact integer meaning in this vocabulary."""


class RunDirectoryError(InputError):
    """A run directory is missing, incomplete, corrupt or belongs to something else."""


class ToolError(EdgevalError):
    """A compiler, simulator or other external tool is missing, failed or crashed."""
