"""Attacks by bodies: large ones where small ones belong, ones that never end, and ones of very many parts."""

from __future__ import annotations

import json
from functools import partial

from tests.attack.connections import Answers, Connection, Deadline, close_all, hold, in_turn, repeat
from tests.attack.heads import LOGIN, MB
from tests.attack.site import PASSWORDS, AttackedSite
from tests.crash.served import basic_header

FORM = "application/x-www-form-urlencoded"
PIECE = b" " * (256 * 1024)
BOUNDARY = "attack"


def huge_login(site: AttackedSite, deadline: Deadline, size: int = 315 * MB) -> Answers:
    """A login whose JSON has so many bytes."""
    head = LOGIN + b"Content-Length: %d\r\n\r\n" % size
    return repeat(lambda: _sent(site, head, size), deadline)


def huge_chunked_login(site: AttackedSite, deadline: Deadline, size: int = 315 * MB) -> Answers:
    """The same in chunks: no header says how much will come."""
    head = LOGIN + b"Transfer-Encoding: chunked\r\n\r\n"
    return repeat(lambda: _sent(site, head, size, chunked=True), deadline)


def huge_forms(site: AttackedSite, deadline: Deadline, size: int = 63 * MB) -> Answers:
    """So many bytes to other doors for which nobody needs a login: the page's, and XNAT's."""
    answers: Answers = Answers()
    for method, path in (("POST", "/login"), ("PUT", "/data/services/auth"), ("POST", "/data/JSESSION")):
        head = f"{method} {path} HTTP/1.1\r\nHost: attacked\r\nContent-Type: {FORM}\r\nContent-Length: {size}\r\n\r\n"
        answers += repeat(partial(_sent, site, head.encode(), size), Deadline(deadline.left / 3))
    return answers


def huge_bodies_of_routes(site: AttackedSite, deadline: Deadline, size: int = 63 * MB) -> Answers:
    """So many bytes from an account to routes that take small bodies."""
    login = basic_header("mallory", PASSWORDS["mallory"])["Authorization"]
    routes = (
        ("POST", "/api/v1/projects", "application/json"),
        ("POST", "/api/v1/tokens", "application/json"),
        ("POST", "/data/search", "application/xml"),
        ("POST", "/data/services/archive", FORM),
        ("PUT", "/data/projects/M", "text/xml"),
    )
    answers: Answers = Answers()
    for method, path, kind in routes:
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: attacked\r\nAuthorization: {login}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {size}\r\n\r\n"
        )
        answers += repeat(partial(_sent, site, head.encode(), size), Deadline(deadline.left / len(routes)))
    return answers


def half_sent(site: AttackedSite, deadline: Deadline, number: int = 300) -> Answers:
    """Logins of which the last byte never comes, on so many connections."""
    return _held(site, LOGIN + b"Content-Length: 1000\r\n\r\n{", b"", number, deadline)


def dribbled(site: AttackedSite, deadline: Deadline, number: int = 200) -> Answers:
    """A chunk of one byte a second, on so many connections."""
    return _held(site, LOGIN + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n", number, deadline)


def many_fields(site: AttackedSite, deadline: Deadline, number: int = 100_000) -> Answers:
    """A form of so many fields, to pages and to XNAT's doors."""
    body = b"&".join(b"f%d=1" % one for one in range(number))
    headers = {"Content-Type": FORM}
    routes = (
        ("POST", "/login", None),
        ("PUT", "/data/services/auth", None),
        ("POST", "/data/services/archive", "mallory"),
    )
    each = [
        partial(site.status_of, method, path, body, headers=headers, account=account)
        for method, path, account in routes
    ]
    return in_turn(each, deadline, at_once=2)


def many_parts(site: AttackedSite, deadline: Deadline, number: int = 100_000) -> Answers:
    """A multipart form of so many parts, to a page and to an import."""
    part = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n".encode()
    body = part * number + f"--{BOUNDARY}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    routes = (
        ("/login", None),
        ("/data/services/import?project=M", "mallory"),
        ("/api/v1/imports?project=M", "mallory"),
    )
    each = [partial(site.status_of, "POST", path, body, headers=headers, account=account) for path, account in routes]
    return in_turn(each, deadline, at_once=2)


def many_rows(site: AttackedSite, deadline: Deadline, number: int = 1_000_000) -> Answers:
    """A mapping of so many rows, given to an upload."""
    upload = site.tus(1000)
    body = b"patient_id,session\n" + b"".join(b"%d,A\n" % one for one in range(number))
    path = upload.headers["location"] + "/mapping"
    try:
        return repeat(lambda: site.status_of("PUT", path, body, headers={"Content-Type": "text/csv"}), deadline)
    finally:
        site.give_up([upload])


def many_values(site: AttackedSite, deadline: Deadline, number: int = 10_000) -> Answers:
    """So many fields of a query, columns, filters and values of a filter, at several routes."""
    paths = (
        "/data/projects?" + "&".join(f"f{one}=1" for one in range(number)),
        "/data/projects/M/experiments?columns=" + ",".join(f"c{one}" for one in range(number)),
        "/data/experiments?" + "&".join("label=S" for _ in range(number // 2)),
        "/data/experiments?label=" + ",".join("S1" for _ in range(number)),
        "/api/v1/imports?" + "&".join("state=placed" for _ in range(number // 3)),
        "/api/v1/sessions?" + "&".join(f"f{one}=1" for one in range(number)),
        "/projects?" + "&".join(f"f{one}=1" for one in range(number)),
    )
    return in_turn([partial(site.status_of, "GET", path) for path in paths], deadline, at_once=2)


def many_criteria(site: AttackedSite, deadline: Deadline, number: int = 10_000) -> Answers:
    """Searches of so many columns, and of so many criteria within each other."""
    field = "<search_field><element_name>xnat:subjectData</element_name><field_ID>LABEL</field_ID></search_field>"
    begin = "<bundle><root_element_name>xnat:subjectData</root_element_name>"
    wide = (begin + field * number + "</bundle>").encode()
    deep = "<child_set method='OR'>" * number + "</child_set>" * number
    nested = (begin + field + f"<search_where method='OR'>{deep}</search_where></bundle>").encode()
    headers = {"Content-Type": "application/xml"}
    each = [
        partial(site.status_of, "POST", "/data/search?format=json", body, headers=headers) for body in (wide, nested)
    ]
    return in_turn(each, deadline, at_once=2)


def deep_json(site: AttackedSite, deadline: Deadline, depth: int = 30_000) -> Answers:
    """JSON of so many lists within each other, to the login and to a route for accounts."""
    body = b"[" * depth + b"]" * depth
    headers = {"Content-Type": "application/json"}
    routes = (("/api/v1/auth/login", None), ("/api/v1/projects", "mallory"))
    each = [partial(site.status_of, "POST", path, body, headers=headers, account=account) for path, account in routes]
    return in_turn(each, deadline, at_once=2)


def json_login(name: str, password: str) -> bytes:
    """The body of a login."""
    return json.dumps({"name": name, "password": password}).encode()


def _sent(site: AttackedSite, head: bytes, size: int, *, chunked: bool = False) -> str:
    """How a body of `size` blanks is answered."""
    with site.connect() as connection:
        if connection.send(head):
            piece = b"%x\r\n" % len(PIECE) + PIECE + b"\r\n" if chunked else PIECE
            for _ in range(size // len(PIECE)):
                if not connection.send(piece):
                    return connection.status()
            connection.send(b"0\r\n\r\n" if chunked else PIECE[: size % len(PIECE)])
        return connection.status()


def _held(site: AttackedSite, head: bytes, drip: bytes, number: int, deadline: Deadline) -> Answers:
    """Open requests, and send `drip` on each every second until the deadline."""
    connections: list[Connection] = []
    answers: Answers = Answers()
    try:
        for _ in range(number):
            try:
                one = site.connect()
            except OSError:
                answers["refused"] += 1
                continue
            connections.append(one)
            if not one.send(head):
                answers[one.status(1.0)] += 1
        return answers + hold(connections, drip, deadline)
    finally:
        close_all(connections)
