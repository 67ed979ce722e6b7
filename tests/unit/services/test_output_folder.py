"""Files of a command's output: whole or not at all, never outside, never over an input, nothing else beside them."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from scandock.deidentification.data_set import EditedPixels, Pixels, Range
from scandock.formats.errors import ReadFailed
from scandock.model.errors import Fault
from scandock.services import output_folder
from scandock.services.output_errors import OutputExists, OutputIsInput
from scandock.services.output_folder import OutputFolder
from scandock.store import syscalls

pytestmark = pytest.mark.disk


def below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture(params=["nameless", "beside", "no links"])
def kind(request, monkeypatch):
    """The ways to write: file systems without O_TMPFILE, and those without hard links too."""
    opened = os.open

    def open_(path, flags, *args, **keywords):
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "not here")
        return opened(path, flags, *args, **keywords)

    def link(*_args, **_keywords):
        raise OSError(errno.EPERM, "not here")

    if request.param != "nameless":
        monkeypatch.setattr(os, "open", open_)
    if request.param == "no links":
        monkeypatch.setattr(os, "link", link)
    return request.param


@pytest.mark.usefixtures("kind")
def test_a_file_is_written_whole_and_replaced_on_demand(tmp_path):
    folder = OutputFolder(str(tmp_path / "out"), overwrite=False)
    assert folder.write("a/b/c.dcm", [b"head", memoryview(b"tail")]) == 8
    folder.check_free("a/b/d.dcm")
    for relative in ("a/b/c.dcm", "a/b", "a/b/c.dcm/d.dcm"):
        with pytest.raises(OutputExists):
            folder.check_free(relative)
        with pytest.raises(OutputExists):
            folder.write(relative, [b"other"])
    assert (tmp_path / "out/a/b/c.dcm").read_bytes() == b"headtail"
    replacing = OutputFolder(str(tmp_path / "out"), overwrite=True)
    replacing.write("a/b/c.dcm", [b"other"])
    with pytest.raises(OutputExists):
        replacing.write("a/b", [b"never in the place of a folder"])
    assert (tmp_path / "out/a/b/c.dcm").read_bytes() == b"other"
    assert below(tmp_path) == ["out", "out/a", "out/a/b", "out/a/b/c.dcm"]
    folder.close()
    replacing.close()


def test_what_is_written_unnamed_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch, kind):
    """So that no power cut leaves a name without its bytes."""
    named_at_sync: list[list[str]] = []

    def note(sync):
        def noting(fd):
            named_at_sync.append([path for path in below(tmp_path / "out") if path.endswith(".dcm")])
            sync(fd)

        return noting

    monkeypatch.setattr(syscalls, "syncfs", note(syscalls.syncfs))
    monkeypatch.setattr(os, "fsync", note(os.fsync))
    monkeypatch.setattr(output_folder, "UNNAMED_BYTES", 8)
    folder = OutputFolder(str(tmp_path / "out"), overwrite=False)
    assert not folder.write_unnamed("a/1.dcm", [b"one", b"two"])
    is_nameless = kind == "nameless"
    assert folder.write_unnamed("a/2.dcm", [b"three"]) is is_nameless, "so many bytes are to be named"
    assert (tmp_path / "out/a/1.dcm").exists() is not is_nameless
    assert folder.name_files() == {}
    assert named_at_sync == ([[]] if is_nameless else [[], ["a/1.dcm"]])
    assert [(tmp_path / "out/a" / name).read_bytes() for name in ("1.dcm", "2.dcm")] == [b"onetwo", b"three"]
    if is_nameless:
        folder.write_unnamed("a/1.dcm", [b"other"])
        folder.write_unnamed("a/3.dcm", [b"new"])
        refusals = folder.name_files()
        assert {name: type(error) for name, error in refusals.items()} == {"a/1.dcm": OutputExists}
    else:
        with pytest.raises(OutputExists):
            folder.write_unnamed("a/1.dcm", [b"other"])
    folder.write_unnamed("a/4.dcm", [b"given up"])
    folder.close()
    left = {"nameless": ["1.dcm", "2.dcm", "3.dcm"]}.get(kind, ["1.dcm", "2.dcm", "4.dcm"])
    assert sorted(path.name for path in (tmp_path / "out/a").iterdir()) == left
    assert (tmp_path / "out/a/1.dcm").read_bytes() == b"onetwo"


@pytest.mark.usefixtures("kind")
def test_what_fails_leaves_nothing(tmp_path, monkeypatch):
    def broken():
        yield b"half"
        raise ReadFailed("The disk is gone.", "")

    folder = OutputFolder(str(tmp_path / "out"), overwrite=False)
    with pytest.raises(ReadFailed):
        folder.write("a/b.dcm", broken())

    def full(_fd, _data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(output_folder, "write_all", full)
    with pytest.raises(Fault, match="could not be written: no space left on device") as fault:
        folder.write("a/b.dcm", [b"half"])
    assert fault.value.code == "disk_full"
    assert below(tmp_path) == ["out"]
    folder.close()


@pytest.mark.usefixtures("kind")
def test_links_are_never_followed_and_inputs_never_replaced(tmp_path):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    (elsewhere / "own.dcm").write_bytes(b"own")
    (out / "folder").symlink_to(elsewhere)
    (out / "file.dcm").symlink_to(elsewhere / "own.dcm")
    (out / "input.dcm").write_bytes(b"input")
    status = (out / "input.dcm").stat()
    folder = OutputFolder(str(out), overwrite=True, inputs=[(status.st_dev, status.st_ino)])
    with pytest.raises(OutputExists):
        folder.write("folder/own.dcm", [b"new"])
    folder.write("file.dcm", [b"new"])
    with pytest.raises(OutputIsInput):
        folder.write("input.dcm", [b"new"])
    assert below(elsewhere) == ["own.dcm"]
    assert (elsewhere / "own.dcm").read_bytes() == b"own"
    assert not (out / "file.dcm").is_symlink()
    assert (out / "input.dcm").read_bytes() == b"input"
    folder.close()


@pytest.mark.parametrize("kind", ["beside"], indirect=True)
def test_where_nothing_can_be_written_beside_the_folder_it_is_in_it(tmp_path, monkeypatch, kind):
    folder = OutputFolder(str(tmp_path / "above/out"), overwrite=False)
    monkeypatch.setattr(os, "access", lambda *_: False)
    seen = []

    def parts():
        seen.extend(below(tmp_path / "above"))
        yield b"whole"

    folder.write("1.dcm", parts())
    assert [name.startswith("out/.scandock-") for name in seen] == [False, True]
    assert below(tmp_path / "above/out") == ["1.dcm"]
    assert kind
    folder.close()


@pytest.mark.parametrize("kind", ["beside", "no links"], indirect=True)
def test_the_next_run_removes_what_a_killed_one_left_and_nothing_of_a_living_one(tmp_path, kind):
    left = [".scandock-" + "0" * 16, ".scandock-" + "f" * 16]
    for name in left:
        (tmp_path / name).write_bytes(b"half")
    others = [".scandock-0", ".scandock-" + "G" * 16, ".scandock-" + "1" * 16, ".scandock-" + "2" * 16]
    for name in others[:2]:
        (tmp_path / name).write_bytes(b"not ours")
    (tmp_path / others[2]).mkdir()
    (tmp_path / others[3]).symlink_to(tmp_path / others[0])
    living, other = (OutputFolder(str(tmp_path / name), overwrite=False) for name in ("a", "b"))

    def parts():
        yield b"half"
        other.write("2.dcm", [b"whole"])
        yield b"whole"

    living.write("1.dcm", parts())
    assert below(tmp_path) == sorted([*others, "a", "a/1.dcm", "b", "b/2.dcm"])
    assert (tmp_path / "a/1.dcm").read_bytes() == b"halfwhole"
    assert kind
    living.close()
    other.close()


@pytest.mark.parametrize("kind", ["beside"], indirect=True)
def test_a_file_that_was_removed_before_it_was_locked_is_made_again(tmp_path, monkeypatch, kind):
    lock = fcntl.flock
    seen: list[str] = []

    def flock(fd, how):
        if not seen:
            (name,) = seen[:] = [path for path in below(tmp_path) if path.startswith(".scandock-")]
            (tmp_path / name).unlink()
        lock(fd, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    folder = OutputFolder(str(tmp_path / "out"), overwrite=False)
    assert folder.write("1.dcm", [b"whole"]) == 5
    assert len(seen) == 1
    assert below(tmp_path) == ["out", "out/1.dcm"]
    assert kind
    folder.close()


def test_ranges_are_copied_from_the_source(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 40)
    folder = OutputFolder(str(tmp_path / "out"), overwrite=False)
    fd = os.open(source, os.O_RDONLY)
    assert folder.write("copy", [b"head", Range(10, 300), b"", Range(0, 2), b"end"], fd) == 4 + 290 + 2 + 3
    assert (tmp_path / "out/copy").read_bytes() == b"head" + source.read_bytes()[10:300] + b"\0\1end"
    with pytest.raises(ReadFailed):
        folder.write("cut", [Range(0, 20_000)], fd)
    assert below(tmp_path / "out") == ["copy"]
    os.close(fd)
    folder.close()


def test_scratch_files_have_no_names(tmp_path):
    folder = OutputFolder(str(tmp_path / "out"), overwrite=False)
    fd = folder.scratch()
    folder.write_scratch(fd, b"spooled")
    assert os.pread(fd, 10, 0) == b"spooled"
    assert below(tmp_path / "out") == []
    os.close(fd)
    folder.close()


def test_a_folder_that_can_not_be_made_is_a_fault(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Fault) as fault:
        OutputFolder(str(tmp_path / "file/out"), overwrite=False)
    assert fault.value.code == "output_not_written"


def test_a_disk_that_fails_at_the_end_is_told(tmp_path, monkeypatch):
    folder = OutputFolder(str(tmp_path / "out"), overwrite=False)
    folder.sync()

    def fails(_fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(syscalls, "syncfs", fails)
    with pytest.raises(Fault, match="error"):
        folder.sync()
    folder.close()


def test_pixels_are_written_as_they_are_edited(tmp_path, monkeypatch):
    monkeypatch.setattr("scandock.deidentification.data_set._PIECE", 4)

    def fill(piece, offset):
        piece[0] = offset

    source = b"header" + bytes(range(100, 110))
    pixels = Pixels(0x7FE00010, Range(6, 16), lambda start, end: source[start:end], False, edits=(fill,))
    folder = OutputFolder(str(tmp_path / "out"), overwrite=False)
    assert folder.write("1.dcm", [b"head", EditedPixels(pixels), b"tail"]) == 18
    assert (tmp_path / "out/1.dcm").read_bytes() == b"head\0efg\4ijk\x08mtail"
