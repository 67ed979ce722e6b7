"""STOW-RS: what clients send in their ways, what is stored of it, and what each object is answered."""

from __future__ import annotations

import gzip
import io
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian
from sqlalchemy import event

from scandock.access import accounts, members
from scandock.access.principal import SYSTEM
from scandock.catalog.file_rows import FileRow
from scandock.catalog.trees import add_files
from scandock.model.verdicts import ImportState
from scandock.rules.privacy import PrivacyRules
from scandock.services.imports import read_import
from scandock.services.sent_objects import FailureReason, SentObject
from scandock.services.settings import load_settings
from scandock.services.stored_objects import read_outcomes
from scandock.testing.privacy import given_privacy
from scandock.testing.worker import InProcessWorker
from scandock.web.receiving import objects as receiving_objects
from tests.builders import Image, images, zip_entries
from tests.crash.processes import until
from tests.integration.web import Web, serve_by_socket, serve_in_process
from tests.stored_files import all_files

HASHED = """version "6.1"
(0008,1030) := project
(0010,0010) := subject
(0010,0020) := session
(0020,000D) := hashUID[(0020,000D)]
(0020,000E) := hashUID[(0020,000E)]
(0008,0018) := hashUID[(0008,0018)]
"""
STUDIES = "/dicomweb/projects/P/studies"
BOUNDARY = "0f3cf5c0-70e0-41ef-baef-c6f9f65ec3e1"
TYPE = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
CLASS, INSTANCE, RETRIEVE, WARNING, FAILURE = "00081150", "00081155", "00081190", "00081196", "00081197"
FAILED, STORED = "00081198", "00081199"
ACCEPT = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}


def multipart(*contents: bytes, part: str = "Content-Type: application/dicom", boundary: str = BOUNDARY) -> bytes:
    lines = b"".join(f"--{boundary}\r\n{part}\r\n\r\n".encode() + content + b"\r\n" for content in contents)
    return lines + f"--{boundary}--\r\n".encode()


def store(client: httpx.Client, *contents: bytes, path: str = STUDIES, **headers: str) -> httpx.Response:
    return client.post(path, content=multipart(*contents), headers={"Content-Type": TYPE, **headers})


def items(answer: httpx.Response, tag: str) -> list[dict[str, Any]]:
    """Items of a sequence with their values as they are."""
    sequence = answer.json().get(tag, {}).get("Value", [])
    return [{key: element.get("Value", [None])[0] for key, element in item.items()} for item in sequence]


def uids(*made: Image) -> list[str]:
    return [one.sop_uid.decode() for one in made]


def made(case: str, count: int = 2, **values: Any) -> list[Image]:
    return [Image(case=case, number=number, **values) for number in range(1, count + 1)]


def count_uploads(client: httpx.Client) -> int:
    return len(client.get("/api/v1/imports").json()["items"])


def test_stored_objects_can_be_read_at_once_and_come_again_without_harm(client):
    sent = made("once", 3)
    study = sent[0].study_uid.decode()
    for path in (STUDIES, f"{STUDIES}/{study}", "/dicomweb/projects/p/studies"):
        answer = store(client, *(one.file() for one in sent), path=path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/dicom+json"
        base = f"http://127.0.0.1{path.removesuffix(f'/{study}')}/{study}"
        assert answer.json().keys() == {RETRIEVE, STORED}
        assert answer.json()[RETRIEVE] == {"vr": "UR", "Value": [base]}
        stored = items(answer, STORED)
        assert [item[INSTANCE] for item in stored] == uids(*sent)
        assert {item[CLASS] for item in stored} == {sent[0].sop_class.decode()}
        for item, one in zip(stored, sent, strict=True):
            assert item.keys() == {CLASS, INSTANCE, RETRIEVE}
            assert item[RETRIEVE] == f"{base}/series/{one.series_uid.decode()}/instances/{one.sop_uid.decode()}"
            got = client.get(item[RETRIEVE], headers=ACCEPT)
            assert one.file() in got.content
    (session,) = [
        s for s in client.get("/api/v1/sessions", params={"project": "P"}).json()["items"] if s["study_uid"] == study
    ]
    assert session["files"] == 3
    found = client.get("/api/v1/imports").json()["items"][0]
    assert (found["door"], found["archive"], found["entries"]["duplicate"]) == ("dicomweb", "dicomweb.zip", 3)


def test_objects_join_the_session_of_their_study(client):
    sent = made("joined", 4)
    assert store(client, sent[0].file()).status_code == 200
    assert store(client, *(one.file() for one in sent[1:])).status_code == 200
    study = sent[0].study_uid.decode()
    (session,) = [
        s for s in client.get("/api/v1/sessions", params={"project": "P"}).json()["items"] if s["study_uid"] == study
    ]
    assert session["files"] == 4


def test_bodies_are_taken_as_clients_write_them(client, subtests):
    long = "x" * 73
    unquoted = f"multipart/related; type=application/dicom; boundary={BOUNDARY}"
    cases = {
        "both dicomweb-clients": ({}, b"\r\n" + multipart(b"@")),
        "dcm4che": ({"Content-Type": unquoted}, b"\r\n\r\n" + multipart(b"@")),
        "a preamble": ({}, b"This is a message in MIME format.\r\n--no boundary\r\n" + multipart(b"@")),
        "no end of line behind the last boundary": ({}, multipart(b"@")[:-2]),
        "an epilogue": ({}, multipart(b"@") + b"bye"),
        "Orthanc": (
            {"Content-Type": f"multipart/related; type=application/dicom; boundary={long}"},
            multipart(b"@", boundary=long),
        ),
        "quoted boundary": (
            {"Content-Type": f'Multipart/Related; boundary="{long}"; type="application/dicom"'},
            multipart(b"@", boundary=long),
        ),
        "no type": ({"Content-Type": f"multipart/related; boundary={BOUNDARY}"}, multipart(b"@")),
        "headers of parts": (
            {},
            multipart(
                b"@",
                part="content-length: 3\r\nCONTENT-LOCATION: /1.2\r\n"
                "content-type:application/dicom; transfer-syntax=1.2.840.10008.1.2.1",
            ),
        ),
        "parts of no type": ({}, multipart(b"@", part="Content-Length: 3")),
        "XML wanted": ({"Accept": "application/dicom+xml"}, multipart(b"@")),
        "one object": ({"Content-Type": "application/dicom"}, b"@"),
        "one object, syntax": ({"Content-Type": "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"}, b"@"),
    }
    for number, (name, (headers, body)) in enumerate(cases.items()):
        with subtests.test(name):
            one = Image(case="ways", number=number + 1)
            content = body.replace(b"@", one.file())
            answer = client.post(STUDIES, content=content, headers={"Content-Type": TYPE, **headers})
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-type"] == "application/dicom+json"
            assert [item[INSTANCE] for item in items(answer, STORED)] == uids(one)


def test_each_object_has_its_own_reason(client, web):
    project = {0x00081030: (b"LO", b"P")}
    good, other = made("reasons", 1, also=project)[0], made("elsewhere", 1)[0]
    clash = Image(case="reasons", number=1, also={**project, 0x00204000: (b"LT", b"other content")})
    study = good.study_uid.decode()
    contents = (b"no object", other.file(), good.file(), zip_entries({"a.dcm": good.file()}), b"")
    answer = store(client, *contents, path=f"{STUDIES}/{study}")
    assert answer.status_code == 202, answer.text
    assert [item[INSTANCE] for item in items(answer, STORED)] == uids(good)
    assert [(item[INSTANCE], item[FAILURE]) for item in items(answer, FAILED)] == [
        (None, 0xC000),
        (*uids(other), 0xA900),
        (None, 0xC000),
        (None, 0xC000),
    ]
    assert answer.json()[FAILED]["Value"][0][CLASS] == {"vr": "UI"}
    answer = store(client, clash.file())
    assert answer.status_code == 202, answer.text
    (item,) = items(answer, STORED)
    assert (item[INSTANCE], item[WARNING]) == (*uids(clash), 0xB000)
    assert RETRIEVE not in item  # it waits for a decision, and a project's base shows the archive
    answer = store(client, clash.file(), path="/dicomweb/studies")
    assert answer.status_code == 202
    (item,) = items(answer, STORED)
    assert item[WARNING] == 0xB000
    assert item[RETRIEVE].startswith("http://127.0.0.1/dicomweb/studies/")


def test_what_is_none_of_it_stored_is_409(client):
    sent = made("none", 2)
    before = count_uploads(client)
    answer = store(client, *(one.file() for one in sent), path=f"{STUDIES}/1.2.3")
    assert answer.status_code == 409
    assert answer.json().keys() == {FAILED}
    assert [item[FAILURE] for item in items(answer, FAILED)] == [0xA900, 0xA900]
    assert count_uploads(client) == before


@pytest.mark.parametrize(
    ("content_type", "content", "status", "code"),
    [
        (TYPE, multipart(b"nothing", b"of the kind"), 400, "objects_unreadable"),
        (TYPE, multipart(), 400, "objects_unreadable"),
        (TYPE, b"", 400, "multipart_damaged"),
        (TYPE, b"garbage", 400, "multipart_damaged"),
        (TYPE, multipart(images(1)[0])[:-6], 400, "multipart_damaged"),
        (TYPE, multipart(*images(2))[:-400], 400, "multipart_damaged"),
        ('multipart/related; type="application/dicom"', multipart(images(1)[0]), 400, "multipart_damaged"),
        ("application/dicom", b"", 400, "objects_unreadable"),
        (TYPE.replace("dicom", "dicom+json"), multipart(b"[]"), 415, "object_type"),
        (TYPE.replace("dicom", "dicom+xml"), multipart(b"<x/>"), 415, "object_type"),
        ("application/json", b"{}", 415, "object_type"),
        ("multipart/form-data; boundary=x", b"--x--", 415, "object_type"),
        ("", b"x", 415, "object_type"),
    ],
)
def test_what_is_no_request_to_store_leaves_nothing(client, web, content_type, content, status, code):
    before = count_uploads(client)
    answer = client.post(STUDIES, content=content, headers={"Content-Type": content_type} if content_type else {})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert count_uploads(client) == before
    assert web.spools() == []


@pytest.mark.parametrize("coding", ["gzip", "deflate, identity", "x" * 300])
def test_a_body_that_is_compressed_as_a_whole_is_refused_as_that(client, web, coding):
    content = gzip.compress(multipart(*images(1)))
    before = count_uploads(client)
    answer = client.post(STUDIES, content=content, headers={"Content-Type": TYPE, "Content-Encoding": coding})
    assert (answer.status_code, answer.json()["code"]) == (415, "content_coding")
    assert coding[:60] in answer.json()["detail"]
    assert len(answer.json()["detail"]) < 150
    assert answer.headers["accept-encoding"] == "identity"
    assert count_uploads(client) == before
    assert web.spools() == []
    plain = client.post(STUDIES, content=b"", headers={"Content-Type": TYPE, "Content-Encoding": "Identity"})
    assert (plain.json()["code"], "accept-encoding" in plain.headers) == ("multipart_damaged", False)


def test_the_address_says_what_it_takes(client: httpx.Client) -> None:
    for path in (STUDIES, "/dicomweb/studies"):
        assert client.head(path).status_code == 200
        refused = client.put(path, content=b"x")
        assert refused.status_code == 405
        assert refused.headers["allow"] == "GET, HEAD, POST"


def test_a_request_has_so_many_objects_at_most(client, web, monkeypatch):
    monkeypatch.setattr(receiving_objects, "MAX_OBJECTS", 3)
    answer = store(client, *images(4))
    assert (answer.status_code, answer.json()["code"]) == (400, "multipart_damaged")
    assert "3 objects" in answer.json()["detail"]
    assert web.spools() == []


def test_without_a_project_the_headers_route(client):
    sent = Image(case="routed", also={0x00081030: (b"LO", b"P")})
    answer = store(client, sent.file(), path="/dicomweb/studies")
    assert answer.status_code == 200, answer.text
    (item,) = items(answer, STORED)
    assert item[RETRIEVE].startswith("http://127.0.0.1/dicomweb/studies/")
    assert sent.file() in client.get(item[RETRIEVE], headers=ACCEPT).content
    stray = Image(case="stray", also={0x00081030: (b"LO", b"no such project")})
    answer = store(client, stray.file(), path="/dicomweb/studies")
    (item,) = items(answer, STORED)
    assert stray.file() in client.get(item[RETRIEVE], headers=ACCEPT).content  # from the prearchive


def test_every_encoding_and_a_large_head_are_known_for_what_they_are(client):
    """Implicit, deflated, and one whose study stands behind 300 kB of a vendor's group."""
    contents, expected = [], []
    for number, syntax in enumerate((ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, None), start=1):
        one = Image(case="encodings", number=number)
        dataset = pydicom.dcmread(io.BytesIO(one.file()))
        if syntax is None:
            block = dataset.private_block(0x0019, "VENDOR", create=True)
            block.add_new(1, "OB", b"v" * 300_000)
        else:
            dataset.file_meta.TransferSyntaxUID = syntax
        raw = io.BytesIO()
        dataset.save_as(raw, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
        contents.append(raw.getvalue())
        expected += uids(one)
    answer = store(client, *contents, path=f"{STUDIES}/{one.study_uid.decode()}")
    assert answer.status_code == 200, answer.text
    assert [item[INSTANCE] for item in items(answer, STORED)] == expected
    for item, content in zip(items(answer, STORED), contents, strict=True):
        assert content in client.get(item[RETRIEVE], headers=ACCEPT).content


def test_de_identified_objects_are_named_as_sent_and_found_as_stored(client):
    sent = [*made("hidden", 2), made("hidden", 1)[0]]
    with given_privacy(projects={"P": PrivacyRules(key=b"k" * 32, scripts=(HASHED,))}):
        answer = store(client, *(one.file() for one in sent))
        again = store(client, sent[1].file())
    assert (answer.status_code, again.status_code) == (202, 202), answer.text
    for one, item in zip([*sent, sent[1]], [*items(answer, STORED), *items(again, STORED)], strict=True):
        assert item[INSTANCE] == one.sop_uid.decode()
        assert item[WARNING] == 0xB000
        url = item[RETRIEVE]
        assert not any(uid.decode() in url for uid in (one.study_uid, one.series_uid, one.sop_uid))
        got = client.get(url, headers=ACCEPT)
        assert got.status_code == 200
        content = got.content.partition(b"\r\n\r\n")[2]
        assert pydicom.dcmread(io.BytesIO(content)).SOPInstanceUID == url.rpartition("/")[2]


def test_a_study_that_was_de_identified_is_at_the_address_of_what_comes_to_it_later(client):
    """A viewer knows the UIDs that are stored: what it makes is sent with these, which are replaced once more."""
    assert client.post("/api/v1/projects", json={"id": "BASIC"}).status_code == 201
    path = "/dicomweb/projects/BASIC/studies"
    with given_privacy(projects={"BASIC": PrivacyRules(key=b"k" * 32, profile="basic")}):
        (item,) = items(store(client, made("again", 1, patient_id=b"")[0].file(), path=path), STORED)
        study = item[RETRIEVE].split("/studies/")[1].partition("/")[0].encode()
        derived = Image(case="again", series=9, number=9, patient_id=b"", also={0x0020000D: (b"UI", study)})
        answer = store(client, derived.file(), path=path)
    (item,) = items(answer, STORED)
    assert client.get(item[RETRIEVE], headers=ACCEPT).status_code == 200
    assert client.get(answer.json()[RETRIEVE]["Value"][0], headers=ACCEPT).status_code == 200


def test_what_can_have_no_address_is_told_without_one(client: httpx.Client) -> None:
    """UIDs that are none: a slash within an address parts segments, and clients take dots for folders."""
    for number, also in enumerate(({0x00080018: (b"UI", b"1.2.3/../../x")}, {0x0020000D: (b"UI", b"..")}), start=1):
        answer = store(client, Image(case="odd uids", study=number, patient_id=b"ODD%d" % number, also=also).file())
        assert RETRIEVE not in answer.json(), answer.text
        assert all(RETRIEVE not in item for item in items(answer, STORED))
        assert len(items(answer, STORED)) == 1, answer.text


def test_a_large_session_makes_no_answer_longer(web: Web, client: httpx.Client) -> None:
    """What it takes to say where an object is, in steps of the database: the same, however many others there are."""
    sent = made("large", 2)
    assert store(client, sent[0].file()).status_code == 200
    assert store(client, sent[1].file()).status_code == 200
    uuid = client.get("/api/v1/imports").json()["items"][0]["id"]
    ended = read_import(web.site.catalog, SYSTEM, uuid)
    objects = [SentObject(sop_uid=uids(sent[1])[0], study_uid=sent[1].study_uid.decode())]

    def steps() -> int:
        counted = 0

        def count() -> int:
            nonlocal counted
            counted += 1
            return 0

        def watch(driver: sqlite3.Connection, *_: object) -> None:
            driver.set_progress_handler(count, 20)

        def leave(driver: sqlite3.Connection, *_: object) -> None:
            driver.set_progress_handler(None, 0)

        engine = web.site.catalog.engine
        event.listen(engine, "checkout", watch)
        event.listen(engine, "checkin", leave)
        try:
            (outcome,) = read_outcomes(web.site.catalog, web.site.store, ended, objects)
        finally:
            event.remove(engine, "checkout", watch)
            event.remove(engine, "checkin", leave)
        assert outcome.address is not None
        assert outcome.address.sop_uid == objects[0].sop_uid
        return counted

    before = steps()
    with web.site.catalog.write() as connection:
        tree_id = [number for number, row in all_files(connection) if row.sop_uid == uids(sent[1])[0]][-1]
        rows = [FileRow(n, 0, f"1.2.{n}.dcm", 10, b"1" * 32, f"1.2.{n}", 1, 0) for n in range(10, 20_010)]
        add_files(connection, tree_id, rows)
    assert abs(steps() - before) <= 100  # what else the server does is counted, too; a look at each would be 1,000


def test_what_a_filter_leaves_out_is_not_stored(web: Web, client: httpx.Client) -> None:
    assert client.post("/api/v1/projects", json={"id": "FILTERED"}).status_code == 201
    text = {"mode": "blacklist", "lines": ".*scout.*"}
    answer = client.put("/api/v1/projects/FILTERED/filters", json=text)
    assert answer.status_code == 200, answer.text
    scout = Image(case="filtered", series=1, also={0x0008103E: (b"LO", b"a scout")})
    other = Image(case="filtered", series=2, also={0x0008103E: (b"LO", b"other")})
    path = "/dicomweb/projects/FILTERED/studies"
    answer = store(client, scout.file(), other.file(), path=path)
    assert answer.status_code == 202
    assert [item[INSTANCE] for item in items(answer, STORED)] == uids(other)
    assert [(item[INSTANCE], item[FAILURE]) for item in items(answer, FAILED)] == [(*uids(scout), 0x0110)]
    answer = store(client, scout.file(), path=path)
    assert (answer.status_code, answer.json().keys()) == (409, {FAILED})


def test_whoever_may_no_longer_upload_is_told_so_of_each_object(tmp_path: Path) -> None:
    settings = load_settings().model_copy(update={"stow_seconds": 0})
    with serve_in_process(tmp_path / "data", settings) as web:
        number = web.account("ann", P="member")
        sent = made("late", 2)
        with web.client("ann") as ann, web.client() as client:
            uuid = store(ann, *(one.file() for one in sent)).headers["content-location"].rpartition("/")[2]
            with web.site.catalog.write() as connection:
                account = accounts.find(connection, "ann")
                assert account is not None
                assert account.id == number
                members.set_role(connection, "P", account, None)
            with InProcessWorker(tmp_path / "data", upkeep=False):
                until(lambda: client.get(f"/api/v1/imports/{uuid}").json()["state"] == "refused", "the import goes on")
        ended = read_import(web.site.catalog, SYSTEM, uuid)
        objects = [SentObject(sop_uid=uid) for uid in uids(*sent)]
        outcomes = read_outcomes(web.site.catalog, web.site.store, ended, objects)
        assert [outcome.failure for outcome in outcomes] == [FailureReason.NOT_AUTHORIZED] * 2
        full = replace(ended, state=ImportState.FAILED, code="disk_full")
        outcomes = read_outcomes(web.site.catalog, web.site.store, full, objects)
        assert [outcome.failure for outcome in outcomes] == [FailureReason.NO_SPACE] * 2


def test_an_import_that_takes_longer_is_told_of_by_its_address(tmp_path: Path):
    settings = load_settings().model_copy(update={"stow_seconds": 0})
    with serve_in_process(tmp_path / "data", settings) as web, web.client() as client:
        answer = store(client, images(1)[0])
        assert answer.status_code == 202
        (item,) = items(answer, STORED)
        assert item.keys() == {CLASS, INSTANCE}
        assert RETRIEVE not in answer.json()
        following = client.get(answer.headers["content-location"])
        assert following.json()["state"] == "received"


def test_a_login_by_cookie_stores_from_the_sites_own_pages_alone(web: Web):
    with web.client("admin") as client:
        login = client.post("/api/v1/auth/login", json={"name": "admin", "password": "correct horse"})
        assert login.status_code == 200, login.text
        csrf = login.json()["csrf"]
    one = made("cookie", 1)[0]
    with web.client(None) as browser:
        browser.cookies.set("scandock_session", login.cookies["scandock_session"])
        same = {"Origin": "http://127.0.0.1"}
        for headers, status in (
            ({}, 403),
            ({"Origin": "http://evil.example"}, 403),
            ({"Origin": "null"}, 403),
            ({"Sec-Fetch-Site": "cross-site"}, 403),
            ({"Sec-Fetch-Site": "same-site", **same}, 403),
            ({"Sec-Fetch-Site": "cross-site", "X-CSRF-Token": csrf}, 403),
            (same, 200),
            ({"Sec-Fetch-Site": "same-origin", **same}, 200),
            ({"X-CSRF-Token": csrf}, 200),
        ):
            assert store(browser, one.file(), **headers).status_code == status, headers
    with web.client() as client:  # a browser that was asked for name and password sends them along by itself
        assert store(client, one.file(), Origin="http://evil.example").status_code == 403


def test_a_client_that_breaks_off_or_lies_leaves_nothing(tmp_path: Path):
    """Over a real socket: chunks, an early end, and a length that does not hold."""
    content = multipart(*images(2))
    with serve_by_socket(tmp_path / "data") as web, web.client() as client:

        def half() -> Iterator[bytes]:
            yield content[:-300]
            raise OSError("gone")

        with suppress(httpx.HTTPError, OSError):
            client.post(STUDIES, content=half(), headers={"Content-Type": TYPE})
        with InProcessWorker(tmp_path / "data", upkeep=False):
            chunks = (content[at : at + 7] for at in range(0, len(content), 7))
            answer = client.post(STUDIES, content=chunks, headers={"Content-Type": TYPE})
        assert answer.status_code == 200, answer.text
        assert len(items(answer, STORED)) == 2
        uploads = client.get("/api/v1/imports").json()["items"]
        assert [one["state"] for one in uploads] == ["placed"]
        assert web.spools() == []
