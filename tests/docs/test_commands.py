"""The page of every command against its config: a changed option, default or exit code fails here."""

from __future__ import annotations

import dataclasses
import importlib
import re
import types
import typing
from pathlib import Path
from typing import Any, get_args

import pytest
from support.markdown import DOCS, Row, column, plain, table

from edgeval.cli import make_app
from edgeval.cli import run as edgeval

INTERFACES = DOCS / "interfaces.md"
COMMANDS: dict[str, str | dict[str, str]] = {
    "targets": "TargetsConfig",
    "train": "TrainConfig",
    "export": "ExportConfig",
    "csim-compare": "CompareConfig",
    "emulator": "EmulatorConfig",
    "inject-faults": "InjectConfig",
    "harden": "HardenConfig",
    "error-rate": "ErrorRateConfig",
    "worst-flips": "WorstFlipsConfig",
    "mission": "MissionConfig",
    "rank-bits": "RankConfig",
    "regress": {"lock": "LockConfig", "check": "CheckConfig", "diff": "DiffConfig"},
    "report": "ReportConfig",
    "demo": "DemoConfig",
    "doctor": "DoctorConfig",
}
"""Config class of every command, or of each of its verbs."""

OPTION_TABLES = [
    (command, verb) for command, config in COMMANDS.items() for verb in (config if isinstance(config, dict) else ("",))
]
"""Every table of options: of a command, or of one of its verbs."""


def config_of(command: str, verb: str) -> Any:
    """The dataclass whose fields are the options of a command, or of one of its verbs."""
    names = COMMANDS[command]
    name = names[verb] if isinstance(names, dict) else names
    return getattr(importlib.import_module(f"edgeval.commands.{command.replace('-', '_')}"), name)


def option_rows(config: type) -> list[Row]:
    """What the options table has to say about a config, the options of nested ones in their place."""
    hints = typing.get_type_hints(config, include_extras=True)
    rows: list[Row] = []
    for field in dataclasses.fields(config):
        hint = hints[field.name]
        rows += option_rows(hint) if dataclasses.is_dataclass(hint) else [option_row(field, hint)]
    return rows


def option_row(field: dataclasses.Field[Any], hint: Any) -> Row:
    """What the options table has to say about one field."""
    name = field.name.upper() if not field.kw_only else f"--{field.name.replace('_', '-')}"
    return {
        "option": "-o, --output" if name == "--output" else name,
        "values": values_text(hint),
        "default": default_text(field),
    }


def values_text(hint: Any) -> str:
    """The kind of value an option takes, as the tables write it."""
    origin, arguments = typing.get_origin(hint), get_args(hint)
    if origin is typing.Annotated:
        return values_text(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return values_text(next(item for item in arguments if item is not type(None)))
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin is tuple:
        return f"{values_text(arguments[0])} …"
    return {Path: "path", int: "integer", float: "number", str: "text", bool: "flag"}[hint]


def default_text(field: dataclasses.Field[Any]) -> str:
    """A default, as the tables write it."""
    if field.default is dataclasses.MISSING:
        return "required"
    if field.default is None:
        return "—"
    if field.default is False:
        return "off"
    return " ".join(map(str, field.default)) if isinstance(field.default, tuple) else str(field.default)


def test_every_command_has_its_page_and_its_row_in_the_index() -> None:
    app = {name for name in make_app() if not name.startswith("-")}
    listed = [re.findall(r"\[([\w-]+)\]\(commands/", row["command"])[0] for row in index_rows()]
    assert set(listed) == app == set(COMMANDS)
    assert {path.stem for path in (DOCS / "commands").glob("*.md")} == app


def index_rows() -> list[Row]:
    """The commands table of the index."""
    return table(DOCS / "index.md", "command", "what it does")


def test_every_verb_of_a_command_is_documented() -> None:
    app = make_app()
    for command in COMMANDS:
        verbs = {name for name in app[command] if not name.startswith("-")}
        assert verbs == {verb for name, verb in OPTION_TABLES if name == command and verb}


@pytest.mark.parametrize(("command", "verb"), OPTION_TABLES)
def test_the_options_of_a_command_are_those_of_its_config(command: str, verb: str) -> None:
    config, first = config_of(command, verb), f"{verb} option".strip()
    rows = table(DOCS / "commands" / f"{command}.md", first, "values", "default", "meaning")
    documented = [{"option": row[first], **{name: row[name] for name in ("values", "default")}} for row in rows]
    expected = option_rows(config)
    assert documented == [{**row, "values": plain(row["values"])} for row in expected]
    assert all(row["meaning"] for row in rows)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_of_a_command_has_all_its_parts(command: str) -> None:
    text = (DOCS / "commands" / f"{command}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# edgeval {command}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Options", "Example", "Exit codes", "Errors and remedies"]
    assert f"$ edgeval {command}" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_has_no_exit_code_that_the_interfaces_do_not_know(command: str) -> None:
    known = set(column(table(INTERFACES, "code", "meaning"), "code"))
    rows = table(DOCS / "commands" / f"{command}.md", "code", "when")
    assert set(column(rows, "code")) <= known


def test_the_example_of_targets_is_its_real_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert edgeval(["targets"]) == 0
    assert capsys.readouterr().out in (DOCS / "commands" / "targets.md").read_text(encoding="utf-8")


# The reader of options itself: it has to be able to fail.


def test_a_changed_default_is_seen() -> None:
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Changed:
        weight_bits: int = 7

    (field,) = dataclasses.fields(Changed)
    assert option_row(field, int) not in [
        {name: row[name] for name in ("option", "values", "default")}
        for row in table(DOCS / "commands" / "train.md", "option", "values", "default", "meaning")
    ]
