"""The section about ranked bits: its curves, and what it says when something is not there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.report_records import DAMAGE
from support.report_records import ranking_columns as columns
from support.report_records import ranking_record as record

from edgeval.records import save_record
from edgeval.report.load import load_run_view
from edgeval.report.page import render_page
from edgeval.report.ranking_section import _LINES, curve_points, curves
from edgeval.report.view import RankingView, RunView
from fault_injection.ranking import METHODS
from hls.errors import RunDirectoryError


def page(view: RunView, ranking: RankingView | None) -> str:
    return render_page([replace(view, ranking=ranking)])


def test_a_curve_is_the_share_of_harm_found_by_the_first_bits() -> None:
    figure = curves(columns(), record().scores)
    assert figure is not None
    oracle, fisher = figure.traces
    assert (oracle["name"], oracle["x"], oracle["y"]) == ("oracle", [0, 0.25, 0.5, 0.75, 1], [0, 0.75, 1, 1, 1])
    assert (fisher["name"], fisher["y"]) == ("fisher", [0, 0.25, 1, 1, 1])


def test_without_harm_there_is_no_curve() -> None:
    assert curves(columns().set_column(0, "damage", pa.array(-np.abs(DAMAGE))), record().scores) is None


def test_a_long_curve_is_thinned_and_keeps_both_ends() -> None:
    points = curve_points(3_750_000)
    assert (points[0], points[-1]) == (0, 3_750_000)
    assert len(points) <= 400
    assert (points <= 375_000).sum() >= 150
    assert curve_points(5).tolist() == [0, 1, 2, 3, 4, 5]


def test_every_ranking_has_a_line_of_its_own() -> None:
    assert set(_LINES) == {*METHODS, "adaptive", "oracle"}
    looks = {(line["color"], line.get("dash")) for line in _LINES.values()}
    assert len(looks) == len(_LINES)


def test_the_section_has_scores_figure_and_first_bits(view: RunView) -> None:
    html = page(view, RankingView(record=record(), columns=columns()))
    for text in ("Ranked bits", "Cumulative damage of each ranking", "0.750", "fc1.weight:0:3", "Left out: taylor"):
        assert text in html
    assert "&lt;b&gt;calibration" in html
    assert "<b>calibration" not in html


def test_without_a_score_it_says_how_to_get_one(view: RunView) -> None:
    unscored = msgspec.structs.replace(record(), oracle=None, scores=(), left_out=())
    html = page(view, RankingView(record=unscored))
    assert "edgeval rank-bits RUN --score" in html
    assert "Cumulative damage of each ranking" not in html


def test_a_run_that_was_not_ranked_has_no_such_section(view: RunView) -> None:
    assert "<h3>Ranked bits" not in page(view, None)


@pytest.fixture
def run(tmp_path: Path, view: RunView) -> Path:
    save_record(view.run, tmp_path / "run.json")
    save_record(record(), tmp_path / "records" / "rank-bits.json")
    (tmp_path / "rankings").mkdir()
    pq.write_table(columns(), tmp_path / record().ranking)
    return tmp_path


def test_record_and_columns_are_read(run: Path) -> None:
    ranking = load_run_view(run).ranking
    assert ranking is not None
    assert ranking.record == record()
    assert ranking.columns is not None
    assert ranking.columns.equals(columns())


def test_a_ranking_that_was_not_kept_leaves_the_record(run: Path) -> None:
    (run / record().ranking).unlink()
    assert load_run_view(run).ranking == RankingView(record=record())


def test_a_ranking_of_another_size_is_refused(run: Path) -> None:
    pq.write_table(columns().slice(0, 3), run / record().ranking)
    with pytest.raises(RunDirectoryError, match=r"3 rows.*rank-bits"):
        load_run_view(run)


def test_a_ranking_outside_the_run_is_refused(run: Path) -> None:
    save_record(msgspec.structs.replace(record(), ranking="../x.parquet"), run / "records" / "rank-bits.json")
    with pytest.raises(RunDirectoryError, match=r"edgeval rank-bits"):
        load_run_view(run)
