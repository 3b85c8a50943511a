"""The tables of the documentation against the code: a changed option or a missing row fails here."""

from __future__ import annotations

import importlib
import inspect
import re
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from support.markdown import DOCS, ROOT, column, table, tables
from support.networks import Mlp

from edgeval import records
from edgeval.evaluation import Decision
from edgeval.metrics import METRICS
from edgeval.targets import TARGETS
from fault_injection.campaign import EXECUTOR_SHARD_FAULTS, SHARD_FAULTS, Campaign
from fault_injection.crosscheck import CHECKED_FAULTS, CHECKED_MACS, LEAST_CHECKED_FAULTS
from fault_injection.damage import DamageRow
from fault_injection.estimates import Estimate, Stratum
from fault_injection.fault_list import StoredBits
from fault_injection.faults import FAULT_MODELS
from fault_injection.golden import golden_run
from fault_injection.outcomes import Judge
from fault_injection.sites import all_sites
from fault_injection.statistics import sample_size
from hls import engine, environment, errors, intervals
from hls.csim import bridge
from hls.emulator import manifest as package_manifest
from hls.executor import Executor
from hls.formats import Encoding, Overflow, QuantizerRounding, Rounding, WordFormat
from hls.hls4ml_flow import manifest
from hls.lowering import LOWERINGS
from hls.lowering.quant import _ROUNDINGS
from hls.nodes import NODE_KINDS
from hls.rounding import shift_right
from hls.serialize import STRUCTURE_VERSION

NETWORK = DOCS / "integer-network.md"
INTERFACES = DOCS / "interfaces.md"
FAULTS = DOCS / "fault-injection.md"


def tagged(modules: Iterable[Any]) -> set[str]:
    """Tags of all records that modules define."""
    structs = [item for module in modules for item in vars(module).values() if inspect.isclass(item)]
    tags = [item.__struct_config__.tag for item in structs if issubclass(item, msgspec.Struct)]
    return {tag for tag in tags if isinstance(tag, str) and tag.startswith("edgeval.")}


def outcome_table() -> pa.Table:
    """Outcomes of a few faults of a small network, as a campaign writes them."""
    recipe = Mlp(widths=(3, 2))
    graph = recipe.graph()
    golden = golden_run(graph, graph.quantize_inputs(recipe.inputs(5)))
    metric = METRICS["accuracy"]
    judge = Judge(
        golden=golden,
        decision=Decision(kind="argmax"),
        labels=np.zeros(5, np.int64),
        per_sample=metric.per_sample,
        finish=metric.finish,
    )
    faults = StoredBits(sites=all_sites(graph).take(slice(0, 3)), model="flip")
    return Campaign(judge=judge, faults=faults).outcomes(faults)


# The integer network.


def test_the_page_of_the_integer_network_is_numbered() -> None:
    assert NETWORK.read_text(encoding="utf-8").splitlines()[2] == "Version 1"


def test_every_node_kind_has_its_row() -> None:
    assert column(table(NETWORK, "node", "integer meaning"), "node") == list(NODE_KINDS)


def test_every_node_kind_has_its_row_in_the_canonical_graph() -> None:
    assert column(table(DOCS / "hls4ml.md", "node", "in the canonical graph"), "node") == list(NODE_KINDS)


def test_every_operator_has_its_row() -> None:
    assert column(table(NETWORK, "operator", "what becomes of it"), "operator") == sorted(LOWERINGS)


def test_every_rounding_has_its_names_in_qonnx_and_ap_fixed() -> None:
    rows = table(NETWORK, "rounding", "QONNX", "ap_fixed", "a tie goes to")
    assert column(rows, "rounding") == list(get_args(Rounding))
    assert {row["QONNX"]: row["rounding"] for row in rows}.items() <= _ROUNDINGS.items()
    word_format = WordFormat(width_bits=4, encoding="unsigned")
    for row in rows:
        assert row["ap_fixed"] in word_format.ap_fixed(0, rounding=typing.cast(Rounding, row["rounding"]))


def test_every_rounding_of_a_quantizer_has_its_names() -> None:
    rows = table(NETWORK, "quantizer rounding", "QONNX names", "what it gives")
    assert column(rows, "quantizer rounding") == list(get_args(QuantizerRounding))
    names = {name.strip("` "): row["quantizer rounding"] for row in rows for name in row["QONNX names"].split(",")}
    assert names == _ROUNDINGS


@pytest.mark.parametrize("rounding", get_args(Rounding))
def test_the_worked_values_are_what_a_shift_gives(rounding: Rounding) -> None:
    rows = table(NETWORK, "word", "word / 4", "`half_even`", "`floor`")
    words = np.array([int(cell) for cell in column(rows, "word")])
    assert [float(row["word / 4"]) for row in rows] == (words / 4).tolist()
    assert [int(row[f"`{rounding}`"]) for row in rows] == shift_right(words, 2, rounding).tolist()


def test_the_worked_values_hold_a_tie_to_each_side_of_both_signs() -> None:
    words = {int(row["word"]) for row in table(NETWORK, "word", "word / 4", "`half_even`", "`floor`")}
    assert {-6, -2, 2, 6} <= words


def test_every_encoding_has_its_widths_and_range() -> None:
    rows = table(NETWORK, "encoding", "width in bits", "smallest word", "largest word")
    assert column(rows, "encoding") == list(get_args(Encoding))
    for row in rows:
        encoding = typing.cast(Encoding, row["encoding"])
        narrowest, widest = (int(part) for part in row["width in bits"].split(" to "))
        for width in {narrowest, min(7, widest), widest}:
            word_format = WordFormat(width_bits=width, encoding=encoding)
            assert word_format.minimum == formula(row["smallest word"], width)
            assert word_format.maximum == formula(row["largest word"], width)
        for outside in (narrowest - 1, widest + 1):
            with pytest.raises(errors.FormatError):
                WordFormat(width_bits=outside, encoding=encoding)


def formula(text: str, width: int) -> int:
    """The value of one of the range formulas of the encodings table."""
    return {
        "−2^(w−1)": -(2 ** (width - 1)),
        "2^(w−1) − 1": 2 ** (width - 1) - 1,
        "0": 0,
        "−1": -1,
        "1": 1,
        "2^w − 1": 2**width - 1,
    }[text]


def test_every_overflow_has_its_row() -> None:
    rows = table(NETWORK, "overflow", "what happens to a result outside the range")
    assert column(rows, "overflow") == list(get_args(Overflow))


def test_the_exactness_guard_is_the_engines() -> None:
    rows = table(NETWORK, "arithmetic", "every partial sum stays below")
    bounds = {row["arithmetic"]: row["every partial sum stays below"] for row in rows}
    assert list(bounds) == list(get_args(engine.Arithmetic))
    assert power(bounds["float32"]) == intervals._FLOAT32_EXACT
    assert power(bounds["float64"]) == intervals._FLOAT64_EXACT


def power(text: str) -> int:
    """The value of a cell such as 2^24."""
    base, exponent = text.split("^")
    return int(base) ** int(exponent)


# Interfaces.


def test_every_record_has_its_tag_and_version() -> None:
    rows = table(INTERFACES, "tag", "version", "file")
    pages = sorted((DOCS / "commands").glob("*.md"))
    commands = [importlib.import_module(f"edgeval.commands.{page.stem.replace('-', '_')}") for page in pages]
    assert {f"{row['tag']}/{row['version']}" for row in rows} == tagged([records, *commands])


def test_the_versions_of_network_and_project_are_named() -> None:
    text = INTERFACES.read_text(encoding="utf-8")
    for tag in (STRUCTURE_VERSION, *tagged([manifest, package_manifest])):
        assert f"`{tag}`" in text


def test_every_environment_variable_has_its_row() -> None:
    setup = (ROOT / "tools" / "setup-venv").read_text(encoding="utf-8")
    read = re.findall(r"EDGEVAL_[A-Z_]+", (environment.__doc__ or "") + inspect.getsource(environment) + setup)
    assert set(column(table(INTERFACES, "variable", "read by", "meaning"), "variable")) == set(read)


def test_every_exit_code_has_its_row() -> None:
    from edgeval import cli

    known = {0, 1, cli._BUG, cli._INTERRUPTED}
    known |= {item.exit_code for item in vars(errors).values() if inspect.isclass(item) and hasattr(item, "exit_code")}
    assert {int(code) for code in column(table(INTERFACES, "code", "meaning"), "code")} == known


def test_the_executor_table_is_the_protocol() -> None:
    members = [name for name in vars(Executor) if not name.startswith("_")]
    assert column(table(INTERFACES, "member", "what it gives"), "member") == members


def test_every_decision_has_its_row() -> None:
    kinds = get_args(typing.get_type_hints(Decision)["kind"])
    assert column(table(INTERFACES, "decision", "for", "another decision is"), "decision") == list(kinds)


def test_every_outcome_column_has_its_row_and_type() -> None:
    rows = table(INTERFACES, "column", "type", "meaning")
    schema = outcome_table().schema
    assert column(rows, "column") == schema.names
    for row in rows:
        assert str(schema.field(row["column"]).type).startswith(row["type"]), row["column"]


def test_every_metric_has_its_row() -> None:
    rows = table(INTERFACES, "metric", "unit", "better")
    assert {row["metric"]: (row["unit"], row["better"]) for row in rows} == {
        name: (metric.unit, metric.direction) for name, metric in METRICS.items()
    }
    assert column(rows, "metric") == list(METRICS)


# Faults.


def test_every_fault_model_has_its_row() -> None:
    assert column(table(FAULTS, "model", "what happens to the bit"), "model") == list(FAULT_MODELS)


def test_every_field_of_the_damage_summary_has_its_row() -> None:
    assert column(table(FAULTS, "field", "meaning"), "field") == list(DamageRow.__struct_fields__)


def test_every_field_of_an_estimate_has_its_row() -> None:
    rows = table(FAULTS, "estimate", "meaning")
    assert column(rows, "estimate") == list(Estimate.__struct_fields__)
    assert column(table(FAULTS, "stratum", "meaning"), "stratum") == list(Stratum.__struct_fields__)


def test_the_sample_sizes_on_the_page_are_those_of_the_code() -> None:
    for row in table(FAULTS, "faults in all", "95 %", "99 %"):
        population = int(row["faults in all"].replace(",", ""))
        for confidence in (0.95, 0.99):
            assert int(row[f"{confidence:.0%}".replace("%", " %")].replace(",", "")) == sample_size(
                population, 0.01, confidence
            )


def test_the_sizes_that_pages_name_are_those_of_the_code() -> None:
    faults, project = FAULTS.read_text(encoding="utf-8"), (DOCS / "hls4ml.md").read_text(encoding="utf-8")
    assert f"{SHARD_FAULTS:,} faults on the exact engine, {EXECUTOR_SHARD_FAULTS} on the C-simulation" in faults
    assert f"about {CHECKED_FAULTS} faults" in faults
    assert f"{CHECKED_MACS:.0e}".replace("e+", " × 10^") in faults
    assert f"never fewer than {LEAST_CHECKED_FAULTS}" in faults
    mebibytes, per_product = bridge._STACK_BASE_BYTES >> 20, bridge._STACK_PER_PRODUCT_BYTES
    assert f"{mebibytes} MiB and {per_product} bytes a product" in project
    assert f"words of more than {bridge._WIDEST_TAP_BITS} bits" in project


# Commands.


def test_every_target_is_named_in_the_architecture() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    assert f"one explicit dict: {', '.join(TARGETS)}" in text


def test_every_place_that_the_architecture_names_is_there() -> None:
    for row in table(DOCS / "architecture.md", "place", "what is in it"):
        names = [name.strip("` ") for name in row["place"].split(",")]
        folder = Path(names[0]).parent
        for name in names:
            assert (ROOT / name).exists() or (ROOT / folder / name).exists(), name


# The reader of tables itself: it has to be able to fail.


def test_a_removed_row_is_seen() -> None:
    text = NETWORK.read_text(encoding="utf-8").replace("| `Shift` | word", "missing | word", 1)
    kinds = [row["node"] for rows in tables(text) for row in rows if "integer meaning" in row]
    assert kinds != list(NODE_KINDS)
