"""The XNAT Desktop Client's whole sequence, replayed against `scandock serve` (xnat-clients.md 5)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import MetaData, create_engine, select

from tests.builders import images, zip_entries
from tests.crash.served import PASSWORD, ServerProcess
from tests.integration.web import PASSWORD as WEB_PASSWORD
from tests.integration.web import Web, serve_in_process
from tests.ports import free_port

SITE_SETTINGS = ("tracers/tracers", "applet/allow-create-subject", "applet/require-date", "seriesImportFilter")
PROJECT_SETTINGS = (
    *SITE_SETTINGS, "applet/allow-bulk-upload", "applet/default-subject-labeling-scheme",
    "applet/default-session-labeling-scheme",
)  # fmt: skip
OR_NOTHING = {"contents": "true", "accept-not-found": "true"}
SCRIPTS = (
    "/data/config/anon/script",
    "/data/projects/P/config/anon/projects/P",
    "/data/projects/P/config/seriesImportFilter/config",
)
TYPED = "hunter2-typed-by-somebody"
"""The password that this client's mistake sends in a body."""


@pytest.fixture
def served(tmp_path: Path, database_url: str) -> Iterator[ServerProcess]:
    changes = {} if database_url.startswith("sqlite") else {"SCANDOCK_DATABASE_URL": database_url}
    server = ServerProcess(tmp_path, free_port(), **changes)
    try:
        server.ready()
        server.project()
        yield server
        server.end()
    finally:
        server.kill()
        server.wait()


@pytest.fixture
def client(served: ServerProcess) -> Iterator[httpx.Client]:
    """Logged in as the client does: by name and password once, then by the cookies that came."""
    base = f"http://127.0.0.1:{served.port}"
    with httpx.Client(base_url=base, timeout=60, trust_env=False) as made:
        told = made.get("/data/auth", auth=("admin", PASSWORD))
        assert told.status_code == 200
        cookies = "\n".join(told.headers.get_list("set-cookie"))
        assert re.search(r"^JSESSIONID=[^;]+; Path=/", cookies, re.MULTILINE)
        assert re.search(r'^SESSION_EXPIRATION_TIME="\d{13},\d+"; Path=/', cookies, re.MULTILINE)
        yield made


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    """A server without workers, for what no import is needed for."""
    with serve_in_process(tmp_path / "data") as running:
        yield running


def series(study: int, number: int) -> Iterator[bytes]:
    """A flat zip of one series, in pieces: it is sent chunked."""
    objects = images(2, case="desktop", study=study, series=number, series_number=b"%d" % number)
    body = zip_entries({f"{at:04}.dcm": data for at, data in enumerate(objects)})
    half = len(body) // 2
    yield body[:half]
    yield body[half:]


def send(client: httpx.Client, label: str, study: int, number: int, overwrite: str, token: str) -> str:
    """One series; gives the URI that the client goes on with."""
    named = {
        "import-handler": "DICOM-zip", "PROJECT_ID": "P", "SUBJECT_ID": "Sub1", "EXPT_LABEL": label, "VISIT": "v1",
        "SUBTYPE": "", "overwrite": overwrite, "rename": "true", "prevent_anon": "true", "prevent_auto_commit": "true",
        "SOURCE": "uploader", "autoArchive": "AutoArchive", "XNAT_CSRF": token,
    }  # fmt: skip
    told = client.post(
        "/data/services/import",
        params=named,
        content=series(study, number),
        headers={"Content-Type": "application/zip"},
    )
    assert (told.status_code, told.text[-2:]) == (200, "\r\n"), told.text
    return told.text.strip()


def commit(client: httpx.Client, uri: str, token: str, **said: str) -> httpx.Response:
    return client.post(uri, params={"action": "commit", "SOURCE": "uploader", "XNAT_CSRF": token}, json=said)


def rows(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["ResultSet"]["Result"]
    return found


def everything_stored(served: ServerProcess, url: str) -> str:
    """All that the catalog holds, as text."""
    stands = url if not url.startswith("sqlite") else f"sqlite:///{served.data}/scandock.db"
    engine = create_engine(stands)
    try:
        metadata = MetaData()
        metadata.reflect(engine)
        with engine.connect() as connection:
            return "\n".join(
                str(tuple(row)) for table in metadata.sorted_tables for row in connection.execute(select(table))
            )
    finally:
        engine.dispose()


@pytest.mark.processes
def test_the_whole_sequence(served: ServerProcess, client: httpx.Client, database_url: str) -> None:
    found = re.search(r'var csrfToken = "([^"]+)"', client.get("/").text)
    token = found[1] if found else "false"
    asked = {"permissions": "edit", "dataType": "xnat:subjectData"}
    assert [one["ID"] for one in rows(client.get("/data/projects", params=asked))] == ["P"]
    assert client.get("/data/projects/P?format=json").json()["items"][0]["data_fields"]["ID"] == "P"
    columns = {"columns": "group,insert_date,insert_user,project,label"}
    assert rows(client.get("/data/projects/P/subjects", params=columns)) == []
    assert rows(client.get("/data/projects/P/experiments?columns=ID,label&format=json")) == []
    assert rows(client.get("/data/prearchive/projects/P")) == []
    assert client.get("/data/projects/P/prearchive_code").text == "4"
    settings = [f"/data/config/{one}" for one in SITE_SETTINGS]
    settings += [f"/data/projects/P/config/{one}" for one in PROJECT_SETTINGS]
    for one in settings:
        told = client.get(one, params=OR_NOTHING)
        assert (told.status_code, told.content) == (200, b""), one
    for one in SCRIPTS:
        assert client.get(one, params={"format": "json"}).status_code == 404, one

    made = client.put(
        "/data/projects/P/subjects/Sub1",
        params={"group": "", "event_reason": "XNAT Application", "XNAT_CSRF": token},
        json={"auth": {"username": "admin", "password": TYPED}, "headers": {"X": TYPED}},
    )
    assert made.status_code == 201, made.text

    for study, overwrite in enumerate(("none", "append", "delete")):
        label = f"E{study}"
        uris = {send(client, label, study, number, overwrite, token) for number in (1, 2, 3)}
        (uri,) = uris
        assert re.fullmatch(rf"/data/prearchive/projects/P/\d{{8}}_\d{{9}}/{label}", uri)
        assert [one["ID"] for one in rows(client.get(f"{uri}/scans"))] == ["1", "2", "3"]
        told = commit(client, uri, token)
        assert (told.status_code, told.text) == (301, f"/data/archive/projects/P/subjects/Sub1/experiments/{label}")
        assert "location" not in told.headers
        assert len(rows(client.get(f"{told.text}/scans"))) == 3
    assert rows(client.get("/data/prearchive/projects/P")) == []
    assert client.get("/xapi/siteConfig/buildInfo").json()["version"]
    assert client.get("/app/action/LogoutUser").status_code == 200
    assert client.get("/data/prearchive/projects/P").status_code == 401

    served.end()
    assert TYPED not in served.err.read_text() + served.out.read_text()
    assert TYPED not in everything_stored(served, database_url)


@pytest.mark.processes
@pytest.mark.postgresql
def test_series_that_are_sent_at_once_are_one_session_that_waits_where_the_project_says_so(
    client: httpx.Client,
) -> None:
    assert client.put("/data/projects/P/prearchive_code/0").status_code == 200
    assert client.put("/data/projects/P/prearchive_code/3").status_code == 400
    assert client.get("/data/projects/P/prearchive_code").text == "0"
    with ThreadPoolExecutor(3) as pool:
        uris = set(pool.map(lambda number: send(client, "E", 7, number, "none", "false"), (1, 2, 3)))
    (uri,) = uris
    told = commit(client, uri, "false")
    assert (told.status_code, told.text) == (200, uri)
    (row,) = rows(client.get("/data/prearchive/projects/P"))
    assert (row["status"], row["autoarchive"], "/data" + row["url"]) == ("READY", "Manual", uri)
    assert len(rows(client.get(f"{uri}/scans"))) == 3


def test_the_front_page_begins_a_login_that_the_text_has_the_token_of(web: Web) -> None:
    with web.asking() as client:
        assert not client.get("/").cookies
        page = client.get("/", auth=("admin", WEB_PASSWORD))
        assert set(page.cookies) == {"JSESSIONID", "SESSION_EXPIRATION_TIME"}
        assert re.search(r'var csrfToken = "[^"]{20,}"', page.text)
        assert client.get("/data/auth").text == "User 'admin' is logged in"


def test_codes_and_settings_are_told_to_who_may_see_the_project(web: Web) -> None:
    web.account("carl", P="collaborator")
    with web.client() as client, web.client("carl") as carl:
        assert client.get("/data/projects/P/quarantine_code").text == "0"
        assert client.put("/data/projects/P/quarantine_code/0").status_code == 200
        assert client.put("/data/projects/P/quarantine_code/1").status_code == 200
        assert client.get("/data/projects/P/quarantine_code").text == "1"
        told = client.put("/data/projects/P/quarantine_code/2")
        assert (told.status_code, told.text) == (400, "quarantine_code can't be '2'. Right is 0 or 1.")
        assert client.get("/data/projects/None/prearchive_code").status_code == 404
        assert client.get("/data/config/applet/require-date").status_code == 404
        assert client.put("/data/projects/P/prearchive_code/5").status_code == 200
        assert carl.get("/data/projects/P/prearchive_code").text == "5"
        for archives in ("11", "1"):
            assert client.put("/data/projects/P/prearchive_code/0").status_code == 200
            assert client.put(f"/data/projects/P/prearchive_code/{archives}").status_code == 200
            assert carl.get("/data/projects/P/prearchive_code").text == "4"
        for one in ("prearchive_code/0", "quarantine_code/0"):
            assert carl.put(f"/data/projects/P/{one}").status_code == 403
    with web.client(None) as nobody:
        for one in ("/data/config/x/y", "/data/projects/P/config/x/y", "/data/projects/P/prearchive_code"):
            told = nobody.get(one, params=OR_NOTHING)
            assert (told.status_code, told.headers["content-type"].split(";")[0]) == (401, "text/plain")
        assert nobody.put("/data/projects/P/prearchive_code/0").status_code == 401


def test_what_becomes_of_pet_and_mr_is_told_and_set(web: Web) -> None:
    setting = "/data/projects/P/config/separatePETMR/config"
    web.account("carl", P="collaborator")
    with web.client() as client, web.client("carl") as carl:
        assert client.get(setting).text == "petmr"
        for body in (b" Pet\n", b'{"contents": "pet"}'):
            assert client.put(setting, content=body).status_code == 200
            assert carl.get(setting).text == "pet"
            assert client.get("/api/v1/projects/P").json()["petmr"] == "pet"
            assert client.put(setting, content=b"").status_code == 200
            assert client.get(setting).text == "petmr"
            assert client.get("/api/v1/projects/P").json()["petmr"] == "default"
        assert client.put(setting, content=b"sepa RATE").status_code == 200
        assert client.get(setting).text == client.get("/api/v1/projects/P").json()["petmr"] == "separate"
        assert client.put(setting, content=b"").status_code == 200
        (row,) = client.get(setting, params={"format": "json"}).json()["ResultSet"]["Result"]
        assert (row["contents"], row["status"]) == ("petmr", "enabled")
        told = client.put(setting, content=b"both")
        assert told.status_code == 400
        assert told.text.startswith("separatePETMR can't be 'both'. Right is petmr, pet, separate or")
        assert client.put(setting, content=b"pet" + b" " * 2000).status_code == 200
        assert carl.put(setting, content=b"pet").status_code == 403
