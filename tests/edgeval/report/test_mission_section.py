"""The mission on the page: its verdict, its rows and the figure's data."""

from __future__ import annotations

import msgspec
import pytest
from support.missions import mission_record

from edgeval.mission_record import MissionRecord
from edgeval.report.figures import Figure
from edgeval.report.markup import Markup, element
from edgeval.report.mission_rows import mission_rows, scope_text
from edgeval.report.mission_section import mission_section, scrub_figure
from fault_injection.mission import NOT_MODELLED, Mission, Sensitivity, outlook


def line(figure: Figure, name: str) -> list[float]:
    (trace,) = [trace for trace in figure.traces if trace["name"] == name]
    values: list[float] = trace["y"]
    return values


def placed(figure: Figure) -> Markup:
    return element("figure", figure.title)


def test_the_lines_of_the_figure_are_what_missions_of_those_periods_give() -> None:
    record = mission_record(multi_bit_share=0.02)
    figure = scrub_figure(record)
    bits = Sensitivity(bits=10_600, changed=106.0, right_to_wrong=None, harmful=1_000)
    for position, period in enumerate(figure.traces[0]["x"]):
        mission = Mission(cross_section=3e-14, flux=1e6, period=period, multi_bit_share=0.02)
        device = outlook(mission, bits)
        assert line(figure, "to first order")[position] == pytest.approx(device.wrong_decisions, rel=1e-5)
        assert line(figure, "at least")[position] == pytest.approx(device.wrong_decisions_lowest, rel=1e-5)
        assert line(figure, "at most")[position] == pytest.approx(device.wrong_decisions_highest, rel=1e-5)


def test_the_mission_itself_stands_in_the_middle_of_its_figure() -> None:
    figure = scrub_figure(mission_record(period=10.0))
    periods = figure.traces[0]["x"]
    assert (periods[0], periods[len(periods) // 2], periods[-1]) == (0.01, 10.0, 10_000.0)
    assert line(figure, "this mission") == [pytest.approx(1.59e-5)]


def test_a_first_order_share_above_one_is_not_drawn() -> None:
    figure = scrub_figure(mission_record(period=1e8))
    first = line(figure, "to first order")
    assert first[0] is not None
    assert first[-1] is None
    assert all(share is None or share <= 1 for share in first)


def test_the_section_warns_where_single_faults_do_not_hold() -> None:
    good = mission_section(mission_record(), "mission", placed)
    bad = mission_section(mission_record(period=1e5), "mission", placed)
    assert "check good" in good
    assert "WARNING" not in good
    assert "check bad" in bad
    assert "WARNING: single-fault figures do not hold" in bad


def test_the_section_says_what_is_left_out() -> None:
    assert all(one in mission_section(mission_record(), "mission", placed) for one in NOT_MODELLED)


def test_bounds_of_failures_are_told_where_several_bits_may_flip() -> None:
    def meaning(record: MissionRecord) -> str:
        return {name: text for name, _, text in mission_rows(record)}["failures"]

    assert "whatever upsets of several bits do" in meaning(mission_record(multi_bit_share=0.1))
    assert "whatever" not in meaning(mission_record())


def test_a_mission_in_which_nothing_is_harmful_has_no_time_to_failure() -> None:
    assert ("MTTF", "none", "mean time to failure of one device") in mission_rows(mission_record(harmful=0))


def test_a_mission_of_some_bits_says_of_how_many() -> None:
    record = msgspec.structs.replace(mission_record(), stored_bits=12_720)
    assert "10,600 bits (of 12,720 stored)" in scope_text(record)
