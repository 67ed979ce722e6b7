"""What clients of DICOMweb send as Accept is understood, however they write it."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from scandock.web.dicomweb.accept import MediaRange, parse_accept, parse_ranges, takes_json

OCTETS = "application/octet-stream"


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("", [MediaRange("*/*")]),
        ("*/*", [MediaRange("*/*")]),
        ("*", [MediaRange("*/*")]),
        (f"multipart/related; type={OCTETS}; transfer-syntax=*", [MediaRange(OCTETS, True, ("*",))]),
        (f'multipart/related; type="{OCTETS}"; transfer-syntax="*"', [MediaRange(OCTETS, True, ("*",))]),
        (f"multipart/related;type='{OCTETS}'", [MediaRange(OCTETS, True)]),
        ('multipart/related; type="*/*"', [MediaRange("*/*", True)]),
        ("multipart/related", [MediaRange("*/*", True)]),
        (
            'Multipart/Related; TYPE="image/JP2"; Transfer-Syntax=1.2.840.10008.1.2.4.90',
            [MediaRange("image/jp2", True, ("1.2.840.10008.1.2.4.90",))],
        ),
        (
            'multipart/related; type="image/jls"; transfer-syntax=1.2.3; transfer-syntax=1.2.4; transfer-syntax=1.2.3',
            [MediaRange("image/jls", True, ("1.2.3", "1.2.4"))],
        ),
        (
            'multipart/related; type="image/jpeg, image/x"; q=0.5, image/png;q=0.9, ;;, nonsense, a b/c',
            [MediaRange("image/png", weight=0.9), MediaRange("image/jpeg", True, weight=0.5)],
        ),
        ('multipart/related; type="nonsense", multipart/related; type=nonsense; transfer-syntax=*', []),
        ("multipart/related; type=*, multipart/related; type=", [MediaRange("*/*", True), MediaRange("*/*", True)]),
        ("application/dicom;q=0, image/*; q=zero", [MediaRange("image/*")]),
        ('a/b; type="unended', [MediaRange("a/b")]),
    ],
)
def test_a_header_is_read(text, ranges):
    assert parse_ranges(text) == ranges


def request_of(query: bytes, accept: str = "") -> Request:
    headers = [(b"accept", accept.encode())] if accept else []
    return Request({"type": "http", "method": "GET", "query_string": query, "headers": headers})


@pytest.mark.parametrize(
    "query",
    [
        b"accept=application/dicom+json",
        b"x=1&accept=application%2Fdicom%2Bjson",
        b"Accept=application/dicom%2bjson;q=0.3&b",
    ],
)
def test_the_query_goes_before_the_header(query):
    ranges = parse_accept(request_of(query, "image/png"))
    assert [one.media_type for one in ranges] == ["application/dicom+json"]
    assert takes_json(ranges)


def test_the_header_counts_where_the_query_says_nothing():
    assert parse_accept(request_of(b"accept=&x=accept", "image/png")) == [MediaRange("image/png")]


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("application/dicom+json, application/json", True),
        ("application/json", True),
        (f"multipart/related; type={OCTETS}, application/dicom+json", True),
        ("text/html, */*;q=0.1", True),
        ("application/*", True),
        ('multipart/related; type="application/dicom+xml"', False),
        ("application/dicom+xml", False),
        ("application/json;q=0", False),
    ],
)
def test_json_is_taken_where_it_stands_among_others(text, taken):
    assert takes_json(parse_ranges(text)) is taken


def test_endless_headers_are_read_in_part():
    assert len(parse_ranges(",".join(f"a/b{n}" for n in range(5000)))) == 100


def test_a_range_takes_what_it_names():
    assert MediaRange("image/*").takes("image/jls")
    assert not MediaRange("image/*").takes("application/dicom")
    assert MediaRange("*/*").takes("application/dicom")
