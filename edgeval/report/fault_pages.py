"""The pages of a served report that show a campaign fault by fault: a form, one page of rows, and the same as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode

from edgeval.records import InjectRecord
from edgeval.report.fault_query import COLUMNS, OUTCOMES, FaultPage, FaultQuery, Order, Place, fault_page
from edgeval.report.markup import Child, Markup, code, element, join, table
from edgeval.report.numbers import change, count, counted, percent
from hls.errors import UsageError

ROWS = (25, 50, 100, 250, 1000)
"""Rows a page can have."""

_ORDERS: Mapping[str, str] = {"damage": "most harmful first", "site": "as numbered"}
_FIELDS = ("tensor", "bit", "outcome", "order", "rows", "after", "before", "last")


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """A campaign whose table is served.

    Attributes:
        title: Run and campaign.
        record: What ``edgeval inject-faults`` found.
        folder: Of the parts of its table.
        address: Path of its page on the server.
    """

    title: str
    record: InjectRecord
    folder: Path
    address: str

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names that can be asked for."""
        return tuple(dict.fromkeys(row.tensor for row in self.record.damage))

    @property
    def bits(self) -> tuple[int, ...]:
        """Bits that can be asked for, highest first."""
        return tuple(sorted({row.bit for row in self.record.damage}, reverse=True))

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Classes that can be asked for."""
        return tuple(name for name in OUTCOMES if name in self.record.classes)

    def page(self, query: FaultQuery) -> FaultPage:
        """One page of the table.

        Raises:
            RunDirectoryError: a part of the table is damaged.
        """
        files = sorted(self.folder.glob("*.parquet"))
        return fault_page(files, query, higher_is_better=self.record.metric.direction == "higher")


def parse_query(text: str, campaign: Campaign) -> FaultQuery:
    """What an address asks for.

    Args:
        text: Behind the question mark.
        campaign: Decides which names are known.

    Raises:
        UsageError: a field or value that is none of those.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=len(_FIELDS))
    except ValueError as error:
        raise _asked(text, "?", "at most one value a field") from error
    given = dict(pairs)
    if unknown := [name for name in given if name not in _FIELDS]:
        raise _asked(unknown[0], "field", ", ".join(_FIELDS))
    chosen = {name: value for name, value in given.items() if value}
    bit = _one_of("bit", chosen.get("bit"), [str(bit) for bit in campaign.bits])
    if "after" in chosen and "before" in chosen:
        raise _asked("after and before", "field", "one of the two")
    return FaultQuery(
        tensor=_one_of("tensor", chosen.get("tensor"), campaign.tensors),
        bit=None if bit is None else int(bit),
        outcome=_one_of("outcome", chosen.get("outcome"), campaign.outcomes),
        order=cast("Order", _one_of("order", chosen.get("order", "damage"), tuple(_ORDERS))),
        rows=int(_one_of("rows", chosen.get("rows", "50"), [str(rows) for rows in ROWS]) or 50),
        after=_place("after", chosen.get("after")),
        before=_place("before", chosen.get("before")),
        last=_one_of("last", chosen.get("last"), ("1",)) is not None,
    )


def _one_of(field: str, value: str | None, allowed: Sequence[str]) -> str | None:
    if value is not None and value not in allowed:
        raise _asked(value, field, ", ".join(allowed) or "nothing")
    return value


def _place(field: str, text: str | None) -> Place | None:
    if text is None:
        return None
    harm, _, site = text.partition(",")
    try:
        place = Place(float(harm), int(site))
    except ValueError as error:
        raise _asked(text, field, "HARM,SITE as in the links of a page") from error
    if not isfinite(place.harm):
        raise _asked(text, field, "a finite HARM")
    return place


def _asked(value: str, field: str, allowed: str) -> UsageError:
    return UsageError(
        found=repr(value[:80]), allowed=allowed, where=f"address, {field}", remedy="choose from the form of the page"
    )


def address_of(campaign: Campaign, query: FaultQuery, suffix: str = "") -> str:
    """The address of a page; ``parse_query`` reads it back."""
    default = FaultQuery()
    fields: dict[str, object] = {
        name: getattr(query, name)
        for name in ("tensor", "bit", "outcome", "order", "rows")
        if getattr(query, name) != getattr(default, name)
    }
    for name, place in (("after", query.after), ("before", query.before)):
        if place is not None:
            fields[name] = f"{place.harm!r},{place.site}"
    if query.last:
        fields["last"] = 1
    return f"{campaign.address}{suffix}" + (f"?{urlencode(fields)}" if fields else "")


def fault_csv(page: FaultPage) -> str:
    """The rows of a page, all columns, as CSV with a heading."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(page.rows)
    return text.getvalue()


def fault_content(campaign: Campaign, query: FaultQuery, page: FaultPage) -> Markup:
    """What stands between the heading and the end of the page."""
    record = campaign.record
    lead = (
        f"{counted(record.faults, 'fault')} ({record.fault}), each judged on {counted(record.samples, 'sample')}. "
        f"{_shown(page)}"
    )
    links = _links(campaign, query, page)
    body = [_row(row, campaign) for row in page.rows]
    header = ["Site", "Word", "With the fault", "Masked", "Tolerable", "Critical", "Decisions changed"]
    header += [f"Change of {record.metric.name}", "Outcome"]
    return join(
        element("p", element("a", "← The report", href="/")),
        element("p", lead, class_="lead", id="shown"),
        _form(campaign, query),
        links,
        table("Faults", header, body) if body else element("p", "No fault is like that."),
        links if len(body) > 25 else "",
    )


def _shown(page: FaultPage) -> str:
    if not page.rows:
        return f"None of {count(page.matching)} is on this page."
    return f"Rows {count(page.ahead + 1)} to {count(page.ahead + len(page.rows))} of {count(page.matching)}."


def _form(campaign: Campaign, query: FaultQuery) -> Markup:
    every = ("", "all")
    fields = [
        ("tensor", "Tensor", [every, *((name, name) for name in campaign.tensors)], query.tensor),
        ("bit", "Bit", [every, *((str(bit), str(bit)) for bit in campaign.bits)], query.bit),
        ("outcome", "Outcome", [every, *((name, name) for name in campaign.outcomes)], query.outcome),
        ("order", "Order", list(_ORDERS.items()), query.order),
        ("rows", "Rows", [(str(rows), str(rows)) for rows in ROWS], query.rows),
    ]
    controls = [_select(name, label, choices, chosen) for name, label, choices, chosen in fields if len(choices) > 1]
    button = element("button", "Show", type="submit")
    return element("form", controls, button, action=campaign.address, method="get", class_="filter")


def _select(name: str, text: str, choices: Sequence[tuple[str, str]], chosen: object) -> Markup:
    value = "" if chosen is None else str(chosen)
    options = [element("option", shown, value=choice, selected=choice == value) for choice, shown in choices]
    return element("label", element("span", text), element("select", options, name=name))


def _links(campaign: Campaign, query: FaultQuery, page: FaultPage) -> Markup:
    plain = replace(query, after=None, before=None, last=False)
    reached = page.ahead + len(page.rows)
    links: list[tuple[str, FaultQuery | None]] = [
        ("First", plain if page.ahead else None),
        ("Previous", replace(plain, before=page.first) if page.ahead and page.first else None),
        ("Next", replace(plain, after=page.end) if reached < page.matching and page.end else None),
        ("Last", replace(plain, last=True) if reached < page.matching else None),
    ]
    items = [
        element("a", text, href=address_of(campaign, to)) if to else element("span", text, class_="quiet")
        for text, to in links
    ]
    items.append(element("a", "CSV of this page", href=address_of(campaign, query, ".csv")))
    return element("div", items, class_="pages")


def _row(row: Mapping[str, Any], campaign: Campaign) -> list[Child]:
    metric = campaign.record.metric
    numbers = ("golden_word", "faulty_word", "masked", "tolerable", "critical")
    decisions = row["decisions_changed"]
    return [
        code(f"{row['tensor']}:{row['index']}:{row['bit']}"),
        *("" if row[name] is None else count(row[name]) for name in numbers),
        f"{count(decisions)} ({percent(decisions / campaign.record.samples)})",
        change(row["metric_change"], metric.unit),
        row["outcome"],
    ]
