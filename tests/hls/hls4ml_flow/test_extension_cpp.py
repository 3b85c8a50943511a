"""hls/cpp/nnet_edgeval.h by itself: words and products too wide for hls4ml's floats, without a compiler's warning."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import hls
from hls.errors import ToolError
from hls.hls4ml_flow.extension.parameters import Lookup, Parameters, Requantize, Result, ScaledAdd, Threshold
from hls.hls4ml_flow.extension.templates import config_struct
from hls.toolchain import find_compiler, run_tool

WARNINGS = ("-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-label")
SIZE = 6
TYPES = {
    "ap": ("nnet_edgeval_ap.h", "vivado/ap_types", "ap_{u}fixed<{bits}, {integer}>"),
    "ac": ("nnet_edgeval_ac.h", "quartus/ac_types", "ac_fixed<{bits}, {integer}, {signed}>"),
}

# Stands in for a back end's packets and streams, which the tests with hls4ml bring themselves.
DOUBLES = """
#include <cstdio>
template <class T, unsigned N> struct packet {
    typedef T value_type;
    static const unsigned size = N;
    T data[N];
    T& operator[](size_t i) { return data[i]; }
    const T& operator[](size_t i) const { return data[i]; }
};
template <class P> struct queue {
    P data[8];
    unsigned first = 0, last = 0;
    P read() { return data[first++]; }
    void write(const P& p) { data[last++] = p; }
};
template <class T> void print(const T* words) {
    for (int i = 0; i < 6; i++)
        std::printf("%lld ", static_cast<long long>(nnet::edgeval::to_raw(words[i]).to_int64()));
    std::printf("\\n");
}
template <class T> void fill(T* values, const long long* words) {
    for (int i = 0; i < 6; i++)
        values[i] = nnet::edgeval::from_raw<T>(typename nnet::edgeval::word<64>::type(words[i]));
}
"""


def wide_words(rng: np.random.Generator, bits: int, count: int = SIZE) -> list[int]:
    """Both ends of a signed format, and words of every size between."""
    limit = 2 ** (bits - 1)
    inner = [int(rng.integers(-limit >> s, limit >> s)) for s in rng.integers(0, bits - 1, count - 2)]
    return [-limit, limit - 1, *inner]


def by_requantize(p: Requantize, words: list[int]) -> list[int]:
    out = []
    for i, word in enumerate(words):
        c = i % p.channels
        out.append(min(max(round(Fraction(word * p.multipliers[c] + p.offsets[c], 2 ** p.shifts[c])), p.low), p.high))
    return out


def by_threshold(p: Threshold, words: list[int]) -> list[int]:
    rows = [i % p.channels for i in range(len(words))]
    return [
        p.offsets[c] + p.stride * p.directions[c] * sum(t <= word for t in p.thresholds[c])
        for c, word in zip(rows, words, strict=True)
    ]


RESULT = Result(unit=-5, bits=62, signed=True)
LOW, HIGH = -(2**61), 2**61 - 1
NODE = "the test's node"


def requantizers() -> list[tuple[int, Requantize]]:
    """(input bits, parameters): products of 63 bits, a shift by everything there is, ties at both ends, no shift."""
    common = {"where": NODE, "in_unit": 3, "low": LOW, "high": HIGH, "result": RESULT}
    return [
        (40, Requantize(multipliers=(-(2**22) + 1, 3, 2**22 - 1), offsets=(2**40, 0, -1), shifts=(1, 0, 24), **common)),
        (62, Requantize(multipliers=(1,), offsets=(0,), shifts=(61,), **common)),
        (62, Requantize(multipliers=(-1,), offsets=(2**60,), shifts=(62,), **common)),
        (62, Requantize(multipliers=(1,), offsets=(2**61,), shifts=(0,), **common)),
    ]


def program(kind: str, functions: list[str], structs: list[str]) -> str:
    header = TYPES[kind][0]
    body = "\n".join(f"    {{\n{function}    }}" for function in functions)
    return f'#include "{header}"\n{DOUBLES}\n{"".join(structs)}\nint main() {{\n{body}\n    return 0;\n}}\n'


def spelled(kind: str, bits: int, unit: int, *, signed: bool = True) -> str:
    return TYPES[kind][2].format(
        u="" if signed else "u", bits=bits, integer=bits + unit, signed="true" if signed else "false"
    )


def literals(words: list[int]) -> str:
    return ", ".join(f"{word}LL" for word in words)


def run(folder: Path, kind: str, source: str) -> list[list[int]]:
    package = Path(str(find_spec("hls4ml").origin)).parent / "templates"  # type: ignore[union-attr]
    (folder / "layers.cpp").write_text(source)
    includes = [f"-I{Path(hls.__file__).parent / 'cpp'}", "-isystem", str(package / TYPES[kind][1])]
    command = [str(find_compiler().path), "-std=c++11", *WARNINGS, *includes, "layers.cpp", "-o", "layers"]
    run_tool(command, timeout_s=300.0, directory=folder)
    lines = run_tool([str(folder / "layers")], timeout_s=60.0).splitlines()
    return [[int(word) for word in line.split()] for line in lines]


def array_call(kind: str, index: int, name: str, bits: int, unit: int, words: list[int], p: Parameters) -> str:
    """Declares, fills, calls and prints one layer in its array form."""
    types = f"in_t, out_t, config{index}"
    return (
        f"    typedef {spelled(kind, bits, unit)} in_t;\n"
        f"    typedef {spelled(kind, p.result.bits, p.result.unit, signed=p.result.signed)} out_t;\n"
        f"    const long long words[{SIZE}] = {{{literals(words)}}};\n"
        f"    in_t in[{SIZE}]; out_t out[{SIZE}];\n"
        f"    fill(in, words);\n    nnet::edgeval::{name}<{types}>(in, out);\n    print(out);\n"
    )


@pytest.mark.gxx
@pytest.mark.parametrize("kind", TYPES)
def test_wide_words_come_out_right_and_compile_without_warnings(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    structs, functions, expected = [], [], []
    for index, (bits, p) in enumerate(requantizers()):
        words = wide_words(rng, bits)
        structs.append(config_struct(f"config{index}", SIZE, p))
        functions.append(array_call(kind, index, "requantize", bits, p.in_unit, words, p))
        expected.append(by_requantize(p, words))

    steps = ((LOW, -(2**60), -1, 2**45), (-5, 0, 5, 2**61 - 2**9), (0, 0, 0, 0))
    t = Threshold(where=NODE, thresholds=steps, threshold_bits=62, threshold_unit=3, offsets=(HIGH - 4, 0, LOW),
                  directions=(1, -1, 1), stride=1, result=RESULT)  # fmt: skip
    words = [LOW, 5, -1, 2**45, HIGH, 0]
    structs.append(config_struct("config10", SIZE, t))
    flat = [word for row in steps for word in row]
    functions.append(
        f"    typedef {spelled(kind, 62, 3)} in_t;\n    typedef {spelled(kind, 62, -5)} out_t;\n"
        f"    const long long words[{SIZE}] = {{{literals(words)}}}, steps[12] = {{{literals(flat)}}};\n"
        f"    packet<in_t, 3> one, two; in_t in[{SIZE}]; out_t out[{SIZE}]; in_t thresholds[12];\n"
        "    fill(thresholds, steps); fill(thresholds + 6, steps + 6); fill(in, words);\n"
        "    nnet::edgeval::threshold<in_t, out_t, config10>(in, out, thresholds); print(out);\n"
        # The same as a stream whose packets are half as large as those of the result.
        "    for (int i = 0; i < 3; i++) { one[i] = in[i]; two[i] = in[3 + i]; }\n"
        "    queue<packet<in_t, 3> > data; queue<packet<out_t, 6> > res; data.write(one); data.write(two);\n"
        "    nnet::edgeval::threshold_stream<packet<in_t, 3>, packet<out_t, 6>, config10>(data, res, thresholds);\n"
        "    print(res.read().data);\n"
    )
    expected += [by_threshold(t, words)] * 2

    a = ScaledAdd(where=NODE, in_units=(3, -1), multipliers=(-(2**40) + 1, -(2**3) - 1), result=RESULT)
    first, second = wide_words(rng, 22), wide_words(rng, 58)
    structs.append(config_struct("config11", SIZE, a))
    functions.append(
        f"    typedef {spelled(kind, 22, 3)} a_t;\n    typedef {spelled(kind, 58, -1)} b_t;\n"
        f"    typedef {spelled(kind, 62, -5)} out_t;\n"
        f"    const long long first[6] = {{{literals(first)}}}, second[6] = {{{literals(second)}}};\n"
        "    a_t a[6]; b_t b[6]; out_t out[6]; fill(a, first); fill(b, second);\n"
        "    nnet::edgeval::scaled_add<a_t, b_t, out_t, config11>(a, b, out); print(out);\n"
    )
    sums = [x * a.multipliers[0] + y * a.multipliers[1] for x, y in zip(first, second, strict=True)]
    expected.append([(word - LOW) % 2**62 + LOW for word in sums])
    assert any(not LOW <= word <= HIGH for word in sums), "nothing wraps"

    table = Lookup(where=NODE, in_unit=0, table=((LOW, -1, 2**52, 0),), first=-2, result=RESULT)
    structs.append(config_struct("config12", SIZE, table))
    functions.append(
        f"    typedef {spelled(kind, 2, 0)} in_t;\n    typedef {spelled(kind, 62, -5)} out_t;\n"
        "    const long long words[6] = {-2, -1, 0, 1, 1, -2};\n"
        f"    const long long entries[6] = {{{literals([*table.table[0], 0, 0])}}};\n"
        "    in_t in[6]; out_t out[6]; out_t table[6]; fill(in, words); fill(table, entries);\n"
        "    nnet::edgeval::lookup<in_t, out_t, config12>(in, out, table); print(out);\n"
    )
    expected.append([LOW, -1, 2**52, 0, 0, LOW])
    assert run(tmp_path, kind, program(kind, functions, structs)) == expected


def finer_input(kind: str) -> str:
    p = Requantize(where=NODE, in_unit=3, multipliers=(1,), offsets=(0,), shifts=(0,), low=0, high=1, result=RESULT)
    return program(kind, [array_call(kind, 0, "requantize", 8, 2, [0] * SIZE, p)], [config_struct("config0", SIZE, p)])


def short_table(kind: str) -> str:
    p = Lookup(where=NODE, in_unit=0, table=((0, 1, 0),), first=-2, result=RESULT)
    call = (
        f"    typedef {spelled(kind, 2, 0)} in_t;\n    typedef {spelled(kind, 62, -5)} out_t;\n"
        "    in_t in[6]; out_t out[6]; out_t table[3];\n"
        "    nnet::edgeval::lookup<in_t, out_t, config0>(in, out, table); print(out);\n"
    )
    return program(kind, [call], [config_struct("config0", SIZE, p)])


def other_result(kind: str) -> str:
    p = Requantize(where=NODE, in_unit=3, multipliers=(1,), offsets=(0,), shifts=(0,), low=0, high=1, result=RESULT)
    source = program(
        kind, [array_call(kind, 0, "requantize", 8, 3, [0] * SIZE, p)], [config_struct("config0", SIZE, p)]
    )
    return source.replace(f"typedef {spelled(kind, 62, -5)} out_t", f"typedef {spelled(kind, 62, -6)} out_t")


@pytest.mark.gxx
@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    ("source", "message"),
    [
        (finer_input, "finer than the node's in_unit"),
        (short_table, "an entry for every word"),
        (other_result, "not the one the node names"),
    ],
)
def test_a_type_the_words_do_not_fit_does_not_compile(
    source: Callable[[str], str], message: str, kind: str, tmp_path: Path
) -> None:
    with pytest.raises(ToolError, match=message):
        run(tmp_path, kind, source(kind))
