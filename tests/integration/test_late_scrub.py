"""Objects are de-identified between deciding and placing, and known again afterwards: imports by rules of a project."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pydicom
import pytest
from sqlalchemy import select

from scandock.access.principal import SYSTEM
from scandock.catalog.file_rows import FileRow
from scandock.catalog.tables import session, subject_patient
from scandock.model.limits import Limits
from scandock.model.verdicts import FINAL
from scandock.pipeline.job import ScrubOrder, ScrubOutcome, ScrubRules
from scandock.pipeline.staging import stage_parts
from scandock.rules.import_request import ImportRequest
from scandock.rules.privacy import PrivacyRules
from scandock.rules.privacy_policy import Level, Policy
from scandock.services.archiving import archive_session
from scandock.services.context import ServiceContext
from scandock.services.data_catalog import open_data
from scandock.store.local import LocalStore
from scandock.store.paths import scrubbed_folder
from scandock.testing.privacy import given_privacy
from scandock.testing.worker import InProcessWorker
from scandock.workers.inspection import run_inspect
from scandock.workers.local_import import run_import
from scandock.workers.pool import ReaderPool
from scandock.workers.scrub_readers import ROUND, ReaderScrubber
from tests.builders import DataFolder, Image, ecat, make_data_folder, zip_entries
from tests.crash.processes import environment, until
from tests.integration.deid_marks import Marks, dicom_object, ecat_file
from tests.integration.web import serve_in_process
from tests.stored_files import all_files

KEY = b"k" * 32
LABELS = """version "6.1"
(0008,1030) := project
(0010,0010) := subject
(0010,0020) := session
"""
HASHED = (
    LABELS
    + """(0020,000D) := hashUID[(0020,000D)]
(0020,000E) := hashUID[(0020,000E)]
(0008,0018) := hashUID[(0008,0018)]
"""
)
COMMENT = 0x00204000


def rules(*scripts: str, **values: Any) -> PrivacyRules:
    return PrivacyRules(key=KEY, scripts=scripts, **values)


BY_SCRIPT = rules(HASHED)
BY_PROFILE = rules(LABELS, profile="basic,retain-patient")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    folder = make_data_folder(tmp_path, monkeypatch, database_url)
    folder.scrubs = True
    return folder


def by(given: PrivacyRules | None, project: str = "P") -> Any:
    """Imports into one project go by these rules."""
    return given_privacy(projects={project: given or PrivacyRules(key=b"k" * 32)})


def image(number: int = 1, **values: Any) -> Image:
    return Image(case="scrub", number=number, patient_id=b"SALT-77", patient_name=b"SALT^ANNA", **values)


def mr(count: int = 2, first: int = 1, **values: Any) -> dict[str, bytes]:
    return {f"a/{n}.dcm": image(n, **values).file() for n in range(first, first + count)}


def headers(site: DataFolder) -> list[Any]:
    return [
        pydicom.dcmread(path)
        for area in ("archive", "prearchive")
        for path in sorted((site.data / area).rglob("*.dcm"))
    ]


def rows(site: DataFolder, *columns: Any) -> list[Any]:
    with site.catalog() as catalog, catalog.read() as connection:
        return list(connection.execute(select(*columns)))


def files(site: DataFolder) -> list[FileRow]:
    with site.catalog() as catalog, catalog.read() as connection:
        return [row for _, row in all_files(connection)]


def stored_bytes(site: DataFolder) -> bytes:
    """All that stands after an import: of sessions, receipts, trash and the catalog."""
    return b"".join(path.read_bytes() for path in site.data.rglob("*") if path.is_file())


# -- what is stored ------------------------------------------------------------------------------------------------


@pytest.mark.postgresql
def test_what_is_stored_and_shown_comes_from_the_new_headers(site: DataFolder) -> None:
    archive = mr(3)
    with by(BY_SCRIPT):
        outcome = site.bring(archive)
    assert (outcome.state, outcome.counts) == ("placed", {"stored": 3})
    assert {line["code"] for line in outcome.lines} == {"stored_deid"}
    # the receipt tells entries by keyed hashes, as their sha256 would tell whose they are
    assert {line["sha256"] for line in outcome.lines} == {None}
    assert len({line["origin"] for line in outcome.lines}) == 3
    label = outcome.session["label"]
    found = headers(site)
    assert {(str(one.PatientName), one.PatientID, one.StudyDescription) for one in found} == {
        (outcome.session["subject"], label, "P")
    }
    (study_uid,) = {one.StudyInstanceUID for one in found}
    assert study_uid.startswith("2.25.")
    assert study_uid != image().study_uid.decode()
    assert outcome.session["study_uid"] == study_uid
    assert {scan["series_uid"] for scan in outcome.session["scans"]} == {one.SeriesInstanceUID for one in found}
    ((stored_uid, patient_id, key, token, attributes),) = rows(
        site,
        session.c.study_uid,
        session.c.patient_id,
        session.c.study_key,
        session.c.patient_key,
        session.c.attributes,
    )
    assert (stored_uid, patient_id) == (study_uid, label)
    assert key == BY_SCRIPT.study_key(image().study_uid.decode())
    assert token == BY_SCRIPT.patient_token("SALT-77")
    assert json.loads(attributes)["dcmPatientName"] == outcome.session["subject"]
    assert rows(site, subject_patient.c.patient_id) == [(token,)]
    stored = files(site)
    assert {(row.name, row.sop_uid) for row in stored} == {
        (f"{one.SOPInstanceUID}.dcm", one.SOPInstanceUID) for one in found
    }
    assert {row.rules for row in stored} == {BY_SCRIPT.fingerprint}
    assert len({row.origin for row in stored}) == 3


def test_other_projects_are_as_they_were(site: DataFolder) -> None:
    with by(BY_SCRIPT):
        outcome = site.bring(mr(2), project="Q")
    assert {line["code"] for line in outcome.lines} == {"stored"}
    assert set(site.files().values()) == {hashlib.sha256(data).hexdigest() for data in mr(2).values()}
    assert rows(site, session.c.study_key, session.c.patient_key, session.c.patient_id) == [("", "", "SALT-77")]
    assert {(row.origin, row.rules) for row in files(site)} == {(None, None)}


def test_nothing_that_stands_names_the_patient(site: DataFolder) -> None:
    """Names of files and folders are another policy's: they are plain here."""
    marks = Marks()
    given = rules(LABELS, profile="basic")
    with by(given):
        placed = site.bring({"a/1.dcm": dicom_object(marks)}, subject="S1", session="E1")
        pet = site.bring({"b/pet.v": ecat_file(marks)}, subject="S1", session="E2")
        other = {"a/1.dcm": dicom_object(marks), "a/2.dcm": dicom_object(marks, number=2)}
        held = site.bring(other, subject="S2", session="E3")
    with by(rules(LABELS + "(0008,0020) := shiftDateByIncrement[(0010,0010), 1]", profile="basic")):
        failed = site.bring({"c/1.dcm": dicom_object(marks, number=3)}, subject="S3", session="E4")
    outcomes = [placed, pet, held, failed]
    assert [one.state for one in outcomes] == ["placed", "placed", "held", "refused"], [one.report for one in outcomes]
    assert held.report["code"] == "patient_mismatch"
    for outcome in outcomes:
        assert marks.find(json.dumps(outcome.report).encode()) == []
        assert marks.find(json.dumps(outcome.lines).encode()) == []
    assert len(headers(site)) == 3
    assert marks.find(b"".join(path.read_bytes() for path in site.data.rglob("files/*"))) == []
    everything = stored_bytes(site)  # too much to look for each mark: all begin alike
    for text in (b"SALT", "SALT".encode("utf-16-le"), "SALT".encode("utf-16-be"), b"SALT".hex().encode()):
        assert not re.search(re.escape(text), everything, re.IGNORECASE)


def test_files_that_are_no_images_stay_out_with_a_profile_unless_they_are_kept(site: DataFolder) -> None:
    archive = {**mr(1), "a/notes.txt": b"of SALT^ANNA"}
    with by(BY_PROFILE):
        assert site.bring(archive).codes()["a/notes.txt"] == "ignored deid_resource"
    assert b"of SALT^ANNA" not in b"".join(path.read_bytes() for path in (site.data / "archive").rglob("*.txt"))
    with by(BY_SCRIPT):
        assert site.bring(archive, session="E2").codes()["a/notes.txt"] == "resource resource"


@pytest.mark.parametrize("level", ["keep", "hash"])
def test_files_that_are_no_images_stay_out_where_a_project_says_so_whatever_it_does_to_objects(
    site: DataFolder, level: Level
) -> None:
    rules = PrivacyRules(key=KEY, resources="drop", policy=Policy(names=level))
    archive = {**mr(1), "a/notes.txt": b"of SALT^ANNA"}
    with by(rules):
        assert sorted(site.bring(archive).codes().values()) == ["ignored deid_resource", "stored stored"]
    assert b"of SALT^ANNA" not in b"".join(path.read_bytes() for path in (site.data / "archive").rglob("*.txt"))


# -- known again ---------------------------------------------------------------------------------------------------


@pytest.mark.postgresql
@pytest.mark.parametrize("given", [BY_SCRIPT, BY_PROFILE, rules(LABELS), rules(LABELS + "(0020,4000) := newUID[]")])
def test_the_same_archive_twice_changes_nothing(site: DataFolder, given: PrivacyRules) -> None:
    archive = {**mr(3), "a/4.v": ecat(frames=1)}
    with by(given):
        first = site.bring(archive)
        before = site.files()
        second = site.bring(archive)
    assert first.counts == {"stored": 4}
    assert (second.state, second.counts) == ("placed", {"duplicate": 4})
    assert set(second.codes().values()) == {"duplicate same_origin"}
    assert [line["stored_as"] for line in second.lines] == [line["stored_as"] for line in first.lines]
    assert {line["sha256"] for line in second.lines} == {line["sha256"] for line in first.lines}
    assert site.files() == before
    assert second.warned() <= first.warned()
    assert [one["study_uid"] for one in second.sessions] == [one["study_uid"] for one in first.sessions]
    assert second.report["bytes"]["stored"] == 0


def test_other_rules_make_no_second_session(site: DataFolder) -> None:
    with by(BY_SCRIPT):
        first = site.bring(mr(3))
    before = site.files()
    for other in (rules(LABELS), BY_PROFILE, rules(HASHED, residue="refuse")):
        with by(other):
            again = site.bring(mr(3))
        assert (again.state, again.counts) == ("placed", {"duplicate": 3})
        assert "rules_changed" in again.warned()
        assert again.session["path"] == first.session["path"]
    assert site.files() == before


def test_an_exported_session_comes_back_and_is_not_touched(site: DataFolder) -> None:
    with by(BY_PROFILE):
        first = site.bring(mr(3))
        folder = site.data / first.session["path"]
        exported = {path.relative_to(folder.parent).as_posix(): path.read_bytes() for path in folder.rglob("*.dcm")}
        before = site.files()
        again = site.bring(exported)
    assert (again.state, again.counts) == ("placed", {"duplicate": 3}), again.report
    assert set(again.codes().values()) == {"duplicate already_there"}
    assert again.session["path"] == first.session["path"]
    assert site.files() == before


@pytest.mark.parametrize("given", [BY_SCRIPT, BY_PROFILE])
def test_the_second_half_of_a_study_joins_the_first(site: DataFolder, given: PrivacyRules) -> None:
    with by(given):
        first = site.bring(mr(2))
        second = site.bring(mr(3, first=2))
    assert (second.state, second.counts) == ("placed", {"stored": 2, "duplicate": 1}), second.report
    assert second.session["path"] == first.session["path"]
    assert second.session["warnings"] == first.session["warnings"]
    found = headers(site)
    assert len(found) == 4
    assert (
        len({(one.StudyInstanceUID, one.SeriesInstanceUID, one.PatientID, str(one.PatientName)) for one in found}) == 1
    )
    assert len({one.SOPInstanceUID for one in found}) == 4
    assert len(second.session["scans"]) == 1


def test_two_sites_with_one_key_agree_and_with_another_do_not(
    site: DataFolder, tmp_path: Path, monkeypatch: Any
) -> None:
    (tmp_path / "2").mkdir()
    other = make_data_folder(tmp_path / "2", monkeypatch)
    other.scrubs = True
    names = []
    for folder, key in ((site, KEY), (other, KEY)):
        with by(PrivacyRules(key=key, profile="basic")):
            folder.bring(mr(2), subject="S", session="E")
        names.append({(one.StudyInstanceUID, one.SOPInstanceUID, one.get("StudyDate")) for one in headers(folder)})
    assert names[0] == names[1]
    with by(PrivacyRules(key=b"z" * 32, profile="basic")):
        other.bring(mr(2), subject="S", session="E2", project="P")
    assert len({one.SOPInstanceUID for one in headers(other)}) == 4


def test_a_session_from_before_the_rules_is_joined(site: DataFolder) -> None:
    before = site.bring(mr(2))
    with by(rules(LABELS)):
        again = site.bring(mr(2))
        more = site.bring(mr(1, first=3))
    assert (again.state, again.counts) == ("placed", {"duplicate": 2}), again.codes()
    assert (more.state, more.counts) == ("placed", {"stored": 1})
    assert {outcome.session["path"] for outcome in (before, again, more)} == {before.session["path"]}


def test_a_second_study_of_a_patient_goes_to_the_same_subject(site: DataFolder) -> None:
    with by(BY_PROFILE):
        first = site.bring(mr(1))
        second = site.bring(mr(1, study=2, study_date=b"20210101"))
        other = site.bring({"b/1.dcm": Image(case="other", patient_id=b"OTHER", patient_name=b"SALT^ANNA").file()})
    assert second.session["subject"] == first.session["subject"]
    assert other.session["subject"] != first.session["subject"]
    assert {first.state, second.state, other.state} == {"placed"}


# -- what can't be, or shall not be stored ---------------------------------------------------------------------------

FAILS_AT_2 = HASHED + '(0020,0013) = "2" ? (0008,0020) := shiftDateByIncrement[(0008,1030), 3]\n'
NUMBERED = {n: {0x00200013: (b"IS", b"%d" % n)} for n in range(1, 6)}


def numbered(count: int, **values: Any) -> dict[str, bytes]:
    study = values.get("study", 1)
    return {f"s{study}/{n}.dcm": image(n, also=NUMBERED[n], **values).file() for n in range(1, count + 1)}


@pytest.mark.postgresql
def test_one_object_that_fails_refuses_its_session_alone(site: DataFolder) -> None:
    also = {0x00200013: (b"IS", b"9")}
    good = {f"s2/{n}.dcm": image(n, study=2, study_date=b"20210101", also=also).file() for n in (1, 2)}
    archive = {**numbered(3), **good, "s1/notes.txt": b"notes", "s2/notes.txt": b"notes"}
    with by(rules(FAILS_AT_2)):
        outcome = site.bring(archive)
    assert (outcome.state, outcome.report["code"]) == ("partly", "deid_failed")
    assert outcome.counts == {"stored": 2, "refused": 3, "resource": 1, "ignored": 1}
    codes = outcome.codes()
    assert codes["s1/2.dcm"] == "refused deid_failed"
    assert {codes["s1/1.dcm"], codes["s1/3.dcm"]} == {"refused session_refused"}
    assert codes["s1/notes.txt"] == "ignored ignored_session_refused"
    assert codes["s2/notes.txt"] == "resource resource"
    message = outcome.line("s1/2.dcm")["message"]
    assert "line 8" in message
    assert "(0008,1030)" in message
    refused, placed = sorted(outcome.sessions, key=lambda one: one["state"] != "refused")
    assert (refused["state"], refused["code"], refused["study_uid"]) == ("refused", "deid_failed", None)
    assert message in refused["message"]
    assert placed["state"] == "archive"
    assert b"SALT^" not in b"".join(path.read_bytes() for path in (site.data / "archive").rglob("*.dcm"))
    assert len(headers(site)) == 2


def test_a_failing_archive_is_refused_and_taken_once_the_rules_are_right(site: DataFolder) -> None:
    with by(rules(FAILS_AT_2)):
        outcome = site.bring(numbered(3))
        assert (outcome.state, outcome.report["code"], len(outcome.sessions)) == ("refused", "deid_failed", 1)
        assert outcome.counts == {"refused": 3}
        assert site.files() == {}
        first = site.bring(numbered(1))
        again = site.bring(numbered(3))  # what is there is known, the others are not added
        assert (first.state, again.state) == ("placed", "refused")
        assert len(headers(site)) == 1
    with by(BY_SCRIPT):
        assert site.bring(numbered(3)).counts == {"stored": 2, "duplicate": 1}


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ('(0008,0018) := "1.2.3"', "same SOPInstanceUID"),
        ("(0020,000D) := newUID[]", "several StudyInstanceUIDs"),
        ("- (0008,0018)", "no readable object"),
        ("- (0020,000D)", "no readable object"),
        ("nonsense", "can't be applied"),
    ],
)
def test_rules_that_leave_no_session_are_failures(site: DataFolder, script: str, what: str) -> None:
    with by(rules(f'version "6.1"\n{script}\n')):
        outcome = site.bring(mr(2))
    assert (outcome.state, outcome.report["code"]) == ("refused", "deid_failed"), outcome.report
    assert what in outcome.report["message"]
    assert site.files() == {}


def test_what_a_script_rejects_is_filtered(site: DataFolder) -> None:
    reject = HASHED + '(0020,0013) = "2" ? reject[]\n'
    archive = numbered(3) | {"s1/again.dcm": numbered(2)["s1/2.dcm"], "s1/note.txt": b"note"}
    with by(rules(reject)):
        outcome = site.bring(archive)
        assert (outcome.state, outcome.counts) == ("placed", {"stored": 2, "filtered": 2, "resource": 1})
        assert outcome.codes()["s1/2.dcm"] == outcome.codes()["s1/again.dcm"] == "filtered script_reject"
        again = site.bring(archive)
        assert (again.state, again.counts) == ("placed", {"duplicate": 3, "filtered": 2})
        only = site.bring({"s1/2.dcm": archive["s1/2.dcm"], "s1/note.txt": b"note"})
    assert (only.state, only.report["code"], only.counts) == ("refused", "all_filtered", {"filtered": 1, "refused": 1})
    assert len(headers(site)) == 2


def test_a_study_that_is_all_rejected_leaves_the_others(site: DataFolder) -> None:
    with by(rules(HASHED + '(0008,0060) = "CT" ? reject[]\n')):
        outcome = site.bring({**mr(1), "b/1.dcm": image(study=2, modality=b"CT").file(), "b/n.txt": b"n"})
    assert (outcome.state, outcome.counts) == ("placed", {"stored": 1, "filtered": 1, "ignored": 1})
    assert outcome.codes()["b/n.txt"] == "ignored ignored_rejected"
    assert {one["code"] for one in outcome.sessions} == {"", "all_filtered"}


# -- clashes, holding, healing ---------------------------------------------------------------------------------------


def other_version(number: int = 1) -> bytes:
    return image(number, also={COMMENT: (b"LT", b"another content")}).file()


def test_objects_that_clash_are_held_de_identified(site: DataFolder) -> None:
    with by(BY_SCRIPT):
        outcome = site.bring({**mr(2), "b/1.dcm": other_version()})
    assert (outcome.state, outcome.report["code"]) == ("held", "sop_clash")
    assert outcome.counts == {"stored": 1, "conflict": 2}
    assert outcome.session["path"].startswith("prearchive/")
    assert {one.PatientID for one in headers(site)} == {outcome.session["label"]}


def test_versions_that_become_the_same_are_repeats(site: DataFolder) -> None:
    with by(rules(HASHED + "- (0020,4000)\n")):
        outcome = site.bring({**mr(2), "b/1.dcm": other_version()})
    assert (outcome.state, outcome.counts) == ("placed", {"stored": 2, "duplicate": 1})


def test_an_object_that_clashes_with_the_session_is_held_beside_it(site: DataFolder) -> None:
    """All of what came waits then, with the label in it that the session has."""
    with by(BY_SCRIPT):
        first = site.bring(mr(2))
        outcome = site.bring({**mr(2, first=2), "b/1.dcm": other_version()})
        assert (outcome.state, outcome.report["code"]) == ("held", "sop_clash")
        assert outcome.counts == {"stored": 2, "conflict": 1}, outcome.codes()
        assert {one.PatientID for one in headers(site)} == {first.session["label"]} == {outcome.session["label"]}
        again = site.bring({**mr(2, first=2), "b/1.dcm": other_version()})
    assert (again.state, again.counts) == ("held", {"duplicate": 3}), again.codes()
    assert b"SALT^" not in b"".join(path.read_bytes() for path in (site.data / "prearchive").rglob("*.dcm"))


def test_a_project_that_takes_de_identified_objects_judges_the_new_ones(site: DataFolder) -> None:
    site.project("P", identified="hold", prearchive_code=4)
    with by(rules(LABELS + '(0012,0062) := "YES"\n')):
        assert site.bring(mr(2)).state == "placed"
    with by(rules(LABELS)):
        held = site.bring(mr(2, study=2, study_date=b"20210101"))
    assert (held.state, held.report["code"]) == ("held", "identified")
    assert {one.PatientID for one in headers(site)} == {one["label"] for one in (held.session,)} | {
        one.PatientID for one in headers(site) if one.get("PatientIdentityRemoved") == "YES"
    }


def test_a_lost_file_is_healed_by_its_origin(site: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    site.checked = False
    with by(BY_SCRIPT):
        first = site.bring(mr(3))
        before = site.files()
        path = site.data / first.line("a/2.dcm")["stored_as"]
        path.unlink()
        again = site.bring(mr(3))
        assert again.codes()["a/2.dcm"] == "stored healed", again.codes()
        assert site.files() == before
        path.unlink()
    monkeypatch.setattr(site, "_holds", lambda outcome: None)
    with by(rules(LABELS)):  # comes out otherwise: nothing is mixed
        other = site.bring(mr(3))
    assert other.counts == {"duplicate": 3}, other.codes()
    assert "session_damaged" in other.warned()


def test_a_session_left_in_conflict_goes_by_origin(site: DataFolder) -> None:
    """What waits was de-identified by other rules, and is of the same objects."""
    with by(BY_SCRIPT):
        site.bring(mr(2))
        held = site.bring(mr(3), overwrite="none")
        assert (held.state, held.report["code"]) == ("held", "session_exists")
        assert "Every object that came is there already." not in held.session["message"]
    with by(rules(HASHED + "(0008,1030) := session\n")):
        again = site.bring(mr(3), overwrite="append", settles=True)
    assert (again.state, again.counts) == ("placed", {"stored": 1, "duplicate": 2})
    assert {"conflict_settled", "rules_changed"} <= again.warned()
    assert not (site.data / held.session["path"]).exists()


def test_that_every_object_is_archived_already_is_known_by_origin(site: DataFolder) -> None:
    with by(BY_SCRIPT):
        site.bring(mr(2))
    with by(rules(HASHED + "(0008,1030) := session\n")):
        held = site.bring(mr(2), overwrite="none")
    assert held.report["code"] == "session_exists"
    assert "Every object that came is there already." in held.session["message"]


def test_a_session_in_the_prearchive_joins_an_archived_one_by_origin(site: DataFolder) -> None:
    """Rules that changed between both make no conflict of the same objects."""
    with by(BY_SCRIPT):
        waiting = site.bring(mr(2), destination="prearchive")
        again = site.bring(mr(3), destination="prearchive")
    assert again.session["path"] == waiting.session["path"]
    assert again.counts == {"stored": 1, "duplicate": 2}


def test_a_waiting_session_is_archived_and_keeps_what_it_was_known_by(site: DataFolder) -> None:
    """By itself, and into the archived session of its study, whose objects other rules have made of the same ones."""
    with by(BY_SCRIPT):
        site.bring(mr(3), destination="prearchive")
        archive_waiting(site)
        assert site.bring(mr(3)).counts == {"duplicate": 3}
    with by(rules(HASHED + "(0008,1030) := session\n")):
        waiting = site.bring(mr(3, first=2), destination="prearchive")
        assert waiting.counts == {"stored": 3}
        archive_waiting(site)
        again = site.bring(mr(4))
    assert again.counts == {"duplicate": 4}, again.codes()
    ((key, token),) = rows(site, session.c.study_key, session.c.patient_key)
    assert (key, token) == (BY_SCRIPT.study_key(image().study_uid.decode()), BY_SCRIPT.patient_token("SALT-77"))
    assert rows(site, subject_patient.c.patient_id) == [(token,)]
    assert len(headers(site)) == 4
    site.check()


def archive_waiting(site: DataFolder) -> None:
    """Archive the session that waits, as a person would."""
    with open_data(str(site.data), site.settings) as (catalog, store):
        with catalog.read() as connection:
            uuid = connection.execute(select(session.c.uuid).where(session.c.place == "prearchive")).scalar_one()
        archive_session(ServiceContext(catalog, store, site.settings, SYSTEM), uuid)


@pytest.mark.parametrize("given", [BY_SCRIPT, BY_PROFILE])
def test_files_that_do_not_fit_memory_go_by_ranges(site: DataFolder, given: PrivacyRules) -> None:
    pixels = bytes(range(256)) * 40_000  # 10 MB
    big = image(also={0x7FE00010: (b"OW", pixels)})
    archive = {"a/1.dcm": big.file(), "b/1.v": ecat(frames=1) + bytes(9_000_000), **mr(1, first=2)}
    with by(given):
        outcome = site.bring(archive)
        assert outcome.counts == {"stored": 3}, outcome.report
        assert site.bring(archive).counts == {"duplicate": 3}
    (found,) = [one for one in headers(site) if len(one.PixelData) > 1_000_000]
    assert found.PixelData == pixels
    assert str(found.PatientName) != "SALT^ANNA"
    assert len({line["stored_as"].rpartition("/")[0] for line in outcome.lines if line["path"].endswith("dcm")}) == 1


def test_warnings_of_other_sessions_go_by_what_objects_were(site: DataFolder) -> None:
    archive = {"b/1.v": ecat(frames=1)}
    with by(BY_PROFILE):
        site.bring(mr(1), subject="A")
        second = site.bring(mr(1, study=2, study_date=b"20210101"), subject="B")
        site.bring(archive, session="E1")
        elsewhere = site.bring(archive, session="E2")
    assert "patient_many_subjects" in second.warned()
    (message,) = [one["message"] for one in second.session["warnings"] if one["code"] == "patient_many_subjects"]
    assert BY_PROFILE.patient_token("SALT-77") in message
    assert "SALT" not in message
    assert "ecat_elsewhere" in elsewhere.warned()


# -- inspection, processes ---------------------------------------------------------------------------------------------


def test_an_inspection_scrubs_nothing_and_says_so(site: DataFolder) -> None:
    with by(BY_SCRIPT):
        site.bring(mr(2), session="E9", destination="prearchive")
        result = run_inspect(
            data=str(site.data),
            archive=str(site.written(mr(2))),
            request=ImportRequest(project="P"),
            settings=site.settings,
            on_progress=None,
            cancelled=threading.Event(),
        )
    (one,) = result.report["sessions"]
    assert "waiting_elsewhere" in {warning["code"] for warning in one["warnings"]}
    assert "deid_planned" in {warning["code"] for warning in one["warnings"]}
    assert one["study_uid"] == image().study_uid.decode()


_WITHOUT = """
import sys, threading
from scandock.testing.readers import thread_readers
from scandock.workers.local_import import run_import
from scandock.model.limits import Limits
from scandock.model.verdicts import FINAL
from scandock.pipeline.job import ScrubOrder, ScrubOutcome
from scandock.pipeline.staging import stage_parts
from scandock.rules.import_request import ImportRequest
from scandock.services.settings import load_settings
import scandock.workers.attempt, scandock.workers.inspection
with thread_readers():
    result = run_import(data=sys.argv[1], archive=sys.argv[2], request=ImportRequest(project="P", create_project=True),
                        settings=load_settings(), on_progress=None, cancelled=threading.Event())
assert result.report["state"] == "placed", result.report
print([name for name in sys.modules if name.startswith(("scandock.deidentification", "scandock.workers.scrub"))])
"""


def test_an_import_without_rules_loads_nothing_of_it(site: DataFolder, tmp_path: Path) -> None:
    archive = site.written({**mr(2), "b.v": ecat(frames=1)})
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT, str(tmp_path / "new"), str(archive)],
        capture_output=True, text=True, check=True, env=environment(),
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_a_cancel_while_objects_are_scrubbed_stores_nothing(site: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled = threading.Event()

    def cancel(*args: Any) -> Any:
        cancelled.set()
        return stage_parts(*args)

    monkeypatch.setattr("scandock.workers.scrub_task.stage_parts", cancel)
    with by(BY_SCRIPT):
        result = run_import(
            data=str(site.data),
            archive=str(site.written(mr(2))),
            request=ImportRequest(project="P", create_project=True),
            settings=site.settings,
            on_progress=None,
            cancelled=cancelled,
        )
    assert result.report["state"] == "cancelled"
    assert site.files() == {}
    assert list((site.data / "work").iterdir()) == []


def test_an_upload_to_the_server_is_de_identified_too(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with by(BY_PROFILE), InProcessWorker(data), serve_in_process(data) as web, web.client() as client:
        made = client.post("/api/v1/imports?project=P&filename=a.zip", content=zip_entries(mr(2)))
        assert made.status_code == 202, made.text
        address = f"/api/v1/imports/{made.json()['id']}"
        until(lambda: client.get(address).json()["state"] in FINAL, "it never ended")
        ended = client.get(address).json()
    assert (ended["state"], ended["entries"]["stored"]) == ("placed", 2)
    found = [pydicom.dcmread(path) for path in data.rglob("*.dcm")]
    assert len(found) == 2
    assert {(one.PatientIdentityRemoved, "SALT^ANNA" in str(one)) for one in found} == {("YES", False)}


class _Listener:
    def outcomes(self, job: int, outcomes: list[ScrubOutcome]) -> None: ...

    def tally(self, job: int, values: tuple[Any, ...]) -> None: ...


def test_orders_are_read_as_they_are_carried_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a million entries cost no memory."""
    carried_out: list[int] = []
    monkeypatch.setattr(ReaderPool, "work", lambda pool, tasks, *_: carried_out.append(len(tasks)))
    ahead = 0

    def orders() -> Iterator[ScrubOrder]:
        nonlocal ahead
        for number in range(1_000):
            ahead = max(ahead, number + 1 - sum(carried_out))
            yield ScrubOrder(job=0, rules=0, variables={}, folder=scrubbed_folder(0), entries=[(b"%d" % number,)])  # type: ignore[list-item]

    with closing(LocalStore(str(tmp_path))) as store:
        store.prepare()
        stage = store.begin("0" * 32, "1" * 32)
        scrubber = ReaderScrubber(store, stage, Limits(), 1, lambda: None)
        scrubber.scrub([ScrubRules(BY_SCRIPT)], orders(), _Listener(), lambda: None)
    assert sum(carried_out) == 1_000
    assert ahead <= ROUND


# -- real files ---------------------------------------------------------------------------------------------------


@pytest.mark.corpus
def test_real_archives_are_de_identified(corpus_archives: Path, site: DataFolder, subtests: pytest.Subtests) -> None:
    """Whatever can't be is refused; what is stored says nobody's name, and is known again."""
    stored = 0
    for name in ("BUNDLE__of_zips.zip", "DEV034_MR__pydicom.long.tar.gz", "DISC0__as_exported.zip"):
        with subtests.test(name), by(BY_PROFILE):
            told = site.bring(corpus_archives / name)
            assert told.state in {"placed", "held", "partly", "refused"}, told.report
            assert told.state != "refused" or told.report["code"] == "deid_failed"
            codes = {code for code in told.codes().values() if code.startswith("stored")}
            assert codes <= {"stored stored_deid"}
            before = site.files()
            again = site.bring(corpus_archives / name)
            assert again.counts.get("stored", 0) == 0, again.codes()
            assert site.files() == before
            stored += told.counts.get("stored", 0)
    assert stored > 50
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # some real headers are odd, and stay so
        found = headers(site)
    for one in found:
        assert (one.PatientID, str(one.PatientName)) == ("REMOVED", "")
        assert one.PatientIdentityRemoved == "YES"
        assert one.StudyInstanceUID.startswith("2.25.")
