"""A short share of the server's crash suite, and that its judge sees what is wrong. All of it: `make crash`."""

from __future__ import annotations

import pytest

from tests.crash.archives import Study
from tests.crash.checker import check_acknowledged
from tests.crash.server_rounds import ServerRound, kinds, run_server_rounds, server_rounds
from tests.crash.uploaders import Archive, Log

pytestmark = [pytest.mark.crash, pytest.mark.processes]

SHARE = (("web", "halfway", 1), ("web", "accepted", 1), ("group", "switched", 2))
"""Who is killed, where, and archives of each of the three clients that upload meanwhile."""


@pytest.mark.parametrize(("victim", "at", "each"), SHARE)
def test_what_was_acknowledged_stands_there_once(tmp_path, victim, at, each):
    assert (victim, at) in kinds()
    wrong = run_server_rounds(tmp_path, [ServerRound(victim=victim, at=at, seed=3)], jobs=1, each=each)
    assert not wrong, "\n".join(wrong.values())


def test_a_hundred_rounds_play_every_kind():
    played = {(one.victim, one.at) for one in server_rounds(100, 1)}
    assert played == set(kinds())
    assert all(ServerRound.parse(str(one)) == one for one in server_rounds(100, 1))


@pytest.fixture
def promised(tmp_path):
    """A log of one archive that was acknowledged, and a folder of its session."""
    archive = Archive("one", Study(1, 1, series=1, count=3, side=8))
    log = Log(tmp_path / "log")
    log.tried(archive)
    log.acknowledged(archive, "u1", "raw", 0.1)
    data = tmp_path / "data"

    def store(label, entries):
        for name, content in entries.items():
            path = data / "archive" / "P" / label / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    (data / "archive").mkdir(parents=True)
    return archive, log, data, store


def test_the_judge_is_content_with_what_stands_there_once(promised):
    archive, log, data, store = promised
    store("S", archive.study.entries("files"))
    assert check_acknowledged(data, log.path) == []


@pytest.mark.parametrize("what", ["lost", "half", "twice", "changed", "strange"])
def test_the_judge_sees_what_is_wrong(promised, what):
    archive, log, data, store = promised
    entries = archive.study.entries("files")
    if what == "half":
        entries.popitem()
    if what == "changed":
        entries[next(iter(entries))] = b"rot"
    if what != "lost":
        store("S", entries)
    if what == "twice":
        store("S2", entries)
    if what == "strange":
        store("S2", {"files/x": b"nobody's"})
    assert check_acknowledged(data, log.path)


def test_an_archive_that_was_only_tried_may_be_there_or_not_but_whole(promised):
    archive, log, data, store = promised
    store("S", archive.study.entries("files"))
    other = Archive("two", Study(1, 2, series=1, count=3, side=8))
    log.tried(other)
    assert check_acknowledged(data, log.path) == []
    entries = other.study.entries("files")
    store("T", dict(list(entries.items())[:2]))
    assert check_acknowledged(data, log.path)
    store("T", entries)
    assert check_acknowledged(data, log.path) == []
