"""Synthesis reports as Vivado HLS and Vitis HLS lay them out: read where they can be, left out where not."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeval.regression.vendor_reports import vendor_report

# Written by hand after what hls4ml 1.3.0 reads (hls4ml/report/vivado_report.py, parse_vivado_report), 2026-11-24.
REPORT = """<?xml version="1.0" encoding="UTF-8"?>
<profile>
<UserAssignments><unit>ns</unit><TargetClockPeriod>5.00</TargetClockPeriod></UserAssignments>
<PerformanceEstimates>
  <SummaryOfTimingAnalysis><EstimatedClockPeriod>3.612</EstimatedClockPeriod></SummaryOfTimingAnalysis>
  <SummaryOfOverallLatency>
    <Best-caseLatency>9</Best-caseLatency><Worst-caseLatency>10</Worst-caseLatency>
    <Interval-min>1</Interval-min><Interval-max>1</Interval-max>
  </SummaryOfOverallLatency>
</PerformanceEstimates>
<AreaEstimates>
  <Resources><BRAM_18K>4</BRAM_18K><{dsp}>12</{dsp}><FF>3100</FF><LUT>9800</LUT><URAM>0</URAM></Resources>
  <AvailableResources><BRAM_18K>4320</BRAM_18K><{dsp}>6840</{dsp}></AvailableResources>
</AreaEstimates>
</profile>
"""
PLACE = "edgeval_network_prj/solution1/syn/report"


def write(project: Path, text: str, name: str = "edgeval_network_csynth.xml") -> None:
    (project / PLACE).mkdir(parents=True, exist_ok=True)
    (project / PLACE / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize("dsp", ["DSP", "DSP48E"])
def test_figures_have_hls4mls_own_keys(tmp_path: Path, dsp: str) -> None:
    write(tmp_path, REPORT.format(dsp=dsp))
    report = vendor_report(tmp_path)
    assert report is not None
    assert report.file == f"{PLACE}/edgeval_network_csynth.xml"
    assert report.resources == {"BRAM_18K": 4, "DSP": 12, "FF": 3100, "LUT": 9800, "URAM": 0}
    assert report.cycles == {"BestLatency": 9, "WorstLatency": 10, "IntervalMin": 1, "IntervalMax": 1}
    assert report.clock_ns == {"TargetClockPeriod": 5.0, "EstimatedClockPeriod": 3.612}


def test_a_project_without_a_report_has_none(tmp_path: Path) -> None:
    assert vendor_report(tmp_path) is None


def test_reports_of_inner_functions_are_not_the_networks(tmp_path: Path) -> None:
    write(tmp_path, REPORT.format(dsp="DSP"), "dense_latency_csynth.xml")
    assert vendor_report(tmp_path) is None


@pytest.mark.parametrize("value", ["undef", "N/A", "", "nan", "inf"])
def test_a_figure_that_is_no_number_is_left_out(tmp_path: Path, value: str) -> None:
    write(tmp_path, REPORT.format(dsp="DSP").replace("<Worst-caseLatency>10", f"<Worst-caseLatency>{value}"))
    report = vendor_report(tmp_path)
    assert report is not None
    assert report.cycles == {"BestLatency": 9, "IntervalMin": 1, "IntervalMax": 1}


@pytest.mark.parametrize(
    "text",
    ["", "<profile>", "no xml", "<profile/>", '<!DOCTYPE x [<!ENTITY a "b">]>\n' + REPORT.format(dsp="DSP")[39:]],
)
def test_what_cannot_be_read_is_no_report(tmp_path: Path, text: str) -> None:
    write(tmp_path, text)
    assert vendor_report(tmp_path) is None
