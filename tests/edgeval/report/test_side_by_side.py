"""Several runs at the top of the page: what differs between layers of one name, and their curves in one figure."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from support.report_records import RATES

from edgeval.report.figures import Figure
from edgeval.report.markup import Markup, element
from edgeval.report.side_by_side import damage_curves, error_rate_curves, side_by_side
from edgeval.report.view import RunView

MakeView = Callable[..., RunView]


@pytest.fixture
def pair(make_view: MakeView) -> tuple[RunView, RunView]:
    return make_view("one"), make_view("two", seed=1)


def drawn(figure: Figure) -> Markup:
    return element("figure", figure.title)


def text_of(*runs: RunView) -> str:
    text = re.sub(r"<[^>]*>", " ", side_by_side(runs, drawn)).replace("&lt;", "<").replace("&gt;", ">")
    return re.sub(r"\s+", " ", text)


def with_layer(view: RunView, place: int, **changes: object) -> RunView:
    assert view.export is not None
    layers = list(view.export.layers)
    layers[place] = msgspec.structs.replace(layers[place], **changes)
    return dataclasses.replace(view, export=msgspec.structs.replace(view.export, layers=tuple(layers)))


def test_equal_formats_are_one_sentence(pair: tuple[RunView, RunView]) -> None:
    assert "4 layers of the same name, all of the same formats." in text_of(*pair)


def test_a_format_that_differs_stands_in_a_row_with_both_values(pair: tuple[RunView, RunView]) -> None:
    text = text_of(pair[0], with_layer(pair[1], 1, output_format="ap_fixed<17,8>", accumulator_bits=17))
    assert "fc1 output ap_fixed<18,8> ap_fixed<17,8>" in text
    assert "fc1 accumulator bits 18 17" in text


def test_layers_of_one_run_alone_are_not_compared(pair: tuple[RunView, RunView]) -> None:
    assert "3 layers of the same name" in text_of(pair[0], with_layer(pair[1], 1, name="dense"))


def test_differing_words_stand_layer_by_layer_beside_each_other(pair: tuple[RunView, RunView]) -> None:
    compare = pair[1].compare
    assert compare is not None
    layers = tuple(msgspec.structs.replace(row, differing=12) if row.value == "fc2" else row for row in compare.layers)
    other = dataclasses.replace(pair[1], compare=msgspec.structs.replace(compare, layers=layers))
    assert "fc2 0 of 11,520 12 of 11,520" in text_of(pair[0], other)
    assert "Words that differ" not in text_of(*pair)


def test_damage_curves_of_runs_with_one_metric_share_a_figure(pair: tuple[RunView, RunView]) -> None:
    figure = damage_curves(pair)
    assert figure is not None
    assert [trace["name"] for trace in figure.traces] == ["one", "two"]
    assert figure.traces[0]["line"] != figure.traces[1]["line"]
    for view, trace in zip(pair, figure.traces, strict=True):
        outcomes = view.campaigns[0].outcomes
        assert outcomes is not None
        harm = np.sort(-100 * outcomes["metric_change"].to_numpy())[::-1]
        assert trace["y"][0] == pytest.approx(harm[0], rel=1e-5)
        assert trace["y"][-1] == pytest.approx(harm[-1], rel=1e-5)
        assert trace["x"][-1] == 1


def test_runs_of_different_metrics_do_not_share_a_figure(pair: tuple[RunView, RunView]) -> None:
    campaign = pair[1].campaigns[0]
    metric = msgspec.structs.replace(campaign.record.metric, name="rmse", unit="m", direction="lower")
    other = dataclasses.replace(campaign, record=msgspec.structs.replace(campaign.record, metric=metric))
    assert damage_curves((pair[0], dataclasses.replace(pair[1], campaigns=(other,)))) is None


def test_bit_error_rates_of_two_runs_share_a_figure_and_of_one_need_none(pair: tuple[RunView, RunView]) -> None:
    one, two = (dataclasses.replace(view, error_rates=RATES) for view in pair)
    figure = error_rate_curves((one, two))
    assert figure is not None
    assert [trace["y"] for trace in figure.traces] == [[row.metric.mean for row in RATES.rates]] * 2
    assert error_rate_curves((one, pair[1])) is None
