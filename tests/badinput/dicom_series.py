"""Rows of the table, DICOM: UIDs, series numbers, repeated objects and resource folders."""

from __future__ import annotations

from tests.badinput import zips
from tests.badinput.case import Expect, Made, among_good, climbs, good, held, made, placed, row
from tests.badinput.objects import EXPLICIT, Image, dataset, meta, part10

SECTION = "DICOM"
DICOMDIR_CLASS = b"1.2.840.10008.1.3.10"


def _reported(code: str) -> Expect:
    return placed(stored=3, unparseable=1, warned=True, named=(("bad.dcm", "unparseable", code),))


def _flat(*files: bytes) -> bytes:
    return zips.plain(*((b"flat/%02d.dcm" % number, data) for number, data in enumerate(files)))


def _beside_good(case: str, *bad: bytes, kept: bool) -> Made:
    names = (b"bad.dcm", b"bad2.dcm")
    return made(among_good(case, *zip(names, bad, strict=False)), *good(case), *(bad if kept else ()))


@row(SECTION, "dcm_dup_sop_different_bytes.zip", held(stored=1, conflict=3, sessions=((4,),), session_code="sop_clash"))
def clash() -> Made:
    """One object, and three variants of another that differ in their pixels."""
    case = "clash"
    variants = [Image(case=case, number=2, also={0x7FE00010: (b"OW", bytes([byte]) * 32)}).file() for byte in (1, 2, 3)]
    files = [Image(case=case).file(), *variants]
    return made(_flat(*files), *files)


@row(SECTION, "dcm_dup_sop_in_two_series.zip", held(conflict=2, sessions=((1, 1),), session_code="sop_clash"))
def clash_in_two_series() -> Made:
    case = "two series"
    first = Image(case=case, series="a", series_number=b"1")
    second = Image(case=case, series="b", series_number=b"2", also={0x00080018: (b"UI", first.sop_uid)})
    return made(_flat(first.file(), second.file()), first.file(), second.file())


@row(SECTION, "dcm_dup_sop_same_bytes.zip", placed(stored=2, duplicate=1))
def duplicate() -> Made:
    files = [Image(case="duplicate", number=number).file() for number in (1, 2)]
    return made(_flat(files[0], files[1], files[0]), *files)


@row(SECTION, "dicomdir_alone.zip", placed(stored=1, junk=1, named=(("DICOMDIR", "junk", "dicomdir"),)))
def dicomdir() -> Made:
    """A DICOMDIR that lists nothing, beside one image."""
    image = Image(case="dicomdir").file()
    body = dataset(
        {
            0x00041130: (b"CS", b"DISC"),
            0x00041200: (b"UL", bytes(4)),
            0x00041202: (b"UL", bytes(4)),
            0x00041212: (b"US", bytes(2)),
            0x00041220: (b"SQ", b""),
        }
    )
    directory = part10(meta(DICOMDIR_CLASS, Image(case="dicomdir file").sop_uid, EXPLICIT), body)
    return made(zips.plain((b"DICOMDIR", directory), (b"IMG/I1", image)), image)


_RESOURCES = (b"DICOM", b"dicom", b"Secondary")


@row(
    SECTION,
    "resources_nifti_snapshots_hold_dicom.zip",
    placed(stored=3, resource=2, named=(("/NIFTI/", "resource", "resource"), ("/SNAPSHOTS/", "resource", "resource"))),
    placed(
        stored=3,
        ignored=2,
        named=tuple((part, "ignored", "ignored_resources_off") for part in ("/NIFTI/", "/SNAPSHOTS/")),
        args=("--resources", "ignore"),
    ),
)
def resource_folders() -> Made:
    images = [Image(case="resources", number=number).file() for number in range(1, 6)]
    folders = (*_RESOURCES, b"NIFTI", b"SNAPSHOTS")
    pairs = [
        (b"S/scans/1/resources/%s/files/%d.dcm" % (f, n), d)
        for n, (f, d) in enumerate(zip(folders, images, strict=True))
    ]
    return made(zips.plain(*pairs), *images[:3])


_NUMBERS = (None, b"", b"..", b"../1", b"a/b", b"-", b"1\\2", b"NaN\0\0")


@row(SECTION, "series_number_missing.zip", placed(stored=8, sessions=((1,) * 8,)))
def series_numbers() -> Made:
    """Eight series of a study without a number that could name a folder."""
    files = []
    for index, number in enumerate(_NUMBERS):
        without = frozenset({0x00200011}) if number is None else frozenset()
        files.append(Image(case="series numbers", series=index, series_number=number or b"", without=without).file())
    return made(_flat(*files), *files)


@row(SECTION, "series_one_uid_two_numbers.zip", placed(stored=2))
def one_series_two_numbers() -> Made:
    files = [Image(case="two numbers", number=n, series_number=b"%d" % (n + 3)).file() for n in (1, 2)]
    return made(_flat(*files), *files)


@row(SECTION, "series_same_number_two_uids.zip", placed(stored=3, sessions=((1, 1, 1),)))
def one_number_three_series() -> Made:
    """Number 5 thrice: two MR series and a PET one."""
    kinds = (("a", b"MR"), ("b", b"MR"), ("c", b"PT"))
    files = [Image(case="one number", series=s, modality=m, series_number=b"5").file() for s, m in kinds]
    return made(_flat(*files), *files)


def _without(case: str, tag: int) -> Made:
    return _beside_good(case, Image(case=case, number=9, without=frozenset({tag})).file(), kept=False)


@row(SECTION, "uid_series_missing.zip", _reported("no_series_uid"))
def no_series_uid() -> Made:
    return _without("no series uid", 0x0020000E)


@row(SECTION, "uid_sop_missing.zip", _reported("no_sop_uid"))
def no_sop_uid() -> Made:
    return _without("no sop uid", 0x00080018)


@row(
    SECTION,
    "uid_study_missing.zip",
    placed(
        stored=3,
        unparseable=2,
        warned=True,
        named=(("bad.dcm", "unparseable", "no_study_uid"), ("bad2.dcm", "unparseable", "no_study_uid")),
    ),
)
def no_study_uid() -> Made:
    """One without the element, one with an empty value."""
    case = "no study uid"
    absent = Image(case=case, number=8, without=frozenset({0x0020000D})).file()
    empty = Image(case=case, number=9, also={0x0020000D: (b"UI", b"")}).file()
    return _beside_good(case, absent, empty, kept=False)


@row(SECTION, "uid_too_long_300.zip", placed(stored=4, sessions=((1,), (3,)), named=climbs("bad.dcm")))
def long_uids() -> Made:
    """All three UIDs of 300 digits."""
    long = {0x0020000D: b"1." + b"2" * 298, 0x0020000E: b"1." + b"3" * 298, 0x00080018: b"1." + b"4" * 298}
    image = Image(
        case="long uids", number=9, patient_id=b"LONG", also={tag: (b"UI", value) for tag, value in long.items()}
    )
    return _beside_good(image.case, image.file(), kept=True)


@row(SECTION, "uid_trailing_spaces_nuls.zip", placed(stored=3))
def padded_uids() -> Made:
    """One study and one series whose UIDs end in nothing, in NULs, in spaces."""
    files = []
    for number, padding in enumerate((b"", b"\0\0", b"  \0 "), 1):
        image = Image(case="padded uids", number=number)
        also = {0x0020000D: (b"UI", image.study_uid + padding), 0x0020000E: (b"UI", image.series_uid + padding)}
        files.append(Image(case="padded uids", number=number, also=also).file())
    return made(_flat(*files), *files)


@row(SECTION, "uid_with_path_characters.zip", placed(stored=4, sessions=((1,), (3,)), named=climbs("bad.dcm")))
def path_uids() -> Made:
    evil = {0x0020000D: b"../../../study", 0x0020000E: b"/scandock-escape/series", 0x00080018: b"..\\..\\sop/../../x"}
    also = {tag: (b"UI", value) for tag, value in evil.items()}
    image = Image(case="path uids", number=9, patient_id=b"EVIL", series_number=b"", also=also)
    return _beside_good(image.case, image.file(), kept=True)
