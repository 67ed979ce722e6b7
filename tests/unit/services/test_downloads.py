"""Ranges, names and types of downloads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, cast

import pytest

from scandock.model.errors import Usage
from scandock.services.downloads import FileDownload, content_disposition, media_type, parse_byte_range
from scandock.store.bucket import Bucket
from scandock.store.file_places import FilePlace
from scandock.store.paths import parse_tree, unchecked_path
from scandock.store.s3_trees import LARGE_BLOCK, S3Snapshot


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("", None),
        ("bytes=0-0", (0, 1)),
        ("bytes=2-5", (2, 4)),
        ("bytes=9-", (9, 1)),
        ("bytes=-3", (7, 3)),
        ("bytes=-30", (0, 10)),
        ("bytes=2-50", (2, 8)),
        ("bytes=5-2", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=0-1,3-4", None),
        ("Bytes=0-1", None),
        ("bytes=" + "9" * 30 + "-", None),
    ],
)
def test_ranges(header, expected):
    assert parse_byte_range(header, 10) == expected


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-1", 0)])
def test_ranges_beyond(header, size):
    with pytest.raises(Usage) as caught:
        parse_byte_range(header, size)
    assert caught.value.code == "range_unsatisfiable"


@pytest.mark.parametrize("name", ["a.dcm", 'a"b', "a\r\nSet-Cookie: x", "ü.txt", "", "a;b", "%41", "\\x"])
def test_a_name_can_not_break_out_of_its_header(name):
    header = content_disposition(name)
    header.encode("ascii")
    assert header.startswith('attachment; filename="')
    assert header.count('"') == 2
    assert not any(c in header for c in "\r\n\\")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0" * 128 + b"DICM", "application/dicom"),
        (b"%PDF-1.4", "application/pdf"),
        (b"<html><script>", "text/plain; charset=utf-8"),
        (b"<svg onload=x>", "text/plain; charset=utf-8"),
        ("grüße".encode() * 900, "text/plain; charset=utf-8"),
        (b"\xff\xfe\0", "application/octet-stream"),
        (b"", "application/octet-stream"),
        (b"PK\x03\x04", "application/zip"),
    ],
)
def test_types_are_by_content(head, kind):
    assert media_type(head[:4096]) == kind


LARGE = 20 * 1024 * 1024 + 5


class OneObject(Bucket):
    """A bucket with one large object, of nothing but zeros."""

    def __init__(self) -> None:
        super().__init__("memory")
        self.asked: list[tuple[int, int]] = []

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        assert key == "v1/f/large"
        assert offset + length <= LARGE
        self.asked.append((offset, length))
        return bytes(length)


class OnePlace:
    def around(self, number: int, path: str) -> list[FilePlace]:
        del number, path
        return [FilePlace(path=unchecked_path("large"), object="v1/f/large", offset=0, length=LARGE)]


class AllowAll:
    def each(self, holder: object, chunks: object) -> object:
        del holder
        return chunks


def download(bucket: Bucket, begin: bytes = b"") -> FileDownload:
    snapshot = S3Snapshot(bucket, cast("Any", OnePlace()), parse_tree("archive/P/S"), 1)
    return FileDownload(
        name="large", size=LARGE, sha256="0", media_type="application/dicom", modified=0, _snapshot=snapshot,
        _path=unchecked_path("large"), _holder=cast("Any", None), _access=cast("Any", AllowAll()),
        _begin=begin,
    )  # fmt: skip


def test_of_a_bucket_only_the_range_is_read():
    bucket = OneObject()
    assert list(download(bucket).chunks(7, 1)) == [b"\0"]
    assert bucket.asked == [(7, 1)]


@pytest.mark.parametrize(
    ("offset", "length", "given", "asked"),
    [(0, 3, b"abc", []), (1, 2, b"bc", []), (3, 3, b"d\0\0", [(4, 2)]), (5, 2, b"\0\0", [(5, 2)]), (0, 0, b"", [])],
)
def test_what_was_read_to_tell_the_type_is_not_read_again(offset, length, given, asked):
    bucket = OneObject()
    assert b"".join(cast("Iterator[bytes]", download(bucket, b"abcd").chunks(offset, length))) == given
    assert bucket.asked == asked


def test_a_large_file_of_a_bucket_is_read_once_by_small_pieces_and_few_threads():
    bucket = OneObject()
    before, most, got = threading.active_count(), 0, 0
    for chunk in download(bucket).chunks(5, 12 * 1024 * 1024):
        got += len(cast("bytes", chunk))
        most = max(most, threading.active_count() - before)
    assert got == 12 * 1024 * 1024
    assert most <= 3
    assert max(length for _, length in bucket.asked) <= LARGE_BLOCK
    assert sum(length for _, length in bucket.asked) == got + 5  # nothing twice, nothing behind it
