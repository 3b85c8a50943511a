"""Models that become runs, and what cannot be."""

from __future__ import annotations

import gc
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.api_runs import INPUTS, LABELS, RECIPE
from support.native_runs import Perceptron, grid_inputs

import edgeval
from edgeval.own_model import ModuleSource, load_module


def live_module() -> Any:
    return load_module(ModuleSource(factory="support.own_modules:plain"))


MODULE_INPUTS = np.random.default_rng(0).uniform(0.0, 1.0, (30, 8)).astype(np.float32)


@pytest.mark.long
def test_a_module_without_quantizers_is_refused() -> None:
    with pytest.raises(edgeval.InputError, match="Linear without a single Brevitas quantizer"):
        edgeval.export(torch.nn.Linear(2, 2), inputs=MODULE_INPUTS)


@pytest.mark.gxx
@pytest.mark.long
def test_a_live_module_is_compared_and_left_as_it_was() -> None:
    module = live_module().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    result = edgeval.compare(module, inputs=torch.from_numpy(MODULE_INPUTS))
    assert result.matched
    assert result.run.record.source == "support.own_modules:Mlp"
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    named = edgeval.export("support.own_modules:plain", inputs=MODULE_INPUTS, factory_args={"seed": 0})
    exported = result.run.exported()
    assert exported is not None
    assert named.record.network_digest == exported.record.network_digest


@pytest.mark.gxx
@pytest.mark.long
def test_a_model_of_hls4ml_is_judged_where_it_writes_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, inputs = Perceptron().model(), grid_inputs((8,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # hls4ml and qonnx, about their own future
        import hls4ml
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.util.cleanup import cleanup_model

        wrapped = cleanup_model(ModelWrapper(model))
        config = hls4ml.utils.config_from_onnx_model(wrapped, granularity="name", backend="Vitis")
        hls_model = hls4ml.converters.convert_from_onnx_model(
            wrapped, output_dir=str(tmp_path / "project"), backend="Vitis", hls_config=config
        )
    capsys.readouterr()
    result = edgeval.compare(model, hls_model, inputs)
    assert capsys.readouterr().out == ""
    assert (result.record.flow, result.matched) == ("project", True)


def test_a_temporary_run_goes_with_the_last_that_holds_it() -> None:
    result = edgeval.export(RECIPE.model())
    run = result.run
    folder = run.path
    del result
    gc.collect()
    assert folder.is_dir()
    del run
    gc.collect()
    assert not folder.parent.exists()


def test_a_configuration_is_a_dictionary_or_a_file(tmp_path: Path) -> None:
    config = {"LayerName": {"fc1": {"Precision": {"accum": "fixed<9,4>"}}}}
    (tmp_path / "config.yml").write_text("LayerName: {fc1: {Precision: {accum: 'fixed<9,4>'}}}", encoding="utf-8")
    exports = [edgeval.export(RECIPE.model(), config=given) for given in (config, tmp_path / "config.yml", None)]
    narrow, same, wide = ([row.accumulator_bits for row in item.layers] for item in exports)
    assert narrow == same != wide


# Errors.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda run: edgeval.compare(run, labels=LABELS), "labels beside an array"),
        (lambda run: edgeval.compare(run, inputs=[["a"], ["b"]]), "found <U1 inputs"),
        (lambda run: edgeval.compare(run, inputs=[[1.0], [1.0, 2.0]]), "an array of numbers"),
        (lambda run: edgeval.compare(run, task="regression"), "only with a QONNX file"),
        (lambda run: edgeval.compare(run, "folder"), "export the run again"),
        (lambda run: edgeval.compare(3), "found a int"),
        (lambda run: edgeval.compare("no/such/run"), "no such folder"),
        (lambda run: edgeval.open_run("no/such/run"), "no such folder"),
        (lambda run: edgeval.export(run, "elsewhere"), "--output elsewhere"),
        (lambda run: edgeval.export(torch.nn.Linear(2, 2)), "without inputs"),
        (lambda run: edgeval.export(run, project=object()), "the folder of an hls4ml project"),
        (lambda run: edgeval.export("a:b", config={"Model": object()}, inputs=INPUTS), "mappings, lists, text"),
        (lambda run: edgeval.export("a:b", factory_args={"a": object()}, inputs=INPUTS), "that JSON can hold"),
        (lambda run: edgeval.write_report([]), "found no run"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_an_error_in_four_parts(call: Any, message: str, exported: edgeval.ExportResult) -> None:
    with pytest.raises(edgeval.EdgevalError, match=re.escape(message)) as raised:
        call(exported.run)
    assert raised.value.remedy
