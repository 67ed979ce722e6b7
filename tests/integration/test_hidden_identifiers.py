"""UIDs and patients that a policy hashes or drops: in objects, columns, labels and messages, and nowhere else."""

from __future__ import annotations

import errno
import json
import re
import threading
from pathlib import Path
from typing import Any

import pydicom
import pytest
from sqlalchemy import select

from scandock.catalog.tables import session, subject_patient
from scandock.model.import_types import Progress
from scandock.publishing.reserve import reserve
from scandock.rules.import_request import ImportRequest
from scandock.rules.privacy import PrivacyRules
from scandock.rules.privacy_policy import Level, Policy
from scandock.services.projects import set_pet_mr
from scandock.services.rules import set_rules
from scandock.store.records import SweepResult
from scandock.testing.privacy import given_privacy
from scandock.workers.local_import import run_import
from tests.badinput.objects import Element
from tests.builders import DataFolder, Image, ImportOutcome, make_data_folder, uploader_layout, zip_entries
from tests.byte_search import explain, search_bytes, search_folder
from tests.integration.in_process import call_in_process
from tests.marked_objects import MARKS, OTHER, PATIENT, marked_ecat, marked_image, marked_series

KEY = b"k" * 32
FOLDER = MARKS.text("session folder")
LABELS = 'version "6.1"\n(0010,0010) := subject\n(0010,0020) := session\n'
HASHED = LABELS + "".join(f"({tag}) := hashUID[({tag})]\n" for tag in ("0020,000D", "0020,000E", "0008,0018"))
LEVELS: tuple[Level, ...] = ("hash", "drop")


def rules(level: Level, script: str = "", **values: Any) -> PrivacyRules:
    policy = Policy(study_uid=level, patient=level)
    return PrivacyRules(key=KEY, scripts=(script,) if script else (), policy=policy, **values)


def by(given: PrivacyRules) -> Any:
    return given_privacy(given)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    folder = make_data_folder(tmp_path, monkeypatch, database_url)
    folder.scrubs = True
    return folder


def assert_unmarked(data: Path, *outcomes: ImportOutcome, without: tuple[str, ...] = ()) -> None:
    """Nothing of the originals stands in names and bytes of DATA, or was told; `without` are folders that may."""
    found = search_folder(MARKS, data, without)
    for outcome in outcomes:
        found += search_bytes(MARKS, json.dumps([outcome.report, outcome.lines]).encode(), "what was told")
    assert not found, explain(found)


def headers(site: DataFolder) -> list[Any]:
    return [
        pydicom.dcmread(path)
        for area in ("archive", "prearchive")
        for path in sorted((site.data / area).rglob("*.dcm"))
    ]


def rows(site: DataFolder, *columns: Any) -> list[Any]:
    with site.catalog() as catalog, catalog.read() as connection:
        return [tuple(row) for row in connection.execute(select(*columns))]


# -- what is stored ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", ["", LABELS, HASHED])
@pytest.mark.parametrize("level", LEVELS)
def test_nothing_of_uids_and_patients_stands(site: DataFolder, level: Level, script: str) -> None:
    given = rules(level, script)
    study_uid = marked_image().study_uid.decode()
    with by(given):
        outcome = site.bring({**marked_series(3), "b/1.v": marked_ecat()}, destination="prearchive")
    assert outcome.state == "placed", outcome.report
    assert outcome.counts == {"stored": 4}
    assert_unmarked(site.data, outcome)
    found = headers(site)
    (new_uid,) = {one.StudyInstanceUID for one in found}
    assert new_uid == given.new_uid(study_uid)
    assert {one.file_meta.MediaStorageSOPInstanceUID for one in found} == {one.SOPInstanceUID for one in found}
    with_study, ecat_alone = sorted(outcome.sessions, key=lambda one: one["study_uid"] is None)
    stored = rows(
        site, session.c.label, session.c.study_uid, session.c.study_key, session.c.patient_id, session.c.patient_key
    )
    hashed = level == "hash"
    (of_study,) = [row for row in stored if row[1] is not None]
    (patient_id,) = {one.PatientID for one in found}
    assert of_study == (
        with_study["label"],
        new_uid,
        given.study_key(study_uid) if hashed else "",
        patient_id if hashed else "",
        given.patient_token(PATIENT.decode()) if hashed else "",
    )
    if script:
        (name,) = {str(one.PatientName) for one in found}
        assert (name, patient_id) == (with_study["subject"], with_study["label"])
    else:
        assert re.fullmatch(r"P-[A-Z2-7]{12}" if hashed else "", patient_id)
    assert ecat_alone["label"].startswith("ecat_")
    assert ("patients_dropped" in outcome.warned()) is (not hashed)


@pytest.mark.parametrize("profile", ["basic", "basic,retain-uids", "basic,retain-patient,clean-descriptors"])
@pytest.mark.parametrize("level", LEVELS)
def test_a_profile_does_it_its_own_way(site: DataFolder, level: Level, profile: str) -> None:
    with by(rules(level, LABELS, profile=profile)):
        outcome = site.bring({**marked_series(2), "b/1.v": marked_ecat()})
        again = site.bring({**marked_series(2), "b/1.v": marked_ecat()})
    assert_unmarked(site.data, outcome, again)
    assert again.counts == {"duplicate": 3}
    found = headers(site)
    assert {(one.PatientID, str(one.PatientName)) for one in found} == {("REMOVED", "")}
    assert {one.StudyInstanceUID for one in found} == {rules(level).new_uid(marked_image().study_uid.decode())}
    methods = {item.CodeValue for one in found for item in one.DeidentificationMethodCodeSequence}
    assert "113110" not in methods  # UIDs are not retained, whatever the profile would


def test_one_item_alone_is_hidden(site: DataFolder) -> None:
    with by(PrivacyRules(key=KEY, policy=Policy(study_uid="drop"))):
        uids = site.bring(marked_series(1, patient_id=b"PAT1", patient_name=b"DOE"))
    assert uids.session["label"] == "PAT1"
    assert_unmarked(site.data, uids)
    with by(PrivacyRules(key=KEY, policy=Policy(patient="hash"))):
        patient = site.bring(marked_series(1, study=2), project="Q")
    assert patient.session["study_uid"] == marked_image(study=2).study_uid.decode()
    assert patient.session["label"] == next(one.PatientID for one in headers(site) if one.PatientID[:2] == "P-")


def test_levels_are_set_by_command(site: DataFolder) -> None:
    """Of the site; more strictly of a project; what is printed names nobody either."""
    archive = site.written({**marked_series(2), "b/1.v": marked_ecat()})
    printed = []
    for words in (
        ("admin", "project", "add", "P"),
        ("admin", "privacy", "set", "--study-uid", "hash", "--patient", "hash"),
        ("admin", "privacy", "set", "--project", "P", "--patient", "drop"),
        ("import", archive, "--project", "P"),
        ("import", archive, "--project", "Q", "--create-project"),
        ("import", archive),
        ("check",),
    ):
        done = call_in_process(*words, "--data", site.data)
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout + done.stderr)
    ids = {one.PatientID for one in headers(site)}
    assert len(ids) == 2
    assert "" in ids
    found = search_bytes(MARKS, "".join(printed).encode(), "what was printed")
    assert not found, explain(found)
    assert_unmarked(site.data)


# -- labels --------------------------------------------------------------------------------------------------------


def labels(outcome: ImportOutcome) -> tuple[str, str]:
    return outcome.session["subject"], outcome.session["label"]


def test_labels_that_nobody_asked_for_are_keyed(site: DataFolder) -> None:
    """By the profile of a level; those that were asked for stay to the letter."""
    also: dict[int, Element] = {0x00104000: (b"LT", f"Subject:{FOLDER}_S Session:{FOLDER}_E".encode())}
    archives = {
        "header": marked_series(1),
        "comment": marked_series(1, study=2, also=also),
        "folder": uploader_layout(FOLDER, "1", [marked_image(study=3).file()]),
        "nobody": marked_series(1, study=4, patient_id=b"", patient_name=b""),
    }
    patterns = {
        "hash": {
            "header": (r"S-[A-Z2-7]{8}", r"P-[A-Z2-7]{12}"),
            "comment": (r"S-[A-Z2-7]{8}", r"E-[A-Z2-7]{8}"),
            "folder": (r"S-[A-Z2-7]{8}", r"E-[A-Z2-7]{8}"),
            "nobody": (r"study_[0-9a-f]{8}", r"study_[0-9a-f]{8}"),
        },
        "drop": {
            "header": (r"S-[A-Z2-7]{8}", r"study_[0-9a-f]{8}"),
            "comment": (r"S-[A-Z2-7]{8}", r"study_[0-9a-f]{8}"),
            "folder": (r"S-[A-Z2-7]{8}", r"study_[0-9a-f]{8}"),
            "nobody": (r"study_[0-9a-f]{8}", r"study_[0-9a-f]{8}"),
        },
    }
    given: dict[str, dict[str, tuple[str, str]]] = {}
    for level in LEVELS:
        with by(rules(level)):
            outcomes = {name: site.bring(archive, project=level) for name, archive in archives.items()}
            asked = site.bring(marked_series(1, study=5), project=level, subject="ANNA", session="E-1")
        given[level] = {name: labels(outcome) for name, outcome in outcomes.items()}
        for name, (of_subject, of_session) in patterns[level].items():
            assert re.fullmatch(of_subject, given[level][name][0]), (level, name, given[level])
            assert re.fullmatch(of_session, given[level][name][1]), (level, name, given[level])
        assert labels(asked) == ("ANNA", "E-1")
        assert "label_from_hash" in outcomes["nobody"].warned()
        assert "label_from_hash" not in outcomes["header"].warned()
    dropped = given["drop"]
    assert dropped["header"][0] == dropped["comment"][0] == dropped["folder"][0]  # one patient is one subject
    assert given["hash"]["header"][0] != given["hash"]["comment"][0]  # as the comment would have it
    with by(PrivacyRules(key=b"z" * 32, policy=Policy(study_uid="drop", patient="drop"))):
        other = site.bring(marked_series(1), project="other")
    assert not set(labels(other)) & set(dropped["header"])


def test_no_suffix_is_a_date(site: DataFolder) -> None:
    """Two visits of one patient, whose sessions would be called alike."""
    for level in LEVELS:
        with by(rules(level)):
            first = site.bring(marked_series(1), project=level)
            second = site.bring(marked_series(1, study=2, study_date=b"20210101"), project=level)
            pair = {**marked_series(1, study=3), "b": marked_image(study=4, study_date=b"20220202").file()}
            both = site.bring(pair, project=level)
            again = site.bring(marked_series(1, study=2, study_date=b"20210101"), project=level)
        every = [first, second, both]
        names = [one["label"] for outcome in every for one in outcome.sessions]
        assert len(set(names)) == 4
        assert not [name for name in names if re.search(r"20\d{6}", name)]
        assert {one["subject"] for outcome in every for one in outcome.sessions} == {first.session["subject"]}
        assert labels(again) == labels(second)
        assert again.counts == {"duplicate": 1}


def test_rules_of_routing_run_on_the_original_and_tell_nothing_of_it(site: DataFolder) -> None:
    site.bring([("a", Image(case="plain").file())], project="Q")
    set_rules(str(site.data), site.settings, "session", r"(0010,0020):(\w+)-A")
    set_rules(str(site.data), site.settings, "project", r"(0010,0010):(Q)\w+\^.*")
    for level in LEVELS:
        with by(rules(level)):
            outcome = site.bring(marked_series(1, study=level), project=None)
        assert outcome.session["project"] == "Q"
        assert_unmarked(site.data, outcome)


# -- known again ---------------------------------------------------------------------------------------------------

GIVEN = [rules(level, script) for level in LEVELS for script in ("", LABELS, HASHED)]
GIVEN += [rules(level, LABELS, profile="basic") for level in LEVELS]


@pytest.mark.parametrize(
    ("given", "destination"), [(one, ("archive", "prearchive")[at % 2]) for at, one in enumerate(GIVEN)]
)
def test_halves_join_and_repeats_change_nothing(site: DataFolder, given: PrivacyRules, destination: str) -> None:
    archive = {**marked_series(3), "b/1.v": marked_ecat()}
    with by(given):
        first = site.bring({**marked_series(2), "b/1.v": marked_ecat()}, destination=destination)
        half = site.bring(marked_series(2, first=2), destination=destination)
        before = site.files()
        again = site.bring(archive, destination=destination)
        folder = site.data / next(one["path"] for one in first.sessions if one["study_uid"])
        exported = {path.relative_to(folder.parent).as_posix(): path.read_bytes() for path in folder.rglob("*.dcm")}
        back = site.bring(exported, destination=destination)
    assert half.counts == {"stored": 1, "duplicate": 1}, half.codes()
    assert half.session["path"] == next(one["path"] for one in first.sessions if one["study_uid"])
    assert (again.state, again.counts) == ("placed", {"duplicate": 4})
    assert (back.state, back.counts) == ("placed", {"duplicate": 3}), back.report
    assert set(back.codes().values()) == {"duplicate already_there"}
    assert site.files() == before
    found = headers(site)
    assert len({(one.StudyInstanceUID, one.SeriesInstanceUID, one.PatientID) for one in found}) == 1
    assert len({one.SOPInstanceUID for one in found}) == 3
    warned = first.warned() | half.warned() | again.warned() | back.warned()
    assert warned <= {"patients_dropped", "ecat_script", "ecat_cut"}, warned
    assert_unmarked(site.data, first, half, again, back)


def test_levels_that_change_make_no_second_session(site: DataFolder) -> None:
    """Nor does a profile or a script that comes or goes; what stands stays as it is."""
    given = [rules("hash"), rules("drop"), rules("drop", HASHED), rules("hash", profile="basic"), rules("drop", LABELS)]
    with by(given[0]):
        first = site.bring(marked_series(2))
    for other in given[1:]:
        with by(other):
            again = site.bring(marked_series(3))
        assert again.session["path"] == first.session["path"]
        assert again.counts.get("stored", 0) <= 1
    assert len(headers(site)) == 3
    with by(rules("drop")):
        dropped = site.bring(marked_series(1, study=2))
    with by(rules("hash")):
        hashed = site.bring(marked_series(2, study=2))
    assert hashed.session["path"] == dropped.session["path"]
    assert hashed.counts == {"stored": 1, "duplicate": 1}


@pytest.mark.postgresql
@pytest.mark.parametrize("level", LEVELS)
def test_pet_and_mr_are_kept_apart_and_known_again(site: DataFolder, level: Level) -> None:
    def both(first: int = 1, count: int = 2) -> dict[str, bytes]:
        numbers = range(first, first + count)
        mr_files = {f"mr/{n}": marked_image(n, series="mr").file() for n in numbers}
        pet = {f"pet/{n}": marked_image(n, series="pet", modality=b"PT", series_number=b"2").file() for n in numbers}
        return {**mr_files, **pet}

    with by(rules(level)):
        first = site.bring(marked_series(1, study="other"))
        set_pet_mr(str(site.data), site.settings, "P", "separate")
        outcome = site.bring(both())
        second = site.bring(both(2))
        again = site.bring(both(1, 3))
    assert sorted(one["session_type"] for one in outcome.sessions) == ["xnat:mrSessionData", "xnat:petSessionData"]
    assert len({one["study_uid"] for one in outcome.sessions}) == 1
    assert len({one["subject"] for one in outcome.sessions}) == 1
    assert second.counts == {"stored": 2, "duplicate": 2}
    assert again.counts == {"duplicate": 6}
    assert {one["path"] for one in second.sessions} == {one["path"] for one in outcome.sessions}
    assert_unmarked(site.data, first, outcome, second, again)


# -- patients ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_patients_are_compared_and_not_named(site: DataFolder, level: Level) -> None:
    """Of one study; of a subject that was asked for; within an upload alone where they are dropped."""
    two = {**marked_series(1), "b": marked_image(2, patient_id=OTHER).file()}
    absent = {**marked_series(1, study=2), "b": marked_image(2, study=2, patient_id=b"").file()}
    with by(rules(level)):
        mixed = site.bring(two)
        partly = site.bring(absent)
        one = site.bring(marked_series(1, study=3), subject="S", session="E1")
        other = site.bring(marked_series(1, study=4, patient_id=OTHER), subject="S", session="E2")
        pair = {"c/1": marked_image(study=5).file(), "c/2": marked_image(study=6, patient_id=OTHER).file()}
        both = site.bring(pair, subject="S2")
        joined = site.bring(marked_series(1, study=3, first=2, patient_id=OTHER))
    assert mixed.report["code"] == "patient_mismatch"
    tokens = re.findall(r"key:[0-9a-f]{32}|patient:\d+", mixed.session["message"])
    assert len(set(tokens)) == 2
    assert {token.startswith("key:") for token in tokens} == {level == "hash"}
    assert "patient_absent" in partly.warned()
    assert both.report["code"] == "subject_many_patients"
    assert [one.state, other.state] == ["placed", "placed"]
    assert ("subject_other_patient" in other.warned()) is (level == "hash")
    assert joined.state == ("held" if level == "hash" else "placed")
    assert_unmarked(site.data, mixed, partly, one, other, both, joined)
    tokens = [token for (token,) in rows(site, subject_patient.c.patient_id)]
    assert len(set(tokens)) == (2 if level == "hash" else 0)


@pytest.mark.parametrize("level", LEVELS)
def test_a_patient_of_several_subjects_is_warned_of_as_far_as_it_is_known(site: DataFolder, level: Level) -> None:
    with by(rules(level)):
        site.bring(marked_series(1), subject="A")
        later = site.bring(marked_series(1, study=2), subject="B")
    assert ("patient_many_subjects" in later.warned()) is (level == "hash")
    assert_unmarked(site.data, later)


# -- what is not stored ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_what_is_not_stored_leaves_nothing_either(site: DataFolder, level: Level) -> None:
    """A script that fails or rejects, filters, a mapping that leaves out, an archive that is refused."""
    failing = LABELS + "(0008,0020) := shiftDateByIncrement[(0010,0010), 1]"
    with by(rules(level, failing)):
        failed = site.bring(marked_series(2))
    with by(rules(level, LABELS + "reject[]")):
        rejected = site.bring(marked_series(2))
    mapping = site.root / "map.csv"
    mapping.write_bytes(b"study_uid,leave_out\n" + marked_image().study_uid + b",yes\n")
    with by(rules(level)):
        left_out = site.bring(marked_series(2), mapping_path=str(mapping))
        cut = site.bring(zip_entries(marked_series(2))[:-200])
        unreadable = site.bring({"a/1.dcm": marked_image().file()[:300]}, ignore_unparsable=False)
    outcomes = [failed, rejected, left_out, cut, unreadable]
    assert [outcome.state for outcome in outcomes] == ["refused"] * 5
    codes = [outcome.report["code"] for outcome in outcomes]
    assert codes[:3] == ["deid_failed", "all_filtered", "all_left_out"]
    assert left_out.session["study_uid"] == rules(level).new_uid(marked_image().study_uid.decode())
    assert headers(site) == []
    assert_unmarked(site.data, *outcomes)


@pytest.mark.parametrize("level", LEVELS)
def test_an_import_that_fails_leaves_nothing(site: DataFolder, level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    with by(rules(level)):
        site.bring(marked_series(1))
        monkeypatch.setattr("scandock.workers.scrub_task.stage_parts", fill)
        outcome = site.bring(marked_series(3))
    assert (outcome.state, outcome.report["code"]) == ("failed", "disk_full")
    assert list((site.data / "trash" / "now").iterdir()) == []
    assert_unmarked(site.data, outcome)


def test_what_was_staged_goes_before_an_import_has_ended(site: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it waits in the trash to be swept, also where nobody sweeps."""
    monkeypatch.setattr("scandock.store.local.LocalStore.sweep", lambda *_: SweepResult(0, 0))
    with by(rules("drop")):
        outcomes = [site.bring(marked_series(2)), site.bring(marked_series(3)), site.bring({"a": b"no image"})]
    assert [outcome.state for outcome in outcomes] == ["placed", "placed", "refused"]
    assert_unmarked(site.data, *outcomes)


@pytest.mark.parametrize("level", LEVELS)
def test_progress_names_nobody(site: DataFolder, level: Level) -> None:
    told: list[Progress] = []
    for project in ("P", None):
        with by(rules(level)):
            run_import(
                data=str(site.data),
                archive=str(site.written(marked_series(3))),
                request=ImportRequest(project=project, create_project=project is not None),
                settings=site.settings,
                on_progress=told.append,
                cancelled=threading.Event(),
            )
    labels = {label for one in told for label in one.sessions}
    assert "study 1" in labels
    assert not search_bytes(MARKS, repr(told).encode(), "progress")


@pytest.mark.parametrize("level", LEVELS)
def test_names_of_locks_hold_no_uid_of_an_original(
    site: DataFolder, level: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: set[str] = set()

    def note(catalog: Any, connection: Any, lease: Any, names: Any) -> None:
        held.update(names)
        reserve(catalog, connection, lease, names)

    monkeypatch.setattr("scandock.pipeline.plan.reserve", note)
    with by(rules(level)):
        outcome = site.bring(marked_series(1))
    assert f"P/study/{outcome.session['study_uid']}" in held
    assert not search_bytes(MARKS, " ".join(held).encode(), "locks")
