"""Why a run is not what it was: its model, its options, its evaluation set, or the tools."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from edgeval.regression.baseline import LockedModel, LockedRun
from edgeval.regression.changes import option_changes, options_can_change_words
from edgeval.regression.sentences import Change

COMPILER = "compiler"
"""Name among the tools; it makes the C-simulation, never the network."""
TOOLS = ("hls4ml", "qonnx", "brevitas", "torch", "onnx", "edgeval-toolkit", "numpy", "python")
"""Packages that can change a word, besides the compiler; most likely to change a network first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """What else than the results is not as it was.

    Attributes:
        model: How the model changed, one sentence each; empty where it is the locked one.
        options: Options of the export that changed.
        can_change_words: Whether one of these has a say in what is computed.
        tools: ``hls4ml 1.2.0 → 1.3.0``, most important first.
    """

    model: tuple[str, ...]
    options: tuple[Change, ...]
    can_change_words: bool
    tools: tuple[str, ...]

    @property
    def tool(self) -> str | None:
        """The tools that make networks, where nothing else that can change one did."""
        makers = self._makers
        return None if self.model or self.can_change_words or not makers else " and ".join(makers)

    @property
    def _makers(self) -> list[str]:
        return [tool for tool in self.tools if not tool.startswith(f"{COMPILER} ")]

    def sentence(self, change: Change) -> str:
        """A change, with the tool as its subject where it is the only cause there can be."""
        return change.text if self.tool is None else f"{self.tool} {change.by_tool}"

    def evidence(self) -> str:
        """What the cause is, and how that is known."""
        also = f"; {', '.join(self._makers)} as well" if self._makers else ""
        if self.model:
            return f"cause: the model changed: {'; '.join(self.model)}{also}"
        if self.can_change_words:
            return f"cause: an option changed: {'; '.join(change.text for change in self.options)}{also}"
        if self.tool is not None:
            return f"cause: a tool changed: {', '.join(self._makers)}; the model is the locked one"
        return (
            "cause: unknown: model, options and tool versions are as locked; edgeval was edited without a new version, "
            "or the export is not deterministic"
        )


def attribution(old: LockedRun, new: LockedRun) -> Attribution:
    """What can have caused a difference between a locked run and the run now."""
    return Attribution(
        model=tuple(_model_changes(old.model, new.model)),
        options=tuple(option_changes(old.options, new.options)),
        can_change_words=options_can_change_words(old.options, new.options),
        tools=tuple(version_changes(old.versions, new.versions)),
    )


def version_changes(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """Tools whose version is not as it was."""
    names = [name for name in TOOLS if name in old or name in new]
    names += sorted((old.keys() | new.keys()) - set(names))
    return [
        f"{name} {old.get(name, '(absent)')} → {new.get(name, '(absent)')}"
        for name in names
        if old.get(name) != new.get(name)
    ]


def _model_changes(old: LockedModel, new: LockedModel) -> list[str]:
    found = []
    if old.file != new.file:
        found.append(f"{old.file} → {new.file}")
    elif old.sha256 != new.sha256:
        found.append(f"{new.file} is not the locked file (sha256 {old.sha256[:8]}… → {new.sha256[:8]}…)")
    for name in sorted(old.recipe.keys() | new.recipe.keys()):
        before, after = old.recipe.get(name), new.recipe.get(name)
        if before != after:
            found.append(f"{name.replace('_', ' ')} {_text(before)} → {_text(after)}")
    if old.input_format != new.input_format:
        found.append(f"input format {old.input_format or 'none'} → {new.input_format or 'none'}")
    return found


def _text(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else f"{text[:59]}…"
