"""ECAT 7 files: main header, directory and frames, and files that lie about them (xnat-behaviour.md 3.4)."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import nibabel.tests
import numpy as np
import pytest
from nibabel import ecat as nibabel_ecat

from scandock.formats import ecat as module
from scandock.formats.dicom_header import Unparseable
from scandock.formats.ecat import looks_like_ecat, read_ecat
from scandock.model.series import EcatFacts
from tests.badinput.ecat import RECORD, directory, ecat, main_header, subheader

TINY = Path(nibabel.tests.__file__).parent / "data" / "tinypet.v"


def read(data: bytes, head: int = RECORD) -> EcatFacts:
    return read_ecat(data[:head], len(data), lambda offset, length: data[offset : offset + length])


def refusal(data: bytes) -> str:
    with pytest.raises(Unparseable) as refused:
        read(data)
    return refused.value.code


def test_main_header_and_frames():
    facts = read(ecat(frames=3, patient_id=b"PET1", patient_name=b"DOE JANE", study_description=b"brain"))
    assert (facts.magic, facts.file_type, facts.system_type) == ("MATRIX72v", 7, 962)
    assert (facts.patient_id, facts.patient_name, facts.study_description) == ("PET1", "DOE JANE", "brain")
    assert (facts.scan_start_time, facts.dose_start_time) == (1_580_465_700, 1_580_465_000)
    assert (facts.isotope, facts.radiopharmaceutical, facts.facility) == ("F-18", "FDG", "SOMEWHERE")
    assert (facts.acquisition_type, facts.num_planes, facts.num_frames, facts.num_gates) == (3, 2, 3, 1)
    assert facts.frames == ((1, 0.0, 60.0), (2, 60.0, 60.0), (3, 120.0, 60.0))
    assert facts.note == ""
    expected = {
        "originalFileName": "PAT1_1.v",
        "fileType": "7",
        "planeSeparation": "0.2425",
        "dimensions.x": "16",
        "dimensions.z": "2",
        "pixelSize.x": "0.2",
        "dataType": "6",
    }
    assert expected.items() <= facts.parameters.items()


def test_as_nibabel_reads_its_own_file():
    data = TINY.read_bytes()
    facts = read(data)
    with TINY.open("rb") as file:
        image = nibabel_ecat.EcatImage.from_file_map({"header": _holder(file), "image": _holder(file)})
    header, sub = image.header, image.get_subheaders().subheaders[0]
    assert facts.num_frames == header["num_frames"] == len(facts.frames)
    assert facts.scan_start_time == header["scan_start_time"]
    assert facts.study_description == bytes(header["study_description"]).split(b"\0")[0].decode().strip()
    assert float(facts.parameters["transaxialFOV"]) == pytest.approx(float(header["transaxial_fov"]))
    number, start, length = facts.frames[0]
    assert (number, start * 1000, length * 1000) == (1, sub["frame_start_time"], sub["frame_duration"])
    names = {
        "dimensions.x": "x_dimension",
        "pixelSize.z": "z_pixel_size",
        "reconZoom": "recon_zoom",
        "numAngles": "num_angles",
        "processingCode": "corrections_applied",
        "RFilter.code": "rfilter_code",
        "ZFilter.order": "zfilter_order",
        "scatterType": "scatter_type",
        "reconViews": "recon_views",
    }
    for name, field in names.items():
        assert np.float32(facts.parameters[name]) == np.float32(sub[field]), name
    assert facts.note == ""


def _holder(file):
    from nibabel.fileholders import FileHolder

    return FileHolder(fileobj=file)


def test_little_endian_files_are_read_too():
    header = nibabel_ecat.EcatHeader(endianness="<")
    header["patient_id"], header["file_type"], header["num_planes"] = b"LE", 7, 47
    facts = read(header.binaryblock.ljust(RECORD, b"\0"))
    assert (facts.patient_id, facts.file_type, facts.num_planes) == ("LE", 7, 47)


@pytest.mark.parametrize("magic", [b"MATRIX72v", b"MATRIX7011", b"MATRIX70v", b"MATRIX7"])
def test_magics(magic):
    assert read(ecat(magic=magic)).magic == magic.decode()
    assert looks_like_ecat(magic)


def test_others_are_not_ecat_7():
    assert refusal(ecat(magic=b"MATRIX6v")) == "not_ecat"
    assert refusal(b"module counter(input clk);\nendmodule\n" * 30) == "not_ecat"
    assert refusal(b"MATRIX7 is the seventh film of the series, and this is its script. " * 20) == "not_ecat"
    assert not looks_like_ecat(b"")


@pytest.mark.parametrize("length", [8, 100, 511])
def test_cut_in_the_main_header(length):
    assert refusal(ecat()[:length]) == "ecat_truncated"


def test_short_read_of_the_main_header():
    data = ecat()
    with pytest.raises(Unparseable) as refused:
        read_ecat(data[:20], len(data), lambda offset, length: data[offset : offset + 100])
    assert refused.value.code == "ecat_truncated"


@pytest.mark.parametrize(
    ("length", "frames"), [(512, 0), (600, 0), (1024, 0), (1100, 0), (1535, 0), (1536, 1), (1948, 1), (2600, 2)]
)
def test_cut_behind_the_main_header_has_facts_and_a_note(length, frames):
    facts = read(ecat(frames=2)[:length])
    assert facts.patient_id == "PET1"
    assert "cut" in facts.note
    assert len(facts.frames) == frames


def test_the_last_record_need_not_be_filled_up():
    data = bytearray(ecat(frames=2))
    for subheader_at in (1024, 2048):
        struct.pack_into(">h", data, subheader_at + 4, 8)  # half as wide: half of the record is filling
    voxels = 8 * 8 * 2 * 2
    assert read(bytes(data[: 2560 + voxels])).note == ""
    assert read(bytes(data[: 2560 + voxels - 1])).note != ""


def test_file_types_without_image_subheaders_have_no_frames():
    for file_type in (1, 3, 11, 13):
        facts = read(ecat(file_type=file_type))
        assert (facts.file_type, facts.frames, facts.note) == (file_type, (), "")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"a\0b", "a"),
        (b"\0abc", ""),
        (b"\xff" * 16, "\xff" * 16),
        (b"x" * 16, "x" * 16),
        (b"  P 1 ", "P 1"),
        (b"A\x01\nB", "A B"),
        (b"../../x", "../../x"),
        (b"M\xfcller", "Müller"),
    ],
)
def test_texts(raw, expected):
    assert read(ecat(patient_id=raw)).patient_id == expected


@pytest.mark.parametrize("seconds", [0, 1, 2**31, 2**32 - 1])
def test_times_are_unsigned(seconds):
    assert read(ecat(scan_start_time=seconds)).scan_start_time == seconds


def test_numbers_that_are_none_are_left_out():
    facts = read(ecat(plane_separation=float("nan")))
    assert "planeSeparation" not in facts.parameters


def test_65535_frames_claimed_by_the_header():
    facts = read(ecat(num_frames=65_535))
    assert len(facts.frames) == 1
    assert "65535" in facts.note


@pytest.mark.parametrize("following", [2, 1, 0])
def test_normal_ends_of_the_directory(following):
    assert read(ecat(following=following)).note == ""


@pytest.mark.parametrize("following", [-1, -(2**31), 3, 100_000, 2**31 - 1])
def test_wild_pointers_end_the_directory(following):
    facts = read(ecat(following=following))
    assert facts.frames[0] == (1, 0.0, 60.0)
    assert facts.note


def test_a_circle_ends_the_directory():
    image = subheader() + bytes(RECORD)
    data = main_header() + directory({1: (3, 4)}, following=5) + image + directory({2: (3, 4)}, following=6)
    facts = read(data + directory({}, following=5))
    assert "circle" in facts.note
    assert len(facts.frames) == 2


def test_frames_come_in_their_order_and_gates_apart():
    first, second, gate = subheader(start_ms=0), subheader(start_ms=5000), subheader(start_ms=7000)
    matrices = {0x01000002: (4, 4), 0x01000001: (3, 3), 0x02000001: (5, 5), 0x01010001: (5, 5)}
    data = main_header(num_frames=3) + directory(matrices) + first + second + gate
    assert [start for _, start, _ in read(data).frames] == [0.0, 7.0, 5.0]


def test_bed_positions_are_apart_and_planes_are_not():
    matrices = {0x01000001: (3, 3), 0x01001001: (4, 4), 0x01020001: (5, 5)}
    images = [subheader(start_ms=milliseconds) for milliseconds in (0, 5000, 7000)]
    data = main_header(num_frames=2) + directory(matrices) + b"".join(images)
    assert [start for _, start, _ in read(data).frames] == [0.0, 5.0]


def test_deleted_matrices_are_no_frames():
    listed = bytearray(directory({1: (3, 3), 2: (3, 3)}))
    struct.pack_into(">i", listed, 28, 0)
    assert len(read(main_header() + bytes(listed) + subheader()).frames) == 1


def test_a_long_chain_of_directories_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_FRAMES", 100)
    empty = b"".join(directory({}, following=number + 1) for number in range(2, 400))
    reads: list[int] = []
    data = main_header() + empty

    def read_at(offset: int, length: int) -> bytes:
        reads.append(length)
        return data[offset : offset + length]

    facts = read_ecat(data[:RECORD], len(data), read_at)
    assert "goes on" in facts.note
    assert len(reads) <= 100
    assert set(reads) == {RECORD}


def test_damaged_bytes_never_raise_anything_else():
    rng = random.Random(7)
    good = ecat(frames=3)
    came = 0
    for _ in range(3000):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 30)):
            data[rng.randrange(9, 1100)] = rng.randrange(256)
        try:
            facts = read(bytes(data[: rng.randrange(500, len(data))]))
        except Unparseable:
            continue
        came += 1
        assert len(facts.frames) <= 31
    assert came > 2000, "most of it is still read"
