"""Rows of the table, names: what entries are called, in which encoding, and twice."""

from __future__ import annotations

import unicodedata

from tests.badinput import zips
from tests.badinput.case import Made, Pair, beside_good, good, made, placed, row
from tests.badinput.objects import Image, series

SECTION = "names"
UTF8_NAME = "s/R\u00f6ntgen \u5199\u771f \U0001f9e0.dcm"


def _named(case: str, *names: bytes, flags: int = 0, made_by: int = zips.UNIX) -> Made:
    """One object of one series under each name."""
    files = series(case, len(names))
    entries = zips.files(*zip(names, files, strict=True), flags=flags, made_by=made_by)
    return made(zips.archive(entries), *files)


def _fourth(case: str, name: bytes, **values: object) -> Made:
    """A fourth object of the good ones' series under this name."""
    data = Image(case=case, number=9).file()
    return made(beside_good(case, zips.Entry(name=name, data=data, **values)), *good(case), data)  # type: ignore[arg-type]


@row(SECTION, "deep_path_2000_levels.zip", placed(stored=4))
def deep_path() -> Made:
    return _fourth("deep path", b"d/" * 2000 + b"x.dcm")


@row(SECTION, "name_300_chars.zip", placed(stored=2))
def chars_300() -> Made:
    return _named("300 chars", b"s/" + b"n" * 296 + b".dcm", b"s/" + b"n" * 297 + b".dcm")


@row(SECTION, "name_65535_chars.zip", placed(stored=1))
def chars_65535() -> Made:
    return _named("65535 chars", b"n" * 65531 + b".dcm")


@row(SECTION, "name_case_collide.zip", placed(stored=3))
def case_collide() -> Made:
    return _named("case collide", b"s/I1.dcm", b"s/i1.dcm", b"S/I1.DCM")


@row(SECTION, "name_cp437.zip", placed(stored=1, paths=frozenset({"s/M\u00fcller \u2593.dcm"})))
def cp437() -> Made:
    return _named("cp437", "s/M\u00fcller \u2593.dcm".encode("cp437"), made_by=zips.DOS)


@row(SECTION, "name_dir_with_data.zip", placed(stored=4))
def folder_with_data() -> Made:
    """A name that ends in a slash, with an object's bytes behind it."""
    return _fourth("folder with data", b"s/folder.dcm/", attributes=zips.FOLDER_MODE)


@row(SECTION, "name_duplicate_entries_different.zip", placed(stored=3))
def equal_names() -> Made:
    return _named("equal names", *[b"s/I1.dcm"] * 3)


@row(SECTION, "name_duplicate_entries_same.zip", placed(stored=1, duplicate=1))
def equal_entries() -> Made:
    file = Image(case="equal entries").file()
    return made(zips.plain((b"s/I1.dcm", file), (b"s/I1.dcm", file)), file)


@row(SECTION, "name_empty.zip", placed(stored=4))
def empty_name() -> Made:
    return _fourth("empty name", b"")


@row(SECTION, "name_gb18030_euckr.zip", placed(stored=2))
def chinese_korean() -> Made:
    names = ("s/\u56fe\u50cf.dcm".encode("gb18030"), "s/\uc601\uc0c1.dcm".encode("euc_kr"))
    return _named("gb18030", *names, made_by=zips.DOS)


@row(SECTION, "name_invalid_utf8_with_flag.zip", placed(stored=1))
def invalid_utf8() -> Made:
    return _named("invalid utf8", b"s/\xff\xfe\xc3.dcm", flags=zips.UTF8)


@row(SECTION, "name_nfc_nfd_collide.zip", placed(stored=2))
def composed() -> Made:
    spellings = (unicodedata.normalize(form, "s/R\u00f6ntgen.dcm").encode() for form in ("NFC", "NFD"))
    return _named("composed", *spellings, flags=zips.UTF8)


@row(SECTION, "name_overlong_utf8_slash.zip", placed(stored=4))
def overlong_slash() -> Made:
    """Slashes as the two bytes C0 AF, which a careless decoder takes for one."""
    return _fourth("overlong slash", b"..\xc0\xaf..\xc0\xafscandock-escape.dcm", flags=zips.UTF8)


@row(SECTION, "name_same_filename_in_scans.zip", placed(stored=2, sessions=((1, 1),)))
def same_in_scans() -> Made:
    files = [Image(case="same in scans", series=n, series_number=b"%d" % n).file() for n in (1, 2)]
    pairs: list[Pair] = [(b"S/scans/%d/resources/DICOM/files/I1" % n, data) for n, data in enumerate(files, 1)]
    return made(zips.plain(*pairs), *files)


@row(SECTION, "name_same_filename_one_scan.zip", placed(stored=3, paths=frozenset({"a/I1", "b/I1", "c/I1"})))
def same_in_one_scan() -> Made:
    return _named("same in one scan", b"a/I1", b"b/I1", b"c/I1")


@row(SECTION, "name_shift_jis.zip", placed(stored=2))
def shift_jis() -> Made:
    """The second byte of both characters is a backslash."""
    names = ("s/\u8868/1.dcm".encode("shift_jis"), "s/\u30bd.dcm".encode("shift_jis"))
    assert all(b"\\" in name for name in names)
    return _named("shift jis", *names, made_by=zips.DOS)


@row(SECTION, "name_utf8_flag.zip", placed(stored=1, paths=frozenset({UTF8_NAME})))
def utf8_flag() -> Made:
    return _named("utf8 flag", UTF8_NAME.encode(), flags=zips.UTF8)


@row(SECTION, "name_utf8_without_flag.zip", placed(stored=1))
def utf8_unsaid() -> Made:
    return _named("utf8 unsaid", UTF8_NAME.encode())


@row(SECTION, "path_file_then_same_name_as_folder.zip", placed(stored=5))
def file_then_folder() -> Made:
    case = "file then folder"
    extra = [Image(case=case, number=number).file() for number in (8, 9)]
    entries = zips.files((b"good/x", extra[0]), (b"good/x/y.dcm", extra[1]))
    return made(beside_good(case, *entries), *good(case), *extra)


@row(
    "links",
    "path_symlink_entry.zip",
    placed(
        stored=3, ignored=2, named=(("passwd.dcm", "ignored", "ignored_link"), ("up.dcm", "ignored", "ignored_link"))
    ),
    placed(
        stored=3,
        ignored=2,
        args=("--no-ignore-unparsable",),
        named=(("passwd.dcm", "ignored", "ignored_link"), ("up.dcm", "ignored", "ignored_link")),
    ),
)
def links() -> Made:
    case = "links"
    entries = (zips.link(b"good/passwd.dcm", b"/etc/passwd"), zips.link(b"good/up.dcm", b"../../../canary/secret"))
    return made(beside_good(case, *entries), *good(case))


@row(
    "links",
    "path_symlink_then_write_through.zip",
    placed(stored=4, ignored=1, named=(("S/d", "ignored", "ignored_link"),)),
)
def write_through() -> Made:
    """A link to the machine's temporary folder, and then a file as if in it."""
    case = "write through"
    evil = Image(case=case, number=9).file()
    entries = (zips.link(b"S/d", b"/tmp"), zips.Entry(name=b"S/d/scandock-escape.dcm", data=evil))
    return made(beside_good(case, *entries), *good(case), evil)
