"""The stage of a dry run."""

from __future__ import annotations

import pytest

from scandock.store.null_stage import NullStage
from scandock.store.paths import parse_rel, parse_tree
from scandock.store.port import Stage


def test_it_takes_every_change_and_has_nothing() -> None:
    stage: Stage = NullStage("u", "t")
    came, placed, again = map(parse_rel, ("a/1", "tree/0/1", "tree/0/2"))
    with stage.put(came) as writer:
        assert writer.write(b"abc") == 3
        assert writer.size == 3
    assert stage.put_whole(came, b"abcd").size == 4, "no name is ever taken"
    stage.move(came, placed)
    stage.remove(came)
    assert stage.adopt(parse_tree("archive/P/S"), [(parse_rel("1"), again)]).linked == 1
    assert (stage.exists(placed), stage.mark(placed), stage.list(), list(stage.walk())) == (False, None, [], [])
    for read in (lambda: stage.open(placed), lambda: stage.read_at(placed, 0, 1)):
        with pytest.raises(FileNotFoundError):
            read()
