"""How long does an exhaustive campaign take, beside one whole run of the network for each fault?

Three ways to judge single-bit flips on the same network, samples and machine, in one process and one run:

* the cached exact path that ``edgeval inject-faults`` uses, over *every* stored bit;
* the exact engine, one run over all samples for each fault, over a random sample of the same faults;
* the Brevitas model, one forward pass over all samples for each fault (what injectors built on hooks cost at least),
  timed without even changing a weight.

The second is also compared word by word with the first. Prints medians and ratios; nothing here is a test.

    python benchmarks/exhaustive_campaign.py runs/demo/digits runs/demo/freesolv
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from edgeval.evaluation import evaluation
from edgeval.export import load_quantized_model, model_outputs
from edgeval.run_directory import RunDirectory
from fault_injection.campaign import Campaign, run_campaign
from fault_injection.crosscheck import cross_check
from fault_injection.fault_list import StoredBits
from fault_injection.golden import golden_run
from fault_injection.outcomes import Judge
from fault_injection.sites import all_sites
from hls.engine import ExactEngine

REPEATS = 3


def median_seconds(call: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median wall-clock time of a call."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def exhaustive(campaign: Campaign) -> None:
    """Judge every site, writing its tables to a folder that goes away."""
    with tempfile.TemporaryDirectory() as folder:
        run_campaign(campaign, Path(folder) / "outcomes")


def measure(path: Path, faults: int, seed: int) -> None:
    """Measure one run directory and print what came out."""
    run = RunDirectory(path)
    record, graph, samples = run.run_record(), run.network(), run.samples()
    judged_by = evaluation(record, graph, samples)
    judge = Judge(
        golden=golden_run(graph, graph.quantize_inputs(samples.inputs)),
        decision=judged_by.decision,
        labels=judged_by.labels,
        per_sample=judged_by.metric.per_sample,
        finish=judged_by.metric.finish,
    )
    sites = StoredBits(sites=all_sites(graph), model="flip")
    campaign = Campaign(judge=judge, faults=sites)
    rows = np.random.default_rng(seed).choice(len(sites), min(faults, len(sites)), replace=False)
    chosen = sites.take(np.sort(rows))
    engine, model = ExactEngine(graph), load_quantized_model(run, record)

    cached = median_seconds(lambda: exhaustive(campaign)) / len(sites)
    brute = median_seconds(
        lambda: [chosen.faulty_output(engine, judge.golden, row) for row in range(len(chosen))]
    ) / len(chosen)
    forward = median_seconds(lambda: model_outputs(model, samples.inputs), repeats=25)
    check = cross_check(campaign, campaign.outcomes(sites), faults, np.random.default_rng(seed))

    print(f"\n{path}: {len(sites):,} stored bits, {len(samples.inputs)} samples")
    print(f"  cached exact path, every bit      {cached * 1e6:10.1f} µs a fault   {cached * len(sites):8.1f} s in all")
    print(f"  one exact-engine run a fault      {brute * 1e6:10.1f} µs a fault   {brute / cached:8.1f} × as long")
    print(f"  one Brevitas forward pass a fault {forward * 1e6:10.1f} µs a fault   {forward / cached:8.1f} × as long")
    print(f"  {check.faults} faults by both exact ways: {len(check.mismatches)} differ in any of {check.words:,} words")


def main() -> None:
    """Measure the run directories named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="run directories, trained and exported")
    parser.add_argument("--faults", type=int, default=300, help="faults judged the slow way")
    parser.add_argument("--seed", type=int, default=0, help="of their draw")
    arguments = parser.parse_args()
    print(f"{torch.get_num_threads()} threads for torch and BLAS")
    for path in arguments.runs:
        measure(path, arguments.faults, arguments.seed)


if __name__ == "__main__":
    main()
