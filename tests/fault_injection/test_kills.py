"""Campaigns that are killed with SIGKILL at random moments, as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.campaigns import campaign_of
from support.networks import Mlp

from fault_injection.campaign import run_campaign

ROOT = Path(__file__).parents[2]
WIDTHS = (24, 40, 12, 5)
SAMPLES = 200
KILLS = 10
PATIENCE_S = 300

CAMPAIGN = f"""
import sys
from pathlib import Path
from support.campaigns import campaign_of
from support.networks import Mlp
from fault_injection import campaign, cores
from fault_injection.local_workers import LocalWorkers
from fault_injection.shards import ThisProcess
cores.usable_cores = lambda: 4
campaign.SHARD_FAULTS = 128
workers = int(sys.argv[2])
place = LocalWorkers(workers=workers) if workers else ThisProcess()
told = campaign_of(Mlp(widths={WIDTHS}), samples={SAMPLES})
def tell(done, total):
    print(done, flush=True)
campaign.run_campaign(told, Path(sys.argv[1]), tell, place=place, fingerprint="f")
"""


def started(folder: Path, workers: int) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONFAULTHANDLER": "1"}
    command = [sys.executable, "-c", CAMPAIGN, str(folder), str(workers)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2], ids=["one process", "two workers"])
def test_a_campaign_killed_ten_times_ends_as_one_that_was_not(workers: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(workers)
    undisturbed = tmp_path / "undisturbed"
    whole = run_campaign(campaign_of(Mlp(widths=WIDTHS), samples=SAMPLES), undisturbed, fingerprint="f")
    disturbed = tmp_path / "disturbed"
    judged: set[str] = set()
    for _ in range(KILLS):
        process = started(disturbed, workers)
        assert process.stdout is not None
        # Behind a random number of shards of this start, and then somewhere inside the next one.
        for _ in range(int(rng.integers(0, 4))):
            assert process.stdout.readline()
        try:
            process.wait(timeout=float(rng.uniform(0, 0.15)))
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate(timeout=PATIENCE_S)
        assert not (disturbed / "outcomes.parquet").exists(), "killed too late to show anything"
        there = {path.name: path.read_bytes() for path in (disturbed / "_parts").glob("part-*")}
        assert judged <= set(there)
        judged = set(there)
    process = started(disturbed, workers)
    lines = process.communicate(timeout=PATIENCE_S)[0].split()
    assert process.returncode == 0
    # The last start found what was there and computed the rest, nothing twice.
    assert int(lines[-1]) == whole.num_rows
    assert (disturbed / "outcomes.parquet").read_bytes() == (undisturbed / "outcomes.parquet").read_bytes()
    assert pq.read_table(disturbed / "outcomes.parquet")["site"].to_pylist() == list(range(whole.num_rows))
    assert not list(disturbed.rglob(".*"))
