"""What became of an import's sessions: renamed, moved, joined, decided, deleted; when, by whom; and nothing hidden."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy import event as sqlalchemy_event

from scandock.access import accounts
from scandock.access.passwords import hash_password
from scandock.access.principal import SYSTEM, Door, Principal
from scandock.catalog.server_tables import reception, trashed
from scandock.catalog.tables import joined_session, project, upload, upload_exception
from scandock.model.import_report import ImportReport, format_outcome
from scandock.model.verdicts import ImportState
from scandock.queue.claim import SlotUsage, claim
from scandock.queue.leases import finish
from scandock.queue.owner import this_owner
from scandock.rules.permissions import Role, Scope
from scandock.services import activity, import_outcomes
from scandock.services.activity import Activity, ActivityFilter, list_activity, read_activity
from scandock.services.archiving import archive_session
from scandock.services.cleaning.trash import empty_trash
from scandock.services.context import ServiceContext
from scandock.services.editing import edit_session
from scandock.services.held_sessions import resolve_session
from scandock.services.import_outcomes import SessionOutcome, list_outcomes, read_outcomes
from scandock.services.imports import read_import
from scandock.services.pagination import Sorting
from scandock.services.prearchive import rebuild_session
from scandock.services.project_deletions import delete_project
from scandock.services.session_moves import move_session
from scandock.services.trash import delete_session, restore_session
from scandock.testing.server import add_account
from tests.builders import DataFolder, Image, images, make_data_folder, uploader_layout
from tests.import_records import a_session, an_import
from tests.integration.test_left_in_conflict import left, send
from tests.integration.test_prearchive import COMMENT, uuid_at, waiting
from tests.integration.test_prearchive import context_of as system_context
from tests.integration.web import PASSWORD, serve_in_process

KEYS = [
    "position", "study_uid", "state", "code", "message", "warnings", "files", "new", "bytes", "then", "now", "session",
    "project", "subject", "label", "page", "thumbnail", "changes", "study",
]  # fmt: skip


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


@contextmanager
def context_of(site: DataFolder) -> Iterator[ServiceContext]:
    """The system's desk; the imports so far, and no others, are `ann`'s, who has no role."""
    with system_context(site) as context:
        ann = person(context, "ann")
        with context.catalog.write() as connection:
            of = dict(connection.execute(select(project.c.name, project.c.id)).all())
            for row in connection.execute(select(upload.c.id, upload.c.request)).all():
                values = {"upload_id": row.id, "account_id": ann.account_id, "door": "raw", "project_id": of.get("P")}
                connection.execute(insert(reception).values(**values))
        yield context


def person(context: ServiceContext, name: str, **roles: str) -> Principal:
    """Somebody with roles by project."""
    number = add_account(context.catalog, name, "", admin=False, **roles)
    return Principal(number, f"of {name}", name, roles={at: Role(role) for at, role in roles.items()}, door=Door.BASIC)


def ann_of(context: ServiceContext) -> Principal:
    with context.catalog.read() as connection:
        found = accounts.get(connection, "ann")
    return Principal(found.id, found.uuid, "ann", door=Door.BASIC)


def uploads(context: ServiceContext) -> list[str]:
    """The ids of all imports, the oldest first."""
    with context.catalog.read() as connection:
        return list(connection.execute(select(upload.c.uuid).order_by(upload.c.id)).scalars())


def outcomes(context: ServiceContext, principal: Principal = SYSTEM, nth: int = -1) -> list[SessionOutcome]:
    """Of the newest import, or the `nth`."""
    return list_outcomes(context.catalog, principal, uploads(context)[nth]).items


def told(context: ServiceContext, principal: Principal = SYSTEM, nth: int = -1) -> tuple[Any, ...]:
    """Of its only session: where it is, how it is called, and what was done to it."""
    (one,) = outcomes(context, principal, nth)
    return (one.now, one.project, one.label, [change.kind for change in one.changes])


def activity_of(context: ServiceContext, principal: Principal) -> tuple[str, bool]:
    """The verdict of the newest import, and whether its first session went to a project that is out of sight."""
    item = read_activity(context.catalog, principal, uploads(context)[-1])
    return item.verdict_words, item.is_hidden(item.outcomes[0])


def forget_ids(context: ServiceContext) -> None:
    """Have all reports be of a version that told no ids."""
    with context.catalog.write() as connection:
        for row in connection.execute(select(upload.c.id, upload.c.report)).all():
            report = json.loads(row.report)
            for one in report["sessions"]:
                del one["id"], one["new"]
            connection.execute(update(upload).where(upload.c.id == row.id).values(report=json.dumps(report)))


# -- where they are, and what was done ---------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_a_session_is_followed_through_names_projects_archive_and_trash(site: DataFolder) -> None:
    uuid = waiting(site, images(2))
    site.project("Q")
    with context_of(site) as context:
        assert told(context) == ("prearchive", "P", "S1", [])
        move_session(context, uuid, label="New")
        assert told(context) == ("prearchive", "P", "New", ["renamed"])
        move_session(context, uuid, project_name="Q")
        rebuild_session(context, uuid)
        archive_session(context, uuid)
        edit_session(context, uuid, label="Last")
        (one,) = outcomes(context)
        kinds = ["renamed", "moved", "rebuilt", "archived", "renamed"]
        assert [change.kind for change in one.changes] == kinds
        assert (one.now, one.session, one.project, one.label) == ("archived", uuid, "Q", "Last")
        assert one.then.to_json() == {"project": "P", "subject": one.subject, "label": "S1"}
        assert one.page == "/projects/Q/sessions/Last"
        assert re.fullmatch(rf"/api/v1/sessions/{uuid}/scans/1/thumbnail\?tree=\d+\.0", one.thumbnail or "")
        assert {change.by for change in one.changes} == {"system"}
        assert [change.at for change in one.changes] == sorted(change.at for change in one.changes)
        assert (one.position, one.state, one.files, one.new) == (0, "prearchive", 2, 2)
        assert list(one.to_json()) == KEYS
        delete_session(context, uuid)
        assert told(context) == ("deleted", None, None, [*kinds, "deleted"])
        restore_session(context, uuid)
        assert told(context) == ("archived", "Q", "Last", [*kinds, "deleted", "restored"])
        delete_session(context, uuid)
        empty_trash(context.catalog, context.store, 0, now=4e9)
        assert told(context) == ("deleted", None, None, [*kinds, "deleted", "restored", "deleted", "purged"])
        (gone,) = outcomes(context)
        assert (gone.session, gone.page, gone.thumbnail, gone.then.label) == (None, None, None, "S1")


@pytest.mark.long
@pytest.mark.parametrize("choice", ["keep_old", "keep_new", "keep_both"])
def test_what_was_held_is_decided_and_has_joined(site: DataFolder, choice: Any) -> None:
    site.bring(uploader_layout("S1", "1", images(2)), session="S1")
    other = Image(case="again", number=1, also={COMMENT: (b"LT", b"other")}).file()
    report = site.bring(uploader_layout("S1", "1", [other]), session="S1")
    with context_of(site) as context:
        assert told(context)[0] == "needs_decision"
        resolve_session(context, uuid_at(site, report.session["path"]), choice)
        assert told(context) == ("archived", "P", "S1", ["joined"])
        assert told(context, nth=0) == ("archived", "P", "S1", [])


@pytest.mark.postgresql
def test_who_has_joined_another_is_followed_to_it_and_to_whom_that_joins(site: DataFolder) -> None:
    first = site.bring(uploader_layout("S1", "1", images(1)), session="S1").session
    second = waiting(site, uploader_layout("S1", "1", [Image(case="again", number=2).file()]))
    with context_of(site) as context:
        archive_session(context, second)
        assert told(context) == ("archived", "P", "S1", ["joined"])
        (one,) = outcomes(context)
        assert (one.session, one.label, one.changes[0].by) == (first["id"], "S1", "system")
        with context.catalog.write() as connection:  # which it can't by itself: an archived one joins no other
            at = context.catalog.now()
            connection.execute(insert(joined_session).values(uuid="zero", into_uuid=second, at=at))
            row = connection.execute(select(upload.c.report).order_by(upload.c.id.desc())).scalars().first()
            report = json.loads(row or "")
            report["sessions"][0]["id"] = "zero"
            newest = select(upload.c.id).order_by(upload.c.id.desc()).limit(1).scalar_subquery()
            connection.execute(update(upload).where(upload.c.id == newest).values(report=json.dumps(report)))
        assert told(context) == ("archived", "P", "S1", ["joined"])
        edit_session(context, first["id"], label="Both")
        assert told(context) == ("archived", "P", "Both", ["joined", "renamed"])
        delete_session(context, first["id"])
        assert told(context) == ("deleted", None, None, ["joined", "renamed", "deleted"])


def test_what_an_import_brought_whole_is_followed_into_it_until_it_is_restored(site: DataFolder) -> None:
    """A session left in conflict goes as an import brings all of it; the trash has it still."""
    left(site)
    archived = send(site, 2, "append").session
    assert archived["state"] == "archive"
    with context_of(site) as context:
        with context.catalog.read() as connection:
            held = connection.execute(select(trashed.c.uuid)).scalar_one()
            joined = connection.execute(select(joined_session.c.uuid, joined_session.c.into_uuid)).all()
        assert [tuple(row) for row in joined] == [(held, archived["id"])]
        assert told(context, nth=1) == ("archived", "Q", "S1", ["joined"])
        restore_session(context, held, label="S9")
        assert told(context, nth=1)[:3] == ("needs_decision", "Q", "S9")
        delete_session(context, held)
        assert told(context, nth=1)[0] == "deleted"


def test_a_refused_session_is_nowhere(site: DataFolder) -> None:
    site.bring({"a.txt": b"no image"})
    with context_of(site) as context:
        uuid = uploads(context)[-1]
        sessions = [a_session(state="refused", code="c", message="No.", study_uid="1.2", files=0)]
        with context.catalog.write() as connection:
            report = ImportReport(upload=uuid, archive="a.zip", state=ImportState.REFUSED, sessions=sessions)
            connection.execute(update(upload).where(upload.c.uuid == uuid).values(report=format_outcome(report)))
        (one,) = outcomes(context)
    assert (one.now, one.code, one.message, one.study_uid, one.page) == ("refused", "c", "No.", "1.2", None)
    assert one.then.to_json() == {"project": None, "subject": None, "label": None}
    assert one.study is None


# -- who may know ------------------------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_nobody_learns_from_an_import_what_they_may_not_see_else(site: DataFolder) -> None:
    """One in a hidden project reads the same whether it stands there, was deleted there, or is gone for good."""
    uuid = waiting(site, images(1))
    site.project("Hidden")
    with context_of(site) as context:
        owner, both = person(context, "olga", P="owner"), person(context, "bo", P="owner", Hidden="collaborator")
        every = {"uploader": ann_of(context), "owner": owner, "both": both}
        former = told(context, every["uploader"])
        study = outcomes(context, owner)[0].study
        assert study is not None
        assert (study.patient_name, study.scans, study.images) == ("DOE^JANE", 1, 1)
        assert former == ("out_of_sight", None, None, [])  # ann has no role in P any more
        assert activity_of(context, every["uploader"]) == ("1 session not visible to you.", True)
        assert told(context, owner) == ("prearchive", "P", "S1", [])
        move_session(context, uuid, project_name="Hidden")
        stands = {name: outcomes(context, who) for name, who in every.items()}
        assert {name: some[0].now for name, some in stands.items()} == dict.fromkeys(every, "out_of_sight")
        assert activity_of(context, every["uploader"]) == ("1 session not visible to you.", True)
        assert activity_of(context, owner) == ("1 session moved to another project.", False)
        assert stands["owner"][0].then.label == "S1"
        for some in stands.values():  # as much as the import's report says to who may read it
            study = some[0].study
            assert study is not None
            assert [study.patient_name, study.patient_id, study.birth_date, study.description, study.date] == [None] * 5
            assert (study.scans, study.images, study.files) == (1, 1, 1)
        archive_session(context, uuid)
        assert told(context, both)[:3] == ("archived", "Hidden", "S1")
        assert told(context, owner) == ("out_of_sight", None, None, [])
        delete_session(context, uuid)
        for gone in ("deleted", "purged"):
            for name in ("uploader", "owner"):
                assert outcomes(context, every[name]) == stands[name], (gone, name)
            assert told(context, both)[0] == "deleted"
            empty_trash(context.catalog, context.store, 0, now=4e9)


def test_who_has_done_it_is_told_to_readers_of_the_audit_and_to_themselves(site: DataFolder) -> None:
    uuid = waiting(site, images(1))
    with context_of(site) as context:
        owner, member = person(context, "olga", P="owner"), person(context, "mia", P="member")
        with context.catalog.write() as connection:
            connection.execute(update(reception).values(account_id=member.account_id))
        archive_session(replace(context, principal=member), uuid)
        edit_session(replace(context, principal=owner), uuid, label="Other")
        for who, names in ((owner, ["mia", "olga"]), (member, ["mia", None]), (SYSTEM, ["mia", "olga"])):
            (one,) = outcomes(context, who)
            assert [(change.kind, change.by) for change in one.changes] == [
                ("archived", names[0]),
                ("renamed", names[1]),
            ]
        for scope, now in ((Scope.READ, "archived"), (Scope.UPLOAD, "out_of_sight")):
            assert told(context, replace(owner, scope=scope))[0] == now
        delete_session(context, uuid)
        for scope, now in ((Scope.READ, "deleted"), (Scope.UPLOAD, "out_of_sight")):
            assert told(context, replace(owner, scope=scope))[0] == now


def test_what_comes_back_from_where_nobody_may_look_does_not_tell_of_it(site: DataFolder) -> None:
    uuid = waiting(site, images(1))
    site.project("Hidden")
    with context_of(site) as context:
        owner = person(context, "olga", P="owner")
        move_session(context, uuid, project_name="Hidden")
        move_session(context, uuid, label="Secret")
        move_session(context, uuid, project_name="P", label="S2")
        assert told(context, owner) == ("prearchive", "P", "S2", ["moved"])
        assert told(context) == ("prearchive", "P", "S2", ["moved", "renamed", "moved"])


def test_what_goes_with_its_project_was_deleted(site: DataFolder) -> None:
    uuid = waiting(site, images(1))
    with context_of(site) as context:
        archive_session(context, uuid)
        delete_project(context, "P", with_files=True)
        assert told(context, ann_of(context))[0] == "deleted"
        empty_trash(context.catalog, context.store, 0, now=4e9)
        assert told(context, ann_of(context))[0] == "deleted"


def test_in_unassigned_one_sees_ones_own_and_what_became_of_it(site: DataFolder) -> None:
    report = site.bring(uploader_layout("S1", "1", images(1)), project=None)
    with context_of(site) as context:
        uuid, ann = report.session["id"], ann_of(context)
        assert told(context, ann)[:2] == ("prearchive", "Unassigned")
        move_session(context, uuid, label="New")
        assert told(context, ann) == ("prearchive", "Unassigned", "New", ["renamed"])
        delete_session(context, uuid)
        assert told(context, ann)[0] == "deleted"


# -- of earlier versions -----------------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_sessions_of_older_reports_are_found_by_address_upload_and_study(site: DataFolder) -> None:
    archived = site.bring(uploader_layout("S1", "1", images(1)), session="S1").session
    uuid = waiting(site, uploader_layout("S2", "1", images(1, study=2)), label="S2")
    site.project("Q")
    with context_of(site) as context:
        forget_ids(context)
        assert told(context, nth=0) == ("archived", "P", "S1", [])
        assert told(context) == ("prearchive", "P", "S2", [])
        (one,) = outcomes(context)
        assert (one.session, one.new) == (uuid, None)
        move_session(context, uuid, project_name="Q", label="New")
        edit_session(context, archived["id"], label="Renamed")
        assert told(context) == ("prearchive", "Q", "New", ["moved"])
        assert told(context, nth=0) == ("archived", "P", "Renamed", ["renamed"])
        delete_session(context, uuid)
        delete_session(context, archived["id"])
        assert told(context) == told(context, nth=0) == ("unknown", None, None, [])


# -- how much it costs, and pages --------------------------------------------------------------------------------------


def statements(context: ServiceContext, items: list[Any], principal: Principal) -> int:
    said: list[str] = []

    def hear(connection: object, cursor: object, statement: str, *_: object) -> None:
        said.append(statement)

    with context.catalog.read() as connection:
        sqlalchemy_event.listen(context.catalog.engine, "before_cursor_execute", hear)
        try:
            read_outcomes(connection, principal, items, details=True)
        finally:
            sqlalchemy_event.remove(context.catalog.engine, "before_cursor_execute", hear)
    return len(said)


def test_the_number_of_statements_does_not_grow_with_sessions_or_imports(site: DataFolder) -> None:
    deleted = waiting(site, uploader_layout("S0", "1", images(1, study=9)), label="S0")
    for n in range(3):
        waiting(site, uploader_layout(f"S{n}", "1", images(1, study=n)), label=f"S{n}")
    with context_of(site) as context:
        delete_session(context, deleted)
        owner = person(context, "olga", P="owner")
        items = [read_import(context.catalog, SYSTEM, uuid) for uuid in uploads(context)]
        few, many = statements(context, items[:1], owner), statements(context, items, owner)
        assert 1 < many == few + 1  # the pictures of those that stand: one for all
        assert few <= 5


def test_the_api_gives_pages_in_the_reports_order(site: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_outcomes, "PAGE", 2)
    entries: dict[str, bytes] = {}
    for n in range(3):
        entries |= uploader_layout(f"S{n}", "1", images(1, study=n, patient_id=b"P%d" % n))
    report = site.bring(entries)
    with context_of(site) as context:
        uuid = uploads(context)[-1]
        add_account(context.catalog, "admin", hash_password(PASSWORD), admin=True)  # so that it makes no project P
    with serve_in_process(site.data, site.settings) as web, web.client() as client:
        at = f"/api/v1/imports/{uuid}/sessions"
        first = client.get(at).json()
        second = client.get(at, params={"cursor": first["next"]}).json()
        items = [*first["items"], *second["items"]]
        assert (len(first["items"]), second["next"]) == (2, None)
        assert [one["session"] for one in items] == [one["id"] for one in report.sessions]
        assert [one["position"] for one in items] == [0, 1, 2]
        assert list(items[0]) == KEYS
        assert client.get(items[0]["page"]).status_code == 200
        assert client.get(items[0]["thumbnail"]).status_code == 200
        for wrong in ("x", "-1", "1e3", "9" * 30, "²"):
            answer = client.get(at, params={"cursor": wrong})
            assert (answer.status_code, answer.json()["code"]) == (400, "cursor_invalid"), wrong
        assert client.get(at, params={"cursor": "9"}).json() == {"items": [], "next": None}
        assert client.get("/api/v1/imports/no-such/sessions").status_code == 404
        web.account("col", P="collaborator")
        with web.client("col") as other, web.client(None) as nobody:
            said = [other.get(path).json() for path in (at, at.replace(uuid, "none"))]
            assert said[0] == {**said[1], "request_id": said[0]["request_id"]}
            assert (other.get(at).status_code, nobody.get(at).status_code) == (404, 401)


# -- as pages show it --------------------------------------------------------------------------------------------------


def decided(context: ServiceContext, group: str) -> list[bool]:
    """Of the imports of a group, the newest first: whether what they were held for has been decided."""
    sought = ActivityFilter(mine=False, group=group)
    found = list_activity(context.catalog, SYSTEM, sought, Sorting(sort="-id", limit=20, cursor=None))
    return [one.decided for one in found.items]


@pytest.mark.long
@pytest.mark.postgresql
@pytest.mark.parametrize("shown", [50, 0], ids=["shown", "more than are shown"])
def test_an_import_is_sought_by_what_is_still_to_be_decided(
    site: DataFolder, monkeypatch: pytest.MonkeyPatch, shown: int
) -> None:
    monkeypatch.setattr(activity, "SESSIONS", shown)
    site.bring(uploader_layout("S1", "1", images(2)), session="S1")
    other = Image(case="again", number=1, also={COMMENT: (b"LT", b"other")}).file()
    report = site.bring(uploader_layout("S1", "1", [other]), session="S1")
    with context_of(site) as context:
        assert (decided(context, "to-decide"), decided(context, "")) == ([False], [False, False])
        resolve_session(context, uuid_at(site, report.session["path"]), "keep_old")
        assert (decided(context, "to-decide"), decided(context, "")) == ([], [True, False])


def test_no_page_says_archived_of_what_was_deleted(site: DataFolder) -> None:
    report = site.bring(uploader_layout("S1", "1", images(1)), session="S1")
    with context_of(site) as context:
        uuid = uploads(context)[-1]
        add_account(context.catalog, "admin", hash_password(PASSWORD), admin=True)  # so that it makes no project P
    with serve_in_process(site.data, site.settings) as web, web.client() as client:
        pages = (f"/imports/{uuid}", "/activity?whose=all", f"/activity/{uuid}", "/")
        assert all(">archived<" in client.get(page).text for page in pages[:3])
        assert client.delete(f"/api/v1/sessions/{report.session['id']}").status_code in (200, 204)
        for page in pages:
            text = client.get(page).text
            assert "archived" not in text, page
            assert page == "/" or ">deleted<" in text, page
        deleted = r'Deleted <time datetime="[^"]+" title="[^"]+">[^<]+</time> by admin'
        assert re.search(deleted, client.get(pages[0]).text)
        web.account("mia", P="member")
        with web.site.catalog.write() as connection:  # whose import it is; members do not read the audit
            mia = accounts.get(connection, "mia").id
            number = select(upload.c.id).where(upload.c.uuid == uuid).scalar_subquery()
            connection.execute(delete(reception).where(reception.c.upload_id == number))
            connection.execute(insert(reception).values(upload_id=number, account_id=mia, door="raw"))
        with web.client("mia") as member:
            text = member.get(pages[0]).text
            assert re.search(deleted.removesuffix(" by admin"), text)
            assert "by admin" not in text.partition("Deleted <time")[2].partition("</li>")[0]


def test_what_needs_an_eye_comes_worst_first_with_its_remedy(site: DataFolder) -> None:
    site.bring({"a.txt": b"no image"})
    with context_of(site) as context:
        uuid = uploads(context)[-1]
        with context.catalog.write() as connection:
            number = connection.execute(select(upload.c.id).where(upload.c.uuid == uuid)).scalar_one()
            connection.execute(upload_exception.delete())
            rows = [(7, "conflict", "conflict"), (3, "unparseable", "no_study_uid"), (9, "refused", "no_study_uid")]
            rows += [(n, "unparseable", "no_study_uid") for n in range(20, 250)]
            for n, verdict, code in rows:
                values = {"upload_id": number, "n": n, "path": f"{n}.dcm", "verdict": verdict, "code": code}
                connection.execute(insert(upload_exception).values(**values, message="It is so."))
        found = read_activity(context.catalog, SYSTEM, uuid).exceptions
        listed = list_activity(context.catalog, SYSTEM, ActivityFilter(mine=False), Sorting(sort="-id"))
    assert [line.path for line in found[:3]] == ["9.dcm", "3.dcm", "20.dcm"]
    assert len(found) == 200
    assert "conflict" not in {line.verdict for line in found}  # none of its sessions waits
    assert found[0].remedy == "Export it from a system that writes UIDs."
    assert listed.items[0].exceptions == []


def an_activity(**values: Any) -> Activity:
    given = {"owner": "ann", "mine": True, "outcomes": [], "counts": {}, "exceptions": [], "waits": False,
             "decided": False}  # fmt: skip
    more = {name: value for name, value in values.items() if name in {*given, "silent_ms"}}
    item = an_import(**{name: value for name, value in values.items() if name not in more})
    return Activity(**{**vars(item), "silent_ms": None, "study": None, "hidden": frozenset(), **given, **more})


@pytest.mark.parametrize("state", list(ImportState))
@pytest.mark.parametrize("accepted", [None, 5])
def test_what_can_be_done_goes_by_state_and_bytes(state: ImportState, accepted: int | None) -> None:
    one = an_activity(state=state, accepted=accepted)
    assert one.can_retry is (state is ImportState.FAILED and accepted is not None)
    assert one.can_cancel is (state.value in ("receiving", "received", "running"))
    assert an_activity(state=state, cancelling=True).can_cancel is False
    received = an_activity(state=state, door="dimse")
    assert (received.can_cancel, received.can_discard) == (False, one.can_cancel)
    assert one.can_discard is an_activity(state=state, door="dimse", cancelling=True).can_discard is False


def test_an_upload_is_interrupted_once_no_byte_has_come_for_two_minutes() -> None:
    for silent, bringing, interrupted in (
        (None, False, False), (119_999, False, False), (120_000, False, True), (10**9, True, False),
    ):  # fmt: skip
        assert an_activity(state="receiving", silent_ms=silent).interrupted(bringing) is interrupted


def test_the_verdict_says_first_what_needs_somebody() -> None:
    for counts, words in (
        ({"archived": 41}, "41 sessions archived."),
        ({"archived": 1, "needs_decision": 1}, "1 session needs a decision, 1 archived."),
        ({"archived": 2, "needs_decision": 3, "deleted": 1, "refused": 0},
         "3 sessions need a decision, 1 deleted, 2 archived."),
        ({}, "The message."),
    ):  # fmt: skip
        assert an_activity(counts=counts, message="The message.").verdict_words == words
    assert an_activity(state="running", counts={"archived": 1}).verdict_words == ""


def test_the_verdict_names_the_one_project(site: DataFolder) -> None:
    site.bring(uploader_layout("S1", "1", images(1)), session="S1")
    with context_of(site) as context:
        one = read_activity(context.catalog, SYSTEM, uploads(context)[-1])
    assert (one.counts, one.verdict_words) == ({"archived": 1}, "1 session archived in P.")


@pytest.mark.postgresql
def test_how_long_an_upload_is_silent_goes_by_its_last_byte(site: DataFolder) -> None:
    with serve_in_process(site.data, site.settings) as web, web.client() as client:
        catalog = web.site.catalog
        tus = {"Tus-Resumable": "1.0.0"}
        begun = client.post("/api/v1/uploads", headers={**tus, "Upload-Length": "9"})
        uuid = begun.headers["location"].rpartition("/")[2]

        def silent() -> int | None:
            return read_activity(catalog, SYSTEM, uuid).silent_ms

        def move(**values: Any) -> None:
            with catalog.write() as connection:
                connection.execute(update(reception).values(**values))
                connection.execute(update(upload).values(created=upload.c.created - 7_000_000))

        assert (silent() or 0) < 60_000
        move(heard=reception.c.heard - 600_000)
        assert 600_000 <= (silent() or 0) < 7_000_000
        sent = {**tus, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        assert client.patch(f"/api/v1/uploads/{uuid}", headers=sent, content=b"abc").status_code == 204
        assert (silent() or 0) < 600_000
        move(heard=None)  # as a catalog from before it was noted has it
        assert (silent() or 0) > 7_000_000
        found = client.post("/api/v1/imports", params={"project": "P"}, content=b"abc").json()["id"]
        assert read_activity(catalog, SYSTEM, found).silent_ms is None
        lease = claim(catalog, this_owner(), SlotUsage(4))
        assert lease is not None
        with catalog.write() as connection:
            report = ImportReport(upload=found, archive="", state=ImportState.FAILED)
            finish(catalog, connection, lease.lease, report)
        assert read_activity(catalog, SYSTEM, found).can_retry
