from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scandock.model.errors import Usage
from scandock.web.receiving.multipart import FormReader
from scandock.web.receiving.raw import API_FIELDS
from scandock.web.receiving.upload_fields import FieldDialect

BOUNDARY = b"xyz"


def part(disposition: str, body: bytes) -> bytes:
    return b"--xyz\r\nContent-Disposition: form-data; " + disposition.encode() + b"\r\n\r\n" + body + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--xyz--\r\n"


def read(
    body: bytes, cuts: list[int] | None = None, speech: FieldDialect = API_FIELDS
) -> tuple[FormReader, bytes, list[str]]:
    """The reader after the whole body, the archive's bytes, and the events that were none of bytes."""
    reader = FormReader(BOUNDARY, dialect=speech)
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts or []), len(body)]
    events = [event for start, end in pairwise(edges) for event in reader.push(body[start:end])]
    archive = b"".join(value for kind, value in events if kind == "bytes" and isinstance(value, bytes))
    return reader, archive, [kind for kind, _ in events if kind != "bytes"]


@given(st.binary(max_size=400), st.lists(st.integers(0, 10_000), max_size=12))
def test_however_the_body_is_cut_the_archive_is_the_same(content, cuts):
    content = content.replace(b"--xyz", b"").replace(b"\r\n--", b"")
    body = form(
        part('name="subject"', b"S1"), part('name="file"; filename="a.zip"', content), part('name="session"', b"L")
    )
    reader, archive, events = read(body, cuts)
    assert archive == content
    assert reader.fields == {"subject": "S1", "session": "L"}
    assert events == ["archive", "end"]
    assert reader.ended


def test_a_mapping_may_be_a_file_of_its_own():
    body = form(
        part('name="mapping"; filename="m.csv"', "folder,subject\na,Jürgen".encode("cp1252")),
        part('name="image"; filename="a.zip"', b"PK"),
    )
    reader, archive, _ = read(body)
    assert archive == b"PK"
    assert reader.fields == {"mapping": "folder,subject\na,Jürgen"}


@pytest.mark.parametrize("name", ["", "a.zip"])
def test_a_file_part_without_a_byte_is_a_file_unless_the_door_says_that_it_is_none(name):
    empty = part(f'name="image"; filename="{name}"', b"")
    assert read(form(empty))[2] == ["archive", "end"]
    none = FieldDialect(empty_files=False)
    assert read(form(empty, part('name="subject"', b"S1")), speech=none)[2] == []
    for cuts in ([], list(range(300))):
        body = form(empty, part('name="b"; filename="b.zip"', b"PK"), empty)
        _, archive, events = read(body, cuts, none)
        assert (archive, events) == (b"PK", ["archive", "end"])


def test_two_archives_are_one_too_many():
    body = form(part('name="a"; filename="a.zip"', b"1"), part('name="b"; filename="b.zip"', b"2"))
    with pytest.raises(Usage) as refused:
        read(body)
    assert refused.value.code == "multipart_files"


@pytest.mark.parametrize("fields", [[("projct", b"P")], [("project", b"P"), ("project", b"Q")]])
def test_a_field_that_means_nothing_or_comes_twice_is_refused(fields):
    with pytest.raises(Usage) as refused:
        read(form(*(part(f'name="{name}"', value) for name, value in fields)))
    assert refused.value.code == "request_invalid"


@pytest.mark.parametrize("body", [b"no boundary at all", b"--xyz\r\nX: y\r\n\r\nz\r\n--xyz--\r\n"])
def test_what_is_no_form_is_refused(body):
    with pytest.raises(Usage) as refused:
        read(body)
    assert refused.value.code == "multipart_damaged"


def test_a_form_that_was_cut_is_known():
    whole = form(part('name="a"; filename="a.zip"', b"1" * 50))
    reader, _, _ = read(whole[:-8])
    assert not reader.ended


def test_a_field_does_not_fill_the_memory():
    with pytest.raises(Usage) as refused:
        read(form(part('name="project"', b"x" * (17 * 1024 * 1024))))
    assert refused.value.code == "field_too_large"


def test_many_parts_and_a_large_mapping_are_told_what_the_limit_is():
    with pytest.raises(Usage, match="more than 64 parts") as refused:
        FormReader(BOUNDARY, several=True).push(form(*(part('name="f"; filename="a"', b"") for _ in range(65))))
    assert refused.value.code == "multipart_damaged"
    assert "multipart/form-data" not in refused.value.remedy
    with pytest.raises(Usage, match="The mapping has more than 16 MiB") as refused:
        read(form(part('name="mapping"; filename="m.csv"', b"x" * (17 * 1024 * 1024))))
    assert refused.value.code == "body_too_large"
