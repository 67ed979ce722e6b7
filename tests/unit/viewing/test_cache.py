"""What is kept on disk: whole or not at all, private, bounded, and gone with its tree."""

from __future__ import annotations

import os
import stat
import time

from scandock.viewing.cache import ImageCache


def test_what_is_kept_is_read_again(tmp_path):
    cache = ImageCache(str(tmp_path), 10**6, 0)
    assert cache.read("7-u", "1-thumbnail-1.webp") is None
    cache.keep("7-u", "1-thumbnail-1.webp", b"picture")
    assert cache.read("7-u", "1-thumbnail-1.webp") == b"picture"
    cache.keep("7-u", "1-thumbnail-1.webp", b"another")
    assert cache.read("7-u", "1-thumbnail-1.webp") == b"another"
    assert os.listdir(tmp_path / "cache" / "7-u") == ["1-thumbnail-1.webp"]


def test_others_may_not_look_into_it(tmp_path):
    ImageCache(str(tmp_path), 10**6, 0).keep("7-u", "a", b"x")
    for path, mode in (("cache", 0o700), ("cache/7-u", 0o700), ("cache/7-u/a", 0o600)):
        assert stat.S_IMODE(os.stat(tmp_path / path).st_mode) == mode


def test_nothing_is_kept_where_nothing_shall_be_or_the_disk_is_full(tmp_path):
    ImageCache(str(tmp_path), 0, 0).keep("7-u", "a", b"x")
    ImageCache(str(tmp_path), 10**6, 2**62).keep("7-u", "a", b"x")
    assert not (tmp_path / "cache" / "7-u").exists()


def test_a_disk_that_fails_costs_no_picture(tmp_path):
    (tmp_path / "cache").write_bytes(b"no folder")
    cache = ImageCache(str(tmp_path), 10**6, 0)
    cache.keep("7-u", "a", b"x")
    assert cache.read("7-u", "a") is None
    assert cache.tidy(lambda trees: trees) == 0


def test_what_stands_no_more_is_removed(tmp_path):
    cache = ImageCache(str(tmp_path), 10**6, 0)
    for tree in ("1-a", "2-a", "3-b"):
        cache.keep(tree, "a", b"x")
    (tmp_path / "cache" / "stray").write_bytes(b"x")
    assert cache.tidy(lambda trees: [tree for tree in trees if tree == "2-a"]) == 3
    assert os.listdir(tmp_path / "cache") == ["2-a"]


def test_what_was_used_longest_ago_goes_first(tmp_path):
    cache = ImageCache(str(tmp_path), 1000, 0)
    now = time.time()
    for age, tree in ((4, "1-a"), (3, "2-b"), (2, "3-c"), (1, "4-d")):
        cache.keep(tree, "a", b"x" * 300)
        os.utime(tmp_path / "cache" / tree, (now - age * 10_000, now - age * 10_000))
    assert cache.read("1-a", "a")  # used just now
    assert cache.is_full()
    assert cache.tidy(lambda trees: trees) == 2
    assert sorted(os.listdir(tmp_path / "cache")) == ["1-a", "4-d"]
    assert not cache.is_full()
