"""Use that looks like an attack and is none: each has to be served whole."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import count

from tests.attack.connections import Answers, Deadline, repeat
from tests.attack.heads import MB
from tests.attack.site import ATTACKER, PASSWORDS, PROXY, AttackedSite
from tests.crash.archives import Study, zip_bytes
from tests.crash.served import basic_header

PAGES = (
    "/projects",
    "/projects/M",
    "/activity",
    "/api/v1/sessions?project=M",
    "/account",
    "/data/projects?format=json",
)


def browsers_behind_one_address(
    site: AttackedSite, deadline: Deadline, number: int = 50, pause: float = 0.5
) -> Answers:
    """So many people who look at pages at once, from one address, and by a proxy that names one."""
    turn = count()

    def once() -> str:
        at = next(turn)
        address, headers = (ATTACKER, {}) if at % 2 else (PROXY, {"X-Forwarded-For": "203.0.113.8"})
        status = site.status_of("GET", PAGES[at % len(PAGES)], headers=headers, address=address)
        time.sleep(pause)  # they read what they see
        return status

    return repeat(once, deadline, at_once=number)


def large_mapping(site: AttackedSite, deadline: Deadline, size: int = 16 * MB, rows: int = 190_000) -> Answers:
    """A mapping just below its limits of bytes and rows, given to an upload."""
    upload = site.tus(1000)
    wide = size // rows - len("000000,P000000,") - 1
    body = b"patient_id,subject,session\n" + b"".join(
        b"%06d,P%06d,%s\n" % (one, one, b"S" * wide) for one in range(rows)
    )
    path = upload.headers["location"] + "/mapping"
    try:
        headers = {"Content-Type": "text/csv"}
        return repeat(lambda: site.status_of("PUT", path, body, headers=headers), deadline, most=2)
    finally:
        site.give_up([upload])


def slow_upload(site: AttackedSite, deadline: Deadline) -> Answers:
    """An upload at 64 kbit/s until the deadline, then to its end."""
    study = Study(10, time.monotonic_ns(), series=1, count=1, side=8)
    size = int(max(deadline.left - 1, 1) * 8_000)
    body = zip_bytes(study.entries("L") | {"L/long.txt": b"slow " * (size // 5)}, method=0)

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(body), 800):
            yield body[at : at + 800]
            if not deadline.is_over:
                time.sleep(0.1)

    headers = {"Content-Length": str(len(body)), "Content-Type": "application/zip"}
    return Answers([str(site.ask("POST", "/api/v1/imports?project=M&filename=l.zip", pieces(), headers).status)])


def paused_download(site: AttackedSite, deadline: Deadline) -> Answers:
    """A download of which nothing is read until the deadline, then all of it."""
    path = f"/api/v1/sessions/{site.huge}/download"
    login = basic_header("mallory", PASSWORDS["mallory"])["Authorization"]
    whole = len(site.ask("GET", path).body)
    with site.connect(receive_buffer=8192) as connection:
        head = f"GET {path} HTTP/1.1\r\nHost: attacked\r\nConnection: close\r\nAuthorization: {login}\r\n\r\n"
        connection.send(head.encode())
        threading.Event().wait(deadline.left)
        text = connection.read_all()
    status = text.split(b" ", 2)[1].decode()
    return Answers([status if len(text) > whole else f"{status} cut off"])


def clients_of_xnat(site: AttackedSite, deadline: Deadline, criteria: int = 10_000) -> Answers:
    """What XNAT's clients send: a form to log in, uploads, searches of many criteria (10,000 are 2 MB), files."""
    study = Study(11, 1, series=1, count=1, side=8)
    archive = zip_bytes(study.entries("X"))
    head = b"--b\r\nContent-Disposition: form-data; name=file; filename=x.zip\r\n\r\n"
    multipart = head + archive + b"\r\n--b--\r\n"
    form = "application/x-www-form-urlencoded"
    criterion = (
        "<criteria><schema_field>xnat:subjectData/SUBJECT_ID</schema_field><comparison_type>=</comparison_type>"
        "<value>XNAT_S{:05d}</value></criteria>"
    )
    search = (
        "<bundle><root_element_name>xnat:subjectData</root_element_name><search_field>"
        "<element_name>xnat:subjectData</element_name><field_ID>SUBJECT_LABEL</field_ID></search_field>"
        "<search_where method='OR'>"
        + "".join(criterion.format(one) for one in range(criteria))
        + "</search_where></bundle>"
    ).encode()
    login = f"username=mallory&password={PASSWORDS['mallory'].replace(' ', '+')}".encode()
    columns = ",".join(f"xnat:mrsessiondata/fields/field[name=n{one}]/field" for one in range(100))
    imports, subject = "/data/services/import", "/data/projects/M/subjects/SUBJ"
    requests = (
        ("PUT", "/data/services/auth", login, form, None),
        ("POST", "/data/JSESSION", b"", form, "mallory"),
        ("POST", f"{imports}?project=M", multipart, "multipart/form-data; boundary=b", "mallory"),
        ("POST", f"{imports}?project=M&inbody=true", archive, "application/zip", "mallory"),
        ("POST", "/data/search?format=csv", search, "application/xml", "mallory"),
        ("GET", f"/data/projects/M/experiments?columns={columns}", None, form, "mallory"),
        ("PUT", subject, b"", form, "mallory"),
        ("PUT", f"{subject}/resources/R/files/one.txt?inbody=true", b"x" * 3 * MB, "text/plain", "mallory"),
    )  # fmt: skip
    answers: Answers = Answers()
    while True:
        for method, path, body, kind, account in requests:
            answers[site.status_of(method, path, body, headers={"Content-Type": kind}, account=account)] += 1
        if deadline.is_over:
            return answers
