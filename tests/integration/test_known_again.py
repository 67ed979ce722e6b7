"""What a project had before it de-identified, or before the site had a newer key, is known when it comes again."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from scandock.access.principal import SYSTEM
from scandock.catalog.file_rows import FileRow
from scandock.catalog.tables import session, subject_patient
from scandock.rules.import_request import ImportRequest
from scandock.rules.privacy import PrivacyRules
from scandock.rules.privacy_policy import Policy
from scandock.rules.series_filters import read_lines
from scandock.services.archiving import archive_session
from scandock.services.comparison import compare_sessions
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import open_data
from scandock.services.existing_sessions import PlannedSession, find_existing_sessions
from scandock.services.file_verification import VerificationPlan, mark_for_verification
from scandock.services.held_sessions import resolve_session
from scandock.services.import_filters import set_local_filter
from scandock.services.label_conflicts import find_taken_labels
from scandock.services.privacy_scripts import set_local_script
from scandock.services.privacy_settings import add_local_key
from scandock.testing.privacy import given_privacy
from scandock.workers.inspection import run_inspect
from tests.builders import DataFolder, Image, ecat, make_data_folder, verify_some, zip_entries
from tests.integration.test_browser_modules import NODE, node
from tests.integration.web import serve_data_folder
from tests.stored_files import all_files

LABELS = 'version "6.1"\n(0010,0010) := subject\n(0010,0020) := session\n'
HASHED = LABELS + "".join(f"({tag}) := hashUID[({tag})]\n" for tag in ("0020,000D", "0020,000E", "0008,0018"))


def rules(script: str = HASHED, **values: Any) -> PrivacyRules:
    return PrivacyRules(**{"key": b"k" * 32, "scripts": (script,), **values})


BY_SCRIPT = rules()
BY_PROFILE = rules(LABELS, profile="basic,retain-patient")
NEWER = replace(BY_SCRIPT, key=b"n" * 32, older_keys=(BY_SCRIPT.key,))
"""The same rules once the site has a newer key: UIDs that scripts hash come out as before."""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    folder = make_data_folder(tmp_path, monkeypatch, database_url)
    folder.scrubs = True
    return folder


def by(given: PrivacyRules) -> Any:
    return given_privacy(given)


def image(number: int = 1, **values: Any) -> bytes:
    return Image(**{"case": "known", "number": number, "patient_id": b"SALT-77", **values}).file()


def mr(count: int = 2, first: int = 1, **values: Any) -> dict[str, bytes]:
    return {f"a/{n}.dcm": image(n, **values) for n in range(first, first + count)}


def with_other_preamble(entries: dict[str, bytes]) -> dict[str, bytes]:
    """The same objects in files of other bytes."""
    return {name: b"II*\0".ljust(128, b"\0") + data[128:] for name, data in entries.items()}


def rows(site: DataFolder, *columns: Any) -> list[Any]:
    with site.catalog() as catalog, catalog.read() as connection:
        return list(connection.execute(select(*columns)))


def files(site: DataFolder) -> list[FileRow]:
    with site.catalog() as catalog, catalog.read() as connection:
        return [row for _, row in all_files(connection)]


def verify(site: DataFolder, given: PrivacyRules | None) -> None:
    """Read all stored files once more, as the worker does in time."""
    with open_data(str(site.data), site.settings) as (catalog, store):
        with catalog.write() as connection:
            mark_for_verification(catalog, connection, *connection.execute(select(session.c.tree_id)).scalars())
        assert verify_some(catalog, store, 60, plan=VerificationPlan(rules_of=lambda _: given)).files


# -- from before the rules -----------------------------------------------------------------------------------------


@pytest.mark.postgresql
@pytest.mark.parametrize("given", [BY_SCRIPT, BY_PROFILE])
@pytest.mark.parametrize("verified", [False, True])
def test_an_archive_from_before_the_rules_is_there_already(
    site: DataFolder, given: PrivacyRules, verified: bool
) -> None:
    """By its bytes, and in files that differ in what is no part of an object by its data sets."""
    archive = {**mr(3), "b/1.v": ecat(frames=1)}
    first = site.bring(archive)
    before = site.files()
    if verified:
        verify(site, given)
        assert None not in {row.origin for row in files(site)}
    with by(given):
        again = site.bring(archive)
        other = site.bring(with_other_preamble(mr(3)))
    assert (again.state, again.counts) == ("placed", {"duplicate": 4})
    assert (other.state, other.counts) == ("placed", {"duplicate": 3}), other.codes()
    assert set(other.codes().values()) == {"duplicate same_origin"}
    assert site.files() == before
    assert [one["path"] for one in again.sessions] == [one["path"] for one in first.sessions]
    assert other.session["path"] in {one["path"] for one in first.sessions}
    assert "rules_changed" in other.warned()
    assert {key for (key,) in rows(site, session.c.study_key)} == {
        "", given.study_key(Image(case="known").study_uid.decode()),
    }  # fmt: skip


def test_verification_gives_origins_to_images_of_projects_with_rules_alone(site: DataFolder) -> None:
    """And to none that was de-identified: those have theirs."""
    with by(BY_SCRIPT):
        site.bring({**mr(2), "a/notes.txt": b"notes"})
    site.bring(mr(1, first=3, study=2, study_date=b"20210101"))
    before = {row.sha256: row.origin for row in files(site)}
    verify(site, None)
    assert {row.sha256: row.origin for row in files(site)} == before
    assert list(before.values()).count(None) == 2
    verify(site, BY_SCRIPT)
    after = {row.sha256: row.origin for row in files(site)}
    assert {sha: origin for sha, origin in after.items() if before[sha]} == {s: o for s, o in before.items() if o}
    assert list(after.values()).count(None) == 1  # what is no image
    assert {row.rules for row in files(site)} == {None, BY_SCRIPT.fingerprint}


def test_new_objects_join_an_old_session_and_the_old_patient_has_its_subject(site: DataFolder) -> None:
    old = site.bring(mr(2))
    with by(BY_PROFILE):
        more = site.bring(mr(3))
        another = site.bring(mr(1, study=2, study_date=b"20210101"))
        elsewhere = site.bring(mr(1, study=3, study_date=b"20220101"), subject="B")
    assert (more.counts, more.session["path"]) == ({"stored": 1, "duplicate": 2}, old.session["path"])
    assert another.session["subject"] == old.session["subject"]
    assert "patient_many_subjects" in elsewhere.warned()
    (message,) = [one["message"] for one in elsewhere.session["warnings"] if one["code"] == "patient_many_subjects"]
    assert BY_PROFILE.patient_token("SALT-77") in message
    assert site.bring(mr(2)).counts == {"duplicate": 2}  # the rules are gone, and it is known by what it had


def test_a_lost_file_from_before_the_rules_is_healed_as_it_was(site: DataFolder) -> None:
    site.checked = False
    first = site.bring(mr(3))
    before = site.files()
    (site.data / first.line("a/2.dcm")["stored_as"]).unlink()
    with by(BY_SCRIPT):
        again = site.bring(mr(3))
    assert again.codes()["a/2.dcm"] == "stored healed", again.codes()
    assert site.files() == before


def test_what_waits_since_before_the_rules_goes_as_it_is_brought(site: DataFolder) -> None:
    """A session that is held beside an archived one, whose objects come again and are de-identified now."""
    site.bring(mr(2))
    held = site.bring(mr(3), overwrite="none")
    assert held.report["code"] == "session_exists"
    with by(BY_SCRIPT):
        again = site.bring(with_other_preamble(mr(3)), overwrite="append", settles=True)
    assert (again.state, again.counts) == ("placed", {"stored": 1, "duplicate": 2})
    assert "conflict_settled" in again.warned()
    assert not (site.data / held.session["path"]).exists()


# -- older keys ----------------------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_an_archive_is_known_by_an_older_key(site: DataFolder) -> None:
    archive = {**mr(3), "b/1.v": ecat(frames=1, patient_id=b"SALT-77")}
    with by(BY_SCRIPT):
        first = site.bring(archive)
        site.bring({"c.v": ecat(frames=2)}, session="E1")
    before = site.files()
    with by(NEWER):
        again = site.bring(archive)
        second = site.bring(mr(1, study=2, study_date=b"20210101"))
        elsewhere = site.bring({"c.v": ecat(frames=2)}, session="E2")
        more = site.bring(mr(4))
    assert (again.state, again.counts) == ("placed", {"duplicate": 4}), again.codes()
    assert set(again.codes().values()) == {"duplicate same_origin"}
    assert "rules_changed" not in again.warned()
    assert before.items() <= site.files().items()
    paths = {one["path"] for one in first.sessions}
    assert {one["path"] for one in again.sessions} == paths
    assert (more.counts, more.session["path"] in paths) == ({"stored": 1, "duplicate": 3}, True)
    assert second.session["subject"] == more.session["subject"]
    assert "ecat_elsewhere" in elsewhere.warned()
    study_uid = Image(case="known").study_uid.decode()
    keys = {key for key, label in rows(site, session.c.study_key, session.c.label) if label == more.session["label"]}
    assert keys == {NEWER.study_key(study_uid)}  # once something joins
    assert {token for (token,) in rows(site, subject_patient.c.patient_id)} >= {NEWER.patient_token("SALT-77")}


def test_studies_of_which_no_hash_is_kept_are_known_by_the_uids_that_older_keys_make(site: DataFolder) -> None:
    dropping = replace(BY_SCRIPT, policy=Policy(names="drop", study_uid="drop", patient="drop"))
    with by(dropping):
        first = site.bring(mr(2))
    with by(replace(dropping, key=NEWER.key, older_keys=NEWER.older_keys)):
        again = site.bring(mr(2))
        more = site.bring(mr(3))
    assert (again.state, again.counts) == ("placed", {"duplicate": 2}), again.codes()
    assert set(again.codes().values()) == {"duplicate same_origin"}
    assert more.counts == {"stored": 1, "duplicate": 2}
    assert {one["path"] for one in (again.session, more.session)} == {first.session["path"]}


def test_a_lost_file_is_healed_and_a_waiting_session_goes_by_an_older_key(site: DataFolder) -> None:
    site.checked = False
    with by(BY_SCRIPT):
        first = site.bring(mr(2))
        held = site.bring(mr(3), overwrite="none")
        before = site.files()
    path = site.data / first.line("a/2.dcm")["stored_as"]
    path.unlink()
    with by(NEWER):
        healed = site.bring(mr(2))
        assert healed.codes()["a/2.dcm"] == "stored healed", healed.codes()
        assert site.files() == before
        there = site.bring(mr(2), overwrite="none")
        assert "Every object that came is there already." in there.session["message"]
        again = site.bring(mr(3), overwrite="append", settles=True)
    assert again.counts == {"stored": 1, "duplicate": 2}
    assert not (site.data / held.session["path"]).exists()


# -- sessions that meet: merging, comparing, resolving -------------------------------------------------------------


def waiting_uuid(site: DataFolder) -> str:
    (uuid,) = [uuid for uuid, place in rows(site, session.c.uuid, session.c.place) if place == "prearchive"]
    return str(uuid)


@pytest.mark.postgresql
def test_what_other_rules_made_of_the_same_objects_merges_to_nothing_new(site: DataFolder) -> None:
    """No UID is the same: study and files are known by what they were."""
    with by(BY_SCRIPT):
        first = site.bring(mr(3))
    before = site.files()
    with by(BY_PROFILE):
        site.bring(mr(3), destination="prearchive", session="E1")
        assert len({uid for (uid,) in rows(site, session.c.study_uid)}) == 2
    uuid = waiting_uuid(site)
    with open_data(str(site.data), site.settings) as (catalog, store):
        with catalog.write() as connection:
            values = {"state": "conflict", "held_code": "session_exists"}
            connection.execute(update(session).where(session.c.uuid == uuid).values(**values))
            compared = compare_sessions(connection, [uuid])[uuid]
            assert (compared.same, compared.differ, compared.only_came, compared.only_stands) == (3, 0, 0, 0)
            assert compared.stands is not None
            assert compared.stands.uuid == first.session["id"]
            assert find_taken_labels(connection, [uuid]) == set()
        outcome = resolve_session(ServiceContext(catalog, store, site.settings, SYSTEM), uuid, "add")
    assert outcome.into == first.session["id"]
    assert site.files() == before
    site.check()


def test_an_old_archived_session_takes_what_was_de_identified_of_it_as_there(site: DataFolder) -> None:
    """Files from before the rules are read for it. Rules and keys are those of the site."""
    later: dict[str, Any] = {"study": 2, "study_date": b"20210101"}
    first = site.bring(mr(3))
    before = site.files("archive")
    set_local_script(str(site.data), site.settings, None, HASHED)
    site.bring(mr(4, **later))
    came = len(site.files("archive"))
    assert came == len(before) + 4
    waiting = site.bring(mr(4), destination="prearchive")
    assert waiting.counts == {"stored": 4}
    with open_data(str(site.data), site.settings) as (catalog, store):
        context = ServiceContext(catalog, store, site.settings, SYSTEM)
        assert archive_session(context, waiting.session["id"]).into == first.session["id"]
    assert len(site.files("archive")) == came + 1
    add_local_key(str(site.data), site.settings)
    assert site.bring({**mr(4), **{f"b/{n}": image(n, **later) for n in range(1, 6)}}).counts == {
        "duplicate": 8, "stored": 1,
    }  # fmt: skip
    site.check()


# -- inspection ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [BY_SCRIPT, NEWER])
def test_an_inspection_says_what_would_be(site: DataFolder, given: PrivacyRules) -> None:
    """By keys and origins, older ones too, and of sessions from before the rules; it stores and changes nothing."""
    archive = {**mr(2), "c.v": ecat(frames=2), "a/notes.txt": b"notes"}
    site.bring(mr(1, study=2), subject="B", destination="prearchive")
    with by(BY_SCRIPT):
        site.bring(mr(2), destination="prearchive", session="E9", subject="A")
        site.bring({"c.v": ecat(frames=2)}, session="E8")
    before = rows(site, session)
    with by(given):
        result = run_inspect(
            data=str(site.data),
            archive=str(site.written({**archive, "d/1.dcm": image(study=2)})),
            request=ImportRequest(project="P", receipt=True),
            settings=site.settings,
            on_progress=None,
            cancelled=threading.Event(),
        )
    lines = io.StringIO()
    result.write_receipt(lines)
    codes = {line["path"]: line["code"] for line in map(json.loads, lines.getvalue().splitlines())}
    assert codes.pop("a/notes.txt") == "resource"
    assert set(codes.values()) == {"stored_deid"}
    warned = [{warning["code"] for warning in one["warnings"]} for one in result.report["sessions"]]
    assert len(warned) == 3
    assert sum("waiting_elsewhere" in codes for codes in warned) == 2
    assert sum("ecat_elsewhere" in codes for codes in warned) == 1
    assert all({"patient_many_subjects", "deid_planned"} <= codes for codes in warned)
    assert rows(site, session) == before


# -- asked before an upload ------------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_what_an_upload_would_meet_is_told_by_keys(site: DataFolder) -> None:
    """Of what is de-identified, by a newer key too, and of what is from before; UIDs that changed compare no images."""
    uid, other = (Image(case="known", study=n).study_uid.decode() for n in (1, 2))
    pet = ecat(frames=2)
    with by(BY_SCRIPT):
        there = site.bring(mr(2), subject="A")
        site.bring({"c.v": pet}, session="E8")
    old = site.bring(mr(1, study=2, study_date=b"20210101"), subject="B")
    crcs = frozenset(zlib.crc32(Image(case="known", number=n, study=2).sop_uid) for n in (1, 2))
    planned = [
        PlannedSession(
            project="P", label="NEW", study_uid=uid, subject="C", patient_id="SALT-77", images=2, image_crcs=crcs
        ),
        PlannedSession(project="P", label="NEW", study_uid=other, patient_id="SALT-77", images=2, image_crcs=crcs),
        PlannedSession(project="P", label=there.session["label"], derived_subjects=("A",), patient_id="SALT-77"),
        PlannedSession(project="P", label="E9", ecat=(hashlib.sha256(pet).digest(),), derived_subjects=("B",),
                       patient_id="OTHER", former_subjects=("A",), patient_name="DOE^JANE"),
    ]  # fmt: skip
    set_local_filter(str(site.data), site.settings, "P", read_lines("localizer", "blacklist"))
    with site.catalog() as catalog, catalog.read() as connection:
        for given in (BY_SCRIPT, NEWER):
            study, before, label, others = find_existing_sessions(connection, SYSTEM, planned, lambda _: given)  # noqa: B023
            assert study.study is not None
            assert (study.study.label, study.study.study_uid) == (there.session["label"], uid)
            assert (study.same_images, study.shared_images, study.subjects) == (None, None, ["A", "B"])
            assert before.study is not None
            assert (before.study.label, before.shared_images) == (old.session["label"], 1)
            assert label.label is not None
            assert (label.label.study_uid, label.own, label.taken) == (uid, ["A"], None)
            assert (others.ecat, others.own, others.taken, others.kept) == (["E8"], None, ["B"], None)
            assert {(one.deidentified, one.server_labels, one.filtered) for one in (study, others)} == {
                (True, None, True)
            }
        plain, *_ = find_existing_sessions(connection, SYSTEM, planned)
        assert (plain.study, plain.deidentified, plain.filtered) == (None, None, True)
        hidden = replace(BY_SCRIPT, policy=Policy(study_uid="drop", patient="drop"))
        dropped, *_ = find_existing_sessions(connection, SYSTEM, planned, lambda _: hidden)
        assert dropped.study is not None  # it has its key from before
        assert (dropped.study.label, dropped.server_labels) == (there.session["label"], True)
        assert dropped.subjects == []


def test_the_upload_page_foresees_what_a_project_with_rules_and_filters_does(site: DataFolder, tmp_path: Path) -> None:
    with by(BY_SCRIPT):
        there = site.bring(mr(2), project="Q")
    set_local_filter(str(site.data), site.settings, "Q", read_lines("localizer", "blacklist"))
    path = tmp_path / "again.zip"
    path.write_bytes(zip_entries(mr(3)))
    uid = Image(case="known").study_uid.decode()
    asked = {"project": "Q", "code": 4, "destination": "", "overwrite": "", "paths": [str(path)], "edits": [{}]}
    hidden = replace(BY_SCRIPT, policy=Policy(patient="hash"))
    label = there.session["label"]
    new = {"project": "Q", "label": "x"}
    with serve_data_folder(site) as (_, client):
        known = []
        for given, body in (
            (BY_SCRIPT, {**new, "study_uid": uid, "label": label, "images": 3}),
            (hidden, {**new, "study_uid": "1.2", "label": label}),
            (hidden, {**new, "study_uid": "1.2", "label": "NAMED"}),
        ):
            with by(given):
                answer = client.post("/api/v1/sessions/known", json={"sessions": [body]})
            assert answer.status_code == 200, answer.text
            known += answer.json()["items"]
    edits: list[dict[str, str]] = [{}, {}, {"session": "NAMED"}]
    asks = [{**asked, "known": one, "edits": [edit]} for one, edit in zip(known, edits, strict=True)]
    done = node(NODE / "forecast.mjs", json.dumps(asks))
    assert done.returncode == 0, done.stderr
    (joins,), (derived,), (named,) = (json.loads(line)["rows"] for line in done.stdout.splitlines())
    assert joins["words"] == f"{label} is archived already: new files are added."
    assert derived["words"] == "Will be archived in Q, with labels set by the server"
    assert named["words"] == "Will be archived in Q as a subject set by the server / NAMED"
    assert [row["codes"] for row in (joins, derived, named)] == [["", "filtered"], ["filtered"], ["filtered"]]
