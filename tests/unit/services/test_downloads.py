"""Ranges, names and types of downloads."""

from __future__ import annotations

import pytest

from scandock.model.errors import Usage
from scandock.services.downloads import content_disposition, media_type, parse_byte_range


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
