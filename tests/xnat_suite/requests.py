"""The requests that the original's suite makes of its objects, made anew."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx

Row = dict[str, str]


@dataclass
class Suite:
    """One test's project, its owner's and the administrator's clients, and the files that are sent."""

    main: httpx.Client
    admin: httpx.Client
    data: Path
    project: str
    made: list[str] = field(default_factory=list)

    def file(self, name: str) -> bytes:
        """The bytes of a file of the suite."""
        return (self.data / name).read_bytes()

    def new_project(self, suffix: str, **params: str) -> str:
        """Make another project of this test's; gives its id."""
        project = f"{self.project}_{suffix}"
        assert self.main.put(f"/data/projects/{project}", params=params).status_code in (200, 201)
        return project

    def subject(self, subject: str) -> str:
        return f"/data/projects/{self.project}/subjects/{subject}"

    def session(self, subject: str, session: str) -> str:
        return f"{self.subject(subject)}/experiments/{session}"

    def make_subject(self, subject: str, **params: str) -> str:
        """Make a subject; gives its address."""
        address = self.subject(subject)
        expect(self.main.put(address, params=params), 200, 201)
        return address

    def make_session(self, subject: str, session: str, kind: str = "mr", **params: str) -> str:
        """Make an empty session, and its subject where that is missing; gives its address."""
        address = self.session(subject, session)
        expect(self.main.put(address, params={"xsiType": f"xnat:{kind}SessionData", **params}), 200, 201)
        return address

    def make_scan(self, session: str, scan: str, kind: str = "mr", **params: str) -> str:
        """Make an empty scan of a session that is named by its address; gives the scan's address."""
        address = f"{session}/scans/{scan}"
        expect(self.main.put(address, params={"xsiType": f"xnat:{kind}ScanData", **params}), 200, 201)
        return address

    def put_file(self, address: str, name: str, **params: str) -> None:
        """Upload a file of the suite as a form."""
        expect(self.main.put(address, files=form(name, self.file(name)), params=params), 200)

    def send(self, name: str, body: bytes | None = None, **params: str) -> httpx.Response:
        """Import a file of the suite, or these bytes by its name."""
        params = {key.replace("__", "-"): value for key, value in params.items()}
        sent = self.file(name) if body is None else body
        return self.main.post("/data/services/import", params=params, files=form(name, sent))

    def imported(self, name: str, body: bytes | None = None, **params: str) -> str:
        """Import as `send` does; gives the address that the answer names."""
        return expect(self.send(name, body, **params), 200).text.strip()

    def rows(self, address: str, **params: str) -> list[Row]:
        """The rows of a listing."""
        answer = expect(self.main.get(address, params={"format": "json", **params}), 200)
        rows: list[Row] = answer.json()["ResultSet"]["Result"]
        return rows

    def is_file(self, address: str, name: str) -> None:
        """What is at this address is this file of the suite."""
        assert expect(self.main.get(address), 200).content == self.file(name)

    def waiting(self, project: str | None = None, **wanted: str) -> list[Row]:
        """The sessions of a project's prearchive of which this is true."""
        rows = self.rows(f"/data/prearchive/projects/{project or self.project}")
        return [row for row in rows if wanted.items() <= row.items()]


def form(name: str, body: bytes) -> dict[str, Any]:
    return {"file": (Path(name).name, body)}


def expect(answer: httpx.Response, *statuses: int) -> httpx.Response:
    """The answer, once it has one of these statuses."""
    assert answer.status_code in statuses, f"{answer.request.url}: {answer.status_code} {answer.text[:400]}"
    return answer


def members(packed: bytes) -> dict[str, bytes]:
    """The files of a zip."""
    with zipfile.ZipFile(BytesIO(packed)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}
