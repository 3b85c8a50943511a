"""The process that loads generated C++: ``python -m hls.csim.worker`` with messages on its standard streams.

Standard output and error of the C++ go to the temporary file that the bridge gave as standard error: it is read after
each request, and by the bridge where the C++ ends the process. The message stream is a duplicate that the C++ never
sees. Calls run in a thread whose stack is sized from the project, because hls4ml's dense
layers keep all their products on the stack.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from typing import BinaryIO

import msgspec
import numpy as np

from hls.csim.protocol import Answer, Load, Peek, Poke, Request, Run, pack, receive, send, unpack
from hls.formats import Words

_INT64_POINTER = ctypes.POINTER(ctypes.c_int64)
_ANSWER_NOTHING = np.zeros(0, np.int64)


class Simulation:
    """A loaded library; mutable, lives in the worker only."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.library = ctypes.CDLL(load.library)
        self.library.edgeval_run.restype = ctypes.c_size_t
        self.library.edgeval_peek.restype = ctypes.c_int64
        self.run(np.zeros((1, load.input_size), np.int64), ())

    def run(self, inputs: Words, taps: tuple[int, ...]) -> Answer:
        """Run samples in a thread with the project's stack."""
        inputs = np.ascontiguousarray(inputs.reshape(len(inputs), -1), np.int64)
        outputs = np.zeros((len(inputs), self.load.output_size), np.int64)
        tapped = {tap: np.zeros((len(inputs), self.load.tap_sizes[tap]), np.int64) for tap in taps}
        pointers = (_INT64_POINTER * len(self.load.tap_sizes))()
        for tap, array in tapped.items():
            pointers[tap] = array.ctypes.data_as(_INT64_POINTER)
        bad = in_thread_with_stack(
            lambda: self.library.edgeval_run(
                inputs.ctypes.data_as(_INT64_POINTER),
                ctypes.c_size_t(len(inputs)),
                outputs.ctypes.data_as(_INT64_POINTER),
                pointers if taps else None,
            ),
            self.load.stack_bytes,
        )
        return Answer(
            output=pack(outputs),
            taps=tuple(pack(tapped[tap]) for tap in taps),
            bad_sample=bad - 1 if bad else None,
        )

    def run_poked(self, request: Run) -> Answer:
        """Poke, run, put the old words back and check that they are back."""
        before = [Poke(array=p.array, position=p.position, word=self.peek(p.array, p.position)) for p in request.pokes]
        for poke in request.pokes:
            self.poke(poke)
        answer = self.run(unpack(request.inputs), request.taps)
        for poke in reversed(before):
            self.poke(poke)
        if any(self.peek(poke.array, poke.position) != poke.word for poke in before):
            return msgspec.structs.replace(answer, error="a poked word could not be put back")
        return answer

    def peek(self, array: int, position: int) -> int:
        """Read one raw word."""
        return int(self.library.edgeval_peek(ctypes.c_size_t(array), ctypes.c_size_t(position)))

    def peek_all(self, request: Peek) -> Answer:
        """Read every raw word of one array."""
        return Answer(output=pack(np.array([self.peek(request.array, i) for i in range(request.size)], np.int64)))

    def poke(self, poke: Poke) -> None:
        """Write one raw word."""
        self.library.edgeval_poke(
            ctypes.c_size_t(poke.array), ctypes.c_size_t(poke.position), ctypes.c_int64(poke.word)
        )


def in_thread_with_stack(call: Callable[[], int], stack_bytes: int) -> int:
    """Run a call in a thread with a stack of its own size and return what it returns."""
    results: list[int] = []
    threading.stack_size(stack_bytes)
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    thread.join()
    return results[0]


def serve(requests: BinaryIO, answers: BinaryIO, printed_file: BinaryIO) -> None:
    """Answer requests until the other side closes its end."""
    simulation: Simulation | None = None
    while (data := receive(requests)) is not None:
        request = msgspec.msgpack.decode(data, type=Request)
        try:
            match request:
                case Load():
                    simulation = Simulation(request)
                    answer = Answer(output=pack(_ANSWER_NOTHING))
                case Run() if simulation is not None:
                    answer = simulation.run_poked(request)
                case Peek() if simulation is not None:
                    answer = simulation.peek_all(request)
                case _:
                    answer = Answer(output=pack(_ANSWER_NOTHING), error="no library is loaded")
        except (OSError, MemoryError, RuntimeError, AttributeError) as error:  # ctypes: a symbol that is not there
            answer = Answer(output=pack(_ANSWER_NOTHING), error=f"{type(error).__name__}: {error}")
        send(answers, msgspec.structs.replace(answer, printed=_take_printed(printed_file)))


def _take_printed(printed_file: BinaryIO) -> str:
    ctypes.CDLL(None).fflush(None)
    printed_file.seek(0)
    text = printed_file.read()
    printed_file.seek(0)
    printed_file.truncate()
    return text.decode(errors="replace")


def main() -> None:
    """Separate the message stream from what C++ prints to, then serve."""
    answers = os.fdopen(os.dup(1), "wb")
    with os.fdopen(os.dup(2), "w+b", buffering=0) as printed_file:
        os.dup2(2, 1)
        serve(sys.stdin.buffer, answers, printed_file)


if __name__ == "__main__":
    main()
