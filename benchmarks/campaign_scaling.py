"""Do two workers take half as long as one?

The same campaign on one local worker with one kernel thread and on two such workers, in turns, on a campaign long
enough that starting workers does not matter; and the same in this process, which starts none. Every run judges every
fault anew and its table must be the same, byte for byte. Prints each time, the medians, their ratio, and the memory of
each worker.

    python benchmarks/campaign_scaling.py runs/digits --samples 359 --repeats 5
    python benchmarks/campaign_scaling.py --synthetic 784 512 128 10 --samples 10000 --detail decisions

The machine has to be quiet: another process on one of its cores is measured too. What two cores can give is measured in
the same turns, by loops that only add: on a shared or virtual machine that may be far from twice as much.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from edgeval.evaluation import evaluation
from edgeval.metrics import ACCURACY
from edgeval.run_directory import RunDirectory
from fault_injection.campaign import TABLE, Campaign, run_campaign
from fault_injection.fault_list import StoredBits
from fault_injection.golden import golden_run
from fault_injection.local_workers import LocalWorkers
from fault_injection.outcomes import Decision, Judge
from fault_injection.shards import Place, ThisProcess
from fault_injection.sites import all_sites
from hls.graph import IntegerGraph
from hls.lowering import lower

WANTED_SECONDS = 20.0
"""A campaign that one worker does faster says little about scaling."""


def campaign_on_run(path: Path, samples: int | None, repeat_samples: int, detail: str) -> Campaign:
    """All stored bits of a run, its evaluation set as often as asked for."""
    run = RunDirectory(path)
    record, graph, chosen = run.run_record(), run.network(), run.samples().first(samples)
    judged_by = evaluation(record, graph, chosen)
    labels = None if judged_by.labels is None else np.tile(judged_by.labels, repeat_samples)
    words = np.concatenate([graph.quantize_inputs(chosen.inputs)] * repeat_samples)
    judge = Judge(
        golden=golden_run(graph, words),
        decision=judged_by.decision,
        labels=labels,
        per_sample=judged_by.metric.per_sample,
        finish=judged_by.metric.finish,
    )
    return campaign_of(graph, judge, detail)


def synthetic_campaign(widths: tuple[int, ...], bits: int, samples: int, detail: str) -> Campaign:
    """All stored bits of a random perceptron, 80 % of its inputs zero; seeded."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from support.networks import Mlp  # the tests' builder of QONNX files

    recipe = Mlp(widths=widths, weight_bits=bits, activation_bits=bits, input_bits=bits)
    graph = lower(recipe.model())
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 2**bits, (samples, widths[0])) * (rng.random((samples, widths[0])) < 0.2)
    judge = Judge(
        golden=golden_run(graph, inputs),
        decision=Decision(kind="argmax"),
        labels=rng.integers(0, widths[-1], samples),
        per_sample=ACCURACY.per_sample,
        finish=ACCURACY.finish,
    )
    return campaign_of(graph, judge, detail)


def campaign_of(graph: IntegerGraph, judge: Judge, detail: str) -> Campaign:
    """Flips of all stored bits."""
    faults = StoredBits(sites=all_sites(graph), model="flip")
    return Campaign(judge=judge, faults=faults, detail="decisions" if detail == "decisions" else "full")


BUSY_LOOP = "import time\ns = time.perf_counter()\nfor i in range(30_000_000): pass\nprint(time.perf_counter() - s)"


def busy_seconds(processes: int) -> float:
    """Time that each of some processes at once needs for a loop that touches no memory, on average."""
    command = [sys.executable, "-c", BUSY_LOOP]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    return statistics.mean(float(process.communicate()[0]) for process in running)


def peak_mebibytes(process: str = "self") -> float:
    """Largest memory that a process has had so far."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def timed(campaign: Campaign, place: Place) -> tuple[float, str, float]:
    """Seconds of a whole campaign in an empty folder, the digest of its table, and the memory of its largest worker."""
    peaks = [0.0]

    def look(done: int, total: int) -> None:
        workers = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()
        peaks.extend(peak_mebibytes(worker) for worker in workers)

    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run_campaign(campaign, Path(folder), look, place=place, fingerprint="benchmark")
        seconds = time.perf_counter() - started
        return seconds, hashlib.sha256((Path(folder) / f"{TABLE}.parquet").read_bytes()).hexdigest(), max(peaks)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", type=Path, help="run directory, trained and exported")
    parser.add_argument("--synthetic", nargs="+", type=int, metavar="WIDTH", help="a random perceptron instead")
    parser.add_argument("--bits", type=int, default=8, help="of its words")
    parser.add_argument("--samples", type=int, help="of the evaluation set")
    parser.add_argument("--repeat-samples", type=int, default=1, help="take the evaluation set of a run so many times")
    parser.add_argument("--detail", choices=["full", "decisions"], default="full")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    if arguments.synthetic:
        widths = tuple(arguments.synthetic)
        campaign = synthetic_campaign(widths, arguments.bits, arguments.samples or 1000, arguments.detail)
    else:
        campaign = campaign_on_run(arguments.run, arguments.samples, arguments.repeat_samples, arguments.detail)
    places: dict[str, Place] = {
        "this process": ThisProcess(threads=1),
        "1 worker": LocalWorkers(workers=1, threads=1),
        "2 workers": LocalWorkers(workers=2, threads=1),
    }
    print(f"{len(campaign.faults):,} faults, {campaign.golden.samples:,} samples, {campaign.detail} detail")
    times: dict[str, list[float]] = {name: [] for name in places}
    digests, peaks, machine = set(), [], []
    for repeat in range(arguments.repeats):
        for name, place in places.items():
            seconds, digest, peak = timed(campaign, place)
            peaks.append(peak)
            times[name].append(seconds)
            digests.add(digest)
            print(f"  {repeat + 1}: {name:13} {seconds:8.2f} s", flush=True)
        machine.append(2 * busy_seconds(1) / busy_seconds(2))
    medians = {name: statistics.median(found) for name, found in times.items()}
    for name, seconds in medians.items():
        print(f"{name:13} median {seconds:8.2f} s")
    short = "" if medians["1 worker"] >= WANTED_SECONDS else f" (under {WANTED_SECONDS:.0f} s: too short to count)"
    print(f"2 workers are {medians['1 worker'] / medians['2 workers']:.2f} times one worker{short}")
    print(f"two loops that only add are {statistics.median(machine):.2f} times one, on this machine now")
    print(f"tables: {'all equal' if len(digests) == 1 else f'{len(digests)} DIFFERENT ones'}")
    print(f"memory at most: {peak_mebibytes():,.0f} MiB here, {max(peaks):,.0f} MiB in a worker")


if __name__ == "__main__":
    main()
