"""The C-simulation behind the executor protocol, and what becomes of libraries that misbehave."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from support.networks import Mlp

from hls.csim import Build, CSimulation, open_csim
from hls.csim.bridge import poke_of
from hls.engine import ExactEngine
from hls.errors import FormatError, InputError, RunDirectoryError, ToolError
from hls.graph import WordChange
from hls.hls4ml_flow import ProjectOptions
from hls.hls4ml_flow.manifest import Manifest, Tap

RECIPE = Mlp(widths=(4, 3, 2), per_channel=True)
GRAPH = RECIPE.graph()
INPUTS = GRAPH.quantize_inputs(RECIPE.inputs(30))
ENGINE = ExactEngine(GRAPH)
pytestmark = pytest.mark.gxx


@pytest.fixture(scope="module")
def build(csim_build: Callable[..., Build]) -> Build:
    return csim_build(GRAPH, ProjectOptions())


@pytest.fixture(scope="module")
def csim(build: Build) -> Iterator[CSimulation]:
    with open_csim(GRAPH, build, workers=2) as opened:
        yield opened


def test_words_in_words_out(csim: CSimulation) -> None:
    assert np.array_equal(csim.run(INPUTS).output, ENGINE.run(INPUTS).output)


def test_one_sample_keeps_its_axis(csim: CSimulation) -> None:
    assert csim.run(INPUTS[:1]).output.shape == (1, 2)


def test_samples_come_back_in_order_from_several_workers(csim: CSimulation) -> None:
    backwards = csim.run(INPUTS[::-1]).output
    assert np.array_equal(backwards[::-1], csim.run(INPUTS).output)


def test_every_tap_is_the_engines(csim: CSimulation) -> None:
    taps = [tap for tap in csim.tappable() if tap != "input_quant"]
    ours, theirs = csim.run(INPUTS, taps), ENGINE.run(INPUTS, taps)
    assert set(taps) == {"fc1", "act1", "fc2"}
    assert all(np.array_equal(ours.taps[tap], theirs.taps[tap]) for tap in taps)


def test_the_loaded_words_are_the_networks(csim: CSimulation) -> None:
    for name, tensor in csim.tensors().items():
        assert np.array_equal(csim.stored_words(name), tensor.executor_words())


@pytest.mark.parametrize(
    "change",
    [
        WordChange(tensor="fc1.weight", index=4, word=-8),
        WordChange(tensor="fc1.bias", index=2, word=-512),
        WordChange(tensor="fc2.weight", index=5, word=7),
        WordChange(tensor="fc2.bias", index=1, word=511),
    ],
    ids=str,
)
def test_a_changed_word_does_what_the_engine_says(csim: CSimulation, change: WordChange) -> None:
    faulty = ENGINE.with_words([change]).run(INPUTS).output
    assert not np.array_equal(faulty, ENGINE.run(INPUTS).output)
    assert np.array_equal(csim.with_words([change]).run(INPUTS).output, faulty)


def test_changed_words_are_put_back(csim: CSimulation) -> None:
    csim.with_words([WordChange(tensor="fc1.weight", index=4, word=-8)]).run(INPUTS)
    assert np.array_equal(csim.run(INPUTS).output, ENGINE.run(INPUTS).output)
    assert np.array_equal(csim.stored_words("fc1.weight"), GRAPH.tensors["fc1.weight"].executor_words())


def test_a_word_changed_twice_has_its_last_value_and_is_put_back(csim: CSimulation) -> None:
    changes = [WordChange(tensor="fc1.bias", index=0, word=word) for word in (511, -512)]
    faulty = csim.with_words(changes[:1]).with_words(changes[1:])
    assert np.array_equal(faulty.run(INPUTS).output, ENGINE.with_words(changes).run(INPUTS).output)
    assert np.array_equal(csim.run(INPUTS).output, ENGINE.run(INPUTS).output)


def test_a_poke_moves_the_stored_word_to_the_common_scale(build: Build) -> None:
    widen = GRAPH.tensors["fc1.weight"].widen
    index = int(np.argmax(widen))
    poke = poke_of(GRAPH, build.manifest, WordChange(tensor="fc1.weight", index=index, word=-3))
    assert poke.word == -3 * 2 ** int(widen.max())


def test_an_input_word_outside_its_format_is_refused(csim: CSimulation) -> None:
    with pytest.raises(FormatError, match=r"input words\[0, 0\]: found word 32"):
        csim.run(np.full((1, 4), 32))


def test_an_unknown_tap_is_refused(csim: CSimulation) -> None:
    with pytest.raises(InputError, match="tap 'nothing'"):
        csim.run(INPUTS, ["nothing"])


def test_a_value_hls4ml_fused_away_is_refused_with_the_ones_there_are(csim: CSimulation) -> None:
    taps = tuple(tap for tap in csim.manifest.taps if tap.value != "fc1")
    fused = replace(csim, manifest=msgspec.structs.replace(csim.manifest, taps=taps))
    with pytest.raises(ToolError, match=r"value 'fc1', which hls4ml fused.*allowed: input_quant, act1, fc2"):
        fused.run(INPUTS, ["fc1"])


def test_a_project_of_another_network_is_refused(build: Build) -> None:
    other = GRAPH.with_words([WordChange(tensor="fc1.weight", index=0, word=-8)])
    with pytest.raises(RunDirectoryError, match="have to be of one export"), open_csim(other, build):
        pass


def test_words_a_double_cannot_hold_are_refused(build: Build) -> None:
    wide = Tap(hls_layer="l", value="fc1", size=3, width_bits=54, signed=True, unit_log2=0)
    manifest = msgspec.structs.replace(build.manifest, taps=(wide,))
    with pytest.raises(ToolError, match="words of 54 bits"), open_csim(GRAPH, replace(build, manifest=manifest)):
        pass


# Libraries made by hand, with the three functions the worker calls and one thing wrong.
LIBRARY = """
#include <cstdint>
#include <cstdio>
#include <cstdlib>
extern "C" {
static int64_t stored = 5;
size_t edgeval_run(const int64_t *inputs, size_t samples, int64_t *outputs, int64_t *const *) {
    bool loading = samples == 1 && inputs[0] == 0;
    (void)loading;
    for (size_t i = 0; i < samples * 2; i++) outputs[i] = stored;
    %s
    return 0;
}
int64_t edgeval_peek(size_t, size_t) { return stored; }
void edgeval_poke(size_t, size_t, int64_t word) { %s }
}
"""
ONES = np.ones((3, 4), np.int64)


@pytest.fixture
def library(build: Build, tmp_path: Path) -> Callable[..., Build]:
    def compile_it(body: str, poke: str = "stored = word;", source: str = LIBRARY) -> Build:
        path = tmp_path / "lib.cpp"
        path.write_text(source % (body, poke) if "%s" in source else source, encoding="utf-8")
        subprocess.run(["g++", "-shared", "-fPIC", "-O0", str(path), "-o", str(tmp_path / "lib.so")], check=True)
        return replace(build, library=tmp_path / "lib.so")

    return compile_it


def run(build: Build, *changes: WordChange) -> np.ndarray:
    with open_csim(GRAPH, build, workers=1) as opened:
        return opened.with_words(changes).run(ONES).output


def test_the_handmade_library_runs_when_nothing_is_wrong(library: Callable[..., Build]) -> None:
    assert run(library("")).tolist() == [[5, 5]] * 3


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("if (!loading) *(volatile int *)0 = 1;", "found SIGSEGV"),
        ("if (!loading) abort();", "found SIGABRT"),
        ("if (!loading) exit(3);", "found exit code 3"),
        ("if (!loading) _Exit(0);", "found exit code 0"),
    ],
)
def test_a_crash_is_an_error_and_not_the_end_of_us(library: Callable[..., Build], body: str, found: str) -> None:
    with pytest.raises(ToolError, match=found):
        run(library(body))


def test_a_crash_while_loading_is_an_error(library: Callable[..., Build]) -> None:
    with pytest.raises(ToolError, match="found SIGABRT"):
        run(library("abort();"))


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_printed_text_is_a_failure_that_shows_it(library: Callable[..., Build], stream: str) -> None:
    body = f'if (!loading) fprintf({stream}, "WARNING: stream has leftover data");'
    with pytest.raises(ToolError, match=r"(?s)messages from the generated C\+\+:.*leftover data"):
        run(library(body))


def test_text_printed_while_loading_is_a_failure_too(library: Callable[..., Build]) -> None:
    with pytest.raises(ToolError, match="weights not found"):
        run(library('printf("weights not found\\n");'))


def test_a_result_that_is_no_word_names_its_sample(library: Callable[..., Build]) -> None:
    with pytest.raises(ToolError, match=r"no whole word .* at sample 1"):
        run(library("if (!loading) return 2;"))


def test_a_word_that_cannot_be_put_back_is_an_error(library: Callable[..., Build]) -> None:
    with pytest.raises(ToolError, match="a poked word could not be put back"):
        run(library("", poke="stored += 1; (void)word;"), WordChange(tensor="fc1.weight", index=0, word=1))


def test_a_library_without_our_functions_is_an_error(library: Callable[..., Build]) -> None:
    with pytest.raises(ToolError, match="edgeval_run"):
        run(library("", source="int nothing;"))


def test_a_file_that_is_no_library_is_an_error(build: Build, tmp_path: Path) -> None:
    (tmp_path / "lib.so").write_text("not a library")
    with pytest.raises(ToolError, match="OSError"):
        run(replace(build, library=tmp_path / "lib.so"))


def test_a_worker_that_crashed_leaves_the_others_of_other_simulations_alone(
    library: Callable[..., Build], csim: CSimulation
) -> None:
    with pytest.raises(ToolError):
        run(library("if (!loading) abort();"))
    assert np.array_equal(csim.run(INPUTS).output, ENGINE.run(INPUTS).output)


def test_a_deep_stack_is_there_where_the_project_needs_it(library: Callable[..., Build]) -> None:
    deep = "volatile char big[32 << 20]; for (size_t i = 0; i < sizeof big; i += 4096) big[i] = 1;"
    assert run(library(deep)).tolist() == [[5, 5]] * 3


def test_the_stack_grows_with_the_project(library: Callable[..., Build]) -> None:
    deep = "volatile char big[96 << 20]; for (size_t i = 0; i < sizeof big; i += 4096) big[i] = 1;"
    build = library(deep)
    with pytest.raises(ToolError, match="SIGSEGV"):
        run(build)
    manifest: Manifest = msgspec.structs.replace(build.manifest, products_on_stack=3 << 20)
    assert run(replace(build, manifest=manifest)).tolist() == [[5, 5]] * 3
