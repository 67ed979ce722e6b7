"""What a person reads where an archive, or a part of it, could not be taken."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.integration.in_process import call_in_process
from tests.integration.test_cli_import import CT, MR, packed


def encrypted() -> bytes:
    """A zip whose only entry, q.dcm, is marked as encrypted."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("q.dcm", MR.read_bytes())
    data = bytearray(file.getvalue())
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def told(tmp_path: Path, archive: Path) -> str:
    return call_in_process("inspect", archive, TMPDIR=str(tmp_path)).stdout


def test_an_entry_is_named_once_and_by_its_whole_path(tmp_path: Path) -> None:
    (tmp_path / "enc.zip").write_bytes(encrypted())
    outer = packed(tmp_path / "outer.zip", {"1.dcm": CT.read_bytes(), "enc.zip": encrypted()})
    assert "refused: The entry 'q.dcm' is encrypted." in told(tmp_path, tmp_path / "enc.zip")
    assert "refused: The entry 'enc.zip!q.dcm' is encrypted." in told(tmp_path, outer)
    (tmp_path / "text.gz").write_bytes(gzip.compress(b"hello"))
    assert "text.gz refused: It is compressed, but holds neither" in told(tmp_path, tmp_path / "text.gz")
    (tmp_path / "cut.xz").write_bytes(lzma.compress(b"hello" * 20)[:40])
    assert "cut.xz refused: The archive is cut short" in told(tmp_path, tmp_path / "cut.xz")


@pytest.mark.parametrize(("suffix", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_a_compressed_image_is_called_so(tmp_path: Path, suffix, pack) -> None:
    archive = packed(tmp_path / "a.zip", {f"1.dcm.{suffix}": pack(MR.read_bytes())})
    receipt = tmp_path / "receipt.jsonl"
    assert call_in_process("inspect", archive, "--receipt", receipt).returncode == 0
    assert json.loads(receipt.read_text())["message"] == "Stored unpacked: it was a compressed image."


def test_an_inner_archive_of_no_bytes_and_an_empty_tar_are_empty(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"1.dcm": MR.read_bytes(), "in.zip": b""})
    assert "'in.zip' was refused (empty_archive): It is empty" in told(tmp_path, archive)
    with tarfile.open(tmp_path / "none.tar", "w"):
        pass
    assert "none.tar refused: It is an empty tar." in told(tmp_path, tmp_path / "none.tar")


def test_images_in_resource_folders_are_said_to_be_none(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"S/resources/NIFTI/files/1.dcm": MR.read_bytes()})
    text = told(tmp_path, archive)
    assert "Files in resource folders ('resources/NIFTI/files') don't count as images" in text
    assert "also where they are DICOM" in text


def test_a_database_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"1.dcm": MR.read_bytes()})
    url = "postgresql+psycopg://nobody:secret@127.0.0.1:1/none"
    done = call_in_process("import", archive, "--data", tmp_path / "data", SCANDOCK_DATABASE_URL=url)
    assert done.returncode == 1
    (line,) = done.stdout.splitlines()
    assert "\\x0" not in line
    assert "?." not in line
    assert "secret" not in line
