"""A slip of the pen in what an upload names: refused by each door, and nothing is kept."""

from __future__ import annotations

import base64

import pytest

from tests.integration.web import serve_in_process


@pytest.fixture
def web(tmp_path):
    with serve_in_process(tmp_path / "data") as running, running.client() as admin:
        assert admin.post("/api/v1/projects", json={"id": "Q", "name": "Second"}).status_code == 201
        yield running


def form(*fields, behind=()):
    def parts(pairs):
        return b"".join(
            f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in pairs
        )

    archive = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.zip"\r\n\r\nPK\r\n'
    content = parts(fields) + archive + parts(behind) + b"--b--\r\n"
    return {"content": content, "headers": {"Content-Type": "multipart/form-data; boundary=b"}}


@pytest.mark.parametrize(
    ("query", "sent", "what"),
    [
        ("", form(("projct", "P")), "projct"),
        ("", form(behind=[("projct", "P")]), "projct"),
        ("", form(("project", "P"), ("project", "Q")), "twice"),
        ("", form(("project", "P"), behind=[("project", "Q")]), "twice"),
        ("?project=Q", form(("project", "P")), "project"),
        ("?project=Q", form(behind=[("project", "P")]), "project"),
        ("?subject=S", form(("project", "P"), ("subject", "T")), "subject"),
        ("?project=P&project=Q", form(), "twice"),
        ("?projct=P", form(), "projct"),
        ("?project=P&project=Q", {"content": b"PK"}, "twice"),
        ("?projct=P", {"content": b"PK"}, "projct"),
    ],
)
def test_a_slip_is_refused(web, query, sent, what):
    with web.client() as client:
        answer = client.post(f"/api/v1/imports{query}", **sent)
        assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid"), answer.text
        assert what in answer.json()["detail"]
        assert client.get("/api/v1/imports").json()["items"] == []
    assert web.spools() == []


def test_what_query_and_form_say_alike_is_taken(web):
    with web.client() as client:
        answer = client.post("/api/v1/imports?project=Q&subject=S", **form(("project", "Q"), ("session", "L")))
    assert (answer.status_code, answer.json()["project"]) == (202, "Q")


def test_a_near_miss_in_metadata_is_refused(web):
    def make(name):
        value = base64.b64encode(b"P").decode()
        said = {"Tus-Resumable": "1.0.0", "Upload-Length": "10", "Upload-Metadata": f"{name} {value}"}
        return client.post("/api/v1/uploads", headers=said)

    with web.client() as client:
        refused = make("projct")
        assert (refused.status_code, refused.json()["code"]) == (400, "tus_metadata")
        assert make("filetype").status_code == 201
