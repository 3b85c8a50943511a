"""The voted project: what is written, what is refused, and what flips in its copies do in C-simulation."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.graphs import BIPOLAR, signed, stored, unsigned
from support.networks import Mlp

from hls.csim import CSimulation, build_csim, open_csim
from hls.engine import ExactEngine
from hls.errors import LoweringError, RunDirectoryError, ToolError, UsageError
from hls.graph import WordChange
from hls.hls4ml_flow import ProjectOptions
from hls.hls4ml_flow.audit import audit_project
from hls.hls4ml_flow.hardened import executor_masks, write_hardened
from hls.hls4ml_flow.manifest import load_manifest
from hls.hls4ml_flow.project import write_project

RECIPE = Mlp(widths=(4, 3, 2), per_channel=True)
GRAPH = RECIPE.graph()
INPUTS = GRAPH.quantize_inputs(RECIPE.inputs(30))
ENGINE = ExactEngine(GRAPH)
GOLDEN = ENGINE.run(INPUTS).output
CHOSEN = {
    name: np.random.default_rng(5).integers(0, 1 << tensor.format.width_bits, tensor.words.size)
    for name, tensor in GRAPH.tensors.items()
    if name != "fc2.bias"
}
"""Bits that are kept three times: about half of them, none of one tensor."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ordinary") / "hls4ml"
    write_project(GRAPH, folder, ProjectOptions())
    return folder


@pytest.fixture(scope="module")
def hardened(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hardened") / "hls4ml"
    write_hardened(GRAPH, project, folder, CHOSEN)
    return folder


@pytest.fixture(scope="module")
def csim(hardened: Path, session_cache: Path) -> Iterator[CSimulation]:
    with open_csim(GRAPH, build_csim(hardened), workers=1) as opened:
        yield opened


def flip(tensor: str, index: int, bit: int) -> WordChange:
    stored_tensor = GRAPH.tensors[tensor]
    word = stored_tensor.format.flip(stored_tensor.words.reshape(-1)[index : index + 1], bit)
    return WordChange(tensor=tensor, index=index, word=int(word[0]))


def bits(*, chosen: bool) -> list[WordChange]:
    """Flips of all bits that are kept three times, or of all others."""
    return [
        flip(name, index, bit)
        for name, tensor in GRAPH.tensors.items()
        for index in range(tensor.words.size)
        for bit in range(tensor.format.width_bits)
        if bool(name in CHOSEN and CHOSEN[name][index] >> bit & 1) == chosen
    ]


def effect(change: WordChange) -> np.ndarray:
    return ENGINE.with_words([change]).run(INPUTS).output


def test_the_copies_are_arrays_of_their_own_and_the_audit_reads_them(hardened: Path) -> None:
    manifest = load_manifest(hardened)
    assert [array.copy for array in manifest.copies_of("fc1.weight")] == [0, 1, 2]
    assert [array.copy for array in manifest.copies_of("fc2.bias")] == [0]
    assert audit_project(GRAPH, hardened, manifest) == []
    symbol = manifest.array_of("fc1.weight", 2).symbol
    text = hardened / f"firmware/weights/{symbol}.txt"
    original = text.read_text()
    text.write_text(original.replace(original.split(",")[0], "0.5", 1))
    findings = audit_project(GRAPH, hardened, manifest)
    text.write_text(original)
    assert [finding.file for finding in findings] == [f"firmware/weights/{symbol}.txt"]


def test_an_ordinary_project_says_nothing_of_copies(project: Path) -> None:
    assert '"copy"' not in (project / "edgeval_project.json").read_text()
    with pytest.raises(UsageError, match="copy 1"):
        load_manifest(project).array_of("fc1.weight", 1)


@pytest.mark.gxx
def test_the_voted_words_are_the_networks(csim: CSimulation) -> None:
    assert np.array_equal(csim.run(INPUTS).output, GOLDEN)
    for name in CHOSEN:
        for copy in range(3):
            assert np.array_equal(csim.stored_words(name, copy), GRAPH.tensors[name].executor_words())


@pytest.mark.gxx
@pytest.mark.parametrize("copy", [0, 1, 2])
def test_a_flip_in_one_copy_of_a_protected_bit_changes_no_output_word(csim: CSimulation, copy: int) -> None:
    for change in bits(chosen=True):
        assert np.array_equal(csim.with_copy([change], copy).run(INPUTS).output, GOLDEN), change


@pytest.mark.gxx
def test_the_same_flip_in_two_copies_has_its_full_effect(csim: CSimulation) -> None:
    visible = 0
    for number, change in enumerate(bits(chosen=True)):
        first, second = ((0, 1), (0, 2), (1, 2))[number % 3]
        found = csim.with_copy([change], first).with_copy([change], second).run(INPUTS).output
        assert np.array_equal(found, effect(change)), change
        visible += not np.array_equal(found, GOLDEN)
    assert visible > 10


@pytest.mark.gxx
def test_flips_of_two_bits_of_a_word_in_two_copies_are_both_outvoted(csim: CSimulation) -> None:
    index = int(np.flatnonzero(CHOSEN["fc1.weight"] & 0b1010 == 0b1010)[0])
    first, second = (flip("fc1.weight", index, bit) for bit in (1, 3))
    assert not np.array_equal(effect(second), GOLDEN)
    assert np.array_equal(csim.with_copy([first], 0).with_copy([second], 1).run(INPUTS).output, GOLDEN)


@pytest.mark.gxx
def test_an_unprotected_bit_has_its_full_effect_and_only_where_it_is_stored(csim: CSimulation) -> None:
    visible = 0
    for change in bits(chosen=False):
        found = csim.with_copy([change], 0).run(INPUTS).output
        assert np.array_equal(found, effect(change)), change
        visible += not np.array_equal(found, GOLDEN)
        if change.tensor in CHOSEN:
            assert np.array_equal(csim.with_copy([change], 1).run(INPUTS).output, GOLDEN), change
    assert visible > 10


@pytest.mark.gxx
def test_a_replaced_word_is_replaced_in_every_copy(csim: CSimulation) -> None:
    change = next(change for change in bits(chosen=True) if not np.array_equal(effect(change), GOLDEN))
    changed = csim.with_words([change])
    assert np.array_equal(changed.run(INPUTS).output, effect(change))
    assert changed.graph.tensors[change.tensor].words.reshape(-1)[change.index] == change.word
    assert csim.with_copy([change], 1).graph is csim.graph


@pytest.mark.gxx
@pytest.mark.slow
def test_streams_are_voted_too(project: Path, session_cache: Path, tmp_path: Path) -> None:
    write_project(GRAPH, tmp_path / "stream", ProjectOptions(io_type="io_stream"))
    write_hardened(GRAPH, tmp_path / "stream", tmp_path / "voted", CHOSEN)
    changes = [
        next(c for c in bits(chosen=chosen) if not np.array_equal(effect(c), GOLDEN)) for chosen in (True, False)
    ]
    with open_csim(GRAPH, build_csim(tmp_path / "voted"), workers=1) as csim:
        assert np.array_equal(csim.run(INPUTS).output, GOLDEN)
        assert np.array_equal(csim.with_copy(changes[:1], 0).run(INPUTS).output, GOLDEN)
        assert np.array_equal(csim.with_copy(changes[1:], 0).run(INPUTS).output, effect(changes[1]))


def test_a_stored_bit_is_every_bit_it_moves_in_the_executors_word() -> None:
    tensor = stored(np.array([[3, -1], [0, 5]]), signed(4), widen=[0, 2])
    masks = executor_masks(tensor, np.array([0b0001, 0b0001, 0b1000, 0b1000]))
    assert masks.tolist() == [0b000001, 0b000100, 0b111000, 0b100000]
    assert executor_masks(stored(np.array([-1, 1]), BIPOLAR), np.array([1, 0])).tolist() == [0b10, 0]


def test_words_with_a_zero_point_are_refused() -> None:
    tensor = stored(np.array([1, 2]), unsigned(3), zero_point=1)
    with pytest.raises(LoweringError, match="zero point"):
        executor_masks(tensor, np.array([1, 1]))


def test_another_back_end_is_refused(tmp_path: Path) -> None:
    write_project(GRAPH, tmp_path / "quartus", ProjectOptions(backend="Quartus", strategy="Resource"))
    with pytest.raises(LoweringError, match="back end Quartus"):
        write_hardened(GRAPH, tmp_path / "quartus", tmp_path / "voted", CHOSEN)


def test_a_project_of_another_network_is_refused(project: Path, tmp_path: Path) -> None:
    other = GRAPH.with_words([flip("fc1.weight", 0, 1)])
    with pytest.raises(RunDirectoryError, match="have to be of one export"):
        write_hardened(other, project, tmp_path / "voted", CHOSEN)


def test_other_code_than_hls4ml_writes_is_refused_and_nothing_is_left(project: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(project, damaged)
    source = damaged / "firmware" / "edgeval_network.cpp"
    source.write_text(source.read_text().replace("insert layers", "insert something"))
    with pytest.raises(ToolError, match="insert layers"):
        write_hardened(GRAPH, damaged, tmp_path / "voted", CHOSEN)
    assert not (tmp_path / "voted").exists()
