from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edgeval.records import MetricValue
from edgeval.report.fault_figures import (
    CURVE_POINTS,
    FaultColumns,
    curve_ranks,
    damage_curve,
    fault_columns,
    shown_in_maps,
    weight_maps,
)
from edgeval.report.figures import Figure, damage_maps
from edgeval.report.view import RunView
from fault_injection.damage import DamageRow

ACCURACY = MetricValue(name="accuracy", unit="fraction", direction="higher", value=0.9)

RMSE = MetricValue(name="rmse", unit="m", direction="lower", value=1.0)


def faults_of(harm: list[float], decisions: list[float] | None = None) -> FaultColumns:
    rows = np.arange(len(harm))
    return FaultColumns(
        names=("fc1.weight",),
        tensor=np.zeros(len(harm), np.int64),
        index=rows // 2,
        bit=rows % 2,
        harm=np.array(harm),
        decisions=np.array(decisions if decisions is not None else harm),
    )


def weight_map(faults: FaultColumns, shape: tuple[int, ...]) -> Figure:
    return weight_maps(faults, {"fc1.weight": shape}, shown_in_maps(faults, ACCURACY, "argmax"))[0]


def test_harm_is_positive_where_the_metric_gets_worse(view: RunView) -> None:
    outcomes = view.campaigns[0].outcomes
    assert outcomes is not None
    changes = outcomes["metric_change"].to_numpy()
    assert np.array_equal(fault_columns(outcomes, 360, ACCURACY).harm, -100 * changes)
    assert np.array_equal(fault_columns(outcomes, 360, RMSE).harm, changes)


def test_the_curve_falls_and_names_each_fault() -> None:
    curve = damage_curve(faults_of([0.0, 3.0, -1.0, 5.0]), ACCURACY)
    assert curve is not None
    assert curve.traces[0]["x"] == [1, 2]
    assert curve.traces[0]["y"] == [5.0, 3.0]
    assert curve.traces[0]["customdata"] == ["fc1.weight:1:1", "fc1.weight:0:1"]
    assert "2 of 4 faults do harm" in curve.note
    assert "1 leave the metric as it is, 1 improve it" in curve.note


def test_no_curve_where_no_fault_does_harm() -> None:
    assert damage_curve(faults_of([0.0, -1.0]), ACCURACY) is None


def test_a_change_that_is_no_number_is_no_harm() -> None:
    curve = damage_curve(faults_of([float("nan"), 1.0]), ACCURACY)
    assert curve is not None
    assert curve.traces[0]["y"] == [1.0]


@pytest.mark.parametrize(("least", "kind"), [(1.0, None), (0.01, "log")])
def test_the_axis_is_logarithmic_only_where_harm_spans_orders_of_magnitude(least: float, kind: str | None) -> None:
    curve = damage_curve(faults_of([10.0, least]), ACCURACY)
    assert curve is not None
    assert curve.layout["yaxis"].get("type") == kind


@pytest.mark.parametrize("harmful", [1, CURVE_POINTS, CURVE_POINTS + 1, 40_480, 3_000_000])
def test_long_curves_keep_the_worst_and_the_last(harmful: int) -> None:
    ranks = curve_ranks(harmful)
    assert len(ranks) == min(harmful, CURVE_POINTS)
    assert np.array_equal(ranks[:1000], np.arange(min(harmful, 1000)))
    assert ranks[-1] == harmful - 1
    assert (np.diff(ranks) > 0).all()


def test_a_shortened_curve_says_so() -> None:
    curve = damage_curve(faults_of(list(range(1, 8001))), ACCURACY)
    assert curve is not None
    assert "Drawn are 5,000 points: each of the worst 1,000 faults" in curve.note


def test_a_small_map_shows_every_word_and_bit() -> None:
    figure = weight_map(faults_of([0.1, 0.2, 0.3, 0.4]), (1, 2))
    assert figure.traces[0]["z"] == [[0.1, 0.3], [0.2, 0.4]]
    assert figure.traces[0]["x"] == [0, 1]
    assert not figure.note


def test_a_large_map_shows_the_worst_of_equal_bins_and_says_so() -> None:
    shares = np.random.default_rng(3).random(2 * 4096)
    figure = weight_map(faults_of(shares.tolist()), (64, 64))
    cells = figure.traces[0]
    assert figure.note == "Each column is the worst of 3 consecutive words."
    assert len(cells["x"]) == 1366
    assert cells["x"][:3] == [0, 3, 6]
    expected = [shares[1 : 2 * 4096 : 2][first : first + 3].max() for first in cells["x"]]
    assert cells["z"][1] == pytest.approx(expected, rel=1e-5)


def test_sites_that_were_not_sampled_stay_blank() -> None:
    faults = faults_of([0.1, 0.2])
    faults = dataclasses.replace(faults, index=np.array([0, 2]))
    assert weight_map(faults, (3,)).traces[0]["z"] == [[0.1, None, None], [None, None, 0.2]]


def test_each_map_has_a_colour_scale_of_its_own(view: RunView) -> None:
    campaign = view.campaigns[0]
    faults = fault_columns(campaign.outcomes, 360, ACCURACY)
    maps = weight_maps(faults, campaign.shapes, shown_in_maps(faults, ACCURACY, "argmax"))
    assert [figure.title.split(",")[0] for figure in maps] == list(campaign.shapes)
    for position, figure in enumerate(maps):
        assert figure.traces[0]["zmax"] == faults.decisions[faults.tensor == position].max()


def test_maps_show_decisions_of_classes_and_harm_where_a_tolerance_decides() -> None:
    faults = faults_of([3.0, -1.0], decisions=[0.5, 0.25])
    assert weight_map(faults, (1,)).traces[0]["z"] == [[0.5], [0.25]]
    harm = weight_maps(faults, {"fc1.weight": (1,)}, shown_in_maps(faults, RMSE, "tolerance"))[0]
    assert harm.traces[0]["z"] == [[3.0], [-1.0]]
    assert harm.columns[2][0] == "rise of rmse [m]"


def test_a_map_without_damage_says_so_and_shows_no_scale() -> None:
    quiet, loud = weight_map(faults_of([0.0, 0.0]), (1,)), weight_map(faults_of([0.0, 0.1]), (1,))
    assert (quiet.traces[0]["showscale"], quiet.note) == (False, "No bit here does any damage.")
    assert (loud.traces[0]["showscale"], loud.note) == (True, "")


def test_improvements_do_not_move_the_zero_of_a_layer_by_bit_map() -> None:
    def row(bit: int, change: float) -> DamageRow:
        return DamageRow(
            tensor="fc1.weight", bit=bit, faults=1, masked=1.0, tolerable=0.0, critical=0.0, mean_metric_change=change,
            worst_metric_change=change, mean_decisions_changed=0.0, worst_site=0,
        )  # fmt: skip

    decisions, harm = damage_maps([row(1, -0.02), row(0, 0.01)], ACCURACY)
    assert (harm.traces[0]["zmin"], harm.traces[0]["zmax"]) == (0, 2.0)
    assert harm.traces[0]["z"] == [[2.0, -1.0]]
    assert decisions.traces[0]["zmax"] == 1.0
