"""Seeded damage to files: bytes of any file, fields of an ONNX message, values of a JSON tree, members of an archive.

Every function takes the random generator that decides, so that a case can be made again from its number.
"""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

Attempt = Callable[[int, Path], None]
"""Case number and an empty folder: damages a file, writes it there, reads it through an entry point."""


def seeded(target: str, case: int) -> random.Random:
    """The generator of one case."""
    return random.Random(f"{target} {case}")


HOSTILE_NAMES = (
    "", "x", "int", "class", "std", "size", "result", "input", "main", "layer2", "../../escape", "/etc/passwd", "a/b/c",
    "..", ".", "~", "$(touch escape)", "`touch escape`", "; touch escape;", "| touch escape", "-o/tmp/escape", "--help",
    'a"b', "a'b", "a\\", "*/", "/*", "//", "#include </etc/passwd>", "a\nb", "a\rb", "a\x00b", "\x1b[31m", "%s%n",
    "{}", "{0.__class__}", "[bold]", "[/]", "<script>alert(1)</script>", "</script>", "]]>", "&amp;", "é", "名前",
    "\u202eabc",
    "\ufeff", "𝔵", "n" * 10_000, "network_input", "fc1_weight", "a.b", "__import__('os')", "NaN", "null",
)  # fmt: skip
"""Names that some other place would take for a path, a command, markup, C++ or a format."""

INTEGERS = (
    0, 1, -1, 2, 3, 7, 8, 31, 32, 33, 62, 63, 64, 65, 127, 128, 255, 256, 1000, 65_535, 65_536, 10**6, 10**9, 2**31 - 1,
    2**31, -(2**31), 2**32, 2**40, 2**53, 2**62, 2**63 - 1, -(2**63),
)  # fmt: skip
REALS = (
    0.0, -0.0, 1.0, -1.0, 0.1, 1e-45, 1e-320, 1e38, 3.5e38, 1e308, -1e308, float("nan"), float("inf"), -float("inf"),
    2.0**62, 62.0, 1e9,
)  # fmt: skip

_SINGLES = tuple(real for real in REALS if not 3.4e38 < abs(real) < float("inf"))
Random = random.Random


def damaged_bytes(content: bytes, rng: Random) -> bytes:
    """One to four changes of a file that nothing is known about."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        content = rng.choice(_BYTE_CHANGES)(bytearray(content), rng)
    return content


def _flip(content: bytearray, rng: Random) -> bytes:
    if content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(content)


def _byte(content: bytearray, rng: Random) -> bytes:
    if content:
        content[rng.randrange(len(content))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(content)


def _truncated(content: bytearray, rng: Random) -> bytes:
    return bytes(content[: rng.randrange(len(content) + 1)])


def _inserted(content: bytearray, rng: Random) -> bytes:
    place = rng.randrange(len(content) + 1)
    return bytes(content[:place]) + rng.randbytes(rng.choice((1, 2, 8, 100))) + bytes(content[place:])


def _removed(content: bytearray, rng: Random) -> bytes:
    place = rng.randrange(len(content) + 1)
    return bytes(content[:place] + content[place + rng.choice((1, 2, 8, 100)) :])


def _repeated(content: bytearray, rng: Random) -> bytes:
    place = rng.randrange(len(content) + 1)
    piece = bytes(content[place : place + rng.choice((1, 8, 64, 1024))])
    return bytes(content[:place]) + piece * rng.choice((2, 10)) + bytes(content[place:])


def _number(content: bytearray, rng: Random) -> bytes:
    """A length or count somewhere becomes an extreme one."""
    size = rng.choice((4, 8))
    if len(content) >= size:
        place = rng.randrange(len(content) - size + 1)
        value = rng.choice((0, 1, -1, 2 ** (8 * size - 1) - 1, -(2 ** (8 * size - 1)), 2**20, 2**28))
        content[place : place + size] = struct.pack("<i" if size == 4 else "<q", value)
    return bytes(content)


_BYTE_CHANGES = (_flip, _flip, _byte, _byte, _truncated, _inserted, _removed, _repeated, _number)


# ---- ONNX -----------------------------------------------------------------------------------------------------------


def damaged_onnx(content: bytes, rng: Random) -> bytes:
    """A model with one to three fields replaced by extreme values, or with its bytes damaged."""
    if rng.random() < 0.2:
        return damaged_bytes(content, rng)
    model = onnx.ModelProto()
    model.ParseFromString(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        for _ in range(20):  # some places cannot hold what is put there
            try:
                _damage_message(model, rng)
            except (ValueError, TypeError, DecodeError):
                continue
            break
    return bytes(model.SerializeToString())


def _messages(message: Any) -> list[Any]:
    found = [message]
    for descriptor, value in message.ListFields():
        if descriptor.message_type is None:
            continue
        repeated = not hasattr(value, "ListFields")
        for item in value if repeated else [value]:
            found += _messages(item)
    return found


def _damage_message(model: Any, rng: Random) -> None:
    """Change one field of one message; parts of nodes, constants and shapes as likely as the many attributes."""
    messages = _messages(model)
    kinds = sorted({type(message).__name__ for message in messages})
    kind = rng.choice(kinds)
    message = rng.choice([item for item in messages if type(item).__name__ == kind])
    fields = list(message.DESCRIPTOR.fields)
    given = [descriptor for descriptor, _ in message.ListFields()]
    descriptor = rng.choice(given if given and rng.random() < 0.85 else fields)
    value = getattr(message, descriptor.name)
    if descriptor.message_type is not None:
        _damage_children(message, descriptor, value, rng)
    elif _is_repeated(value):
        _damage_list(value, descriptor, rng)
    elif rng.random() < 0.1:
        message.ClearField(descriptor.name)
    else:
        setattr(message, descriptor.name, _scalar(descriptor, value, rng))


def _is_repeated(value: Any) -> bool:
    return hasattr(value, "append") or hasattr(value, "extend")


def _damage_children(message: Any, descriptor: Any, value: Any, rng: Random) -> None:
    if not _is_repeated(value):
        if rng.random() < 0.5:
            message.ClearField(descriptor.name)
        else:
            value.SetInParent()
        return
    if not len(value):
        value.add()
        return
    place = rng.randrange(len(value))
    action = rng.choice(("remove", "repeat", "swap", "empty", "clear"))
    if action == "remove":
        del value[place]
    elif action == "repeat":
        copies = [
            type(value[place]).FromString(value[place].SerializeToString()) for _ in range(rng.choice((1, 1, 50)))
        ]
        value.extend(copies)
    elif action == "swap":
        other = rng.randrange(len(value))
        kept = value[place].SerializeToString(), value[other].SerializeToString()
        value[place].ParseFromString(kept[1])
        value[other].ParseFromString(kept[0])
    elif action == "empty":
        value[place].Clear()
    else:
        message.ClearField(descriptor.name)


def _damage_list(value: Any, descriptor: Any, rng: Random) -> None:
    action = rng.choice(("change", "change", "change", "remove", "append", "many", "swap"))
    if action == "append" or not len(value):
        value.append(_scalar(descriptor, None, rng))
        return
    place = rng.randrange(len(value))
    if action == "change":
        value[place] = _scalar(descriptor, value[place], rng)
    elif action == "remove":
        del value[place]
    elif action == "many":
        value.extend([value[place]] * rng.choice((1, 70, 1000)))
    else:
        other = rng.randrange(len(value))
        value[place], value[other] = value[other], value[place]


def _scalar(descriptor: Any, old: Any, rng: Random) -> Any:
    kind = descriptor.cpp_type
    if kind in (descriptor.CPPTYPE_DOUBLE, descriptor.CPPTYPE_FLOAT):
        return rng.choice(REALS)
    if kind == descriptor.CPPTYPE_ENUM:
        return rng.choice([*(item.number for item in descriptor.enum_type.values), 1000])
    if kind in (
        descriptor.CPPTYPE_INT32,
        descriptor.CPPTYPE_INT64,
        descriptor.CPPTYPE_UINT32,
        descriptor.CPPTYPE_UINT64,
    ):
        return int(old) + rng.choice((1, -1)) if old is not None and rng.random() < 0.2 else rng.choice(INTEGERS)
    if descriptor.type == descriptor.TYPE_BYTES:
        return _packed(bytes(old or b""), rng)
    return rng.choice(HOSTILE_NAMES)


def _packed(content: bytes, rng: Random) -> bytes:
    """Raw numbers of a constant: one of them extreme, or damaged bytes."""
    size = rng.choice((4, 8))
    if len(content) >= size and rng.random() < 0.6:
        place = rng.randrange(len(content) // size) * size
        number = struct.pack("<q", rng.choice(INTEGERS)) if size == 8 else struct.pack("<f", rng.choice(_SINGLES))
        return content[:place] + number + content[place + size :]
    return damaged_bytes(content, rng)


# ---- JSON -----------------------------------------------------------------------------------------------------------

_RAW = "\x01raw:"
"""Marks text that goes into the file as it is: what a JSON library would not write."""


def damaged_json(content: bytes, rng: Random) -> bytes:
    """A tree with one to three values replaced, keys renamed, removed or repeated; or with its bytes damaged."""
    if rng.random() < 0.15:
        return damaged_bytes(content, rng)
    tree = json.loads(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        tree = _damaged_tree(tree, rng)
    text = json.dumps(tree)
    for mark, raw in _RAW_TEXTS.items():
        text = text.replace(f'"{mark}"', raw)
    return text.encode("utf-8", "surrogatepass")


_RAW_TEXTS = {
    "raw-nan": "NaN", "raw-infinity": "Infinity", "raw-huge": "1e999", "raw-integer": "9" * 5000,
    "raw-deep-list": "[" * 100_000 + "]" * 100_000, "raw-deep-object": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "raw-some-deep": "[" * 500 + "]" * 500, "raw-surrogate": '"\\ud800"', "raw-bad-escape": '"\\x"',
    "raw-zero": '"\\u0000"', "raw-fraction": "1.5", "raw-exponent": "1e400", "raw-minus": "-0",
}  # fmt: skip


def _values(rng: Random, old: Any) -> Any:
    choice = rng.randrange(8)
    if choice == 0:
        return rng.choice((None, True, False, [], {}, [[]], [None], {"a": 1}))
    if choice == 1:
        return rng.choice((*INTEGERS, 2**64, -(2**70), 10**30))
    if choice == 2:
        return rng.choice((0.5, -0.5, 1e308, -1e308, 5e-324))
    if choice == 3:
        return rng.choice(tuple(_RAW_TEXTS))
    if choice == 4 and isinstance(old, int | float) and not isinstance(old, bool):
        return old + rng.choice((1, -1, 0.5))
    if choice == 5 and isinstance(old, list):
        return rng.choice((old[:-1], old[1:], old * 2, old[::-1], old * 200, [*old, None]))
    if choice == 6 and isinstance(old, str):
        return rng.choice((old[:-1], old + "x", old.upper(), old * 100))
    return rng.choice(HOSTILE_NAMES)


def _places(tree: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        found.append((tree, key))
        found += _places(value)
    return found


def _damaged_tree(tree: Any, rng: Random) -> Any:
    places = _places(tree)
    if not places or rng.random() < 0.02:
        return _values(rng, tree)
    holder, key = rng.choice(places)
    kept = [json.loads(json.dumps(other[place])) for other, place in rng.sample(places, min(3, len(places)))]
    action = rng.random()
    if action < 0.1:
        del holder[key]
    elif action < 0.2 and isinstance(holder, dict):
        holder[rng.choice(HOSTILE_NAMES)] = holder.pop(key)
    elif action < 0.3:
        holder[key] = rng.choice(kept)
    else:
        holder[key] = _values(rng, holder[key])
    return tree


# ---- archives -------------------------------------------------------------------------------------------------------


def damaged_archive(content: bytes, rng: Random, json_member: str = "structure.json") -> bytes:
    """A zip whose members are damaged under right checksums, renamed, removed, repeated; or with its bytes damaged."""
    if rng.random() < 0.25:
        return damaged_bytes(content, rng)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    structured = [place for place, (name, _) in enumerate(members) if name == json_member]
    place = structured[0] if structured and rng.random() < 0.7 else rng.randrange(len(members))
    name, data = members[place]
    action = rng.random()
    if action < 0.08:
        del members[place]
    elif action < 0.16:
        members[place] = (rng.choice(HOSTILE_NAMES) + rng.choice(("", ".npy")), data)
    elif action < 0.2:
        members.append((name, data))
    elif action < 0.24:
        members.append(("../../escape", b"out"))
    elif name == json_member:
        members[place] = (name, damaged_json(data, rng))
    else:
        members[place] = (name, _damaged_array(data, rng))
    return _zipped(members, rng)


def _zipped(members: list[tuple[str, bytes]], rng: Random) -> bytes:
    import warnings

    buffer = io.BytesIO()
    way = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", way) as archive:
        warnings.simplefilter("ignore")  # of names that occur twice, which is what is wanted
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name.replace("\x00", "") or "x"), data)
    return buffer.getvalue()


_DTYPES = ("<f4", "<c16", "|b1", "<U4", "|S3", "<M8[s]", "|V8", "<i8", "<u2", "<f2", "<q")


def _header(dtype: str, shape: str, order: str = "False") -> str:
    return f"{{'descr': '{dtype}', 'fortran_order': {order}, 'shape': ({shape}), }}"


_NPY_HEADERS: tuple[Callable[[Random], str], ...] = (
    lambda rng: _header("<f8", f"{rng.choice(INTEGERS)}, {rng.choice(INTEGERS)}"),
    lambda rng: _header("|O", "3,"),
    lambda rng: _header(rng.choice(_DTYPES), "40, 5", "True"),
    lambda rng: "{'descr': [('a', '<f8'), ('b', '|O')], 'fortran_order': False, 'shape': (2,), }",
    lambda rng: _header("<f8", "10000000000,"),
    lambda rng: "__import__('os').system('touch escape')",
    lambda rng: "{" * 300,
    lambda rng: _header("<f8", ""),
    lambda rng: _header("<f8", "0, 5"),
    lambda rng: _header("<f8", "1, " * 70),
)  # fmt: skip


def _damaged_array(data: bytes, rng: Random) -> bytes:
    if rng.random() < 0.5 or data[:6] != b"\x93NUMPY":
        return damaged_bytes(data, rng)
    header = rng.choice(_NPY_HEADERS)(rng).encode()
    length = int.from_bytes(data[8:10], "little")
    return data[:8] + len(header).to_bytes(2, "little") + header + data[10 + length :]


def damaged_text(content: bytes, rng: Random) -> bytes:
    """Text (C++, YAML, CSV) with words exchanged for hostile ones, lines moved, or bytes damaged."""
    if rng.random() < 0.3:
        return damaged_bytes(content, rng)
    lines = content.decode("utf-8", "replace").split("\n")
    for _ in range(rng.choice((1, 1, 2, 5))):
        place = rng.randrange(len(lines))
        action = rng.randrange(5)
        if action == 0:
            del lines[place]
        elif action == 1:
            lines.insert(place, rng.choice(lines) if lines else "")
        elif action == 2:
            lines[place] = rng.choice(HOSTILE_NAMES)
        else:
            words = lines[place].split(" ")
            words[rng.randrange(len(words))] = str(rng.choice((*HOSTILE_NAMES, *INTEGERS, *REALS)))
            lines[place] = " ".join(words)
        lines = lines or [""]
    return "\n".join(lines).encode("utf-8", "surrogatepass")
