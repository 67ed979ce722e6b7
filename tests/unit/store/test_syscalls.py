"""renameat2 and its stand-in keep the same promise: nothing that stands is replaced."""

from __future__ import annotations

import errno
import os

import pytest

from scandock.store import syscalls

pytestmark = pytest.mark.disk


@pytest.fixture(params=["renameat2", "by hand", "bare system call"])
def root_fd(request, tmp_path, monkeypatch):
    if request.param == "by hand":
        monkeypatch.setattr(syscalls, "find_renameat2", lambda: None)
    if request.param == "bare system call":
        if os.uname().machine not in syscalls.RENAMEAT2_NUMBER:
            pytest.skip("the number of renameat2 isn't known for this machine")

        class Libc:
            syscall = syscalls.load_libc().syscall

        syscalls.find_renameat2.cache_clear()
        monkeypatch.setattr(syscalls, "load_libc", Libc)
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)
    if request.param == "bare system call":
        syscalls.find_renameat2.cache_clear()


def test_to_a_free_name(root_fd, tmp_path):
    (tmp_path / "file").write_bytes(b"1")
    (tmp_path / "folder/x").mkdir(parents=True)
    syscalls.rename_new("file", "file2", root_fd)
    syscalls.rename_new("folder", "folder2", root_fd)
    assert sorted(os.listdir(tmp_path)) == ["file2", "folder2"]
    assert (tmp_path / "folder2/x").is_dir()


@pytest.mark.parametrize("source", ["file", "folder"])
@pytest.mark.parametrize("target", ["file2", "folder2"])
def test_to_a_taken_name(root_fd, tmp_path, source, target):
    for name in ("file", "file2"):
        (tmp_path / name).write_bytes(name.encode())
    for name in ("folder", "folder2"):
        (tmp_path / name / name).mkdir(parents=True)
    with pytest.raises(FileExistsError):
        syscalls.rename_new(source, target, root_fd)
    assert sorted(os.listdir(tmp_path)) == ["file", "file2", "folder", "folder2"]
    assert (tmp_path / "file2").read_bytes() == b"file2"
    assert os.listdir(tmp_path / "folder2") == ["folder2"]


def test_of_nothing_and_into_nothing(root_fd, tmp_path):
    (tmp_path / "file").write_bytes(b"1")
    for source, target in (("none", "x"), ("file", "none/x")):
        with pytest.raises(FileNotFoundError):
            syscalls.rename_new(source, target, root_fd)


def test_exchange_says_when_it_can_not(tmp_path, monkeypatch):
    monkeypatch.setattr(syscalls, "find_renameat2", lambda: None)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSYS)):
        syscalls.exchange("a", "b", 0)


def test_names_in_any_bytes(root_fd, tmp_path):
    (tmp_path / "日本").write_bytes(b"1")
    syscalls.rename_new("日本", "ü", root_fd)
    assert os.listdir(tmp_path) == ["ü"]


def test_syncfs_of_a_closed_descriptor(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    syscalls.syncfs(fd)
    os.close(fd)
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        syscalls.syncfs(fd)


@pytest.mark.parametrize(
    ("release", "tells"),
    [("6.18.44-fc-v595", True), ("5.8.0", True), ("5.7.19", False), ("4.18.0-553.el8", False), ("odd", False)],
)
def test_which_kernels_tell_of_write_errors(monkeypatch, release, tells):
    class Name:
        def __init__(self):
            self.release = release

    monkeypatch.setattr(os, "uname", Name)
    syscalls.syncfs_reports_errors.cache_clear()
    try:
        assert syscalls.syncfs_reports_errors() is tells
    finally:
        syscalls.syncfs_reports_errors.cache_clear()
