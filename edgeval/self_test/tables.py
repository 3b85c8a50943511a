"""Errors in a campaign's table of outcomes: a row that is missing, elsewhere, or says what is not so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from edgeval.self_test.mutation import drawn
from fault_injection.campaign import Campaign
from fault_injection.fault_list import StoredBits


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongTable:
    """A table of outcomes with one error in it.

    Attributes:
        table: The wrong table.
        place: The fault whose row is wrong, or where there is more than one the first.
        change: What was changed, in one sentence.
    """

    table: pa.Table
    place: str
    change: str


TableMutation = Callable[[Campaign, pa.Table, np.random.Generator], Iterator[WrongTable]]
"""(campaign, its table, draws) → wrong tables, in the order they are to be tried; the table is untouched."""


def dropped_row(campaign: Campaign, table: pa.Table, rng: np.random.Generator) -> Iterator[WrongTable]:
    """One fault without a row."""
    for row in drawn(table.num_rows, rng):
        rest = np.delete(np.arange(table.num_rows), row)
        yield WrongTable(table=_taken(table, rest), place=campaign.faults.text(row), change="its row is missing")


def swapped_rows(campaign: Campaign, table: pa.Table, rng: np.random.Generator) -> Iterator[WrongTable]:
    """The outcomes of two neighbouring faults exchanged."""
    does = _does(campaign, table)
    for row in drawn(table.num_rows - 1, rng) if table.num_rows > 1 else []:
        order = np.arange(table.num_rows)
        order[[row, row + 1]] = row + 1, row
        swapped = _taken(table, order)
        for position, name in enumerate(table.column_names):
            if name not in does:  # what the faults are stays, what they do is exchanged
                swapped = swapped.set_column(position, name, table[name])
        yield WrongTable(
            table=swapped,
            place=campaign.faults.text(row),
            change=f"its outcome is that of {campaign.faults.text(row + 1)}, and the reverse",
        )


def renamed_row(campaign: Campaign, table: pa.Table, rng: np.random.Generator) -> Iterator[WrongTable]:
    """A row that names another bit than the one it is about."""
    if not isinstance(campaign.faults, StoredBits):
        return
    for row in drawn(table.num_rows, rng):
        bits = table["bit"].to_pylist()
        bits[row] += 1
        yield WrongTable(
            table=_with(table, "bit", bits), place=campaign.faults.text(row), change=f"its row says bit {bits[row]}"
        )


def counted_wrong(campaign: Campaign, table: pa.Table, rng: np.random.Generator) -> Iterator[WrongTable]:
    """One sample too many in one count."""
    counts = [name for name in ("masked", "critical", "words_changed") if table[name].null_count == 0]
    for row in drawn(table.num_rows, rng):
        name = counts[int(rng.integers(len(counts)))]
        numbers = table[name].to_pylist()
        numbers[row] += 1
        yield WrongTable(
            table=_with(table, name, numbers),
            place=campaign.faults.text(row),
            change=f"{name} is {numbers[row]} instead of {numbers[row] - 1}",
        )


def wrong_bit(campaign: Campaign, table: pa.Table, rng: np.random.Generator) -> Iterator[WrongTable]:
    """The outcome of the bit beside the one that is named."""
    faults = campaign.faults
    if not isinstance(faults, StoredBits):
        return
    graph = campaign.golden.graph
    for row in drawn(table.num_rows, rng):
        site = faults.sites.site(row)
        beside = (site.bit + 1) % graph.tensors[site.tensor].format.width_bits
        if beside == site.bit:
            continue
        one = faults.take(np.array([row]))
        wrong = replace(one, sites=replace(one.sites, bit=np.array([beside])))
        outcome = campaign.outcomes(wrong).to_pylist()[0]
        changed = table
        for name in _does(campaign, table):
            values = table[name].to_pylist()
            values[row] = outcome[name]
            changed = _with(changed, name, values)
        yield WrongTable(table=changed, place=faults.text(row), change=f"its outcome is that of bit {beside}")


def exchanged_directions(campaign: Campaign, table: pa.Table, rng: np.random.Generator) -> Iterator[WrongTable]:
    """Right→wrong and wrong→right exchanged in every row."""
    del rng
    to_wrong, to_right = table["right_to_wrong"], table["wrong_to_right"]
    if to_wrong.null_count:
        return
    names = table.column_names
    changed = table.set_column(names.index("right_to_wrong"), "right_to_wrong", to_right)
    changed = changed.set_column(names.index("wrong_to_right"), "wrong_to_right", to_wrong)
    rows = np.flatnonzero(to_wrong.to_numpy() != to_right.to_numpy())
    place = campaign.faults.text(int(rows[0])) if len(rows) else ""
    yield WrongTable(table=changed, place=place, change="right→wrong and wrong→right exchanged in every row")


def reversed_damage(campaign: Campaign, table: pa.Table, rng: np.random.Generator) -> Iterator[WrongTable]:
    """The metric moves the other way in one row."""
    moved = np.flatnonzero(table["metric_change"].to_numpy())
    for row in [int(moved[place]) for place in drawn(len(moved), rng)] if len(moved) else []:
        changes = table["metric_change"].to_pylist()
        changes[row] = -changes[row]
        yield WrongTable(
            table=_with(table, "metric_change", changes),
            place=campaign.faults.text(row),
            change="its metric change has the other sign",
        )


TABLE_MUTATIONS: dict[str, TableMutation] = {
    "drop a row": dropped_row,
    "swap two rows": swapped_rows,
    "name another bit": renamed_row,
    "count one sample too many": counted_wrong,
    "flip the wrong bit": wrong_bit,
    "exchange right→wrong and wrong→right": exchanged_directions,
    "reverse a metric change": reversed_damage,
}
"""Every mutation of a table of outcomes, by the name that records and tables give it."""


def _taken(table: pa.Table, rows: np.ndarray) -> pa.Table:
    return table.take(pa.array(rows))


def _with(table: pa.Table, name: str, values: list[object]) -> pa.Table:
    position = table.column_names.index(name)
    return table.set_column(position, name, pa.array(values, table.schema.field(name).type))


def _does(campaign: Campaign, table: pa.Table) -> list[str]:
    """Columns that say what a fault does, and not what it is."""
    first = campaign.faults.take(np.array([0])).columns(campaign.golden.graph)
    return [name for name in table.column_names if name not in first.column_names]
