"""Third-party graphs: from a file to a run, with samples, task and metric."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
from support.networks import Mlp

from edgeval.evaluation import evaluation, network_outputs
from edgeval.fault_options import FaultOptions
from edgeval.importing import GraphOptions, import_graph
from edgeval.injection import inject_run
from edgeval.pipeline import export_run, opened_run
from edgeval.run_directory import RunDirectory
from edgeval.stimuli import spanning_words
from hls.engine import ExactEngine
from hls.errors import LoweringError, RunDirectoryError, UsageError
from hls.formats import WordFormat
from hls.hls4ml_flow import ProjectOptions, load_manifest
from hls.hls4ml_flow.audit import audit_project
from hls.nodes import Quantize


def saved(tmp_path: Path, recipe: Mlp) -> Path:
    path = tmp_path / "mlp.onnx"
    onnx.save(recipe.model(), path)
    return path


def test_a_graph_without_samples_gets_the_corners_of_its_input_format(tmp_path: Path) -> None:
    recipe = Mlp(input_signed=True)
    run = RunDirectory(tmp_path / "run")
    record = import_graph(saved(tmp_path, recipe), run, GraphOptions())
    words = recipe.graph().quantize_inputs(run.samples().inputs)
    assert [set(row) for row in words[:5].tolist()] == [{-16}, {15}, {0}, {1}, {-1}]
    assert "spanning the input format" in record.title


@pytest.mark.parametrize(
    ("word_format", "seen"),
    [
        (WordFormat(width_bits=3, encoding="unsigned"), set(range(8))),
        (WordFormat(width_bits=3, encoding="twos_complement", narrow=True), set(range(-3, 4))),
        (WordFormat(width_bits=1, encoding="bipolar"), {-1, 1}),
    ],
)
def test_spanning_words_are_seeded_and_legal(word_format: WordFormat, seen: set[int]) -> None:
    quantizer = Quantize(
        name="q", input="x", output="q", format=word_format, scale=0.5, rounding="half_even",
        low=word_format.quantizer_minimum, high=word_format.maximum, view=(4,), axes=(0,),
    )  # fmt: skip
    first, second = (spanning_words(quantizer, (4,), seed) for seed in (7, 7))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, spanning_words(quantizer, (4,), 8))
    assert word_format.contains(first)
    assert set(np.unique(first)) == seen


@pytest.mark.parametrize(
    ("labels", "task", "metric"),
    [
        (np.arange(30) % 3, "classification", "accuracy"),
        (np.linspace(0, 1, 90).reshape(30, 3), "regression", "rmse"),
        (None, "classification", "accuracy"),
    ],
)
def test_the_task_follows_the_labels(labels: np.ndarray | None, task: str, metric: str, tmp_path: Path) -> None:
    arrays = {"inputs": Mlp().inputs(30)} | ({} if labels is None else {"labels": labels})
    np.savez(tmp_path / "x.npz", **arrays)
    options = GraphOptions(inputs=tmp_path / "x.npz")
    record = import_graph(saved(tmp_path, Mlp()), RunDirectory(tmp_path / "run"), options)
    assert (record.task, record.metric) == (task, metric)


def test_a_regression_without_float_reference_needs_a_threshold(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    record = import_graph(saved(tmp_path, Mlp()), run, GraphOptions(task="regression"))
    graph = Mlp().graph()
    with pytest.raises(UsageError, match="--critical-threshold"):
        evaluation(record, graph, run.samples())
    assert evaluation(record, graph, run.samples(), 0.5).decision.tolerance == 0.5


@pytest.mark.parametrize("labelled", [False, True])
def test_a_regression_of_several_outputs_is_judged_on_all_of_them(labelled: bool, tmp_path: Path) -> None:
    recipe = Mlp()
    inputs, graph = recipe.inputs(30), recipe.graph()
    answers = network_outputs(graph, inputs)
    arrays = {"inputs": inputs} | ({"labels": answers + 1.0} if labelled else {})
    np.savez(tmp_path / "x.npz", **arrays)
    run = RunDirectory(tmp_path / "run")
    import_graph(saved(tmp_path, recipe), run, GraphOptions(inputs=tmp_path / "x.npz", task="regression"))
    export_run(run, ProjectOptions())
    record = inject_run(run, FaultOptions(tensors=("fc3.bias",), critical_threshold=0.0))
    # Every answer is one beside its label, or its own label where there are none.
    assert record.metric.value == pytest.approx(1.0 if labelled else 0.0, abs=1e-12)
    table = pq.read_table(run.path / record.outcomes)
    graph = run.network()
    for row in table.to_pylist():
        # A bias bit moves one of three outputs of every sample by the same step.
        step = (
            (row["faulty_word"] - row["golden_word"])
            * float(graph.output_scale)
            * 2 ** int(graph.tensors["fc3.bias"].widen)
        )
        expected = np.sqrt((2 * 1 + (step - 1) ** 2) / 3) - 1 if labelled else abs(step) / np.sqrt(3)
        assert row["metric_change"] == pytest.approx(expected)


def test_exporting_twice_gives_the_same_network_and_project_words(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    import_graph(saved(tmp_path, Mlp(per_channel=True)), run, GraphOptions())
    first = export_run(run, ProjectOptions())
    bytes_before = run.network_file.read_bytes()
    second = export_run(run, ProjectOptions())
    assert first == second
    assert run.network_file.read_bytes() == bytes_before


def test_an_interrupted_import_is_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, path = RunDirectory(tmp_path / "run"), saved(tmp_path, Mlp())

    def interrupted(self: RunDirectory, record: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "save_run_record", interrupted)
        with pytest.raises(KeyboardInterrupt):
            import_graph(path, run, GraphOptions())
    assert {file.name for file in run.path.iterdir()} == {"model.onnx", "samples.npz"}
    assert import_graph(path, run, GraphOptions()) == run.run_record()


def test_a_folder_with_other_files_is_not_taken_for_a_free_one(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("years of work")
    with pytest.raises(RunDirectoryError, match="no run"):
        import_graph(saved(tmp_path, Mlp()), RunDirectory(tmp_path / "run"), GraphOptions())


def test_an_unknown_metric_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="accuracy, cross-entropy, rmse, mae"):
        import_graph(saved(tmp_path, Mlp()), RunDirectory(tmp_path / "run"), GraphOptions(metric="auc"))


def test_a_file_is_opened_as_a_temporary_run_that_goes_away(tmp_path: Path) -> None:
    with opened_run(saved(tmp_path, Mlp()), GraphOptions()) as run:
        assert run.network() == Mlp().graph()
        place = run.path
    assert not place.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["mlp.onnx"]


def test_a_softmax_at_the_end_is_the_hosts(tmp_path: Path) -> None:
    model = Mlp().model()
    model.graph.node.append(onnx.helper.make_node("Softmax", [model.graph.output[0].name], ["p"], name="tail"))
    model.graph.output[0].name = "p"
    onnx.save(model, tmp_path / "tail.onnx")
    run = RunDirectory(tmp_path / "run")
    import_graph(tmp_path / "tail.onnx", run, GraphOptions())
    record = export_run(run, ProjectOptions())
    assert record.qonnx.unexplained == 0
    plain = Mlp().graph()
    assert run.network().nodes == plain.nodes
    words = run.network().quantize_inputs(run.samples().inputs)
    values = run.network().output_values(ExactEngine(plain).run(words).output)
    assert np.allclose(values.sum(axis=1), 1.0)


def test_a_softmax_in_the_middle_is_refused_by_name(tmp_path: Path) -> None:
    model = Mlp().model()
    quant = next(node for node in model.graph.node if node.name == "/act1/Quant")
    node = onnx.helper.make_node("Softmax", [quant.input[0]], ["p"], name="middle")
    model.graph.node.insert(list(model.graph.node).index(quant), node)
    quant.input[0] = "p"
    onnx.save(model, tmp_path / "middle.onnx")
    with pytest.raises(LoweringError, match=r"act1.*softmax"):
        import_graph(tmp_path / "middle.onnx", RunDirectory(tmp_path / "run"), GraphOptions())


@pytest.mark.parametrize("target", [[1, 8], [1, -1], [-1, 8], [0, -1]])
@pytest.mark.parametrize("as_node", [False, True])
def test_a_reshape_traced_with_one_sample_is_executed_on_many(target: list[int], as_node: bool, tmp_path: Path) -> None:
    recipe = Mlp()
    model = recipe.model()
    graph = model.graph
    graph.input[0].CopyFrom(onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 2, 4]))
    shape = onnx.numpy_helper.from_array(np.array(target, np.int64), "flat_shape")
    allowzero = {} if 0 in target else {"allowzero": 1}
    model.opset_import[0].version = 14
    reshape = onnx.helper.make_node("Reshape", ["input_quant", "flat_shape"], ["flat"], name="flatten", **allowzero)
    for node in graph.node:
        node.input[:] = ["flat" if name == "input_quant" else name for name in node.input]
    graph.node.insert(1, reshape)
    if as_node:
        graph.node.insert(1, onnx.helper.make_node("Constant", [], ["flat_shape"], value=shape))
    else:
        graph.initializer.append(shape)
    onnx.save(model, tmp_path / "flat.onnx")
    np.savez(tmp_path / "x.npz", inputs=recipe.inputs(30).reshape(30, 2, 4))
    run = RunDirectory(tmp_path / "run")
    import_graph(tmp_path / "flat.onnx", run, GraphOptions(inputs=tmp_path / "x.npz"))
    record = export_run(run, ProjectOptions())
    assert (record.qonnx.max_error, record.qonnx.unexplained) == (0.0, 0)
    assert audit_project(run.network(), run.project, load_manifest(run.project)) == []
