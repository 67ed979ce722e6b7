"""Files that are no images: which are kept, where they stand, and which are ignored, by imports of small archives."""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from scandock.model.entry import Entry, ordinal
from scandock.pipeline.entry_writer import INNER
from scandock.pipeline.ledger import Ledger
from scandock.pipeline.verdicts import fold_inner_archives
from tests.builders import (
    DataFolder,
    Image,
    ImportOutcome,
    ecat,
    make_data_folder,
    sha256,
    uploader_layout,
    zip_entries,
)


@pytest.fixture
def any_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str) -> DataFolder:
    """As `site`, once on each database: for what the catalog keeps."""
    return make_data_folder(tmp_path, monkeypatch, database_url)


def study(n: int = 1, number: int = 1, **values: Any) -> bytes:
    return Image(case="resources", study=n, number=number, patient_id=b"PAT%d" % n, **values).file()


def stands(told: ImportOutcome, path: str) -> str | None:
    """Where an entry stands, below its session's folder."""
    stored: str | None = told.line(path)["stored_as"]
    if stored is None:
        return None
    (folder,) = {one["path"] for one in told.sessions if stored.startswith(f"{one['path']}/")}
    return stored.removeprefix(f"{folder}/")


# -- resource folders --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["DICOM", "dicom", "Dicom", "secondary", "SECONDARY", "ECAT", "ecat"])
def test_image_folders_hold_images_in_any_case(site: DataFolder, name: str) -> None:
    """Whatever the folder is called, the content says what an image is, and where it goes."""
    told = site.bring(
        {**uploader_layout("S", "7", [study()], resource=name), f"S/scans/7/resources/{name}/files/p.v": ecat()}
    )

    assert told.counts == {"stored": 2}
    assert sorted(one["name"] for scan in told.session["scans"] for one in scan["resources"]) == ["DICOM", "ECAT"]


def test_other_resource_folders_hold_resources_also_where_dicom_lies_in_them(any_site: DataFolder) -> None:
    told = any_site.bring(
        {
            **uploader_layout("S", "7", [study()]),
            "S/scans/7/resources/NIFTI/files/t1.nii": b"nifti",
            "S/scans/7/resources/ORIG/files/deep/2.dcm": study(1, 2),
            "S/resources/NOTES/files/a.txt": b"a note",
            "S/resources/NOTES/files/Thumbs.db": b"junk",
            "S/resources/PET/files/p.v": ecat(),
        }
    )

    assert told.state == "placed"
    assert told.codes() == {
        "S/scans/7/resources/DICOM/files/1.dcm": "stored stored",
        "S/scans/7/resources/NIFTI/files/t1.nii": "resource resource",
        "S/scans/7/resources/ORIG/files/deep/2.dcm": "resource resource",
        "S/resources/NOTES/files/a.txt": "resource resource",
        "S/resources/NOTES/files/Thumbs.db": "junk junk_name",
        "S/resources/PET/files/p.v": "resource resource",
    }
    assert stands(told, "S/scans/7/resources/NIFTI/files/t1.nii") == "scans/1/resources/NIFTI/files/t1.nii"
    assert stands(told, "S/scans/7/resources/ORIG/files/deep/2.dcm") == "scans/1/resources/ORIG/files/deep/2.dcm"
    assert stands(told, "S/resources/NOTES/files/a.txt") == "resources/NOTES/files/a.txt"
    (scan,) = told.session["scans"]
    assert [(one["name"], one["files"]) for one in scan["resources"]] == [("DICOM", 1), ("NIFTI", 1), ("ORIG", 1)]
    assert [(one["name"], one["files"]) for one in told.session["resources"]] == [("NOTES", 1), ("PET", 1)]
    assert scan["frames"] == 1


def test_a_resource_of_a_scan_folder_with_two_series_stands_at_the_session(site: DataFolder) -> None:
    told = site.bring(
        {
            **uploader_layout("S", "7", [study(), study(1, 2, series=2, series_number=b"2")]),
            "S/scans/7/resources/NIFTI/files/t1.nii": b"nifti",
        }
    )

    assert stands(told, "S/scans/7/resources/NIFTI/files/t1.nii") == "resources/NIFTI/files/t1.nii"


def test_a_resource_whose_session_folder_holds_no_image_is_ignored(site: DataFolder) -> None:
    told = site.bring({**uploader_layout("S", "7", [study()]), "T/resources/NOTES/files/a.txt": b"a note"})

    assert told.line("T/resources/NOTES/files/a.txt")["verdict"] == "ignored"
    assert "session folder" in told.line("T/resources/NOTES/files/a.txt")["message"]


# -- loose files -------------------------------------------------------------------------------------------------------


def test_loose_files_keep_their_relative_path_at_the_session(any_site: DataFolder) -> None:
    told = any_site.bring(
        {
            "visit/dicom/1.dcm": study(),
            "visit/dicom/1.bval": b"0 1000",
            "visit/physio/day 1/pulse.log": b"12 13",
            "report.pdf": b"%PDF-1.4",
            "visit/raw/empty.dat": b"",
        }
    )

    assert told.state == "placed"
    assert told.counts == {"stored": 1, "resource": 4}
    assert stands(told, "visit/dicom/1.bval") == "resources/MISC/files/visit/dicom/1.bval"
    assert stands(told, "visit/physio/day 1/pulse.log") == "resources/MISC/files/visit/physio/day 1/pulse.log"
    assert stands(told, "report.pdf") == "resources/MISC/files/report.pdf"
    assert [(one["name"], one["files"]) for one in told.session["resources"]] == [("MISC", 4)]
    assert told.session["files"] == 5


def test_a_loose_file_belongs_where_its_folder_tree_holds_exactly_one_study(site: DataFolder) -> None:
    told = site.bring(
        {
            "one/a/1.dcm": study(1),
            "two/b/2.dcm": study(2),
            "one/notes.txt": b"of one",
            "two/b/deep/er/notes.txt": b"of two",
            "both.txt": b"of both",
            "three/none.txt": b"no image here",
        }
    )

    assert told.codes() == {
        "one/a/1.dcm": "stored stored",
        "two/b/2.dcm": "stored stored",
        "one/notes.txt": "resource resource",
        "two/b/deep/er/notes.txt": "resource resource",
        "both.txt": "ignored ignored_no_one_study",
        "three/none.txt": "ignored ignored_no_one_study",
    }
    by_study = {one["path"]: one["study_uid"] for one in told.sessions}
    for path, n in (("one/notes.txt", 1), ("two/b/deep/er/notes.txt", 2)):
        stored = told.line(path)["stored_as"]
        (uid,) = [study_uid for folder, study_uid in by_study.items() if stored.startswith(f"{folder}/")]
        assert uid == Image(case="resources", study=n).study_uid.decode()
    assert told.line("both.txt")["message"] != told.line("one/notes.txt")["message"]


def test_a_loose_file_never_looks_beyond_its_own_archive(site: DataFolder) -> None:
    """What stands in one patient's zip is not given to the patient of the next."""
    told = site.bring(
        {
            "one.zip": zip_entries({"a/1.dcm": study(1), "notes.txt": b"of one"}),
            "two.zip": zip_entries({"notes.txt": b"of nobody"}),
            "readme.txt": b"of the bundle",
        }
    )

    assert told.codes() == {
        "one.zip!a/1.dcm": "stored stored",
        "one.zip!notes.txt": "resource resource",
        "two.zip!notes.txt": "ignored ignored_no_one_study",
        "readme.txt": "resource resource",
    }


def test_an_archive_kept_as_a_resource_is_opened_unless_it_stands_in_a_resource_folder(site: DataFolder) -> None:
    inner = zip_entries({"1.txt": b"one"})
    told = site.bring({**uploader_layout("S", "7", [study()]), "S/resources/PACKED/files/x.zip": inner})

    line = told.line("S/resources/PACKED/files/x.zip")
    assert (line["verdict"], line["sha256"]) == ("resource", sha256(inner))


def test_with_resources_ignored_all_are(any_site: DataFolder) -> None:
    told = any_site.bring(
        {
            **uploader_layout("S", "7", [study()]),
            "S/scans/7/resources/NIFTI/files/t1.nii": b"nifti",
            "S/resources/ORIG/files/2.dcm": study(1, 2),
            "S/notes.txt": b"a note",
            "S/broken.dcm": b"no image",
        },
        resources="ignore",
    )

    assert told.state == "placed"
    assert told.counts == {"stored": 1, "ignored": 3, "unparseable": 1}
    assert {line["code"] for line in told.lines if line["verdict"] == "ignored"} == {"ignored_resources_off"}
    assert list(any_site.files().values()) == [sha256(study())]
    assert [line["sha256"] for line in told.lines if line["path"] == "S/notes.txt"] == [sha256(b"a note")]


def test_loose_files_never_make_a_session(site: DataFolder) -> None:
    told = site.bring({"a.txt": b"one", "resources/X/files/1.dcm": study()})

    assert (told.state, told.report["code"]) == ("refused", "no_images")
    assert site.files() == {}


def test_resources_of_a_held_session_stand_with_it(site: DataFolder) -> None:
    clash = study(1, 1, also={0x00204000: (b"LT", b"another content")})
    told = site.bring({"1.dcm": study(), "2.dcm": clash, "notes.txt": b"a note"})

    assert told.session["state"] == "conflict"
    assert told.line("notes.txt")["stored_as"].startswith(told.session["path"] + "/resources/MISC/files/")


# -- names -------------------------------------------------------------------------------------------------------------


def test_names_are_cleaned_and_made_unique_and_the_original_is_in_the_receipt(site: DataFolder) -> None:
    hostile = [
        ("../../outside.txt", b"one"),
        ("/etc/passwd", b"two"),
        ("a/CON", b"three"),
        ("a/.profile", b"four"),
        ("a/note.txt", b"five"),
        ("A/NOTE.TXT", b"six"),
        ("a/note.txt", b"seven"),
        ("a/b<c>.txt", b"eight"),
        ("a\\win.txt", b"nine"),
    ]
    told = site.bring([("1.dcm", study()), *hostile])
    kept = [line for line in told.lines if line["verdict"] == "resource"]

    assert [line["path"] for line in kept] == [name for name, _ in hostile]
    top = f"{told.session['path']}/resources/MISC/files/"
    names = [line["stored_as"].removeprefix(top) for line in kept]
    assert len({name.casefold() for name in names}) == len(hostile)
    assert all(line["stored_as"].startswith(top) for line in kept)
    for name in names:
        assert not any(piece in {"", ".", ".."} or piece.startswith(".") for piece in name.split("/")), name
        assert not set(name) & set('<>:"|?*\\'), name
    assert not (site.root / "outside.txt").exists()


def test_a_file_whose_folder_is_another_files_name_is_kept_too(site: DataFolder) -> None:
    """Possible in a zip, impossible on disk: `a` is a file and a folder."""
    told = site.bring([("1.dcm", study()), ("a", b"a file"), ("a/b", b"a file below it")])

    assert told.counts == {"stored": 1, "resource": 2}
    assert sorted(site.files().values()) == sorted([sha256(study()), sha256(b"a file"), sha256(b"a file below it")])


def test_the_other_order_is_kept_too(site: DataFolder) -> None:
    told = site.bring([("1.dcm", study()), ("a/b", b"a file below it"), ("a", b"a file")])

    assert told.counts == {"stored": 1, "resource": 2}


def test_the_same_file_twice_under_one_name_is_kept_once(site: DataFolder) -> None:
    told = site.bring([("1.dcm", study()), ("notes.txt", b"a note"), ("notes.txt", b"a note")])

    assert told.counts == {"stored": 1, "resource": 1, "duplicate": 1}
    assert [line["code"] for line in told.lines if line["verdict"] == "duplicate"] == ["same_bytes"]


def test_equal_files_under_two_names_are_both_kept(site: DataFolder) -> None:
    """A person expects every file of a folder where it was."""
    archive = {"1.dcm": study(), "a/notes.txt": b"a note", "b/notes.txt": b"a note"}
    told = site.bring(archive)

    assert told.counts == {"stored": 1, "resource": 2}
    assert site.bring(archive).counts == {"duplicate": 3}


def test_a_resource_of_an_archived_session_is_added_without_an_image(any_site: DataFolder) -> None:
    """The images that came with it are there already; the file is new."""
    any_site.bring({"1.dcm": study()})
    told = any_site.bring({"1.dcm": study(), "notes.txt": b"a note"})

    assert told.counts == {"duplicate": 1, "resource": 1}
    assert told.session["resources"] == [{"name": "MISC", "files": 1, "bytes": 6}]
    again = any_site.bring({"1.dcm": study(), "notes.txt": b"a note"})
    assert again.counts == {"duplicate": 2}


def test_a_resource_of_a_scan_that_is_archived_joins_it(any_site: DataFolder) -> None:
    any_site.bring(uploader_layout("S", "7", [study(series_number=b"7")]))
    told = any_site.bring(
        {**uploader_layout("S", "7", [study(series_number=b"7")]), "S/scans/7/resources/NIFTI/files/t1.nii": b"nifti"}
    )

    assert stands(told, "S/scans/7/resources/NIFTI/files/t1.nii") == "scans/7/resources/NIFTI/files/t1.nii"
    (scan,) = told.session["scans"]
    assert [(one["name"], one["files"]) for one in scan["resources"]] == [("DICOM", 1), ("NIFTI", 1)]


# -- inner archives without any image ----------------------------------------------------------------------------------


def tarred(entries: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as packed:
        for name, data in entries.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            packed.addfile(member, io.BytesIO(data))
    return raw.getvalue()


LOGS = {"logs/a.log": b"a", "logs/b.log": b"b", "__MACOSX/._b.log": b"junk"}
BIG = {"a.npy": bytes(9_000_000), "b.npy": random.Random(1).randbytes(9_000_000)}
SHARED = {**BIG, **{f"{n}.npy": bytes(7_000_000) for n in range(9)}}


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("logs.zip", lambda: zip_entries(LOGS)),
        ("roi.npz", lambda: zip_entries({"arr_0.npy": b"numbers"})),
        ("logs.tar.gz", lambda: tarred(LOGS)),
        ("nested.zip", lambda: zip_entries({"more.zip": zip_entries(LOGS), "c.txt": b"c"})),
        ("big.npz", lambda: zip_entries(BIG)),
        ("shared.npz", lambda: zip_entries(SHARED)),
    ],
)
def test_an_inner_archive_without_images_is_a_file(site: DataFolder, name: str, pack: Callable[[], bytes]) -> None:
    inner = pack()
    told = site.bring({"S/1.dcm": study(), f"S/{name}": inner})
    assert told.state == "placed"
    assert told.codes() == {"S/1.dcm": "stored stored", f"S/{name}": "resource resource"}
    assert told.line(f"S/{name}")["sha256"] == sha256(inner)
    assert site.bring({"S/1.dcm": study(), f"S/{name}": inner}).counts == {"duplicate": 2}


def test_an_inner_archive_without_images_that_is_nobodys_is_said(site: DataFolder) -> None:
    told = site.bring({"A/1.dcm": study(1), "B/2.dcm": study(2), "logs.zip": zip_entries(LOGS)})
    assert told.codes()["logs.zip"] == "ignored ignored_no_one_study"
    bundle = site.bring({"one.zip": zip_entries({"1.dcm": study(1)}), "two.zip": zip_entries(LOGS)})
    assert bundle.codes()["two.zip!logs/a.log"] == "ignored ignored_no_one_study"
    assert [one["message"][:9] for one in bundle.report["warnings"] if one["code"] == "inner_no_images"] == [
        "'two.zip'"
    ]
    off = site.bring({"A/1.dcm": study(1), "A/logs.zip": zip_entries(LOGS)}, resources="ignore")
    assert off.codes()["A/logs.zip"] == "ignored ignored_resources_off"


def test_an_inner_archive_without_images_in_an_image_folder_is_unparseable(site: DataFolder) -> None:
    told = site.bring(
        {**uploader_layout("S", "7", [study()]), "S/scans/7/resources/DICOM/files/x.npz": zip_entries(LOGS)}
    )
    assert told.codes()["S/scans/7/resources/DICOM/files/x.npz"] == "unparseable not_dicom"


@pytest.mark.parametrize("more", [{"2.dcm": study(1, 2)}, {"2.dcm": b"no image"}, {"p.v": ecat()}])
def test_an_inner_archive_that_holds_or_promises_an_image_is_opened(site: DataFolder, more: dict[str, bytes]) -> None:
    inner = {**LOGS, **more}
    told = site.bring({"S/1.dcm": study(), "S/in.zip": zip_entries(inner)})
    assert {path.partition("!")[2] for path in told.codes()} == {"", *inner}
    assert told.codes()["S/in.zip!__MACOSX/._b.log"] == "junk junk_name"


def test_inner_archives_without_images_are_told_at_every_depth(site: DataFolder) -> None:
    inner = {"2.dcm": study(1, 2), "deep.zip": zip_entries(LOGS)}
    told = site.bring({"S/1.dcm": study(), "S/in.zip": zip_entries(inner)})
    assert told.codes()["S/in.zip!deep.zip"] == "resource resource"


def test_an_inner_archive_that_is_named_like_a_discs_index_is_junk(site: DataFolder) -> None:
    told = site.bring({"S/1.dcm": study(), "S/DICOMDIR": zip_entries(LOGS)})
    assert (told.state, told.report["warnings"]) == ("placed", [])
    assert told.codes() == {"S/1.dcm": "stored stored", "S/DICOMDIR": "junk dicomdir"}


def test_a_damaged_inner_archive_without_images_is_refused(site: DataFolder) -> None:
    inner = bytearray(zip_entries({"a.txt": bytes(1000), "b.txt": b"b"}))
    inner[40] ^= 0xFF
    told = site.bring({"S/1.dcm": study(), "S/in.zip": bytes(inner)})
    assert (told.state, told.report["code"]) == ("partly", "inner_refused")
    assert {line["verdict"] for line in told.lines if "!" in line["path"]} == {"refused"}


def test_a_lost_session_is_told_with_the_reason_of_its_own_archive(site: DataFolder) -> None:
    bundle = {
        "a.zip": zip_entries(LOGS),
        "b.zip": zip_entries({"1.dcm": study(1)}),
        "c.zip": cut(zip_entries({"2.dcm": study(2)})),
    }
    told = site.bring(bundle)
    assert told.state == "partly"
    assert [one["code"] for one in told.report["warnings"]] == ["inner_refused", "inner_no_images"]


def cut(archive: bytes) -> bytes:
    """A zip whose last entry does not have the bytes that its checksum is of."""
    changed = bytearray(archive)
    changed[archive.index(b"PK\1\2") - 20] ^= 0xFF
    return bytes(changed)


def test_an_inner_archive_without_images_goes_on_after_a_reader_died_in_it() -> None:
    """The ledger has the image that the first reader told of; the next one saw none."""
    with closing(Ledger(":memory:")) as ledger:
        for number, content, facts in (
            (ordinal(b"", 0), "dicom", ""),
            (ordinal(b"", 1) + ordinal(b"", 1), "dicom", ""),
            (ordinal(b"", 1) + ordinal(b"", 2), "loose", ""),
            (ordinal(b"", 1), "loose", INNER),
            (ordinal(b"", 2) + ordinal(b"", 2), "loose", ""),
            (ordinal(b"", 2), "loose", INNER),
        ):
            ledger.add([Entry(number, "x", 1, b"", content, "", "", "", facts=facts)])
        ledger.index()
        fold_inner_archives(ledger, [])
        left = [number for (number,) in ledger.rows("SELECT ordinal FROM entry ORDER BY ordinal")]
    assert left == [ordinal(b"", 0), ordinal(ordinal(b"", 1), 1), ordinal(ordinal(b"", 1), 2), ordinal(b"", 2)]
