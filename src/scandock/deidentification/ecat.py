"""ECAT 7 files: what identifies a person in main header and subheaders goes, voxels are untouched slices.

A file is rewritten in place: every output has the size of its input. Scripts reach six fields by the DICOM elements
that say the same (`MAPPED`); the profile writes all others.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from scandock.deidentification.data_set import Range
from scandock.deidentification.ecat_numbers import IMAGE_NUMBERS, MAIN_NUMBERS, Number, find_text, has_words
from scandock.deidentification.errors import ObjectUnreadable, ValueUnfit
from scandock.formats.ecat import IMAGE_TYPES, RECORD, EcatFile, Matrix, byte_order
from scandock.formats.ecat_fields import Record
from scandock.formats.errors import Unparseable
from scandock.model.dataclass import dataclass

PATIENT_NAME: Final = 0x00100010
PATIENT_ID: Final = 0x00100020
BIRTH_DATE: Final = 0x00100030
STUDY_DESCRIPTION: Final = 0x00081030
INSTITUTION: Final = 0x00080080
OPERATOR: Final = 0x00081070

MAPPED: Final[Mapping[int, tuple[int, int]]] = {
    PATIENT_NAME: (182, 32),
    PATIENT_ID: (166, 16),
    STUDY_DESCRIPTION: (296, 32),
    INSTITUTION: (332, 20),
    OPERATOR: (264, 32),
}
"""Where the main header has what a DICOM element says: offset and length. The birth date is a number (`BIRTH_DATE`)."""

_FIELD_NAMES: Final = {
    PATIENT_NAME: "the patient's name",
    PATIENT_ID: "the patient's id",
    STUDY_DESCRIPTION: "the study description",
    INSTITUTION: "the institution",
    OPERATOR: "the operator",
}

_MAGIC: Final = (0, 14)
_FILE_NAME: Final = (14, 32)
_SERIAL_NUMBER: Final = (52, 10)
_ISOTOPE: Final = (66, 8)
_RADIOPHARMACEUTICAL: Final = (78, 32)
_STUDY_TYPE: Final = (154, 12)
_PHYSICIAN: Final = (232, 32)
_PROCESS_CODE: Final = (434, 10)
_DATA_UNITS: Final = (466, 32)
_TEXTS: Final = (
    _MAGIC, _FILE_NAME, _SERIAL_NUMBER, _ISOTOPE, _RADIOPHARMACEUTICAL, _STUDY_TYPE, _PHYSICIAN, _PROCESS_CODE,
    _DATA_UNITS, *MAPPED.values(),
)  # fmt: skip
_FILE_TYPE_AT: Final = 50
_TIMES_AT: Final = (62, 454)
"""SCAN_START_TIME and DOSE_START_TIME: seconds since 1970."""
_SEX_AND_DEXTERITY: Final = (214, 2)
_AGE_AT: Final = 216
_HEIGHT_AND_WEIGHT: Final = (220, 8)
_BIRTH_DATE_AT: Final = 228
_FILL: Final = (500, 12)
_OLDEST: Final = 89.0

_ANNOTATION: Final = (122, 40)
_SUBHEADER_FILL: Final = (240, RECORD - 240)
"""Of image subheaders: what the format reserves for the maker and the user."""
_NEEDED: Final = ((0, 10), (26, 30), (34, 46))
"""Where a subheader has what pixels mean nothing without: data type and dimensions, scale, sizes."""
_WITHOUT_TEXTS: Final = frozenset({1, 3, 4, 11, 12, 13, 14})
"""File types whose subheaders hold numbers alone: sinograms, attenuation, normalization."""

_KNOWN_MAGIC: Final = re.compile(rb"MATRIX7[0-9A-Za-z]{0,4}")
_PLAIN_MAGIC: Final = b"MATRIX72v"
_WORD: Final = re.compile(r"[0-9A-Za-z]+")
_ISOTOPES: Final = frozenset({
    "AS72", "BR75", "BR76", "C11", "CO55", "CS137", "CU60", "CU61", "CU62", "CU64", "F18", "FE52", "GA68", "GE68",
    "I120", "I124", "K38", "MN52", "N13", "NA22", "O15", "RB82", "SC44", "TC94M", "TC99M", "Y86", "ZR89",
})  # fmt: skip
_TRACER_WORDS: Final = frozenset({
    "ACETATE", "ACID", "ALTROPANE", "AMMONIA", "AV1451", "AV45", "B", "BUTANOL", "CARBON", "CARFENTANIL",
    "CHLORIDE", "CHOLINE", "CO", "CO2", "COMPOUND", "DASB", "DEOXY", "DEOXYGLUCOSE", "DIOXIDE", "DOPA", "DOTANOC",
    "DOTATATE", "DOTATOC", "DTBZ", "FACBC", "FALLYPRIDE", "FAZA", "FCH", "FCHOLINE", "FDG", "FDOPA", "FES", "FET",
    "FLORBETABEN", "FLORBETAPIR", "FLORTAUCIPIR", "FLT", "FLUCICLOVINE", "FLUMAZENIL", "FLUORIDE", "FLUORO",
    "FLUORODEOXYGLUCOSE", "FLUTEMETAMOL", "FMISO", "GALLIUM", "GERMANIUM", "GLUCOSE", "H2O", "LINE", "MET",
    "METHIONINE", "MISO", "MONOXIDE", "NAF", "NH3", "O2", "OXYGEN", "PHANTOM", "PIB", "PITTSBURGH", "PK11195",
    "PSMA", "RACLOPRIDE", "RB", "RUBIDIUM", "SODIUM", "SOLUTION", "SOURCE", "TRANSMISSION", "UNKNOWN", "WATER",
    "WAY100635",
})  # fmt: skip
_UNITS: Final = frozenset({
    "1CM", "ACTIVITY", "BQCC", "BQML", "COUNTS", "COUNTSS", "COUNTSSEC", "CPS", "ECATCOUNTS", "ECATCOUNTSSEC",
    "GML", "KBQCC", "KBQML", "LABELS", "MBQCC", "MBQML", "MCICC", "MCIML", "MGMIN100ML", "MLMIN100G", "MLMIN100ML",
    "MLML", "NCICC", "NCIML", "NONE", "PERCENT", "PROCESSED", "SUV", "UCICC", "UCIML", "UNITLESS", "UNKNOWN",
})  # fmt: skip
_ZEROS: Final = memoryview(bytes(1024 * 1024))

Part = bytes | memoryview | Range
Buffer = bytes | memoryview
ReadRange = Callable[[int, int], Buffer]
"""Gives the bytes from an offset to before another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EcatProfile:
    """What of the profile and its options holds for ECAT."""

    patient_id: str
    """Label of the session; empty where there is none."""
    patient_name: str
    """Label of the subject."""
    shift_days: int
    """0 keeps the times."""
    keep_device: bool
    keep_patient: bool
    clean_description: Callable[[str], str]


class Rewritten(NamedTuple):
    """The parts of the new file, and whether numbers became zeros as a text ran over them."""

    parts: list[Part]
    had_text: bool = False


def read_mapped(data: Buffer) -> dict[int, str]:
    """What the fields say that scripts reach, by DICOM element: texts as they are written, the birth date as a DA."""
    raw = _main_header(data)
    texts = {tag: _text(raw, place) for tag, place in MAPPED.items()}
    return {**texts, BIRTH_DATE: _read_date(Record(raw, _order(raw)).number(_BIRTH_DATE_AT, "i"))}


def rewrite(
    head: Buffer,
    size: int,
    read: ReadRange,
    changes: Mapping[int, str],
    profile: EcatProfile | None,
    *,
    keep_file_name: bool = True,
) -> Rewritten:
    """The file with `changes` by scripts to what `read_mapped` gives, then by the profile.

    What it was called is in its header, too, and goes with a profile, or where it is not to be kept.

    Raises ScrubError: a text that the field can't hold, a header or a directory that can't be read to its end, a
    matrix that is cut, a text in place of the numbers that pixels need. A text that is too long is cut (`find_cut`).
    What `read` raises passes through.
    """
    raw = _main_header(head)
    order = _order(raw)
    header = bytearray(raw)
    for tag, text in changes.items():
        if tag == BIRTH_DATE:
            struct.pack_into(order + "i", header, _BIRTH_DATE_AT, _parse_date(text))
        else:
            _write_text(header, MAPPED[tag], text)
    if not keep_file_name:
        _write_text(header, _FILE_NAME, "")
        for tag in (PATIENT_ID, PATIENT_NAME):
            _clear_behind(header, MAPPED[tag])
    file = EcatFile(head, size, lambda at, length: read(at, min(at + length, size)), order)
    file_type = Record(raw, order).number(_FILE_TYPE_AT, "h")
    if profile is None:
        _check_matrices(file, _read_directory(file), file_type)
        return Rewritten([bytes(header), Range(RECORD, size)])
    had_text = _clear_texts(header, find_text(raw, order, MAIN_NUMBERS))
    _apply_profile(header, order, profile)
    records = _clean_records(file, file_type)
    return Rewritten([bytes(header), *records.parts], had_text or records.had_text)


def find_cut(changes: Mapping[int, str], profile: EcatProfile | None) -> list[str]:
    """The names of the fields that do not hold all of what scripts or labels give for them."""
    given = dict(changes)
    if profile is not None:
        given = {
            PATIENT_NAME: profile.patient_name,
            PATIENT_ID: profile.patient_id,
            STUDY_DESCRIPTION: profile.clean_description(changes.get(STUDY_DESCRIPTION, "")),
        }
    return [_FIELD_NAMES[tag] for tag in _FIELD_NAMES if len(given.get(tag, "")) >= MAPPED[tag][1]]


def _main_header(data: Buffer) -> bytes:
    if len(data) < RECORD:
        raise ObjectUnreadable("The ECAT file is cut in its main header.")
    return bytes(data[:RECORD])


def _order(raw: bytes) -> str:
    try:
        return byte_order(raw)
    except Unparseable:
        raise ObjectUnreadable("The main header has neither a version nor a file type of ECAT 7.") from None


# -- the main header ---------------------------------------------------------------------------------------------------


def _apply_profile(header: bytearray, order: str, profile: EcatProfile) -> None:
    """The table of section 4 of privacy.md, from top to bottom."""
    _write_text(header, _FILE_NAME, "")
    if not profile.keep_device:
        _write_text(header, _SERIAL_NUMBER, "")
    _shift_times(header, order, profile.shift_days)
    for place, is_known in (
        (_RADIOPHARMACEUTICAL, _is_tracer),
        (_ISOTOPE, lambda text: _fold(text) in _ISOTOPES),
        (_DATA_UNITS, lambda text: _fold(text) in _UNITS),
    ):
        if not is_known(_text(header, place)):
            _write_text(header, place, "")
    for place in (_STUDY_TYPE, MAPPED[STUDY_DESCRIPTION]):
        _write_text(header, place, profile.clean_description(_text(header, place)))
    _write_text(header, MAPPED[PATIENT_ID], profile.patient_id)
    _write_text(header, MAPPED[PATIENT_NAME], profile.patient_name)
    _clean_patient(header, order, keep=profile.keep_patient)
    for place in (_PHYSICIAN, MAPPED[OPERATOR], MAPPED[INSTITUTION], _PROCESS_CODE):
        _write_text(header, place, "")
    magic = bytes(header[:14]).split(b"\0", 1)[0]
    header[:14] = (magic if _KNOWN_MAGIC.fullmatch(magic) else _PLAIN_MAGIC).ljust(14, b"\0")
    for at, length in _TEXTS:
        text, nul, _ = bytes(header[at : at + length]).partition(b"\0")
        header[at : at + length] = (text + nul).ljust(length, b"\0")
    _clear(header, _FILL)


def _shift_times(header: bytearray, order: str, days: int) -> None:
    """Both times by the same days, so that their distance stays; empty where that leads before 1970."""
    times = [struct.unpack_from(order + "i", header, at)[0] for at in _TIMES_AT]
    moved = [time and time + days * 86400 for time in times]
    if any(time > 0 >= shifted for time, shifted in zip(times, moved, strict=True)) or min(times) < 0:
        moved = [0, 0]
    for at, time in zip(_TIMES_AT, moved, strict=True):
        struct.pack_into(order + "i", header, at, time)


def _clean_patient(header: bytearray, order: str, *, keep: bool) -> None:
    struct.pack_into(order + "i", header, _BIRTH_DATE_AT, 0)
    if not keep:
        for place in (_SEX_AND_DEXTERITY, (_AGE_AT, 4), _HEIGHT_AND_WEIGHT):
            _clear(header, place)
        return
    age = struct.unpack_from(order + "f", header, _AGE_AT)[0]
    struct.pack_into(order + "f", header, _AGE_AT, min(age, _OLDEST) if math.isfinite(age) else 0.0)


def _clear_texts(header: bytearray, numbers: Sequence[Number]) -> bool:
    """Make zeros of numbers over which a text runs; whether there are any."""
    for number in numbers:
        _clear(header, (number.at, number.end - number.at))
    return bool(numbers)


def _text(raw: bytes | bytearray, place: tuple[int, int]) -> str:
    at, length = place
    return bytes(raw[at : at + length]).split(b"\0", 1)[0].decode("latin-1").strip(" ")


def _write_text(header: bytearray, place: tuple[int, int], text: str) -> None:
    """A text over a whole field, cut so that a NUL still ends it."""
    at, length = place
    try:
        raw = text.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueUnfit("A text has characters that ECAT can't hold: it has Latin-1 alone.") from None
    if b"\0" in raw:
        raise ValueUnfit("A text holds a NUL, which ends texts in ECAT.")
    header[at : at + length] = raw[: length - 1].ljust(length, b"\0")


def _clear_behind(header: bytearray, place: tuple[int, int]) -> None:
    """Clear what stands behind the NUL that ends a text, where a longer one was not written over to its end."""
    at, length = place
    end = header.find(b"\0", at, at + length)
    if end >= 0:
        header[end : at + length] = bytes(at + length - end)


def _clear(header: bytearray, place: tuple[int, int]) -> None:
    at, length = place
    header[at : at + length] = bytes(length)


def _read_date(seconds: int) -> str:
    """A birth date in seconds since 1970 as a DA; empty for 0, which says that there is none."""
    if not seconds:
        return ""
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds):%Y%m%d}"


def _parse_date(text: str) -> int:
    if not text:
        return 0
    try:
        day = datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC)
        seconds = int(day.timestamp())
        struct.pack("i", seconds)
    except (ValueError, struct.error):
        raise ValueUnfit("The birth date is none that ECAT can hold: YYYYMMDD, 1902 to 2037.") from None
    return seconds


def _fold(text: str) -> str:
    """Letters and digits of a text in capitals, an isotope's with the element first: `18-F` is `F18`."""
    folded = "".join(_WORD.findall(text)).upper()
    swapped = re.fullmatch(r"(\d+)(M?)([A-Z]{1,2})", folded)
    return f"{swapped[3]}{swapped[1]}{swapped[2]}" if swapped else folded


def _is_tracer(text: str) -> bool:
    """Whether each word is one of a tracer's name: `[F-18]FDG`, `18F-FDG`, `O-15 water`."""
    words = [word.upper() for word in _WORD.findall(text)]
    at = 0
    while at < len(words):
        if _fold(words[at]) in _ISOTOPES or words[at] in _TRACER_WORDS:
            at += 1
        elif _fold("".join(words[at : at + 2])) in _ISOTOPES:
            at += 2
        else:
            return False
    return bool(words)


# -- all other records -------------------------------------------------------------------------------------------------


def _clean_records(file: EcatFile, file_type: int) -> Rewritten:
    """What follows the main header: directory and matrices as they are, but for texts of subheaders.

    Records that the directory does not name, and what is behind the last one, become zeros: matrices that were
    deleted keep their annotations there. So does what is behind the voxels of an image.
    """
    if file_type not in IMAGE_TYPES | _WITHOUT_TEXTS:
        raise ObjectUnreadable(f"The subheaders of ECAT files of type {file_type} are not known.")
    matrices = _read_directory(file)
    _check_matrices(file, matrices, file_type)
    parts: list[Part] = []
    had_text = False
    at = RECORD
    for first, last, is_matrix in _extents(file, matrices):
        start, end = (first - 1) * RECORD, min(last * RECORD, file.size)
        if start < at or end <= start:
            raise ObjectUnreadable("The directory of the ECAT file names records twice, or beyond its end.")
        parts += _zeros(start - at)
        if not is_matrix:
            parts.append(_clean_directory(file, first))
            start += RECORD
        elif file_type in IMAGE_TYPES:
            subheader = _subheader(file, first)
            cleaned, has_text = _clean_subheader(subheader)
            parts.append(cleaned)
            had_text |= has_text
            start += RECORD
            end = _pixel_end(file, subheader, start, last * RECORD)
        elif has_words(_subheader(file, first).raw):
            raise _text_for_numbers()
        if start < end:
            parts.append(Range(start, end))
        at = end
    return Rewritten(parts + _zeros(file.size - at), had_text)


def _read_directory(file: EcatFile) -> list[Matrix]:
    matrices = file.directory()
    if file.notes:
        raise ObjectUnreadable("The directory of the ECAT file can't be read to its end.")
    return matrices


def _check_matrices(file: EcatFile, matrices: list[Matrix], file_type: int) -> None:
    """Raise ObjectUnreadable where the file ends within a matrix; the last record of one need not be filled up."""
    for matrix in matrices:
        if matrix.last * RECORD <= file.size:
            continue
        record = file.record(matrix.first)
        is_image = file_type in IMAGE_TYPES
        if record is None or (file.is_cut(matrix, record) if is_image else (matrix.last - 1) * RECORD >= file.size):
            raise ObjectUnreadable("The ECAT file ends within its data.")


def _clean_directory(file: EcatFile, number: int) -> bytes:
    record = file.record(number)
    if record is None:
        raise ObjectUnreadable("The directory of the ECAT file is cut.")
    return file.without_unused_entries(record)


def _subheader(file: EcatFile, number: int) -> Record:
    record = file.record(number)
    if record is None:
        raise ObjectUnreadable("A subheader of the ECAT file is cut.")
    return record


def _clean_subheader(record: Record) -> tuple[bytes, bool]:
    """An image's subheader without texts, and whether some ran over numbers."""
    subheader = bytearray(record.raw)
    _clear(subheader, _ANNOTATION)
    _clear(subheader, _SUBHEADER_FILL)
    numbers = find_text(record.raw, record.order, IMAGE_NUMBERS)
    if any(start <= number.at < end for number in numbers for start, end in _NEEDED):
        raise _text_for_numbers()
    has_text = _clear_texts(subheader, numbers)
    return bytes(subheader), has_text


def _text_for_numbers() -> ObjectUnreadable:
    return ObjectUnreadable("A subheader of the ECAT file has a text where its numbers are.")


def _pixel_end(file: EcatFile, subheader: Record, start: int, end: int) -> int:
    """The offset behind the voxels that begin at `start`, of a matrix to which the directory gives all up to `end`."""
    count = file.voxel_bytes(subheader)
    if not count:
        raise ObjectUnreadable("A subheader of the ECAT file does not say how many bytes its pixels are.")
    if start + count > min(end, file.size):
        raise ObjectUnreadable("An image of the ECAT file has more pixels than the directory has room for.")
    return start + count


def _extents(file: EcatFile, matrices: list[Matrix]) -> list[tuple[int, int, bool]]:
    """First and last record of all that the directory names, in order; False for the directory's own."""
    own = {(number, number, False) for number in file.directory_records}
    return sorted(own | {(matrix.first, matrix.last, True) for matrix in matrices})


def _zeros(count: int) -> list[Part]:
    whole, rest = divmod(count, len(_ZEROS))
    return [*[_ZEROS] * whole, *([_ZEROS[:rest]] if rest else [])]
