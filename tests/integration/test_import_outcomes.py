"""What an import left waiting is told of where it stands now: decided, renamed, moved, deleted; nothing hidden."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scandock.services.session_locations import SessionLocation, locate_sessions
from sqlalchemy import insert, select

from scandock.access import accounts
from scandock.access.principal import ANONYMOUS, SYSTEM, Principal
from scandock.catalog.server_tables import reception
from scandock.catalog.tables import upload
from scandock.services import activity
from scandock.services.activity import ActivityFilter, list_activity
from scandock.services.archiving import archive_session
from scandock.services.held_sessions import resolve_session
from scandock.services.moving import ServiceContext, move_session
from scandock.services.pagination import Sorting
from scandock.services.trash import delete_session
from tests.builders import DataFolder, Image, images, make_data_folder, uploader_layout
from tests.import_records import an_import
from tests.integration.test_prearchive import COMMENT, context_of, uuid_at, waiting


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


def now(context: ServiceContext, principal: Principal = SYSTEM) -> list[SessionLocation]:
    """Where what the latest import left waiting stands."""
    with context.catalog.read() as connection:
        row = connection.execute(select(upload.c.uuid, upload.c.report).order_by(upload.c.id.desc())).first()
        assert row is not None
        told = locate_sessions(
            connection, principal, [an_import(id=row.uuid, sessions=json.loads(row.report)["sessions"])], 50
        )
    return [one for some in told.values() for one in some.values()]


@pytest.mark.postgresql
def test_what_waits_is_followed_through_names_projects_archive_and_trash(site: DataFolder) -> None:
    uuid = waiting(site, images(1))
    site.project("Q")
    with context_of(site) as context:
        assert [(one.label, one.archived, one.held) for one in now(context)] == [("S1", False, False)]
        move_session(context, uuid, project_name="Q", label="New")
        assert [(one.id, one.project, one.label) for one in now(context)] == [(uuid, "Q", "New")]
        archive_session(context, uuid)
        assert now(context) == [SessionLocation(id=uuid, project="Q", label="New", archived=True, held=False)]
        assert now(context, ANONYMOUS) == []
        delete_session(context, uuid)
        assert now(context) == []


@pytest.mark.parametrize("choice", ["keep_old", "keep_new", "keep_both"])
def test_what_was_held_waits_no_more_once_it_is_decided(site: DataFolder, choice: Any) -> None:
    site.bring(uploader_layout("S1", "1", images(2)), session="S1")
    other = Image(case="again", number=1, also={COMMENT: (b"LT", b"other")}).file()
    told = site.bring(uploader_layout("S1", "1", [other]), session="S1")
    with context_of(site) as context:
        assert [one.held for one in now(context)] == [True]
        resolve_session(context, uuid_at(site, told.session["path"]), choice)
        assert [(one.label, one.archived, one.held) for one in now(context)] == [("S1", True, False)]


def received(context: ServiceContext) -> None:
    """Have the imports so far be somebody's by the server, which lists no others."""
    with context.catalog.write() as connection:
        owner = accounts.create(connection, "ann")
        for upload_id in connection.execute(select(upload.c.id)).scalars().all():
            connection.execute(insert(reception).values(upload_id=upload_id, account_id=owner.id, door="raw"))


def decided(context: ServiceContext, group: str) -> list[bool]:
    """Of the imports of a group, the newest first: whether what they were held for has been decided."""
    sought = ActivityFilter(mine=False, group=group)
    found = list_activity(context.catalog, SYSTEM, sought, Sorting(sort="-id", limit=20, cursor=None))
    return [one.decided for one in found.items]


@pytest.mark.postgresql
@pytest.mark.parametrize("shown", [50, 0], ids=["shown", "more than are shown"])
def test_an_import_is_sought_by_what_is_still_to_be_decided(
    site: DataFolder, monkeypatch: pytest.MonkeyPatch, shown: int
) -> None:
    monkeypatch.setattr(activity, "SESSIONS", shown)
    site.bring(uploader_layout("S1", "1", images(2)), session="S1")
    other = Image(case="again", number=1, also={COMMENT: (b"LT", b"other")}).file()
    told = site.bring(uploader_layout("S1", "1", [other]), session="S1")
    with context_of(site) as context:
        received(context)
        assert (decided(context, "to-decide"), decided(context, "")) == ([False], [False, False])
        resolve_session(context, uuid_at(site, told.session["path"]), "keep_old")
        assert (decided(context, "to-decide"), decided(context, "")) == ([], [True, False])
