"""Archives whose names bear marks wherever an archive can have one (`tests.byte_search`); their images bear none."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset

from tests.badinput.ecat import ecat
from tests.badinput.objects import Image
from tests.byte_search import Marks


def marked_image(case: str, **values: object) -> bytes:
    """An object that bears no mark."""
    return Image(case=case, **values).file()  # type: ignore[arg-type]


def zip_of_marked_names(marks: Marks, *, case: str = "marked") -> bytes:
    """A zip of one study: images, a patient's folder, files beside them, junk, inner archives, an index of a disc."""
    name = marks.text
    session = name("session folder")
    scan = f"{session}/scans/{name('scan folder')}/resources/DICOM/files"
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = name("comment of the archive").encode()

        def add(path: str, data: bytes, *, mode: int = 0o100644) -> None:
            info = zipfile.ZipInfo(path)
            info.external_attr = mode << 16
            info.comment = name(f"comment of {len(archive.infolist())}").encode()
            extra = name(f"extra field of {len(archive.infolist())}").encode()
            info.extra = struct.pack("<HH", 0x7075, len(extra) + 5) + b"\1\0\0\0\0" + extra
            archive.writestr(info, data)

        add(f"{scan}/{name('image file')}.dcm", marked_image(case))
        add(f"{scan}/1.2.{name('suffix of an image')}", marked_image(case, number=2))
        add(f"{scan}/{name('repeat')}.dcm", marked_image(case))
        add(f"{scan}/{name('no image')}.dcm", b"This is no image.")
        add(f"{session}/resources/{name('resource folder')}/files/{name('resource file')}.pdf", b"%PDF-1.4 plain")
        add(f"{session}/resources/NOTES/files/{name('folder in a resource')}/{name('note')}.txt", b"a note")
        add(f"{session}/{name('loose file')}.csv", b"a,b\n1,2\n")
        add(f"{session}/{name('loose file without suffix')}", b"something")
        add(f"__MACOSX/._{name('junk')}", b"junk")
        add(f"{session}/{name('link')}", b"../elsewhere", mode=0o120777)
        add(f"{session}/{name('foreign')}.7z", b"7z\xbc\xaf\x27\x1c" + bytes(40))
        add(f"{session}/{name('inner zip')}.zip", _zip({f"{name('inner folder')}/{name('inner image')}.dcm": case}))
        add(f"{session}/{name('inner tar')}.tar.gz", _tar_of_marked_names(marks, case))
        add(f"{session}/{name('broken inner zip')}.zip", _zip({f"{name('lost image')}.dcm": case})[:-20])
        add(f"{session}/{name('empty inner zip')}.zip", b"PK\5\6" + bytes(18))
        add(f"{session}/{name('packed image')}.dcm.gz", gzip.compress(marked_image(case, number=7), mtime=0))
        add("DICOMDIR", _disc_index(marks))
    return raw.getvalue()


def marked_ecat(marks: Marks) -> dict[str, bytes]:
    """ECAT files in folders of the documented layout, with the name that the scanner gave them."""
    session = marks.text("ECAT session folder")
    path = f"{session}/scans/{marks.text('ECAT scan folder')}/resources/ECAT/files/{marks.text('ECAT file')}.v"
    return {path: ecat(original_file_name=marks.text("original file name").encode()[:31])}


def damaged_zips(marks: Marks) -> dict[str, bytes]:
    """Archives that are refused, by why; the names of their entries bear marks."""
    whole = _zip({f"{marks.text(f'refused {n}')}/{marks.text(f'refused file {n}')}.dcm": "x" for n in range(3)})
    encrypted = bytearray(whole)
    for signature, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        start = encrypted.find(signature)
        while start >= 0:
            encrypted[start + at] |= 1
            start = encrypted.find(signature, start + 4)
    garbled = bytearray(whole)
    data_at = garbled.find(b".dcm") + 60
    garbled[data_at : data_at + 8] = b"\xff" * 8
    return {
        "cut": whole[:-60],
        "encrypted": bytes(encrypted),
        "garbled": bytes(garbled),
        "without images": _plain_zip({f"{marks.text('no images')}/{marks.text('only text')}.txt": b"text"}),
        "without an end": whole[: len(whole) // 2],
    }


def tar_of_marked_names(marks: Marks, case: str = "tar") -> bytes:
    """A packed tar with owners, groups and pax headers that bear marks."""
    return _tar_of_marked_names(marks, case)


def _tar_of_marked_names(marks: Marks, case: str) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for number in (11, 12):
            data = marked_image(case, number=number)
            info = tarfile.TarInfo(f"{marks.text('tar folder')}/{marks.text('tar file')}.dcm")
            info.size = len(data)
            info.uname, info.gname = marks.text("tar owner"), marks.text("tar group")
            info.pax_headers = {"comment": marks.text("pax comment"), "SCHILY.xattr.user.who": marks.text("pax xattr")}
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo(marks.text("tar link"))
        link.type, link.linkname = tarfile.SYMTYPE, marks.text("tar link target")
        archive.addfile(link)
    return raw.getvalue()


def _zip(cases: dict[str, str]) -> bytes:
    return _plain_zip({path: marked_image(case, number=20 + n) for n, (path, case) in enumerate(cases.items())})


def _plain_zip(entries: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in entries.items():
            archive.writestr(path, data)
    return raw.getvalue()


def _disc_index(marks: Marks) -> bytes:
    """A DICOMDIR that lists files which are not there."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = pydicom.uid.UID("1.2.840.10008.1.3.10")
    meta.MediaStorageSOPInstanceUID = pydicom.uid.UID("1.2.3.4")
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    index = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    index.FileSetID = "DISC"
    records = []
    for _ in range(4):
        record = Dataset()
        record.DirectoryRecordType = "IMAGE"
        names = marks.text("folder in a DICOMDIR"), marks.text("file in a DICOMDIR")
        record.ReferencedFileID = [name.upper() for name in names]
        record.ReferencedSOPClassUIDInFile = "1.2.840.10008.5.1.4.1.1.4"
        records.append(record)
    index.DirectoryRecordSequence = pydicom.Sequence(records)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, index, implicit_vr=False, little_endian=True)
    return buffer.getvalue()


def write_marked(folder: Path, marks: Marks, what: str, data: bytes, suffix: str = ".zip") -> Path:
    """An archive on the disk whose folder and name bear marks."""
    parent = folder / marks.text(f"folder of {what}")
    parent.mkdir(parents=True)
    path = parent / f"{marks.text(f'archive of {what}')}{suffix}"
    path.write_bytes(data)
    return path
