"""Rows of the table, DICOM: patients, labels and studies that are empty, alike, reserved or contradict each other."""

from __future__ import annotations

import hashlib

from tests.badinput import zips
from tests.badinput.case import Made, Pair, held, made, placed, row
from tests.badinput.objects import Image

SECTION = "DICOM"


def _fallback(image: Image) -> str:
    """The label of a study without a usable PatientID (rules.md, which session, 1)."""
    return "study_" + hashlib.sha256(image.study_uid).hexdigest()[:8]


def _flat(images: list[Image]) -> Made:
    files = [image.file() for image in images]
    pairs: list[Pair] = [(b"flat/%02d.dcm" % number, data) for number, data in enumerate(files)]
    return made(zips.plain(*pairs), *files)


def _studies(case: str, *values: dict[str, bytes]) -> list[Image]:
    """One object a study, with these values."""
    return [Image(case=case, study=number, **each) for number, each in enumerate(values)]  # type: ignore[arg-type]


@row(SECTION, "date_garbage.zip", placed(stored=4, sessions=((1,),) * 4))
def date_garbage() -> Made:
    dates = (b"20201399", b"yesterday", b"0000-00-00", b"99999999")
    return _flat(
        _studies("date garbage", *({"study_date": date, "patient_id": b"D%d" % n} for n, date in enumerate(dates)))
    )


@row(SECTION, "dcm_patientid_mismatch_in_study.zip", held(stored=2, sessions=((2,),), session_code="patient_mismatch"))
def patient_mismatch() -> Made:
    case = "patient mismatch"
    return _flat([Image(case=case, patient_id=b"ONE"), Image(case=case, number=2, patient_id=b"OTHER")])


@row(SECTION, "dcm_patientid_space_case_variants.zip", placed(stored=4, sessions=((1,),) * 4, subjects=4, warned=True))
def patient_variants() -> Made:
    """Four patients whose IDs and names are one label after cleaning, one of them but for the case."""
    spellings = (b"an na", b"an_na", b"an.na", b"AN NA")
    return _flat(_studies("patient variants", *({"patient_id": each, "patient_name": each} for each in spellings)))


@row(
    SECTION,
    "dcm_two_patients_flat.zip",
    placed(stored=4, sessions=((2,), (2,)), subjects=2, warned=True, labels=frozenset({"P-A", "P-B"})),
)
def two_patients() -> Made:
    """Two patients of one name, each with a study of two objects, all in one folder."""
    case = "two patients"
    return _flat(
        [
            Image(case=case, study=who, number=number, patient_id=b"P-" + who.encode())
            for number in (1, 2)
            for who in "AB"
        ]
    )


@row(SECTION, "folder_one_session_two_studies.zip", placed(stored=2, sessions=((1,), (1,)), warned=True))
def one_folder_two_studies() -> Made:
    images = [Image(case="one folder", study=number, study_date=b"2020010%d" % number) for number in (1, 2)]
    files = [image.file() for image in images]
    pairs = [(b"SESS/scans/%d/resources/DICOM/files/a.dcm" % n, data) for n, data in enumerate(files, 1)]
    return made(zips.plain(*pairs), *files)


@row(
    SECTION,
    "folder_session_label_disagrees_with_header.zip",
    placed(stored=2, sessions=((2,),), scan_ids=frozenset({"1"})),
)
def folders_disagree() -> Made:
    """One series in two session folders and two scan folders, none of which agree with its header."""
    files = [Image(case="folders disagree", number=number).file() for number in (1, 2)]
    pairs = [(b"FOLDER%d/scans/%d/resources/DICOM/files/a.dcm" % (n, n + 6), data) for n, data in enumerate(files)]
    return made(zips.plain(*pairs), *files)


@row(SECTION, "label_64_and_300_chars.zip", placed(stored=3, sessions=((1,),) * 3))
def long_labels() -> Made:
    """The first two are equal in their first 64 characters."""
    return _flat(
        _studies("long labels", {"patient_id": b"A" * 64}, {"patient_id": b"A" * 65}, {"patient_id": b"A" * 300})
    )


RESERVED = ("CON", "nul", "AUX", "prn", "COM1", "scans", "resources", "files", "prearchive", "__proto__")


@row(SECTION, "label_reserved_words.zip", placed(stored=10, sessions=((1,),) * 10, labels=frozenset(RESERVED)))
def reserved_words() -> Made:
    return _flat(
        _studies("reserved words", *({"patient_id": w.encode(), "patient_name": w.encode()} for w in RESERVED))
    )


_EMPTY = _studies(
    "empty labels",
    *({"patient_id": each, "patient_name": each} for each in (b"...", b"..", b"^^^", "\u5c71\u7530".encode())),
)


@row(
    SECTION,
    "label_sanitises_to_empty.zip",
    placed(stored=4, sessions=((1,),) * 4, subjects=4, labels=frozenset(map(_fallback, _EMPTY))),
)
def empty_labels() -> Made:
    return _flat(_EMPTY)


@row(SECTION, "label_session_collide.zip", placed(stored=3, sessions=((1,),) * 3, subjects=1, warned=True))
def labels_collide() -> Made:
    """One patient, three studies, two of one day."""
    days = (b"20200101", b"20200101", b"20200303")
    return _flat(_studies("labels collide", *({"study_date": day} for day in days)))


_NOBODY = _studies("nobody", *({"patient_id": b"", "patient_name": b"", "study_date": b""} for _ in range(2)))


@row(
    SECTION,
    "patient_all_empty.zip",
    placed(stored=2, sessions=((1,),) * 2, subjects=2, labels=frozenset(map(_fallback, _NOBODY))),
)
def patient_all_empty() -> Made:
    return _flat(_NOBODY)


_NAMED = _studies(
    "only named", {"patient_id": b"", "patient_name": b"DOE^JANE"}, {"patient_id": b" ", "patient_name": b"ROE^RICHARD"}
)


@row(
    SECTION,
    "patient_id_empty.zip",
    placed(stored=2, sessions=((1,),) * 2, subjects=2, labels=frozenset(map(_fallback, _NAMED))),
)
def patient_id_empty() -> Made:
    return _flat(_NAMED)


@row(SECTION, "patient_name_path_characters.zip", placed(stored=4, sessions=((1,),) * 4, subjects=4))
def path_characters() -> Made:
    spellings = (b"../../etc/passwd", b"a/b\\c:d", b"<script>alert(1)</script>", b"\"';--%00\r\nx=1")
    return _flat(_studies("path characters", *({"patient_id": each, "patient_name": each} for each in spellings)))


@row(SECTION, "petmr_one_study.zip", placed(stored=2, sessions=((1, 1),), scan_ids=frozenset({"1", "2"})))
def petmr() -> Made:
    case = "petmr"
    return _flat(
        [
            Image(case=case, series="mr", modality=b"MR", series_number=b"1"),
            Image(case=case, series="pt", modality=b"PT", series_number=b"2"),
        ]
    )
