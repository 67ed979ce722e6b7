"""What a document says of a thing, as pairs of a query: within what was sent, whatever its elements are called."""

from __future__ import annotations

from scandock.web.xnat.documents import _iter_fields
from scandock.web.xnat.services.xml_parsing import parse_xml


def test_long_names_around_many_short_ones_make_no_more_than_was_sent() -> None:
    long = "".join(f"<{name * 4_000}>" for name in "abcdefghij")
    end = "".join(f"</{name * 4_000}>" for name in reversed("abcdefghij"))
    body = f"<MRSession><note>n</note>{long}{'<x>1</x>' * 10_000}{end}<date>2024-02-29</date></MRSession>".encode()
    found = list(_iter_fields(parse_xml(body, "The document", "")))
    assert {("note", "n"), ("date", "2024-02-29")} <= set(found)
    assert sum(len(path) for path, _ in found) < len(body)
