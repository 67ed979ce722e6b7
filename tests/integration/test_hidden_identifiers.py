"""UIDs and patients that a policy hashes or drops: in objects, columns, labels, messages, and in nothing that stands."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pydicom
import pytest
from sqlalchemy import select

from scandock.catalog.tables import session
from scandock.rules.privacy import PrivacyRules
from scandock.rules.privacy_policy import Level, Policy
from scandock.testing.privacy import given_privacy
from tests.badinput.objects import Element
from tests.builders import DataFolder, Image, ImportOutcome, ecat, make_data_folder, uploader_layout

KEY = b"k" * 32
PATIENT, NAME = b"ZEBRA-4711", b"QUAGGA^OKAPI"
TRACES = (b"ZEBRA", b"4711", b"QUAGGA", b"OKAPI")
LABELS = 'version "6.1"\n(0010,0010) := subject\n(0010,0020) := session\n'
HASHED = LABELS + "".join(f"({tag}) := hashUID[({tag})]\n" for tag in ("0020,000D", "0020,000E", "0008,0018"))
LEVELS: tuple[Level, ...] = ("hash", "drop")


def rules(level: Level, script: str = "", **values: Any) -> PrivacyRules:
    policy = Policy(study_uid=level, patient=level)
    return PrivacyRules(key=KEY, scripts=(script,) if script else (), policy=policy, **values)


def by(given: PrivacyRules | None) -> Any:
    return given_privacy(given)


def image(number: int = 1, **values: Any) -> Image:
    return Image(case="hidden", number=number, **{"patient_id": PATIENT, "patient_name": NAME, **values})


def mr(count: int = 2, first: int = 1, **values: Any) -> dict[str, bytes]:
    return {f"a/{n}.dcm": image(n, **values).file() for n in range(first, first + count)}


UIDS = [image().study_uid, image().series_uid, *(image(n).sop_uid for n in range(1, 6))]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    folder = make_data_folder(tmp_path, monkeypatch, database_url)
    folder.scrubs = True
    return folder


def find_traces(data: Path, *outcomes: ImportOutcome, traces: tuple[bytes, ...] = (*TRACES, *UIDS)) -> list[str]:
    """Where anything of the originals stands: names and bytes of files, and what was told."""
    pieces = [(path.relative_to(data).as_posix(), _content(path)) for path in data.rglob("*") if path.is_file()]
    pieces += [(f"the name of {path}", path.name.encode()) for path in data.rglob("*")]
    pieces += [("a report", json.dumps([outcome.report, outcome.lines]).encode()) for outcome in outcomes]
    return [
        f"{trace.decode()} in {name}"
        for name, content in pieces
        for trace in traces
        if trace.lower() in content.lower() or trace.decode().encode("utf-16-le").lower() in content.lower()
    ]


def _content(path: Path) -> bytes:
    raw = path.read_bytes()
    return raw + gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw


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


@pytest.mark.postgresql
@pytest.mark.parametrize("script", ["", LABELS, HASHED])
@pytest.mark.parametrize("level", LEVELS)
def test_nothing_of_uids_and_patients_stands(site: DataFolder, level: Level, script: str) -> None:
    given = rules(level, script)
    study_uid = image().study_uid.decode()
    with by(given):
        outcome = site.bring({**mr(3), "b/1.v": _pet()}, destination="prearchive")
    assert outcome.state == "placed", outcome.report
    assert outcome.counts == {"stored": 4}
    assert find_traces(site.data, outcome) == []
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


def _pet(**values: Any) -> bytes:
    return ecat(frames=1, patient_id=PATIENT, patient_name=NAME, original_file_name=b"OKAPI.v", **values)


@pytest.mark.parametrize("profile", ["basic", "basic,retain-uids", "basic,retain-patient,clean-descriptors"])
@pytest.mark.parametrize("level", LEVELS)
def test_a_profile_does_it_its_own_way(site: DataFolder, level: Level, profile: str) -> None:
    with by(rules(level, LABELS, profile=profile)):
        outcome = site.bring({**mr(2), "b/1.v": _pet()})
        again = site.bring({**mr(2), "b/1.v": _pet()})
    assert find_traces(site.data, outcome, again) == []
    assert again.counts == {"duplicate": 3}
    found = headers(site)
    assert {(one.PatientID, str(one.PatientName)) for one in found} == {("REMOVED", "")}
    assert {one.StudyInstanceUID for one in found} == {rules(level).new_uid(image().study_uid.decode())}
    methods = {item.CodeValue for one in found for item in one.DeidentificationMethodCodeSequence}
    assert "113110" not in methods  # UIDs are not retained, whatever the profile would


def test_one_item_alone_is_hidden(site: DataFolder) -> None:
    with by(PrivacyRules(key=KEY, policy=Policy(study_uid="drop"))):
        uids = site.bring(mr(1))
    assert uids.session["label"] == PATIENT.decode()
    assert find_traces(site.data, uids, traces=tuple(UIDS)) == []
    with by(PrivacyRules(key=KEY, policy=Policy(patient="hash"))):
        patient = site.bring(mr(1, study=2), project="Q")
    assert patient.session["study_uid"] == image(study=2).study_uid.decode()
    assert patient.session["label"] == next(one.PatientID for one in headers(site) if one.PatientID[:2] == "P-")


# -- labels --------------------------------------------------------------------------------------------------------


def labels(outcome: ImportOutcome) -> tuple[str, str]:
    return outcome.session["subject"], outcome.session["label"]


def test_labels_that_nobody_asked_for_are_keyed(site: DataFolder) -> None:
    """By the profile of a level; those that were asked for stay to the letter."""
    also: dict[int, Element] = {0x00104000: (b"LT", b"Subject:ZEBRA_S Session:ZEBRA_E")}
    archives = {
        "header": mr(1),
        "comment": mr(1, study=2, also=also),
        "folder": uploader_layout("ZEBRA", "1", [image(study=3).file()]),
        "nobody": mr(1, study=4, patient_id=b"", patient_name=b""),
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
            asked = site.bring(mr(1, study=5), project=level, subject="ANNA", session="E-1")
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
        other = site.bring(mr(1), project="other")
    assert not set(labels(other)) & set(dropped["header"])


def test_no_suffix_is_a_date(site: DataFolder) -> None:
    """Two visits of one patient, whose sessions would be called alike."""
    for level in LEVELS:
        with by(rules(level)):
            first = site.bring(mr(1), project=level)
            second = site.bring(mr(1, study=2, study_date=b"20210101"), project=level)
            both = site.bring({**mr(1, study=3), "b": image(study=4, study_date=b"20220202").file()}, project=level)
            again = site.bring(mr(1, study=2, study_date=b"20210101"), project=level)
        every = [first, second, both]
        names = [one["label"] for outcome in every for one in outcome.sessions]
        assert len(set(names)) == 4
        assert not [name for name in names if re.search(r"20\d{6}", name)]
        assert {one["subject"] for outcome in every for one in outcome.sessions} == {first.session["subject"]}
        assert labels(again) == labels(second)
        assert again.counts == {"duplicate": 1}


def test_rules_of_routing_run_on_the_original_and_tell_nothing_of_it(site: DataFolder) -> None:
    site.set_rules("session", r"(0010,0020):(ZEBRA)-\d+")
    site.set_rules("project", r"(0010,0010):(Q)UAGGA.*")
    for level in LEVELS:
        with by(rules(level)):
            outcome = site.bring(mr(1, study=level), project=None)
        assert outcome.session["project"] == "Q"
        assert find_traces(site.data, outcome) == []
