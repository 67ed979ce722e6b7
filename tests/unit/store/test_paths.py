"""Names and relpaths: only what is made of allowed pieces, and it always stays where it belongs."""

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scandock.store import paths

STAMP = "20260102_030405678"
texts = st.text(st.characters(codec="utf-8") | st.sampled_from("./\\\0\n~ -_aZ9"), max_size=300)


def test_names_are_built_and_taken_apart():
    archived = paths.archive("P-1", "L_2")
    waiting = paths.prearchive("P-1", STAMP, "L_2")
    assert archived == "archive/P-1/L_2"
    assert waiting == f"prearchive/P-1/{STAMP}/L_2"
    own = paths.resources("P-1", "project")
    assert own == "resources/P-1/project"
    assert paths.parse(archived) == ("archive", "P-1", None, "L_2")
    assert paths.parse(own) == ("resources", "P-1", None, "project")
    assert paths.parse(waiting) == ("prearchive", "P-1", STAMP, "L_2")


def test_a_deleted_project_has_its_number_behind_a_tilde():
    aside = paths.archive("P-1~17", "L_2")
    assert paths.parse(aside) == ("archive", "P-1~17", None, "L_2")
    assert paths.parse(paths.resources("P~1", "project")).project == "P~1"
    assert paths.parse(paths.prearchive("P~1", STAMP, "L")).project == "P~1"
    for text in ("~1", "P~", "P~x", "P~1~2", "~", "P~1/L"):
        with pytest.raises(ValueError, match="not a"):
            paths.archive(text, "L")
    with pytest.raises(ValueError, match="not a label"):
        paths.archive("P", "L~1")


def test_files_are_built_as_the_uploader_documents_them():
    assert paths.scan_file("4-MR1", "DICOM", "1.2.3.dcm") == "scans/4-MR1/resources/DICOM/files/1.2.3.dcm"
    assert paths.session_file("physio", "run 1/log.txt") == "resources/physio/files/run 1/log.txt"


@pytest.mark.parametrize("text", ["", ".", "..", "a.b", "a b", "a/b", "ä", "a\n", "a\0", "x" * 129])
def test_what_is_no_label(text):
    for build in (
        paths.label,
        lambda label: paths.archive(label, "L"),
        lambda label: paths.archive("P", label),
        lambda label: paths.resources(label, "project"),
        lambda label: paths.resources("P", label),
        lambda label: paths.prearchive(label, STAMP, "L"),
        lambda label: paths.prearchive("P", STAMP, label),
        lambda label: paths.scan_file("1", label, "f"),
        lambda label: paths.session_file(label, "f"),
    ):
        with pytest.raises(ValueError, match="not a label"):
            build(text)


@pytest.mark.parametrize("text", ["", ".", "..", ".1", "a/b", "1 2", "x" * 129])
def test_what_is_no_scan_id(text):
    with pytest.raises(ValueError, match="not a scan id"):
        paths.scan_file(text, "DICOM", "f")


def test_scan_ids_may_hold_dots():
    assert paths.scan_id("4-MR1.2") == "4-MR1.2"


@pytest.mark.parametrize(
    "text",
    ["", "20260102", "20260102_03040", "20260102-030405678", STAMP + "0", "2026010a_030405678", "../../../../../../"],
)
def test_what_is_no_timestamp(text):
    with pytest.raises(ValueError, match="not a prearchive timestamp"):
        paths.prearchive("P", text, "L")


@pytest.mark.parametrize(
    "text", ["archive/P/L/", "/archive/P/L", "Archive/P/L", "archive/P/L\n", f"prearchive/P/{STAMP}"]
)
def test_what_is_no_name(text):
    with pytest.raises(ValueError, match="not "):
        paths.parse(text)


@given(texts)
def test_a_name_is_rebuilt_from_its_parts_or_refused(text):
    for candidate in (text, f"archive/P/{text}", f"archive/{text}/L", f"prearchive/P/{text}/L", f"resources/P/{text}"):
        try:
            place = paths.parse(candidate)
        except ValueError:
            continue
        parts = (place.area, place.project, place.timestamp, place.session)
        assert "/".join(part for part in parts if part is not None) == candidate


@given(texts)
def test_a_relpath_stays_below_its_folder_or_is_refused(text):
    try:
        paths.relpath(text)
    except ValueError:
        return
    assert posixpath.normpath(posixpath.join("/base/tree", text)) == f"/base/tree/{text}"
    assert len(text.encode()) <= paths.MAX_PATH_BYTES
    assert all(0 < len(piece.encode()) <= 255 for piece in text.split("/"))
    assert text.isprintable() or not any(c < " " or c in "\x7f\\" for c in text)
    assert "/".join(filter(None, paths.split(text))) == text


@given(st.text(min_size=1, max_size=40))
def test_split_and_relpath_refuse_the_same_single_pieces(text):
    def outcome(check):
        try:
            return check(text)
        except ValueError:
            return None

    if "/" not in text:
        assert (outcome(paths.split) is None) == (outcome(paths.relpath) is None)


def test_paths_have_an_end():
    paths.relpath("/".join(["a"] * paths.MAX_LEVELS))
    with pytest.raises(ValueError, match="levels"):
        paths.relpath("/".join(["a"] * (paths.MAX_LEVELS + 1)))
    paths.relpath("/".join(["é" * 100] * 5))
    with pytest.raises(ValueError, match="bytes"):
        paths.relpath("/".join(["é" * 100] * 6))
    with pytest.raises(ValueError, match="over 255 bytes"):
        paths.piece("é" * 128)
