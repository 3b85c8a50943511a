"""Pages of outcome tables: the same rows in the same order as the whole table sorted in memory, without holding it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgeval.report.fault_query import COLUMNS, FaultPage, FaultQuery, fault_page
from edgeval.report.view import RunView
from hls.errors import RunDirectoryError

QUERIES = [
    FaultQuery(),
    FaultQuery(order="site"),
    FaultQuery(tensor="fc1.weight"),
    FaultQuery(tensor="fc2.bias", bit=15, outcome="critical"),
    FaultQuery(outcome="masked", order="site"),
    FaultQuery(bit=5, rows=7),
]


@pytest.fixture(scope="module")
def outcomes(view: RunView) -> pa.Table:
    table = view.campaigns[0].outcomes
    assert table is not None
    return table


@pytest.fixture(scope="module")
def files(outcomes: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The table in two files of several row groups."""
    folder = tmp_path_factory.mktemp("outcomes")
    pq.write_table(outcomes.slice(0, 200), folder / "part-00000.parquet", row_group_size=60)
    pq.write_table(outcomes.slice(200), folder / "part-00001.parquet", row_group_size=60)
    return sorted(folder.glob("*.parquet"))


def expected(outcomes: pa.Table, query: FaultQuery) -> list[dict[str, Any]]:
    """All matching rows, by plain Python."""
    wanted = {"tensor": query.tensor, "bit": query.bit, "outcome": query.outcome}
    rows = [
        row
        for row in outcomes.select(COLUMNS).to_pylist()
        if all(value is None or row[name] == value for name, value in wanted.items())
    ]
    return sorted(rows, key=lambda row: (row["metric_change"] if query.order == "damage" else 0, row["site"]))


def pages(files: list[Path], query: FaultQuery, follow: Callable[[FaultPage], FaultQuery]) -> Iterator[FaultPage]:
    while True:
        page = fault_page(files, query, higher_is_better=True)
        if not page.rows:
            return
        yield page
        query = follow(page)


@pytest.mark.parametrize("query", QUERIES, ids=repr)
def test_pages_one_after_the_other_are_the_sorted_table(
    outcomes: pa.Table, files: list[Path], query: FaultQuery
) -> None:
    whole, seen = expected(outcomes, query), []
    for page in pages(files, query, lambda page: replace(query, after=page.end)):
        assert (page.ahead, page.matching) == (len(seen), len(whole))
        seen += page.rows
    assert seen == whole
    assert len(whole) > 0


@pytest.mark.parametrize("query", QUERIES, ids=repr)
def test_pages_from_the_last_one_back_are_the_sorted_table(
    outcomes: pa.Table, files: list[Path], query: FaultQuery
) -> None:
    whole, seen = expected(outcomes, query), []
    for page in pages(files, replace(query, last=True), lambda page: replace(query, before=page.first)):
        assert (page.ahead, page.matching) == (len(whole) - len(seen) - len(page.rows), len(whole))
        seen = page.rows + seen
    assert seen == whole


def test_harm_is_a_rise_where_lower_is_better(outcomes: pa.Table, files: list[Path]) -> None:
    page = fault_page(files, FaultQuery(rows=25), higher_is_better=False)
    rows = sorted(outcomes.to_pylist(), key=lambda row: (-row["metric_change"], row["site"]))
    assert [row["site"] for row in page.rows] == [row["site"] for row in rows[:25]]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.sampled_from([0.0, -0.5, 0.25, -0.125]), min_size=1, max_size=40), rows=st.integers(1, 9))
def test_ties_are_neither_lost_nor_repeated(
    tmp_path: Path, outcomes: pa.Table, changes: list[float], rows: int
) -> None:
    table = outcomes.slice(0, len(changes))
    at = table.column_names.index("metric_change")
    pq.write_table(table.set_column(at, "metric_change", pa.array(changes)), tmp_path / "ties.parquet")
    query = FaultQuery(rows=rows)
    files = [tmp_path / "ties.parquet"]
    seen = [
        row["site"] for page in pages(files, query, lambda page: replace(query, after=page.end)) for row in page.rows
    ]
    assert sorted(seen) == list(range(len(changes)))


def test_memory_is_that_of_a_batch_and_a_page_however_large_the_table(tmp_path: Path) -> None:
    rows = 1_000_000
    names = pa.array(["fc1.weight"])
    site = np.arange(rows)
    numbers = {name: site % 97 for name in COLUMNS if name not in {"site", "tensor", "metric_change", "outcome"}}
    table = pa.table(
        {
            "site": site,
            "tensor": pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), names),
            **numbers,
            "metric_change": -((site * 7919) % rows).astype(np.float64),
            "outcome": pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), ["critical"]),
        }
    )
    size = table.nbytes
    pq.write_table(table, tmp_path / "large.parquet")
    del table
    usual, pool = pa.default_memory_pool(), pa.system_memory_pool()
    pa.set_memory_pool(pool)  # a pool of its own, whose peak is that of this page
    try:
        page = fault_page([tmp_path / "large.parquet"], FaultQuery(rows=50), higher_is_better=True)
    finally:
        pa.set_memory_pool(usual)
    assert [row["metric_change"] for row in page.rows] == [float(number) for number in range(-rows + 1, -rows + 51)]
    assert page.matching == rows
    assert 1 << 20 < pool.max_memory() < 24 << 20 < size / 3


def test_a_damaged_part_is_named(tmp_path: Path) -> None:
    (tmp_path / "part.parquet").write_bytes(b"PAR1")
    with pytest.raises(RunDirectoryError, match=tmp_path.name):
        fault_page([tmp_path / "part.parquet"], FaultQuery(), higher_is_better=True)


def test_a_part_without_a_column_is_refused(tmp_path: Path, outcomes: pa.Table) -> None:
    pq.write_table(outcomes.drop_columns(["outcome"]), tmp_path / "part.parquet")
    with pytest.raises(RunDirectoryError, match="outcome"):
        fault_page([tmp_path / "part.parquet"], FaultQuery(), higher_is_better=True)
