"""Which projects an import asks about: a site has hundreds, and each right takes questions to the catalog."""

from __future__ import annotations

from pathlib import Path

import pytest

from scandock.catalog.engine import Catalog
from scandock.catalog.projects import ProjectRow, add_project
from scandock.services import upload_rights
from scandock.testing.worker import InProcessWorker
from tests.badinput.objects import Image
from tests.builders import images, uploader_layout, zip_entries
from tests.integration.web import serve_in_process

ZIP = {"Content-Type": "application/zip"}


@pytest.mark.parametrize(
    ("project", "objects"),
    [("p2", images(1)), ("", [Image(case="routed", also={0x00081030: (b"LO", b"P2")}).file()])],
    ids=["asked for", "named by headers"],
)
def test_rights_are_looked_up_to_the_project_alone_that_an_import_goes_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: str, objects: list[bytes]
) -> None:
    asked = set()
    may_upload = upload_rights.may_upload

    def note_project(catalog: Catalog, account_id: int, name: str) -> bool:
        asked.add(name)
        return may_upload(catalog, account_id, name)

    monkeypatch.setattr(upload_rights, "may_upload", note_project)
    data = tmp_path / "data"
    with serve_in_process(data) as web, InProcessWorker(data):
        for number in (1, 2, 3):
            add_project(web.site.catalog, ProjectRow(name=f"P{number}"))
        web.account("mia", P1="member", P2="member", P3="member")
        body = zip_entries(uploader_layout("x", "1", objects))
        with web.client("mia") as client:
            answer = client.post("/data/services/import", params={"project": project}, content=body, headers=ZIP)
    assert "/projects/P2/" in answer.text, answer.text
    assert asked == {"P2"}
