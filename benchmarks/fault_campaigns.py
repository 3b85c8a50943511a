"""How fast stored-bit faults are judged: edgeval's exact engine, PyTorchFI, MRFI, a plain torch loop, the C-simulation.

All of them in one run, on the same networks, samples and machine. edgeval judges every stored bit, by decisions alone
and in full with a cross-entropy loss a sample. The others inject random weight bits of the same network, every time
over all samples, for some seconds with one thread and again with all, and have to count the same changed decisions as
edgeval. They live in an environment of their own, made on first use (``--peers DIR`` says where).

    python benchmarks/fault_campaigns.py                        # everything: random and trained, about an hour
    python benchmarks/fault_campaigns.py --quick                # small networks, few samples: two minutes
    python benchmarks/fault_campaigns.py --cross-checks 1000    # and so many faults by brute force, column by column

The roof is measured in the same run (``machine_roof.cpp``). Work counted for it: one byte compare for every pair of
fault and sample, the least that looks at all of them; and the words of each layer's input once a neuron. A fraction
above 1 would say that pairs were settled without being looked at. *Brute force at the roof* is one forward pass a fault
at the measured peak of 16-bit multiply-adds, which nobody reaches.

Exit code 1 where any count differs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from campaign_networks import Shape, Subject, random_subject
from campaign_training import mnist, synthetic, trained_subject
from machine_roof import Roof, measure_roof
from peer_tools import WAYS, Faults, ask_peer, peer_python

from edgeval.metrics import METRICS
from fault_injection.exact import Detail
from fault_injection.fault_list import StoredBits
from fault_injection.golden import Golden, golden_run
from fault_injection.outcomes import Decision, Judge, PerSample
from fault_injection.propagate import ChangedRows
from fault_injection.sites import all_sites
from hls.csim import build_csim, open_csim
from hls.engine import ExactEngine
from hls.environment import worker_count
from hls.hls4ml_flow import ProjectOptions
from hls.hls4ml_flow.project import write_project
from hls.nodes import MatMul

SHAPES = [
    Shape(name="784-512-128-10, 8/8", widths=(784, 512, 128, 10), bits=8, zero_share=0.8, data=mnist),
    Shape(name="784-64-64-64-10, 4/4", widths=(784, 64, 64, 64, 10), bits=4, zero_share=0.8, data=mnist),
    Shape(name="16-64-32-32-5, 6/6", widths=(16, 64, 32, 32, 5), bits=6, signed_inputs=True, data=synthetic),
    Shape(name="16-32-16-2, 6/6", widths=(16, 32, 16, 2), bits=6, signed_inputs=True, data=synthetic),
    Shape(name="32-48-48-100, 6/6", widths=(32, 48, 48, 100), bits=6, zero_share=0.5, data=synthetic),
]
QUICK = [
    Shape(name="784-32-10, 8/8", widths=(784, 32, 10), bits=8, zero_share=0.8, data=mnist),
    Shape(name="16-64-32-32-5, 6/6", widths=(16, 64, 32, 32, 5), bits=6, signed_inputs=True, data=synthetic),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long one way takes.

    Attributes:
        faults: Judged in one measurement.
        seconds: Of each measurement, all its faults together.
    """

    way: str
    threads: int
    faults: int
    seconds: list[float]

    @property
    def rate(self) -> float:
        """Faults a second, by the median."""
        return self.faults / statistics.median(self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One network with its fault-free values and all of its stored bits."""

    subject: Subject
    golden: Golden
    bits: StoredBits
    options: argparse.Namespace


def cross_entropy(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Loss of each sample."""
    shifted = values - values.max(axis=1, keepdims=True)
    return np.asarray(np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels])


def judge_of(golden: Golden, labels: np.ndarray, per_sample: PerSample) -> Judge:
    """A judge that has prepared nothing yet."""
    return Judge(
        golden=golden, decision=Decision(kind="argmax"), labels=labels, per_sample=per_sample, finish=lambda mean: mean
    )


def campaign(bench: Bench, detail: Detail, threads: int) -> tuple[Timing, pa.Table, Judge, float]:
    """Judge every bit some times, with nothing prepared: times, table, judge, and peak memory in GiB."""
    per_sample = METRICS["accuracy"].per_sample if detail == "decisions" else cross_entropy
    times = []
    reset_peak_memory()
    for _ in range(bench.options.repeats):
        judge = judge_of(bench.golden, bench.subject.labels, per_sample)
        started = time.perf_counter()
        table = bench.bits.judge(judge, detail=detail, threads=threads)
        times.append(time.perf_counter() - started)
    way = {"decisions": "edgeval, decisions", "full": "edgeval, full with loss"}[detail]
    return Timing(way=way, threads=threads, faults=len(bench.bits), seconds=times), table, judge, peak_memory()


def reset_peak_memory() -> None:
    """Start the kernel's count of the largest resident size anew."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory() -> float:
    """Largest resident size since then, in GiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20


def cross_check(golden: Golden, bits: StoredBits, checks: list[tuple[pa.Table, Judge]], rows: np.ndarray) -> int:
    """Faults whose row differs in any column of any table from what a whole run of the network under it gives."""
    engine, wrong = ExactEngine(golden.graph), 0
    for row in rows.tolist():
        output = bits.faulty_output(engine, golden, row)
        sample = np.flatnonzero((output != golden.output).any(axis=1))
        changed = ChangedRows(fault=np.zeros(len(sample), np.int64), sample=sample, output=output[sample])
        differing = False
        for table, judge in checks:
            expected, found = (one.to_pylist()[0] for one in (judge.judge(changed, 1), table.slice(row, 1)))
            # A column that a campaign by decisions does not fill is null there.
            given = {name: value for name, value in found.items() if value is not None and name != "outcome"}
            differing |= any(expected[name] != value for name, value in given.items())
        wrong += differing
    return wrong


def weight_faults(bench: Bench, rng: np.random.Generator) -> tuple[Faults, np.ndarray]:
    """Random weight bits in random order for the peers, and their rows in the campaign."""
    sites, layers = bench.bits.sites, bench.subject.layers
    layer_of = {f"fc{position}.weight": position - 1 for position in range(1, len(layers) + 1)}
    layer = np.array([layer_of.get(name, -1) for name in sites.tensors])[sites.tensor]
    rows = rng.permutation(np.flatnonzero(layer >= 0))[:20_000]
    outputs = np.array([one.weight.shape[1] for one in layers])[layer[rows]]
    chosen = bench.bits.take(rows)
    faults = Faults(
        layer=layer[rows],
        input=sites.index[rows] // outputs,
        output=sites.index[rows] % outputs,
        bit=sites.bit[rows],
        word=chosen.columns(bench.subject.graph)["faulty_word"].to_numpy(),
    )
    return faults, rows


def csim_injections(bench: Bench, rows: np.ndarray) -> tuple[Timing, list[int]]:
    """Faults poked into the built C-simulation, each run over all samples."""
    graph, golden, bits = bench.subject.graph, bench.golden, bench.bits
    times: list[float] = []
    changed: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        write_project(graph, Path(folder), ProjectOptions(io_type="io_parallel"))
        with open_csim(graph, build_csim(Path(folder)), workers=bench.options.threads) as csim:
            bits.faulty_output(csim, golden, int(rows[0]))
            for row in rows.tolist():
                started = time.perf_counter()
                output = bits.faulty_output(csim, golden, row)
                times.append(time.perf_counter() - started)
                changed.append(int((output.argmax(axis=1) != golden.output.argmax(axis=1)).sum()))
                if len(times) >= 3 and sum(times) > bench.options.peer_seconds:
                    break
    return Timing(way="C-simulation, poked", threads=bench.options.threads, faults=1, seconds=times), changed


def measure(bench: Bench, python: Path | None, roof: Roof) -> tuple[list[Timing], bool]:
    """Everything about one network, printed; and whether all counts agree."""
    options, rng = bench.options, np.random.default_rng(bench.options.seed)
    timings, tables, notes = exhaustive(bench)
    counts = tables[0][0]["decisions_changed"].to_numpy()
    agree = all(np.array_equal(counts, table["decisions_changed"].to_numpy()) for table, _ in tables)
    faults, rows = weight_faults(bench, rng)
    for timing, changed in one_by_one(bench, python, faults, rows):
        timings.append(timing)
        equal = int((np.array(changed) == counts[rows[: len(changed)]]).sum())
        notes.append(f"{timing.way}, threads {timing.threads}: {equal} of {len(changed)} counts are edgeval's")
        agree &= equal == len(changed)
    print_timings(timings)
    sys.stdout.flush()  # the repeats below can take longer than everything above
    if options.cross_checks:
        chosen = np.sort(rng.choice(len(bench.bits), min(options.cross_checks, len(bench.bits)), replace=False))
        wrong = cross_check(bench.golden, bench.bits, tables, chosen)
        notes.append(f"{len(chosen):,} faults repeated as whole runs of the exact engine: {wrong} mismatches")
        agree &= wrong == 0
    for note in [*notes, *roof_lines(bench, timings, roof)]:
        print(f"- {note}")
    sys.stdout.flush()
    return timings, agree


def exhaustive(bench: Bench) -> tuple[list[Timing], list[tuple[pa.Table, Judge]], list[str]]:
    """Campaigns of edgeval over every bit: times, a table by decisions and one in full, and what to say of them."""
    details: tuple[Detail, ...] = ("decisions", "full")
    timings, tables, notes = [], [], []
    for detail in details:
        peaks = []
        for threads in sorted({1, bench.options.threads}):
            timing, table, judge, peak = campaign(bench, detail, threads)
            timings.append(timing)
            peaks.append(peak)
        tables.append((table, judge))
        notes.append(f"{timing.way}: peak memory of the whole process {max(peaks):.2f} GiB")
    return timings, tables, notes


def one_by_one(
    bench: Bench, python: Path | None, faults: Faults, rows: np.ndarray
) -> Iterator[tuple[Timing, list[int]]]:
    """Every other way: its times, and what it counted."""
    options = bench.options
    for way in (one for one in WAYS if one not in options.without):
        assert python is not None, "made where any peer is asked for"
        for threads in sorted({1, options.threads}):
            found = ask_peer(python, way, bench.subject, faults, options.peer_seconds, threads)
            yield Timing(way=WAYS[way], threads=threads, faults=1, seconds=found.seconds), found.changed
    if "csim" not in options.without:
        yield csim_injections(bench, rows)


def print_timings(timings: list[Timing]) -> None:
    """One row a way, against the faster PyTorchFI where it was run."""
    base = max((one.rate for one in timings if one.way == WAYS["pytorchfi"]), default=None)
    print("| way | threads | measured | seconds each, median (least to most) | faults a second | ratio to PyTorchFI |")
    print("| --- | --- | --- | --- | --- | --- |")
    for one in timings:
        spread = f"{statistics.median(one.seconds):.4g} ({min(one.seconds):.4g} to {max(one.seconds):.4g})"
        ratio = "" if base is None else f"{one.rate / base:,.4g}"
        measured = f"{len(one.seconds)} × {one.faults:,}"
        print(f"| {one.way} | {one.threads} | {measured} | {spread} | {one.rate:,.4g} | {ratio} |")
    print()


def roof_lines(bench: Bench, timings: list[Timing], roof: Roof) -> list[str]:
    """Which share of the roof the fastest exhaustive campaign by decisions reaches."""
    subject, golden = bench.subject, bench.golden
    best = max((one for one in timings if one.way.startswith("edgeval, decisions")), key=lambda one: one.rate)
    seconds = statistics.median(best.seconds)
    pairs = best.faults * golden.samples
    matrices = [node for node in subject.graph.compute_nodes if isinstance(node, MatMul)]
    read = sum(
        golden.words[node.input].nbytes * layer.weight.shape[1]
        for node, layer in zip(matrices, subject.layers, strict=True)
    )
    brute = pairs * subject.shape.products / roof.products
    return [
        f"{best.way}, threads {best.threads}: {pairs:.3g} pairs of fault and sample in {seconds:.3g} s, "
        f"{pairs / seconds / roof.compares:.1%} of {roof.compares:.3g} byte compares a second",
        f"inputs read once a neuron: {read / seconds:.3g} bytes a second, {read / seconds / roof.triad:.1%} of the "
        f"{roof.triad:.3g} of memory",
        f"brute force at the roof of {roof.products:.3g} multiply-adds a second: {brute:.4g} s, {brute / seconds:,.4g} "
        "times as long",
    ]


def benches(options: argparse.Namespace) -> Iterator[Bench]:
    """The networks that were asked for, each described when it is made."""
    build: dict[str, Callable[[Shape, int, int], Subject]] = {"random": random_subject, "trained": trained_subject}
    for shape in QUICK if options.quick else SHAPES:
        for kind in (one for one in options.kinds.split(",") if options.networks in shape.name):
            subject = build[kind](shape, options.samples, options.seed)
            started = time.perf_counter()
            golden = golden_run(subject.graph, subject.inputs)
            seconds = time.perf_counter() - started
            bits = StoredBits(sites=all_sites(subject.graph), model="flip")
            zeros = float((subject.inputs == 0).mean())
            accuracy = float((golden.output.argmax(axis=1) == subject.labels).mean())
            print(f"\n## {subject.name}, {subject.origin}\n")
            print(
                f"{len(bits):,} stored bits, {golden.samples:,} samples, {zeros:.0%} of the input words zero, accuracy "
                f"{accuracy:.1%}; fault-free run {seconds:.2f} s\n"
            )
            yield Bench(subject=subject, golden=golden, bits=bits, options=options)


def main() -> int:
    """Measure, print, and say whether all counts agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two small networks, 1,000 samples, a second each")
    parser.add_argument("--networks", default="", help="only networks whose name contains this")
    parser.add_argument("--kinds", default="random,trained", help="default: both")
    parser.add_argument("--samples", type=int, default=None, help="default 10,000")
    parser.add_argument("--repeats", type=int, default=None, help="measurements of each edgeval campaign; default 5")
    parser.add_argument(
        "--peer-seconds", type=float, default=None, help="injecting time of each way and thread count; default 10"
    )
    parser.add_argument("--threads", type=int, default=worker_count(), help="default: the cores we may use")
    parser.add_argument("--cross-checks", type=int, default=0, help="faults of each network repeated by brute force")
    parser.add_argument("--without", nargs="*", default=[], choices=[*WAYS, "csim"], help="ways that are left out")
    parser.add_argument("--peers", type=Path, default=None, help="folder of the peers' environment")
    parser.add_argument("--memory", type=float, default=12.0, help="address space this process may take, in GiB")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=None, help="write times as JSON, too")
    options = parser.parse_args()
    limit = int(options.memory * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))  # an error here instead of a machine that runs out
    options.samples = options.samples or (1_000 if options.quick else 10_000)
    options.repeats = options.repeats or (3 if options.quick else 5)
    options.peer_seconds = options.peer_seconds or (1.0 if options.quick else 10.0)
    python = None if set(WAYS) <= set(options.without) else peer_python(options.peers)
    roof = measure_roof(options.threads)
    print(f"{processor()}, {options.threads} of {os.cpu_count()} cores, load before the run {os.getloadavg()[0]:.1f}")
    results, agree = [], True
    for bench in benches(options):
        timings, equal = measure(bench, python, roof)
        named = {"network": bench.subject.name, "origin": bench.subject.origin, "samples": bench.golden.samples}
        results.append({**named, "timings": [asdict(one) for one in timings]})
        agree &= equal
    if options.output:
        options.output.write_text(json.dumps({"roof": asdict(roof), "networks": results}, indent=1), encoding="utf-8")
    print(f"\nload after the run {os.getloadavg()[0]:.1f}; {'all counts agree' if agree else 'COUNTS DIFFER'}")
    return 0 if agree else 1


def processor() -> str:
    """Model of the processor."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "this machine")


if __name__ == "__main__":
    sys.exit(main())
