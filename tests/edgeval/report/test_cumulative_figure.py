"""The cumulative curve against sums that are written out, and against every order of a few bits."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgeval.report.cumulative_figure import (
    ORACLE_POINTS,
    area,
    cumulative_damage,
    top_bits_first,
    worst_first,
)
from edgeval.report.fault_figures import FaultColumns, Shown, fault_columns, shown_in_maps
from edgeval.report.view import RunView


def faults_of(bit: list[int], tensor: list[int] | None = None) -> FaultColumns:
    rows = np.arange(len(bit))
    return FaultColumns(
        names=("fc1.weight", "fc1.bias"),
        tensor=np.array(tensor if tensor is not None else [0] * len(bit)),
        index=rows,
        bit=np.array(bit),
        harm=np.zeros(len(bit)),
        decisions=np.zeros(len(bit)),
    )


def damage_of(values: list[float]) -> Shown:
    return Shown(values=np.array(values), name="share of decisions changed", number_format=".1~%")


def test_worst_first_adds_the_bits_up_from_the_worst_down() -> None:
    shares, reached = worst_first(np.array([1.0, 5.0, 0.0, 2.0]))
    assert shares.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert reached.tolist() == [0.0, 0.625, 0.875, 1.0, 1.0]


def test_inside_a_plane_the_line_is_the_mean_over_all_orders() -> None:
    damage, below_top = np.array([3.0, 1.0, 0.0, 2.0]), np.array([0, 0, 0, 1])
    orders = [np.array([*first, 3]) for first in itertools.permutations(range(3))]
    mean = np.mean([np.concatenate([[0.0], np.cumsum(damage[order])]) for order in orders], axis=0) / damage.sum()
    shares, reached = top_bits_first(damage, below_top)
    assert np.interp(np.linspace(0, 1, 5), shares, reached) == pytest.approx(mean)


def test_planes_are_counted_from_the_top_bit_of_each_tensor() -> None:
    figure = cumulative_damage(faults_of([1, 0, 3, 2], tensor=[0, 0, 1, 1]), damage_of([4.0, 0.0, 3.0, 1.0]))
    assert figure is not None
    planes = figure.traces[1]
    assert (planes["x"], planes["y"]) == ([0.0, 0.5, 1.0], [0.0, 0.875, 1.0])


def test_improvements_are_no_damage() -> None:
    figure = cumulative_damage(faults_of([0, 1]), damage_of([-1.0, 2.0]))
    assert figure is not None
    assert figure.traces[0]["y"] == [0.0, 1.0, 1.0]


def test_no_curve_where_nothing_is_damaged() -> None:
    assert cumulative_damage(faults_of([0, 1]), damage_of([0.0, -1.0])) is None


def test_no_order_beats_worst_first(view: RunView) -> None:
    campaign = view.campaigns[0]
    faults = fault_columns(campaign.outcomes, 360, campaign.record.metric)
    figure = cumulative_damage(faults, shown_in_maps(faults, campaign.record.metric, "argmax"))
    assert figure is not None
    oracle, planes, diagonal = figure.traces
    damage = np.sort(faults.decisions)[::-1].cumsum() / faults.decisions.sum()
    ranks = np.rint(np.array(oracle["x"]) * len(damage)).astype(int)
    assert oracle["y"][1:] == pytest.approx(damage[ranks[1:] - 1], abs=1e-5)
    assert (np.interp(planes["x"], oracle["x"], oracle["y"]) >= np.array(planes["y"]) - 1e-5).all()
    assert (diagonal["x"], diagonal["y"]) == ([0.0, 1.0], [0.0, 1.0])


def test_a_long_curve_is_thinned_and_says_so(view: RunView) -> None:
    campaign = view.campaigns[0]
    faults = fault_columns(campaign.outcomes, 360, campaign.record.metric)
    figure = cumulative_damage(faults, shown_in_maps(faults, campaign.record.metric, "argmax"))
    assert figure is not None
    drawn, bits = len(figure.traces[0]["x"]), len(faults.bit)
    assert drawn <= ORACLE_POINTS < bits
    assert f"{drawn} of {bits + 1:,} points are drawn" in figure.note


def test_areas_are_of_whole_curves() -> None:
    damage = np.random.default_rng(2).random(1000) ** 8
    assert area(worst_first(damage)) > area(top_bits_first(damage, np.repeat([0, 1], 500)))
    assert area(top_bits_first(np.ones(6), np.array([0, 1, 2, 0, 1, 2]))) == pytest.approx(0.5)
