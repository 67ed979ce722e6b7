"""What viewers make of stored sessions, which know new UIDs alone: study and references hold, all else becomes new."""

from __future__ import annotations

import io
import json
from errno import EIO
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from sqlalchemy import insert, select

from scandock.catalog.server_tables import damage
from scandock.catalog.tables import session, subject_patient
from scandock.deidentification.uids import hash_uid
from scandock.rules.keyed_values import keyed_uid
from scandock.rules.privacy import PrivacyRules, SitePrivacy
from scandock.rules.privacy_policy import Level, Policy
from scandock.rules.stored_uids import is_made_uid
from scandock.services.commitment import find_stored
from scandock.store.snapshots import LocalSnapshot
from scandock.testing.privacy import given_privacy
from scandock.workers import context as worker_context
from scandock.workers.scrub_readers import ReaderScrubber
from tests.builders import DataFolder, Image, ImportOutcome, make_data_folder
from tests.byte_search import explain, search_bytes, search_folder
from tests.integration.stow.test_dicomweb_store import ACCEPT, FAILED, INSTANCE, RETRIEVE, STORED, WARNING, items, store
from tests.integration.test_early_scrub import said, stands
from tests.integration.web import Web
from tests.marked_objects import MARKS, marked_image

KEY = b"k" * 32
FRAME = 0x00200052
SEG, SR = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.33"
HASHED = (
    'version "6.1"\n(0010,0010) := "X"\n(0010,0020) := session\n'
    "hashUIDList[+/(0008,1155), +/(0020,000E), +/(0020,000D)]\n"
    + "".join(f"(00{tag}) := hashUID[(00{tag})]\n" for tag in ("20,000D", "20,000E", "20,0052", "08,0018"))
)
RULES = {
    "PROFILE": PrivacyRules(key=KEY, profile="basic,clean-structured"),
    "HASH": PrivacyRules(key=KEY, policy=Policy(study_uid="hash", patient="hash"), residue="refuse"),
    "DROP": PrivacyRules(key=KEY, policy=Policy(names="drop", study_uid="drop", patient="drop"), residue="refuse"),
    "SCRIPT": PrivacyRules(key=KEY, scripts=(HASHED,)),
}
EARLY_RULES = {
    **RULES,
    "DROP": PrivacyRules(key=KEY, policy=Policy(study_uid="drop", patient="drop"), residue="refuse"),
    "SCRIPT": PrivacyRules(key=KEY, scripts=(HASHED.replace("session", '"Y"'),)),
}
"""The like that can be applied early, too, and hide no names."""


def original(case: str, number: int = 1, **values: Any) -> Image:
    also = {FRAME: (b"UI", b"1.3.12.2.1107.5.2.32.35.2.20260101"), **values.pop("also", {})}
    return Image(case=case, number=number, patient_id=b"SALT-77", patient_name=b"SALT^ANNA", also=also, **values)


def read(data: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(data))


def derive(stored: list[Dataset], kind: str, name: str, **values: Any) -> Dataset:
    """A segmentation or a report of stored objects, as a viewer makes it."""
    first, made = stored[0], Dataset()
    made.SOPClassUID = kind
    made.SOPInstanceUID, made.SeriesInstanceUID = f"1.2.826.0.1.{name}.1", f"1.2.826.0.1.{name}.2"
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName"):
        setattr(made, keyword, first[keyword].value)
    made.Modality, made.SeriesNumber, made.InstanceNumber = "SEG" if kind == SEG else "SR", 99, 1
    made.DeviceUID = "2.25.77"
    series = []
    for uid in dict.fromkeys(one.SeriesInstanceUID for one in stored):
        item = Dataset()
        item.SeriesInstanceUID = uid
        item.ReferencedSOPSequence = item.ReferencedInstanceSequence = [
            refer(one) for one in stored if one.SeriesInstanceUID == uid
        ]
        series.append(item)
    if kind == SEG:
        made.ReferencedSeriesSequence = series
    else:
        study, content = Dataset(), Dataset()
        study.StudyInstanceUID, study.ReferencedSeriesSequence = first.StudyInstanceUID, series
        made.CurrentRequestedProcedureEvidenceSequence = [study]
        content.RelationshipType, content.ValueType = "CONTAINS", "IMAGE"
        content.ReferencedSOPSequence = [refer(first)]
        made.ContentSequence = [content]
    for keyword, value in values.items():
        setattr(made, keyword, value)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    return made


def refer(one: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = one.SOPClassUID, one.SOPInstanceUID
    return item


def written(made: Dataset) -> bytes:
    raw = io.BytesIO()
    pydicom.dcmwrite(raw, made, enforce_file_format=True)
    return raw.getvalue()


def uids_of(made: Dataset, *keywords: str) -> set[tuple[str, str]]:
    """Keyword and value of UIDs at every depth, but those of classes and of `keywords`."""
    return {
        (element.keyword, str(element.value))
        for element in made.iterall()
        if element.VR == "UI" and "Class" not in element.keyword and element.keyword not in keywords
    }


OWN = ("SOPInstanceUID", "DeviceUID")


def check_derived(new: Dataset, sent: Dataset) -> None:
    """Study, frame of reference and references are as they were sent; what the object itself is called is not."""
    assert new.StudyInstanceUID == sent.StudyInstanceUID
    assert new.file_meta.MediaStorageSOPInstanceUID == new.SOPInstanceUID
    sent_refs = {uid for uid in uids_of(sent, *OWN) if uid != ("SeriesInstanceUID", sent.SeriesInstanceUID)}
    assert uids_of(new, *OWN) - {("SeriesInstanceUID", new.SeriesInstanceUID)} == sent_refs
    assert len(sent_refs) >= 4
    assert is_made_uid(new.SOPInstanceUID)
    assert is_made_uid(new.SeriesInstanceUID)
    assert new.SeriesInstanceUID not in {uid for _, uid in uids_of(sent)}


def fetch(client: httpx.Client, url: str) -> list[Dataset]:
    answer = client.get(url, headers=ACCEPT)
    assert answer.status_code == 200, url
    boundary = answer.headers["content-type"].partition("boundary=")[2].strip('"').split(";")[0]
    parts = answer.content.split(f"--{boundary}".encode())[1:-1]
    return [read(part.partition(b"\r\n\r\n")[2]) for part in parts]


@pytest.mark.parametrize("project", RULES)
def test_what_a_viewer_stores_is_where_it_says_and_refers_to_what_is_stored(client: httpx.Client, project: str) -> None:
    assert client.post("/api/v1/projects", json={"id": project}).status_code == 201
    studies = f"/dicomweb/projects/{project}/studies"
    sent = [original(project, number, series=series) for series in (1, 2) for number in (1, 2)]
    with given_privacy(projects={project: RULES[project]}):
        assert len(items(store(client, *(one.file() for one in sent), path=studies), STORED)) == 4
        (row,) = client.get(studies).json()
        study = row["0020000D"]["Value"][0]
        assert study != sent[0].study_uid.decode()
        stored = fetch(client, f"{studies}/{study}")
        (frame,) = {one.FrameOfReferenceUID for one in stored}
        assert frame != "1.3.12.2.1107.5.2.32.35.2.20260101"
        seg, report = derive(stored, SEG, "3"), derive(stored, SR, "4")
        answer = store(client, written(seg), written(report), path=f"{studies}/{study}")
        assert answer.status_code == 202, answer.text
        assert answer.json()[RETRIEVE]["Value"] == [f"http://127.0.0.1{studies}/{study}"]
        new = []
        for made, item in zip((seg, report), items(answer, STORED), strict=True):
            assert (item[INSTANCE], item[WARNING]) == (made.SOPInstanceUID, 0xB000)
            (one,) = fetch(client, item[RETRIEVE])
            assert item[RETRIEVE].endswith(f"/{study}/series/{one.SeriesInstanceUID}/instances/{one.SOPInstanceUID}")
            check_derived(one, made)
            new.append(one)
        # the viewer sends it once more, then what it made of its own report, and what was downloaded
        again = store(client, written(report), path=studies)
        assert items(again, STORED)[0][RETRIEVE] == items(answer, STORED)[1][RETRIEVE]
        second = derive([*stored, *new], SR, "5")
        (item,) = items(store(client, written(second), written(stored[0]), path=studies), STORED)[:1]
        check_derived(fetch(client, item[RETRIEVE])[0], second)
        # more of the original study is still known
        later = store(client, original(project, 3, series=2).file(), path=studies)
        assert items(later, STORED)[0][RETRIEVE].split("/series/")[0].endswith(f"/{study}")
    (row,) = client.get(studies).json()
    assert row["0020000D"]["Value"] == [study]
    assert row["00201208"]["Value"] == [8]
    (only,) = client.get("/api/v1/sessions", params={"project": project}).json()["items"]
    assert (only["study_uid"], only["files"], only["place"]) == (study, 8, "archive")


@pytest.mark.parametrize("level", ["hash", "drop"])
def test_original_uids_stand_nowhere_but_in_the_answer_where_they_are_hidden(
    web: Web, client: httpx.Client, level: Level
) -> None:
    """Not as the names of entries either, which are kept: of objects that are refused, and stored."""
    project = f"NAMED-{level}"
    assert client.post("/api/v1/projects", json={"id": project}).status_code == 201
    path = f"/dicomweb/projects/{project}/studies"
    sent = [marked_image(number, study=level) for number in (1, 2, 3)]
    first, second, cut = (one.file() for one in sent)
    with given_privacy(projects={project: PrivacyRules(key=KEY, policy=Policy(study_uid=level, patient=level))}):
        answer = store(client, first, second, cut[:-10], path=path)
        again = store(client, first, second, path=path)
    told = [item[INSTANCE] for item in (*items(answer, STORED), *items(answer, FAILED))]
    assert told == [one.sop_uid.decode() for one in sent]
    assert [item[INSTANCE] for item in items(again, STORED)] == told[:2]
    for one in client.get("/api/v1/imports", params={"project": project}).json()["items"]:
        assert one["archive"] == "dicomweb.zip"
        for address in ("", "/receipt", "/receipt?format=csv"):
            shown = client.get(f"/api/v1/imports/{one['id']}{address}")
            assert shown.status_code == 200
            found = search_bytes(MARKS, shown.content, address)
            assert not found, explain(found)
    found = search_bytes(MARKS, json.dumps(web.logged, default=str).encode(), "the log")
    found += search_folder(MARKS, Path(web.site.store.path))
    assert not found, explain(found)


# -- the same by archives ------------------------------------------------------------------------------------------


def made_up(number: int) -> str:
    """A UID of the form of those that de-identification makes."""
    return keyed_uid(b"stranger", str(number))


def new_uid(rules: PrivacyRules, uid: str) -> str:
    return hash_uid(uid) if rules.scripts else keyed_uid(KEY, uid)


def stored_objects(site: DataFolder) -> dict[str, Dataset]:
    """What stands in DATA, by path."""
    return {path: pydicom.dcmread(site.data / path) for path in site.files() if path.endswith(".dcm")}


def bring_new(site: DataFolder, entries: dict[str, bytes], **options: Any) -> tuple[ImportOutcome, dict[str, Dataset]]:
    """Import, and what is stored of it by the entries' names."""
    before = site.files()
    outcome = site.bring(entries, **options)
    stored = {line["path"]: line["stored_as"] for line in outcome.lines if line["stored_as"] not in before}
    return outcome, {name: pydicom.dcmread(site.data / path) for name, path in stored.items() if path is not None}


def count_sessions(site: DataFolder) -> int:
    with site.catalog() as catalog, catalog.read() as connection:
        return len(connection.execute(select(session.c.id)).all())


@pytest.mark.parametrize("name", EARLY_RULES)
def test_stored_uids_alone_stay_early_and_late_in_what_names_their_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    rules, late, results = EARLY_RULES[name], count_late(monkeypatch), []
    for form in ("early", "late"):
        if form == "late":
            monkeypatch.setattr(worker_context, "early_scrub", lambda *_: None)
        (tmp_path / form).mkdir()
        site = make_data_folder(tmp_path / form, monkeypatch)
        site.scrubs = True
        late.clear()
        with given_privacy(rules):
            told = [site.bring({f"{n}/{m}": original("a", m, series=n).file() for n in (1, 2) for m in (1, 2)})]
            assert (sum(late) == 0) is (form == "early")
            by_path = stored_objects(site)
            stored = list(by_path.values())
            study, first = stored[0].StudyInstanceUID, next(iter(by_path))
            derived = {"seg": derive(stored, SEG, "3"), "sr": derive(stored, SR, "4")}
            forged = derive(stored[:1], SEG, "6")
            forged.ReferencedSeriesSequence[0].SeriesInstanceUID = made_up(1)
            forged.FrameOfReferenceUID = made_up(2)
            forged.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID = made_up(3)
            stranger = derive(stored, SEG, "7", StudyInstanceUID=made_up(4), FrameOfReferenceUID=made_up(5))
            other = derive(stored, SR, "8", StudyInstanceUID="1.2.826.0.1.8.9")
            entries = {**derived, "forged": forged, "stranger": stranger, "other": other}
            coming = {name: written(made) for name, made in entries.items()}
            coming |= {"download": (site.data / first).read_bytes(), "rewritten": written(by_path[first])}
            late.clear()
            outcome, new = bring_new(site, coming)
            told.append(outcome)
            assert new.keys() == entries.keys()
            assert sum(late) == 4 + (form == "late")
            for kept, made in derived.items():
                check_derived(new[kept], made)
            for uid in ("SeriesInstanceUID", "SOPInstanceUID", "StudyInstanceUID"):
                assert new["stranger"][uid].value == new_uid(rules, stranger[uid].value)
            assert new["forged"].StudyInstanceUID == study
            assert new["forged"].FrameOfReferenceUID == new_uid(rules, made_up(2))
            (item,) = new["forged"].ReferencedSeriesSequence
            assert item.SeriesInstanceUID == new_uid(rules, made_up(1))
            assert item.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == new_uid(rules, made_up(3))
            for one, sent in ((new["stranger"], stranger), (new["other"], other)):
                assert not {uid for _, uid in uids_of(one, "DeviceUID")} & {uid for _, uid in uids_of(sent)}
            assert {outcome.line(path)["verdict"] for path in ("download", "rewritten")} == {"duplicate"}
            # the same once more, and more of the original
            told.append(site.bring(coming))
            assert told[-1].counts == {"duplicate": len(coming)}
            late.clear()
            later, more = bring_new(site, {"x": original("a", 3, series=2).file(), "y": written(stranger)})
            told.append(later)
            assert more["x"].StudyInstanceUID == study
            assert count_sessions(site) == 3
            with site.catalog() as catalog, catalog.read() as connection:
                row = connection.execute(select(session).where(session.c.study_uid == study)).mappings().one()
                assert row["study_key"] == rules.stored_study_key(original("a").study_uid.decode())
                if rules.policy.patient != "drop":
                    token = rules.patient_token("SALT-77")
                    of_subject = subject_patient.c.subject_id == row["subject_id"]
                    of_session = connection.execute(select(subject_patient.c.patient_id).where(of_subject)).scalars()
                    assert (row["patient_key"], list(of_session)) == (token, [token])
                    wanted = [(SR, derived["sr"].SOPInstanceUID), (SEG, derived["seg"].SOPInstanceUID)]
                    privacy = SitePrivacy(site=rules, projects={})
                    assert set(find_stored(connection, wanted, privacy).values()) == {0}  # storage commitment
        results.append(([said(one) for one in told], stands(site)))
    assert results[0] == results[1]


def count_late(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Entries that are de-identified in the late form, by orders."""
    late: list[int] = []
    scrub = ReaderScrubber.scrub

    def count(self: ReaderScrubber, rules: Any, orders: Any, listener: Any, check: Any) -> bool:
        every = list(orders)
        late.extend(len(order.entries) for order in every)
        return scrub(self, rules, every, listener, check)

    monkeypatch.setattr(ReaderScrubber, "scrub", count)
    return late


# -- where sessions are several, or none ----------------------------------------------------------------------------


def test_reports_of_pet_and_mr_apart_name_both(site: DataFolder) -> None:
    """Both sessions of a study have its one new UID, and either may name what is in the other."""
    site.scrubs = True
    site.project("P", petmr="separate")
    modalities = {b"PT": "pet", b"MR": "mr"}
    with given_privacy(EARLY_RULES["PROFILE"]):
        site.bring(
            {name: original("b", series=name, modality=modality).file() for modality, name in modalities.items()}
        )
        stored = sorted(stored_objects(site).values(), key=lambda one: one.Modality)
        derived = {"1": derive(stored, SR, "3"), "2": derive(stored[::-1], SEG, "4")}
        outcome, new = bring_new(site, {name: written(made) for name, made in derived.items()})
        assert (outcome.state, count_sessions(site)) == ("placed", 2)
        for name, made in derived.items():
            check_derived(new[name], made)


def test_no_other_project_takes_what_is_stored_for_its_own(site: DataFolder) -> None:
    site.scrubs = True
    rules = EARLY_RULES["PROFILE"]
    with given_privacy(rules):
        site.bring({"1": original("c").file()})
        seg = derive(list(stored_objects(site).values()), SEG, "3")
        _, new = bring_new(site, {"seg": written(seg)}, project="Q")
        assert uids_of(new["seg"]) == {(keyword, keyed_uid(KEY, uid)) for keyword, uid in uids_of(seg)}


def test_what_was_stored_before_the_rules_is_no_new_uid(site: DataFolder) -> None:
    """Though all UIDs look as if they were: nothing of the session was de-identified."""
    site.scrubs = True
    values = {0x0020000D: made_up(1), 0x0020000E: made_up(2), FRAME: made_up(3)}
    also = {tag: (b"UI", uid.encode()) for tag, uid in values.items()}
    site.bring({"1": original("d", also=also).file()})
    seg = derive(list(stored_objects(site).values()), SEG, "3")
    with given_privacy(EARLY_RULES["PROFILE"]):
        _, new = bring_new(site, {"seg": written(seg)})
        assert count_sessions(site) == 1
        assert uids_of(new["seg"]) == {(keyword, keyed_uid(KEY, uid)) for keyword, uid in uids_of(seg)}


@pytest.mark.parametrize("name", ["PROFILE", "HASH", "DROP"])
def test_original_uids_become_no_stored_ones_by_a_second_import(site: DataFolder, name: str) -> None:
    """A session from before the rules whose UIDs another site's key has made: its first import under them notes the
    hash of its study, by which the next one knows that this is the original UID; without, new objects show it.
    """
    site.scrubs = True
    values = {0x0020000D: made_up(1), 0x0020000E: made_up(2), FRAME: made_up(3)}
    also = {tag: (b"UI", uid.encode()) for tag, uid in values.items()}
    site.bring({"1": original("d", also=also).file()})
    with given_privacy(EARLY_RULES[name]):
        for number in (2, 3):
            _, new = bring_new(site, {"1": original("d", number, also=also).file()})
            assert count_sessions(site) == 1
            assert [new["1"][tag].value for tag in values] == [keyed_uid(KEY, uid) for uid in values.values()]


@pytest.mark.parametrize("known", [True, False])
def test_an_unreadable_object_keeps_nobody_from_storing(
    site: DataFolder, monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    """Another one of its series tells the same."""
    site.scrubs = True
    with given_privacy(EARLY_RULES["PROFILE"]):
        site.bring({str(number): original("g", number).file() for number in (1, 2)})
        stored = stored_objects(site)
        first = next(iter(stored))
        if known:
            site.checked = False  # the catalog says of a whole file that it is not
            with site.catalog() as catalog, catalog.write() as connection:
                row = {"tree_id": select(session.c.tree_id).scalar_subquery(), "file_n": 0, "kind": "unreadable"}
                connection.execute(insert(damage).values(**row, found=1, error=""))
        opened: list[str] = []
        open_file = LocalSnapshot.open

        def fail(self: LocalSnapshot, rel: Any, *place: Any) -> Any:
            opened.append(rel)
            if len(opened) == 1 and not known:
                raise OSError(EIO, "Input/output error")
            return open_file(self, rel, *place)

        monkeypatch.setattr(LocalSnapshot, "open", fail)
        seg = derive(list(stored.values()), SEG, "3")
        _, new = bring_new(site, {"seg": written(seg)})
        check_derived(new["seg"], seg)
        assert first.endswith(opened[0]) is not known


def test_another_object_by_a_stored_uid_waits_for_a_decision(site: DataFolder) -> None:
    """As anywhere; what waits has the study's UID and its references, so that it can join the session."""
    site.scrubs = True
    with given_privacy(EARLY_RULES["HASH"]):
        site.bring({"1": original("e", 1).file(), "2": original("e", 2).file()})
        stored = list(stored_objects(site).values())
        seg = derive(stored, SEG, "3", SOPInstanceUID=stored[0].SOPInstanceUID)
        seg.file_meta.MediaStorageSOPInstanceUID = seg.SOPInstanceUID
        outcome, new = bring_new(site, {"seg": written(seg), "sr": written(derive(stored, SR, "4"))})
        assert (outcome.state, outcome.session["code"]) == ("held", "sop_clash")
        assert new["seg"].SOPInstanceUID == seg.SOPInstanceUID
        assert {one.StudyInstanceUID for one in new.values()} == {seg.StudyInstanceUID}


def test_what_rules_do_not_replace_is_as_ever(site: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where UIDs are kept nothing is looked up, and objects are de-identified as they are read."""
    site.scrubs = True
    late = count_late(monkeypatch)
    also = {0x0020000D: (b"UI", made_up(1).encode())}
    by_profile = PrivacyRules(key=KEY, profile="basic,retain-uids")
    by_policy = PrivacyRules(key=KEY, policy=Policy(patient="drop"))
    for number, rules in enumerate((by_profile, by_policy), 1):
        with given_privacy(rules):
            _, new = bring_new(site, {"1": original("f", number, also=also).file()})
            assert new["1"].StudyInstanceUID == made_up(1)
    assert late == []
