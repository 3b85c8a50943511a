"""The page about hardening against its code: a protection, storage, scheme or measure without its row fails."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from support.markdown import DOCS, column, table

from fault_injection.hardening import SCHEMES, Measure
from fault_injection.hardening.knapsack import EXACT_CELLS
from fault_injection.hardening.memory import PROTECTIONS, Storage
from fault_injection.hardening.prices import StoredDamage

PAGE = DOCS / "hardening.md"


def test_every_measure_has_its_row() -> None:
    assert column(table(PAGE, "damage", "of one flip"), "damage") == list(get_args(Measure))


def protections() -> list[dict[str, str]]:
    """Rows of the protections."""
    return table(PAGE, "protection", "added bits a word", "what it does", "damage that remains of the word")


def test_every_protection_has_its_row() -> None:
    assert column(protections(), "protection") == list(PROTECTIONS)


@pytest.mark.parametrize("name", ["none", "parity", "parity-reload", "msb-duplication"])
def test_the_added_bits_of_a_protection_are_those_of_its_row(name: str) -> None:
    damage = StoredDamage(
        tensor="t", storage="native", flips=np.ones((1, 5)), zeroed=np.ones(1), bounds=np.zeros(0)
    )  # fmt: skip
    row = next(row for row in protections() if row["protection"] == name)
    assert int(row["added bits a word"]) == damage.priced(("none", name)).costs[-1]


def test_every_storage_has_its_row() -> None:
    rows = table(PAGE, "storage", "added bits a tensor", "what it does")
    assert column(rows, "storage") == list(get_args(Storage))


def test_every_scheme_has_its_row_with_what_it_chooses_from() -> None:
    rows = {row["scheme"]: row["chooses from"] for row in table(PAGE, "scheme", "chooses from")}
    assert list(rows) == list(SCHEMES)
    for name, scheme in SCHEMES.items():
        storages, chosen = ", ".join(scheme.storages), ", ".join(scheme.protections)
        assert rows[name].replace("`", "") == f"storages {storages}; protections {chosen}"


def test_the_size_of_the_exact_table_is_that_of_the_code() -> None:
    assert f"fits in {EXACT_CELLS // 1_000_000} MB" in PAGE.read_text(encoding="utf-8")
