"""The API about imports and what surrounds it; outcomes are written as workers write them, streams go over sockets."""

from __future__ import annotations

import gzip
import json
import re
import threading
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, select, update

from scandock.catalog.server_tables import audit, progress, reception
from scandock.catalog.tables import IntentKind, intent, tree, upload
from scandock.model.errors import Fault
from scandock.model.import_report import ImportReport, format_outcome
from scandock.model.verdicts import ImportState
from scandock.publishing.requeue import wait_or_fail
from scandock.queue.claim import SlotUsage, claim
from scandock.queue.leases import LEASE_MS, finish
from scandock.queue.owner import this_owner
from scandock.queue.retry import give_up_attempt, requeue
from scandock.services.consistency_check import check_data
from scandock.services.settings import load_settings
from scandock.web import readiness, server_sent_events
from tests.builders import make_data_folder
from tests.import_records import a_session
from tests.integration.web import PASSWORD, serve_by_socket, serve_in_process

BRITISH = r"(?i)\b\w*(?:colour|behaviour|favour|centre|\bgrey|catalogue|licence|anonymise|organise|recognise)\w*"

RECEIPT = [
    {
        "archive": "a.zip",
        "path": f"f{n}",
        "bytes": n,
        "sha256": None,
        "verdict": "junk" if n % 2 else "stored",
        "code": "c",
        "message": "m",
        "stored_as": None,
    }
    for n in range(5)
]


@pytest.fixture
def site(tmp_path, database_url, monkeypatch):
    return make_data_folder(tmp_path, monkeypatch, database_url)


@pytest.fixture
def web(site):
    with serve_in_process(site.data, site.settings) as running:
        yield running


def send(client, **asked):
    answer = client.post("/api/v1/imports", params=asked, content=b"abc")
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def run(web):
    """Claim the next import, as a worker does."""
    found = claim(web.site.catalog, this_owner(), SlotUsage(4))
    assert found is not None
    return found.lease


def end(web, lease, state=ImportState.PLACED, **more):
    report = ImportReport(upload=lease.uuid, archive="a.zip", state=state, seconds={"total": 1.5}, **more)
    with web.site.catalog.write() as connection:
        finish(web.site.catalog, connection, lease, report)


def receipt(web, uuid):
    raw = gzip.compress("".join(json.dumps(line) + "\n" for line in RECEIPT).encode())
    from pathlib import Path

    (Path(web.site.data) / "receipts" / f"{uuid}.jsonl.gz").write_bytes(raw)


def code(answer):
    return answer.status_code, answer.json()["code"]


def test_a_running_import_says_since_when_nothing_of_it_was_written(web, client):
    """As where the catalog can't be written to: its worker renews no lease, and can't tell why."""
    uuid = send(client, project="P", filename="a.zip")
    run(web)
    with web.site.catalog.write() as connection:  # nobody renews it here, and a page may take longer than it lasts
        connection.execute(update(upload).values(lease_until=web.site.catalog.now() + 3_600_000))
    where = f"/api/v1/imports/{uuid}"
    told = client.get(where).json()
    assert (told["silent_since"], told["message"]) == (None, "The import runs.")
    assert "Nothing of this import" not in client.get("/activity").text
    with web.site.catalog.write() as connection:
        connection.execute(update(upload).values(lease_until=web.site.catalog.now() - 1))
        lease_until = connection.execute(select(upload.c.lease_until)).scalar_one()
    (told,) = client.get("/api/v1/imports").json()["items"]
    assert told == client.get(where).json()
    assert (told["state"], told["waiting"], told["silent_since"]) == ("running", None, lease_until - LEASE_MS)
    since = datetime.fromtimestamp(told["silent_since"] // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    assert told["message"].startswith(f"Nothing of this import has been written to the catalog since {since}: ")
    assert f"Nothing of this import has been written to the catalog since {since}" in client.get("/activity").text


def test_an_import_tells_its_state_progress_and_outcome(web, client):
    uuid = send(client, project="P", filename="a.zip")
    lease = run(web)
    with web.site.catalog.write() as connection:
        values = {"stage": "reading", "entries_done": 3, "entries_total": 9, "bytes_done": 5, "bytes_total": None}
        connection.execute(insert(progress).values(upload_id=lease.upload_id, sessions='["L1"]', modified=1, **values))
    running = client.get(f"/api/v1/imports/{uuid}").json()
    assert (running["state"], running["cancelling"]) == ("running", False)
    assert running["progress"] == {
        "stage": "reading",
        "entries": {"done": 3, "total": 9},
        "bytes": {"done": 5, "total": None},
        "sessions": ["L1"],
        "modified": 1,
    }
    assert running["message"]
    end(web, lease, sessions=[a_session(label="L1")], received=3)
    answer = client.get(f"/api/v1/imports/{uuid}")
    ended = answer.json()
    assert (ended["id"], ended["upload"], ended["state"], ended["progress"]) == (uuid, uuid, "placed", None)
    assert ([one["label"] for one in ended["sessions"]], ended["seconds"]) == (["L1"], {"total": 1.5})
    assert ended["bytes"]["received"] == 3
    again = client.get(f"/api/v1/imports/{uuid}", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_report_that_waits_behind_intents_is_not_told_yet(web, client):
    uuid = send(client)
    lease = run(web)
    with web.site.catalog.write() as connection:
        report = format_outcome(ImportReport(upload=uuid, archive="a.zip", state=ImportState.PLACED))
        connection.execute(upload.update().where(upload.c.id == lease.upload_id).values(report=report))
    assert client.get(f"/api/v1/imports/{uuid}").json()["state"] == "running"


@pytest.mark.postgresql
def test_lists_come_by_pages_the_newest_first(client):
    sent = [send(client, **({"project": "P"} if n % 2 else {})) for n in range(5)]
    found, cursor = [], None
    while True:
        page = client.get("/api/v1/imports", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        found.append([item["id"] for item in page["items"]])
        cursor = page["next"]
        if cursor is None:
            break
    assert [len(page) for page in found] == [2, 2, 1]
    assert [one for page in found for one in page] == sent[::-1]
    of_project = client.get("/api/v1/imports?project=p").json()["items"]
    assert [item["id"] for item in of_project] == [sent[3], sent[1]]
    assert client.get("/api/v1/imports?state=placed").json()["items"] == []
    assert code(client.get("/api/v1/imports?cursor=x")) == (400, "cursor_invalid")
    assert code(client.get("/api/v1/imports?limit=0")) == (422, "request_invalid")


def test_imports_are_seen_by_owner_project_owners_and_administrators_alone(web, client):
    for name, role in (("mia", "member"), ("max", "member"), ("olga", "owner"), ("carl", "collaborator")):
        web.account(name, P=role)
    with web.client("mia") as mine:
        named, unnamed = send(mine, project="P"), send(mine)
    sees = {
        "mia": {named, unnamed},
        "admin": {named, unnamed},
        "olga": {named},
        "max": set(),
        "carl": set(),
    }
    for name, expected in sees.items():
        with web.client(name) as one:
            assert {item["id"] for item in one.get("/api/v1/imports").json()["items"]} == expected, name
            for uuid in (named, unnamed):
                for path in ("", "/events", "/receipt"):
                    answer = one.get(f"/api/v1/imports/{uuid}{path}") if path != "/events" else None
                    if answer is not None and uuid not in expected:
                        assert code(answer) == (404, "import_unknown"), (name, path)
                if uuid not in expected:
                    assert code(one.get(f"/api/v1/imports/{uuid}/events")) == (404, "import_unknown")
                    for verb in ("cancel", "retry"):
                        assert code(one.post(f"/api/v1/imports/{uuid}/{verb}")) == (404, "import_unknown")
                    assert code(one.delete(f"/api/v1/imports/{uuid}")) == (404, "import_unknown")
    with web.client(None) as stranger:
        assert code(stranger.get("/api/v1/imports")) == (401, "login_needed")
        assert code(stranger.get(f"/api/v1/imports/{named}")) == (401, "login_needed")


@pytest.mark.postgresql
def test_cancel_wins_before_the_intents_and_never_after(web, client):
    waiting, running, placing = (send(client) for _ in range(3))
    assert client.post(f"/api/v1/imports/{waiting}/cancel").json()["state"] == "cancelled"
    assert waiting not in web.spools()
    assert code(client.post(f"/api/v1/imports/{waiting}/cancel")) == (409, "import_ended")
    leases = {lease.uuid: lease for lease in (run(web), run(web))}
    answer = client.post(f"/api/v1/imports/{running}/cancel")
    assert (answer.status_code, answer.json()["state"], answer.json()["cancelling"]) == (202, "running", True)
    with web.site.catalog.write() as connection:
        number = leases[placing].upload_id
        made = connection.execute(insert(tree).values(upload_id=number, state="staged", created=1)).inserted_primary_key
        assert made is not None
        place = {"name": "archive/P/L", "staged": "tree/0", "inode": 1, "session": "{}", "keep_base": False}
        state = {"n": 0, "kind": IntentKind.PUBLISH, "state": "intent"}
        connection.execute(insert(intent).values(upload_id=number, tree_id=made[0], **state, **place))
    assert code(client.post(f"/api/v1/imports/{placing}/cancel")) == (409, "import_placing")
    with web.site.catalog.read() as connection:
        acts = connection.execute(select(audit.c.target).where(audit.c.action == "import_cancel")).scalars().all()
    assert sorted(acts) == sorted([waiting, running])


@pytest.mark.postgresql
def test_failed_imports_alone_are_tried_again(web, client):
    uuid = send(client)
    assert code(client.post(f"/api/v1/imports/{uuid}/retry")) == (409, "import_not_failed")
    end(web, run(web), ImportState.FAILED, code="disk_full")
    assert client.get(f"/api/v1/imports/{uuid}").json()["code"] == "disk_full"
    answer = client.post(f"/api/v1/imports/{uuid}/retry")
    assert (answer.status_code, answer.json()["state"], answer.json()["code"]) == (202, "received", "")
    assert run(web).uuid == uuid


@pytest.mark.parametrize(
    ("database_url", "back"), [("sqlite", True), ("sqlite", False), ("postgresql", True)], indirect=["database_url"]
)
def test_an_import_that_waits_for_its_next_attempt_says_when(web, client, back):
    uuid = send(client, project="P")
    lease, catalog = run(web), web.site.catalog
    why = Fault("attempt_killed", "The import's process was killed from outside.", "It is tried again.")
    if back:
        with catalog.write() as connection:
            requeue(catalog, connection, lease, why, attempt=1, seconds=3600)
    else:
        assert give_up_attempt(catalog, lease, counted=True, seconds=3600, code=why.code, message=str(why))
    with catalog.read() as connection:
        at = connection.execute(select(reception.c.retry_at)).scalar_one()
    when = datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    waiting = client.get(f"/api/v1/imports/{uuid}").json()
    assert waiting["message"] == (
        f"The import's process was killed from outside. It is tried again. The next attempt begins at {when}."
    )
    assert waiting["waiting"] == {"code": why.code, "message": str(why), "counted": True, "next_attempt": at}
    hurried = client.post(f"/api/v1/imports/{uuid}/retry")
    assert (hurried.status_code, hurried.json()["waiting"]["next_attempt"]) == (202, None)
    run(web)
    told = client.post(f"/api/v1/imports/{uuid}/retry")
    assert code(told) == (409, "import_not_failed")
    assert "Upload" not in told.json()["remedy"]


@pytest.mark.postgresql
def test_an_import_that_waits_for_the_machine_says_so_and_begins_at_once_when_asked(web, client):
    uuid = send(client, project="P")
    catalog = web.site.catalog
    full = Fault("disk_full", "No space left.", "Free some.")
    for seconds in (5, 10, 20):
        assert wait_or_fail(catalog, run(web), full, most_seconds=3600) == seconds
        told = client.get(f"/api/v1/imports/{uuid}").json()
        assert told["waiting"]["code"] == "disk_full"
        assert not told["waiting"]["counted"]
        assert told["message"].startswith("No space left. Free some. The import waits until that is mended;")
        assert claim(catalog, this_owner(), SlotUsage(1)) is None
        with catalog.write() as connection:
            connection.execute(update(reception).values(retry_at=0))
    assert 'scandock_imports_waiting{code="disk_full"} 1.0' in client.get("/metrics").text
    page = client.get("/activity").text
    assert "No space left. Free some." in page
    assert f"/imports/{uuid}/retry" in page
    with catalog.write() as connection:
        connection.execute(update(reception).values(retry_at=2**52))
    assert client.post(f"/api/v1/imports/{uuid}/retry").json()["waiting"]["next_attempt"] is None
    lease = run(web)
    assert client.get(f"/api/v1/imports/{uuid}").json()["attempt"] == 1
    assert wait_or_fail(catalog, lease, full, most_seconds=3600) == 5  # a person's retry begins the waiting anew


def test_waiting_for_the_machine_has_an_end_that_keeps_name_and_bytes(web, client):
    uuid = send(client, project="P")
    full = Fault("disk_full", "No space left.", "Free some.")
    assert wait_or_fail(web.site.catalog, run(web), full, most_seconds=5) == 5
    client.post(f"/api/v1/imports/{uuid}/retry")
    with web.site.catalog.write() as connection:
        connection.execute(update(reception).values(outages=1))
    assert wait_or_fail(web.site.catalog, run(web), full, most_seconds=5) is None
    told = client.get(f"/api/v1/imports/{uuid}").json()
    assert (told["state"], told["code"], told["message"]) == ("failed", "disk_full", "No space left. Free some.")
    assert (told["waiting"], told["attempt"]) == (None, 1)
    assert client.post(f"/api/v1/imports/{uuid}/retry").status_code == 202


def test_a_refusal_says_what_is_missing(web, client):
    web.account("vera", P="collaborator")
    read = client.post("/api/v1/tokens", json={"scope": "read"}).json()["token"]
    with web.client("vera") as vera, web.client(None, headers={"Authorization": f"Bearer {read}"}) as script:
        for answer, detail, remedy in (
            (vera.post("/api/v1/imports?project=P", content=b"x"), "Only members and owners", "Ask an owner"),
            (vera.patch("/api/v1/projects/P", json={"name": "Q"}), "Only owners", "Ask an owner"),
            (vera.get("/api/v1/audit"), "Only site administrators", "Ask one of them"),
            (vera.get("/api/v1/rules"), "Only site administrators", "Ask one of them"),
            (script.post("/api/v1/imports?project=P", content=b"x"), "scope is read", "scope upload or all"),
            (script.post("/api/v1/tokens", json={"scope": "all"}), "scope is read", "scope all"),
            (script.get("/api/v1/rules"), "scope is read", "scope all"),
        ):
            assert code(answer) == (403, "forbidden")
            assert detail in answer.json()["detail"]
            assert remedy in answer.json()["remedy"]


def test_slips_are_answered_in_plain_words(web, client):
    reserved = client.post("/api/v1/projects", json={"id": "unassigned"})
    assert code(reserved) == (400, "project_id_reserved")
    assert "is reserved" in reserved.json()["detail"]
    broken = client.post("/api/v1/projects", content=b'{"id": ', headers={"Content-Type": "application/json"})
    assert broken.status_code == 422
    assert broken.json()["detail"].startswith("The body is no JSON: ")
    assert broken.json()["detail"].endswith("at character 7.")
    wrong = client.request("TRACE", "/api/v1/tokens/x")
    assert code(wrong) == (405, "method_not_allowed")
    assert wrong.json()["remedy"] == f"Possible are {wrong.headers['allow']}."


@pytest.mark.postgresql
def test_deleting_forgets_an_import_and_leaves_what_it_stored(web, client):
    stored, refused = send(client), send(client)
    assert code(client.delete(f"/api/v1/imports/{stored}")) == (409, "import_running")
    for _ in range(2):
        lease = run(web)
        if lease.uuid == stored:
            with web.site.catalog.write() as connection:
                connection.execute(insert(tree).values(upload_id=lease.upload_id, state="current", created=1))
        receipt(web, lease.uuid)
        end(web, lease, ImportState.PLACED if lease.uuid == stored else ImportState.REFUSED)
    for uuid in (stored, refused):
        assert client.delete(f"/api/v1/imports/{uuid}").status_code == 204
        assert code(client.get(f"/api/v1/imports/{uuid}")) == (404, "import_unknown")
        assert code(client.delete(f"/api/v1/imports/{uuid}")) == (404, "import_unknown")
        with pytest.raises(FileNotFoundError):
            web.site.store.open_receipt(uuid)
    assert client.get("/api/v1/imports").json()["items"] == []
    with web.site.catalog.read() as connection:
        assert connection.execute(select(upload.c.uuid, upload.c.archive)).all() == [(stored, "")]
        assert len(connection.execute(select(tree.c.id)).all()) == 1
    assert check_data(web.site.data, load_settings()) == []  # its receipt went on purpose


def test_receipts_come_as_json_lines_and_csv_with_filters(web, client):
    uuid = send(client)
    assert code(client.get(f"/api/v1/imports/{uuid}/receipt")) == (404, "receipt_none")
    receipt(web, uuid)
    for coding in ("gzip", "identity"):
        whole = client.get(f"/api/v1/imports/{uuid}/receipt", headers={"Accept-Encoding": coding})
        assert [json.loads(line) for line in whole.text.splitlines()] == RECEIPT
        assert whole.headers["content-type"] == "application/x-ndjson"
        assert ("content-encoding" in whole.headers) == (coding == "gzip")
    some = client.get(f"/api/v1/imports/{uuid}/receipt?format=csv&verdict=junk")
    assert some.text.splitlines()[1:] == ["a.zip,f1,1,,junk,c,m,", "a.zip,f3,3,,junk,c,m,"]
    assert some.headers["content-disposition"] == f'attachment; filename="receipt-{uuid}.csv"'
    assert code(client.get(f"/api/v1/imports/{uuid}/receipt?verdict=jnk")) == (400, "verdict_unknown")
    assert code(client.get(f"/api/v1/imports/{uuid}/receipt?format=xml")) == (422, "request_invalid")


def read_events(client, uuid, **more):
    """(id, kind, data) of each event until the stream ends."""
    found = []
    with client.stream("GET", f"/api/v1/imports/{uuid}/events", **more) as answer:
        if answer.status_code != 200:
            return answer.status_code
        assert answer.headers["content-type"].startswith("text/event-stream")
        number, kind = None, None
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name == "id":
                number = int(value)
            elif name == "event":
                kind = value
            elif name == "data":
                found.append((number, kind, json.loads(value)))
                number = kind = None
    return found


@pytest.mark.postgresql
def test_events_come_as_they_happen_end_with_the_outcome_and_resume(site, monkeypatch):
    monkeypatch.setattr(server_sent_events, "LOOK_SECONDS", 0.02)
    with serve_by_socket(site.data, site.settings) as web, web.client() as client:
        uuid = send(client)
        heard = []
        reader = threading.Thread(target=lambda: heard.extend(read_events(client, uuid)))
        reader.start()
        lease = run(web)
        end(web, lease)
        reader.join(20)
        assert not reader.is_alive()
        kinds = [kind for _, kind, _ in heard]
        assert kinds[0] == "import"
        assert [kind for kind in kinds if kind != "import"] == ["received", "running", "outcome"]
        numbers = [number for number, kind, _ in heard if kind != "import"]
        assert numbers == sorted(numbers)
        for more in ({"headers": {"Last-Event-ID": str(numbers[0])}}, {"params": {"after": numbers[0]}}):
            assert [kind for _, kind, _ in read_events(client, uuid, **more)] == ["running", "outcome"]
        assert read_events(client, uuid, headers={"Last-Event-ID": str(numbers[-1])}) == 204
        assert read_events(client, uuid, headers={"Last-Event-ID": "x"}) == 400


def test_streams_end_with_the_server(site, monkeypatch):
    monkeypatch.setattr(server_sent_events, "HEARTBEAT_SECONDS", 0.0)
    with serve_by_socket(site.data, site.settings) as web, web.client() as client:
        uuid = send(client)
        with client.stream("GET", f"/api/v1/imports/{uuid}/events") as answer:
            lines = answer.iter_lines()
            while next(lines) != ": still here":
                pass
            web.app.state.server.stopping.set()
            assert [line for line in lines if line.startswith("event")] == []


def test_projects_are_made_by_anybody_who_is_signed_in_and_owned_by_them(web, client):
    web.account("mia")
    with web.client("mia") as mia:
        made = mia.post("/api/v1/projects", json={"id": "Q", "name": "Second"})
        assert (made.status_code, made.json()["id"], made.json()["name"]) == (201, "Q", "Second")
        assert mia.post("/api/v1/imports?project=Q", content=b"x").status_code == 202
        assert mia.get("/api/v1/auth/me").json()["roles"] == {"Q": "owner"}
        assert code(mia.post("/api/v1/projects", json={"id": "p"})) == (409, "project_exists")
        assert code(mia.post("/api/v1/projects", json={"id": "a b"})) == (400, "project_id_invalid")
        assert code(mia.post("/api/v1/projects", json={"name": "x"})) == (422, "request_invalid")
    with web.client(None) as stranger:
        assert code(stranger.post("/api/v1/projects", json={"id": "R"})) == (401, "login_needed")


def test_a_login_by_cookie_needs_its_mark_to_change_anything(web):
    with web.client(None) as browser:
        wrong = browser.post("/api/v1/auth/login", json={"name": "admin", "password": "no"})
        assert code(wrong) == (401, "login_failed")
        made = browser.post("/api/v1/auth/login", json={"name": "admin", "password": PASSWORD})
        assert made.status_code == 200
        cookie = made.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert browser.get("/api/v1/auth/me").json()["csrf"] == made.json()["csrf"]
        unmarked = browser.post("/api/v1/imports", content=b"x")
        assert code(unmarked) == (403, "csrf_failed")
        assert "X-CSRF-Token" in unmarked.json()["remedy"]
        marked = {"X-CSRF-Token": made.json()["csrf"]}
        assert browser.post("/api/v1/imports", content=b"x", headers=marked).status_code == 202
        assert browser.post("/api/v1/auth/logout", headers=marked).status_code == 204
        assert code(browser.get("/api/v1/auth/me")) == (401, "login_needed")
    with web.client(None, cookies={"scandock_session": made.cookies["scandock_session"]}) as thief:
        assert thief.get("/api/v1/auth/me").status_code == 401


def test_tokens_serve_what_they_are_for(web, client):
    made = client.post("/api/v1/tokens", json={"scope": "upload", "days": 2, "name": "scanner"}).json()
    (listed,) = client.get("/api/v1/tokens").json()["items"]
    assert (listed["alias"], listed["name"], "secret" in listed) == (made["alias"], "scanner", False)
    with web.client(None, headers={"Authorization": f"Bearer {made['token']}"}) as script:
        uuid = send(script, project="P")
        assert script.get(f"/api/v1/imports/{uuid}").status_code == 200
        assert code(script.post("/api/v1/projects", json={"id": "Q"})) == (403, "forbidden")
        assert client.delete(f"/api/v1/tokens/{made['alias']}").status_code == 204
        assert code(script.get(f"/api/v1/imports/{uuid}")) == (401, "login_failed")
    assert code(client.delete(f"/api/v1/tokens/{made['alias']}")) == (404, "token_unknown")


def test_a_token_for_uploads_is_told_that_lists_are_not_its_own(web, client):
    made = client.post("/api/v1/tokens", json={"scope": "upload", "name": "scanner"}).json()
    with web.client(None, headers={"Authorization": f"Bearer {made['token']}"}) as script:
        for name in ("sessions", "subjects", "prearchive", "trash"):
            assert code(script.get(f"/api/v1/{name}")) == (403, "forbidden"), name
        assert [one["id"] for one in script.get("/api/v1/projects").json()["items"]] == ["P"]


def test_filters_that_mean_nothing_are_refused(client, subtests):
    for asked in (
        "imports?state=bogus",
        "imports?state=placed,bogus",
        "imports?sate=placed",
        "imports?limit=1&limit=2",
        "sessions?projct=P",
        "sessions?project=P&project=Q",
        "prearchive?state=held",
        "prearchive?code=bogus",
        "audit?action=bogus",
        "audit?outcome=bogus",
        "audit?kind=bogus",
        "audit?sinze=1",
        "accounts?limti=1",
        "projects/P?limti=1",  # which heeds conditions
    ):
        with subtests.test(asked=asked):
            assert code(client.get(f"/api/v1/{asked}")) == (400, "request_invalid")


def test_a_misspelt_name_changes_nothing(client):
    answer = client.post("/api/v1/prearchive/x/archive?dryrun=true", json={})
    assert code(answer) == (400, "request_invalid")
    assert answer.json()["remedy"] == "Do you mean dry_run?"


def test_imports_are_listed_by_several_states(web, client):
    first, second, _ = send(client), send(client), send(client)
    uuids = set()
    for state in (ImportState.REFUSED, ImportState.FAILED):
        lease = run(web)
        uuids.add(lease.uuid)
        end(web, lease, state)
    assert uuids == {first, second}
    for asked in ("state=refused,failed", "state=refused&state=failed"):
        assert {one["id"] for one in client.get(f"/api/v1/imports?{asked}").json()["items"]} == uuids


def test_the_trail_takes_dates(client):
    lines = client.get("/api/v1/audit").json()["items"]
    day, moment = lines[0]["time"][:10], lines[0]["time"]
    for since in (day, moment, moment.replace("+00:00", "Z"), f"{day}T00:00:00", str(lines[0]["at"])):
        assert lines[0] in client.get("/api/v1/audit", params={"since": since}).json()["items"], since
    assert lines[0] in client.get(f"/api/v1/audit?since={moment}").json()["items"]  # its + comes as a space
    assert client.get("/api/v1/audit", params={"until": "2001-01-01"}).json()["items"] == []
    assert code(client.get("/api/v1/audit", params={"since": "yesterday"})) == (422, "request_invalid")


def test_every_error_is_a_problem_with_a_code_and_the_requests_id(client):
    answers = {
        404: client.get("/nothing/here", headers={"X-Request-Id": "mine-1"}),
        405: client.put("/api/v1/imports", headers={"X-Request-Id": "mine-1"}),
        422: client.post("/api/v1/projects", json=[], headers={"X-Request-Id": "mine-1"}),
        400: client.post("/api/v1/imports?projct=P", content=b"x", headers={"X-Request-Id": "mine-1"}),
    }
    for status, answer in answers.items():
        said = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.status_code, said["status"], said["request_id"]) == (status, status, "mine-1")
        assert answer.headers["x-request-id"] == "mine-1"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert said["type"].endswith(said["code"])
        assert said["detail"]
    assert answers[405].headers["allow"]
    odd = client.get("/healthz", headers={"X-Request-Id": "<script>"})
    assert odd.headers["x-request-id"] != "<script>"


def test_what_nobody_foresaw_is_a_problem_too(web, client, monkeypatch):
    def broken(_checks):
        raise RuntimeError("secret")

    monkeypatch.setattr(web.site.metrics, "text", broken)
    answer = client.get("/metrics")
    assert code(answer) == (500, "internal")
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"] == answer.json()["request_id"]


def test_the_front_answers_itself(web):
    with web.client(None) as stranger:
        answer = stranger.get("/")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert stranger.get("/healthz").json() == {"status": "ok"}
        description = stranger.get("/api/openapi.json")
        described = description.json()
    prose = re.sub('["`]colour["`]', "", description.text)  # a value of `kind`, which clients know
    assert not re.findall(BRITISH, prose)
    assert {"/api/v1/imports", "/api/v1/uploads", "/api/v1/imports/{id}/events"} <= described["paths"].keys()


@pytest.mark.postgresql
def test_readiness_says_what_is_not_ready(web, client, monkeypatch):
    assert client.get("/readyz").json() == {
        "ready": True,
        "checks": dict.fromkeys(("catalog", "store", "workers"), "ok"),
    }
    monkeypatch.setattr(web.site, "workers_ready", lambda: "no worker listens")
    monkeypatch.setattr(readiness, "FRESH_SECONDS", 0.0)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"ready": False, "checks": {"catalog": "ok", "store": "ok", "workers": "worker_missing"}}


@pytest.mark.postgresql
def test_metrics_count_each_outcome_once(web, client):
    for _ in range(3):
        send(client)
    end(web, run(web))
    end(web, run(web), ImportState.REFUSED)
    for _ in range(2):
        text = client.get("/metrics").text
        found = dict(line.rsplit(" ", 1) for line in text.splitlines() if line and line[0] != "#")
        assert found['scandock_imports_total{state="placed"}'] == "1.0"
        assert found['scandock_imports_total{state="refused"}'] == "1.0"
        assert found['scandock_imports_total{state="failed"}'] == "0.0"
        assert found['scandock_queue_length{state="received"}'] == "1.0"
        assert found["scandock_received_bytes_total"] == "9.0"
        assert found['scandock_requests_total{method="POST",route="/api/v1/imports",status="202"}'] == "3.0"
        assert found['scandock_stage_seconds_count{stage="total"}'] == "2.0"
    with web.site.catalog.write() as connection:
        connection.execute(reception.update().values(accepted=reception.c.accepted - 60_000))
    found = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if line[0] != "#")
    assert float(found["scandock_queue_oldest_seconds"]) >= 60
