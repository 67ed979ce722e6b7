"""Archives as streams of bytes: the same from every offset, known again, and not if they were changed."""

from __future__ import annotations

import io
import os
import tarfile

import pytest

from scandock.cli.upload_client.folder import FolderSource
from scandock.cli.upload_client.sources import FileSource, fingerprint
from scandock.cli.upload_client.upload_engine import open_source
from scandock.model.errors import BadInput, Fault

FILES = {
    "b/2.dcm": b"x" * 512,
    "b/empty": b"",
    "a.txt": b"one",
    "b/c/" + "long" * 60 + ".dcm": bytes(range(256)) * 5,
    "ä/ü.dcm": b"y" * 1023,
}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "exam"
    for name, data in FILES.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(data)
    (made / "b" / "link").symlink_to("2.dcm")
    return made


def whole(source):
    return b"".join(source.read(0, source.size))


def test_a_folder_is_a_tar_of_its_files_and_links(folder):
    source = FolderSource(str(folder))
    data = whole(source)
    assert len(data) == source.size
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        contents = {one.name: tar.extractfile(one) for one in tar if one.isfile()}
        found = {name: content.read() for name, content in contents.items() if content is not None}
        assert tar.getmember("b/link").linkname == "2.dcm"
    assert found == FILES


def test_every_part_of_a_folder_is_that_of_the_whole(folder):
    source = FolderSource(str(folder))
    data = whole(source)
    for offset in [*range(0, source.size, 97), source.size - 1025, source.size - 1, source.size]:
        for length in (0, 1, 700, source.size - offset):
            wanted = data[offset : offset + length]
            assert b"".join(source.read(offset, min(length, source.size - offset))) == wanted, (offset, length)


def test_the_same_folder_is_known_again_and_a_changed_one_is_not(folder):
    marks = {fingerprint(FolderSource(str(folder)), {})}
    assert fingerprint(FolderSource(str(folder)), {}) in marks
    os.utime(folder / "a.txt", ns=(1, 1))
    marks.add(fingerprint(FolderSource(str(folder)), {}))
    (folder / "more").write_bytes(b"")
    marks.add(fingerprint(FolderSource(str(folder)), {}))
    marks.add(fingerprint(FolderSource(str(folder)), {"project": "P"}))
    assert len(marks) == 4


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"tw"), lambda path: os.utime(path, ns=(1, 1))])
def test_a_file_of_a_folder_that_is_changed_meanwhile_ends_it(folder, change):
    source = FolderSource(str(folder))
    change(folder / "a.txt")
    with pytest.raises(Fault, match=r"a\.txt' was changed while it was uploaded"):
        whole(source)


def test_a_folder_without_files_is_refused(tmp_path):
    with pytest.raises(BadInput, match="holds no files"):
        open_source(str(tmp_path))


def test_a_file_is_known_by_its_ends_and_its_time(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(bytes(3_000_000))
    os.utime(path, ns=(5, 5))
    with_ends = fingerprint(FileSource(str(path)), {})
    assert fingerprint(FileSource(str(path)), {}) == with_ends
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    os.utime(path, ns=(5, 5))
    changed_end = fingerprint(FileSource(str(path)), {})
    os.utime(path, ns=(6, 6))
    assert len({with_ends, changed_end, fingerprint(FileSource(str(path)), {})}) == 3


@pytest.mark.parametrize("size", [10, 2_000_000])
def test_a_file_that_is_changed_meanwhile_ends_it(tmp_path, size):
    path = tmp_path / "a.zip"
    path.write_bytes(bytes(2_000_000))
    source = FileSource(str(path))
    assert len(b"".join(source.read(5, 1000))) == 1000
    os.truncate(path, size)
    os.utime(path, ns=(1, 1))
    with pytest.raises(Fault, match="was changed while it was uploaded"):
        whole(source)
