from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scandock.services.stow_errors import RelatedBoundaryMissing, RelatedUnreadable
from scandock.web.receiving.related import PartEventKind, RelatedReader, parse_media_type

BOUNDARY = b"0f-1"


def body_of(*parts: bytes, boundary: bytes = BOUNDARY, before: bytes = b"", after: bytes = b"\r\n") -> bytes:
    body = before
    for content in parts:
        body += b"--" + boundary + b"\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n"
    return body + b"--" + boundary + b"--" + after


def read(
    body: bytes, cuts: list[int] | None = None, boundary: bytes = BOUNDARY
) -> tuple[list[tuple[str, bytes]], bool]:
    """The parts with their media types, and whether the body ended."""
    reader = RelatedReader(boundary)
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts or []), len(body)]
    parts: list[tuple[str, bytes]] = []
    open_part = None
    for start, end in pairwise(edges):
        for event in reader.push(body[start:end]):
            if event.kind is PartEventKind.BEGIN:
                assert open_part is None
                open_part = (event.media_type, b"")
            elif event.kind is PartEventKind.DATA:
                assert open_part is not None
                open_part = (open_part[0], open_part[1] + bytes(event.data))
            else:
                assert open_part is not None
                parts.append(open_part)
                open_part = None
    return parts, reader.ended


@given(
    st.lists(st.binary(max_size=300), max_size=4),
    st.lists(st.integers(0, 10_000), max_size=12),
    st.sampled_from([BOUNDARY, b"x" * 73, b"-", b"a'()+_,-./:=?"]),
    st.sampled_from([b"", b"\r\n", b"\r\n\r\n", b"MIME\r\n--other\r\n"]),
    st.sampled_from([b"", b"\r\n", b"\r\nepilogue"]),
)
def test_however_a_body_is_cut_and_written_its_parts_are_the_same(contents, cuts, boundary, before, after):
    contents = [content.replace(b"\r\n--" + boundary, b"").replace(b"--" + boundary, b"") for content in contents]
    body = body_of(*contents, boundary=boundary, before=before, after=after)
    parts, ended = read(body, cuts, boundary)
    assert parts == [("application/dicom", content) for content in contents]
    assert ended


def test_what_looks_like_a_boundary_within_an_object_stays_in_it():
    content = b"\r\n--0f-2\r\n--0f-\r\n--0f-1x\r\n\r\n-"
    for cut in range(1, 80):
        assert read(body_of(content), [cut])[0] == [("application/dicom", content)]


@pytest.mark.parametrize(
    ("header", "media_type"),
    [
        (b"Content-Type: application/dicom", "application/dicom"),
        (b"content-type:application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90", "application/dicom"),
        (b"CONTENT-TYPE:  Application/DICOM", "application/dicom"),
        (b"Content-Length: 7\r\nContent-Location: /x\r\nContent-Type: application/dicom", "application/dicom"),
        (b"Content-Length: 1", ""),
    ],
)
def test_headers_of_parts_are_read_in_any_case_and_lengths_not_believed(header, media_type):
    body = b"--0f-1\r\n" + header + b"\r\n\r\n0123456789\r\n--0f-1--"
    assert read(body) == ([(media_type, b"0123456789")], True)


def test_a_part_without_headers_is_one():
    assert read(b"--0f-1\r\n\r\nabc\r\n--0f-1--") == ([("", b"abc")], True)


def test_a_body_that_ends_early_has_not_ended():
    whole = body_of(b"abc", b"def", after=b"")
    for length in range(len(whole) - 1):
        assert not read(whole[:length])[1]


@pytest.mark.parametrize(
    "body",
    [
        b"no boundary at all" * 4_000,
        b"--0f-1\r\n" + b"X-Header: 1\r\n" * 33 + b"\r\nabc\r\n--0f-1--",
        b"--0f-1\r\nX-Header: " + b"x" * 70_000 + b"\r\n\r\nabc\r\n--0f-1--",
        b"--0f-1\r\n" + b"x" * 70_000,
        b"--0f-1\r\nbad header\r\n\r\nabc\r\n--0f-1--",
    ],
)
def test_what_is_no_such_body_is_refused(body):
    with pytest.raises(RelatedUnreadable):
        read(body)


@pytest.mark.parametrize("boundary", [b"", b"x" * 257])
def test_a_boundary_has_1_to_256_characters(boundary):
    with pytest.raises(RelatedBoundaryMissing):
        RelatedReader(boundary)


@given(st.binary(max_size=500), st.lists(st.integers(0, 500), max_size=5))
def test_no_bytes_do_anything_but_make_parts_or_be_refused(content, cuts):
    body = b"--0f-1\r\n" + content.replace(b"~", b"\r\n--0f-1")
    with suppress(RelatedUnreadable):
        parts, _ = read(body, cuts)
        assert sum(len(data) for _, data in parts) <= len(body)


def test_media_types_are_read_quoted_or_not():
    for header in (
        'multipart/related; type="application/dicom"; boundary="b 1"',
        'Multipart/Related; Boundary="b 1";type=application/dicom',
    ):
        media_type, options = parse_media_type(header)
        assert (media_type, options["type"], options["boundary"]) == ("multipart/related", "application/dicom", "b 1")


def test_what_stands_before_the_first_boundary_is_no_part():
    assert read(b"--other\r\n\r\nabc\r\n--other--") == ([], False)
    assert read(b"a --0f-1\r\n" + body_of(b"abc")) == ([("application/dicom", b"abc")], True)
