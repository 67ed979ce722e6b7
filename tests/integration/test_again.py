"""The same session comes twice: each sentence of the rules' "Again", by imports of small archives on both databases."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from scandock.catalog.tables import session, tree
from scandock.services.data_catalog import open_data
from tests.badinput.objects import BIG_ENDIAN, IMPLICIT, dataset, implicit, meta, part10
from tests.builders import DataFolder, Image, ecat, images, make_data_folder, sha256, uploader_layout, zip_entries
from tests.unit.formats_dicom.build import make_object

COMMENT = 0x00204000
LOSSLESS_JPEG = b"1.2.840.10008.1.2.4.70"
"""A syntax whose data sets are written as those of explicit little endian."""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, database_url)


def image(number: int = 1, **values: Any) -> Image:
    return Image(case="again", number=number, **values)


def other(number: int = 1, text: bytes = b"another content", **values: Any) -> bytes:
    """An object with the UIDs of `image(number)` and other content."""
    return image(number, also={COMMENT: (b"LT", text)}, **values).file()


def named(objects: list[bytes], folder: str = "a") -> dict[str, bytes]:
    return {f"{folder}/{n}.dcm": data for n, data in enumerate(objects, start=1)}


# -- 1: the same bytes, or another preamble or file meta ---------------------------------------------------------------


def test_the_same_archive_twice_changes_nothing(site: DataFolder) -> None:
    archive = {**named(images(3)), "a/notes.pdf": b"%PDF-1.4 notes"}
    first = site.bring(archive)
    before = site.files()
    second = site.bring(archive)

    assert first.counts == {"stored": 3, "resource": 1}
    assert second.state == "placed"
    assert second.counts == {"duplicate": 4}
    assert second.session["state"] == "archive"
    assert second.session["path"] == first.session["path"]
    assert [line["stored_as"] for line in second.lines] == [line["stored_as"] for line in first.lines]
    assert second.session["files"] == 4
    assert second.report["bytes"]["stored"] == 0
    assert site.files() == before
    assert site.trashed() == []
    with site.catalog() as catalog, catalog.read() as connection:
        assert connection.execute(select(func.count()).select_from(tree)).scalar_one() == 1


def test_an_ecat_scan_with_resources_twice_changes_nothing(site: DataFolder) -> None:
    archive = {
        "S/scans/1/resources/ECAT/files/a.v": ecat(),
        "S/scans/1/resources/NIFTI/files/a.nii": b"nifti",
    }
    site.bring(archive)
    before = site.files()
    assert site.bring(archive).counts == {"duplicate": 2}
    assert site.files() == before


def test_another_preamble_or_file_meta_is_a_duplicate(site: DataFolder) -> None:
    plain = image()
    other_meta = part10(
        meta(plain.sop_class, plain.sop_uid, b"1.2.840.10008.1.2.1") + b"", dataset(plain.elements()), preamble=b"II*\0"
    )
    group = meta(plain.sop_class, plain.sop_uid, b"1.2.840.10008.1.2.1")
    named_writer = group.replace(b"2.25.77\0", b"2.25.78\0")
    assert named_writer != group
    variants = [plain.file(), other_meta, part10(named_writer, dataset(plain.elements()))]
    assert len({sha256(data) for data in variants}) == 3

    first = site.bring(named([plain.file()]))
    again = [site.bring({"x.dcm": data}) for data in variants]

    assert [told.state for told in again] == ["placed"] * 3
    assert [told.codes() for told in again] == [{"x.dcm": "duplicate already_there"}] * 3
    assert {told.line("x.dcm")["stored_as"] for told in again} == {first.lines[0]["stored_as"]}
    assert list(site.files().values()) == [sha256(plain.file())]


def test_within_one_upload_the_first_is_kept(site: DataFolder) -> None:
    plain = image()
    told = site.bring(
        {
            "a/1.dcm": plain.file(preamble=b"II*\0"),
            "a/2.dcm": plain.file(),
            "b/3.dcm": plain.file(preamble=b"II*\0"),
            "b/4.dcm": plain.file(),
        }
    )

    assert told.state == "placed"
    assert told.codes() == {
        "a/1.dcm": "stored stored",
        "a/2.dcm": "duplicate same_dataset",
        "b/3.dcm": "duplicate same_bytes",
        "b/4.dcm": "duplicate same_dataset",
    }
    assert {line["stored_as"] for line in told.lines} == {told.line("a/1.dcm")["stored_as"]}
    assert list(site.files().values()) == [sha256(plain.file(preamble=b"II*\0"))]


def test_another_transfer_syntax_is_other_content(site: DataFolder) -> None:
    """Equal values in another encoding: the bytes differ beyond group 0002, so a person decides."""
    plain = image()
    encoded = part10(plain.head(IMPLICIT), implicit(plain.elements()))
    site.bring(named([plain.file()]))
    told = site.bring({"x.dcm": encoded})

    assert (told.state, told.session["code"]) == ("held", "sop_clash")


def test_equal_bytes_in_two_transfer_syntaxes_are_no_duplicates(site: DataFolder) -> None:
    """The data set's bytes are equal, what they mean is not."""
    plain = image()
    compressed = part10(plain.head(LOSSLESS_JPEG), dataset(plain.elements()))
    told = site.bring({"1.dcm": plain.file(), "2.dcm": compressed})

    assert told.codes() == {"1.dcm": "conflict sop_clash", "2.dcm": "conflict sop_clash"}


def test_nor_where_the_other_one_is_in_the_archive_already(site: DataFolder) -> None:
    plain = image()
    compressed = part10(plain.head(LOSSLESS_JPEG), dataset(plain.elements()))
    site.bring({"1.dcm": plain.file()})
    told = site.bring({"1.dcm": compressed})

    assert (told.state, told.session["code"]) == ("held", "sop_clash")
    assert told.codes() == {"1.dcm": "conflict sop_clash"}
    assert sorted(site.files().values()) == sorted([sha256(plain.file()), sha256(compressed)])


def test_what_a_meta_of_another_syntax_makes_unreadable_is_no_duplicate(site: DataFolder) -> None:
    plain = image()
    wrong = part10(plain.head(BIG_ENDIAN), dataset(plain.elements()))
    told = site.bring({"1.dcm": plain.file(), "2.dcm": wrong})

    assert told.counts == {"stored": 1, "unparseable": 1}


# -- 2: the same SOP UID with other content ----------------------------------------------------------------------------


def test_variants_within_an_upload_are_all_kept_and_held(site: DataFolder) -> None:
    one, two, three = image(1).file(), other(1), other(1, b"a third")
    told = site.bring({"a/1.dcm": one, "b/1.dcm": two, "c/1.dcm": three, "a/2.dcm": image(2).file()})

    assert (told.state, told.report["code"]) == ("held", "sop_clash")
    session = told.session
    assert (session["state"], session["code"]) == ("conflict", "sop_clash")
    assert session["path"].startswith("prearchive/P/")
    assert session["uri"].startswith("/data/prearchive/projects/P/")
    assert told.codes() == {
        "a/1.dcm": "conflict sop_clash",
        "b/1.dcm": "conflict sop_clash",
        "c/1.dcm": "conflict sop_clash",
        "a/2.dcm": "stored stored",
    }
    stands = [line["stored_as"] for line in told.lines]
    assert len(set(stands)) == 4
    uid = image(1).sop_uid.decode()
    assert all(uid in path for path in stands[:3])
    assert site.files() == {line["stored_as"]: line["sha256"] for line in told.lines}
    assert session["scans"][0]["resources"] == [
        {"name": "DICOM", "files": 4, "bytes": sum(len(data) for data in (one, two, three, image(2).file()))}
    ]


def test_a_clash_with_the_archive_leaves_it_as_it_is(site: DataFolder) -> None:
    first = site.bring(named([image(1).file(), image(2).file()]))
    before = site.files("archive")
    told = site.bring({"x/1.dcm": other(1), "x/2.dcm": image(2).file(), "x/3.dcm": image(3).file()})

    assert (told.state, told.session["code"]) == ("held", "sop_clash")
    assert site.files("archive") == before
    assert told.session["label"] == first.session["label"]
    assert told.codes() == {
        "x/1.dcm": "conflict sop_clash",
        "x/2.dcm": "stored stored",
        "x/3.dcm": "stored stored",
    }
    assert sorted(site.files("prearchive").values()) == sorted(
        [sha256(other(1)), sha256(image(2).file()), sha256(image(3).file())]
    )


def test_the_clashing_archive_twice_joins_what_is_held(site: DataFolder) -> None:
    site.bring(named([image(1).file()]))
    clashing = {"x/1.dcm": other(1), "x/2.dcm": image(2).file()}
    held = site.bring(clashing)
    before = site.files()
    again = site.bring(clashing)

    assert again.state == "held"
    assert again.session["path"] == held.session["path"]
    assert (again.session["state"], again.session["code"]) == ("conflict", "sop_clash")
    assert again.counts == {"duplicate": 2}
    assert site.files() == before


def test_two_studies_of_one_patient_twice_of_which_one_clashes_change_nothing(site: DataFolder) -> None:
    """Both have a suffix. The archived one leaves the label without it, which the other does not take."""
    plain = [Image(case="one", number=n, patient_id=b"Q1", study_date=b"", patient_name=b"") for n in (1, 2)]
    clashing = [Image(case="two", number=n, patient_id=b"Q1", study_date=b"", patient_name=b"") for n in (1, 2)]
    variant = replace(clashing[0], also={COMMENT: (b"LT", b"another content")})
    archive = named([one.file() for one in (*plain, *clashing, variant)])
    first = site.bring(archive)
    before = site.files()
    again = site.bring(archive)

    assert first.counts == {"stored": 3, "conflict": 2}
    assert again.counts == {"duplicate": 5}
    assert [one["path"] for one in again.report["sessions"]] == [one["path"] for one in first.report["sessions"]]
    assert {one["state"] for one in again.report["sessions"]} == {"archive", "conflict"}
    assert site.files() == before


def test_a_third_variant_stands_beside_the_second(site: DataFolder) -> None:
    site.bring(named([image(1).file()]))
    second = site.bring({"x.dcm": other(1)})
    third = site.bring({"x.dcm": other(1, b"a third")})

    assert third.state == "held"
    assert third.session["path"] == second.session["path"]
    assert third.codes() == {"x.dcm": "conflict sop_clash"}
    assert sorted(site.files("prearchive").values()) == sorted([sha256(other(1)), sha256(other(1, b"a third"))])
    assert list(site.files("archive").values()) == [sha256(image(1).file())]


def test_with_delete_a_clash_inside_the_upload_is_still_held(site: DataFolder) -> None:
    site.bring(named([image(1).file(), image(2).file()]))
    before = site.files("archive")
    told = site.bring({"a.dcm": other(1), "b.dcm": other(1, b"a third")}, overwrite="delete")

    assert (told.state, told.session["code"]) == ("held", "sop_clash")
    assert site.files("archive") == before
    assert site.trashed() == []


# -- 3: overwrite ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("overwrite", [None, "append"])
def test_what_is_new_is_added(site: DataFolder, overwrite: str | None) -> None:
    first = site.bring(named(images(2)))
    told = site.bring(
        {**named(images(3)), "b/1.dcm": image(1, series=2, series_number=b"2").file()}, overwrite=overwrite
    )

    assert told.state == "placed"
    assert told.counts == {"duplicate": 2, "stored": 2}
    assert told.session["path"] == first.session["path"]
    assert {scan["id"]: scan["frames"] for scan in told.session["scans"]} == {"1": 3, "2": 1}
    assert len(site.files("archive")) == 4
    assert site.trashed() == []


def test_none_holds_more_for_an_archived_session(site: DataFolder) -> None:
    first = site.bring(named(images(2)))
    before = site.files("archive")
    told = site.bring(named(images(3)), overwrite="none")

    assert (told.state, told.session["code"]) == ("held", "session_exists")
    assert told.session["label"] == first.session["label"]
    assert told.session["state"] == "conflict"
    assert "there already" not in told.session["message"]
    assert told.counts == {"stored": 3}
    assert site.files("archive") == before
    assert len(site.files("prearchive")) == 3


def test_none_says_when_every_object_is_there(site: DataFolder) -> None:
    site.bring(named(images(3)))
    told = site.bring(named(images(2)), overwrite="none")

    assert (told.state, told.session["code"]) == ("held", "session_exists")
    assert "Every object that came is there already" in told.session["message"]
    assert "Every object that came is there already" in told.report["message"]


def test_none_takes_a_session_that_is_new(site: DataFolder) -> None:
    assert site.bring(named(images(2)), overwrite="none").state == "placed"


def test_delete_replaces_what_has_the_same_uid_and_keeps_the_rest(site: DataFolder) -> None:
    old, kept = image(1).file(), image(2).file()
    first = site.bring(named([old, kept]))
    told = site.bring({"x/1.dcm": other(1), "x/3.dcm": image(3).file()}, overwrite="delete")

    assert told.state == "placed"
    assert told.session["state"] == "archive"
    assert told.session["path"] == first.session["path"]
    assert told.counts == {"stored": 2}
    assert sorted(site.files("archive").values()) == sorted([sha256(other(1)), sha256(kept), sha256(image(3).file())])
    assert site.files()[told.line("x/1.dcm")["stored_as"]] == sha256(other(1))
    assert sha256(old) in site.trashed()
    assert told.session["files"] == 3


def test_delete_leaves_equal_objects_alone(site: DataFolder) -> None:
    site.bring(named(images(2)))
    told = site.bring(named(images(2)), overwrite="delete")

    assert told.state == "placed"
    assert told.counts == {"duplicate": 2}
    assert site.trashed() == []


def test_a_project_of_code_5_replaces_where_nothing_is_named(site: DataFolder) -> None:
    site.project(prearchive_code=5)
    site.bring(named([image(1).file()]))
    told = site.bring({"x.dcm": other(1)})

    assert told.state == "placed"
    assert list(site.files().values()) == [sha256(other(1))]
    assert site.trashed() == [sha256(image(1).file())]


def test_code_5_gives_way_to_what_is_named(site: DataFolder) -> None:
    site.project(prearchive_code=5)
    site.bring(named([image(1).file()]))

    assert site.bring({"x.dcm": other(1)}, overwrite="append").session["code"] == "sop_clash"


def test_scan_ids_once_given_never_change(site: DataFolder) -> None:
    """A second image series of the same number gets a number of its own; the first keeps its bare one."""
    first = site.bring({"a.dcm": image(1).file()})
    told = site.bring({"b.dcm": image(1, series=2).file(), "a.dcm": image(1).file()})

    assert [scan["id"] for scan in first.session["scans"]] == ["1"]
    ids = {scan["series_uid"]: scan["id"] for scan in told.session["scans"]}
    assert ids[image(1).series_uid.decode()] == "1"
    assert ids[image(1, series=2).series_uid.decode()].startswith("1-MR")


def test_what_was_warned_of_a_session_stays_with_it_and_disagreements_are_told_as_they_are_now(
    site: DataFolder,
) -> None:
    days = [b"20200131", b"20200201", b"20200202"]
    sent = [image(n, study_date=day, patient_id=b"").file() for n, day in enumerate(days, start=1)]
    first = site.bring(named(sent[:2]))
    assert first.warned() == {"label_from_hash", "dates_disagree"}
    told = site.bring(named(sent))
    assert [one["code"] for one in told.session["warnings"]].count("dates_disagree") == 1
    with open_data(str(site.data), site.settings) as (catalog, _), catalog.read() as connection:
        kept = json.loads(connection.execute(select(session.c.warnings)).scalar_one())
    assert sorted(one["code"] for one in kept) == sorted(first.warned() | told.warned())
    assert "2020-02-02" in next(one["message"] for one in kept if one["code"] == "dates_disagree")


def test_a_session_of_reports_has_the_type_of_the_images_that_come_later(site: DataFolder) -> None:
    report = image(series=2, modality=b"SR", also={0x00080016: (b"UI", b"1.2.840.10008.5.1.4.1.1.88.11")}).file()
    assert site.bring({"sr.dcm": report}).session["session_type"] == "xnat:srSessionData"
    assert site.bring(named(images(1))).session["session_type"] == "xnat:mrSessionData"
    assert (
        site.bring({"ct.dcm": image(series=3, modality=b"CT").file()}).session["session_type"] == "xnat:mrSessionData"
    )


# -- 4: the prearchive -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("overwrite", [None, "append", "none", "delete"])
def test_series_that_come_one_by_one_join_in_the_prearchive(site: DataFolder, overwrite: str | None) -> None:
    """Clients send one series a zip."""
    one = site.bring({"1.dcm": image(1).file()}, destination="prearchive", overwrite=overwrite)
    two = site.bring(
        {"2.dcm": image(1, series=2, series_number=b"2").file()}, destination="prearchive", overwrite=overwrite
    )

    assert [told.state for told in (one, two)] == ["placed", "placed"]
    assert [told.session["state"] for told in (one, two)] == ["prearchive", "prearchive"]
    assert two.session["path"] == one.session["path"]
    assert [scan["id"] for scan in two.session["scans"]] == ["1", "2"]
    assert len(site.files("prearchive")) == 2
    assert site.files("archive") == {}


def test_what_is_bound_for_the_archive_leaves_the_prearchive_alone(site: DataFolder) -> None:
    site.bring(named(images(1)), destination="prearchive")
    before = site.files("prearchive")
    told = site.bring(named(images(2)))

    assert told.state == "placed"
    assert told.session["state"] == "archive"
    assert "session_in_prearchive_left" in told.warned()
    assert site.files("prearchive") == before
    assert len(site.files("archive")) == 2


def test_a_clash_in_the_prearchive_holds_the_session_there(site: DataFolder) -> None:
    first = site.bring(named([image(1).file()]), destination="prearchive")
    told = site.bring({"x.dcm": other(1)}, destination="prearchive")

    assert (told.state, told.session["code"]) == ("held", "sop_clash")
    assert told.session["path"] == first.session["path"]
    assert len(site.files("prearchive")) == 2


def test_a_held_session_stays_held_whatever_joins(site: DataFolder) -> None:
    held = site.bring({"a.dcm": image(1).file(), "b.dcm": other(1)})
    told = site.bring({"c.dcm": image(3).file()}, destination="prearchive")

    assert told.session["path"] == held.session["path"]
    assert told.session["state"] == "conflict"
    assert told.state == "held"
    assert len(site.files("prearchive")) == 3


def test_a_prearchive_destination_stays_one_though_the_session_is_archived(site: DataFolder) -> None:
    site.bring(named(images(1)))
    told = site.bring(named(images(2)), destination="prearchive")

    assert told.state == "placed"
    assert told.session["state"] == "prearchive"
    assert len(site.files("prearchive")) == 2
    assert len(site.files("archive")) == 1


def test_what_is_held_for_two_patients_leaves_the_right_one_free_to_be_archived(site: DataFolder) -> None:
    """A held session has no claim: sent again without the stranger, the study is archived beside it."""
    stranger = image(2, patient_id=b"SOMEBODY ELSE").file()
    held = site.bring({"1.dcm": image(1).file(), "2.dcm": stranger})
    told = site.bring({"1.dcm": image(1).file()})

    assert held.session["code"] == "patient_mismatch"
    assert told.state == "placed"
    assert told.session["state"] == "archive"
    assert "session_in_prearchive_left" in told.warned()
    assert len(site.files(held.session["path"])) == 2


def test_with_delete_a_clash_in_the_prearchive_is_replaced(site: DataFolder) -> None:
    first = site.bring(named([image(1).file()]), destination="prearchive")
    told = site.bring({"x.dcm": other(1)}, destination="prearchive", overwrite="delete")

    assert told.state == "placed"
    assert told.session["path"] == first.session["path"]
    assert list(site.files().values()) == [sha256(other(1))]
    assert site.trashed() == [sha256(image(1).file())]


# -- an archived session is a valid upload -----------------------------------------------------------------------------


def test_an_archived_session_zipped_gives_duplicates_only(site: DataFolder) -> None:
    whole = {
        **uploader_layout("S1", "4", images(2, series_number=b"4")),
        "S1/scans/4/resources/PHYS/files/resp/pulse.log": b"12 13 14",
        "S1/scans/9/resources/ECAT/files/pet.v": ecat(patient_id=b"PAT1"),
        "S1/resources/NOTES/files/readme.txt": b"a note",
        "S1/loose/extra.csv": b"1,2,3",
    }
    first = site.bring(whole)
    assert first.counts == {"stored": 3, "resource": 3}, first.codes()
    folder = site.data / first.session["path"]
    stored = {
        f"S1/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    before = site.files()

    told = site.bring(stored)

    assert told.state == "placed"
    assert told.counts == {"duplicate": 6}, told.codes()
    assert site.files() == before
    assert {name for name in stored if "ECAT" in name} == {"S1/scans/9/resources/ECAT/files/pet.v"}


def test_the_zip_of_an_archived_session_makes_the_same_session_elsewhere(site: DataFolder) -> None:
    """Round trip: what came out goes into another project and is the same, folder for folder."""
    first = site.bring({**uploader_layout("S1", "4", images(2)), "S1/resources/NOTES/files/readme.txt": b"a note"})
    folder = site.data / first.session["path"]
    stored = {
        f"S1/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }

    told = site.bring(zip_entries(stored), project="Q")

    assert told.state == "placed"
    assert site.files(told.session["path"]) == site.files(first.session["path"])


# -- resources ---------------------------------------------------------------------------------------------------------


def test_a_resource_of_the_same_name_with_other_content_is_kept_beside_the_first(site: DataFolder) -> None:
    site.bring({**named(images(1)), "a/log.txt": b"one"})
    told = site.bring({**named(images(1)), "a/log.txt": b"two"})

    assert told.state == "placed"
    assert told.counts == {"duplicate": 1, "resource": 1}
    assert {sha256(b"one"), sha256(b"two")} <= set(site.files().values())


def test_with_delete_a_resource_of_the_same_name_is_replaced(site: DataFolder) -> None:
    site.bring({**named(images(1)), "a/log.txt": b"one"})
    told = site.bring({**named(images(1)), "a/log.txt": b"two"}, overwrite="delete")

    assert told.counts == {"duplicate": 1, "resource": 1}
    assert sha256(b"one") not in site.files().values()
    assert sha256(b"one") in site.trashed()


# -- ECAT --------------------------------------------------------------------------------------------------------------


def test_an_ecat_session_twice_is_one(site: DataFolder) -> None:
    archive = {"PET/scans/1/resources/ECAT/files/a.v": ecat()}
    first = site.bring(archive)
    again = site.bring(archive)
    more = site.bring({"PET/scans/2/resources/ECAT/files/b.v": ecat(scan_start_time=1_580_465_999)})

    assert again.counts == {"duplicate": 1}
    assert again.line("PET/scans/1/resources/ECAT/files/a.v")["stored_as"] == first.lines[0]["stored_as"]
    assert more.state == "placed"
    assert more.session["path"] == first.session["path"]
    assert [scan["id"] for scan in more.session["scans"]] == ["1", "2"]


def test_frames_of_a_joined_scan_are_counted_anew(site: DataFolder) -> None:
    frames = {0x00280008: (b"IS", b"5")}
    site.bring({"1.dcm": image(1, also=frames).file()})
    told = site.bring({"2.dcm": image(2, also={0x00280008: (b"IS", struct.pack("<c", b"2"))}).file()})

    assert told.session["scans"][0]["frames"] == 7


def test_what_is_said_of_an_object_that_came_again_is_that_it_did(site: DataFolder) -> None:
    """Not what is odd of its header, which is what is said of it where it comes alone."""
    broken = struct.pack("<HH", 0x0029, 0x1010) + b"\xff\xfe\xff\xff" + b"\xff" * 40
    one, two = (make_object({COMMENT: ("LT", text)}, extra=broken, pixels=None) for text in ("one", "two"))
    alone = site.bring(named([one]))
    assert "does not end within the object" in alone.lines[0]["message"]
    again = site.bring(named([one, one]))
    assert [line["code"] for line in again.lines] == ["already_there", "same_bytes"]
    assert not any("does not end within" in line["message"] for line in again.lines)
    for archive in (named([two]), named([one, two])):
        clashing = site.bring(archive)
        assert {line["message"] for line in clashing.lines if line["code"] == "sop_clash"} == {
            "Another version of this image (same SOP Instance UID, other content) was received or is stored already."
        }
