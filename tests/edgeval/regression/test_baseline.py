"""The file: what is written is read back, reads well in a diff, and nothing else is taken for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edgeval.regression import stored_network
from edgeval.regression.baseline import Baseline, baseline_text, load_baseline, save_baseline
from edgeval.regression.gates import judged, observed_run
from edgeval.regression.locked_words import golden_outputs
from edgeval.regression.observe import Observation
from edgeval.regression_record import Tolerances
from hls.errors import EdgevalError, InputError, RunDirectoryError
from hls.serialize import digest


@pytest.fixture
def baseline(observation: Observation) -> Baseline:
    return Baseline(runs=(observation.run,))


def test_what_is_written_is_read_back(baseline: Baseline, tmp_path: Path) -> None:
    save_baseline(baseline, tmp_path / "b.json")
    assert load_baseline(tmp_path / "b.json") == baseline
    assert baseline_text(load_baseline(tmp_path / "b.json")) == (tmp_path / "b.json").read_text(encoding="utf-8")


def test_it_is_plain_json(baseline: Baseline) -> None:
    assert msgspec.json.decode(baseline_text(baseline)) == msgspec.json.decode(msgspec.json.encode(baseline))


def test_every_type_and_node_has_a_line_of_its_own(baseline: Baseline) -> None:
    lines = [line.strip().removesuffix(",") for line in baseline_text(baseline).splitlines()]
    for item in (*baseline.runs[0].types, *baseline.runs[0].network.nodes, *baseline.runs[0].words.layers):
        assert lines.count(msgspec.json.encode(item).decode()) == 1


def test_a_changed_option_changes_one_line(baseline: Baseline) -> None:
    run = baseline.runs[0]
    other = msgspec.structs.replace(run, options=msgspec.structs.replace(run.options, strategy="Resource"))
    before, after = (baseline_text(item).splitlines() for item in (baseline, Baseline(runs=(other,))))
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert changed == [('    "strategy": "Latency",', '    "strategy": "Resource",')]


@pytest.mark.parametrize("runs", ["none", "twice"])
def test_runs_have_names_of_their_own(baseline: Baseline, tmp_path: Path, runs: str) -> None:
    entries = () if runs == "none" else baseline.runs * 2
    save_baseline(Baseline(runs=entries), tmp_path / "b.json")
    with pytest.raises(RunDirectoryError, match="each with a name of its own"):
        load_baseline(tmp_path / "b.json")


WRONG = (None, 0, -1, 10**30, -(10**30), 1.5, "", "x", "\x00", [], {}, [[0]], True, "AP_TRN", 63)


def test_a_file_that_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_bytes(b"[" * 200_000)
    with pytest.raises(RunDirectoryError, match="take it from version control again"):
        load_baseline(tmp_path / "b.json")


def test_a_network_that_contradicts_itself_is_refused_although_its_digest_was_forged(baseline: Baseline) -> None:
    (run,) = baseline.runs
    values = (*run.network.values[:-1], msgspec.structs.replace(run.network.values[-1], scale=-1.0))
    forged = msgspec.structs.replace(run, network=msgspec.structs.replace(run.network, values=values))
    graph = stored_network._restored(forged)
    assert graph is not None
    network = msgspec.structs.replace(forged.network, digest=digest(graph))
    with pytest.raises(InputError, match="finite scales above 0"):
        stored_network.restored(msgspec.structs.replace(forged, network=network))


def test_edits_by_hand_are_refused_or_compared_and_never_a_bug(
    baseline: Baseline, observation: Observation, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    text = baseline_text(baseline)
    refused = 0
    for _ in range(150):
        content = msgspec.json.decode(text)
        parent, key = places(content)[int(rng.integers(len(places(content))))]
        parent[key] = WRONG[int(rng.integers(len(WRONG)))]
        (tmp_path / "b.json").write_bytes(msgspec.json.encode(content))
        try:
            (edited,) = load_baseline(tmp_path / "b.json").runs
            judged(observed_run(edited, observation), Tolerances())
            golden_outputs(observation.graph, edited.words.golden)
        except EdgevalError:
            refused += 1
    assert 75 < refused < 150


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place of a JSON document, as container and key."""
    items = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    return [place for key, item in items for place in [(value, key), *places(item)]]
