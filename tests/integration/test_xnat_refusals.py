"""What XNAT's dialect says where it refuses something: which thing, and what would be right, as a terminal shows it."""

from __future__ import annotations

import httpx
import pytest

MR = {"xsiType": "xnat:mrSessionData"}
SUBJECT = "/data/projects/P/subjects/S1"
SESSION = f"{SUBJECT}/experiments/E1"
FILES = f"{SESSION}/scans/1/resources/notes/files"


@pytest.fixture
def made(client: httpx.Client) -> httpx.Client:
    """An administrator, and in the project P a session E1 with an empty scan 1."""
    assert client.put(SESSION, params=MR).status_code == 201
    assert client.put(f"{SESSION}/scans/1", params={"xsiType": "xnat:mrScanData", "type": "T1"}).status_code == 200
    return client


WORDS: tuple[tuple[str, dict[str, str], str, str], ...] = (
    (f"{SESSION}/scans/1", {"quality": "foo"}, "quality can't be 'foo'", "usable, questionable or unusable"),
    (f"{SESSION}/scans/1", {"xsiType": "xnat:fooScanData"}, "xnat:fooScanData", "mr, mtl, nm"),
    (f"{SUBJECT}/experiments/E2", {"xsiType": "xnat:fooSessionData"}, "xnat:fooSessionData", "mr, nm, op"),
    (f"{SUBJECT}/experiments/E2", {}, "says no type", "xsiType=xnat:mrSessionData"),
    ("/data/projects/P/experiments/E2", MR, "none is named", "/subjects/{subject}/experiments/"),
    ("/data/projects/P/accessibility/foo", {}, "accessibility can't be 'foo'", "private, protected or public"),
    ("/data/projects/P/prearchive_code/9", {}, "prearchive_code can't be '9'", "0, 4 or 5"),
    ("/data/projects/P/users/Foo/admin", {}, "'Foo'", "Owners, Members, Collaborators"),
    (SESSION, {"date": "foo"}, "date is 'foo'", "YYYY-MM-DD"),
    (f"{SESSION}/scans/1", {"note": "x" * 4001}, "note can't have that value", "at most 4,000 characters"),
    (SESSION, {"note": "a\0b"}, "note can't have that value", "no NUL"),
)


def test_a_refused_word_is_named_with_those_that_would_be_right(made: httpx.Client) -> None:
    for where, said, wrong, right in WORDS:
        told = made.put(where, params=said)
        assert (told.status_code, wrong in told.text, right in told.text) == (400, True, True), told.text


def test_nothing_is_made_of_a_scan_whose_quality_is_refused(made: httpx.Client) -> None:
    told = made.put(f"{SESSION}/scans/2", params={"xsiType": "xnat:mrScanData", "quality": "foo"})
    assert told.status_code == 400
    assert [one["ID"] for one in made.get(f"{SESSION}/scans").json()["ResultSet"]["Result"]] == ["1"]


def test_what_is_not_there_is_told_with_where_to_look(made: httpx.Client) -> None:
    for where, wrong, remedy in (
        (f"{SESSION}/scans/9", "no scan '9'", ".../scans lists them"),
        (f"{SESSION}/scans/1/resources/X", "no resource 'X'", ".../resources lists them"),
        ("/data/services/dicomdump?src=/archive/projects/P/experiments/E1", "no DICOM object", "that has images"),
    ):
        told = made.get(where)
        assert (told.status_code, wrong in told.text, remedy in told.text) == (404, True, True), told.text


# -- names of files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_control_character_in_a_file_s_name_is_told(made: httpx.Client, method: str) -> None:
    for name in ("a%0ab.txt", "a.txt%0a", "%0aa.txt", "a/b%0a/c.txt", "a%0db.txt", "a%09b.txt", "a%7f"):
        told = made.request(method, f"{FILES}/{name}", content=b"1")
        assert (told.status_code, "control character" in told.text) == (400, True), told.text
    assert made.get(f"{SESSION}/files").json()["ResultSet"]["Result"] == []


def test_a_file_is_asked_for_by_its_whole_name(made: httpx.Client) -> None:
    """A line break at the end of an address is part of it: nothing else may be read or deleted in its place."""
    assert made.put(f"{FILES}/a.txt", content=b"1").status_code == 200
    for method in ("GET", "DELETE"):
        told = made.request(method, f"{FILES}/a.txt%0a")
        assert (told.status_code, r"'a.txt\n'" in told.text) == (404, True), told.text
    assert made.get(f"{FILES}/a.txt").content == b"1"
    told = made.put("/data/user/cache/resources/A/files/x%0ay", content=b"1")
    assert (told.status_code, r"'x\ny'" in told.text) == (400, True), told.text
