"""A smallest valid value of any record type: every field there, one item in every list, each string one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import inspect

Text = Callable[[str], str]
"""What stands for a free string, by the name of its field."""


def example(kind: type, text: Text = lambda field: field or "text") -> Any:
    """The value as built-in types: what ``msgspec.json.encode`` writes and ``decode`` takes.

    Args:
        kind: A msgspec struct.
        text: What free strings hold.
    """
    return _value(inspect.type_info(kind), "", text)


def record_kinds() -> tuple[type[msgspec.Struct], ...]:
    """Every tagged record of the package, wherever it is declared."""
    import importlib
    import pkgutil

    import edgeval

    for module in pkgutil.iter_modules(edgeval.__path__):
        if module.name.endswith("_record") or module.name in ("records",):
            importlib.import_module(f"edgeval.{module.name}")
    importlib.import_module("edgeval.regression.baseline")
    from edgeval.run_record import RecordPart

    kinds, waiting = [], [RecordPart]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if str(kind.__struct_config__.tag or "").startswith("edgeval."):
            kinds.append(kind)
    return tuple(sorted(kinds, key=lambda kind: str(kind.__struct_config__.tag)))


def _value(kind: inspect.Type, field: str, text: Text) -> Any:
    if isinstance(kind, inspect.StructType):
        tag = {} if kind.tag is None else {str(kind.tag_field): kind.tag}
        return {**tag, **{item.encode_name: _value(item.type, item.encode_name, text) for item in kind.fields}}
    if isinstance(kind, inspect.DataclassType | inspect.TypedDictType):
        return {item.encode_name: _value(item.type, item.encode_name, text) for item in kind.fields}
    if isinstance(kind, inspect.UnionType):
        plain = [item for item in kind.types if not isinstance(item, inspect.NoneType)]
        return _value(plain[0], field, text)
    if isinstance(kind, inspect.VarTupleType | inspect.ListType | inspect.CollectionType):
        return [_value(kind.item_type, field, text)]
    if isinstance(kind, inspect.TupleType):
        return [_value(item, field, text) for item in kind.item_types]
    if isinstance(kind, inspect.DictType):
        return {str(_value(kind.key_type, field, text)): _value(kind.value_type, field, text)}
    return _leaf(kind, field, text)


def _leaf(kind: inspect.Type, field: str, text: Text) -> Any:
    match kind:
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.IntType(gt=gt, ge=ge):
            return max(1, (gt or 0) + 1, ge or 0)
        case inspect.FloatType():
            return 0.5
        case inspect.BoolType():
            return False
        case inspect.NoneType():
            return None
        case inspect.EnumType(cls=cls):
            return next(iter(cls)).value
        case _:
            return text(field)
