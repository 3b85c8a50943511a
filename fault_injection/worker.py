"""A local worker process: ``python -m fault_injection.worker FD``, started by ``local_workers`` and ended with it.

It gets a function once, then one piece of work after the other over a socket, and answers each. A second thread does
nothing but read that socket: when the coordinator is gone, however it went, the socket is closed and the worker ends in
the middle of its work instead of running on as an orphan.
"""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
from multiprocessing.connection import Connection

from fault_injection.answers import attempt


def serve(connection: Connection) -> None:
    """Answer until the process is ended."""
    inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, inbox), daemon=True).start()
    function = None
    payload = inbox.get()
    while True:
        work = inbox.get()
        if function is None:
            function = attempt(pickle.loads, payload)
        answer = function if function[0] != "result" else _answer(function[1], work)
        connection.send_bytes(pickle.dumps(answer, protocol=5))


def _answer(function: object, work: bytes) -> tuple[object, ...]:
    return attempt(lambda content: function(pickle.loads(content)), work)  # type: ignore[operator]


def _receive(connection: Connection, inbox: queue.SimpleQueue[bytes]) -> None:
    try:
        while True:
            inbox.put(connection.recv_bytes())
    except (EOFError, OSError):
        os._exit(0)  # from this thread nothing else ends the one that computes


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
