"""How fast three executors of one network are: hls4ml's own predict, edgeval's C-simulation bridge, the exact engine.

All three run the same network (hls4ml's model is converted from the same canonical graph) on the same seeded input
words, and have to give the same output words before anything is timed. Rounds interleave the three, so that what else
the machine does hits all of them alike; figures are medians over rounds. Two times are measured:

* wall: what a user waits, the bridge with all its workers at once;
* CPU: what was computed, of all processes and threads together. On a busy machine it is the fairer one; the bridge's
  CPU figure counts its worker processes, and its rate is that of one core times the number of workers.

    python benchmarks/csim_throughput.py [--rounds 7] [--workers N] [--nets digits,mlp784,cnn28]

Exit code 1 where words differ or a ratio is below what the project promises.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from hls.csim import CSimulation, build_csim, open_csim
from hls.engine import ExactEngine
from hls.environment import worker_count
from hls.formats import WordFormat, Words, smallest_signed
from hls.graph import IntegerGraph, StoredTensor, Value
from hls.hls4ml_flow import ProjectOptions
from hls.hls4ml_flow.canonical import canonical_model
from hls.hls4ml_flow.project import converted_model, write_project
from hls.hls4ml_flow.units import unit_log2
from hls.intervals import accumulator_interval
from hls.nodes import Conv, MatMul, MaxPool, Node, Quantize, Reshape, Shift

ONE = np.asarray(1.0)
PIXEL = WordFormat(width_bits=8, encoding="unsigned")
WEIGHT = WordFormat(width_bits=6, encoding="twos_complement")
BIAS = WordFormat(width_bits=12, encoding="twos_complement")
HIDDEN = WordFormat(width_bits=6, encoding="unsigned")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A network, how many samples each executor gets a round, and what is promised.

    Attributes:
        predicted: Samples for hls4ml's predict and for the bridge.
        engine: Samples for the exact engine.
        engine_ratio: Least ratio of the engine's rate to predict's.
    """

    name: str
    graph: IntegerGraph
    predicted: int
    engine: int
    engine_ratio: float


BRIDGE_RATIO = 1.7
"""Least ratio of the bridge's rate on two workers to that of predict."""


class Builder:
    """A network of random words, layer by layer, six bits a weight and an activation."""

    def __init__(self, shape: tuple[int, ...], seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        axes = tuple(range(len(shape)))
        self.nodes: list[Node] = [
            Quantize(
                name="q", input="x", output="q", format=PIXEL, scale=1.0, rounding="half_even",
                low=PIXEL.minimum, high=PIXEL.maximum, view=shape, axes=axes,
            )
        ]  # fmt: skip
        self.values = {
            "x": Value(shape=shape, format=None, scale=ONE), "q": Value(shape=shape, format=PIXEL, scale=ONE)
        }  # fmt: skip
        self.tensors: dict[str, StoredTensor] = {}
        self.last = "q"

    def dense(self, outputs: int) -> None:
        """A matrix product with bias."""
        inputs = self.values[self.last].shape[-1]
        weight, bias, accumulator, name = self._layer("fc", (inputs, outputs), outputs, -1)
        node = MatMul(name=name, input=self.last, output=name, weight=weight, bias=bias, accumulator=accumulator)
        self._append(node, (outputs,), accumulator)

    def conv(self, outputs: int) -> None:
        """A 3 × 3 convolution with bias, no padding."""
        height, width, inputs = self.values[self.last].shape
        weight, bias, accumulator, name = self._layer("conv", (outputs, inputs, 3, 3), outputs, 0)
        node = Conv(
            name=name, input=self.last, output=name, weight=weight, bias=bias, accumulator=accumulator,
            strides=(1, 1), dilations=(1, 1), pads=(0, 0, 0, 0), groups=1,
        )  # fmt: skip
        self._append(node, (height - 2, width - 2, outputs), accumulator)

    def activation(self) -> None:
        """Down to six bits, so that the middle of what occurs is spread over them."""
        value = self.values[self.last]
        assert value.format is not None
        name = f"act{len(self.nodes)}"
        shift = max(0, value.format.width_bits - 2 - HIDDEN.width_bits)
        node = Shift(
            name=name, input=self.last, output=name, format=HIDDEN, shift=shift, rounding="half_even",
            low=0, high=HIDDEN.maximum,
        )  # fmt: skip
        self._append(node, value.shape, HIDDEN)

    def pool(self) -> None:
        """The largest of 2 × 2 pixels."""
        height, width, channels = self.values[self.last].shape
        name = f"pool{len(self.nodes)}"
        node = MaxPool(
            name=name, input=self.last, output=name, kernel=(2, 2), strides=(2, 2), dilations=(1, 1), pads=(0, 0, 0, 0)
        )
        self._append(node, (height // 2, width // 2, channels), HIDDEN)

    def flatten(self) -> None:
        """An image as a vector."""
        name = f"flat{len(self.nodes)}"
        size = int(np.prod(self.values[self.last].shape))
        self._append(Reshape(name=name, input=self.last, output=name), (size,), HIDDEN)

    def graph(self) -> IntegerGraph:
        """What was built."""
        return IntegerGraph(
            nodes=tuple(self.nodes), tensors=self.tensors, values=self.values, input="x", output=self.last
        )

    def _layer(self, prefix: str, shape: tuple[int, ...], outputs: int, axis: int) -> tuple[str, str, WordFormat, str]:
        name = f"{prefix}{len(self.nodes)}"
        weight = self._stored(f"{name}.weight", shape, WEIGHT, axis)
        bias = self._stored(f"{name}.bias", (outputs,), BIAS, -1)
        word_format = self.values[self.last].format
        assert word_format is not None
        interval = accumulator_interval(weight, bias, word_format)
        return weight.name, bias.name, smallest_signed(interval.minimum, interval.maximum), name

    def _stored(self, name: str, shape: tuple[int, ...], word_format: WordFormat, axis: int) -> StoredTensor:
        words = self.rng.integers(word_format.minimum, word_format.maximum, shape, endpoint=True)
        zero = np.asarray(0, np.int64)
        self.tensors[name] = StoredTensor(
            name=name, words=words, format=word_format, scale=ONE, widen=zero, zero_point=zero, channel_axis=axis
        )
        return self.tensors[name]

    def _append(self, node: Node, shape: tuple[int, ...], word_format: WordFormat) -> None:
        self.nodes.append(node)
        self.last = node.output
        self.values[node.output] = Value(shape=shape, format=word_format, scale=ONE)


def perceptron(widths: tuple[int, ...]) -> IntegerGraph:
    """Matrix products of these widths, activations between them."""
    builder = Builder(widths[:1], seed=0)
    for position, width in enumerate(widths[1:], 1):
        builder.dense(width)
        if position < len(widths) - 1:
            builder.activation()
    return builder.graph()


def small_cnn() -> IntegerGraph:
    """28 × 28 pixels, twice 3 × 3 convolution and 2 × 2 pool, ten classes."""
    builder = Builder((28, 28, 1), seed=0)
    for channels in (8, 16):
        builder.conv(channels)
        builder.activation()
        builder.pool()
    builder.flatten()
    builder.dense(10)
    return builder.graph()


WORKLOADS: dict[str, Callable[[], Workload]] = {
    "digits": lambda: Workload(
        name="digits", graph=perceptron((64, 64, 32, 10)), predicted=2000, engine=100_000, engine_ratio=100
    ),
    "mlp784": lambda: Workload(
        name="mlp784", graph=perceptron((784, 64, 64, 64, 10)), predicted=300, engine=20_000, engine_ratio=100
    ),
    "cnn28": lambda: Workload(name="cnn28", graph=small_cnn(), predicted=100, engine=4000, engine_ratio=30),
}


def hls4ml_predict(graph: IntegerGraph, folder: Path) -> Callable[[Words], Words]:
    """hls4ml's own way: its model of the network, its compile, its predict; words in, words out."""
    with contextlib.redirect_stdout(io.StringIO()):
        model = converted_model(graph, canonical_model(graph), folder, ProjectOptions(io_type="io_parallel"))
        model.config.trace_output = False  # as hls4ml comes
        model.compile()
    units = unit_log2(graph)
    into, out = 2.0 ** units[graph.quantizer.output], 2.0 ** -units[graph.output]

    def predict(words: Words) -> Words:
        values = np.ascontiguousarray(words * into, np.float32)
        with contextlib.redirect_stdout(io.StringIO()):
            return np.asarray(np.rint(model.predict(values).astype(np.float64) * out), np.int64)

    return predict


def children_seconds(csim: CSimulation) -> float:
    """CPU time that the workers have used so far."""
    total = 0
    for worker in csim.workers:
        fields = Path(f"/proc/{worker.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def timed(call: Callable[[], Words], others: Callable[[], float] = lambda: 0.0) -> tuple[float, float]:
    """(wall, CPU) seconds of a call, CPU time of other processes included."""
    wall, cpu = time.perf_counter(), time.process_time() + others()
    call()
    return time.perf_counter() - wall, time.process_time() + others() - cpu


def measure(workload: Workload, rounds: int, workers: int) -> tuple[list[tuple[str, float, float, int]], bool]:
    """(executor, wall, CPU, cores) with times in microseconds a sample, and whether all words are equal."""
    graph = workload.graph
    shape = graph.values[graph.quantizer.output].shape
    rng = np.random.default_rng(1)
    words = rng.integers(PIXEL.minimum, PIXEL.maximum, (workload.engine, *shape), endpoint=True)
    few = words[: workload.predicted]
    with tempfile.TemporaryDirectory() as folder:
        predict = hls4ml_predict(graph, Path(folder) / "hls4ml")
        write_project(graph, Path(folder) / "project", ProjectOptions(io_type="io_parallel"))
        engine = ExactEngine(graph)
        with open_csim(graph, build_csim(Path(folder) / "project"), workers=workers) as csim:
            expected = engine.run(few).output.reshape(len(few), -1)
            answers = (predict(few), csim.run(few).output)
            equal = all(np.array_equal(answer.reshape(len(few), -1), expected) for answer in answers)
            times: dict[str, list[tuple[float, float]]] = {"hls4ml predict": [], "bridge": [], "exact engine": []}
            for _ in range(rounds):
                times["hls4ml predict"].append(timed(lambda: predict(few)))
                times["bridge"].append(timed(lambda: csim.run(few).output, lambda: children_seconds(csim)))
                times["exact engine"].append(timed(lambda: engine.run(words).output))
    counts = {"hls4ml predict": len(few), "bridge": len(few), "exact engine": len(words)}
    cores = {"hls4ml predict": 1, "bridge": workers, "exact engine": 1}
    rows = [
        (name, *(median(part) / counts[name] * 1e6 for part in zip(*found, strict=True)), cores[name])
        for name, found in times.items()
    ]
    return [(name, wall, cpu, core) for name, wall, cpu, core in rows], equal


def main() -> int:
    """Measure, print a Markdown table, and check the promises."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--workers", type=int, default=worker_count())
    parser.add_argument("--nets", default=",".join(WORKLOADS))
    arguments = parser.parse_args()
    print("| network | executor | cores | wall µs a sample | ratio | CPU µs a sample | ratio on its cores |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    missed = []
    for name in arguments.nets.split(","):
        workload = WORKLOADS[name]()
        rows, equal = measure(workload, arguments.rounds, arguments.workers)
        if not equal:
            missed.append(f"{name}: output words differ")
        _, base_wall, base_cpu, _ = rows[0]
        for executor, wall, cpu, cores in rows:
            ratio = base_cpu / cpu * cores
            print(
                f"| {name} | {executor} | {cores} | {wall:,.2f} | {base_wall / wall:,.1f} | {cpu:,.2f} | {ratio:,.1f} |"
            )
            promised = {"exact engine": workload.engine_ratio, "bridge": BRIDGE_RATIO * cores / 2}.get(executor, 0.0)
            if ratio < promised:
                missed.append(f"{name}: {executor} is {ratio:,.1f} times as fast, promised are {promised:g}")
    load = os.getloadavg()[0]
    print(
        f"\nMedians of {arguments.rounds} interleaved rounds; load of the machine {load:.1f}, {os.cpu_count()} cores."
    )
    for line in missed:
        print(line, file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
