"""Gates, causes and tolerances: one observed run against copies of itself with one thing edited."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edgeval.regression.baseline import LockedRun, VendorReport
from edgeval.regression.gates import ORDER, Compared, broken, judged, observed_run
from edgeval.regression.observe import Observation
from edgeval.regression.stored_network import CHUNK_WORDS, locked_tensors, restored
from edgeval.regression_record import Gate, Tolerances
from hls.errors import InputError
from hls.graph import WordChange

REPORT = VendorReport(
    file="report.xml",
    resources={"LUT": 1000, "FF": 500, "DSP": 0},
    cycles={"BestLatency": 100, "WorstLatency": 100},
    clock_ns={},
)


def edited(run: LockedRun, **parts: Any) -> LockedRun:
    return msgspec.structs.replace(run, **parts)


def gates(old: LockedRun, now: Observation, **tolerances: float) -> dict[str, Gate]:
    found = judged(observed_run(old, now), Tolerances(**tolerances))
    assert tuple(gate.name for gate in found.gates) == ORDER
    return {gate.name: gate for gate in found.gates}


def of_two(old: LockedRun, new: LockedRun, **tolerances: float) -> dict[str, Gate]:
    """The gates of two baselines: nothing is run."""
    return {gate.name: gate for gate in judged(Compared(old=old, new=new), Tolerances(**tolerances)).gates}


def test_a_run_is_as_it_was_observed(observation: Observation) -> None:
    found = gates(observation.run, observation)
    assert {name for name, gate in found.items() if gate.status == "skipped"} == {"csim", "resources", "latency"}
    assert {name for name, gate in found.items() if gate.status == "failed"} == set()


def test_every_stored_bit_of_a_small_network_is_flipped(observation: Observation) -> None:
    faults = observation.run.faults
    assert faults.faults == faults.sites == observation.run.stored_bits == 192
    assert faults.worst_site == "fc2.bias:2:5"


def test_a_locked_network_can_be_run_again(observation: Observation) -> None:
    assert restored(observation.run) == observation.graph


# Causes.


def test_a_tool_is_the_subject_where_nothing_else_changed(observation: Observation) -> None:
    types = tuple(
        msgspec.structs.replace(item, type="ap_fixed<19,9>") if (item.layer, item.role) == ("fc2", "result_t") else item
        for item in observation.run.types
    )
    old = edited(observation.run, types=types, versions={**observation.run.versions, "hls4ml": "1.2.0"})
    gate = gates(old, observation)["types"]
    assert gate.summary.startswith("hls4ml 1.2.0 → 1.3.0 changed result_t of fc2 from ap_fixed<19,9> to ap_fixed<")
    assert gate.details == ("cause: a tool changed: hls4ml 1.2.0 → 1.3.0; the model is the locked one",)


def test_a_changed_model_is_the_cause_whatever_tools_changed(observation: Observation) -> None:
    model = msgspec.structs.replace(observation.run.model, sha256="0" * 64)
    old = with_word(observation, model=model, versions={**observation.run.versions, "hls4ml": "1.2.0"})
    gate = gates(old, observation)["weights"]
    assert gate.summary.startswith("1 of 20 weight words of fc1.weight changed, first [7]: ")
    assert gate.details[0].startswith("cause: the model changed: model.onnx is not the locked file (sha256 00000000…")
    assert gate.details[0].endswith("; hls4ml 1.2.0 → 1.3.0 as well")


def test_a_difference_without_any_cause_says_so(observation: Observation) -> None:
    gate = gates(with_word(observation), observation)["weights"]
    assert gate.details[0].startswith("cause: unknown: model, options and tool versions are as locked")


def test_an_override_is_the_cause_of_what_it_can_change(observation: Observation) -> None:
    options = msgspec.structs.replace(observation.run.options, overrides={"LayerName": {"fc1": {}}})
    gate = gates(with_word(observation, options=options), observation)["weights"]
    assert gate.details[0].startswith("cause: an option changed: overrides changed from ")


def test_a_compiler_is_never_the_cause_of_another_network(observation: Observation) -> None:
    old = with_word(observation, versions={**observation.run.versions, "compiler": "g++ 1"})
    assert gates(old, observation)["weights"].summary.startswith("1 of 20 weight words")


def with_word(observation: Observation, **parts: Any) -> LockedRun:
    """The run with another word 7 in fc1.weight, as if that had been locked."""
    from edgeval.regression.locked_words import golden_outputs, layer_words
    from edgeval.regression.stored_network import locked_network

    graph = observation.graph
    word = int(graph.tensors["fc1.weight"].words.flat[7])
    other = graph.with_words([WordChange(tensor="fc1.weight", index=7, word=word + 1)])
    words = msgspec.structs.replace(
        observation.run.words,
        layers=layer_words(other, other.quantize_inputs(observation.inputs)),
        golden=golden_outputs(other, observation.run.words.golden),
    )
    changed = {"tensors": locked_tensors(other), "network": locked_network(other), "words": words}
    return edited(observation.run, **changed, **parts)


# Words.


def test_without_inputs_words_are_told_by_their_digests(observation: Observation) -> None:
    summary = of_two(with_word(observation), observation.run)["words"].summary
    assert summary == "words of 3 of 4 layers differ, first in fc1 (among 480; by their digests)"


def test_an_engine_that_gives_other_words_for_the_same_network_is_told(observation: Observation) -> None:
    layers = tuple(
        msgspec.structs.replace(layer, sha256="0" * 16) if layer.value == "fc2" else layer
        for layer in observation.run.words.layers
    )
    old = edited(observation.run, words=msgspec.structs.replace(observation.run.words, layers=layers))
    gate = gates(old, observation)["words"]
    assert (gate.status, gate.summary) == ("failed", "words of fc2 differ (among 160; by their digest)")


def test_another_evaluation_set_fails_and_is_named(observation: Observation) -> None:
    words = msgspec.structs.replace(observation.run.words, data="0" * 64, samples=41)
    gate = gates(edited(observation.run, words=words), observation)["words"]
    assert gate.status == "failed"
    assert gate.summary.startswith("the evaluation set changed (41 → 40 samples, sha256 00000000… → ")


def test_large_networks_name_the_chunk(observation: Observation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeval.regression.stored_network.KEPT_BITS", 0)
    old = with_word(observation)
    new = edited(observation.run, tensors=locked_tensors(observation.graph))
    assert not any(tensor.rows for tensor in (*old.tensors, *new.tensors))
    assert of_two(old, new)["weights"].summary.startswith(
        f"weight words of fc1.weight in 1 of 1 chunks changed, first between [0] and [{CHUNK_WORDS - 1}]: "
    )


def test_words_that_are_not_those_of_their_digest_are_refused(observation: Observation) -> None:
    first = observation.run.tensors[0]
    damaged = msgspec.structs.replace(first, rows=(first.rows[0][:-1] + "0",))
    old = edited(with_word(observation), tensors=(damaged, *observation.run.tensors[1:]))
    with pytest.raises(InputError, match=r"baseline, tensor fc1\.weight"):
        gates(old, observation)


# Figures.


@pytest.mark.parametrize(("locked", "tolerance", "status"), [
    (0.95, 0.0, "passed"), (1.0, 0.0, "passed"), (1.02, 0.0, "failed"), (1.02, 0.05, "passed"), (1.1, 0.05, "failed"),
])  # fmt: skip
def test_a_metric_may_only_be_worse_within_its_tolerance(
    observation: Observation, locked: float, tolerance: float, status: str
) -> None:
    assert observation.run.metric is not None
    metric = msgspec.structs.replace(observation.run.metric, value=locked)
    assert gates(edited(observation.run, metric=metric), observation, metric=tolerance)["metric"].status == status


@pytest.mark.parametrize("figure", ["mean_harm", "mean_decisions", "worst_harm"])
def test_damage_that_grew_fails_beyond_its_tolerance(observation: Observation, figure: str) -> None:
    value = getattr(observation.run.faults, figure) / 1.05
    faults = msgspec.structs.replace(observation.run.faults, **{figure: value})
    old = edited(observation.run, faults=faults)
    assert gates(old, observation)["faults"].status == "failed"
    assert gates(old, observation, damage=0.06)["faults"].status == "passed"


def test_the_amount_of_faults_is_stated(observation: Observation) -> None:
    assert gates(observation.run, observation)["faults"].summary.endswith(", as locked; all 192 stored bits")


@pytest.mark.parametrize(("name", "kind", "key", "within", "beyond"), [
    ("resources", "resources", "LUT", 1100, 1101), ("latency", "cycles", "WorstLatency", 102, 103),
    ("resources", "resources", "DSP", 0, 1),
])  # fmt: skip
def test_a_report_may_grow_within_its_tolerance(
    observation: Observation, name: str, kind: str, key: str, within: int, beyond: int
) -> None:
    old = edited(observation.run, report=REPORT)
    for value, status in ((within, "passed"), (beyond, "failed")):
        report = msgspec.structs.replace(REPORT, **{kind: {**getattr(REPORT, kind), key: value}})
        gate = of_two(old, edited(observation.run, report=report))[name]
        assert gate.status == status
    assert gate.summary.startswith(f"{key} went from ")


def test_a_report_that_is_gone_is_skipped_and_said(observation: Observation) -> None:
    gate = gates(edited(observation.run, report=REPORT), observation)["resources"]
    assert (gate.status, gate.summary) == (
        "skipped", "locked from report.xml, but now no synthesis report in hls4ml/",
    )  # fmt: skip
    assert "vitis_hls" in gate.remedy


def test_a_run_that_cannot_be_exported_any_more_fails_once(observation: Observation) -> None:
    found = broken(observation.run, "node Gelu: found no exact form", "use Relu", ["qonnx 1.0.0 → 1.1.0"])
    assert [gate.name for gate in found.gates if gate.status == "failed"] == ["network"]
    assert found.gates[1].details == ("tools that changed: qonnx 1.0.0 → 1.1.0",)


def test_a_campaign_that_brute_force_contradicts_fails(observation: Observation) -> None:
    case = Compared(old=observation.run, new=observation.run, wrong_faults="1 fault that brute force judges otherwise")
    gate = next(gate for gate in judged(case, Tolerances()).gates if gate.name == "faults")
    assert gate.status == "failed"
