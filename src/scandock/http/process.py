"""The web process: uvicorn over the supervisor's socket.

Started by the supervisor as `python -m scandock.http.process PARENT DATA SOCKET`.
"""

from __future__ import annotations

import socket
import sys

import uvicorn

from scandock.http.app import create_app
from scandock.http.logs import configure
from scandock.queue.wake import is_heard
from scandock.services.settings import load_settings
from scandock.workers.process import confine, take_signals

DRAIN_SECONDS = 10
"""How long requests may still take once the server is to stop."""


def main(words: list[str]) -> None:
    """Serve until SIGTERM."""
    parent, data, fd = words
    confine(int(parent))
    take_signals()
    configure()
    app = create_app(data, load_settings(), workers_ready=lambda: "" if is_heard(data) else "no worker listens")
    config = uvicorn.Config(
        app,
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_keep_alive=75,
    )
    with socket.socket(fileno=int(fd)) as listening:
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main(sys.argv[1:])
