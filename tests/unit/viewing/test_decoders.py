"""Decoder processes: they crash, hang and eat memory, and the next picture still comes."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scandock.viewing import decoders as module
from scandock.viewing.decoders import MOST, Busy, Decoders, Lost
from tests.unit.viewing.made import dicom, kept, ramp

ROGUE = [sys.executable, str(Path(__file__).with_name("rogue.py"))]


@pytest.fixture
def image(tmp_path: Path) -> Iterator[int]:
    fd = os.open(kept(tmp_path, dicom(ramp())), os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.fixture
def rogue() -> Iterator[Decoders]:
    made = Decoders(ROGUE)
    yield made
    made.close()


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def thumbnail(made: Decoders, fd: int) -> bytes:
    """A picture, by a decoder that loads what pictures need."""
    answer = made.ask({"verb": "thumbnail", "frame": 0}, [fd])
    assert "reason" not in answer.said, answer.said
    return answer.body


def answers(made: Decoders, fd: int) -> bool:
    """Whether the next question is answered, by a decoder that loads nothing for it."""
    return made.ask({"verb": "echo"}, [fd]).said == {}


def test_nothing_runs_until_a_picture_is_asked_for(image):
    made = Decoders()
    try:
        assert made.pids == []
        assert thumbnail(made, image)[8:12] == b"WEBP"
        (pid,) = made.pids
        assert thumbnail(made, image)
        assert made.pids == [pid]
    finally:
        made.close()
    assert not alive(pid)


@pytest.mark.parametrize("verb", ["crash", "garbage"])
def test_a_decoder_that_dies_costs_one_picture(rogue, image, verb):
    with pytest.raises(Lost, match="died"):
        rogue.ask({"verb": verb}, [image])
    assert answers(rogue, image)


@pytest.mark.parametrize("verb", ["hang", "drip"])
def test_a_decoder_that_takes_too_long_is_killed(rogue, image, verb):
    assert answers(rogue, image)
    (pid,) = rogue.pids
    with pytest.raises(Lost, match="more than 1 seconds"):
        rogue.ask({"verb": verb}, [image], seconds=0.6)
    assert not alive(pid)
    assert answers(rogue, image)


def test_memory_is_bounded_and_who_ran_out_of_it_is_replaced(rogue, image):
    thumbnail(rogue, image)
    (pid,) = rogue.pids
    assert "memory" in rogue.ask({"verb": "eat"}, [image]).said["reason"]
    assert thumbnail(rogue, image)
    assert not alive(pid)


def test_a_decoder_writes_no_file(rogue, image):
    assert "could not be decoded" in rogue.ask({"verb": "write"}, [image]).said["reason"]
    assert answers(rogue, image)


def test_an_unknown_question_is_answered(rogue, image):
    assert "KeyError" in rogue.ask({"verb": "none"}, [image]).said["reason"]


def test_one_that_was_killed_between_questions_is_not_asked(rogue, image):
    assert answers(rogue, image)
    (pid,) = rogue.pids
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid))
    assert answers(rogue, image)
    assert rogue.pids != [pid]


def test_two_at_most_work_and_the_line_is_bounded(rogue, image, monkeypatch):
    """Those in line have their turn once the two that work are killed, and a full line says so at once."""
    monkeypatch.setattr(module, "LINE", 3)
    held, release = os.pipe()
    with ThreadPoolExecutor(MOST + 3) as threads:
        first = [threads.submit(rogue.ask, {"verb": "hold"}, [held]) for _ in range(MOST)]
        until(lambda: len(rogue.pids) == MOST and not rogue.waiting)
        line = [threads.submit(rogue.ask, {"verb": "hold"}, [held]) for _ in range(3)]
        until(lambda: rogue.waiting == 3)
        working = rogue.pids
        assert len(working) == MOST
        with pytest.raises(Busy):
            rogue.ask({"verb": "echo"}, [image])
        for pid in working:
            os.kill(pid, signal.SIGKILL)
        assert all(isinstance(one.exception(30), Lost) for one in first)
        until(lambda: len(rogue.pids) == MOST and rogue.waiting == 1)
        os.close(release)
        assert [one.result(30).said for one in line] == [{}] * 3
    os.close(held)
    assert answers(rogue, image)


def test_they_end_when_nobody_asks(image):
    made = Decoders(ROGUE, idle=0.2)
    try:
        assert answers(made, image)
        (pid,) = made.pids
        until(lambda: not made.pids)
        assert not alive(pid)
        assert answers(made, image)
    finally:
        made.close()


def test_they_survive_the_thread_that_asked(image, rogue):
    """A process dies with the thread that started it: that must not be the one that asks."""
    asking = threading.Thread(target=answers, args=(rogue, image))
    asking.start()
    asking.join()
    (pid,) = rogue.pids
    assert answers(rogue, image)
    assert rogue.pids == [pid]


def test_they_are_given_no_password(image, monkeypatch, rogue):
    monkeypatch.setenv("SCANDOCK_ADMIN_PASSWORD", "zebra")
    monkeypatch.setenv("PGPASSWORD", "zebra")
    assert answers(rogue, image)
    (pid,) = rogue.pids
    assert b"zebra" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_they_are_given_the_files_of_a_question_and_no_others(image, rogue, tmp_path):
    assert answers(rogue, image)
    (pid,) = rogue.pids
    open_files = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    assert [one for one in open_files if one.startswith(str(tmp_path))] == []
