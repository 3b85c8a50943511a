"""``edgeval rank-bits`` on small graphs: what is saved, what is found again, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
from support.networks import Mlp

from edgeval.bit_ranking import DERIVATIVE_METHODS, HessianOptions
from edgeval.cli import run as edgeval
from edgeval.evaluation import campaign_metric
from edgeval.importing import GraphOptions, import_graph
from edgeval.metrics import METRICS
from edgeval.rank_bits import RankOptions, rank_run
from edgeval.ranking_record import RankRecord
from edgeval.records import load_record
from edgeval.run_directory import RunDirectory
from fault_injection.fault_list import StoredBits
from fault_injection.golden import golden_run
from fault_injection.outcomes import Decision, Judge
from fault_injection.ranking import METHODS, Method
from fault_injection.ranking_score import score_ranking
from fault_injection.sites import all_sites
from hls.errors import InputError, RunDirectoryError, UsageError
from hls.graph import IntegerGraph
from hls.lowering import lower

RECIPE = Mlp(seed=1)
FEW = HessianOptions(eigenpairs=2)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported run of a small graph with labels; tests copy it."""
    folder = tmp_path_factory.mktemp("ranked")
    onnx.save(RECIPE.model(), folder / "mlp.onnx")
    labels = np.random.default_rng(0).integers(0, 3, 30)
    np.savez(folder / "x.npz", inputs=RECIPE.inputs(30), labels=labels)
    run = RunDirectory(folder / "run")
    import_graph(folder / "mlp.onnx", run, GraphOptions(inputs=folder / "x.npz"))
    run.save_network(run_graph(run))
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> RunDirectory:
    import shutil

    shutil.copytree(made / "run", tmp_path / "run")
    return RunDirectory(tmp_path / "run")


def test_every_site_is_in_the_file_with_what_its_flip_does(run: RunDirectory) -> None:
    record = rank_run(run, RankOptions(top=7))
    graph = run.network()
    table = pq.read_table(run.path / record.ranking)
    sites = all_sites(graph)
    assert table["site"].to_pylist() == sites.number.tolist()
    assert sorted(table["rank"].to_pylist()) == list(range(len(sites)))
    first = table["rank"].to_pylist().index(0)
    assert record.top[0].site == str(sites.site(first))
    assert (record.top[0].word, record.top[0].delta) == (
        table["golden_word"][first].as_py(),
        table["delta"][first].as_py(),
    )
    scores = table["score"].to_numpy()[np.argsort(table["rank"].to_numpy())]
    assert (np.diff(scores) <= 0).all()
    assert len(record.top) == 7
    assert record.oracle is None
    assert load_record(RankRecord, run.record_file("rank-bits")) == record


def test_the_damage_is_that_of_the_campaign_and_scores_follow_from_it(run: RunDirectory) -> None:
    record = rank_run(run, RankOptions(hessian=FEW, score=True))
    table = pq.read_table(run.path / record.ranking)
    graph, samples, metric = run.network(), run.samples(), METRICS["cross-entropy"]
    judge = Judge(
        golden=golden_run(graph, graph.quantize_inputs(samples.inputs)), decision=Decision(kind="argmax"),
        labels=samples.labels, per_sample=metric.per_sample, finish=metric.finish,
    )  # fmt: skip
    faults = StoredBits(sites=all_sites(graph), model="flip")
    damage = faults.judge(judge, detail="full", threads=1)["metric_change"].to_numpy()
    assert np.array_equal(table["damage"].to_numpy(), damage)
    assert {row.method for row in record.scores} == {*METHODS, "adaptive", "oracle"}
    for row in record.scores:
        order = np.argsort(table[f"rank_{row.method}"].to_numpy())
        assert score_ranking(damage, order).area == row.area
    assert record.scores[0].method == "oracle"
    assert record.scores[0].area == 1.0
    assert record.loss.value == pytest.approx(judge.metric())


def test_the_damage_is_measured_once(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    first = rank_run(run, RankOptions(hessian=FEW, score=True))

    def refuse(*arguments: object, **more: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(StoredBits, "judge", refuse)
    second = rank_run(run, RankOptions(hessian=FEW, score=True, method="delta"))
    assert (first.oracle is not None, second.oracle is not None) == (True, True)
    assert first.oracle is not None
    assert second.oracle is not None
    assert (first.oracle.found, second.oracle.found) == (False, True)
    assert first.oracle.harm == second.oracle.harm


def test_other_samples_are_another_oracle(run: RunDirectory) -> None:
    rank_run(run, RankOptions(hessian=FEW, score=True))
    fewer = rank_run(run, RankOptions(hessian=FEW, score=True, samples=20))
    assert fewer.oracle is not None
    assert not fewer.oracle.found
    assert fewer.samples == 20


def test_a_damaged_oracle_is_named(run: RunDirectory) -> None:
    rank_run(run, RankOptions(hessian=FEW, score=True))
    (path,) = (run.path / "rankings").glob("oracle-*/outcomes.parquet")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RunDirectoryError, match="oracle-"):
        rank_run(run, RankOptions(hessian=FEW, score=True))


def test_a_bare_qonnx_file_is_ranked_and_nothing_is_left_behind(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert edgeval(["rank-bits", str(made / "mlp.onnx"), "--inputs", str(made / "x.npz"), "--top", "3"]) == 0
    out = capsys.readouterr().out
    assert "ranked by fisher" in out
    assert "rankings/" not in out, "the run was temporary"


@pytest.mark.parametrize("method", METHODS)
def test_every_method_ranks_a_third_party_run(run: RunDirectory, method: Method) -> None:
    record = rank_run(run, RankOptions(method=method, hessian=HessianOptions(eigenpairs=3)))
    assert record.method == method
    assert sorted(pq.read_table(run.path / record.ranking)["rank"].to_pylist()) == list(range(record.sites))


def test_calibration_samples_move_derivatives_and_not_the_damage(made: Path, run: RunDirectory, tmp_path: Path) -> None:
    inputs = RECIPE.inputs(60)[30:]
    np.savez(tmp_path / "other.npz", inputs=inputs, labels=np.random.default_rng(9).integers(0, 3, 30))
    own = rank_run(run, RankOptions(hessian=FEW, score=True))
    other = rank_run(run, RankOptions(hessian=FEW, score=True), calibration=tmp_path / "other.npz")
    assert own.top != other.top
    assert own.oracle is not None
    assert other.oracle is not None
    assert own.oracle.harm == other.oracle.harm
    assert (other.calibration, other.calibration_samples) == ("other.npz", 30)


def test_the_choices_of_fkeras_reach_the_score(run: RunDirectory) -> None:
    tops = {
        rank_run(run, RankOptions(method="hessian", hessian=options)).top[0].score
        for options in (HessianOptions(eigenpairs=3), HessianOptions(eigenpairs=3, power=1),
                        HessianOptions(eigenpairs=3, strategy="max"), HessianOptions(eigenpairs=2))
    }  # fmt: skip
    assert len(tops) == 4


def test_the_same_seed_gives_the_same_ranking(run: RunDirectory) -> None:
    one, again, other = (rank_run(run, RankOptions(method="random", seed=seed)).top for seed in (1, 1, 2))
    assert one == again != other


def test_without_labels_the_loss_is_against_the_fault_free_answers(made: Path, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    import_graph(made / "mlp.onnx", run, GraphOptions(task="classification"))
    run.save_network(run_graph(run))
    record = rank_run(run, RankOptions())
    assert not record.label_relative
    assert record.loss.name == "cross-entropy"


def test_a_regression_is_ranked_by_its_own_error(tmp_path: Path) -> None:
    recipe = Mlp(widths=(8, 6, 1), seed=2)
    onnx.save(recipe.model(), tmp_path / "mlp.onnx")
    np.savez(tmp_path / "x.npz", inputs=recipe.inputs(20), labels=np.linspace(-1, 1, 20))
    run = RunDirectory(tmp_path / "run")
    import_graph(tmp_path / "mlp.onnx", run, GraphOptions(inputs=tmp_path / "x.npz"))
    run.save_network(run_graph(run))
    record = rank_run(run, RankOptions(hessian=FEW, score=True))
    assert (record.loss.name, record.loss.unit) == ("rmse", "output unit")
    areas = {row.method: row.area for row in record.scores}
    assert areas["oracle"] == 1.0
    assert areas["fisher"] is not None
    assert areas["fisher"] > 0.6


def test_a_regression_without_labels_is_ranked_against_its_own_answers(tmp_path: Path) -> None:
    onnx.save(Mlp(widths=(8, 6, 1), seed=2).model(), tmp_path / "mlp.onnx")
    run = RunDirectory(tmp_path / "run")
    import_graph(tmp_path / "mlp.onnx", run, GraphOptions(task="regression"))
    run.save_network(run_graph(run))
    record = rank_run(run, RankOptions(hessian=FEW, method="finite-difference", score=True))
    assert record.loss.value == 0.0
    assert record.oracle is not None
    assert record.oracle.improvement == 0.0, "no flip is better than the answer itself"


def run_graph(run: RunDirectory) -> IntegerGraph:
    """The integer network of a run, without the hls4ml project that an export writes, too."""
    return lower(onnx.load(run.onnx_file))


def activated_by_a_table(tmp_path: Path) -> RunDirectory:
    """A run of a graph whose activation is a sigmoid: a table, or thresholds."""
    model = Mlp(widths=(4, 3, 2), seed=3).model()
    for node in model.graph.node:
        if node.op_type == "Relu":
            node.op_type = "Sigmoid"
    onnx.save(model, tmp_path / "mlp.onnx")
    run = RunDirectory(tmp_path / "run")
    import_graph(tmp_path / "mlp.onnx", run, GraphOptions(task="classification"))
    run.save_network(run_graph(run))
    return run


@pytest.mark.parametrize("method", DERIVATIVE_METHODS)
def test_a_network_without_derivatives_refuses_them_with_the_layer(tmp_path: Path, method: str) -> None:
    with pytest.raises(UsageError, match=r"act1.*steps.*finite-difference"):
        rank_run(activated_by_a_table(tmp_path), RankOptions(method=method))  # type: ignore[arg-type]


def test_scores_leave_out_what_the_network_has_not_and_say_so(tmp_path: Path) -> None:
    record = rank_run(activated_by_a_table(tmp_path), RankOptions(hessian=FEW, method="finite-difference", score=True))
    assert [reason.split(":")[0] for reason in record.left_out] == list(DERIVATIVE_METHODS)
    scored = {row.method for row in record.scores}
    assert scored == {"finite-difference", "delta", "msb-first", "random", "adaptive", "oracle"}


def test_labels_that_are_no_classes_are_refused(made: Path, run: RunDirectory, tmp_path: Path) -> None:
    np.savez(tmp_path / "bad.npz", inputs=RECIPE.inputs(4), labels=np.array([0, 1, 2, 3]))
    with pytest.raises(InputError, match="labels"):
        rank_run(run, RankOptions(), inputs=tmp_path / "bad.npz")


def test_a_top_of_none_is_refused(run: RunDirectory) -> None:
    with pytest.raises(UsageError, match="--top"):
        rank_run(run, RankOptions(top=0))


def test_a_campaign_may_count_in_any_metric_of_its_task(run: RunDirectory) -> None:
    record = run.run_record()
    assert campaign_metric(record, None).name == "accuracy"
    assert campaign_metric(record, "cross-entropy") is METRICS["cross-entropy"]
    with pytest.raises(UsageError, match="accuracy, cross-entropy"):
        campaign_metric(record, "rmse")
    with pytest.raises(UsageError, match="metric of a classification"):
        campaign_metric(record, "f1")


def test_cross_entropy_can_be_the_metric_of_a_third_party_run(made: Path, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    record = import_graph(made / "mlp.onnx", run, GraphOptions(inputs=made / "x.npz", metric="cross-entropy"))
    assert (record.metric, record.unit, record.direction) == ("cross-entropy", "nat", "lower")
    run.save_network(run_graph(run))
    assert campaign_metric(record, None) is METRICS["cross-entropy"]
