"""When a session was received and by which import, and which day and modalities lists have of it: kept true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, select, update

from scandock.catalog import sessions
from scandock.catalog.sessions import date_of, join_modalities
from scandock.catalog.tables import scan, session, tree, upload
from scandock.services.archiving import archive_session
from scandock.services.context import ServiceContext
from scandock.services.editing import edit_session
from scandock.services.prearchive import rebuild_session
from scandock.services.session_creation import (
    NewSession,
    ScanRequest,
    SessionChange,
    change_session,
    create_session,
)
from scandock.services.session_moves import move_session
from scandock.services.trash import delete_session, restore_session
from tests.builders import DataFolder, Image, images, make_data_folder, uploader_layout
from tests.integration.test_prearchive import context_of, waiting


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


def received(context: ServiceContext, uuid: str) -> tuple[int, int | None]:
    with context.catalog.read() as connection:
        row = connection.execute(select(session.c.received, session.c.received_by).where(session.c.uuid == uuid)).one()
    return row.received, row.received_by


def listed(context: ServiceContext, uuid: str) -> tuple[str, str]:
    """Day and modalities of a session's row, which are what its attributes and scans say."""
    with context.catalog.read() as connection:
        row = connection.execute(select(session).where(session.c.uuid == uuid)).one()
        modalities = connection.execute(select(scan.c.modality).where(scan.c.tree_id == row.tree_id)).scalars()
        assert row.modalities == "\\".join(sorted({one for one in modalities if one}))
        assert row.date == json.loads(row.attributes).get("date", "")
    return row.date, row.modalities


def drop_upload(connection: Connection, number: int) -> None:
    """As `delete_import` does once no tree is of it."""
    connection.execute(update(tree).where(tree.c.upload_id == number).values(upload_id=None))
    connection.execute(delete(upload).where(upload.c.id == number))


@pytest.mark.long
@pytest.mark.postgresql
def test_the_first_import_and_its_time_stay_through_moves_joins_and_the_trash(site: DataFolder) -> None:
    uuid = waiting(site, images(1))
    with context_of(site) as context:
        first = received(context, uuid)
        with context.catalog.read() as connection:
            begun, number = connection.execute(select(upload.c.created, upload.c.id)).one()
        assert (first[0] >= begun, first[1]) == (True, number)
        move_session(context, uuid, label="New")
        archive_session(context, uuid)
        edit_session(context, uuid, label="Last")
        assert received(context, uuid) == first
    site.bring(uploader_layout("Last", "1", [Image(case="again", number=2).file()]), session="Last")
    with context_of(site) as context:
        assert received(context, uuid) == first
        delete_session(context, uuid)
        restore_session(context, uuid)
        assert received(context, uuid) == first


def test_an_import_that_is_gone_is_named_no_more_nor_is_one_that_has_its_number(site: DataFolder) -> None:
    kept = waiting(site, images(1))
    trashed = waiting(site, uploader_layout("S2", "1", images(1, study=2)), label="S2")
    with context_of(site) as context:
        at, number = received(context, trashed)
        delete_session(context, trashed)
        with context.catalog.write() as connection:
            for each in (received(context, kept)[1], number):
                assert each is not None
                drop_upload(connection, each)
            values: dict[str, Any] = {"id": number, "uuid": "another", "archive": "", "source": "cli", "request": "{}"}
            connection.execute(insert(upload).values(**values, state="placed", created=at + 1))
        assert received(context, kept)[1] is None
        restore_session(context, trashed)
        assert received(context, trashed) == (at, None)


def test_what_people_make_came_by_no_import(site: DataFolder) -> None:
    site.project("P")
    with context_of(site) as context:
        scans = [ScanRequest(id="1", attributes={}, edits={})]
        uuid = create_session(
            context,
            NewSession(
                project="P", subject="A", label="E", xsi_type="xnat:mrSessionData",
                attributes={"date": "2026-01-02"}, scans=scans,
            ),
        )  # fmt: skip
        at, by = received(context, uuid)
        assert (at > 0, by) == (True, None)
        assert listed(context, uuid) == ("2026-01-02", "")


def test_day_and_modalities_follow_whatever_changes_them(site: DataFolder) -> None:
    uuid = waiting(site, images(1))
    with context_of(site) as context:
        assert listed(context, uuid) == ("2020-01-31", "MR")
        archive_session(context, uuid)
        assert listed(context, uuid) == ("2020-01-31", "MR")
        change_session(context, uuid, SessionChange(fields={"date": "2019-12-31"}))
        assert listed(context, uuid) == ("2019-12-31", "MR")
        change_session(context, uuid, SessionChange(fields={"date": ""}, label="S1"))
        assert listed(context, uuid)[1] == "MR"
        rebuild_session(context, uuid)
        assert listed(context, uuid)[1] == "MR"
        change_session(context, uuid, SessionChange(scans=[ScanRequest(id="7", attributes={}, edits={})]))
        assert listed(context, uuid)[1] == "MR"
    pet = Image(case="again", number=1, series=2, series_number=b"2", modality=b"PT").file()
    site.bring(uploader_layout("S1", "2", [pet]), session="S1")
    with context_of(site) as context:
        assert listed(context, uuid)[1] == "MR\\PT"
        delete_session(context, uuid)
        restore_session(context, uuid)
        assert listed(context, uuid)[1] == "MR\\PT"
        with context.catalog.write() as connection:
            connection.execute(update(scan).where(scan.c.modality != "").values(modality="CT"))
        rebuild_session(context, uuid)
        assert listed(context, uuid)[1] == "MR\\PT"


def test_a_day_is_a_day_and_modalities_are_no_longer_than_an_index_takes() -> None:
    assert date_of({"date": "2026-11-29"}) == "2026-11-29"
    for text in ("", "today", "2026-11-29 10:00", "20261129"):
        assert date_of({"date": text}) == ""
    assert date_of({}) == ""
    assert join_modalities(["PT", "", "CT", "PT"]) == "CT\\PT"
    many = join_modalities(f"M{n:03}" for n in range(100))
    assert len(many) <= sessions.MODALITIES_LENGTH
    assert many.split("\\") == [f"M{n:03}" for n in range(24)]
    assert join_modalities(["X" * 500]) == ""
