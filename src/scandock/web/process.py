"""The web process: uvicorn over the supervisor's socket.

Started by the supervisor as `python -m scandock.web.process PARENT DATA SOCKET BEATS ROLE`. On a host of the role
`worker` it answers for that host's health alone.
"""

from __future__ import annotations

import socket
import sys
from functools import partial
from typing import TYPE_CHECKING, cast

from scandock.model.errors import OUTAGES, Fault
from scandock.model.process import confine, keep_one_heap, pause_garbage_collection, unblock_signals

if TYPE_CHECKING:
    import asyncio

    import uvicorn
    from fastapi import FastAPI

    from scandock.services.settings import Settings

DRAIN_SECONDS = 10
"""How long requests may still take once the server is to stop."""


def main(words: list[str]) -> None:
    """Serve until SIGTERM."""
    parent, data, fd, liveness, role = words
    confine(int(parent), "web")
    keep_one_heap()
    unblock_signals()
    with pause_garbage_collection():
        import uvicorn

        from scandock.services.logs import configure_logging, error_cause
        from scandock.services.settings import load_settings
        from scandock.web.app import create_app
        from scandock.web.connections import raise_descriptor_limit
        from scandock.web.deps import open_server_state
        from scandock.workers.liveness import WorkerLiveness

        settings = load_settings()
        log = configure_logging("web", settings.log_level)
        raise_descriptor_limit(settings.max_connections)
        worker = WorkerLiveness(int(liveness))
        try:
            has_worker = role != "web"
            server = open_server_state(
                data,
                settings,
                worker.trouble if has_worker else None,
                worker.figures,
                worker.receiver if has_worker else None,
            )
        except Fault as fault:  # of disk or catalog: its supervisor tries again
            log.error("web can't begin", code=fault.code, why=OUTAGES.get(fault.code), cause=error_cause(fault))
            sys.exit(1)
        app = create_app(data, settings, state=server, only_health=role == "worker")
    with socket.socket(fileno=int(fd)) as listening:
        uvicorn.Server(server_config(app, settings)).run(sockets=[listening])


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How the application is served; who the client is, only trusted proxies may say."""
    import uvicorn

    from scandock.web.protocol import BoundedProtocol

    return uvicorn.Config(
        app,
        http=cast("type[asyncio.Protocol]", partial(BoundedProtocol, connections=app.state.connections)),
        loop="uvloop",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_keep_alive=75,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
