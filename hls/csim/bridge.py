"""The C-simulation as an executor: words in, words out, from worker processes that may crash without harm."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from hls.csim.build import Build
from hls.csim.protocol import Answer, Load, PackedWords, Peek, Poke, Request, Run, pack, receive, send, unpack
from hls.environment import worker_count
from hls.errors import RunDirectoryError, ToolError, UsageError
from hls.executor import Execution, require_taps
from hls.formats import Words
from hls.graph import IntegerGraph, StoredTensor, WordChange
from hls.hls4ml_flow.manifest import Manifest
from hls.serialize import digest

_STACK_BASE_BYTES = 64 << 20
_STACK_PER_PRODUCT_BYTES = 16  # an ap_fixed up to 64 bits takes 8; hls4ml copies arrays once in places
_WIDEST_TAP_BITS = 53  # hls4ml's trace hands words out as doubles


class Worker:
    """One process with one loaded library."""

    def __init__(self, load: Load) -> None:
        self.printed = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hls.csim.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.printed,
        )
        try:
            self.ask(load)
        except ToolError:
            self.close()
            raise

    def ask(self, request: Request) -> Answer:
        """Send a request and wait for the answer.

        Raises:
            ToolError: the process died, an output was no number, or the C++ printed a warning.
        """
        answer = self.exchange(request)
        _require_clean(answer)
        return answer

    def exchange(self, request: Request) -> Answer:
        """Send a request and wait for the answer, whatever it says.

        Raises:
            ToolError: the process died.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        data = None
        with contextlib.suppress(BrokenPipeError):
            send(self.process.stdin, request)
            data = receive(self.process.stdout)
        if data is None:
            raise self._died()
        return msgspec.msgpack.decode(data, type=Answer)

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()
        self.printed.close()

    def _died(self) -> ToolError:
        self.process.communicate()
        self.printed.seek(0)
        errors = self.printed.read()
        code = self.process.returncode
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return ToolError(
            found=f"{name} {errors.decode(errors='replace').strip()[-2000:]}".strip(),
            allowed="a C-simulation that returns",
            where="worker process of the C-simulation",
            remedy="SIGSEGV points to the stack or a bad index, SIGKILL to memory; try fewer samples or workers",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CSimulation:
    """hls4ml's compiled C++ behind the executor protocol. Make one with ``open_csim``.

    Attributes:
        graph: The network, with the current stored words.
        manifest: Which C++ name holds which words.
        workers: Processes, each with the library loaded and the built words in it.
        pokes: Words that differ from the built ones; poked around each run, then put back.
    """

    graph: IntegerGraph
    manifest: Manifest
    workers: tuple[Worker, ...]
    pokes: tuple[Poke, ...] = ()

    def tensors(self) -> Mapping[str, StoredTensor]:
        """What is stored, by name, in data order."""
        return self.graph.tensors

    def with_words(self, changes: Sequence[WordChange]) -> CSimulation:
        """The same C-simulation with some stored words replaced; no recompilation, this one is untouched.

        In a hardened project, every copy of them.
        """
        graph = self.graph.with_words(changes)
        pokes = [
            poke_of(graph, self.manifest, change, copy)
            for change in changes
            for copy in range(len(self.manifest.copies_of(change.tensor)))
        ]
        return replace(self, graph=graph, pokes=(*self.pokes, *pokes))

    def with_copy(self, changes: Sequence[WordChange], copy: int) -> CSimulation:
        """The same C-simulation of a hardened project with words replaced in one of their copies, 0, 1 or 2.

        ``graph`` stays the network of what was stored before: one copy alone is no stored word.

        Raises:
            UsageError: unknown tensor, index or copy. FormatError: a word its format cannot hold.
        """
        self.graph.with_words(changes)  # refuses what cannot be stored
        pokes = [poke_of(self.graph, self.manifest, change, copy) for change in changes]
        return replace(self, pokes=(*self.pokes, *pokes))

    def run(self, inputs: Words, taps: Sequence[str] = ()) -> Execution:
        """Execute on input words, spread over the workers.

        Raises:
            FormatError: an input word outside the input format. InputError: an unknown tap. ToolError: see ``Worker``.
        """
        self.graph.quantizer.format.require(inputs, "input words")
        require_taps(self.graph, taps)
        positions = [self._tap_position(tap) for tap in taps]
        blocks = np.array_split(inputs, min(len(self.workers), len(inputs)))
        requests = [Run(inputs=pack(block), pokes=self.pokes, taps=tuple(positions)) for block in blocks]
        answers = ask_all(self.workers, requests)
        return Execution(
            output=self._shaped(self.graph.output, [answer.output for answer in answers]),
            taps={tap: self._shaped(tap, [answer.taps[i] for answer in answers]) for i, tap in enumerate(taps)},
        )

    def _shaped(self, value: str, parts: list[PackedWords]) -> Words:
        words = np.concatenate([unpack(part) for part in parts])
        return words.reshape(len(words), *self.graph.values[value].shape)

    def stored_words(self, tensor: str, copy: int = 0) -> Words:
        """Executor words of a tensor as the loaded library holds them, in the tensor's own order and shape."""
        array = self.manifest.array_of(tensor, copy)
        request = Peek(array=self.manifest.arrays.index(array), size=array.size)
        raw = unpack(self.workers[0].ask(request).output)
        words = np.empty(array.size, np.int64)
        words[array.stored_order()] = raw
        return words.reshape(array.shape)

    def tappable(self) -> tuple[str, ...]:
        """Values the C-simulation can hand out; what hls4ml fused away is not among them."""
        return tuple(tap.value for tap in self.manifest.taps)

    def _tap_position(self, value: str) -> int:
        for position, tap in enumerate(self.manifest.taps):
            if tap.value == value:
                return position
        raise ToolError(
            found=f"value {value!r}, which hls4ml fused into another layer",
            allowed=", ".join(self.tappable()),
            where="taps of the C-simulation",
            remedy="tap one of the values listed",
        )


@contextlib.contextmanager
def open_csim(graph: IntegerGraph, build: Build, *, workers: int | None = None) -> Iterator[CSimulation]:
    """Load a built C-simulation into worker processes for the length of a ``with`` block.

    Args:
        graph: The network the project was written from.
        build: What ``build_csim`` returned.
        workers: Processes; default: ``EDGEVAL_WORKERS`` or the cores at hand.

    Raises:
        UsageError: fewer than one worker. RunDirectoryError: the project belongs to another network.
        ToolError: the library cannot be loaded.
    """
    manifest = build.manifest
    if workers is not None and workers < 1:
        raise UsageError(
            found=f"{workers} worker processes", allowed="1 or more", where="--workers", remedy="give a positive number"
        )
    _require_same_network(graph, manifest)
    load = Load(
        library=str(build.library),
        input_size=manifest.input.size,
        output_size=manifest.output.size,
        tap_sizes=tuple(tap.size for tap in manifest.taps),
        stack_bytes=_STACK_BASE_BYTES + _STACK_PER_PRODUCT_BYTES * manifest.products_on_stack,
    )
    with running(lambda: Worker(load), workers or worker_count()) as started:
        yield CSimulation(graph=graph, manifest=manifest, workers=started)


@contextlib.contextmanager
def running(start: Callable[[], Worker], count: int) -> Iterator[tuple[Worker, ...]]:
    """That many workers for the length of a ``with`` block."""
    started: list[Worker] = []
    try:
        # All at once: each reads its weights and runs a sample of zeros, which takes a second for a large image.
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(lambda _: started.append(start()), range(count)))
        yield tuple(started)
    finally:
        for worker in started:
            worker.close()


def ask_all(workers: Sequence[Worker], requests: Sequence[Run]) -> list[Answer]:
    """One request to each of the first workers, all at once."""
    if len(requests) == 1:
        return [workers[0].ask(requests[0])]
    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(lambda pair: pair[0].ask(pair[1]), zip(workers, requests, strict=False)))


def poke_of(graph: IntegerGraph, manifest: Manifest, change: WordChange, copy: int = 0) -> Poke:
    """Where and what to write into the C++ for one changed stored word, or for one copy of it."""
    tensor = graph.tensors[change.tensor]
    array = manifest.array_of(change.tensor, copy)
    return Poke(
        array=manifest.arrays.index(array),
        position=array.position(change.index),
        word=tensor.executor_word(change.index, change.word),
    )


def _require_same_network(graph: IntegerGraph, manifest: Manifest) -> None:
    if digest(graph) != manifest.network_digest:
        raise RunDirectoryError(
            found=f"a project of network {manifest.network_digest[:12]}",
            allowed=f"a project of network {digest(graph)[:12]}",
            where="hls4ml project",
            remedy="run `edgeval export` again: network and project have to be of one export",
        )
    widest = max(manifest.output.width_bits, *(tap.width_bits for tap in manifest.taps))
    if widest > _WIDEST_TAP_BITS:
        raise ToolError(
            found=f"words of {widest} bits",
            allowed=f"at most {_WIDEST_TAP_BITS} bits, which a double holds exactly",
            where="C-simulation bridge",
            remedy="use fewer bits, or narrow the accumulator in the YAML overrides",
        )


def _require_clean(answer: Answer) -> None:
    if answer.error is not None:
        raise ToolError(
            found=answer.error,
            allowed="a C-simulation that loads and runs",
            where="worker process of the C-simulation",
            remedy="delete the cache entry and build again; check `edgeval doctor`",
        )
    if answer.bad_sample is not None:
        raise ToolError(
            found=f"a result that is no whole word (NaN or a fraction) at sample {answer.bad_sample} of its block",
            allowed="whole words",
            where="C-simulation",
            remedy="a layer writes no result, or its type differs from the integer network; export again",
        )
    if answer.printed.strip():
        raise ToolError(
            found=f"messages from the generated C++:\n{answer.printed.strip()[:2000]}",
            allowed="silence",
            where="C-simulation",
            remedy="stream warnings mean that layers disagree about sizes; use io_parallel or report the graph",
        )
