from __future__ import annotations

from pathlib import Path

import pytest
from support.networks import Mlp

from hls.errors import UsageError
from hls.graph import IntegerGraph
from hls.hls4ml_flow import ProjectOptions, apply_overrides, load_overrides
from hls.nodes import MatMul

GRAPH = Mlp(widths=(4, 3, 2)).graph()  # fc1 sums at unit 2**-5 in 12 bits, fc2 at 2**-5 in 11


def yaml(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def accumulators(graph: IntegerGraph) -> dict[str, tuple[int, str]]:
    return {n.name: (n.accumulator.width_bits, n.accumulator.overflow) for n in graph.nodes if isinstance(n, MatMul)}


def with_accumulator(layer: str, text: str) -> IntegerGraph:
    return apply_overrides(GRAPH, {"LayerName": {layer: {"Precision": {"accum": text}}}})


def test_hls4mls_configuration_is_read(tmp_path: Path) -> None:
    path = yaml(tmp_path / "c.yml", "Model: {Strategy: Resource}\nLayerName: {fc1: {ReuseFactor: 2}}\n")
    assert load_overrides(path) == {"Model": {"Strategy": "Resource"}, "LayerName": {"fc1": {"ReuseFactor": 2}}}


def test_a_whole_hls4ml_configuration_file_is_read_too(tmp_path: Path) -> None:
    path = yaml(tmp_path / "c.yml", "Backend: Vitis\nHLSConfig: {Model: {ReuseFactor: 2}}\n")
    assert load_overrides(path) == {"Model": {"ReuseFactor": 2}}


def test_an_empty_file_overrides_nothing(tmp_path: Path) -> None:
    assert load_overrides(yaml(tmp_path / "c.yml", "")) == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Modle: {}", "top-level Modle"),
        ("[1, 2]", "top-level list"),
        ("HLSConfig: 3", "top-level int"),
        ("Model: {", "ParserError"),
        ("Model: 4", "4 under Model"),
        ("LayerName: [fc1]", r"\['fc1'\] under LayerName"),
        ("LayerName: {fc1: fast}", "'fast' under LayerName fc1"),
        ("!!python/object/apply:os.system ['true']", "ConstructorError"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_by_name(tmp_path: Path, text: str, found: str) -> None:
    with pytest.raises(UsageError, match=rf"c\.yml: found {found}"):
        load_overrides(yaml(tmp_path / "c.yml", text))


@pytest.mark.parametrize(
    ("text", "where"),
    [("Model: {Stratgy: Resource}", "under Model"), ("LayerName: {fc1: {Precison: {}}}", "under LayerName fc1")],
)
def test_a_misspelt_setting_is_refused_with_the_known_ones(tmp_path: Path, text: str, where: str) -> None:
    (tmp_path / "c.yml").write_text(text)
    with pytest.raises(UsageError, match=rf"{where}; allowed: .*ReuseFactor, Strategy"):
        load_overrides(tmp_path / "c.yml")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="FileNotFoundError"):
        load_overrides(tmp_path / "nothing.yml")


def test_a_narrower_accumulator_becomes_a_format_of_the_network() -> None:
    graph = with_accumulator("fc1", "fixed<6,1>")
    assert accumulators(graph)["fc1"] == (6, "wrap")
    assert graph.values["fc1"].format.width_bits == 6
    assert accumulators(GRAPH)["fc1"][0] == 12


def test_an_accumulator_is_given_at_its_own_unit() -> None:
    assert accumulators(with_accumulator("fc2", "ap_fixed<5, 0>"))["fc2"] == (5, "wrap")


def test_choices_that_change_no_word_change_no_network() -> None:
    overrides = {"Model": {"Strategy": "Resource"}, "LayerName": {"fc1": {"ReuseFactor": 2}, "fc2": None}}
    assert apply_overrides(GRAPH, overrides) == GRAPH


@pytest.mark.parametrize(
    ("layer", "text", "found"),
    [
        ("fc1", "fixed<6,4>", r"accum fixed<6,4>; allowed: .* e\.g\. ap_fixed<12,7>"),
        ("fc2", "fixed<6,6>", r"accum fixed<6,6>; allowed: .*2\*\*-5"),
        ("fc1", "ufixed<6,1>", "accum ufixed<6,1>"),
        ("fc1", "fixed<6,1,AP_RND,AP_SAT>", "accum fixed<6,1,AP_RND,AP_SAT>"),
        ("fc1", "float", "accum float"),
        ("fc1", "fixed<63,58>", "accum fixed<63,58>"),
        ("fc1", "fixed<1,-4>", "accum fixed<1,-4>"),
        ("fc9", "fixed<6,6>", "layer 'fc9'; allowed: fc1, act1, fc2"),
        ("act1", "fixed<6,6>", "Precision"),
    ],
)
def test_an_accumulator_that_cannot_be_is_refused(layer: str, text: str, found: str) -> None:
    with pytest.raises(UsageError, match=found):
        with_accumulator(layer, text)


@pytest.mark.parametrize(
    "overrides",
    [
        {"Model": {"Precision": "fixed<16,6>"}},
        {"LayerName": {"fc1": {"Precision": "fixed<16,6>"}}},
        {"LayerName": {"fc1": {"Precision": {"weight": "fixed<16,6>"}}}},
        {"LayerName": {"fc1": {"Precision": {"accum": "fixed<6,6>", "result": "fixed<6,6>"}}}},
    ],
    ids=str,
)
def test_every_other_precision_is_the_networks_own(overrides: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="Precision"):
        apply_overrides(GRAPH, overrides)


@pytest.mark.parametrize(
    ("choice", "found"),
    [
        ({"reuse_factor": 0}, "reuse factor 0"),
        ({"clock_period": 0.0}, "clock period 0.0 ns"),
        ({"clock_period": -1.0}, "clock period -1.0 ns"),
    ],
)
def test_a_choice_no_project_can_have_is_refused(choice: dict[str, float], found: str) -> None:
    with pytest.raises(UsageError, match=found):
        ProjectOptions(**choice)
