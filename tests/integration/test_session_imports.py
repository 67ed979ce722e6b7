"""Sessions that move into projects with other rules: an import by a worker takes them, and their old tree goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
from sqlalchemy import select

from scandock.access.principal import Door, Principal
from scandock.catalog.engine import Catalog
from scandock.catalog.projects import ProjectRow, add_project
from scandock.catalog.records import SessionRecord
from scandock.catalog.server_tables import account
from scandock.catalog.sessions import find_session
from scandock.catalog.tables import file, tree, upload
from scandock.model.verdicts import FINAL
from scandock.rules.privacy import PrivacyRules
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import open_data
from scandock.services.moving import move_session
from scandock.services.outcomes import Outcome
from scandock.testing.privacy import given_privacy
from scandock.testing.server import add_account
from scandock.testing.worker import InProcessWorker
from tests.builders import DataFolder, Image, make_data_folder
from tests.crash.processes import until

KEY = b"k" * 32
HASHED = """version "6.1"
(0008,1030) := project
(0010,0010) := subject
(0010,0020) := session
(0020,000D) := hashUID[(0020,000D)]
(0020,000E) := hashUID[(0020,000E)]
(0008,0018) := hashUID[(0008,0018)]
"""
BY_SCRIPT = PrivacyRules(key=KEY, scripts=(HASHED,))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    folder = make_data_folder(tmp_path, monkeypatch, database_url)
    folder.scrubs = True
    return folder


@contextmanager
def services(site: DataFolder) -> Iterator[ServiceContext]:
    """The services as an administrator of the site asks for them."""
    with open_data(str(site.data), site.settings) as (catalog, store):
        with catalog.read() as connection:
            number = connection.execute(select(account.c.id).where(account.c.name == "admin")).scalar()
        if number is None:
            number = add_account(catalog, "admin", "", admin=True)
        yield ServiceContext(
            catalog, store, site.settings, Principal(number, "admin", "admin", admin=True, door=Door.BASIC)
        )


def work(site: DataFolder, catalog: Catalog, outcome: Outcome) -> Any:
    """Let a worker bring the import of a session to its end; gives its row."""
    assert outcome.waits

    def ended() -> Any:
        with catalog.read() as connection:
            row = connection.execute(select(upload).where(upload.c.uuid == outcome.import_uuid)).one()
        return row if row.state in FINAL else None

    with InProcessWorker(site.data, site.settings, upkeep=False):
        until(ended, "the session's import does not end")
    return ended()


def by(given: PrivacyRules | None, project: str = "P") -> Any:
    """One project goes by these rules."""
    return given_privacy(lambda name: given if name == project else None)


def mr(count: int = 2, **values: Any) -> dict[str, bytes]:
    return {
        f"a/{n}.dcm": Image(case="moves", number=n, patient_id=b"SALT-77", patient_name=b"SALT^ANNA", **values).file()
        for n in range(1, count + 1)
    }


def row_of(context: ServiceContext, uuid: str) -> SessionRecord:
    with context.catalog.read() as connection:
        record = find_session(connection, uuid)
    assert record is not None
    return record


def headers(site: DataFolder) -> list[Any]:
    return [
        pydicom.dcmread(path)
        for area in ("archive", "prearchive")
        for path in sorted((site.data / area).rglob("*.dcm"))
    ]


@pytest.mark.postgresql
def test_a_session_of_nobody_moves_into_a_project_with_a_script(site: DataFolder) -> None:
    archive = {**mr(2), "a/notes.txt": b"seen"}
    uuid = site.bring(archive, project=None).session["id"]
    with by(BY_SCRIPT), services(site) as context:
        add_project(context.catalog, ProjectRow(name="P"))
        before = row_of(context, uuid)
        outcome = move_session(context, uuid, project_name="P", label="E1", subject="S1")
        assert row_of(context, uuid) == before  # nothing is changed before its turn comes
        row = work(site, context.catalog, outcome)
        assert (row.state, row.code, row.message) == ("placed", "", "")
        after = row_of(context, uuid)
        assert (after.id, after.received, after.received_by) == (before.id, before.received, before.received_by)
        assert (after.project, after.place, after.label, after.subject, after.state) == (
            "P", "prearchive", "E1", "S1", "ready",
        )  # fmt: skip
        assert after.timestamp == before.timestamp
        assert after.study_key == BY_SCRIPT.study_key(Image(case="moves").study_uid.decode())
        assert after.patient_key == BY_SCRIPT.patient_token("SALT-77")
        with context.catalog.read() as connection:
            trees = connection.execute(select(tree.c.id, tree.c.state)).all()
            files = connection.execute(select(file.c.rules).where(file.c.sop_uid.is_not(None))).scalars().all()
        assert trees == [(after.tree_id, "current")]
        assert files == [BY_SCRIPT.fingerprint] * 2
    assert {(str(one.PatientName), one.PatientID, one.StudyDescription) for one in headers(site)} == {("S1", "E1", "P")}
    assert not (site.data / before.uri.removeprefix("/data/")).exists()
    assert [path.read_bytes() for path in (site.data / "prearchive").rglob("notes.txt")] == [b"seen"]
    site.check()
