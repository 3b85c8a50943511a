"""What an emulator is called: one name and one version make every other name, so that no two models share one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hls.errors import UsageError

_NAME = re.compile(r"[A-Za-z](?:_?[A-Za-z0-9])*")
_VERSION = re.compile(r"[A-Za-z0-9](?:_?[A-Za-z0-9])*")


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorName:
    """Name and version of a model.

    Attributes:
        name: A C identifier without a double or final underscore.
        version: Letters, digits and single underscores.

    Raises:
        UsageError: a name or version of which no C identifier can be made.

    Example:
        >>> EmulatorName(name="digits", version="1").library
        'digits_v1.so'
    """

    name: str
    version: str

    def __post_init__(self) -> None:
        for option, text, pattern in (("--name", self.name, _NAME), ("--model-version", self.version, _VERSION)):
            if not pattern.fullmatch(text):
                start = "a letter first, then " if pattern is _NAME else ""
                raise UsageError(
                    found=repr(text),
                    allowed=f"{start}letters, digits and single underscores between them",
                    where=option,
                    remedy="it becomes part of C++ names: choose one like jet_tagger or 2",
                )

    @property
    def stem(self) -> str:
        """Name and version in one."""
        return f"{self.name}_v{self.version}"

    @property
    def namespace(self) -> str:
        """C++ namespace of everything in the library, and prefix of its C functions."""
        return f"edgeval_{self.stem}"

    @property
    def library(self) -> str:
        """File name; CMS software loads it as ``stem``."""
        return f"{self.stem}.so"

    @property
    def symbols(self) -> tuple[str, ...]:
        """Everything the library exports, sorted."""
        own = (f"{self.namespace}_{function}" for function in ("describe", "infer", "infer_values"))
        return tuple(sorted(("create_model", "destroy_model", *own)))


def name_from(source: str) -> str:
    """A name made of a target's or a file's.

    Example:
        >>> name_from("jet-tagger 2.onnx"), name_from("4bit.onnx"), name_from("--.onnx")
        ('jet_tagger_2', 'model_4bit', 'model')
    """
    stem = source.removesuffix(".onnx")
    parts = re.findall(r"[A-Za-z0-9]+", stem)
    name = "_".join(parts)
    return name if _NAME.fullmatch(name) else "_".join(("model", *parts))
