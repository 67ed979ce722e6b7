"""The archives of bad input are what they claim to be: sound where they should be, broken where they should be."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests import badinput
from tests.badinput import bombs, ecat, objects, packing, tars, whole_files, zips
from tests.badinput.case import Case

pytestmark = pytest.mark.long

IMAGES = ("stored", "conflict")
SOUND_ZIPS = (
    "dicom_with_odd_suffixes.zip",
    "ecat_types.zip",
    "bundle_same_study_twice.zip",
    "zip_method_bzip2.zip",
    "zip_method_lzma.zip",
    "name_utf8_flag.zip",
    "name_cp437.zip",
    "zip_comment_65535.zip",
    "zip_data_descriptors.zip",
    "zip_data_descriptors_no_signature.zip",
    "zip_data_descriptors_stored.zip",
    "zip_prepended_data.zip",
    "zip_prepended_offsets_not_adjusted.zip",
    "zip_split_marker.zip",
    "zip_two_concatenated.zip",
    "zip_zip64.zip",
    "zip_zip64_extra_on_entries.zip",
)
SOUND_TARS = (
    "plain.tar",
    "tar_bz2.tar.bz2",
    "tar_xz.tar.xz",
    "tar_setuid.tar.gz",
    "tar_gnu_long_names.tar.gz",
    "tar_pax_long_utf8_names.tar.gz",
    "tgz_concatenated_members.tar.gz",
)


def _case(name: str) -> Case:
    return next(case for case in badinput.CASES if case.name == name)


def _contents(archive: bytes) -> Iterator[bytes]:
    """What Python's zipfile reads, also in zips within, the CRC of each checked."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        for info in opened.infolist():
            data = opened.read(info)
            yield data
            if data.startswith(b"PK\3\4"):
                yield from _contents(data)


def _hashes(pieces: Iterator[bytes]) -> set[str]:
    return {objects.sha256(piece) for piece in pieces}


@cache
def _built(number: int) -> tuple[int, bytes]:
    """Of one of the cases, some of which take a second to build: how many objects are kept, the archive's digest."""
    made = badinput.CASES[number].build()
    return len(set(made.keep)), hashlib.sha256(made.archive).digest()


def test_the_expected_number_of_images_is_the_number_of_kept_ones(subtests: pytest.Subtests) -> None:
    for number, case in enumerate(badinput.CASES):
        with subtests.test(case.id):
            kept = _built(number)[0] if case.section != "bomb" else None
            for run in case.runs:
                images = sum(run.counts.get(verdict, 0) for verdict in IMAGES)
                if run.state == "refused":
                    assert images == 0
                else:
                    assert kept in {None, images}
                    assert sum(map(sum, run.sessions)) == images


def test_ids_and_files_are_told_apart() -> None:
    assert len({case.id for case in badinput.CASES}) == len(badinput.CASES)
    assert len({(case.section, case.file_name) for case in badinput.CASES}) == len(badinput.CASES)


def test_another_process_with_other_hashes_writes_the_same_bytes(tmp_path: Path, project_root: Path) -> None:
    command = [sys.executable, "-m", "tests.badinput", str(tmp_path)]
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Pacific/Auckland"}
    subprocess.run(command, cwd=project_root, env=environment, check=True, stdout=subprocess.DEVNULL)
    for number, case in enumerate(badinput.CASES):
        written = (tmp_path / case.section / case.file_name).read_bytes()
        assert hashlib.sha256(written).digest() == _built(number)[1], case.id


def test_zipfile_reads_the_sound_zips(subtests: pytest.Subtests) -> None:
    for name in SOUND_ZIPS:
        with subtests.test(name):
            made = _case(name).build()
            assert set(made.keep) <= _hashes(_contents(made.archive))


def test_tarfile_reads_the_sound_tars(subtests: pytest.Subtests) -> None:
    for name in SOUND_TARS:
        with subtests.test(name):
            made = _case(name).build()
            with tarfile.open(fileobj=io.BytesIO(made.archive)) as opened:
                read = [opened.extractfile(member).read() for member in opened if member.isfile()]  # type: ignore[union-attr]
            assert _hashes(iter(read)) == set(made.keep)


def test_pydicom_reads_the_images() -> None:
    import pydicom

    image = objects.Image(case="read", number=3, patient_id=b"ID 1", modality=b"PT")
    read = pydicom.dcmread(io.BytesIO(image.file()))
    assert read.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert read.file_meta.MediaStorageSOPInstanceUID == read.SOPInstanceUID == image.sop_uid.decode()
    assert (read.PatientID, read.Modality, read.InstanceNumber) == ("ID 1", "PT", 3)
    assert read.StudyInstanceUID == image.study_uid.decode()
    assert read.pixel_array.shape == (4, 4)


def test_nibabel_reads_the_ecat_files() -> None:
    from nibabel.ecat import EcatImage

    file = ecat.ecat(frames=2, patient_id=b"WHO")
    assert len(file) == 1024 + 2 * 1024
    stream = {"header": io.BytesIO(file), "image": io.BytesIO(file)}
    read = EcatImage.from_file_map({key: _holder(value) for key, value in stream.items()})
    assert read.shape == (16, 8, 2, 2)
    assert bytes(read.header["patient_id"]).rstrip(b"\0") == b"WHO"


def _holder(stream: io.BytesIO) -> object:
    from nibabel.fileholders import FileHolder

    return FileHolder(fileobj=stream)


def test_methods_that_zipfile_lacks_can_be_read_by_their_own_libraries() -> None:
    import inflate64
    import zstandard

    data = b"\0\1\2\3\0\1\0\7" * 20_000
    assert bytes(inflate64.Inflater().inflate(packing.pack(zips.DEFLATE64, data))) == data
    assert zstandard.ZstdDecompressor().decompress(packing.pack(zips.ZSTD, data)) == data


def test_the_password_opens_the_encrypted_zip() -> None:
    with zipfile.ZipFile(io.BytesIO(_case("zip_encrypted_zipcrypto.zip").build().archive)) as opened:
        opened.setpassword(b"secret")
        assert opened.testzip() is None


def test_the_quoting_bomb_keeps_its_promise() -> None:
    archive = bombs.overlap_quoted().archive
    infos = zipfile.ZipFile(io.BytesIO(archive)).infolist()
    assert sum(info.file_size for info in infos) > 2_000_000_000
    assert max(info.file_size / info.compress_size for info in infos) < 1032
    first = infos[0]
    body = archive[first.header_offset + 30 + len(first.filename) :]
    data = zlib.decompressobj(-15).decompress(body)
    assert (len(data), zlib.crc32(data)) == (first.file_size, first.CRC)


def test_the_nest_of_zips_goes_down_six_levels_to_64_mib() -> None:
    data, depth = bombs.forty_two().archive, 0
    while data.startswith(b"PK\3\4"):
        with zipfile.ZipFile(io.BytesIO(data)) as opened:
            assert len(opened.infolist()) == (16 if depth < 5 else 1)
            data, depth = opened.read(opened.infolist()[-1]), depth + 1
    assert (depth, len(data)) == (6, 64 << 20)


def test_the_dull_image_hashes_to_what_it_unpacks_to() -> None:
    made = bombs.dull_image()
    digest, size = hashlib.sha256(), 0
    with zipfile.ZipFile(io.BytesIO(made.archive)) as opened, opened.open("dull.dcm") as stream:
        while chunk := stream.read(1 << 22):
            digest.update(chunk)
            size += len(chunk)
    assert size > 512 << 20
    assert digest.hexdigest() == made.keep[-1]


def test_the_gzip_of_a_gibibyte_is_whole() -> None:
    packer, size, crc = zlib.decompressobj(-15), 0, 0
    archive = bombs.tgz_of_zeros().archive
    data = archive[10:]
    while not packer.eof:
        piece = packer.decompress(data, 1 << 24)
        size, crc, data = size + len(piece), zlib.crc32(piece, crc), packer.unconsumed_tail
    assert packer.eof
    assert packer.unused_data == tars.gzip_trailer(crc, size)
    assert size > bombs.GIB


def test_cuts_fall_where_the_table_has_them() -> None:
    whole = whole_files.sized_zip()
    assert len(whole) == whole_files.ZIP_SIZE == 1679
    assert whole.index(b"PK\5\6") == 1657
    assert zipfile.ZipFile(io.BytesIO(whole)).testzip() is None


def test_the_sparse_member_claims_a_tebibyte() -> None:
    with tarfile.open(fileobj=io.BytesIO(_case("tar_gnu_sparse_1TiB.tar.gz").build().archive)) as opened:
        assert opened.getmember("good/sparse.dcm").size == 1 << 40


def test_special_members_are_what_they_are_called() -> None:
    for name, ask in (
        ("tar_fifo", "isfifo"),
        ("tar_blockdev", "isblk"),
        ("tar_chardev", "ischr"),
        ("tar_symlink", "issym"),
        ("tar_hardlink", "islnk"),
    ):
        with tarfile.open(fileobj=io.BytesIO(_case(f"{name}.tar.gz").build().archive)) as opened:
            assert sum(getattr(member, ask)() for member in opened) == 1, name
