"""Attacks by asking for much: answers that are not read, the same name many times, pictures of a huge image."""

from __future__ import annotations

import time
from functools import partial
from itertools import count

from tests.attack.connections import Answers, Connection, Deadline, close_all, in_turn, repeat
from tests.attack.site import PASSWORDS, AttackedSite
from tests.crash.served import basic_header

NARROW = 8 * 1024
"""What the kernel keeps of an answer that its client does not read."""


def unread_frames(site: AttackedSite, deadline: Deadline) -> Answers:
    """Every frame of the huge image, none of which is read."""
    where = f"/api/v1/sessions/{site.huge}/scans/1/frames"
    return _unread(site, [f"{where}/{frame}" for frame in range(site.huge_frames)], deadline)


def unread_files(site: AttackedSite, deadline: Deadline, number: int = 100) -> Answers:
    """So many zips, files and listings, none of which is read."""
    paths = (
        f"/api/v1/sessions/{site.huge}/download",
        f"/data/projects/M/experiments/{site.label}/scans/ALL/files?format=zip",
        f"/api/v1/sessions/{site.huge}/files/{site.huge_file}/content",
        "/data/experiments?format=json",
    )
    return _unread(site, [paths[one % len(paths)] for one in range(number)], deadline)


def one_session_many_times(site: AttackedSite, deadline: Deadline, times: int = 5_000, at_once: int = 8) -> Answers:
    """Zips of one session that is named so many times, so many at once."""
    path = f"/data/projects/M/experiments/{','.join([site.label] * times)}/scans/ALL/files?format=zip"
    return repeat(lambda: _begun(site, path), deadline, at_once=at_once)


def one_scan_many_times(site: AttackedSite, deadline: Deadline, times: int = 5_000, at_once: int = 8) -> Answers:
    """Zips of one scan that is named so many times."""
    path = f"/data/projects/M/experiments/{site.label}/scans/{','.join(['1'] * times)}/files?format=zip"
    return repeat(lambda: _begun(site, path), deadline, at_once=at_once)


def many_names(site: AttackedSite, deadline: Deadline, number: int = 5_000, at_once: int = 4) -> Answers:
    """Zips of so many different names, of which one is there; each of scans and of resources."""
    names = ",".join(map(str, range(1, number + 1)))
    paths = (
        f"/data/projects/M/experiments/{site.label}/scans/{names}/files?format=zip",
        f"/data/projects/M/experiments/{site.label}/scans/ALL/resources/{names}/files?format=zip",
        f"/data/projects/M/experiments/{names}?format=json",
    )
    return in_turn([partial(site.status_of, "GET", path) for path in paths], deadline, at_once=at_once)


def huge_pictures(site: AttackedSite, deadline: Deadline, at_once: int = 8) -> Answers:
    """Pictures of the huge image by ever new windows, so many at once; alice looks at small ones meanwhile."""
    turn = count(1)

    def once() -> str:
        at = next(turn)
        path = (
            f"/api/v1/sessions/{site.huge}/scans/1/frames/{at % site.huge_frames}/picture"
            f"?center={at}&width={at + 1}&size=4096"
        )
        answer = site.ask("GET", path, seconds=120.0)
        return "not made" if "x-scandock-reason" in answer.headers else str(answer.status)

    return repeat(once, deadline, at_once=at_once)


def _begun(site: AttackedSite, path: str) -> str:
    """How a request is answered whose answer is read for a second, and no further."""
    login = basic_header("mallory", PASSWORDS["mallory"])["Authorization"]
    with site.connect() as connection:
        connection.send(f"GET {path} HTTP/1.1\r\nHost: attacked\r\nAuthorization: {login}\r\n\r\n".encode())
        status, end = connection.status(), Deadline(1.0)
        while not end.is_over and connection.read(end.left):
            pass
        return status


def _unread(site: AttackedSite, paths: list[str], deadline: Deadline) -> Answers:
    """Ask on connections of their own, and read no byte until the deadline; then how each began."""
    login = basic_header("mallory", PASSWORDS["mallory"])["Authorization"]
    connections: list[Connection] = []
    answers: Answers = Answers()
    try:
        for path in paths:
            try:
                one = site.connect(receive_buffer=NARROW)
            except OSError:
                answers["refused"] += 1
                continue
            connections.append(one)
            one.send(f"GET {path} HTTP/1.1\r\nHost: attacked\r\nAuthorization: {login}\r\n\r\n".encode())
        time.sleep(deadline.left)
        answers.update(one.status(0.0) for one in connections)
        return answers
    finally:
        close_all(connections)
