"""Rows of the table: truncated, unusual, wrong type - the archive as a whole."""

from __future__ import annotations

from functools import partial

from tests.badinput import tars, zips
from tests.badinput.case import Expect, Made, add, good, good_pairs, made, placed, refused, row
from tests.badinput.objects import Image, series
from tests.badinput.packing import gzipped

CUT = refused("truncated")
ZIP_SIZE = 1679


def sized_zip() -> bytes:
    """A zip of three good objects of 1679 bytes: its directory ends at 1657, where the end record of 22 begins."""
    pairs = good_pairs("cut zip")
    bare = len(zips.plain(*pairs))
    *first, last = zips.files(*pairs)
    padding = ZIP_SIZE - bare - 4
    extra = b"\xfe\xca" + padding.to_bytes(2, "little") + bytes(padding)
    return zips.archive([*first, zips.Entry(name=last.name, data=last.data, local_extra=extra)])


def _tgz(case: str) -> bytes:
    return gzipped(tars.plain(*good_pairs(case)))


def _cut_tgz(percent: int) -> Made:
    whole = _tgz("cut tgz")
    return made(whole[: len(whole) * percent // 100])


def _cut_zip(length: int) -> Made:
    return made(sized_zip()[:length])


for _percent in (10, 50, 90):
    add(
        "truncated",
        f"tgz_truncated_{_percent}.tar.gz",
        partial(_cut_tgz, _percent),
        CUT,
    )
add("truncated", "zip_truncated_at_3.zip", partial(_cut_zip, 3), refused("not_an_archive", "damaged"))
for _length in (30, 419, 839, 1656, 1657, 1678):
    add("truncated", f"zip_truncated_at_{_length}.zip", partial(_cut_zip, _length), CUT)
add("truncated", "zip_truncated_at_0.zip", lambda: made(b""), refused("empty_archive"))
add("truncated", "tgz_truncated_last_8_bytes.tar.gz", lambda: made(_tgz("no trailer")[:-8]), CUT)


@row("truncated", "zip_no_central_directory.zip", CUT)
def _no_directory() -> Made:
    return made(b"".join(zips.local(entry, entry.packed_bytes()) for entry in zips.files(*good_pairs("no directory"))))


def _unusual(
    name: str,
    expected: Expect | None = None,
    *,
    before: bytes = b"",
    after: bytes = b"",
    archive: dict[str, object] | None = None,
    **entry: object,
) -> None:
    """Three good objects in a zip with something odd about the whole or every entry."""

    def build() -> Made:
        entries = zips.files(*good_pairs(name), **entry)
        whole = zips.archive(entries, **(archive or {}))  # type: ignore[arg-type]
        return made(before + whole + after, *(good(name) if expected is None else []))

    add("unusual", name, build, expected or placed(stored=3))


FAKE_END = zips.end(count=0, size=0, offset=0)
SFX = b"MZ" + b"self-extracting program " * 40
_unusual("zip_comment_65535.zip", archive={"comment": b"c" * 65535})
_unusual("zip_comment_holds_eocd.zip", archive={"comment": b"a comment with an end in it: " + FAKE_END})
_unusual("zip_data_descriptors.zip", descriptor=b"PK\7\x08")
_unusual("zip_data_descriptors_no_signature.zip", descriptor=b"")
_unusual("zip_data_descriptors_stored.zip", descriptor=b"PK\7\x08", method=zips.STORED)
_unusual("zip_multi_disk.zip", refused("split_archive"), archive={"disk": 1, "start_disk": 1}, disk=1)
_unusual("zip_prepended_data.zip", archive={"prefix": SFX})
_unusual("zip_prepended_offsets_not_adjusted.zip", before=SFX)
_unusual("zip_split_marker.zip", archive={"prefix": b"PK\7\x08"})
_unusual("zip_trailing_data.zip", after=b"trailing data\r\n" * 50)
_unusual("zip_zip64.zip", archive={"zip64": True}, zip64=True)
_unusual("zip_zip64_extra_on_entries.zip", zip64=True)


@row("unusual", "zip_dos_attrs_backslashes.zip", placed(stored=2))
def backslashes() -> Made:
    files = series("backslashes", 2)
    names = (b"S\\scans\\1\\resources\\DICOM\\files\\%d.dcm" % number for number in (1, 2))
    entries = zips.files(*zip(names, files, strict=True), made_by=zips.DOS, attributes=0x20)
    return made(
        zips.archive([zips.Entry(name=b"S\\scans\\", method=0, made_by=zips.DOS, attributes=0x10), *entries]), *files
    )


@row("unusual", "zip_two_concatenated.zip", placed(stored=3))
def concatenated() -> Made:
    case = "second"
    return made(zips.plain(*good_pairs("first", b"A/")) + zips.plain(*good_pairs(case, b"T/")), *good(case))


SEVEN = b"7z\xbc\xaf\x27\x1c\0\4" + bytes((number * 37 + 5) % 256 for number in range(600))
RAR = b"Rar!\x1a\x07\x01\0" + bytes((number * 41 + 3) % 256 for number in range(600))
HTML = b"<!DOCTYPE html><html><head><title>Log in</title></head><body>Please log in</body></html>\n"
NOT_ONE = "not_an_archive"

add("wrong type", "zip_7z_magic.zip", lambda: made(SEVEN), refused("unsupported_archive", "7z"))
add("wrong type", "zip_rar_magic.zip", lambda: made(RAR), refused("unsupported_archive", "rar"))
add("wrong type", "zip_html.zip", lambda: made(HTML * 10), refused(NOT_ONE))
add(
    "wrong type",
    "zip_random_bytes.zip",
    lambda: made(bytes((n * n * 31 + n * 17 + 5) % 253 for n in range(4000))),
    refused(NOT_ONE),
)
add(
    "wrong type",
    "tar_named_zip.zip",
    lambda: made(tars.plain(*good_pairs("tar as zip")), *good("tar as zip")),
    placed(stored=3),
)
add(
    "wrong type",
    "zip_named_targz.tar.gz",
    lambda: made(zips.plain(*good_pairs("zip as tgz")), *good("zip as tgz")),
    placed(stored=3),
)
_ONE = Image(case="just one")
add("wrong type", "zip_is_one_dicom.zip", lambda: made(_ONE.file(), _ONE.file()), placed(stored=1))
add("wrong type", "gz_of_one_dicom.tar.gz", lambda: made(gzipped(_ONE.file()), _ONE.file()), placed(stored=1))
