"""The cache of open folders: right whatever is evicted, moved or refused in between."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scandock.store.folder_cache import FolderCache
from scandock.store.paths import unchecked_path

pytestmark = pytest.mark.disk


@pytest.fixture
def root_fd(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def same(fd: int, path) -> bool:
    return os.path.samestat(os.fstat(fd), os.stat(path))


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_few_descriptors_stay_open_and_all_are_closed(root_fd, tmp_path):
    before = open_descriptors()
    folders = FolderCache(root_fd, keep=8)
    for number in range(50):
        path = f"{number % 25}/a/b/c"
        assert same(folders.fd(unchecked_path(path), create=True), tmp_path / path)
    assert open_descriptors() - before <= 8
    folders.close()
    assert open_descriptors() == before
    assert same(folders.fd(unchecked_path("3/a")), tmp_path / "3/a")
    folders.close()


def test_trees_deeper_than_the_cache(root_fd, tmp_path):
    folders = FolderCache(root_fd, keep=4)
    deep = "/".join("abcdefghijklmnop")
    assert same(folders.fd(unchecked_path(deep), create=True), tmp_path / deep)
    assert same(folders.fd(unchecked_path("a/b/c")), tmp_path / "a/b/c")
    assert same(folders.fd(unchecked_path(deep)), tmp_path / deep)
    folders.close()


def test_a_refused_folder_leaves_the_cache_right(root_fd, tmp_path):
    folders = FolderCache(root_fd, keep=2)
    folders.fd(unchecked_path("p/q"), create=True)
    folders.fd(unchecked_path("x/y"), create=True)
    (tmp_path / "f").write_bytes(b"")
    for bad, error in (
        ("x/../y", ValueError),
        ("f/g", NotADirectoryError),
        ("x/none/z", FileNotFoundError),
        ("p/q/none", FileNotFoundError),  # on the way there x/y is closed
    ):
        for _ in range(3):
            with pytest.raises(error):
                folders.fd(unchecked_path(bad))
            assert same(folders.fd(unchecked_path("x/y")), tmp_path / "x/y")
        assert same(folders.fd(unchecked_path("")), tmp_path)
        assert same(folders.fd(unchecked_path("x/y")), tmp_path / "x/y")
    folders.close()


def test_a_moved_folder_is_forgotten(root_fd, tmp_path):
    folders = FolderCache(root_fd)
    folders.fd(unchecked_path("x/y"), create=True)
    folders.fd(unchecked_path("xx"), create=True)
    (tmp_path / "x").rename(tmp_path / "z")
    folders.forget(unchecked_path("x"))
    assert same(folders.fd(unchecked_path("x/y"), create=True), tmp_path / "x/y")
    assert not same(folders.fd(unchecked_path("x/y")), tmp_path / "z/y")
    assert same(folders.fd(unchecked_path("xx")), tmp_path / "xx")
    folders.close()


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=4).map("/".join), max_size=40), st.integers(2, 6))
def test_any_order_of_folders_gives_the_right_ones(tmp_path_factory, paths, keep):
    base = tmp_path_factory.mktemp("folders")
    fd = os.open(base, os.O_RDONLY | os.O_DIRECTORY)
    folders = FolderCache(fd, keep=keep)
    try:
        for path in paths:
            assert same(folders.fd(path, create=True), base / path)
    finally:
        folders.close()
        os.close(fd)
