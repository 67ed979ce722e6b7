"""Sessions that move into projects with other rules: an import by a worker takes them, and their old tree goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from sqlalchemy import select, update

from scandock.access.principal import Door, Principal
from scandock.catalog.engine import Catalog
from scandock.catalog.projects import ProjectRow, add_project
from scandock.catalog.records import SessionRecord
from scandock.catalog.server_tables import accession, account, audit
from scandock.catalog.sessions import find_session
from scandock.catalog.tables import project, session, tree, upload
from scandock.catalog.trees import files_of, scans_of
from scandock.model.series import SERIES_KEYS, SeriesTally
from scandock.model.verdicts import FINAL
from scandock.rules.privacy import PrivacyRules
from scandock.rules.privacy_policy import Level, Policy
from scandock.services.archiving import archive_session
from scandock.services.backup import back_up
from scandock.services.backup_restore import restore_backup
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import open_data
from scandock.services.editing import edit_scan
from scandock.services.header_refresh import pull_headers
from scandock.services.outcomes import Outcome
from scandock.services.session_contents import find_scan
from scandock.services.session_errors import SessionMoves, SessionNotMoved
from scandock.services.session_imports import read_ended_outcome
from scandock.services.session_moves import move_session
from scandock.services.trash import delete_session
from scandock.store.bucket import Bucket
from scandock.testing.privacy import given_privacy
from scandock.testing.server import add_account
from scandock.testing.worker import InProcessWorker
from tests.builders import DataFolder, Image, make_data_folder, sha256
from tests.crash.processes import until
from tests.integration.file_words import say_of_files
from tests.integration.test_import_filters import set_filter
from tests.stored_files import all_files

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
OTHER_SCRIPT = PrivacyRules(key=KEY, policy=Policy(study_uid="hash"), scripts=('version "6.1"\n(0008,1030) := "x"\n',))
BY_POLICY = PrivacyRules(key=KEY, policy=Policy(patient="hash"))
BY_POLICY_AND_SCRIPT = replace(BY_SCRIPT, policy=BY_POLICY.policy)


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


def by(given: PrivacyRules) -> Any:
    """The project P goes by these rules."""
    return given_privacy(projects={"P": given})


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


def sessions_on_disk(site: DataFolder) -> list[str]:
    places = [*(site.data / "archive").glob("*/*"), *(site.data / "prearchive").glob("*/*/*")]
    return sorted(path.relative_to(site.data).as_posix() for path in places)


def warnings_of(record: SessionRecord) -> set[str]:
    return {warning["code"] for warning in record.warnings}


def headers(site: DataFolder) -> list[Any]:
    return [
        pydicom.dcmread(path)
        for area in ("archive", "prearchive")
        for path in sorted((site.data / area).rglob("*.dcm"))
    ]


def are_found_by_their_own_uids(context: ServiceContext, count: int) -> bool:
    """Whether the stored objects are known by the SOP Instance UIDs that they came with."""
    with context.catalog.read() as connection:
        keys = [row.sop_key or 0 for _, row in all_files(connection) if row.sop_uid is not None]
    images = [Image(case="moves", number=number) for number in range(1, count + 1)]
    return sorted(keys) == sorted(BY_SCRIPT.sop_key(image.sop_uid.decode()) for image in images)


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
            files = [row.rules for _, row in all_files(connection) if row.sop_uid is not None]
        assert trees == [(after.tree_id, "current")]
        assert files == [BY_SCRIPT.fingerprint] * 2
        assert are_found_by_their_own_uids(context, 2)
    assert {(str(one.PatientName), one.PatientID, one.StudyDescription) for one in headers(site)} == {("S1", "E1", "P")}
    assert sessions_on_disk(site) == [f"prearchive/P/{after.timestamp}/E1"]
    assert [path.read_bytes() for path in (site.data / "prearchive").rglob("notes.txt")] == [b"seen"]
    site.check()


def test_what_people_said_goes_along_into_the_archive(site: DataFolder) -> None:
    """Of a project that has got a script since: its session is archived by an import, and is still the same one."""
    archive = {
        "E1/scans/1/resources/DICOM/files/1.dcm": mr(1)["a/1.dcm"],
        "E1/resources/NOTES/files/seen.txt": b"seen",
    }
    uuid = site.bring(archive, destination="prearchive").session["id"]
    with by(BY_SCRIPT), services(site) as context:
        before = row_of(context, uuid)
        edit_scan(context, uuid, "1", {"note": "moved", "quality": "usable"})
        with context.catalog.write() as connection:
            connection.execute(
                update(session)
                .where(session.c.uuid == uuid)
                .values(
                    attributes=json.dumps({**before.attributes, "note": "by hand"}),
                    fields_by_hand=json.dumps(["note"]),
                    quarantined=True,
                )
            )
            assert say_of_files(connection, "seen.txt", ("LETTER", None, "kept")) == 1
        number = accession_number(context, uuid)
        outcome = archive_session(context, uuid, label="E2")
        assert (outcome.after, outcome.waits) == ("/data/archive/projects/P/subjects/SALT_ANNA/experiments/E2", True)
        assert work(site, context.catalog, outcome).state == "placed"
        after = row_of(context, uuid)
        assert (after.place, after.label, after.state, after.quarantined) == ("archive", "E2", "ready", True)
        assert (after.attributes["note"], after.fields_by_hand) == ("by hand", ["note"])
        assert accession_number(context, uuid) == number
        with context.catalog.read() as connection:
            scan = find_scan(connection, context.principal, uuid, "1")
            (seen,) = (row for row in files_of(connection, after.tree_id) if row.name == "seen.txt")
            trail = connection.execute(
                select(audit.c.action, audit.c.target, audit.c.details).where(audit.c.action == "archive")
            ).all()
        assert (scan.note, scan.quality) == ("moved", "usable")
        assert (seen.content, seen.tags) == ("LETTER", "kept")
        ((action, target, details),) = trail
        assert (action, target, json.loads(details)["import"]) == ("archive", uuid, outcome.import_uuid)
    assert sessions_on_disk(site) == ["archive/P/E2"]
    assert sorted(site.trashed()) == sorted(sha256(data) for data in archive.values())  # a script hides no names
    site.check()


def accession_number(context: ServiceContext, uuid: str) -> int:
    with context.catalog.read() as connection:
        number: int = connection.execute(select(accession.c.number).where(accession.c.uuid == uuid)).scalar_one()
    return number


def test_where_patients_may_not_be_known_nothing_of_the_old_files_stands(site: DataFolder) -> None:
    strict = PrivacyRules(
        key=KEY, scripts=(HASHED,), profile="basic", policy=Policy(names="drop", study_uid="hash", patient="drop")
    )
    uuid = site.bring({**mr(2), "a/notes.txt": b"of SALT^ANNA"}, project="Q", destination="prearchive").session["id"]
    with by(strict), services(site) as context:
        add_project(context.catalog, ProjectRow(name="P"))
        outcome = move_session(context, uuid, project_name="P", label="E1", subject="S1")
        assert work(site, context.catalog, outcome).state == "placed"
        with context.catalog.read() as connection:
            name = connection.execute(select(upload.c.archive).where(upload.c.uuid == outcome.import_uuid)).scalar_one()
        context.store.sweep()
    assert name == f"session {uuid}"
    assert list((site.data / "trash").rglob("*.dcm")) == []
    kept = [path for path in site.data.rglob("*") if path.is_file() and "files" in path.parts]
    assert len(kept) == 2
    assert not [path for path in kept if b"SALT" in path.read_bytes()]
    site.check()


def test_a_bucket_keeps_no_bytes_of_the_old_files(
    bucket: Bucket, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it keeps what is deleted: `SCANDOCK_GARBAGE_DAYS` has its default here."""
    monkeypatch.setenv("SCANDOCK_STORE", bucket.url)
    monkeypatch.setenv("SCANDOCK_S3_ENDPOINT", bucket.endpoint or "")
    (tmp_path / "data").mkdir()
    site = make_data_folder(tmp_path, monkeypatch, postgres_url)
    site.scrubs = True
    images = mr(2)
    uuid = site.bring(images, project="Q", destination="prearchive").session["id"]

    def holders() -> list[str]:
        return [key for key in bucket.list("v1") if any(data in bucket.get(key) for data in images.values())]

    assert len(holders()) == 1
    with by(BY_POLICY_AND_SCRIPT), services(site) as context:
        add_project(context.catalog, ProjectRow(name="P"))
        outcome = move_session(context, uuid, project_name="P", label="E1", subject="S1")
        assert work(site, context.catalog, outcome).state == "placed"
        context.store.sweep()
    assert holders() == []
    site.check()


def test_what_fails_stays_and_says_why(site: DataFolder) -> None:
    failing = PrivacyRules(key=KEY, scripts=(HASHED + "(0008,0020) := shiftDateByIncrement[(0010,0010), 1]\n",))
    uuid = site.bring(mr(2), project=None).session["id"]
    files = site.files()
    with services(site) as context:
        add_project(context.catalog, ProjectRow(name="P"))
        before = row_of(context, uuid)
        with by(failing):
            outcome = move_session(context, uuid, project_name="P")
            row = work(site, context.catalog, outcome)
        assert (row.state, row.code) == ("refused", "deid_failed")
        after = row_of(context, uuid)
        assert (after.parts, after.tree_id, after.state) == (before.parts, before.tree_id, "ready")
        (warning,) = [one for one in after.warnings if one["code"] == "not_moved"]
        assert "could not be de-identified" in warning["message"]
        assert "SALT^ANNA" not in warning["message"]
        assert site.files() == files
        with context.catalog.read() as connection, pytest.raises(SessionNotMoved):
            read_ended_outcome(connection, outcome)
        site.check()
        with by(BY_SCRIPT):
            again = move_session(context, uuid, project_name="P")
            with pytest.raises(SessionMoves):
                move_session(context, uuid, project_name="P")
            assert work(site, context.catalog, again).state == "placed"
        with context.catalog.read() as connection:
            ended = read_ended_outcome(connection, again)
        after = row_of(context, uuid)
        assert (after.project, ended.after, ended.waits) == ("P", after.uri, False)
        assert "not_moved" not in warnings_of(after)
    site.check()


@pytest.mark.postgresql
def test_it_joins_what_the_project_has_of_the_study(site: DataFolder) -> None:
    waiting = site.bring(mr(3), project="Q", destination="prearchive").session["id"]
    with by(BY_SCRIPT), services(site) as context:
        there = site.bring(mr(2), subject="S1", session="E1", destination="prearchive").session["id"]
        outcome = move_session(context, waiting, project_name="P", label="E1", subject="S1")
        row = work(site, context.catalog, outcome)
        assert (row.state, json.loads(row.report)["entries"]["duplicate"]) == ("placed", 2)
        with context.catalog.read() as connection:
            assert find_session(connection, waiting) is None
            ended = read_ended_outcome(connection, outcome)
            assert connection.execute(select(tree.c.state)).scalars().all() == ["current"]
        assert (ended.into, ended.after) == (there, row_of(context, there).uri)
    assert len(headers(site)) == 3
    assert [path.rpartition("/")[2] for path in sessions_on_disk(site)] == ["E1"]
    site.check()


def test_rules_that_agree_are_a_rename(site: DataFolder) -> None:
    with given_privacy(BY_SCRIPT), services(site) as context:
        uuid = site.bring(mr(2), project=None).session["id"]
        add_project(context.catalog, ProjectRow(name="P"))
        inodes = {path.stat().st_ino for path in (site.data / "prearchive").rglob("*.dcm")}
        assert not move_session(context, uuid, project_name="P").waits
        assert not archive_session(context, uuid, label="E9").waits
        assert {path.stat().st_ino for path in (site.data / "archive").rglob("*.dcm")} == inodes
    with services(site) as context:  # and so is leaving a project with rules
        add_project(context.catalog, ProjectRow(name="Q"))
        later = site.bring(mr(1, study=2), project="Q", destination="prearchive").session["id"]
        assert not move_session(context, later, project_name="P").waits
    site.check()


@pytest.mark.parametrize("rules", [BY_SCRIPT, BY_POLICY], ids=["late", "as it is read"])
def test_only_what_other_rules_have_made_is_made_again(site: DataFolder, rules: PrivacyRules) -> None:
    """Half a session came before its project had rules: the other half is not de-identified twice."""
    archive = mr(3)
    names = {"session": "E1", "subject": "S1", "destination": "prearchive"}
    uuid = site.bring({name: archive[name] for name in ("a/1.dcm", "a/2.dcm")}, **names).session["id"]
    with by(rules), services(site) as context:
        later = site.bring({"a/3.dcm": archive["a/3.dcm"]}, **names)
        assert later.session["id"] == uuid
        assert work(site, context.catalog, archive_session(context, uuid)).state == "placed"
        with context.catalog.read() as connection:
            rows = [row for _, row in all_files(connection)]
        assert rules is BY_POLICY or are_found_by_their_own_uids(context, 3)
    assert {row.rules for row in rows} == {rules.fingerprint}
    assert len({row.origin for row in rows}) == 3
    assert len({(one.StudyInstanceUID, one.PatientID) for one in headers(site)}) == 1
    assert {later.lines[0]["stored_as"].rpartition("/")[2]} <= {path.rpartition("/")[2] for path in site.files()}
    with by(rules):
        assert site.bring(archive, **{**names, "destination": "archive"}).counts == {"duplicate": 3}


def test_what_the_same_rules_made_by_an_older_key_stays(site: DataFolder) -> None:
    policy = Policy(patient="hash")
    older = PrivacyRules(key=KEY, policy=policy)
    newer = PrivacyRules(key=b"n" * 32, older_keys=(KEY,), policy=policy)
    whole = {"session": "WHOLE", "subject": "S1", "destination": "prearchive"}
    half = {"session": "HALF", "subject": "S1", "destination": "prearchive"}
    first, second = mr(2, study=2).items()
    half_uuid = site.bring(dict([first]), **half).session["id"]
    with by(older):
        uuid = site.bring(mr(2), **whole).session["id"]
        site.bring(dict([second]), **half)
        made = {path.read_bytes() for path in (site.data / "prearchive").glob("*/*/WHOLE/**/*.dcm")}
    with by(newer), services(site) as context:
        assert not archive_session(context, uuid).waits
        assert {path.read_bytes() for path in (site.data / "archive").rglob("*.dcm")} == made
        assert work(site, context.catalog, archive_session(context, half_uuid)).state == "placed"
    assert len({one.PatientID for one in headers(site)}) == 2, "that of each key"


@pytest.mark.parametrize("rules", [None, OTHER_SCRIPT], ids=["separated", "other rules"])
def test_it_is_known_still_what_its_series_were(site: DataFolder, rules: PrivacyRules | None) -> None:
    """As a segmentation that comes later refers to the original series."""

    def image(series: str, modality: bytes, number: bytes) -> bytes:
        return Image(case="known", series=series, modality=modality, series_number=number).file()

    def known(context: ServiceContext, *uuids: str) -> set[str]:
        with context.catalog.read() as connection:
            scans = [scan for uuid in uuids for scan in scans_of(connection, row_of(context, uuid).tree_id)]
        return {scan.facts.nested[SERIES_KEYS] for scan in scans if isinstance(scan.facts, SeriesTally)}

    at_first = PrivacyRules(key=KEY, policy=Policy(study_uid="hash"))
    site.project("A", petmr="petmr")
    site.project("APART", petmr="separate")
    privacy = {"A": at_first} if rules is None else {"A": at_first, "APART": rules}
    archive = {"s/1": image("pet", b"PT", b"1"), "s/2": image("t1", b"MR", b"2")}
    expected = {at_first.series_key(Image(case="known", series=name).series_uid.decode()) for name in ("pet", "t1")}
    with given_privacy(projects=privacy), services(site) as context:
        uuid = site.bring(archive, project="A", destination="prearchive", session="E1").session["id"]
        assert known(context, uuid) == expected
        row = work(site, context.catalog, move_session(context, uuid, project_name="APART"))
        assert row.state == "placed"
        moved = [one["id"] for one in json.loads(row.report)["sessions"]]
        assert known(context, *moved) == expected
        assert not archive_session(context, moved[0]).waits
        kept = known(context, moved[0])
        pull_headers(context, moved[0])
        assert known(context, moved[0]) == kept != set()


def test_labels_that_nobody_named_are_made_anew_also_the_second_time(site: DataFolder) -> None:
    site.project("A")
    private = PrivacyRules(key=KEY, policy=Policy(patient="drop", study_uid="drop"))
    with given_privacy(projects={"B": BY_SCRIPT, "C": private}), services(site) as context:
        for name in ("B", "C"):
            add_project(context.catalog, ProjectRow(name=name))
        for subject, kept in ((None, False), ("NAMED", True)):
            study = 1 + kept
            uuid = site.bring(mr(2, study=study), project="A", destination="prearchive", subject=subject).session["id"]
            had = row_of(context, uuid)
            assert work(site, context.catalog, move_session(context, uuid, project_name="B")).state == "placed"
            between = row_of(context, uuid)
            assert (between.label, between.subject) == (had.label, had.subject)
            assert work(site, context.catalog, move_session(context, uuid, project_name="C")).state == "placed"
            after = row_of(context, uuid)
            assert after.label != had.label
            assert (after.subject == had.subject) == kept


def test_warnings_of_a_session_go_along(site: DataFolder) -> None:
    def image(series: str, modality: bytes, number: bytes, description: bytes = b"") -> bytes:
        also = {0x0008103E: (b"LO", description)}
        return Image(case="warned", series=series, modality=modality, series_number=number, also=also).file()

    archive = {
        "s/1": image("pet", b"PT", b"1"),
        "s/2": image("t1", b"MR", b"2"),
        "s/3": image("l", b"MR", b"3", b"Localizer"),
    }
    site.project("A", petmr="petmr")
    site.project("APART", petmr="separate")
    set_filter(site, "A", "Localizer")
    uuid = site.bring(archive, project="A", destination="prearchive", session="E1").session["id"]
    with services(site) as context:
        assert warnings_of(row_of(context, uuid)) == {"session_filtered"}
        assert work(site, context.catalog, move_session(context, uuid, project_name="APART")).state == "placed"
        assert "session_filtered" in warnings_of(row_of(context, uuid))


def test_a_session_that_was_de_identified_elsewhere_is_known_by_what_it_was(site: DataFolder) -> None:
    other = PrivacyRules(key=KEY, scripts=(HASHED + '(0008,1040) := "B"\n',))
    archive = mr(2)
    with given_privacy(projects={"A": BY_SCRIPT, "P": other}), services(site) as context:
        uuid = site.bring(archive, project="A", destination="prearchive", subject="S1", session="E1").session["id"]
        before = row_of(context, uuid)
        add_project(context.catalog, ProjectRow(name="P"))
        assert work(site, context.catalog, move_session(context, uuid, project_name="P")).state == "placed"
        after = row_of(context, uuid)
        assert (after.study_key, after.patient_key) == (before.study_key, before.patient_key)
        assert are_found_by_their_own_uids(context, 2)
        again = site.bring(archive, project="P", subject="S1", session="E1", destination="prearchive")
        assert (again.counts, again.session["id"]) == ({"duplicate": 2}, uuid)
    assert {one.InstitutionalDepartmentName for one in headers(site)} == {"B"}


def test_filters_of_the_project_leave_series_out_or_refuse_it(site: DataFolder) -> None:
    localizer = Image(
        case="moves", series="loc", series_number=b"9", number=9, also={0x0008103E: (b"LO", b"Localizer")}
    )
    uuid = site.bring({**mr(2), "l/9.dcm": localizer.file()}, project=None).session["id"]
    with by(BY_SCRIPT), services(site) as context:
        add_project(context.catalog, ProjectRow(name="P"))
        set_filter(site, "P", "Localizer")
        outcome = move_session(context, uuid, project_name="P")
        row = work(site, context.catalog, outcome)
        assert (row.state, json.loads(row.report)["entries"]["filtered"]) == ("placed", 1)
        assert len(headers(site)) == 2
        assert localizer.file() in [path.read_bytes() for path in (site.data / "trash").rglob("*.dcm")]
        only = site.bring({"l/9.dcm": localizer.file()}, project=None).session["id"]
        refused = work(site, context.catalog, move_session(context, only, project_name="P"))
        assert (refused.state, refused.code) == ("refused", "all_filtered")
        assert row_of(context, only).project == "Unassigned"
        assert "not_moved" in warnings_of(row_of(context, only))
    site.check()


def test_pet_and_mr_are_separated_renamed_or_left_as_the_project_has_it(site: DataFolder) -> None:
    def image(series: str, modality: bytes, scan: bytes) -> bytes:
        return Image(case="moves", series=series, modality=modality, series_number=scan).file()

    archive = {"s/1.dcm": image("pet", b"PT", b"1"), "s/2.dcm": image("t1", b"MR", b"2")}
    for name, petmr in (("Q", "petmr"), ("APART", "separate"), ("PETS", "pet"), ("WHOLE", "petmr")):
        site.project(name, petmr=petmr)
    uuid = site.bring(archive, project="Q", destination="prearchive", session="E1PETMR").session["id"]
    with services(site) as context:
        for project_name, kind, label in (
            ("WHOLE", "xnat:petmrSessionData", "E1PETMR"), ("PETS", "xnat:petSessionData", "E1PET"),
            ("WHOLE", "xnat:petmrSessionData", "E1PET"),
        ):  # fmt: skip
            outcome = move_session(context, uuid, project_name=project_name)
            assert (outcome.waits, "label_petmr" in {one.code for one in outcome.warnings}) == (
                False, project_name == "PETS",
            )  # fmt: skip
            assert (row_of(context, uuid).xsi_type, row_of(context, uuid).label) == (kind, label)
        files = site.files()
        outcome = move_session(context, uuid, project_name="APART")
        assert work(site, context.catalog, outcome).state == "placed"
        assert row_of(context, uuid).side == "MR"
    assert [path.rpartition("/")[2] for path in sessions_on_disk(site)] == ["E1PET_MR", "E1PET_PET"]
    assert sorted(site.files().values()) == sorted(files.values())  # no byte of them is another
    site.check()


def test_a_session_that_is_gone_changed_or_damaged_does_not_move(site: DataFolder) -> None:
    with by(BY_SCRIPT), services(site) as context:
        add_project(context.catalog, ProjectRow(name="P"))
        gone = site.bring(mr(1, study=2), project=None).session["id"]
        outcome = move_session(context, gone, project_name="P")
        delete_session(context, gone)
        row = work(site, context.catalog, outcome)
        assert (row.state, row.code) == ("refused", "moved_session_changed")
        damaged = site.bring(mr(2), project=None).session["id"]
        path = next((site.data / "prearchive" / "Unassigned").rglob("*.dcm"))
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        row = work(site, context.catalog, move_session(context, damaged, project_name="P"))
        assert (row.state, row.code) == ("refused", "session_damaged")
        assert row_of(context, damaged).project == "Unassigned"
        outcome = move_session(context, damaged, project_name="P")
        with context.catalog.write() as connection:
            connection.execute(update(project).where(project.c.name == "P").values(name="R", key="r"))
        row = work(site, context.catalog, outcome)
        assert (row.state, row.code) == ("refused", "project_unknown")
        (warning,) = [one for one in row_of(context, damaged).warnings if one["code"] == "not_moved"]
        assert "project P" in warning["message"].replace("Project", "project")


def test_a_backup_has_what_waits_and_its_import_goes_on_there(site: DataFolder, tmp_path: Path) -> None:
    uuid = site.bring(mr(2), project=None).session["id"]
    with by(BY_SCRIPT), services(site) as context:
        add_project(context.catalog, ProjectRow(name="P"))
        outcome = move_session(context, uuid, project_name="P")
    kept, again = str(tmp_path / "kept"), str(tmp_path / "again" / "data")
    back_up(str(site.data), site.settings, kept)
    assert restore_backup(kept, again, site.settings) == []
    copy = DataFolder(root=tmp_path / "again", settings=site.settings, scrubs=True)
    with by(BY_SCRIPT), services(copy) as context:
        assert work(copy, context.catalog, outcome).state == "placed"
        assert row_of(context, uuid).project == "P"
    copy.check()


@pytest.mark.parametrize("names", ["keep", "hash", "drop"])
def test_scans_keep_their_ids_whatever_uids_they_get(site: DataFolder, names: Level) -> None:
    """Five series of one number: their ids go by the order of their UIDs, which is another one once they are hashed."""
    archive = {
        f"a/{name}.dcm": Image(
            case="moves", series=name, series_number=b"2", also={0x0008103E: (b"LO", name.encode())}
        ).file()
        for name in ("alpha", "beta", "gamma", "delta", "epsilon")
    }

    def descriptions() -> dict[str, str]:
        return {path.parts[-5]: str(pydicom.dcmread(path).SeriesDescription) for path in site.data.rglob("files/*.dcm")}

    uuid = site.bring(archive, destination="prearchive").session["id"]
    before = descriptions()
    assert len(before) == 5
    with by(replace(BY_SCRIPT, policy=Policy(names=names))), services(site) as context:
        assert work(site, context.catalog, archive_session(context, uuid)).state == "placed"
        with context.catalog.write():
            context.store.purge(0)
    assert descriptions() == before
    site.check()


def test_labels_that_nobody_named_are_made_anew_where_patients_may_not_be_known(site: DataFolder) -> None:
    strict = PrivacyRules(key=KEY, scripts=(HASHED,), policy=Policy(patient="hash"))
    made = site.bring(mr(1), project="Q", destination="prearchive").session["id"]
    named = site.bring(mr(1, study=2), project="Q", destination="prearchive", session="E2", subject="S2").session["id"]
    with services(site) as context:
        add_project(context.catalog, ProjectRow(name="P"))
        with by(strict):
            imports = [move_session(context, uuid, project_name="P").import_uuid for uuid in (made, named)]
        with context.catalog.read() as connection:
            requests = [
                json.loads(connection.execute(select(upload.c.request).where(upload.c.uuid == uuid)).scalar_one())
                for uuid in imports
            ]
        with pytest.raises(SessionMoves):
            move_session(context, made, label="E9")
    assert [(one.get("session"), one.get("subject")) for one in requests] == [(None, None), ("E2", "S2")]


def test_where_nothing_may_be_known_the_keys_go_too(site: DataFolder) -> None:
    strict = PrivacyRules(key=KEY, scripts=(HASHED,), policy=Policy(names="drop", study_uid="drop", patient="drop"))
    with given_privacy(projects={"A": BY_SCRIPT, "P": strict}), services(site) as context:
        uuid = site.bring(mr(1), project="A", destination="prearchive", subject="S1", session="E1").session["id"]
        assert row_of(context, uuid).study_key
        add_project(context.catalog, ProjectRow(name="P"))
        assert work(site, context.catalog, move_session(context, uuid, project_name="P")).state == "placed"
        after = row_of(context, uuid)
    assert (after.project, after.label, after.study_key, after.patient_key) == ("P", "E1", "", "")
    site.check()
