"""The fork server of readers: a small process that has imported what they need, and no secret.

Started as `python -m scandock.workers.reader_server PARENT FD MODULE...` by a worker, whose attempts ask it for
readers, or by a command that imports, which forks it from itself where it may; with the environment of a reader, and
confined and limited as readers are, its forks with it. It loads the modules too, for all readers. A reader dies with
this server, as its child, and with the process that it works for, as nobody holds its lifeline any more.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module

from scandock.model.process import confine, die_with_pipe, end_process, pause_garbage_collection
from scandock.workers.fork_server import READY, serve
from scandock.workers.reader_process import confine_reader
from scandock.workers.reader_process import serve as serve_reader
from scandock.workers.wire import Wire


def serve_readers(wire: socket.socket) -> int:
    """Serve until who started it is gone; in each fork, be a reader. The exit code."""
    server = os.getpid()
    request = serve(wire)
    if request is not None:
        _, fds = request
        end_process(partial(_run_reader, server, *fds))
    return 0


def _run_reader(server: int, end: int, slots: int, currents: int, lifeline: int) -> int:
    confine(server, "reader")
    die_with_pipe(lifeline)
    serve_reader(Wire(socket.socket(fileno=end)), (slots, currents))
    return 0


def main(words: list[str]) -> int:
    parent, fd, *modules = words
    return run_server(int(parent), socket.socket(fileno=int(fd)), modules)


def run_server(parent: int, wire: socket.socket, modules: Sequence[str] = ()) -> int:
    """Be the server of a parent, with more modules than readers need; the exit code."""
    confine_reader(parent, "reader server")
    with pause_garbage_collection():
        for module in modules:
            import_module(module)
    wire.send(READY)
    return serve_readers(wire)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
