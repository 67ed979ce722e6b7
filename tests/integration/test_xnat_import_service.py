"""XNAT's import service as its clients ask it: real requests, a real worker (xnat-behaviour.md 1)."""

from __future__ import annotations

import hashlib
import io
import socket
import tarfile
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from scandock.testing.worker import InProcessWorker
from tests.badinput.objects import Image
from tests.builders import images, uploader_layout, zip_entries
from tests.crash.processes import until
from tests.integration.web import PASSWORD, Web, serve_by_socket

pytestmark = pytest.mark.long

IMPORT = "/data/services/import"
ZIP = {"Content-Type": "application/zip"}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A server with a worker; each test has a project of its own."""
    data = tmp_path_factory.mktemp("xnat-import") / "data"
    with serve_by_socket(data) as running, InProcessWorker(data, slots=3):
        running.account("mia")
        running.account("carl", P="collaborator")
        yield running


@pytest.fixture
def project(client: httpx.Client, request: pytest.FixtureRequest) -> str:
    """The id of an empty project."""
    name = f"T{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]}"
    assert client.post("/api/v1/projects", json={"id": name, "name": name}).status_code == 201
    return name


def archive(case: str = "import", count: int = 2, **values: Any) -> bytes:
    return zip_entries(uploader_layout("folder", "1", images(count, case=case, **values)))


def send(client: httpx.Client, body: bytes, headers: dict[str, str] | None = None, /, **asked: str) -> httpx.Response:
    return client.post(IMPORT, params=asked, content=body, headers=headers or ZIP)


def uris(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/uri-list")
    assert answer.text.endswith("\r\n")
    return answer.text.removesuffix("\r\n").split("\r\n")


def refused(answer: httpx.Response, status: int, text: str) -> str:
    """An error as this dialect says it: plain text that begins with the original's words."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.startswith(text), answer.text
    return answer.text


def files(client: httpx.Client, uri: str) -> list[str]:
    found = client.get(f"{uri}/scans/ALL/files", params={"format": "json"}).json()["ResultSet"]["Result"]
    return sorted(one["Name"] for one in found)


# -- where the bytes come from -----------------------------------------------------------------------------------------


def test_a_prearchive_session_is_answered_by_its_address_and_an_end_of_line(client: httpx.Client, project: str) -> None:
    (uri,) = uris(send(client, archive(), project=project))
    assert uri.startswith(f"/data/prearchive/projects/{project}/")
    assert uri.endswith("/PAT1")
    plain = send(client, archive(), {**ZIP, "Accept": "text/plain"}, project=project)
    assert (plain.text, plain.headers["content-type"]) == (uri, "text/plain; charset=utf-8")


def test_what_import_filters_leave_out_is_no_error(client: httpx.Client, project: str) -> None:
    document = {"mode": "blacklist", "list": "[Modality]\nMR"}
    setting = f"/data/projects/{project}/config/seriesImportFilter/config"
    assert client.put(setting, json=document).status_code == 200
    told = send(client, archive(), project=project)
    assert (told.status_code, told.content) == (200, b"")
    both = zip_entries(dict(enumerate_names(images(1, case="mr"), images(1, case="ct", modality=b"CT"))))
    (uri,) = uris(send(client, both, project=project))
    assert len(files(client, uri)) == 1


def enumerate_names(*objects: list[bytes]) -> Iterator[tuple[str, bytes]]:
    for number, data in enumerate(one for some in objects for one in some):
        yield f"{number}.dcm", data


@pytest.mark.parametrize(
    "kind",
    ["application/octet-stream", "application/x-tar", "text/html", ""],
)
def test_a_body_of_any_type_or_none_is_taken(client: httpx.Client, project: str, kind: str) -> None:
    (uri,) = uris(send(client, archive(), {"Content-Type": kind} if kind else {"X-Nothing": ""}, project=project))
    assert uri.endswith("/PAT1")


def test_a_file_that_curl_calls_a_form_is_a_file(client: httpx.Client, project: str) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert uris(send(client, archive(), form, project=project))[0].endswith("/PAT1")
    halves = archive()[:7], archive()[7:]
    chunked = client.post(IMPORT, params={"project": project}, content=iter(halves), headers=form)
    assert uris(chunked) == uris(send(client, archive(), project=project))


def test_a_body_in_chunks_of_no_stated_length_is_taken(client: httpx.Client, project: str) -> None:
    answer = client.post(IMPORT, params={"project": project, "inbody": "true"}, content=iter([archive()]), headers=ZIP)
    assert uris(answer)[0].startswith("/data/prearchive/")


@pytest.mark.parametrize("first", ["fields", "file"])
def test_fields_of_a_form_count_before_and_behind_the_file(client: httpx.Client, project: str, first: str) -> None:
    named = {"PROJECT_ID": project, "SUBJECT_ID": "Sub", "EXPT_LABEL": "Exp", "AA": "true", "format": "html"}
    fields = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in named.items()
    ).encode()
    file = (
        b'--b\r\nContent-Disposition: form-data; name="image_archive"; filename="a.zip"\r\n\r\n' + archive() + b"\r\n"
    )
    parts = (fields, file) if first == "fields" else (file, fields)
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = client.post(IMPORT, content=b"".join(parts) + b"--b--\r\n", headers=kind)
    assert uris(answer) == [f"/data/archive/projects/{project}/subjects/Sub/experiments/Exp"]


def test_the_other_addresses_of_the_service_are_the_same(client: httpx.Client, project: str) -> None:
    for address in ("/REST/services/import", "/data/services/import/", "/data/services/import/a.zip"):
        answer = client.post(address, params={"project": project}, content=archive(), headers=ZIP)
        assert uris(answer)[0].startswith("/data/prearchive/")
    named = [one["archive"] for one in client.get("/api/v1/imports?project=" + project).json()["items"]]
    assert named == ["a.zip", "upload.zip", "upload.zip"]


def test_objects_come_one_a_call_and_make_one_session(client: httpx.Client, project: str) -> None:
    found = [
        uris(send(client, one, {"Content-Type": "application/dicom"}, project=project)) for one in images(3, case="one")
    ]
    assert found == [found[0]] * 3
    answer = client.post(f"/data/services/archive?src={found[0][0]}")
    assert files(client, answer.text.strip()) == sorted(
        f"{Image(case='one', number=n).sop_uid.decode()}.dcm" for n in (1, 2, 3)
    )
    mirc = send(client, images(1, case="mirc")[0], {"Content-Type": "application/x-mirc-dicom"}, project=project)
    assert (mirc.status_code, mirc.text) == (200, "OK")


# -- where it goes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dest", "subject", "session"),
    [
        ("/archive/projects/{p}", "DOE_JANE", "PAT1"),
        ("/data/archive/projects/{p}/subjects/S", "S", "PAT1"),
        ("/archive/projects/{p}/subjects/S/experiments/E", "S", "E"),
        ("/archive/projects/{p}/experiments/E/", "DOE_JANE", "E"),
    ],
)
def test_a_destination_in_the_archive(
    client: httpx.Client, project: str, dest: str, subject: str, session: str
) -> None:
    answer = send(client, archive(), dest=dest.format(p=project.lower()))  # project ids count in any case
    assert uris(answer) == [f"/data/archive/projects/{project}/subjects/{subject}/experiments/{session}"]


def test_a_destination_by_ids_is_that_of_the_labels(client: httpx.Client, project: str) -> None:
    (uri,) = uris(send(client, archive(), dest=f"/archive/projects/{project}/subjects/S/experiments/E"))
    rows = client.get(f"/data/projects/{project}/experiments?columns=ID,subject_ID&format=json").json()
    ids = rows["ResultSet"]["Result"][0]
    subject = client.get(f"/data/projects/{project}/subjects?format=json").json()["ResultSet"]["Result"][0]["ID"]
    for dest in (
        f"/archive/experiments/{ids['ID']}",
        f"/archive/subjects/{subject}/experiments/{ids['ID']}",
        f"/archive/projects/{project}/subjects/{subject}/experiments/E",
    ):
        assert uris(send(client, archive(count=3), dest=dest)) == [uri]
    named = {"PROJECT_ID": project, "SUBJECT_ID": subject, "EXPT_ID": ids["ID"], "auto-archive": "TRUE"}
    assert uris(send(client, archive(count=4), **named)) == [uri]
    assert len(files(client, uri)) == 4
    refused(send(client, archive(), dest="/archive/experiments/XNAT_E99999"), 404, "")


def test_a_destination_in_the_prearchive_joins_what_waits_there(client: httpx.Client, project: str) -> None:
    (uri,) = uris(send(client, archive(count=1), dest=f"/prearchive/projects/{project}", session="E"))
    again = send(client, archive(count=2), dest=uri)
    assert uris(again) == [uri]
    assert client.get(f"{uri}/scans/1/resources/DICOM/files").json()["ResultSet"]["totalRecords"] == "2"


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ({}, "prearchive"),
        ({"action": "commit"}, "prearchive"),
        ({"prearchive_code": "0", "auto-archive": ""}, "prearchive"),
        ({"prearchive_code": "1"}, "archive"),
        ({"prearchive_code": "1", "overwrite": "append", "auto-archive": "true"}, "archive"),
        ({"prearchive_code": "1", "auto-archive": "FALSE"}, "prearchive"),
        ({"AA": "true"}, "archive"),
        ({"Direct-Archive": "true", "dest": "/prearchive"}, "archive"),
        ({"import-handler": "SI"}, "archive"),
        ({"import-handler": "SI", "auto-archive": "false"}, "prearchive"),
        ({"import-handler": "DICOM-zip", "quarantine": "true", "overwrite": "none"}, "prearchive"),
    ],
)
def test_what_asks_for_the_archive(client: httpx.Client, project: str, asked: dict[str, str], place: str) -> None:
    (uri,) = uris(send(client, archive(), project=project, **asked))
    assert uri.startswith(f"/data/{place}/projects/{project}/")


@pytest.mark.parametrize(("asked", "status"), [({}, "active"), ({"quarantine": "true"}, "quarantine")])
def test_an_import_may_ask_for_quarantine(
    client: httpx.Client, project: str, asked: dict[str, str], status: str
) -> None:
    (uri,) = uris(send(client, archive(project), project=project, **{"Direct-Archive": "true", **asked}))
    assert client.get(f"{uri}/status").text == status


SAID = {"VISIT": "v2", "SUBTYPE": "rest", "xnat:mrSessionData/note": "motion", "xnat:mrSessionData/date": "2020-02-29"}


def test_what_is_said_of_a_session_stands_while_it_waits_and_in_the_archive(client: httpx.Client, project: str) -> None:
    [waiting] = uris(send(client, archive(project), project=project, session="S", **SAID))
    [row] = client.get(waiting, params={"format": "json"}).json()["ResultSet"]["Result"]
    assert (row["VISIT"], row["PROTOCOL"], row["scan_date"]) == ("v2", "rest", "2020-02-29")
    archived = client.post("/data/services/archive", params={"src": waiting}).text.strip()
    uris(send(client, archive(project, 3), dest=f"/archive/projects/{project}", session="S", VISIT="v3"))
    listed = client.get(
        f"/data/projects/{project}/experiments", params={"columns": "label,visit,protocol,note,date"}
    ).json()["ResultSet"]["Result"]
    [found] = [{name: one[name] for name in ("visit", "protocol", "note", "date")} for one in listed]
    assert found == {"visit": "v3", "protocol": "rest", "note": "motion", "date": "2020-02-29"}, (
        "what people said stays"
    )
    assert archived.endswith("/experiments/S")


def test_a_day_that_is_none_refuses_the_import(client: httpx.Client, project: str) -> None:
    told = send(client, archive(project), project=project, **{"xnat:mrSessionData/date": "yesterday"})
    refused(told, 400, "date is 'yesterday'.")


def test_several_sessions_are_as_many_lines(client: httpx.Client, project: str) -> None:
    two = [*images(1, study=1), *images(1, study=2, patient_id=b"PAT2")]
    answer = send(
        client, zip_entries({f"{n}.dcm": one for n, one in enumerate(two)}), dest=f"/archive/projects/{project}"
    )
    assert [one.rpartition("/")[2] for one in uris(answer)] == ["PAT1", "PAT2"]


# -- sessions that people made or changed ------------------------------------------------------------------------------


def made(client: httpx.Client, project: str, label: str, kind: str, **said: str) -> str:
    where = f"/data/projects/{project}/subjects/S/experiments/{label}"
    assert client.put(where, params={"xsiType": f"xnat:{kind}SessionData", **said}).status_code in (200, 201)
    return where


def told(client: httpx.Client, where: str) -> tuple[str, dict[str, str]]:
    """Type and fields of a session."""
    (found,) = client.get(where, params={"format": "json"}).json()["items"]
    return found["meta"]["xsi:type"].removeprefix("xnat:").removesuffix("SessionData"), found["data_fields"]


def test_an_import_of_another_type_than_was_set_is_a_conflict_unless_it_overwrites(
    client: httpx.Client, project: str
) -> None:
    where = made(client, project, "E", "pet", date="2000-01-01")
    body, dest = archive(project), f"/archive/projects/{project}/subjects/S/experiments/E"
    for asked in ({}, {"overwrite": "append"}, {"overwrite": "true"}):
        text = refused(send(client, body, dest=dest, **asked), 409, "Invalid modification of session modality via")
        [waiting] = client.get(f"/data/prearchive/projects/{project}").json()["ResultSet"]["Result"]
        assert (waiting["status"], f"/data{waiting['url']}" in text) == ("CONFLICT", True)
        assert len(files(client, f"/data{waiting['url']}")) == 2, "the bytes are kept"
        assert client.get(f"{where}/scans").json()["ResultSet"]["totalRecords"] == "0"
    (uri,) = uris(send(client, body, dest=dest, overwrite="delete"))
    kind, fields = told(client, uri)
    assert (kind, fields["date"], len(files(client, uri))) == ("pet", "2000-01-01", 2)
    [scan] = client.get(f"{uri}/scans").json()["ResultSet"]["Result"]
    assert scan["xsiType"] == "xnat:mrScanData"
    refused(send(client, archive(project, modality=b"CT", series=2), dest=dest), 409, "Invalid modification of session")


@pytest.mark.parametrize(
    ("kind", "sent", "becomes"),
    [
        ("mr", (b"MR", b"CT"), "mr"),
        ("", (b"MR", b"PT"), "petmr"),
    ],
)
def test_an_import_leaves_the_type_of_an_archived_session(
    client: httpx.Client, project: str, kind: str, sent: tuple[bytes, bytes], becomes: str
) -> None:
    """But for PET and MR of one study; one that a person set is nobody else's to change at all."""
    dest = f"/archive/projects/{project}/subjects/S/experiments/E"
    if kind:
        made(client, project, "E", kind)
    answers = [
        send(client, archive(project, 1, series=number, modality=modality), dest=dest)
        for number, modality in enumerate(sent)
    ]
    assert [one.status_code for one in answers] == [200, 409 if kind == "mr" else 200]
    assert told(client, f"/data/projects/{project}/experiments/E")[0] == becomes


def test_both_sessions_of_a_separated_study_are_answered(client: httpx.Client, project: str) -> None:
    client.put(f"/data/projects/{project}/config/separatePETMR/config", content=b"separate")
    body = zip_entries(
        {
            f"{series}.dcm": Image(case=project, series=series, modality=modality, series_number=b"%d" % series).file()
            for series, modality in enumerate((b"MR", b"PT"), 1)
        }
    )
    waiting = [uris(send(client, body, project=project)) for _ in range(2)]
    assert waiting[0] == waiting[1]
    assert [uri.rpartition("/")[2] for uri in waiting[0]] == ["PAT1_MR", "PAT1_PET"]
    for _ in range(2):
        archived = uris(send(client, body, dest=f"/archive/projects/{project}/subjects/S/experiments/E_PETMR"))
        assert [told(client, uri)[0] for uri in archived] == ["mr", "pet"]
    rows = client.get(f"/data/projects/{project}/experiments").json()["ResultSet"]["Result"]
    assert sorted(row["label"] for row in rows) == ["E_MR", "E_PET"]


def test_fields_that_a_person_set_outlast_imports_until_they_are_taken_back(client: httpx.Client, project: str) -> None:
    where = made(client, project, "E", "mr", date="2000-01-01", operator="me", note="mine")
    dest = f"/archive/projects/{project}/subjects/S/experiments/E"
    for count in (1, 2):
        uris(send(client, archive(project, count), dest=dest, overwrite="append"))
        fields = told(client, where)[1]
        assert (fields["date"], fields["operator"], fields["note"]) == ("2000-01-01", "me", "mine")
        assert (fields["modality"], fields["time"]) == ("MR", "10:15:00"), "what nobody set is its images'"
    client.put(where, params={"time": "11:11:11"})
    client.put(where, params={"date": "NULL"})
    uris(send(client, archive(project, 3), dest=dest))
    fields = told(client, where)[1]
    assert (fields["date"], fields["time"], fields["operator"]) == ("2020-01-31", "11:11:11", "me")


def test_a_session_of_several_patients_goes_where_dest_names_subject_and_session(
    client: httpx.Client, project: str
) -> None:
    two = [*images(1, case=project), *[Image(case=project, number=2, patient_id=b"PAT2").file()]]
    body, dest = zip_entries(uploader_layout("f", "1", two)), f"/archive/projects/{project}/subjects/S"
    for less in ({"dest": dest}, {"dest": dest, "session": "E", "overwrite": "append"}, {"dest": dest[:-11]}):
        assert send(client, body, **less).status_code == 409, less
    asked = {"dest": f"{dest}/experiments/E", "Direct-Archive": "True", "overwrite": "True"}
    (uri,) = uris(send(client, body, **asked))
    assert (uri.endswith("/subjects/S/experiments/E"), len(files(client, uri))) == (True, 2)
    imported = client.get(f"/api/v1/imports?project={project}").json()["items"][0]
    one = client.get(f"/api/v1/imports/{imported['id']}").json()["sessions"][0]
    assert (one["state"], [said["code"] for said in one["warnings"]].count("patient_mismatch")) == ("archive", 1)
    assert uris(send(client, body, **asked)) == [uri], "and again"


def test_a_retry_with_another_overwrite_decides_by_what_its_sender_may(
    web: Web, client: httpx.Client, project: str
) -> None:
    """Who may upload but not archive adds what they bring; what waits in conflict is not theirs to settle."""
    dest = f"/archive/projects/{project}/subjects/S/experiments/E"
    (archived,) = uris(send(client, archive(project, 1), dest=dest))
    refused(send(client, archive(project, 2), dest=dest, overwrite="none"), 409, "Session already exists")
    waiting = f"/data/prearchive/projects/{project}"
    token = client.post("/api/v1/tokens", json={"scope": "upload", "name": "scanner"}).json()
    with web.client(None, headers={"Authorization": f"Bearer {token['token']}"}) as scanner:
        assert uris(send(scanner, archive(project, 2), dest=dest, overwrite="append")) == [archived]
        assert len(client.get(waiting).json()["ResultSet"]["Result"]) == 1
    assert uris(send(client, archive(project, 2), dest=dest, overwrite="append")) == [archived]
    assert client.get(waiting).json()["ResultSet"]["Result"] == []


def test_retries_and_archivings_at_once_lose_nothing(client: httpx.Client, project: str) -> None:
    dest = f"/archive/projects/{project}/subjects/S/experiments/E"
    (archived,) = uris(send(client, archive(project, 1), dest=dest))
    refused(send(client, archive(project, 3), dest=dest, overwrite="none"), 409, "Session already exists")
    [row] = client.get(f"/data/prearchive/projects/{project}").json()["ResultSet"]["Result"]

    def ask(how: str) -> int:
        if how == "archive":
            asked = {"src": row["url"], "overwrite": "append"}
            return client.post("/data/services/archive", params=asked).status_code
        return send(client, archive(project, 3), dest=dest, overwrite=how).status_code

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(ask, ("append", "archive", "delete", "archive")))
    assert (statuses[0], statuses[2]) == (200, 200)
    assert {statuses[1], statuses[3]} <= {200, 404, 423}
    assert len(files(client, archived)) == 3
    assert client.get(f"/data/prearchive/projects/{project}").json()["ResultSet"]["Result"] == []


# -- a place in the prearchive that is named ---------------------------------------------------------------------------


def test_a_timestamp_that_is_named_is_kept(client: httpx.Client, project: str) -> None:
    stamp = "20010101_101010123"
    dest = f"/prearchive/projects/{project}/{stamp}/E"
    one, two = archive(project, 1), archive(project, 1, series=2)
    assert uris(send(client, one, dest=dest, overwrite="append")) == [f"/data{dest}"]
    assert uris(send(client, two, dest=dest, overwrite="append")) == [f"/data{dest}"]
    assert len(files(client, f"/data{dest}")) == 2
    other = archive(project, 1, study=2)
    beside = {"project": project, "PREARC_TIMESTAMP": stamp, "PREARC_SESSION_FOLDER": "F"}
    assert uris(send(client, other, **beside)) == [f"/data/prearchive/projects/{project}/{stamp}/F"]
    (uri,) = uris(send(client, archive(project, 1, study=3), dest=dest))
    assert uri not in (f"/data{dest}", f"/data{dest[:-1]}F"), "another study takes nobody's place"
    assert uri.endswith("/E")
    (moved,) = uris(send(client, one, dest=dest.replace(stamp, "19990101_000000")))
    assert "/19990101_000000/" in moved
    bad = send(client, one, project=project, PREARC_TIMESTAMP="now")
    refused(bad, 400, "PREARC_TIMESTAMP can't be 'now'")
    archived = client.post("/data/services/archive", params={"src": dest}).text.strip()
    assert len(files(client, archived)) == 2


def test_a_folder_that_is_named_beside_a_label_is_an_address(client: httpx.Client, project: str) -> None:
    dest = f"/prearchive/projects/{project}/20000101_050505/11223344556677"
    (uri,) = uris(send(client, archive(project), dest=dest, subject="SUBJ9", session="SUBJ9_MRI"))
    assert uri == f"/data/prearchive/projects/{project}/20000101_050505/SUBJ9_MRI"
    assert files(client, f"/data{dest}") == files(client, uri)
    assert client.get(f"/data{dest}x").status_code == 404
    assert uris(send(client, archive(project, 3), dest=dest, subject="SUBJ9", session="SUBJ9_MRI")) == [uri]
    assert len(files(client, f"/data{dest}")) == 3
    assert client.delete(f"/data{dest}").status_code == 200
    assert client.get(f"/data/prearchive/projects/{project}").json()["ResultSet"]["totalRecords"] == "0"


def test_the_label_of_another_session_is_no_folder(client: httpx.Client, project: str) -> None:
    """Else who deletes that one, and asks again as no answer came, would delete this one too."""
    dest = f"/prearchive/projects/{project}/20000101_060606/A"
    assert uris(send(client, archive(project), dest=dest)) == [f"/data{dest}"]
    (other,) = uris(send(client, archive(project, study=2), dest=dest, session="B"))
    assert other == f"/data{dest[:-1]}B"
    assert [client.delete(f"/data{dest}").status_code for _ in range(2)] == [200, 404]
    assert len(files(client, other)) == 2
    assert client.delete(other).status_code == 200


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "status", "text"),
    [
        ({"project": "NOWHERE"}, 404, "There is no project NOWHERE"),
        ({"dest": "/archive/projects/NOWHERE"}, 404, "There is no project NOWHERE"),
        ({"import-handler": "NIFTI"}, 404, "Unknown importer implementation specified: NIFTI"),
        ({"import-handler": "XAR"}, 404, "Unknown importer implementation specified: XAR"),
        ({"dest": "/elsewhere"}, 400, "Parameter dest format error"),
        ({"dest": "/prearchive/projects/P/now"}, 400, "Parameter dest format error"),
        ({"dest": "/archive/projects/Unassigned"}, 400, "Unassigned is no project of the archive"),
        (
            {"overwrite": "yes", "prearchive_code": "1"},
            400,
            "Overwrite flag was not set to a valid option. ('append' or 'delete')",
        ),
        ({"http-session-listener": ""}, 400, "'transaction' is required when requesting 'http-session-listener'."),
        ({"src": "/nowhere"}, 400, "src uri is invalid."),
        ({"src": "/user/cache/resources/a/files/b"}, 404, "Unknown src file."),
        ({"import-handler": "inbox", "path": "/etc"}, 403, "Folders of the server can't be imported here."),
        (
            {"import-handler": "SI", "dest": "/prearchive", "PREARC_TIMESTAMP": "20200101_101010"},
            400,
            "User must specify project portion of prearchive path, if timestamp/session portion is specified.",
        ),
        (
            {"import-handler": "SI", "dest": "/prearchive", "project": "P", "PREARC_SESSION_FOLDER": "x"},
            400,
            "User must specify timestamp portion of prearchive path, if session portion is specified.",
        ),
    ],
)
def test_what_can_t_be_meant_is_refused_before_a_byte(
    web: Web, client: httpx.Client, asked: dict[str, str], status: int, text: str
) -> None:
    before = len(client.get("/api/v1/imports").json()["items"])
    refused(send(client, archive(), **asked), status, text)
    assert len(client.get("/api/v1/imports").json()["items"]) == before
    assert web.spools() == []


def test_a_call_without_a_file_or_with_two(client: httpx.Client) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for answer in (
        client.post(IMPORT, headers=ZIP),
        client.post(IMPORT, content=b"project=P", headers=form),
        client.post(IMPORT, content=iter([]), headers=ZIP),
        client.post(IMPORT, data={"project": "P"}, files=[]),
        client.post(IMPORT, files={"project": (None, "P")}),
    ):
        refused(answer, 400, "Unable to identify upload format.")
    two = client.post(IMPORT, files=[("a", ("a.zip", archive())), ("b", ("b.zip", archive()))])
    refused(two, 400, "Importer is limited to one uploaded resource at a time.")
    both = client.post(IMPORT, files={"a": ("a.zip", archive())}, data={"src": "/user/cache/resources/a/files/b"})
    refused(both, 400, "Importer is limited to one uploaded resource at a time.")
    inbody = client.post(IMPORT, params={"inbody": "true"}, files={"a": ("a.zip", archive())})
    refused(inbody, 406, "In-body File posts must include the file directly as the body of the message")
    by_path = client.post(IMPORT, files={"reference": (None, "/etc/passwd"), "a": ("a.zip", archive())})
    refused(by_path, 400, "multi-part form posts may not be used to upload files via reference.")
    assert client.get(IMPORT).status_code == 405


def _asked_first(web: Web, target: str, headers: str, name: str = "admin") -> bytes:
    """The first bytes that a server answers to headers whose body waits to be asked for."""
    where = urlsplit(web.base)
    proof = b64encode(f"{name}:{PASSWORD}".encode()).decode()
    with socket.create_connection((where.hostname, where.port), 20) as line:
        line.sendall(
            f"POST {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {proof}\r\n"
            f"Expect: 100-continue\r\n{headers}\r\n\r\n".encode()
        )
        return line.recv(4096)


@pytest.mark.parametrize(
    ("name", "query", "kind", "length", "status"),
    [
        ("admin", "project=P", "application/zip", 1000, b"100"),
        ("admin", "project=NOWHERE", "application/zip", 1000, b"404"),
        ("admin", "dest=/archive/projects/NOWHERE", "multipart/form-data; boundary=b", 1000, b"404"),
        ("admin", "dest=/archive/projects/NOWHERE", "application/x-www-form-urlencoded", 1000, b"404"),
        ("mia", "project=P", "application/zip", 1000, b"404"),
        ("carl", "project=P", "application/zip", 1000, b"403"),
        ("carl", "dest=/prearchive/projects/p", "application/x-www-form-urlencoded", 1000, b"403"),
        ("nobody", "project=P", "application/zip", 1000, b"401"),
        ("admin", "project=P", "application/zip", 2**50, b"413"),
        ("admin", "project=P", "multipart/form-data; boundary=b", 2**50, b"413"),
    ],
)
def test_rights_and_sizes_are_looked_at_before_a_byte_is_asked_for(
    web: Web, name: str, query: str, kind: str, length: int, status: bytes
) -> None:
    headers = f"Content-Type: {kind}\r\nContent-Length: {length}"
    assert _asked_first(web, f"{IMPORT}?{query}", headers, name).startswith(b"HTTP/1.1 " + status)


# -- what can't be taken -----------------------------------------------------------------------------------------------


def test_what_can_t_be_read_refuses_all_of_it_unless_it_is_to_be_ignored(client: httpx.Client, project: str) -> None:
    broken = zip_entries({**uploader_layout("f", "1", images(2)), "f/scans/1/resources/DICOM/files/9.dcm": b"no image"})
    text = refused(send(client, broken, project=project), 400, "unable to read DICOM object")
    assert "9.dcm" in text
    assert client.get(f"/data/prearchive/projects/{project}").json()["ResultSet"]["totalRecords"] == "0"
    for asked in ({"Ignore-Unparsable": "true"}, {"action": "commit"}, {"import-handler": "SI"}):
        assert uris(send(client, broken, project=project, **asked))[0].startswith("/data/")
    refused(send(client, broken, project=project, action="commit", **{"Ignore-Unparsable": "false"}), 400, "unable")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"no archive", "Unsupported format UNKNOWN"),
        (archive()[:-40], "unable to read data from file"),
        (zip_entries({"a.txt": b"text"}), "Upload did not include parsable files for session generation."),
        (zip_entries({}), "Upload did not include parsable files for session generation."),
    ],
)
def test_what_is_no_archive_of_images_is_told_in_the_original_s_words(
    client: httpx.Client, project: str, body: bytes, text: str
) -> None:
    ours = refused(send(client, body, project=project, action="commit"), 400, text)
    assert len(ours) > len(text) + 10, "our own sentence stands behind"


def test_a_damaged_inner_archive_is_no_success_unless_it_was_to_be_ignored(client: httpx.Client, project: str) -> None:
    inner = archive("inner", patient_id=b"PAT9")
    body = zip_entries({**uploader_layout("f", "1", images(2)), "more.zip": inner[: len(inner) // 2]})
    text = refused(send(client, body, project=project, action="commit"), 400, "")
    (uri,) = uris(send(client, body, project=project, **{"Ignore-Unparsable": "true"}))
    assert f"What could be taken stands at {uri}." in text


def test_what_was_bound_for_the_archive_and_waits_is_an_error_that_says_where(
    client: httpx.Client, project: str
) -> None:
    dest = f"/archive/projects/{project}"
    (archived,) = uris(send(client, archive(), dest=dest))
    assert uris(send(client, archive(), dest=dest)) == [archived], "the same again is nothing new"
    text = refused(
        send(client, archive(count=3), dest=dest, overwrite="none"),
        409,
        "Session already exists, retry with overwrite enabled",
    )
    assert f"/data/prearchive/projects/{project}/" in text
    clash = images(1, case="import", also={0x00104000: (b"LT", b"other")})
    clashing = zip_entries(uploader_layout("f", "1", clash))
    refused(send(client, clashing, dest=dest), 409, "unable to archive for the Prearchive session")
    (waits,) = uris(send(client, clashing, project=project, **{"Direct-Archive": "true"}))
    assert waits.startswith(f"/data/prearchive/projects/{project}/"), "a direct archive falls back on it (2.9)"
    assert uris(send(client, clashing, dest=dest, overwrite="delete")) == [archived]
    assert uris(send(client, clashing, dest=dest, overwrite_files="true")) == [archived]


# -- names of files ----------------------------------------------------------------------------------------------------


def test_files_keep_the_names_of_the_archive_safe_and_unique(client: httpx.Client, project: str) -> None:
    objects = images(7, case="names")
    names = ["a/IM1.dcm", "b/IM1.dcm", "im1.DCM", "../../x:y*.dcm", "c/.hidden", "d/con", "e/ümlaut 1.dcm"]
    body = zip_entries(list(zip(names, objects, strict=True)))
    (uri,) = uris(send(client, body, dest=f"/archive/projects/{project}"))
    kept = files(client, uri)
    assert len({name.casefold() for name in kept}) == 7
    assert {"IM1.dcm", "ümlaut 1.dcm"} <= set(kept)
    assert not [name for name in kept if name.startswith(".") or set(name) & set('/\\:*"<>|?') or name == "con"]
    data = {one: client.get(f"{uri}/scans/1/resources/DICOM/files/{one}").content for one in kept}
    assert sorted(data.values()) == sorted(objects)
    again = zip_entries([("z/other.dcm", objects[0]), ("z/IM1.dcm", images(8, case="names")[7])])
    assert uris(send(client, again, dest=f"/archive/projects/{project}")) == [uri]
    assert len(files(client, uri)) == 8, "the one that was there keeps its name"
    assert set(kept) < set(files(client, uri))


def test_files_are_renamed_where_that_is_asked_for(client: httpx.Client, project: str) -> None:
    (uri,) = uris(send(client, archive("renamed"), dest=f"/archive/projects/{project}", rename="true"))
    assert files(client, uri) == sorted(f"{Image(case='renamed', number=n).sop_uid.decode()}.dcm" for n in (1, 2))


# -- who does not wait for the end -------------------------------------------------------------------------------------


@contextmanager
def idle(tmp_path: Path) -> Iterator[tuple[Web, httpx.Client]]:
    """A server without a worker: imports wait."""
    with serve_by_socket(tmp_path / "data") as web, web.client() as client:
        yield web, client


def _in_a_thread(call: Callable[[], httpx.Response]) -> tuple[threading.Thread, list[httpx.Response]]:
    found: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    return thread, found


def _received(client: httpx.Client) -> str:
    until(lambda: _states(client) == ["received"], "the upload was never kept")
    return str(client.get("/api/v1/imports").json()["items"][0]["id"])


def _states(client: httpx.Client) -> list[str]:
    return [one["state"] for one in client.get("/api/v1/imports").json()["items"]]


def _noticed(web: Web, since: int = 0) -> None:
    until(lambda: any(one["event"] == "disconnected" for one in web.logged[since:]), "nobody noticed")


def test_who_waits_hears_of_an_import_that_is_cancelled(tmp_path: Path) -> None:
    with idle(tmp_path) as (_, client):
        thread, found = _in_a_thread(lambda: send(client, archive(), project="P"))
        uuid = _received(client)
        client.post(f"/api/v1/imports/{uuid}/cancel")
        thread.join(20)
        refused(found[0], 410, "The import was cancelled; nothing was stored.")


def test_who_waits_is_told_that_the_server_stops_and_the_import_goes_on(tmp_path: Path) -> None:
    with idle(tmp_path) as (web, client):
        thread, found = _in_a_thread(lambda: send(client, archive(), project="P"))
        uuid = _received(client)
        web.site.stopping.set()
        thread.join(20)
        assert uuid in refused(found[0], 503, "The server is being stopped; what was sent is kept")
        assert _states(client) == ["received"]


def test_a_client_that_hangs_up_loses_nothing(tmp_path: Path) -> None:
    with idle(tmp_path) as (web, client):
        body = archive()
        where = urlsplit(web.base)
        proof = b64encode(f"admin:{PASSWORD}".encode()).decode()
        with socket.create_connection((where.hostname, where.port), 20) as line:
            head = f"POST {IMPORT}?project=P HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {proof}\r\n"
            line.sendall(f"{head}Content-Type: application/zip\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            _received(client)
        _noticed(web)
        assert not [one for one in web.logged if one["event"] in ("unexpected", "fault")]
        with InProcessWorker(tmp_path / "data"):
            until(lambda: _states(client) == ["placed"], "the import never ended")


def test_a_client_that_hangs_up_while_it_sends_leaves_nothing(tmp_path: Path) -> None:
    with idle(tmp_path) as (web, client):
        where = urlsplit(web.base)
        proof = b64encode(f"admin:{PASSWORD}".encode()).decode()
        for kind in ("application/zip", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"):
            before = len(web.logged)
            with socket.create_connection((where.hostname, where.port), 20) as line:
                head = f"POST {IMPORT}?project=P HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {proof}\r\n"
                line.sendall(f"{head}Content-Type: {kind}\r\nContent-Length: 99999\r\n\r\nPK\3\4".encode())
            _noticed(web, before)
        until(lambda: _states(client) == [], "a row was left")
        assert not [one for one in web.logged if one["event"] in ("unexpected", "fault")]
        assert web.spools() == []


# -- real archives -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "DEV012_MR__dcm_qa_nih.seed.zip",
        "DEV003_CT-SEG-SR__highdicom.seed.tar.gz",
        "DEV002_SEG__highdicom.weird.zip",
        "BUNDLE__three_deep.zip",
        "ECAT__seed.zip",
    ],
)
def test_real_archives_are_placed_with_all_their_images(
    client: httpx.Client, project: str, corpus_archives: Path, name: str
) -> None:
    body = (corpus_archives / name).read_bytes()
    found = uris(send(client, body, dest=f"/archive/projects/{project}"))
    stored = [len(files(client, uri)) for uri in found]
    (told,) = client.get(f"/api/v1/imports?project={project}").json()["items"]
    assert told["state"] == "placed"
    assert sum(stored) == told["entries"]["stored"] > 0
    assert uris(send(client, body, dest=f"/archive/projects/{project}")) == found


def tar_of(entries: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name, data in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return raw.getvalue()


def test_a_tarball_is_told_by_its_bytes(client: httpx.Client, project: str) -> None:
    body = tar_of(uploader_layout("f", "1", images(2, case="tar")))
    assert uris(send(client, body, ZIP, project=project))[0].endswith("/PAT1")
