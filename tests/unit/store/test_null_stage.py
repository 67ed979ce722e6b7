"""The stage of a dry run."""

from __future__ import annotations

import pytest

from scandock.store.null_stage import NullStage
from scandock.store.port import Stage


def test_it_takes_every_change_and_has_nothing() -> None:
    stage: Stage = NullStage("u", "t")
    with stage.put("a/1") as writer:
        assert writer.write(b"abc") == 3
        assert writer.size == 3
    assert stage.put_whole("a/1", b"abcd").size == 4, "no name is ever taken"
    stage.move("a/1", "tree/0/1")
    stage.remove("a")
    assert stage.adopt("archive/P/S", [("1", "tree/0/2")]).linked == 1
    assert (stage.exists("tree/0/1"), stage.inode("tree/0"), stage.list(), list(stage.walk())) == (False, None, [], [])
    for read in (lambda: stage.open("tree/0/1"), lambda: stage.read_at("tree/0/1", 0, 1)):
        with pytest.raises(FileNotFoundError):
            read()
