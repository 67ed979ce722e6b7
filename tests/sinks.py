"""Real receivers on the loopback for what the server sends: a small SMTP server, and an HTTP one; and of log lines."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from scandock.model.upload_log import Sink, set_step_sink


@contextmanager
def steps_logged_by(sink: Sink) -> Iterator[None]:
    """Let steps of uploads go there for a while, then to where they went before."""
    before = set_step_sink(sink)
    try:
        yield
    finally:
        set_step_sink(before)


@dataclass
class Mailbox:
    """What an SMTP server took; `refuse` makes it refuse every recipient."""

    port: int = 0
    mails: list[tuple[str, Message]] = field(default_factory=list)
    refuse: bool = False


@contextmanager
def smtp_sink() -> Iterator[Mailbox]:
    """An SMTP server (RFC 5321) that keeps what it is given."""
    box = Mailbox()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 sink")
            to = ""
            while line := self.rfile.readline():
                verb = line.decode().strip()
                if verb.upper().startswith("RCPT TO:"):
                    to = verb[8:].strip("<> ")
                    self._say("550 no such mailbox" if box.refuse else "250 ok")
                elif verb.upper() == "DATA":
                    self._say("354 go on")
                    box.mails.append((to, message_from_bytes(self._body(), policy=default)))
                    self._say("250 kept")
                elif verb.upper() == "QUIT":
                    self._say("221 bye")
                    return
                else:
                    self._say("250 ok")

        def _body(self) -> bytes:
            lines = []
            while (line := self.rfile.readline()) not in (b".\r\n", b""):
                lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
            return b"".join(lines)

        def _say(self, text: str) -> None:
            self.wfile.write(text.encode() + b"\r\n")

    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as port:
        box.port = port
        yield box


@dataclass
class Webhook:
    """What an HTTP server was sent: (path, headers, body); it answers `status`."""

    url: str = ""
    calls: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    status: int = 204


@contextmanager
def http_sink() -> Iterator[Webhook]:
    """An HTTP server that keeps what is posted to it; a redirect leads to itself."""
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.calls.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(hook.status)
            if hook.status == 302:
                self.send_header("Location", "/again")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        hook.url = f"http://127.0.0.1:{port}/hook?x=1"
        yield hook


@contextmanager
def _serving(server: socketserver.TCPServer) -> Iterator[int]:
    server.daemon_threads = True  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
