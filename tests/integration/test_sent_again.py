"""An idempotency key that comes again: the same bytes give the same import, others are refused, never lost."""

from __future__ import annotations

import hashlib

import pytest

from scandock.catalog.tables import upload
from scandock.rules.import_request import ImportRequest
from scandock.services.receiving import UploadOffer
from tests.integration.web import serve_in_process

KEY = {"Idempotency-Key": "k-1"}
BODY = hashlib.shake_256(b"first").digest(2_500_000)
ASKED = "/api/v1/imports?project=P&filename=a.zip"


@pytest.fixture
def web(tmp_path):
    with serve_in_process(tmp_path / "data") as running:
        yield running


def reused(answer):
    return (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")


def form(body, filename="a.zip", *, before=(), after=()):
    def fields(pairs):
        return b"".join(
            f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in pairs
        )

    archive = f'--b\r\nContent-Disposition: form-data; name="image"; filename="{filename}"\r\n\r\n'.encode()
    content = fields(before) + archive + body + b"\r\n" + fields(after) + b"--b--\r\n"
    return {"content": content, "headers": {"Content-Type": "multipart/form-data; boundary=b", **KEY}}


def test_the_same_bytes_give_the_same_import_also_once_it_has_ended(client, web):
    first = client.post(ASKED, content=BODY, headers=KEY).json()["id"]
    assert client.post(ASKED, content=BODY, headers=KEY).json()["id"] == first
    assert client.post(ASKED, content=iter([BODY]), headers=KEY).json()["id"] == first  # without a stated length
    with web.site.catalog.write() as connection:
        connection.execute(upload.update().where(upload.c.uuid == first).values(state="placed"))
    web.site.store.spool(first).discard()
    again = client.post(ASKED, content=BODY, headers=KEY)
    assert (again.status_code, again.json()["id"]) == (202, first)
    assert web.spools() == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ASKED, BODY[:-1]),
        (ASKED, BODY + b"x"),
        (ASKED, BODY[:-1] + bytes([BODY[-1] ^ 1])),
        (ASKED, iter([BODY[:-1]])),
        (ASKED, iter([BODY, b"x"])),
        (ASKED.replace("a.zip", "b.zip"), BODY),
        (ASKED + "&mapping=folder,subject%0Aa,b", BODY),
    ],
    ids=["shorter", "longer", "one bit", "shorter chunks", "longer chunks", "filename", "mapping"],
)
def test_another_raw_body_is_refused(client, web, path, body):
    first = client.post(ASKED, content=BODY, headers=KEY).json()["id"]
    assert reused(client.post(path, content=body, headers=KEY))
    assert web.spools() == [first]
    assert web.spool(first) == BODY


def test_another_multipart_body_is_refused(client, web):
    sent = {"before": [("project", "P")], "after": [("subject", "S1")]}
    first = client.post("/api/v1/imports", **form(BODY, **sent)).json()
    assert client.post("/api/v1/imports", **form(BODY, **sent)).json()["id"] == first["id"]
    for other in (
        form(BODY[:-1], **sent),
        form(BODY[:-1] + bytes([BODY[-1] ^ 1]), **sent),
        form(BODY, "b.zip", **sent),
        form(BODY, before=[("project", "P")], after=[("subject", "S2")]),
        form(BODY, before=[("project", "P")]),
    ):
        assert reused(client.post("/api/v1/imports", **other))
    assert web.spools() == [first["id"]]


def test_another_resumable_upload_is_refused(client, web):
    def make(length, metadata="filename YS56aXA="):
        said = {"Tus-Resumable": "1.0.0", "Upload-Length": length, "Upload-Metadata": metadata, **KEY}
        return client.post("/api/v1/uploads", headers=said)

    first = make("100")
    assert make("100").headers["location"] == first.headers["location"]
    assert reused(make("101"))
    assert reused(make("100", "filename Yi56aXA="))
    assert reused(client.post("/api/v1/imports?filename=a.zip", content=b"x" * 100, headers=KEY))


def test_a_key_of_an_upload_that_was_cancelled_while_it_came_is_not_answered_with_it(client, web):
    mia = web.account("mia", P="member")
    offer = UploadOffer(
        account_id=mia, door="raw", filename="a.zip", request=ImportRequest(project="P"), idempotency_key="k-1"
    )
    begun = web.site.receiving.begin(offer)
    with web.client("mia") as hers:
        assert client.post(f"/api/v1/imports/{begun.uuid}/cancel").status_code == 202
        assert reused(hers.post(ASKED, content=BODY, headers=KEY))
