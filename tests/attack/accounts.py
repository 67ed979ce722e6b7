"""Attacks by who has an account, or guesses at one: passwords, logins, projects, reserved space, hooks that drip."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from tests.attack.bodies import json_login
from tests.attack.connections import Answers, Deadline, repeat
from tests.attack.site import PASSWORDS, Answer, AttackedSite
from tests.crash.archives import Study, zip_bytes
from tests.crash.served import basic_header
from tests.sinks import http_sink

LOGINS, PROJECTS = 200, 500
"""What one account may have."""
TOO_MANY_LOGINS, TOO_MANY_PROJECTS = f"more than {LOGINS} logins", f"more than {PROJECTS} projects"
HOOK_SECONDS = 30.0
"""How long alice's hook may have to be called, whatever an attack's seconds are."""
JSON = {"Content-Type": "application/json"}


def wrong_logins(site: AttackedSite, deadline: Deadline, number: int = 300) -> Answers:
    """So many wrong passwords at once, of as many names, from six addresses."""
    turn = count()

    def once() -> str:
        at = next(turn)
        address = f"127.0.1.{at % 6 + 1}"
        if at % 2:
            headers = basic_header(f"nobody{at}", "wrong")
            return site.status_of("GET", "/data/projects", account=None, headers=headers, address=address)
        body = json_login(f"nobody{at}", "wrong")
        return site.status_of("POST", "/api/v1/auth/login", body, account=None, headers=JSON, address=address)

    return repeat(once, deadline, at_once=number, most=number)


def wrong_logins_of_one(site: AttackedSite, deadline: Deadline, at_once: int = 50) -> Answers:
    """Wrong passwords of one address, so many at once, until the deadline."""
    turn = count()

    def once() -> str:
        body = json_login(f"someone{next(turn)}", "wrong")
        return site.status_of("POST", "/api/v1/auth/login", body, account=None, headers=JSON)

    return repeat(once, deadline, at_once=at_once)


def many_logins(site: AttackedSite, deadline: Deadline, number: int = 1_000) -> Answers:
    """So many logins of one account, none of which is refused; and whether too many are left."""
    body = json_login("mallory", PASSWORDS["mallory"])
    answers = repeat(
        lambda: site.status_of("POST", "/api/v1/auth/login", body, account=None, headers=JSON), deadline, most=number
    )
    if len(site.ask("GET", "/api/v1/auth/logins").json["items"]) > LOGINS:
        answers[TOO_MANY_LOGINS] += 1
    return answers


def many_projects(site: AttackedSite, deadline: Deadline, number: int = 600) -> Answers:
    """So many projects of one account."""
    turn = count()

    def once() -> str:
        return site.status_of("POST", "/api/v1/projects", json.dumps({"id": f"X{next(turn)}"}).encode(), headers=JSON)

    answers = repeat(once, deadline, most=number)
    if answers["201"] > PROJECTS:
        answers[TOO_MANY_PROJECTS] += 1
    return answers


def reserved_space(site: AttackedSite, deadline: Deadline) -> Answers:
    """Uploads that reserve as much as they may, and send nothing; alice uploads meanwhile."""
    made: list[Answer] = []
    length = site.free_bytes() // 2
    try:
        while length > 1024 and len(made) < 90 and not deadline.is_over:
            made.append(site.tus(length))
            if made[-1].status != 201:
                length //= 2
        answers = Answers(str(one.status) for one in made)
        while answers.total() == len(made) or not deadline.is_over:
            answers[f"alice's upload {_upload(site)}"] += 1
            time.sleep(1.0)
        return answers
    finally:
        site.give_up(made)


def dripping_hooks(site: AttackedSite, deadline: Deadline, number: int = 20) -> Answers:
    """Hooks that answer a byte a second and never end; whether alice's hook is called meanwhile."""
    answers: Answers = Answers()
    with _drip() as (address, calls), http_sink() as hook:
        made = [_subscribe(site, "mallory", f"{address}/{one}") for one in range(number)]
        made.append(_subscribe(site, "alice", hook.url))
        answers.update(str(one.status) for one in made)
        for _ in range(2):
            archive = zip_bytes(Study(8, time.monotonic_ns(), series=1, count=1, side=8).entries("H"))
            answers[f"mallory's import {site.upload('mallory', 'M', archive)[0]}"] += 1
        answers[f"alice's upload {_upload(site)}"] += 1
        deadline = Deadline(max(deadline.left, HOOK_SECONDS))
        while not hook.calls and not deadline.is_over:
            time.sleep(0.1)
        answers["alice's hook called" if hook.calls else "alice's hook not called"] += 1
        answers["calls of mallory's hooks"] = len(calls)
        for one, account in zip(made, ["mallory"] * number + ["alice"], strict=True):
            if one.status == 201:
                site.ask("DELETE", one.headers["location"], account=account)
    return answers


def _subscribe(site: AttackedSite, account: str, target: str) -> Answer:
    body = json.dumps({"kind": "webhook", "target": target, "states": ["placed", "held", "refused"]}).encode()
    return site.ask("POST", "/api/v1/subscriptions", body, JSON, account=account)


def _upload(site: AttackedSite) -> str:
    body = zip_bytes(Study(9, time.monotonic_ns(), series=1, count=1, side=8).entries("A"))
    return site.status_of("POST", "/api/v1/imports?project=P&filename=a.zip", body, account="alice")


@contextmanager
def _drip() -> Iterator[tuple[str, list[None]]]:
    """An HTTP server that answers a byte a second, for as long as one reads; its URL, and an entry for each call."""
    ended = threading.Event()
    calls: list[None] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            calls.append(None)
            try:
                self.request.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not ended.wait(1.0):
                    self.request.sendall(b"a")
            except OSError:
                return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", calls
        finally:
            ended.set()
            server.shutdown()
            thread.join()
