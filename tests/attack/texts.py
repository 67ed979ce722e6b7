"""Attacks by texts that a pattern takes long for: one character many thousand times, in every field."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from urllib.parse import quote

from tests.attack.connections import Answers, Deadline, in_turn, repeat
from tests.attack.site import AttackedSite

SPECIAL = "[({<&%\\\"'/ .,:;-_@=*+?|^$~#!\t0a"
XML = {"Content-Type": "application/xml"}


def brackets_in_columns(site: AttackedSite, deadline: Deadline, number: int = 60_000) -> Answers:
    """The columns of a listing of XNAT's dialect, as so many opening brackets."""
    path = "/data/projects/M/experiments?columns=" + "[" * number
    return repeat(lambda: site.status_of("GET", path), deadline, at_once=2)


def long_search_fields(site: AttackedSite, deadline: Deadline, number: int = 60_000) -> Answers:
    """A search whose field, type, comparison or value is one character so many times."""
    bodies = [
        _bundle(**{part: character * number})
        for part in ("element", "field", "schema", "comparison", "value")
        for character in ("[", "x", "/", ".", " ", "%", "-", "0")
    ]
    each = [partial(site.status_of, "POST", "/data/search?format=json", body, headers=XML) for body in bodies]
    return in_turn(each, deadline, at_once=2)


def every_character_in_queries(site: AttackedSite, deadline: Deadline, number: int = 15_000) -> Answers:
    """Fields of queries as one special character so many times, at listings of pages, of the API and of XNAT's dialect.

    A character that is escaped has three bytes in a URL, so that they are fewer than elsewhere.
    """
    routes = (
        "/projects?search={}",
        "/activity?state={}",
        "/api/v1/sessions?search={}",
        "/api/v1/subjects?cursor={}",
        "/data/experiments?date={}",
        "/data/experiments?label={}",
        "/data/prearchive/projects/{}",
        "/data/services/dicomdump?src={}",
        "/login?then={}",
    )
    paths = [route.format(quote(one * number, safe="[({<,")) for one in SPECIAL for route in routes]
    return in_turn([partial(site.status_of, "GET", path) for path in paths], deadline, at_once=2)


def long_names(site: AttackedSite, deadline: Deadline, number: int = 50_000) -> Answers:
    """Names in headers as one character so many times, and in addresses and of uploads as a third of that."""
    each: list[Callable[[], str]] = []
    for character in "[(.-_ 0a":
        text, short = character * number, quote(character * (number // 3))
        each += [
            partial(site.status_of, "GET", f"/data/projects/{short}"),
            partial(site.status_of, "GET", "/", headers={"Accept": text}),
            partial(site.status_of, "GET", "/", headers={"If-None-Match": text}),
            partial(site.status_of, "POST", f"/api/v1/imports?project=M&filename={short}", b"x"),
        ]
    return in_turn(each, deadline, at_once=2)


def _bundle(
    element: str = "xnat:subjectData",
    field: str = "LABEL",
    schema: str = "xnat:subjectData/LABEL",
    comparison: str = "=",
    value: str = "S1",
) -> bytes:
    text = (
        "<bundle><root_element_name>xnat:subjectData</root_element_name>"
        f"<search_field><element_name>{element}</element_name><field_ID>{field}</field_ID></search_field>"
        f"<search_where method='AND'><criteria><schema_field>{schema}</schema_field>"
        f"<comparison_type>{comparison}</comparison_type><value>{value}</value></criteria></search_where></bundle>"
    )
    return text.encode()
