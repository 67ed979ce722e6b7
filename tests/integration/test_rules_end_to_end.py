"""Which session, which file, which entries are images: each sentence of the rules, by imports of small archives."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from scandock.catalog.tables import routing_rules, subject, subject_patient, upload, upload_exception
from scandock.model.errors import Usage
from scandock.services.settings import load_settings
from tests.badinput.objects import uid
from tests.builders import (
    DataFolder,
    Image,
    ImportOutcome,
    ecat,
    images,
    make_data_folder,
    sha256,
    uploader_layout,
    zip_entries,
)

pytestmark = pytest.mark.long

COMMENT = 0x00104000
REMOVED = 0x00120062
OTHER_ID = {0x00204000: (b"LT", b"another content")}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataFolder]:
    """A data folder of the test's own, on SQLite; catalog and store are compared once, after all imports."""
    site = make_data_folder(tmp_path, monkeypatch)
    site.checked = False
    yield site
    site.check()


@pytest.fixture
def any_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[DataFolder]:
    """The same on each database.

    Rules are pure functions of what the catalog tells them. Both databases are asked where they could tell otherwise:
    rules of the site (which SQLite is asked for beside the catalog), exceptions in their order, labels and ids without
    case, patients by bytes, digests, columns that are NULL or boolean, sessions that are held.
    """
    site = make_data_folder(tmp_path, monkeypatch, database_url)
    site.checked = False
    yield site
    site.check()


def image(number: int = 1, **values: Any) -> Image:
    return Image(case="rules", number=number, **values)


def study(n: int, number: int = 1, **values: Any) -> bytes:
    return image(number, study=n, **values).file()


def labels(told: ImportOutcome) -> list[str]:
    return sorted(session["label"] for session in told.sessions)


# -- defaults ----------------------------------------------------------------------------------------------------------


def test_the_defaults(site: DataFolder) -> None:
    """Unparseable entries ignored, resources kept, a new project's destination is its archive."""
    told = site.bring({"a/1.dcm": study(1), "a/broken.dcm": b"no image", "a/log.txt": b"a log"})

    assert told.state == "placed"
    assert told.codes() == {
        "a/1.dcm": "stored stored",
        "a/broken.dcm": "unparseable named_not_image",
        "a/log.txt": "resource resource",
    }
    assert told.session["state"] == "archive"
    assert told.session["path"] == "archive/P/PAT1"
    assert told.session["uri"] == "/data/archive/projects/P/subjects/DOE_JANE/experiments/PAT1"
    assert "unparseable_ignored" in told.warned()


def test_a_project_of_code_0_takes_into_the_prearchive(site: DataFolder) -> None:
    site.project(prearchive_code=0)
    told = site.bring({"1.dcm": study(1)})

    assert (told.state, told.session["state"]) == ("placed", "prearchive")
    assert site.bring({"1.dcm": study(1)}, destination="archive").session["state"] == "archive"


@pytest.mark.parametrize(("comment", "state"), [(b"AA:true", "archive"), (b"AA:false", "prearchive")])
def test_comments_name_the_destination(site: DataFolder, comment: bytes, state: str) -> None:
    site.project(prearchive_code=0 if state == "archive" else 4)
    told = site.bring({"1.dcm": study(1, also={COMMENT: (b"LT", comment)})})

    assert told.session["state"] == state


# -- which entries are images ------------------------------------------------------------------------------------------


def test_images_go_by_content_never_by_name(site: DataFolder) -> None:
    told = site.bring({"Thumbs.db": study(1, 1), "notes.txt": study(1, 2), "__MACOSX/._x": study(1, 3), "x": ecat()})

    assert told.counts == {"stored": 4}


def test_junk_never_fails_an_import_whatever_the_flag(site: DataFolder) -> None:
    junk = {
        "a/.DS_Store": b"\0\0\0\1Bud1",
        "__MACOSX/a/._1.dcm": b"\0\5\26\7",
        "a/Thumbs.db": b"\xd0\xcf\x11\xe0",
        "autorun.inf": b"[autorun]",
        "viewer.exe": b"MZ",
        "index.html": b"<html></html>",
        "a/scan_1_catalog.xml": b"<cat/>",
        "SHA256SUMS": b"0 1.dcm",
    }
    told = site.bring({"a/1.dcm": study(1), **junk}, ignore_unparsable=False)

    assert told.state == "placed"
    assert told.counts == {"stored": 1, "junk": len(junk)}
    assert {told.line(path)["code"] for path in junk} == {"junk_name"}


def test_unparseable_is_what_should_be_an_image(site: DataFolder) -> None:
    """In an image folder, named like an image, bearing a magic, or without one of the three UIDs."""
    entries = {
        **uploader_layout("S", "1", [study(1)]),
        "S/scans/1/resources/DICOM/files/cut.txt": b"not an image",
        "b/named.IMA": b"not an image",
        "c/volume.v": b"not an image",
        "d/magic": b"MATRIX72v" + b"\0" * 90,
        "e/no-study": image(2, without=frozenset({0x0020000D})).file(),
        "e/no-series": image(3, without=frozenset({0x0020000E})).file(),
        "e/no-sop": image(4, without=frozenset({0x00080018})).file(),
    }
    told = site.bring(entries)

    assert told.state == "placed"
    assert told.counts == {"stored": 1, "unparseable": 7}
    assert told.line("e/no-study")["code"] == "no_study_uid"
    assert told.line("e/no-series")["code"] == "no_series_uid"
    assert told.line("e/no-sop")["code"] == "no_sop_uid"
    assert all(line["stored_as"] is None for line in told.lines if line["verdict"] == "unparseable")
    assert len(site.files()) == 1


def test_with_the_flag_off_all_unparseable_are_named_and_nothing_is_stored(any_site: DataFolder) -> None:
    broken = {f"bad/{n}.dcm": b"broken %d" % n for n in range(30)}
    told = any_site.bring({"1.dcm": study(1), **broken, "notes.txt": b"x"}, ignore_unparsable=False)

    assert (told.state, told.report["code"]) == ("refused", "unparseable_entries")
    assert all(path in told.report["message"] for path in broken)
    assert told.counts == {"refused": 32}
    assert told.codes()["bad/7.dcm"] == "refused named_not_image"
    assert told.codes()["1.dcm"] == "refused archive_refused"
    assert (told.session["state"], told.session["code"]) == ("refused", "unparseable_entries")
    assert (told.session["path"], told.session["uri"]) == (None, None)
    assert told.session["study_uid"] == image(study=1).study_uid.decode()
    assert any_site.files() == {}
    with any_site.catalog() as catalog, catalog.read() as connection:
        kept = connection.execute(select(upload_exception.c.path).order_by(upload_exception.c.n)).scalars().all()
    assert set(broken) <= set(kept)


def test_padding_is_no_part_of_a_uid(site: DataFolder) -> None:
    """Some writers pad with spaces or several NULs: still one study, one series, one object."""
    plain = image()
    padded = image(
        also={
            0x0020000D: (b"UI", plain.study_uid + b" "),
            0x0020000E: (b"UI", plain.series_uid + b"\0\0"),
            0x00080018: (b"UI", b" " + plain.sop_uid),
        }
    )
    told = site.bring({"1.dcm": plain.file(), "2.dcm": padded.file()})

    assert told.session["study_uid"] == plain.study_uid.decode()
    assert [scan["series_uid"] for scan in told.session["scans"]] == [plain.series_uid.decode()]
    assert told.session["code"] == "sop_clash"


def test_no_image_at_all_is_refused_naming_what_was_found(site: DataFolder) -> None:
    told = site.bring({"a.txt": b"one", "b.dcm": b"two", ".DS_Store": b"three"})

    assert (told.state, told.report["code"]) == ("refused", "no_images")
    assert "1 unparseable" in told.report["message"]
    assert "1 junk" in told.report["message"]
    assert told.counts == {"refused": 3}


def test_a_gzipped_member_is_stored_unpacked(site: DataFolder) -> None:
    plain, pet = study(1), ecat(patient_id=b"PAT1")
    told = site.bring(
        {
            "S/scans/1/resources/DICOM/files/1.dcm.gz": gzip.compress(plain),
            "S/scans/2/resources/ECAT/files/p.v.gz": gzip.compress(pet),
        }
    )

    assert told.state == "placed"
    assert told.counts == {"stored": 2}
    assert {line["code"] for line in told.lines} == {"stored_unpacked"}
    assert {line["sha256"] for line in told.lines} == {sha256(plain), sha256(pet)}
    assert sorted(site.files().values()) == sorted([sha256(plain), sha256(pet)])
    assert [path.rpartition("/")[2] for path in site.files() if "ECAT" in path] == ["p.v"]


def test_a_gzipped_and_a_plain_copy_are_one_object(site: DataFolder) -> None:
    told = site.bring({"1.dcm": study(1), "1.dcm.gz": gzip.compress(study(1))})

    assert told.counts == {"stored": 1, "duplicate": 1}


def test_a_bundle_with_one_damaged_inner_archive_is_partly(site: DataFolder) -> None:
    whole = zip_entries({"1.dcm": study(1), "2.dcm": study(1, 2)})
    damaged = bytearray(zip_entries({"x.dcm": study(2) + b"\0" * 4000, "y.dcm": study(2, 2)}))
    damaged[120:140] = bytes(20)
    told = site.bring({"good.zip": whole, "bad.zip": bytes(damaged), "also.zip": zip_entries({"z.dcm": study(3)})})

    assert told.state == "partly"
    assert told.report["message"]
    assert told.counts == {"stored": 3, "refused": 2}
    assert {line["path"] for line in told.lines if line["verdict"] == "refused"} == {"bad.zip!x.dcm", "bad.zip!y.dcm"}
    assert {session["study_uid"]: session["state"] for session in told.sessions} == {
        image(study=1).study_uid.decode(): "archive",
        image(study=2).study_uid.decode(): "refused",
        image(study=3).study_uid.decode(): "archive",
    }
    assert "inner_refused" in told.warned()


def test_the_other_sessions_of_a_partly_taken_bundle_may_be_held(site: DataFolder) -> None:
    clash = image(1, study=1, also=OTHER_ID).file()
    told = site.bring({"a.zip": zip_entries({"1.dcm": study(1), "2.dcm": clash}), "b.zip": b"PK\3\4 cut"})

    assert told.state == "partly"
    assert told.session["state"] == "conflict"


# -- which session: label, subject, project ----------------------------------------------------------------------------


def test_the_order_of_what_names_a_session(any_site: DataFolder, tmp_path: Path) -> None:
    """Mapping, request, site rules, comments, folder, PatientID, hash: each wins over all behind it."""
    every = image(also={COMMENT: (b"LT", b"Session:FROM_COMMENT;Subject:SUBJ_COMMENT")}, patient_name=b"RULE^NAME")
    bare = Image(case="rules", study=9, patient_id=b"", patient_name=b"")
    layout = "FOLDER/scans/1/resources/DICOM/files/1.dcm"
    mapping = tmp_path / "map.csv"
    mapping.write_text(f"study_uid,session,subject\n{every.study_uid.decode()},MAPPED,SUBJ_MAPPED\n")
    rule = "(0010,0010):(RULE).*"

    def named(project: str, entries: dict[str, bytes], **options: Any) -> tuple[str, str]:
        session = any_site.bring(entries, project=project, **options).session
        return session["label"], session["subject"]

    plain = {layout: image(patient_name=b"A^B", patient_id=b"PID").file()}
    assert named("p7", {"x.dcm": bare.file()}) == (f"study_{_hash8(bare)}", f"study_{_hash8(bare)}")
    assert named("p6", {"x.dcm": image().file()}) == ("PAT1", "DOE_JANE")
    assert named("p5", plain) == ("FOLDER", "A_B")
    assert named("p4", {layout: every.file()}) == ("FROM_COMMENT", "SUBJ_COMMENT")
    with any_site.catalog() as catalog, catalog.write() as connection:
        connection.execute(
            insert(routing_rules), [{"kind": kind, "text": rule, "modified": 0} for kind in ("session", "subject")]
        )
    assert named("p3", {layout: every.file()}) == ("RULE", "RULE")
    asked = {"session": "ASKED", "subject": "SUBJ_ASKED"}
    assert named("p2", {layout: every.file()}, **asked) == ("ASKED", "SUBJ_ASKED")
    assert named("p1", {layout: every.file()}, **asked, mapping_path=str(mapping)) == ("MAPPED", "SUBJ_MAPPED")


def _hash8(what: Image) -> str:
    return sha256(what.study_uid)[:8]


def test_forty_anonymous_studies_are_forty_sessions_of_forty_subjects(site: DataFolder) -> None:
    told = site.bring({f"{n}.dcm": study(n, patient_name=b"Anonymous", patient_id=b"Anonymous") for n in range(40)})

    assert told.state == "placed"
    assert len({session["label"] for session in told.sessions}) == 40
    assert {session["subject"] for session in told.sessions} == {session["label"] for session in told.sessions}


def test_names_that_are_placeholders_join_no_studies(site: DataFolder, subtests: pytest.Subtests) -> None:
    for number, name in enumerate([b"ANONYMIZED", b"anon", b"Unknown", b"none", b"***", b""]):
        with subtests.test(name.decode()):
            studies = {f"{n}.dcm": study(n, patient_name=name, patient_id=name) for n in range(3)}
            told = site.bring(studies, project=f"P{number}")
            assert told.state == "placed"
            assert len({session["label"] for session in told.sessions}) == 3
            assert {session["subject"] for session in told.sessions} == {session["label"] for session in told.sessions}


def test_placeholders_are_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCANDOCK_PLACEHOLDER_NAMES", "nobody")
    site = make_data_folder(tmp_path, monkeypatch)
    site.settings = load_settings()
    told = site.bring({"1.dcm": study(1, patient_id=b"NOBODY"), "2.dcm": study(2, patient_id=b"anon")})

    assert labels(told) == ["anon", f"study_{_hash8(image(study=1))}"]


def test_a_stray_report_does_not_split_a_study(site: DataFolder) -> None:
    """One decision for each study, by its most common value."""
    told = site.bring(
        {
            **{f"{n}.dcm": study(1, n, patient_name=b"REAL^NAME") for n in (1, 2)},
            "sr.dcm": study(1, 9, series=2, modality=b"SR", patient_name=b"STRAY^REPORT"),
        }
    )

    assert told.session["subject"] == "REAL_NAME"
    assert told.session["files"] == 3


def test_ties_are_settled_by_code_point_whatever_the_order(site: DataFolder) -> None:
    both = [study(1, 1, patient_name=b"B^B"), study(1, 2, patient_name=b"A^A")]
    told = site.bring({"1.dcm": both[0], "2.dcm": both[1]}, project="p1")
    turned = site.bring({"1.dcm": both[1], "2.dcm": both[0]}, project="p2")

    assert (told.session["subject"], turned.session["subject"]) == ("A_A", "A_A")


def test_names_are_cleaned_and_cut(site: DataFolder) -> None:
    long = b"L" * 70
    told = site.bring(
        {
            "1.dcm": study(1, patient_id=b"A.1/2", patient_name=b"Doe^John^^"),
            "2.dcm": study(2, patient_id=long, patient_name=b"^^=\xe5=X^Y"),
            "3.dcm": study(3, patient_id=b"../..", patient_name=b".."),
        }
    )
    by_study = {session["study_uid"]: session for session in told.sessions}
    one, two, three = (by_study[image(study=n).study_uid.decode()] for n in (1, 2, 3))

    assert (one["label"], one["subject"]) == ("A_1_2", "Doe_John")
    assert len(two["label"]) == 64
    assert two["label"].startswith("L" * 50)
    assert two["label"] != "L" * 64
    assert three["label"] == f"study_{_hash8(image(study=3))}"


def test_several_session_folders_are_one_session_after_the_largest(site: DataFolder) -> None:
    told = site.bring(
        {**uploader_layout("ONE", "1", [study(1, 1)]), **uploader_layout("TWO", "1", [study(1, 2), study(1, 3)])}
    )

    assert told.session["label"] == "TWO"
    assert "folders_disagree" in told.warned()


# -- mapping -----------------------------------------------------------------------------------------------------------


def test_the_first_row_that_matches_wins_and_unused_rows_are_said(site: DataFolder, tmp_path: Path) -> None:
    site.project("Q")
    mapping = tmp_path / "map.csv"
    mapping.write_text(
        "patient_id,folder,study_uid,project,subject,session\n"
        ",site2/sub-01,,,S2,V2\n"
        "PAT1,,,Q,S1,V1\n"
        "PAT1,,,,NEVER,NEVER\n"
        f",,{image(study=3).study_uid.decode()},,,V3\n"
        "NOBODY,,,,X,X\n"
    )
    told = site.bring(
        {
            "site2/sub-01/1.dcm": study(1),
            "x/2.dcm": study(2),
            "y/3.dcm": study(3, patient_id=b"OTHER", patient_name=b"S^THREE"),
        },
        mapping_path=str(mapping),
    )
    placed = {session["study_uid"]: session for session in told.sessions}
    found = [placed[image(study=n).study_uid.decode()] for n in (1, 2, 3)]

    assert [(one["project"], one["subject"], one["label"]) for one in found] == [
        ("P", "S2", "V2"),
        ("Q", "S1", "V1"),
        ("P", "S_THREE", "V3"),
    ]
    unused = [one["message"] for one in told.report["warnings"] if one["code"] == "mapping_unused"]
    assert len(unused) == 1
    assert "6" in unused[0]


def test_a_left_out_study_is_told_and_stands_nowhere(site: DataFolder, tmp_path: Path) -> None:
    mapping = tmp_path / "map.csv"
    mapping.write_text("patient_id,session,leave_out\nPAT1,,yes\nOTHER,KEPT,\n")
    other: dict[str, Any] = {"patient_id": b"OTHER", "patient_name": b"S^TWO"}
    told = site.bring(
        {
            "x/1.dcm": study(1),
            "x/again.dcm": study(1),
            "x/notes.txt": b"of the one that is left out",
            "y/2.dcm": study(2, **other),
            "y/notes.txt": b"of the one that is kept",
        },
        mapping_path=str(mapping),
    )

    assert told.state == "placed"
    left, kept = sorted(told.sessions, key=lambda one: one["label"] or "")
    assert (left["study_uid"], left["state"], left["code"]) == (
        image(study=1).study_uid.decode(), "refused", "left_out",
    )  # fmt: skip
    assert (left["uri"], left["path"], left["label"]) == (None, None, None)
    assert (kept["label"], kept["state"]) == ("KEPT", "archive")
    assert {key: count for key, count in told.report["entries"].items() if count} == {
        "stored": 1, "resource": 1, "ignored": 3,
    }  # fmt: skip
    assert told.report["warnings"] == []


def test_an_upload_of_which_every_study_is_left_out_is_refused(site: DataFolder, tmp_path: Path) -> None:
    mapping = tmp_path / "map.csv"
    mapping.write_text("patient_id,leave_out\nPAT1,yes\n")
    told = site.bring({"1.dcm": study(1), "2.dcm": study(2)}, mapping_path=str(mapping))
    assert (told.state, told.report["code"]) == ("refused", "all_left_out")
    assert {key: count for key, count in told.report["entries"].items() if count} == {"ignored": 2}


def test_a_json_mapping_and_inner_archives_as_folders(site: DataFolder, tmp_path: Path) -> None:
    mapping = tmp_path / "map.json"
    mapping.write_text(json.dumps({"rows": [{"folder": "sub-07", "session": "SEVEN"}]}))
    told = site.bring({"sub-07.zip": zip_entries({"1.dcm": study(1)})}, mapping_path=str(mapping))

    assert told.session["label"] == "SEVEN"


def test_a_mapping_to_a_project_that_does_not_exist_is_an_error(site: DataFolder, tmp_path: Path) -> None:
    mapping = tmp_path / "map.csv"
    mapping.write_text("patient_id,project\nPAT1,NOWHERE\n")

    with pytest.raises(Usage, match="NOWHERE"):
        site.bring({"1.dcm": study(1)}, mapping_path=str(mapping))
    assert site.files() == {}
    assert site.bring({"1.dcm": study(1)}).state == "placed"


# -- a study that the project has --------------------------------------------------------------------------------------


def test_a_study_goes_to_the_session_it_is_in_whatever_that_is_called(site: DataFolder) -> None:
    first = site.bring({"1.dcm": study(1)}, session="VISIT1", subject="S1")
    told = site.bring({"2.dcm": study(1, 2)})

    assert told.state == "placed"
    assert told.session["path"] == first.session["path"]
    assert (told.session["label"], told.session["subject"]) == ("VISIT1", "S1")
    assert "label_kept" in told.warned()


def test_another_requested_label_is_held_as_study_elsewhere(any_site: DataFolder) -> None:
    any_site.bring({"1.dcm": study(1)}, session="VISIT1")
    before = any_site.files("archive")
    told = any_site.bring({"2.dcm": study(1, 2)}, session="VISIT2")

    assert (told.state, told.session["code"]) == ("held", "study_elsewhere")
    assert told.session["label"] == "VISIT2"
    assert "VISIT1" in told.session["message"]
    assert any_site.files("archive") == before


def test_another_requested_subject_is_held(site: DataFolder) -> None:
    site.bring({"1.dcm": study(1)}, subject="S1")
    told = site.bring({"2.dcm": study(1, 2)}, subject="S2")

    assert (told.state, told.session["code"]) == ("held", "subject_differs")


def test_another_project_is_another_session(site: DataFolder) -> None:
    site.bring({"1.dcm": study(1)})
    told = site.bring({"1.dcm": study(1)}, project="Q")

    assert told.counts == {"stored": 1}
    assert told.session["path"] == "archive/Q/PAT1"


def test_labels_are_compared_without_case(any_site: DataFolder) -> None:
    any_site.bring({"1.dcm": study(1, patient_id=b"abc")})
    told = any_site.bring({"2.dcm": study(2, patient_id=b"ABC")})

    assert told.session["label"] == "ABC_20200131"
    assert "label_suffixed" in told.warned()


# -- two studies on one label ------------------------------------------------------------------------------------------


def test_two_new_studies_of_one_derived_label_both_get_their_date(site: DataFolder) -> None:
    told = site.bring({"1.dcm": study(1, study_date=b"20200101"), "2.dcm": study(2, study_date=b"20210202")})

    assert labels(told) == ["PAT1_20200101", "PAT1_20210202"]
    assert "label_suffixed" in told.warned()


def test_two_studies_of_one_label_and_date_get_a_hash(site: DataFolder) -> None:
    told = site.bring({"1.dcm": study(1), "2.dcm": study(2), "3.dcm": study(3, study_date=b"")})
    hashed = [f"PAT1_{sha256(image(study=n).study_uid)[:6]}" for n in (1, 2, 3)]

    assert set(labels(told)) <= {*hashed, "PAT1_20200131"}
    assert len(set(labels(told))) == 3
    assert hashed[2] in labels(told)


def test_what_is_in_the_catalog_is_never_renamed(any_site: DataFolder) -> None:
    first = any_site.bring({"1.dcm": study(1)})
    told = any_site.bring({"2.dcm": study(2), "1.dcm": study(1)})

    assert first.session["label"] == "PAT1"
    assert labels(told) == ["PAT1", "PAT1_20200131"]
    again = any_site.bring({"2.dcm": study(2), "1.dcm": study(1)})
    assert labels(again) == labels(told)
    assert again.counts == {"duplicate": 2}


def test_a_requested_label_for_several_studies_is_held(site: DataFolder) -> None:
    told = site.bring({f"{n}.dcm": study(n) for n in (1, 2, 3)}, session="VISIT")

    assert told.state == "held"
    assert [session["code"] for session in told.sessions] == ["label_many_studies"] * 3
    assert labels(told) == ["VISIT"] * 3
    assert len({session["path"] for session in told.sessions}) == 3
    stamps = sorted(session["path"].split("/")[2] for session in told.sessions)
    assert int(stamps[2][-3:]) - int(stamps[0][-3:]) in {2, 2 - 1000}


def test_a_requested_label_that_the_catalog_has_given_to_another_study_is_held(site: DataFolder) -> None:
    site.bring({"1.dcm": study(1)}, session="VISIT")
    told = site.bring({"2.dcm": study(2)}, session="visit")

    assert (told.state, told.session["code"]) == ("held", "label_many_studies")
    assert len(site.files("archive")) == 1


def test_a_requested_subject_for_several_patients_is_held(site: DataFolder) -> None:
    told = site.bring({"1.dcm": study(1, patient_id=b"A"), "2.dcm": study(2, patient_id=b"B")}, subject="ONE")

    assert [session["code"] for session in told.sessions] == ["subject_many_patients"] * 2


def test_absent_patients_count_for_none(site: DataFolder) -> None:
    told = site.bring(
        {"1.dcm": study(1, patient_id=b"A"), "2.dcm": study(2, patient_id=b""), "3.dcm": study(3, patient_id=b"anon")},
        subject="ONE",
    )

    assert told.state == "placed"
    assert {session["subject"] for session in told.sessions} == {"ONE"}


# -- patients ----------------------------------------------------------------------------------------------------------


def test_two_patients_in_one_study_are_held(site: DataFolder) -> None:
    told = site.bring({"1.dcm": study(1, 1, patient_id=b"A"), "2.dcm": study(1, 2, patient_id=b"B")})

    assert (told.state, told.session["code"]) == ("held", "patient_mismatch")
    assert told.session["files"] == 2


def test_a_second_patient_for_an_archived_study_is_held(site: DataFolder) -> None:
    site.bring({"1.dcm": study(1, 1, patient_id=b"A")})
    told = site.bring({"2.dcm": study(1, 2, patient_id=b"B")})

    assert (told.state, told.session["code"]) == ("held", "patient_mismatch")
    assert len(site.files("archive")) == 1


def test_absent_ids_beside_one_are_a_warning(site: DataFolder) -> None:
    told = site.bring({"1.dcm": study(1, 1, patient_id=b"A"), "2.dcm": study(1, 2, patient_id=b"")})

    assert told.state == "placed"
    assert "patient_absent" in told.warned()


def test_two_patients_that_clean_to_one_label_are_told_apart(site: DataFolder) -> None:
    entries = {
        "1.dcm": study(1, patient_id=b"A.1", patient_name=b"A.1"),
        "2.dcm": study(2, patient_id=b"A 1", patient_name=b"A 1"),
    }
    told = site.bring(entries)

    assert told.state == "placed"
    assert len(set(labels(told))) == 2
    assert {session["subject"] for session in told.sessions} == {
        f"A_1_{sha256(b'A.1')[:6]}",
        f"A_1_{sha256(b'A 1')[:6]}",
    }
    assert {"subjects_told_apart", "label_suffixed"} <= told.warned()
    assert site.bring(entries).counts == {"duplicate": 2}


def test_patients_told_apart_over_two_uploads(any_site: DataFolder) -> None:
    """Known ones stay, new ones get the suffix."""
    first = any_site.bring({"1.dcm": study(1, patient_id=b"A.1", patient_name=b"A.1")})
    told = any_site.bring({"2.dcm": study(2, patient_id=b"A 1", patient_name=b"A 1")})

    assert first.session["subject"] == "A_1"
    assert told.session["subject"] == f"A_1_{sha256(b'A 1')[:6]}"
    with any_site.catalog() as catalog, catalog.read() as connection:
        known = connection.execute(
            select(subject.c.label, subject_patient.c.patient_id).join(
                subject_patient, subject_patient.c.subject_id == subject.c.id
            )
        ).all()
    assert {tuple(row) for row in known} == {("A_1", "A.1"), (told.session["subject"], "A 1")}


# -- projects ----------------------------------------------------------------------------------------------------------


def test_without_a_project_sessions_are_unassigned_and_wait(site: DataFolder) -> None:
    told = site.bring({"1.dcm": study(1)}, project=None)

    assert told.state == "placed"
    assert (told.session["project"], told.session["state"]) == ("Unassigned", "prearchive")
    assert told.session["path"].startswith("prearchive/Unassigned/")
    assert "project_unassigned" in told.warned()
    again = site.bring({"1.dcm": study(1)}, project=None)
    assert again.counts == {"duplicate": 1}
    assert again.session["path"] == told.session["path"]


@pytest.mark.parametrize("tag", [0x00081030, 0x00080050])
def test_a_header_may_name_the_project(site: DataFolder, tag: int) -> None:
    site.project("trial7")
    told = site.bring({"1.dcm": study(1, also={tag: (b"LO", b"trial7")})}, project=None)

    assert told.session["project"] == "trial7"
    assert "project_from_header" in told.warned()


def test_a_comment_names_the_project_before_the_header(site: DataFolder) -> None:
    site.project("A")
    site.project("B")
    also = {COMMENT: (b"LT", b"Project:A;"), 0x00081030: (b"LO", b"B")}
    assert site.bring({"1.dcm": study(1, also=also)}, project=None).session["project"] == "A"


def test_a_requested_project_that_does_not_exist_is_an_error(site: DataFolder) -> None:
    with pytest.raises(Usage, match="no project NOWHERE"):
        site.bring({"1.dcm": study(1)}, project="NOWHERE", create_project=False)
    assert site.files() == {}


@pytest.mark.parametrize("name", ["Unassigned", "unassigned"])
def test_unassigned_is_reserved(site: DataFolder, tmp_path: Path, name: str) -> None:
    mapping = tmp_path / "map.csv"
    mapping.write_text(f"patient_id,project\nPAT1,{name}\n")
    with pytest.raises(Usage, match="can't be a project id"):
        site.bring({"1.dcm": study(1)}, project=name)
    with pytest.raises(Usage, match="is no project id"):
        site.bring({"1.dcm": study(1)}, mapping_path=str(mapping))


@pytest.mark.parametrize("asked", [{"session": "***"}, {"subject": "^^"}])
def test_a_requested_label_of_which_nothing_is_left_is_an_error(site: DataFolder, asked: dict[str, str]) -> None:
    with pytest.raises(Usage, match="leaves no letter or digit"):
        site.bring({"1.dcm": study(1)}, **asked)
    assert site.files() == {}
    with site.catalog() as catalog, catalog.read() as connection:
        assert connection.execute(select(upload.c.state)).all() == [], "it was told before it began"


def test_projects_are_found_without_case(any_site: DataFolder) -> None:
    any_site.project("Trial")
    told = any_site.bring({"1.dcm": study(1)}, project="TRIAL", create_project=False)

    assert told.session["project"] == "Trial"


# -- identified --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "state", "code"), [("accept", "placed", ""), ("warn", "placed", ""), ("hold", "held", "identified")]
)
def test_what_is_not_de_identified(site: DataFolder, setting: str, state: str, code: str) -> None:
    site.project(identified=setting)
    removed = {REMOVED: (b"CS", b"YES")}
    told = site.bring({"1.dcm": study(1, 1, also=removed), "2.dcm": study(1, 2)})

    assert (told.state, told.session["code"]) == (state, code)
    assert ("identified_warning" in told.warned()) == (setting == "warn")
    assert site.bring({"3.dcm": study(2, 1, also=removed)}).state == "placed"


# -- which scan, which file --------------------------------------------------------------------------------------------


def test_scans_get_their_series_number_and_what_accompanies_it_a_suffix(site: DataFolder) -> None:
    told = site.bring(
        {
            "1.dcm": study(1, 1, series=1, series_number=b"4"),
            "2.dcm": study(
                1,
                2,
                series=2,
                series_number=b"4",
                modality=b"SR",
                also={0x00080016: (b"UI", b"1.2.840.10008.5.1.4.1.1.88.11")},
            ),
            "3.dcm": study(1, 3, series=3, series_number=b"7", also={0x00080031: (b"TM", b"110000")}),
            "4.dcm": study(1, 4, series=4, series_number=b"7", also={0x00080031: (b"TM", b"100000")}),
        }
    )
    ids = {scan["series_uid"]: scan["id"] for scan in told.session["scans"]}

    assert [ids[image(series=n).series_uid.decode()] for n in (1, 2, 3, 4)] == ["4", "4-SR1", "7-MR2", "7-MR1"]


def test_secondary_objects_stand_apart_by_the_projects_setting(any_site: DataFolder) -> None:
    any_site.project("together", separate_secondary=False)
    capture = study(1, 2, also={0x00080016: (b"UI", b"1.2.840.10008.5.1.4.1.1.7")})
    apart = any_site.bring({"1.dcm": study(1), "2.dcm": capture})
    together = any_site.bring({"1.dcm": study(1), "2.dcm": capture}, project="together")

    assert [one["name"] for one in apart.session["scans"][0]["resources"]] == ["DICOM", "secondary"]
    assert [(one["name"], one["files"]) for one in together.session["scans"][0]["resources"]] == [("DICOM", 2)]


def test_files_are_called_by_their_uid_or_a_hash(site: DataFolder) -> None:
    odd = b"../../etc/passwd"
    told = site.bring({"x/whatever": study(1), "y": study(1, 2, also={0x00080018: (b"UI", odd)})})
    names = {line["path"]: line["stored_as"].rpartition("/")[2] for line in told.lines}

    assert names["x/whatever"] == f"{image().sop_uid.decode()}.dcm"
    assert "/" not in names["y"]
    assert "passwd" not in names["y"]
    assert told.line("y")["code"] == "stored_odd_name"


def test_the_sessions_date_is_that_of_its_earliest_image(site: DataFolder) -> None:
    told = site.bring({"1.dcm": study(1, 1, study_date=b"20200202"), "2.dcm": study(1, 2, study_date=b"20200201")})

    assert told.state == "placed"
    assert "dates_disagree" in told.warned()


# -- PET/MR ------------------------------------------------------------------------------------------------------------


def petmr() -> dict[str, bytes]:
    return {
        "1.dcm": study(1, 1, series=1, modality=b"PT", patient_id=b"X_PETMR_1"),
        "2.dcm": study(1, 2, series=2, modality=b"MR", patient_id=b"X_PETMR_1", series_number=b"2"),
    }


def test_pet_and_mr_in_one_study_are_one_session(site: DataFolder) -> None:
    told = site.bring(petmr())

    assert told.session["session_type"] == "xnat:petmrSessionData"
    assert told.session["label"] == "X_PETMR_1"


def test_a_project_may_keep_petmr_as_pet(site: DataFolder) -> None:
    site.project(petmr="pet")
    told = site.bring(petmr())

    assert told.session["session_type"] == "xnat:petSessionData"
    assert told.session["label"] == "X_PET_1"
    assert "label_petmr" in told.warned()
    again = site.bring(petmr())
    assert again.counts == {"duplicate": 2}
    assert again.session["path"] == told.session["path"]


# -- ECAT --------------------------------------------------------------------------------------------------------------


def test_ecat_and_dicom_under_one_session_folder_are_one_session(site: DataFolder) -> None:
    told = site.bring(
        {**uploader_layout("MIX", "1", [study(1)]), "MIX/scans/2/resources/ECAT/files/p.v": ecat(patient_id=b"PAT1")}
    )

    assert told.state == "placed"
    assert told.session["label"] == "MIX"
    assert [(scan["id"], [one["name"] for one in scan["resources"]]) for scan in told.session["scans"]] == [
        ("1", ["DICOM"]),
        ("2", ["ECAT"]),
    ]


def test_two_patients_under_one_session_folder_are_held(site: DataFolder) -> None:
    told = site.bring(
        {**uploader_layout("MIX", "1", [study(1)]), "MIX/scans/2/resources/ECAT/files/p.v": ecat(patient_id=b"OTHER")}
    )

    assert (told.state, told.session["code"]) == ("held", "patient_mismatch")
    assert told.session["files"] == 2


def test_ecat_without_a_folder_is_called_by_patient_and_date_in_the_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCANDOCK_TIMEZONE", "Asia/Tokyo")
    site = make_data_folder(tmp_path, monkeypatch)
    late = 1_580_482_800 - 3600  # 2020-01-31 14:00 UTC; one more hour is midnight in Tokyo
    told = site.bring({"a.v": ecat(scan_start_time=late), "b.v": ecat(scan_start_time=late + 2 * 3600)})

    assert labels(told) == ["PET1_20200131", "PET1_20200201"]
    assert {session["study_uid"] for session in told.sessions} == {None}
    assert {session["subject"] for session in told.sessions} == {"DOE_JANE"}


def test_anonymous_ecat_files_are_sessions_of_their_own(site: DataFolder) -> None:
    files = {f"{n}.v": ecat(patient_id=b"", patient_name=b"", scan_start_time=1_580_465_700 + n) for n in range(3)}
    told = site.bring(files)

    assert len(set(labels(told))) == 3
    assert all(re.fullmatch("ecat_[0-9a-f]{8}", label) for label in labels(told))
    again = site.bring(dict(reversed(files.items())))
    assert again.counts == {"duplicate": 3}
    assert labels(again) == labels(told)


def test_ecat_scans_are_numbered_by_their_start(site: DataFolder) -> None:
    files = {"late.v": ecat(scan_start_time=1_580_465_900), "early.v": ecat(scan_start_time=1_580_465_800)}
    told = site.bring(files)
    scan_of = {line["path"]: line["stored_as"].split("/scans/")[1].split("/")[0] for line in told.lines}

    assert scan_of == {"early.v": "1", "late.v": "2"}


def test_ecat_does_not_join_a_dicom_session_of_its_label_from_another_folder(site: DataFolder) -> None:
    site.bring({"1.dcm": study(1, patient_id=b"PET1_20200131")})
    told = site.bring({"a.v": ecat()})

    assert told.session["path"] != "archive/P/PET1_20200131"
    assert "label_suffixed" in told.warned()


def test_ecat_joins_a_dicom_session_from_one_folder_and_patient(site: DataFolder) -> None:
    first = site.bring(uploader_layout("MIX", "1", [study(1)]))
    told = site.bring({"MIX/scans/2/resources/ECAT/files/p.v": ecat(patient_id=b"PAT1")})

    assert told.state == "placed"
    assert told.session["path"] == first.session["path"]
    assert [scan["id"] for scan in told.session["scans"]] == ["1", "2"]


def test_dicom_joins_an_ecat_session_from_one_folder_and_patient(any_site: DataFolder) -> None:
    first = any_site.bring({"MIX/scans/2/resources/ECAT/files/p.v": ecat(patient_id=b"PAT1")})
    told = any_site.bring(uploader_layout("MIX", "1", [study(1)]))

    assert first.session["study_uid"] is None
    assert told.state == "placed"
    assert told.session["path"] == first.session["path"]
    assert told.session["study_uid"] == image(study=1).study_uid.decode()
    again = any_site.bring({"x.dcm": study(1)})
    assert again.session["path"] == first.session["path"], "it is known by its study from now on"
    assert again.counts == {"duplicate": 1}


def test_ecat_of_another_patient_does_not_join_though_the_folder_is_the_same(site: DataFolder) -> None:
    first = site.bring(uploader_layout("MIX", "1", [study(1)]))
    told = site.bring({"MIX/scans/2/resources/ECAT/files/p.v": ecat(patient_id=b"OTHER")})

    assert told.session["path"] != first.session["path"]
    assert (told.state, told.session["state"]) == ("placed", "archive")
    assert {"label_suffixed", "subjects_told_apart"} <= told.warned()
    assert len(site.files(first.session["path"])) == 1


def test_folders_of_one_name_in_two_inner_archives_are_two_ecat_sessions(site: DataFolder) -> None:
    path = "PET/scans/1/resources/ECAT/files/p.v"
    told = site.bring(
        {"a.zip": zip_entries({path: ecat(patient_id=b"A")}), "b.zip": zip_entries({path: ecat(patient_id=b"B")})}
    )

    assert told.state == "placed"
    assert len({session["path"] for session in told.sessions}) == 2


def test_the_same_ecat_file_in_two_folders_is_in_two_sessions(site: DataFolder) -> None:
    told = site.bring({f"{name}/scans/1/resources/ECAT/files/p.v": ecat() for name in ("ONE", "TWO")})

    assert told.counts == {"stored": 2}
    assert labels(told) == ["ONE", "TWO"]


def test_every_kind_of_ecat_file_is_stored_as_ecat(site: DataFolder, subtests: pytest.Subtests) -> None:
    """Sinograms, normalizations and attenuation files too; only images have frames to list."""
    for file_type in (1, 3, 4, 7, 11, 13):
        with subtests.test(file_type=file_type):
            told = site.bring({"a.v": ecat(file_type=file_type)}, project=f"P{file_type}")
            assert told.counts == {"stored": 1}
            (scan,) = told.session["scans"]
            assert scan["type"]
            assert [one["name"] for one in scan["resources"]] == ["ECAT"]


def test_a_mapping_places_ecat_too(site: DataFolder, tmp_path: Path) -> None:
    mapping = tmp_path / "map.csv"
    mapping.write_text("patient_id,subject,session\nPET1,S9,V9\n")
    told = site.bring({"a.v": ecat()}, mapping_path=str(mapping))

    assert (told.session["subject"], told.session["label"]) == ("S9", "V9")


# -- and every import, whatever it was ---------------------------------------------------------------------------------


def test_a_single_object_is_an_archive_too(site: DataFolder, tmp_path: Path) -> None:
    single = tmp_path / "single.bin"
    single.write_bytes(study(1))
    told = site.bring(single)

    assert told.counts == {"stored": 1}
    assert told.line("single.bin")["sha256"] == sha256(study(1))


def test_a_folder_is_an_archive_whose_links_are_named(site: DataFolder, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "1.dcm").write_bytes(study(1))
    (folder / "deep" / "more.zip").write_bytes(zip_entries(uploader_layout("S", "1", [study(1, 2)])))
    (folder / "z.dcm").write_bytes(study(1, 3))
    (folder / "link").symlink_to(folder / "z.dcm")
    (folder / "linked").symlink_to(folder / "deep")
    told = site.bring(folder)

    assert told.codes() == {
        "deep/1.dcm": "stored stored",
        "deep/more.zip!S/scans/1/resources/DICOM/files/1.dcm": "stored stored",
        "link": "ignored ignored_link",
        "linked": "ignored ignored_link",
        "z.dcm": "stored stored",
    }


def test_names_that_are_no_utf_8_are_read_as_latin_1(site: DataFolder, tmp_path: Path) -> None:
    """From a folder, a file name is bytes: what they are can only be guessed, but the file must not be lost."""
    folder = tmp_path / "r\udce9pertoire"
    folder.mkdir()
    (folder / "\udcff.dcm").write_bytes(study(1))
    (folder / "n\udcf6te.txt").write_bytes(b"a note")
    (folder / "l\udcfcnk").symlink_to("elsewhere")
    single = tmp_path / "\udcfe"
    single.write_bytes(study(2))

    assert site.bring(folder).codes() == {
        "l\u00fcnk": "ignored ignored_link",
        "n\u00f6te.txt": "resource resource",
        "\u00ff.dcm": "stored stored",
    }
    assert site.bring(single).codes() == {"\u00fe": "stored stored"}


def test_uids_of_the_builder_are_what_they_should_be() -> None:
    """The tests above tell studies apart by them."""
    assert len({image(study=n).study_uid for n in range(10)}) == 10
    assert image(2).study_uid == image(1).study_uid
    assert uid("rules", "study", 1) == image().study_uid
    assert images(2, case="rules")[0] == image().file()
