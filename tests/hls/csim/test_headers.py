"""What is changed in the compiled copy of hls4ml's headers keeps its meaning, and the project stays as it was."""

from __future__ import annotations

import subprocess
from importlib.resources import files
from pathlib import Path

import pytest
from support.networks import Mlp

from hls.csim import build_csim
from hls.csim.families import FAMILIES, family_of
from hls.csim.headers import adapt_headers
from hls.errors import RunDirectoryError
from hls.hls4ml_flow import ProjectOptions
from hls.hls4ml_flow.options import STRATEGIES
from hls.hls4ml_flow.project import write_project
from hls.toolchain import find_compiler, processor_flags

BRIDGE = Path(str(files("hls") / "cpp"))
GRAPH = Mlp(widths=(2, 2)).graph()


def test_every_back_end_has_a_family() -> None:
    assert set(FAMILIES) == set(STRATEGIES)
    with pytest.raises(RunDirectoryError, match="a project of back end oneAPI"):
        family_of("oneAPI")


def test_constants_become_variables_with_the_same_numbers(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    header = tmp_path / "weights" / "w2.h"
    header.write_text("static const weight2_t w2[3] = {1, -0.25, 3};\n")
    adapt_headers(tmp_path, FAMILIES["Quartus"], BRIDGE)
    text = header.read_text()
    assert "static const double w2_values[3] = {1, -0.25, 3};" in text
    assert "\nweight2_t w2[3];" in text


def test_the_volatile_hls4ml_ships_is_found_and_taken_out(tmp_path: Path) -> None:
    write_project(GRAPH, tmp_path / "p", ProjectOptions())
    types = tmp_path / "p/firmware/ap_types/etc/ap_private.h"
    before = types.read_text()
    adapt_headers(tmp_path / "p/firmware", FAMILIES["Vitis"], BRIDGE)
    assert before.count("clearUnusedBits(void) volatile\n") == 2
    assert "clearUnusedBits(void) volatile\n" not in types.read_text()
    assert "class ap_shift_reg" in (tmp_path / "p/firmware/ap_types/ap_shift_reg.h").read_text()
    assert "first_" in (tmp_path / "p/firmware/ap_types/ap_shift_reg.h").read_text()


@pytest.mark.gxx
def test_a_ring_does_what_hls4mls_shift_register_does(tmp_path: Path) -> None:
    """Both, side by side under two names, on the same seeded shifts and reads at every depth from 1 to 7."""
    write_project(GRAPH, tmp_path / "p", ProjectOptions())
    theirs = tmp_path / "p/firmware/ap_types/ap_shift_reg.h"
    (tmp_path / "both.cpp").write_text(f"""
#include <cstdio>
#include <cstdlib>
#define ap_shift_reg theirs
#include "{theirs}"
#undef ap_shift_reg
#undef __SIM_AP_SHIFT_REG_H__
#define ap_shift_reg ours
#include "{BRIDGE / "edgeval_shift_reg.h"}"
template <unsigned DEPTH> int differences() {{
    static theirs<int, DEPTH> a;
    static ours<int, DEPTH> b;
    int found = 0;
    for (int i = 0; i < 1000; i++) {{
        const unsigned address = rand() % DEPTH;
        const bool enable = rand() % 4 != 0;
        found += a.read(address) != b.read(address) || a.read() != b.read();
        found += a.shift(i, address, enable) != b.shift(i, address, enable);
        found += a.shift(-i) != b.shift(-i);
    }}
    return found;
}}
int main() {{
    printf("%d", differences<1>() + differences<2>() + differences<3>() + differences<5>() + differences<7>());
}}
""")
    subprocess.run([str(find_compiler().path), "-o", str(tmp_path / "both"), str(tmp_path / "both.cpp")], check=True)
    assert subprocess.run([str(tmp_path / "both")], check=True, capture_output=True).stdout == b"0"


@pytest.mark.gxx
def test_a_build_leaves_the_project_as_it_was(tmp_path: Path, cache: Path) -> None:
    options = ProjectOptions(backend="Quartus", strategy="Resource", io_type="io_parallel")
    write_project(GRAPH, tmp_path / "p", options)
    before = {path: path.read_bytes() for path in sorted((tmp_path / "p").rglob("*")) if path.is_file()}
    build_csim(tmp_path / "p")
    assert {path: path.read_bytes() for path in sorted((tmp_path / "p").rglob("*")) if path.is_file()} == before


def test_a_processor_is_known_by_model_and_instructions(tmp_path: Path) -> None:
    table = tmp_path / "cpuinfo"
    table.write_text("processor\t: 0\nmodel name\t: One\ncpu MHz\t: 17\nflags\t: fpu avx2\n")
    assert processor_flags(table) == "model name: One\nflags: fpu avx2"
    assert processor_flags(tmp_path / "none") == processor_flags(tmp_path / "none either")
