"""Decoder processes: they crash, hang and eat memory, and the next picture still comes."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, nullcontext
from pathlib import Path

import pytest

from scandock.model.process import python_command
from scandock.viewing import decoder_pool
from scandock.viewing.decoder_messages import BodyNotStored
from scandock.viewing.decoder_pool import DECODERS, DecoderLost, DecoderPool, DecodersBusy
from scandock.viewing.question_queue import Requester
from tests.crash.processes import until
from tests.unit.viewing.made import dicom, kept, ramp

ROGUE = [sys.executable, str(Path(__file__).with_name("rogue.py")), str(os.getpid())]


@pytest.fixture
def image(tmp_path: Path) -> Iterator[int]:
    fd = os.open(kept(tmp_path, dicom(ramp())), os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.fixture
def several() -> Iterator[Callable[..., DecoderPool]]:
    with ExitStack() as made:
        yield lambda **more: made.enter_context(closing(DecoderPool(ROGUE, **more)))


@pytest.fixture
def rogue(several: Callable[..., DecoderPool]) -> DecoderPool:
    return several()


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def of(*fds: int):
    """Files that are open already."""
    return lambda: nullcontext(fds)


def thumbnail(made: DecoderPool, fd: int) -> bytes:
    """A picture, by a decoder that loads what pictures need."""
    answer = made.ask({"verb": "thumbnail", "frame": 0}, of(fd))
    assert "reason" not in answer.said, answer.said
    return answer.body


def answers(made: DecoderPool, fd: int) -> bool:
    """Whether the next question is answered, by a decoder that loads nothing for it."""
    return made.ask({"verb": "echo"}, of(fd)).said == {}


def test_nothing_runs_until_a_picture_is_asked_for(image):
    made = DecoderPool()
    try:
        assert made.pids == []
        assert thumbnail(made, image)[8:12] == b"WEBP"
        (pid,) = made.pids
        assert thumbnail(made, image)
        assert made.pids == [pid]
    finally:
        made.close()
    assert not alive(pid)


def test_a_decoder_is_started_for_who_is_about_to_ask():
    made = DecoderPool()
    try:
        for _ in range(3):
            made.warm()
        until(lambda: made.pids)
        (pid,) = made.pids
        loaded = Path(f"/proc/{pid}/maps")
        until(lambda: "_webp" in loaded.read_text())  # which the first picture needs; nobody has asked for one
        os.kill(pid, signal.SIGKILL)

        def is_replaced() -> bool:
            made.warm()
            return made.pids not in ([], [pid])

        until(is_replaced)
    finally:
        made.close()
    made.warm()
    assert made.pids == []


@pytest.mark.parametrize("verb", ["crash", "garbage"])
def test_a_decoder_that_dies_costs_one_picture(rogue, image, verb):
    with pytest.raises(DecoderLost, match="decoding it failed"):
        rogue.ask({"verb": verb}, of(image))
    assert answers(rogue, image)


@pytest.mark.parametrize("verb", ["hang", "drip"])
def test_a_decoder_that_takes_too_long_is_killed(rogue, image, verb):
    assert answers(rogue, image)
    (pid,) = rogue.pids
    with pytest.raises(DecoderLost, match="more than 1 seconds"):
        rogue.ask({"verb": verb}, of(image), seconds=0.6)
    assert not alive(pid)
    assert answers(rogue, image)


@pytest.mark.long
def test_memory_is_bounded_and_who_ran_out_of_it_is_replaced(rogue, image):
    thumbnail(rogue, image)
    (pid,) = rogue.pids
    assert "memory" in rogue.ask({"verb": "eat"}, of(image)).said["reason"]
    assert thumbnail(rogue, image)
    assert not alive(pid)


def test_a_decoder_writes_no_file(rogue, image):
    assert "can't be decoded" in rogue.ask({"verb": "write"}, of(image)).said["reason"]
    assert answers(rogue, image)


def test_an_unknown_question_is_answered(rogue, image):
    assert rogue.ask({"verb": "none"}, of(image)).said["reason"].startswith("It can't be decoded: its header")


def test_one_that_was_killed_between_questions_is_not_asked(rogue, image):
    assert answers(rogue, image)
    (pid,) = rogue.pids
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid))
    assert answers(rogue, image)
    assert rogue.pids != [pid]


def test_two_at_most_work_and_the_line_is_bounded(image, several):
    """Those in line have their turn once the two that work are killed, and a full line says so at once."""
    rogue = several(line=3, stuck=600)
    held, release = os.pipe()
    with ThreadPoolExecutor(DECODERS + 3) as threads:
        first = [threads.submit(rogue.ask, {"verb": "hold"}, of(held)) for _ in range(DECODERS)]
        until(lambda: len(rogue.pids) == DECODERS and not rogue.waiting)
        line = [threads.submit(rogue.ask, {"verb": "hold"}, of(held)) for _ in range(3)]
        until(lambda: rogue.waiting == 3)
        working = rogue.pids
        assert len(working) == DECODERS
        with pytest.raises(DecodersBusy):
            rogue.ask({"verb": "echo"}, of(image))
        for pid in working:
            os.kill(pid, signal.SIGKILL)
        assert all(isinstance(one.exception(30), DecoderLost) for one in first)
        until(lambda: len(rogue.pids) == DECODERS and rogue.waiting == 1)
        os.close(release)
        assert [one.result(30).said for one in line] == [{}] * 3
    os.close(held)
    assert answers(rogue, image)


def test_they_end_when_nobody_asks(image):
    made = DecoderPool(ROGUE, idle=0.2)
    try:
        assert answers(made, image)
        (pid,) = made.pids
        until(lambda: not made.pids)
        assert not alive(pid)
        assert answers(made, image)
    finally:
        made.close()


def test_closing_waits_for_one_that_starts_and_for_nothing_else(monkeypatch):
    made = DecoderPool()
    starts, may_start = threading.Event(), threading.Event()

    def held_back(module: str) -> list[str]:
        starts.set()
        may_start.wait()
        return python_command(module)

    monkeypatch.setattr(decoder_pool, "python_command", held_back)
    made.warm()
    starts.wait()
    closing_thread = threading.Thread(target=made.close, daemon=True)
    closing_thread.start()
    until(lambda: made._closed)  # noqa: SLF001  a question would wait for its turn
    may_start.set()
    closing_thread.join(10)
    assert not closing_thread.is_alive()
    assert made.pids == []


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


def test_heavy_questions_keep_nobody_waiting(image, several):
    """Two that take for ever are asked; one of them is put back for a small one, and asked once the other has ended."""
    noted: list[str] = []
    rogue = several(stuck=0.05, note=noted.append)
    hog, other = Requester(1), Requester(2)
    held, release = os.pipe()
    with ThreadPoolExecutor(3) as threads:
        first = [
            threads.submit(rogue.ask, {"verb": "hold"}, of(held), asker=hog, content=content, seconds=60)
            for content in ("a", "b")
        ]
        until(lambda: len(rogue.pids) == DECODERS and not rogue.waiting)
        assert rogue.ask({"verb": "echo"}, of(image), asker=other).said == {}
        assert noted == ["put_back"]
        until(lambda: rogue.waiting == 1)  # known to be heavy by now, like the one that is asked: it has to wait
        third = threads.submit(rogue.ask, {"verb": "hold"}, of(held), asker=hog, content="a", seconds=60)
        until(lambda: rogue.waiting == 2)
        for _ in range(3):
            assert rogue.ask({"verb": "echo"}, of(image), asker=other).said == {}
        assert noted == ["put_back"]
        os.close(release)
        assert [one.result(30).said for one in (*first, third)] == [{}] * 3
    os.close(held)


def test_what_takes_the_processor_s_time_is_heavy(image, several):
    noted: list[str] = []
    rogue = several(moment=0.05, start=0.0, note=noted.append)
    with ThreadPoolExecutor(2) as threads:
        busy = [
            threads.submit(rogue.ask, {"verb": "spin"}, of(image), asker=Requester(1), content=content, seconds=60)
            for content in ("a", "b")
        ]
        until(lambda: len(rogue.pids) == DECODERS and not rogue.waiting)
        assert rogue.ask({"verb": "echo"}, of(image), asker=Requester(2)).said == {}
        assert noted[0] == "put_back"
        rogue.close()
        assert all(isinstance(one.exception(30), DecoderLost | DecodersBusy) for one in busy)


def test_files_are_opened_once_it_is_their_turn(several):
    rogue = several(stuck=600)
    held, release = os.pipe()
    opened: list[str] = []

    @contextmanager
    def opening():
        opened.append("opened")
        yield [held]

    with ThreadPoolExecutor(3) as threads:
        asked = [threads.submit(rogue.ask, {"verb": "hold"}, opening) for _ in range(DECODERS + 1)]
        until(lambda: len(rogue.pids) == DECODERS and rogue.waiting == 1)
        until(lambda: len(opened) == DECODERS)
        os.close(release)
        assert [one.result(30).said for one in asked] == [{}] * 3
    assert len(opened) == DECODERS + 1
    os.close(held)


def test_a_file_that_can_not_be_opened_costs_no_decoder(image, rogue):
    assert answers(rogue, image)
    (pid,) = rogue.pids

    @contextmanager
    def gone():
        raise FileNotFoundError
        yield []

    with pytest.raises(FileNotFoundError):
        rogue.ask({"verb": "echo"}, gone)
    assert answers(rogue, image)
    assert rogue.pids == [pid]


def test_a_large_body_goes_into_a_file_and_one_that_can_not_is_read_to_its_end(image, rogue, tmp_path):
    kept_in = tmp_path / "body"
    with kept_in.open("wb") as file:
        answer = rogue.ask({"verb": "large", "bytes": 3_000_000}, of(image), keep=lambda size: file)
    assert (answer.said, answer.body) == ({}, b"")
    assert kept_in.read_bytes() == b"x" * 3_000_000
    assert rogue.ask({"verb": "large", "bytes": 1000}, of(image), keep=None).body == b"x" * 1000
    (pid,) = rogue.pids

    def refuses(size: int):
        raise ValueError(size)

    with pytest.raises(BodyNotStored) as caught:
        rogue.ask({"verb": "large", "bytes": 3_000_000}, of(image), keep=refuses)
    assert str(caught.value.__cause__) == "3000000"
    assert answers(rogue, image)
    assert rogue.pids == [pid]
