"""Folders of the server: nothing outside of those that are allowed is read or removed."""

from __future__ import annotations

import io
import os
import tarfile
import time
from pathlib import Path

import pytest

from scandock.web.xnat.services.inbox_folders import (
    find_inbox_path,
    is_readable,
    pack_tar,
    read_file_clock,
    remove_files,
)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    (folder / "P" / "S1" / "deep").mkdir(parents=True)
    (folder / "P" / "S1" / "a.dcm").write_bytes(b"a")
    (folder / "P" / "S1" / "deep" / "b.dcm").write_bytes(b"bb")
    (tmp_path / "secret").write_bytes(b"secret")
    return folder


def packed(inbox: Path, path: str) -> dict[str, bytes]:
    place = find_inbox_path([str(inbox)], path)
    assert place is not None
    raw = io.BytesIO()
    count = pack_tar(place, raw)
    raw.seek(0)
    with tarfile.open(fileobj=raw) as tar:
        found = {one.name: tar.extractfile(one).read() for one in tar}  # type: ignore[union-attr]
    assert len(found) == count
    return found


def test_a_folder_s_files_are_packed_by_their_names_below_it(inbox: Path) -> None:
    assert packed(inbox, f"{inbox}/P/S1") == {"a.dcm": b"a", "deep/b.dcm": b"bb"}
    assert packed(inbox, f"{inbox}/P//S1/./deep/") == {"b.dcm": b"bb"}
    assert packed(inbox, f"{inbox}/P/S1/a.dcm") == {"a.dcm": b"a"}


def test_names_of_any_bytes_and_length_are_packed(inbox: Path) -> None:
    odd = os.fsencode(f"{inbox}/P/S1/") + b"\xff\xfe " + b"n" * 200
    with open(odd, "wb") as file:
        file.write(b"odd")
    assert b"odd" in packed(inbox, f"{inbox}/P/S1").values()


@pytest.mark.parametrize(
    "path",
    ["", "P/S1", "/", "/etc", "{inbox}", "{inbox}/", "{inbox}/../secret", "{inbox}x/P", "{inbox}/P/../../secret"],
)
def test_what_does_not_lie_below_is_no_place(inbox: Path, path: str) -> None:
    assert find_inbox_path([str(inbox)], path.format(inbox=inbox)) is None
    assert find_inbox_path([str(inbox)], f"{inbox}/P\0/S1") is None


def test_an_allowed_folder_may_itself_be_a_link_but_nothing_below_it(inbox: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(inbox)
    for path in (f"{tmp_path}/link/P/S1", f"{inbox}/P/S1"):
        place = find_inbox_path([str(tmp_path / "link")], path)
        assert place is not None
        assert is_readable(place)
    (inbox / "P" / "out").symlink_to(tmp_path)
    (inbox / "P" / "S1" / "link.dcm").symlink_to(tmp_path / "secret")
    (inbox / "P" / "S1" / "folder").symlink_to(tmp_path)
    os.mkfifo(inbox / "P" / "S1" / "pipe")
    for path in ("P/out", "P/out/secret", "P/S1/link.dcm", "P/S1/pipe", "P/S1/nothing"):
        place = find_inbox_path([str(inbox)], f"{inbox}/{path}")
        assert place is not None
        assert not is_readable(place), path
    assert packed(inbox, f"{inbox}/P/S1") == {"a.dcm": b"a", "deep/b.dcm": b"bb"}


def test_what_was_packed_is_removed_and_folders_that_are_empty_then(inbox: Path) -> None:
    place = find_inbox_path([str(inbox)], f"{inbox}/P/S1")
    assert place is not None
    later = time.time_ns() + 10**10
    assert remove_files(place, ["a.dcm"], later) == 1
    assert (inbox / "P" / "S1" / "deep" / "b.dcm").exists()
    assert remove_files(place, ["a.dcm", "deep/b.dcm", "../../../secret", "nothing"], later) == 1
    assert not (inbox / "P" / "S1").exists()
    assert (inbox / "P").exists(), "the project's folder is not what was named"
    assert (inbox.parent / "secret").exists()
    assert remove_files(place, ["a.dcm"], later) == 0


def test_what_came_or_changed_since_and_what_links_lead_to_stays(inbox: Path, tmp_path: Path) -> None:
    place = find_inbox_path([str(inbox)], f"{inbox}/P/S1")
    assert place is not None
    assert remove_files(place, ["a.dcm", "deep/b.dcm"], 0) == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "c.dcm").write_bytes(b"c")
    (inbox / "P" / "S1" / "moved").symlink_to(elsewhere)
    assert remove_files(place, ["moved/c.dcm", "moved"], time.time_ns() + 10**10) == 0
    assert (elsewhere / "c.dcm").exists()


def test_a_file_that_is_removed_by_its_own_name(inbox: Path) -> None:
    place = find_inbox_path([str(inbox)], f"{inbox}/P/S1/a.dcm")
    assert place is not None
    assert remove_files(place, ["a.dcm"], time.time_ns() + 10**10) == 1
    assert sorted(one.name for one in (inbox / "P" / "S1").iterdir()) == ["deep"]


def tick(folder: Path) -> None:
    """Wait until changes have another date: file systems count in milliseconds."""
    (folder / "tick").touch()
    before = os.stat(folder / "tick").st_ctime_ns
    while os.stat(folder / "tick").st_ctime_ns == before:
        os.utime(folder / "tick")


@pytest.mark.parametrize("unnamed", [True, False], ids=["file without a name", "file system of a network"])
def test_what_changes_later_stays_whatever_the_clock_of_the_machine_says(
    inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unnamed: bool
) -> None:
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 3600 * 10**9)
    if not unnamed:
        monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY | os.O_RDWR)  # which can't be opened so
    place = find_inbox_path([str(inbox)], f"{inbox}/P/S1")
    assert place is not None
    tick(tmp_path)
    before = read_file_clock(place)
    assert sorted(os.listdir(inbox / "P" / "S1")) == ["a.dcm", "deep"]
    tick(tmp_path)
    (inbox / "P" / "S1" / "a.dcm").write_bytes(b"another")
    assert remove_files(place, ["a.dcm", "deep/b.dcm"], before) == 1
    assert [one.name for one in (inbox / "P" / "S1").rglob("*")] == ["a.dcm"]


def test_what_came_right_before_is_not_newer(inbox: Path) -> None:
    place = find_inbox_path([str(inbox)], f"{inbox}/P/S1")
    assert place is not None
    (inbox / "P" / "S1" / "a.dcm").write_bytes(b"another")
    assert remove_files(place, ["a.dcm"], read_file_clock(place)) == 1


def test_where_nothing_can_be_written_the_clock_of_the_machine_counts(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = find_inbox_path([str(inbox)], f"{inbox}/P/S2")
    assert place is not None
    monkeypatch.setattr(time, "time_ns", lambda: 17)
    assert read_file_clock(place) == 17
