"""The page of one import: what leads to it, and what it shows."""

from __future__ import annotations

import json
import re

import httpx
import pytest
from sqlalchemy import insert, select, update

from scandock.catalog.server_tables import reception
from scandock.catalog.tables import upload, upload_exception
from scandock.model.import_report import ImportReport
from scandock.model.imported import ImportedSession
from scandock.model.verdicts import ImportState, Verdict
from scandock.queue.claim import SlotUsage, claim
from scandock.queue.leases import finish
from scandock.queue.owner import this_owner
from tests.import_records import a_session
from tests.integration.web import Web


def send(client: httpx.Client, name: str = "a.zip") -> str:
    answer = client.post("/api/v1/imports", params={"project": "P", "filename": name}, content=b"abc")
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def end(web: Web, state: ImportState, message: str = "", **entries: int) -> None:
    """End the oldest import that waits, as a worker does."""
    end_with(web, state, message, [a_session(label="Anna_1", state="prearchive")], **entries)


def end_with(web: Web, state: ImportState, message: str, sessions: list[ImportedSession], **entries: int) -> None:
    found = claim(web.site.catalog, this_owner(), SlotUsage(4))
    assert found is not None
    counts = {verdict.value: entries.get(verdict.value, 0) for verdict in Verdict}
    report = ImportReport(
        upload=found.lease.uuid, archive="a.zip", state=state, message=message, sessions=sessions, entries=counts
    )
    with web.site.catalog.write() as connection:
        finish(web.site.catalog, connection, found.lease, report)


def test_it_shows_state_message_and_sessions(web: Web, client: httpx.Client) -> None:
    uuid = send(client)
    waiting = client.get(f"/imports/{uuid}")
    assert waiting.status_code == 200
    assert "Import of a.zip</h1>" in waiting.text
    assert ">waiting</span>" in waiting.text
    end(web, ImportState.PARTLY, "2 files can't be read.")
    ended = client.get(f"/imports/{uuid}").text
    assert ">imported in part</span>" in ended
    assert "2 files can&#39;t be read." in ended
    assert "Anna_1" in ended


@pytest.mark.parametrize("at", ["/", "/activity"])
def test_overview_and_activity_link_there(web: Web, client: httpx.Client, at: str) -> None:
    uuid = send(client)
    assert f'href="/imports/{uuid}"' in client.get(at).text
    assert not re.search(r'href="/activity#', client.get(at).text)


def test_receipt_and_deletion_lead_back_to_it(web: Web, client: httpx.Client) -> None:
    uuid = send(client)
    end(web, ImportState.FAILED)
    assert f'href="/imports/{uuid}"' in client.get(f"/imports/{uuid}/forget").text


def test_a_form_that_acts_on_it_leads_to_it(web: Web, client: httpx.Client) -> None:
    """Without scripts: cancel and retry say there what was done, and so does the upload's own form."""
    uuid = send(client)
    cancelled = client.post(f"/imports/{uuid}/cancel")
    assert (cancelled.status_code, cancelled.headers["location"]) == (303, f"/imports/{uuid}?said=import-cancelled")
    failed = send(client)
    end(web, ImportState.FAILED)
    retried = client.post(f"/imports/{failed}/retry")
    assert (retried.status_code, retried.headers["location"]) == (303, f"/imports/{failed}?said=import-retried")
    sent = client.post("/upload", data={"project": "P"}, files={"archive": ("b.zip", b"abc")})
    assert sent.status_code == 303, sent.text
    where, _, said = sent.headers["location"].partition("?")
    assert said == "said=uploaded"
    assert "Import of b.zip</h1>" in client.get(where).text


def test_the_plain_form_is_refused_where_it_names_no_project(web: Web, client: httpx.Client) -> None:
    """Its file goes first: what stands behind it is looked at before the upload is accepted. The API takes none."""
    boundary = {"Content-Type": "multipart/form-data; boundary=b", "Accept": "text/html"}

    def sent(**fields: str) -> httpx.Response:
        parts = [
            'name="file"; filename="b.zip"\r\n\r\nabc',
            *(f'name="{key}"\r\n\r\n{value}' for key, value in fields.items()),
        ]
        body = "".join(f"--b\r\nContent-Disposition: form-data; {part}\r\n" for part in parts) + "--b--\r\n"
        return client.post("/upload", content=body.encode(), headers=boundary)

    for fields, status, heading in [
        ({"where": "project", "project": " "}, 400, "Name a project, or choose Upload without a project"),
        ({"where": "project", "project": "NOPE"}, 404, "No project NOPE, or you may not upload to it"),
    ]:
        answer = sent(**fields)
        assert (answer.status_code, f"<h1>{heading}</h1>" in answer.text) == (status, True), answer.text
        assert answer.text.count("NOPE") <= 2
    assert client.get("/api/v1/imports").json()["items"] == []
    assert sent(where="headers", project="").status_code == 303
    assert client.post("/api/v1/imports", data={"project": ""}, files={"archive": ("b.zip", b"abc")}).status_code == 202


def test_exceptions_come_before_sessions(web: Web, client: httpx.Client) -> None:
    uuid = send(client)
    end(web, ImportState.PARTLY, "2 files can't be read.", unparseable=2)
    with web.site.catalog.write() as connection:
        number = connection.execute(select(upload.c.id).where(upload.c.uuid == uuid)).scalar_one()
        values = {"upload_id": number, "verdict": "unparseable", "code": "no_study_uid", "message": "It is cut."}
        for n in range(2):
            connection.execute(insert(upload_exception).values(n=n, path=f"a/{n}<b>.dcm", **values))
    text = client.get(f"/imports/{uuid}").text
    assert "2 files need attention" in text
    found = [text.index(words) for words in ("a/0&lt;b&gt;.dcm", "a/1&lt;b&gt;.dcm", "Anna_1")]
    assert found == sorted(found)
    assert text.count("Export it from a system that writes UIDs.") == text.count("It is cut.") == 1  # said once of both
    assert "and 1 other file" in text


def test_a_study_that_was_refused_is_told_of_once_and_in_plain_words(web: Web, client: httpx.Client) -> None:
    uuid = send(client)
    end_with(web, ImportState.REFUSED, "It is no archive.", [])
    assert client.get(f"/imports/{uuid}").text.count("It is no archive.") == 1
    uuid = send(client)
    refused = a_session(state="refused", code="c", message="No.", study_uid="1.2.826.0.1.3680043")
    end_with(web, ImportState.REFUSED, "Nothing was taken.", [refused])
    text = client.get(f"/imports/{uuid}").text
    assert "study <code>" not in text
    assert "its UID ends in .3680043" in text
    forgets = client.get(f"/imports/{uuid}/forget").text
    assert "stay where" not in forgets  # no session is left of it
    assert ">refused</span>" in forgets


def test_what_was_decided_needs_no_attention(web: Web, client: httpx.Client) -> None:
    """None of its sessions waits: of one that is in part, what can't be read stays to be looked at."""
    for state, unparseable in ((ImportState.HELD, 0), (ImportState.PARTLY, 2)):
        uuid = send(client)
        end(web, state, "1 session is held.", conflict=12, unparseable=unparseable)
        with web.site.catalog.write() as connection:
            number = connection.execute(select(upload.c.id).where(upload.c.uuid == uuid)).scalar_one()
            for n in range(12 + unparseable):
                verdict, code = ("conflict", "sop_clash") if n < 12 else ("unparseable", "no_study_uid")
                values = {"verdict": verdict, "code": code, "message": f"It differs at byte {n}."}
                connection.execute(insert(upload_exception).values(upload_id=number, n=n, path=f"a/{n}.dcm", **values))
        text = client.get(f"/imports/{uuid}").text
        assert "12 conflict when the import ended" in text or unparseable
        assert ("It was held for a decision, which has been made." in text) is (state is ImportState.HELD)
        assert "at byte 0" not in text
        assert re.findall(r"(\d+ files?) needs? attention", text) == (["2 files"] if unparseable else [])
    assert "and 1 other file" in text  # one of the same code, though not of the same words
    assert text.count("It differs at byte 13.") == 1


def test_an_upload_that_nobody_sends_any_more_is_interrupted(web: Web, client: httpx.Client) -> None:
    tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "9", "Upload-Metadata": "filename YS56aXA="}
    uuid = client.post("/api/v1/uploads", headers=tus).headers["location"].rpartition("/")[2]
    assert "Interrupted" not in client.get(f"/imports/{uuid}").text
    assert ">uploading</span>" in client.get(f"/imports/{uuid}").text
    shown = re.search(r' data-silence="(\d+)"', client.get("/activity").text)
    assert shown is not None  # from when on the page's script counts the two minutes
    assert int(shown[1]) < 120_000
    with web.site.catalog.write() as connection:
        connection.execute(update(reception).values(heard=reception.c.heard - 120_000))
    text = client.get(f"/imports/{uuid}").text
    assert "Interrupted: nothing of it has arrived for two minutes." in text
    assert f'<a class="button" href="/upload?upload={uuid}">Go on</a>' in text
    for at in (f"/imports/{uuid}", "/activity", f"/activity/{uuid}", "/"):
        assert '<span class="state held">interrupted</span>' in client.get(at).text, at
    assert f'href="/upload?upload={uuid}"' in client.get("/activity").text
    decide = client.get("/").text.partition("Needs your decision")[2].partition("</section>")[0]
    assert f'<li data-upload="{uuid}"><span class="state held">interrupted</span>' in decide
    assert f'href="/upload?upload={uuid}" aria-label="Go on: a.zip">Go on</a>' in decide
    begin = client.get("/api/v1/events", params={"follow": "no"}).text
    assert json.loads(begin.partition("data: ")[2].partition("\n")[0])["imports"][0]["silent"] >= 120_000
    assert "Interrupted" not in client.get(f"/api/v1/imports/{uuid}").text  # a word of pages alone
    web.account("second", admin=True)
    with web.client("second") as other:
        text = other.get(f"/imports/{uuid}").text
        assert "Needs your decision" not in other.get("/").text
    assert "Interrupted" in text
    assert f"/upload?upload={uuid}" not in text


def test_who_may_not_see_an_import_hears_of_none(web: Web, client: httpx.Client) -> None:
    uuid = send(client)
    web.account("col", P="collaborator")
    with web.client("col") as other:
        assert other.get(f"/imports/{uuid}").status_code == 404
        page = other.get("/imports/no-such-import", headers={"accept": "text/html"})
        assert page.status_code == 404
        assert "import_unknown" not in page.text  # a code is for programs
