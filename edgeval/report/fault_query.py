"""One page of a campaign's outcome table, read from Parquet as a stream: memory stays that of one batch and one page.

A page is found by where it begins, not by its number: the place of its neighbour's last (or first) row in the order
asked for. So every page costs one pass over the table and no more memory than the first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow.fs import LocalFileSystem

from edgeval.outcome_tables import damaged

BATCH_ROWS = 1 << 15
"""Rows that are looked at together: with sixteen columns of eight bytes 4 MB."""
_STREAM_BYTES = 1 << 18
"""Of a column in a file, read together: row groups are not held as a whole."""

Order = Literal["damage", "site"]
"""``damage``: most harmful first, then by site; ``site``: as numbered in the network."""

OUTCOMES = ("masked", "tolerable", "kept", "critical")
"""What a fault's own class can be."""

COLUMNS = (
    "site", "tensor", "index", "bit", "golden_word", "faulty_word", "masked", "tolerable", "critical",
    "decisions_changed", "metric_change", "outcome",
)  # fmt: skip
"""Columns of a page, as in docs/interfaces.md."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands in an order.

    Attributes:
        harm: Change of the metric in its bad direction; 0 where the order does not look at it.
        site: Number of its site.
    """

    harm: float
    site: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultQuery:
    """Which rows, in which order, and which page of them.

    Attributes:
        tensor, bit, outcome: Only faults of these; ``None`` for all.
        rows: Of the page.
        after: The page begins behind this place; ``None`` for the first page.
        before: The page ends in front of this place; not together with ``after``.
        last: The last page.
    """

    tensor: str | None = None
    bit: int | None = None
    outcome: str | None = None
    order: Order = "damage"
    rows: int = 50
    after: Place | None = None
    before: Place | None = None
    last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPage:
    """Rows of one page.

    Attributes:
        rows: Their columns, in order.
        ahead: Matching rows in front of them.
        matching: All matching rows.
        first, end: Places of the first and the last row; ``None`` of a page without rows.
    """

    rows: list[dict[str, Any]]
    ahead: int
    matching: int
    first: Place | None
    end: Place | None


def fault_page(files: Sequence[Path], query: FaultQuery, *, higher_is_better: bool) -> FaultPage:
    """Read one page.

    Args:
        files: The parts of one outcome table.
        query: What is asked for.
        higher_is_better: Direction of the metric; decides what harm is.

    Raises:
        RunDirectoryError: a part is damaged or lacks a column.
    """
    sign = -1.0 if higher_is_better else 1.0
    backwards = query.before is not None or query.last
    edge = query.before if backwards else query.after
    kept: pa.Table | None = None
    matching = ahead = 0
    try:
        for batch in _batches(files, query):
            matching += batch.num_rows
            keys = _keys(batch, query.order, sign)
            wanted = np.ones(batch.num_rows, np.bool_)
            if edge is not None:
                in_front = _in_front(keys, edge)
                wanted = in_front if backwards else ~in_front & ~_at(keys, edge)
                ahead += int(np.count_nonzero(in_front if backwards else ~wanted))
            if wanted.any():
                kept = _best(kept, batch.filter(pa.array(wanted)), query, sign, backwards=backwards)
    except (OSError, pa.ArrowException) as error:
        found = f"{type(error).__name__}: {error}"
        raise damaged(files[0].parent, found, f"tables with the columns {', '.join(COLUMNS)}") from error
    rows = [] if kept is None else kept.to_pylist()
    if backwards:
        ahead = (matching if edge is None else ahead) - len(rows)
    places = [] if kept is None else _places(kept, query.order, sign)
    return FaultPage(
        rows=rows,
        ahead=ahead,
        matching=matching,
        first=places[0] if places else None,
        end=places[-1] if places else None,
    )


def _batches(files: Sequence[Path], query: FaultQuery) -> Iterator[pa.RecordBatch]:
    """Matching rows, batch by batch; row groups whose statistics exclude a match are not read.

    The scanner of a data set would decode row groups as a whole, of a million rows by default; this reads along them.
    """
    wanted = _filter(query)
    for path in files:
        fragment = ds.ParquetFileFormat().make_fragment(str(path), filesystem=LocalFileSystem())
        groups = fragment.row_groups if wanted is None else fragment.subset(wanted).row_groups
        with pq.ParquetFile(path, buffer_size=_STREAM_BYTES, pre_buffer=False) as file:
            if lacking := [name for name in COLUMNS if name not in file.schema_arrow.names]:
                raise damaged(path, f"no column {', '.join(lacking)}", f"columns {', '.join(COLUMNS)}")
            for batch in file.iter_batches(
                BATCH_ROWS, row_groups=[group.id for group in groups], columns=list(COLUMNS), use_threads=False
            ):
                yield batch if wanted is None else batch.filter(wanted)


def _filter(query: FaultQuery) -> ds.Expression | None:
    wanted = {"tensor": query.tensor, "bit": query.bit, "outcome": query.outcome}
    parts = [ds.field(name) == value for name, value in wanted.items() if value is not None]
    whole = None
    for part in parts:
        whole = part if whole is None else whole & part
    return whole


Keys = tuple[np.ndarray, np.ndarray]
"""Harm and site of rows; larger harm comes first, then the smaller site."""


def _keys(rows: pa.RecordBatch | pa.Table, order: Order, sign: float) -> Keys:
    site = rows["site"].to_numpy()
    if order == "site":
        return np.zeros(len(site)), site
    return np.nan_to_num(sign * rows["metric_change"].to_numpy(zero_copy_only=False), nan=0.0), site


def _in_front(keys: Keys, place: Place) -> np.ndarray:
    harm, site = keys
    return np.asarray((harm > place.harm) | ((harm == place.harm) & (site < place.site)))


def _at(keys: Keys, place: Place) -> np.ndarray:
    harm, site = keys
    return np.asarray((harm == place.harm) & (site == place.site))


def _best(kept: pa.Table | None, rows: pa.RecordBatch, query: FaultQuery, sign: float, *, backwards: bool) -> pa.Table:
    """The page's rows so far, in order, and new ones that belong among them."""
    table = pa.Table.from_batches([rows])
    together = table if kept is None else pa.concat_tables([kept, table]).unify_dictionaries()
    harm, site = _keys(together.combine_chunks(), query.order, sign)
    order = np.lexsort((site, -harm))
    return together.take(pa.array(order[-query.rows :] if backwards else order[: query.rows])).combine_chunks()


def _places(rows: pa.Table, order: Order, sign: float) -> list[Place]:
    harm, site = _keys(rows, order, sign)
    return [Place(float(h), int(s)) for h, s in zip(harm, site, strict=True) if math.isfinite(h)]
