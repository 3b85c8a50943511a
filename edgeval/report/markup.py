"""HTML that cannot be forged: every string is escaped unless this module made it."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TypeAlias, final


@final
class Markup(str):
    """A piece of finished HTML. Only this module makes one from text, by escaping it."""

    __slots__ = ()


Child: TypeAlias = "str | Markup | Iterable[Child]"
"""Text, which is escaped, finished markup, which is not, or any number of either."""

Attribute: TypeAlias = "str | int | bool | None"
"""``True`` is a bare attribute; ``None`` and ``False`` leave it out."""

_LONG = 60
"""Characters of a sentence, which gets a line of its own in a list of names and values."""

_VOID = frozenset({"meta", "link", "br"})


def join(*children: Child) -> Markup:
    """Markup of all children, in order."""
    return Markup("".join(_rendered(child) for child in children))


def element(tag: str, *children: Child, **attributes: Attribute) -> Markup:
    """One element.

    Args:
        tag: Its name.
        *children: What is in it.
        **attributes: By name; ``class_`` is ``class``, an underscore inside a name is a hyphen.

    Example:
        >>> element("a", "x < y", href="#top", data_row=3)
        '<a href="#top" data-row="3">x &lt; y</a>'
    """
    written = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in _VOID:
        return Markup(f"<{tag}{written}>")
    return Markup(f"<{tag}{written}>{join(*children)}</{tag}>")


def raw_element(tag: str, content: str, **attributes: Attribute) -> Markup:
    """A ``script`` or ``style`` element, whose content HTML does not unescape; the content must be our own."""
    assert f"</{tag}" not in content.lower(), f"{tag} content would end its own element"
    return Markup(f"<{tag}{''.join(_attribute(n, v) for n, v in attributes.items())}>{content}</{tag}>")


def table(
    caption: str,
    header: Sequence[Child],
    rows: Iterable[Sequence[Child]],
    *,
    text_columns: int = 1,
    wraps: bool = False,
) -> Markup:
    """A table in a container that scrolls by itself.

    Args:
        caption: What it shows; read out, and shown above, where it does not scroll away.
        header: One heading a column.
        rows: Cells; the first of each row is its heading.
        text_columns: Leading columns of text, set left; all others are numbers, set right.
        wraps: Whether cells hold sentences, which go on in a next line.
    """
    kinds = ["text" if column < text_columns else "number" for column in range(len(header))]
    head = element("tr", [element("th", h, scope="col", class_=k) for h, k in zip(header, kinds, strict=True)])
    body = [
        element(
            "tr",
            element("th", row[0], scope="row", class_=kinds[0]),
            [element("td", cell, class_=kind) for cell, kind in zip(row[1:], kinds[1:], strict=True)],
        )
        for row in rows
    ]
    inner = element("table", element("thead", head), element("tbody", body), aria_label=caption)
    scroll = element("div", inner, class_="scroll", tabindex=0, role="group", aria_label=caption)
    return element("div", element("p", caption, class_="caption"), scroll, class_="table wraps" if wraps else "table")


def definitions(pairs: Iterable[tuple[Child, Child]], class_: str) -> Markup:
    """A list of names and values."""
    items = [
        element("div", element("dt", name), element("dd", value), class_="long" if _is_long(value) else None)
        for name, value in pairs
    ]
    return element("dl", items, class_=class_)


def code(text: str) -> Markup:
    """A name or a command, as it is typed."""
    return element("code", text)


def _is_long(value: Child) -> bool:
    return isinstance(value, str) and not isinstance(value, Markup) and len(value) > _LONG


def _rendered(child: Child) -> str:
    if isinstance(child, Markup):
        return child
    if isinstance(child, str):
        return html.escape(child)
    return "".join(_rendered(item) for item in child)


def _attribute(name: str, value: Attribute) -> str:
    name = name.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'
