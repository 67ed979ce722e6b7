"""Rows of the table, ECAT."""

from __future__ import annotations

from functools import partial

from tests.badinput import zips
from tests.badinput.case import Made, Pair, add, held, made, placed, refused, row
from tests.badinput.ecat import IMAGE, VOLUME16, ecat
from tests.badinput.objects import Image
from tests.badinput.packing import gzipped

SECTION = "ECAT"
FILES = b"S/scans/%d/resources/ECAT/files/"


def _session(*files: bytes, names: tuple[bytes, ...] = ()) -> Made:
    """One session folder, a scan folder for each file."""
    called = names or tuple(b"%c.v" % (97 + number) for number in range(len(files)))
    pairs = [(FILES % number + name, data) for number, (name, data) in enumerate(zip(called, files, strict=True), 1)]
    return made(zips.plain(*pairs), *files)


@row(SECTION, "ecat_and_dicom_one_session.zip", held(stored=2, sessions=((1, 1),), session_code="patient_mismatch"))
def with_dicom() -> Made:
    """One session folder with a DICOM object of one patient and an ECAT file of another."""
    image, pet = (
        Image(case="with ecat", patient_id=b"ANN", patient_name=b"ANN").file(),
        ecat(patient_id=b"BOB", patient_name=b"BOB"),
    )
    pairs: list[Pair] = [(b"S/scans/1/resources/DICOM/files/1.dcm", image), (FILES % 2 + b"b.v", pet)]
    return made(zips.plain(*pairs), image, pet)


@row(
    SECTION,
    "ecat_claims_65535_frames.zip",
    placed(stored=2, sessions=((1, 1),), named=(("b.v", "stored", "ecat_cut"),)),
)
def many_frames() -> Made:
    return _session(ecat(), ecat(num_frames=65535, scan_start_time=1_580_469_300))


@row(SECTION, "ecat_directory_loop.zip", placed(stored=3, sessions=((1, 1, 1),)))
def directory_loop() -> Made:
    """The next directory is said to be this one, the main header, and a record far outside."""
    return _session(*(ecat(following=n, scan_start_time=1_580_469_300 + n % 100) for n in (2, 1, 0x7FFFFFF0)))


@row(SECTION, "ecat_good.zip", placed(stored=1))
def good_file() -> Made:
    return _session(ecat(frames=2))


@row(SECTION, "ecat_gz_member.zip", placed(stored=1, named=(("a.v.gz", "stored", "stored_unpacked"),)))
def gzipped_file() -> Made:
    file = ecat()
    return made(zips.plain((FILES % 1 + b"a.v.gz", gzipped(file))), file)


@row(
    SECTION,
    "ecat_magics.zip",
    placed(
        stored=4,
        unparseable=2,
        sessions=((1,) * 4,),
        warned=True,
        named=(("e.v", "unparseable", "not_dicom"), ("f.v", "unparseable", "not_dicom")),
    ),
)
def magics() -> Made:
    """MATRIX7x is ECAT 7; MATRIX64 and lower case are not, and stand in an image folder under an image's name."""
    spellings = (b"MATRIX70v", b"MATRIX71v", b"MATRIX72v", b"MATRIX72S", b"MATRIX64", b"matrix72v")
    files = [ecat(magic=magic, scan_start_time=1_580_465_700 + n) for n, magic in enumerate(spellings)]
    return Made(_session(*files).archive, _session(*files[:4]).keep)


@row(SECTION, "ecat_named_dcm_and_no_suffix.zip", placed(stored=2, sessions=((1, 1),)))
def odd_names() -> Made:
    return _session(ecat(), ecat(scan_start_time=1_580_469_300), names=(b"a.dcm", b"b"))


@row(SECTION, "ecat_start_time_odd.zip", placed(stored=2, sessions=((1,), (1,))))
def start_times() -> Made:
    """Nought and the last second of an unsigned 32-bit clock, of two patients in one flat folder."""
    first = ecat(scan_start_time=0, dose_start_time=0, patient_id=b"EPOCH", patient_name=b"EPOCH")
    last = ecat(scan_start_time=0xFFFFFFFF, dose_start_time=0xFFFFFFFF, patient_id=b"END", patient_name=b"END")
    return made(zips.plain((b"pet/a.v", first), (b"pet/b.v", last)), first, last)


SUBJECTS = {
    "control": b"\x01\x1b[31mRED\x07\r\n",
    "empty": b"",
    "ff": b"\xff" * 16,
    "full_no_nul": b"ABCDEFGHIJKLMNOP",
    "latin1": b"M\xfcller^J\xf6rg",
    "nul_inside": b"AB\0CD\0EF",
    "path": b"../../etc/x",
    "spaces": b" " * 16,
}


def _subject(value: bytes) -> Made:
    file = ecat(patient_id=value, patient_name=value)
    return made(zips.plain((b"pet/a.v", file)), file)


for _kind, _value in SUBJECTS.items():
    add(SECTION, f"ecat_subject_{_kind}.zip", partial(_subject, _value), placed(stored=1, subjects=1))


def _cut(length: int) -> Made:
    cut, whole = ecat(scan_start_time=1_580_469_300)[:length], ecat()
    kept = (cut, whole) if length >= 512 else (whole,)
    return made(zips.plain((FILES % 1 + b"a.v", cut), (FILES % 2 + b"b.v", whole)), *kept)


for _length in (100, 1100, 1948, 511, 512, 600, 8):
    _expected = (
        placed(stored=2, sessions=((1, 1),), named=(("a.v", "stored", "ecat_cut"),))
        if _length >= 512
        else placed(stored=1, unparseable=1, warned=True, named=(("a.v", "unparseable", "ecat_truncated"),))
    )
    add(SECTION, f"ecat_truncated_{_length}.zip", partial(_cut, _length), _expected)


@row(SECTION, "ecat_two_subjects_one_folder.zip", held(stored=2, sessions=((1, 1),), session_code="patient_mismatch"))
def two_subjects() -> Made:
    return _session(
        ecat(patient_id=b"ANN", patient_name=b"ANN"),
        ecat(patient_id=b"BOB", patient_name=b"BOB", scan_start_time=1_580_469_300),
    )


@row(SECTION, "ecat_types.zip", placed(stored=5, sessions=((1,) * 5,)))
def types() -> Made:
    """Two kinds of image, a sinogram, an attenuation and a normalisation file."""
    kinds = (IMAGE, VOLUME16, 1, 3, 4)
    return _session(*(ecat(file_type=kind, scan_start_time=1_580_465_700 + kind) for kind in kinds))


@row(
    SECTION,
    "v_file_that_is_verilog.zip",
    refused(("no image", "no dicom"), named=(("counter.v", "refused", "named_not_image"),)),
)
def verilog() -> Made:
    source = b"module counter(input clk, output reg [7:0] q);\n  always @(posedge clk) q <= q + 1;\nendmodule\n"
    return made(zips.plain((b"src/counter.v", source)))
