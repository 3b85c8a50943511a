from __future__ import annotations

import pyarrow as pa
import pytest
from support.campaigns import campaign_of
from support.networks import Mlp

from fault_injection.outcomes import decisions_only
from fault_injection.summary import damage_table

ROWS = [
    # tensor, bit, outcome, metric_change, decisions_changed
    ("w", 0, "masked", 0.0, 0),
    ("w", 1, "critical", -0.5, 5),
    ("w", 0, "tolerable", 0.1, 0),
    ("w", 1, "critical", 0.25, 2),
    ("a", 0, "masked", 0.0, 0),
]
SITES = [10, 11, 12, 13, 40]


def outcomes() -> pa.Table:
    tensors, bits, outcome, metric, decisions = zip(*ROWS, strict=True)
    codes = pa.array([{"w": 0, "a": 1}[name] for name in tensors], pa.int32())
    return pa.table(
        {
            "site": SITES,
            "tensor": pa.DictionaryArray.from_arrays(codes, ["w", "a"]),
            "bit": list(bits),
            "outcome": list(outcome),
            "metric_change": list(metric),
            "decisions_changed": list(decisions),
        }
    )


def test_tensors_come_in_data_order_and_bits_from_the_top() -> None:
    table = damage_table(outcomes(), samples=10, higher_is_better=True)
    assert [(row.tensor, row.bit, row.faults) for row in table] == [("w", 1, 2), ("w", 0, 2), ("a", 0, 1)]


def test_shares_are_of_the_faults_of_that_tensor_and_bit() -> None:
    top, low, _ = damage_table(outcomes(), samples=10, higher_is_better=True)
    assert (top.masked, top.tolerable, top.critical) == (0.0, 0.0, 1.0)
    assert (low.masked, low.tolerable, low.critical) == (0.5, 0.5, 0.0)


def test_means_are_over_the_faults() -> None:
    top = damage_table(outcomes(), samples=10, higher_is_better=True)[0]
    assert top.mean_metric_change == pytest.approx(-0.125)
    assert top.mean_decisions_changed == pytest.approx(0.35)


@pytest.mark.parametrize(
    ("higher_is_better", "site", "change"), [(True, 11, -0.5), (False, 13, 0.25)]
)  # fmt: skip
def test_the_worst_is_worst_in_the_direction_of_the_metric(higher_is_better: bool, site: int, change: float) -> None:
    top = damage_table(outcomes(), samples=10, higher_is_better=higher_is_better)[0]
    assert (top.worst_site, top.worst_metric_change) == (site, change)


def test_a_whole_campaign_is_all_there() -> None:
    campaign = campaign_of(Mlp(widths=(4, 3, 2)))
    table = damage_table(campaign.outcomes(campaign.faults), samples=12, higher_is_better=True)
    assert sum(row.faults for row in table) == len(campaign.faults)
    assert [row.tensor for row in table if row.bit == 0] == list(campaign.golden.graph.tensors)
    assert all(row.masked + row.tolerable + row.critical == pytest.approx(1) for row in table)


def test_where_only_decisions_are_known_masked_and_tolerable_are_not() -> None:
    campaign = campaign_of(Mlp(widths=(4, 3, 2)))
    full = campaign.outcomes(campaign.faults)
    table = damage_table(decisions_only(full), samples=12, higher_is_better=True)
    assert {(row.masked, row.tolerable) for row in table} == {(None, None)}
    known = damage_table(full, samples=12, higher_is_better=True)
    assert [(row.critical, row.worst_site) for row in table] == [(row.critical, row.worst_site) for row in known]


def test_faults_without_a_tensor_and_bit_have_no_table() -> None:
    assert damage_table(outcomes().drop_columns(["tensor"]), samples=10, higher_is_better=True) == ()
