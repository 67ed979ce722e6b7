"""The prearchive's verbs: moved, archived, resolved, deleted and brought back; nothing lost, doubled or half."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from scandock.access import accounts
from scandock.access.principal import SYSTEM, AccessDenied, Door, Principal
from scandock.catalog.project_sums import count_contents
from scandock.catalog.server_tables import audit, project_sums, reception, trashed
from scandock.catalog.tables import operation, project, session, subject_patient, tree
from scandock.model.errors import ScandockError
from scandock.publishing import complete as completing
from scandock.publishing.recover import recover
from scandock.services import browsing, editing, prearchive
from scandock.services.archiving import archive_session
from scandock.services.cleaning.trash import empty_trash
from scandock.services.consistency_check import check_data
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import open_data
from scandock.services.editing import edit_session
from scandock.services.held_sessions import resolve_session
from scandock.services.pagination import Sorting
from scandock.services.session_moves import move_session
from scandock.services.trash import delete_session, list_trash, restore_session
from tests.builders import DataFolder, Image, ecat, images, make_data_folder, sha256, uploader_layout
from tests.integration.web import serve_in_process

COMMENT = 0x00204000


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


@contextmanager
def context_of(site: DataFolder) -> Iterator[ServiceContext]:
    with open_data(str(site.data), site.settings) as (catalog, store):
        yield ServiceContext(catalog, store, site.settings, SYSTEM)


def waiting(site: DataFolder, objects: list[bytes] | dict[str, bytes], label: str = "S1", **options: Any) -> str:
    """Import into the prearchive; gives the session's UUID."""
    entries = objects if isinstance(objects, dict) else uploader_layout(label, "1", objects)
    told = site.bring(entries, destination="prearchive", session=label, **options)
    return uuid_at(site, told.session["path"])


def uuid_at(site: DataFolder, path: str) -> str:
    """The UUID of the session whose folder is `path`."""
    with site.catalog() as catalog, catalog.read() as connection:
        rows = connection.execute(
            select(session.c.uuid, session.c.place, session.c.timestamp, session.c.label, project.c.name).join(project)
        ).all()
    (found,) = [str(r.uuid) for r in rows if "/".join(p for p in (r.place, r.name, r.timestamp, r.label) if p) == path]
    return found


def item(context: ServiceContext, uuid: str) -> dict[str, Any]:
    with context.catalog.read() as connection:
        return browsing.find_session(connection, SYSTEM, uuid).to_json()


def whole(site: DataFolder) -> None:
    """Catalog and store agree, no staging is left, no operation has a row, sums are what they should be."""
    assert check_data(str(site.data), site.settings) == []
    assert list((site.data / "work").iterdir()) == []
    with site.catalog() as catalog, catalog.read() as connection:
        assert connection.execute(select(operation.c.kind)).scalars().all() == []
        for row in connection.execute(select(project_sums)).mappings():
            assert count_contents(connection, row["project_id"]) == {k: v for k, v in row.items() if k != "project_id"}


def refused(code: str, call: Any, *args: Any, **options: Any) -> None:
    with pytest.raises(ScandockError) as caught:
        call(*args, **options)
    assert caught.value.code == code


def trail(context: ServiceContext) -> list[tuple[str, str]]:
    with context.catalog.read() as connection:
        by_desk = audit.c.action.not_in(("project_create", "import_end"))  # the imports beforehand have theirs
        rows = connection.execute(select(audit).where(by_desk).order_by(audit.c.id))
        return [(row.action, row.target) for row in rows]


# -- moving ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["prearchive", "archive"])
def test_a_session_gets_another_subject_where_it_stands(site: DataFolder, place: str) -> None:
    site.project("P")
    uuid = waiting(site, images(2))
    with context_of(site) as context:
        if place == "archive":
            archive_session(context, uuid)
        before = site.files()
        for _ in range(2):  # the second time it has it already
            told = (
                edit_session(context, uuid, subject_label="Sub")
                if place == "archive"
                else move_session(context, uuid, subject="Sub")
            )
            found = item(context, uuid)
            assert (found["subject"], found["place"], found["uri"]) == ("Sub", place, told.after)
    assert site.files() == before
    whole(site)


def test_move_to_another_project_label_and_subject(site: DataFolder) -> None:
    site.project("P")
    site.project("Q")
    uuid = waiting(site, images(2))
    before = site.files()
    with context_of(site) as context:
        stamp = item(context, uuid)["timestamp"]
        would = move_session(context, uuid, project_name="q", label="New", subject="Sub", dry_run=True)
        assert site.files() == before
        assert trail(context) == []
        done = move_session(context, uuid, project_name="q", label="New", subject="Sub")
        assert (would.before, would.after) == (done.before, done.after)
        found = item(context, uuid)
        assert (found["project"], found["label"], found["subject"], found["place"]) == ("Q", "New", "Sub", "prearchive")
        assert found["uri"] == f"/data/prearchive/projects/Q/{stamp}/New" == done.after
        assert trail(context) == [("move", uuid)]
        with context.catalog.read() as connection:
            assert browsing.find_project(connection, SYSTEM, "P").waiting == 0
            assert browsing.find_project(connection, SYSTEM, "Q").waiting == 1
    assert sorted(site.files().values()) == sorted(before.values())
    assert all(path.startswith(f"prearchive/Q/{stamp}/New/") for path in site.files())
    whole(site)


def test_who_uploaded_what_went_nowhere_may_name_it_there(site: DataFolder) -> None:
    uuid = waiting(site, images(2), project=None)
    with context_of(site) as context:
        with context.catalog.write() as connection:
            one = accounts.create(connection, "uma", password=None)
            came = connection.execute(select(tree.c.upload_id).join(session, session.c.tree_id == tree.c.id)).scalar()
            door = {"door": "raw", "metadata": "", "mapping": ""}
            connection.execute(insert(reception).values(upload_id=came, account_id=one.id, **door))
        uma = dataclasses.replace(context, principal=Principal(one.id, one.uuid, one.name, door=Door.BASIC))
        other = dataclasses.replace(context, principal=Principal(one.id + 1, "other", "other", door=Door.BASIC))
        told = move_session(uma, uuid, label="Better", subject="Sub")
        assert (item(context, uuid)["label"], item(context, uuid)["project"]) == ("Better", "Unassigned")
        assert str(told.after).endswith("/Better")
        with pytest.raises(AccessDenied):
            move_session(other, uuid, label="Worse")
    whole(site)


def test_move_refuses_what_can_not_be(site: DataFolder) -> None:
    uuid = waiting(site, images(1))
    with context_of(site) as context:
        refused("project_unknown", move_session, context, uuid, project_name="Nowhere")
        refused("label_unusable", move_session, context, uuid, label="../x")
        refused("not_found", move_session, context, "00000000-0000-0000-0000-000000000000", label="x")
    whole(site)


def test_a_hidden_project_and_none_are_told_of_in_the_same_words(site: DataFolder) -> None:
    """Whoever may move a session learns nothing of projects that they may not see, one session or many at once."""
    words = set()
    with serve_in_process(site.data, site.settings) as web:
        site.project("Secret")
        uuid = waiting(site, images(1))
        web.account("mia", P="owner")
        with web.client("mia") as mia:
            for name in ("Secret", "secret", "Nosuch"):
                one = mia.post(f"/api/v1/prearchive/{uuid}/move", json={"project": name})
                assert one.status_code == 404, one.text
                told = {key: value for key, value in one.json().items() if key != "request_id"}
                many = mia.post("/api/v1/prearchive/move", json={"sessions": [uuid], "project": name})
                (item,) = many.json()["items"]
                words.add(json.dumps([told, item]).replace(name, "X"))
    assert len(words) == 1


# -- archiving ---------------------------------------------------------------------------------------------------------


def test_archive_where_nothing_stands(site: DataFolder) -> None:
    uuid = waiting(site, images(2))
    with context_of(site) as context:
        would = archive_session(context, uuid, dry_run=True)
        assert item(context, uuid)["place"] == "prearchive"
        assert archive_session(context, uuid).after == would.after
        found = item(context, uuid)
        assert (found["place"], found["timestamp"]) == ("archive", None)
        assert found["subject_id"] is not None
    assert {path.split("/")[0] for path in site.files()} == {"archive"}
    whole(site)


@pytest.mark.parametrize("accepted", ["before", "as it is archived"])
def test_patients_that_are_accepted_as_one_are_all_known_as_the_subjects(site: DataFolder, accepted: str) -> None:
    objects = [*images(1), Image(case="again", number=2, patient_id=b"PAT2").file()]
    uuid = waiting(site, objects)
    with context_of(site) as context:
        if accepted == "before":
            resolve_session(context, uuid, "accept")
        archive_session(context, uuid, one_patient=accepted != "before")
        with context.catalog.read() as connection:
            assert set(connection.execute(select(subject_patient.c.patient_id)).scalars()) == {"PAT1", "PAT2"}
    whole(site)


def test_archive_joins_the_session_of_its_study_by_the_steps_of_imports(site: DataFolder) -> None:
    """What is new is added, what is there is a duplicate, resource files go along; ids of scans stay."""
    base = {**uploader_layout("S1", "1", images(2)), "S1/resources/NOTES/files/a.txt": b"one"}
    site.bring(base, session="S1")
    more = {
        **uploader_layout("S1", "1", images(3)),
        **uploader_layout("S1", "7", images(2, series=9, series_number=b"7")),
        "S1/resources/NOTES/files/a.txt": b"one",
        "S1/resources/NOTES/files/b.txt": b"two",
    }
    uuid = waiting(site, more)
    with context_of(site) as context:
        would = archive_session(context, uuid, dry_run=True)
        assert dict(would.counts) == {"new": 4, "duplicate": 3, "clash": 0, "replaced": 0}
        before = site.files()
        done = archive_session(context, uuid)
        assert (done.counts, done.into) == (would.counts, would.into)
        refused("not_found", item, context, uuid)
        found = item(context, done.into or "")
        assert (found["files"], found["scans"]) == (7, 2)
    files = site.files("archive/P/S1")
    assert sorted(files.values()) == sorted({sha256(data) for data in (*base.values(), *more.values())})
    assert set(before.values()) == set(files.values())
    assert site.files() == {f"archive/P/S1/{path}": sha for path, sha in files.items()}
    whole(site)


def test_the_warning_of_a_joined_session_names_the_one_that_stands_and_the_one_that_came(site: DataFolder) -> None:
    uuid = waiting(site, images(3), "other1")
    site.bring(uploader_layout("98890234", "1", images(2)), session="98890234", destination="archive")
    with context_of(site) as context:
        (warning,) = archive_session(context, uuid).warnings
    assert warning.code == "label_kept"
    assert "in project P as session 98890234; what came as other1 belongs" in warning.message


@pytest.mark.postgresql
def test_archive_with_none_refuses_and_delete_replaces(site: DataFolder) -> None:
    old = images(2)
    site.bring(uploader_layout("S1", "1", old), session="S1")
    new = [Image(case="again", number=1, also={COMMENT: (b"LT", b"other")}).file()]
    uuid = waiting(site, new)
    with context_of(site) as context:
        refused("session_exists", archive_session, context, uuid, overwrite="none")
        refused("sop_clash", archive_session, context, uuid, overwrite="append", dry_run=True)
        assert item(context, uuid)["state"] == "ready"
        refused("sop_clash", archive_session, context, uuid, overwrite="append")
        assert (item(context, uuid)["state"], item(context, uuid)["choices"]) == (
            "conflict",
            ["keep_old", "keep_new", "keep_both"],
        )
        assert archive_session(context, uuid, overwrite="delete").counts["replaced"] == 1
    assert sorted(site.files().values()) == sorted([sha256(new[0]), sha256(old[1])])
    assert sha256(old[0]) in site.trashed()
    whole(site)


def test_what_holds_a_session_is_told_by_its_new_label(site: DataFolder) -> None:
    site.bring(uploader_layout("S1", "1", images(1)), session="S1")
    other = Image(case="again", number=1, also={COMMENT: (b"LT", b"other")}).file()
    told = site.bring(uploader_layout("S1", "1", [other]), session="S1")
    uuid = uuid_at(site, told.session["path"])
    with context_of(site) as context:
        assert item(context, uuid)["message"].startswith("Some images of session S1")
        move_session(context, uuid, label="S2")
        assert (item(context, uuid)["state"], item(context, uuid)["message"][:25]) == (
            "conflict",
            "Some images of session S2",
        )
    whole(site)


def test_an_archived_label_of_another_study_is_taken(site: DataFolder) -> None:
    site.bring(uploader_layout("S1", "1", images(1)), session="S1")
    uuid = waiting(site, images(1, case="other"), "S2")
    with context_of(site) as context:
        refused("label_taken", archive_session, context, uuid, label="s1")
        assert archive_session(context, uuid).after is not None
    whole(site)


def test_who_gives_a_session_the_label_of_another_study_is_warned_before(site: DataFolder) -> None:
    site.bring(uploader_layout("S1", "1", images(1)), session="S1")
    uuid = waiting(site, images(1, case="other"), "S2")
    own = waiting(site, images(2), "S3")
    with context_of(site) as context:
        would = move_session(context, uuid, label="s1", dry_run=True)
        assert ["will be refused" in one.remedy for one in would.warnings] == [True]
        assert move_session(context, uuid, label="S4", dry_run=True).warnings == ()
        assert move_session(context, own, label="S1", dry_run=True).warnings == ()  # of that very study: it joins it


def test_ecat_joins_without_losing_its_scans(site: DataFolder) -> None:
    one, two = ecat(), ecat(dose_start_time=77)
    site.bring({"S1/scans/1/resources/ECAT/files/a.v": one}, session="S1")
    uuid = waiting(site, {"S1/scans/1/resources/ECAT/files/a.v": one, "S1/scans/2/resources/ECAT/files/b.v": two})
    with context_of(site) as context:
        done = archive_session(context, uuid)
        assert done.counts["duplicate"] == 1
    assert sorted(site.files().values()) == sorted([sha256(one), sha256(two)])
    whole(site)


# -- deciding ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("choice", "kept"), [("keep_old", "old"), ("keep_new", "new"), ("keep_both", "both")])
def test_resolve_a_clash_with_the_archived_session(site: DataFolder, choice: Any, kept: str) -> None:
    old, fresh = images(2), Image(case="again", number=3).file()
    other = Image(case="again", number=1, also={COMMENT: (b"LT", b"other")}).file()
    site.bring(uploader_layout("S1", "1", old), session="S1")
    told = site.bring(uploader_layout("S1", "1", [other, fresh]), session="S1")
    assert told.state == "held"
    uuid = uuid_at(site, told.session["path"])
    with context_of(site) as context:
        refused("held_undecided", archive_session, context, uuid)
        refused("choice_unknown", resolve_session, context, uuid, "accept")
        would = resolve_session(context, uuid, choice, dry_run=True)
        gone = 1 if kept == "new" else 0
        assert (would.counts["new"], would.counts["clash"], would.counts["replaced"]) == (
            {"old": 1, "new": 2, "both": 2}[kept],
            1,
            gone,
        )
        words = {
            "old": "Of 1 image the first version stays, the others are left out. 1 file is added.",
            "new": "1 file replaces 1 archived one. 1 file is added. The server keeps replaced and left-out files",
            "both": "Of 1 image all versions stay. 2 files are added.",
        }
        assert words[kept] in prearchive.outcome_json(would)["message"]
        assert item(context, uuid)["state"] == "conflict"
        resolve_session(context, uuid, choice)
    wanted = {"old": [*old, fresh], "new": [other, old[1], fresh], "both": [*old, other, fresh]}[kept]
    assert sorted(site.files().values()) == sorted(map(sha256, wanted))
    assert {path.split("/")[0] for path in site.files()} == {"archive"}
    whole(site)


@pytest.mark.parametrize(
    ("database_url", "choice"),
    [("sqlite", "keep_old"), ("sqlite", "keep_new"), ("sqlite", "keep_both"), ("postgresql", "keep_new")],
    indirect=["database_url"],
)
def test_resolve_variants_within_one_upload(site: DataFolder, choice: Any) -> None:
    one, two = images(1)[0], Image(case="again", number=1, also={COMMENT: (b"LT", b"other")}).file()
    told = site.bring({"a/1.dcm": one, "a/2.dcm": two, "a/3.dcm": images(2)[1]})
    uuid = uuid_at(site, told.session["path"])
    with context_of(site) as context:
        would = prearchive.outcome_json(resolve_session(context, uuid, choice, dry_run=True))
        gone = 0 if choice == "keep_both" else 1
        assert (would["counts"]["kept"], would["counts"]["trashed"]) == (3 - gone, gone)
        says = "2 files stay, 1 file is left out." if gone else "3 files stay."
        assert would["message"].startswith(f"It would stay where it is. {says}")
        done = resolve_session(context, uuid, choice)
        assert item(context, uuid)["state"] == "ready"
        assert prearchive.outcome_json(done)["counts"] == would["counts"]
        assert item(context, uuid)["files"] == 3 - gone
        assert done.after == done.before
        archive_session(context, uuid)
    kept = {"keep_old": [one], "keep_new": [two], "keep_both": [one, two]}[choice]
    assert sorted(site.files().values()) == sorted(map(sha256, [*kept, images(2)[1]]))
    whole(site)


@pytest.mark.parametrize("is_archived", [False, True])
def test_what_was_decided_to_keep_both_ways_comes_again_as_duplicates(site: DataFolder, is_archived: bool) -> None:
    one, two = images(1)[0], Image(case="again", number=1, also={COMMENT: (b"LT", b"other")}).file()
    archive = {"a/1.dcm": one, "a/2.dcm": two, "a/3.dcm": images(2)[1]}
    uuid = uuid_at(site, site.bring(archive).session["path"])
    with context_of(site) as context:
        resolve_session(context, uuid, "keep_both")
        if is_archived:
            archive_session(context, uuid)
    before = site.files()
    again = site.bring(archive)
    assert (again.state, again.counts) == ("placed", {"duplicate": 3})
    assert [(told["id"], told["state"]) for told in again.sessions] == [
        (uuid, "archive" if is_archived else "prearchive")
    ]
    assert site.files() == before

    third = Image(case="again", number=1, also={COMMENT: (b"LT", b"a third")}).file()
    clashing = site.bring({**archive, "a/4.dcm": third})
    assert (clashing.state, clashing.session["code"]) == ("held", "sop_clash")
    assert clashing.line("a/4.dcm")["verdict"] == "conflict"
    assert {before.keys() <= site.files().keys(), sha256(third) in site.files().values()} == {True}


@pytest.mark.postgresql
def test_rename_settles_a_label_of_many_studies(site: DataFolder) -> None:
    told = site.bring({"a/1.dcm": images(1)[0], "b/1.dcm": images(1, case="other")[0]}, session="Same")
    assert {one["code"] for one in told.sessions} == {"label_many_studies"}
    one, two = (uuid_at(site, s["path"]) for s in told.sessions)
    with context_of(site) as context:
        refused("label_missing", resolve_session, context, one, "rename")
        resolve_session(context, one, "rename", label="First")
        assert item(context, one)["state"] == "ready"
        resolve_session(context, two, "accept")
        told_each = prearchive.run_each([one, two, "nothing"], lambda uuid: archive_session(context, uuid), "archive")
        assert [t["done"] for t in told_each] == [True, True, False]
        assert told_each[2]["code"] == "not_found"
    assert {path.split("/")[2] for path in site.files()} == {"First", "Same"}
    whole(site)


# -- the trash ---------------------------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_delete_into_the_trash_and_back(site: DataFolder) -> None:
    site.bring(uploader_layout("S1", "1", images(2)), session="S1")
    before = site.files()
    uuid = uuid_at(site, "archive/P/S1")
    with context_of(site) as context:
        editing.edit_scan(context, uuid, "1", {"quality": "unusable", "note": "moved"})
        was = item(context, uuid)
        assert delete_session(context, uuid, dry_run=True).after is None
        assert site.files() == before
        delete_session(context, uuid)
        assert site.files() == {}
        with context.catalog.read() as connection:
            (kept,) = list_trash(connection, context, Sorting(sort="-deleted")).items
        assert (kept.id, kept.label, kept.files) == (uuid, "S1", 2)
    assert check_data(str(site.data), site.settings) == []
    with context_of(site) as context:
        restore_session(context, uuid)
        now = item(context, uuid)
        for changing in ("modified", "created"):
            was.pop(changing), now.pop(changing)
        assert now == was
        with context.catalog.read() as connection:
            from scandock.services import session_contents

            assert session_contents.find_scan(connection, SYSTEM, uuid, "1").note == "moved"
        assert [action for action, _ in trail(context)] == ["edit", "delete", "restore"]
    assert site.files() == before
    whole(site)


def test_what_is_deleted_can_be_imported_again_and_comes_back_under_another_label(site: DataFolder) -> None:
    site.bring(uploader_layout("S1", "1", images(1)), session="S1")
    uuid = uuid_at(site, "archive/P/S1")
    with context_of(site) as context:
        delete_session(context, uuid)
    site.bring(uploader_layout("S1", "1", images(1, case="other")), session="S1")
    with context_of(site) as context:
        refused("label_taken", restore_session, context, uuid)
        restore_session(context, uuid, label="S1_back")
    assert {path.split("/")[2] for path in site.files()} == {"S1", "S1_back"}
    whole(site)


@pytest.mark.postgresql
def test_the_trash_is_emptied_when_its_time_is_over(site: DataFolder) -> None:
    uuid = waiting(site, images(1))
    with context_of(site) as context:
        delete_session(context, uuid)
        assert empty_trash(context.catalog, context.store, 1) == []
        assert empty_trash(context.catalog, context.store, 0, now=4e9) == [uuid]
        refused("not_found", restore_session, context, uuid)
        with context.catalog.read() as connection:
            assert connection.execute(select(func.count()).select_from(tree)).scalar_one() == 0
            assert connection.execute(select(func.count()).select_from(trashed)).scalar_one() == 0
    whole(site)


DAY = 86_400


@pytest.mark.parametrize("days", [1, 30])
def test_what_is_deleted_stays_for_so_many_days(site: DataFolder, days: int) -> None:
    uuid = waiting(site, images(1))
    with context_of(site) as context:
        before = time.time()
        delete_session(context, uuid)
        after = time.time()
        kept = [entry.id for entry in context.store.trash()]
        assert empty_trash(context.catalog, context.store, days, now=before - 2 + days * DAY) == []
        assert [entry.id for entry in context.store.trash()] == kept
        with context.catalog.read() as connection:
            assert [one.id for one in list_trash(connection, context, Sorting()).items] == [uuid]
        assert empty_trash(context.catalog, context.store, days, now=after + 2 + days * DAY) == [uuid]
        assert list(context.store.trash()) == []


def test_an_import_empties_the_trash_of_what_is_older_than_its_days(site: DataFolder) -> None:
    """What was replaced, too: it has no row of its own, only the time in its folder's name."""
    days, now = site.settings.trash_days, time.time()
    for name, age in (("young", days * DAY - 3600), ("old", days * DAY + 3600)):
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now - age))
        (site.data / "trash" / f"{stamp}-{name}" / "tree").mkdir(parents=True)
    site.bring(uploader_layout("S1", "1", images(1)))
    assert [path.name.rpartition("-")[2] for path in (site.data / "trash").glob("*-*")] == ["young"]


# -- kills -------------------------------------------------------------------------------------------------------------


class _Killed(BaseException):
    pass


POINTS = ("switched", "published", "retired", "finished")
VERBS = ("move", "join", "delete", "restore")
# The steps after each point are the same on both databases: PostgreSQL sees each verb once, and each point once.
KILLS = [
    *(("sqlite", verb, point) for verb in VERBS for point in POINTS),
    *(("postgresql", verb, point) for verb, point in zip(VERBS, POINTS, strict=True)),
]


@pytest.mark.long
@pytest.mark.parametrize(("database_url", "verb", "point"), KILLS, indirect=["database_url"])
def test_a_change_that_dies_is_rolled_forward(
    site: DataFolder, monkeypatch: pytest.MonkeyPatch, point: str, verb: str
) -> None:
    """Once the intent stands, whoever opens DATA next finishes it, whatever was done of it."""
    if verb == "join":
        site.bring(uploader_layout("S1", "1", images(1)), session="S1")
    uuid = waiting(site, images(2))
    with context_of(site) as context:
        if verb == "restore":
            delete_session(context, uuid)

    def die(name: str) -> None:
        if name == point:
            raise _Killed

    from scandock.publishing import operations, publish

    with context_of(site) as context:
        with monkeypatch.context() as patched:
            patched.setattr(completing, "reach", die)
            patched.setattr(publish, "reach", die)
            patched.setattr(operations, "end_unpublished", lambda running: None)
            with pytest.raises(_Killed):
                {
                    "move": lambda: move_session(context, uuid, label="Moved"),
                    "join": lambda: archive_session(context, uuid),
                    "delete": lambda: delete_session(context, uuid),
                    "restore": lambda: restore_session(context, uuid),
                }[verb]()
        with context.catalog.write() as connection:  # its process is gone: nobody renews, nobody owns
            connection.execute(operation.update().values(owner="", lease_until=0))
        assert recover(context.catalog, context.store).stuck == {}
        if verb in ("move", "restore"):
            assert item(context, uuid)["label"] == ("Moved" if verb == "move" else "S1")
        context.store.sweep()
    expected = {"join": 2, "delete": 0}.get(verb, 2)
    assert len(site.files()) == expected
    whole(site)


@pytest.mark.postgresql
def test_a_change_waits_for_an_import_of_the_same_session(site: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    from scandock.publishing import operations
    from scandock.publishing.locks import locks_of
    from scandock.publishing.operations import run_operation
    from scandock.rules.permissions import Action
    from scandock.services.rights import find_session_for

    monkeypatch.setattr(operations, "WAIT_SECONDS", 0.2)
    uuid = waiting(site, images(1))
    with context_of(site) as context, run_operation(context.catalog, context.store, "test") as other:
        with context.catalog.read() as connection:
            source = find_session_for(connection, SYSTEM, uuid, Action.SESSION_READ)
        with other.reserve_names({"P"}, lambda _: locks_of(source)):
            pass
        refused("session_busy", archive_session, context, uuid)
        assert item(context, uuid)["place"] == "prearchive"
    with context_of(site) as context:
        archive_session(context, uuid)
    whole(site)


@pytest.mark.postgresql
def test_rebuild_writes_attributes_from_the_facts(site: DataFolder) -> None:
    uuid = waiting(site, images(2))
    with context_of(site) as context:
        good = item(context, uuid)
        with context.catalog.write() as connection:
            connection.execute(session.update().values(attributes="{}", xsi_type="xnat:otherDicomSessionData"))
        would = prearchive.outcome_json(prearchive.rebuild_session(context, uuid, dry_run=True))
        assert item(context, uuid)["attributes"] == {}
        changed = len(good["attributes"]) + 1  # its type too
        assert would["counts"] == {"attributes": changed, "scans": 0, "kept": 2, "trashed": 0}
        told = f"differ from before: {changed}; scans with such details: 0 of 1. All files stay as they are (2)."
        assert told in would["message"]
        prearchive.rebuild_session(context, uuid)
        again = item(context, uuid)
        assert dataclasses.asdict(prearchive.rebuild_session(context, uuid, dry_run=True))["dry_run"]
        assert (again["attributes"], again["type"]) == (good["attributes"], good["type"])
    whole(site)


# -- over HTTP ---------------------------------------------------------------------------------------------------------


def test_the_verbs_over_http_and_who_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = make_data_folder(tmp_path, monkeypatch)
    with serve_in_process(site.data) as web, web.client() as admin:
        one = waiting(site, images(2))
        two = waiting(site, images(1, case="other"), "S2")
        web.account("meg", P="member")
        web.account("carl", P="collaborator")
        web.account("eve")
        base = "/api/v1/prearchive"
        with web.client("meg") as meg, web.client("carl") as carl, web.client("eve") as eve, web.client(None) as nobody:
            for who, status in ((carl, 403), (eve, 404), (nobody, 401)):
                assert who.post(f"{base}/{one}/archive", json={}).status_code == status
                assert who.post(f"{base}/{one}/move", json={"label": "X"}).status_code == status
                assert who.post(f"{base}/{one}/resolve", json={"choice": "accept"}).status_code == status
                assert who.post(f"{base}/{one}/rebuild").status_code == status
                assert who.delete(f"{base}/{one}").status_code == status
                assert who.get(f"{base}/{one}").status_code == status
                assert who.get(base, params={"project": "P"}).status_code == status
            assert meg.delete(f"{base}/{one}").status_code == 403
            listed = meg.get(base, params={"project": "P", "sort": "label"}).json()["items"]
            assert [item["id"] for item in listed] == [one, two]
            assert carl.get(base).json()["items"] == eve.get(base).json()["items"] == []
            admin.post("/api/v1/projects", json={"id": "Q"})
            assert meg.post(f"{base}/{one}/move", json={"project": "Q"}).status_code == 404
            told = meg.post(f"{base}/archive", params={"dry_run": "true"}, json={"sessions": [one, two, "no"]})
            assert [(item["session"], item["done"], item["code"]) for item in told.json()["items"]] == [
                (one, False, ""),
                (two, False, ""),
                ("no", False, "not_found"),
            ]
            assert len(meg.get(base).json()["items"]) == 2
            bare = meg.post(f"{base}/{two}/archive?dry_run=true")  # all that a body could say is optional
            assert (bare.status_code, bare.json()["done"]) == (200, False)
            assert meg.post(f"{base}/{two}/resolve", json={"choice": "accept"}).json()["code"] == "not_held"
            assert meg.post(f"{base}/{two}/move", json={"label": "a/b"}).json()["code"] == "label_unusable"
            done = meg.post(f"{base}/archive", json={"sessions": [one]}).json()["items"]
            assert (done[0]["done"], done[0]["to"]) == (
                True, "/data/archive/projects/P/subjects/DOE_JANE/experiments/S1",
            )  # fmt: skip
            assert meg.delete(f"/api/v1/sessions/{one}").status_code == 403
        assert admin.delete(f"{base}/{one}").status_code == 404  # it waits no more
        assert admin.delete(f"/api/v1/sessions/{one}").json()["done"]
        (kept,) = admin.get("/api/v1/trash").json()["items"]
        assert kept["id"] == one
        assert admin.post(f"/api/v1/trash/{one}/restore", json={"label": "Back"}).json()["to"].endswith("/Back")
        assert admin.post(f"/api/v1/trash/{one}/restore").status_code == 404
        lines = admin.get("/api/v1/audit/export", params={"format": "jsonl"}).text.splitlines()
        did = [json.loads(line)["action"] for line in lines]
        assert [one for one in did if one in ("archive", "delete", "restore")] == ["restore", "delete", "archive"]
    whole(site)
