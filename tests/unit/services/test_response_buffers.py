"""Room for answers that wait: bounded over all, and fair among who asks."""

from __future__ import annotations

import contextlib
import io

import pytest

from scandock.services.response_buffers import BufferedFile, ResponseBuffers, ResponseBuffersFull, client_key

MB = 1_000_000


def test_room_is_taken_and_given_back_once():
    held = ResponseBuffers(10 * MB)
    hold = held.hold(1, 4 * MB)
    with held.hold(2, 3 * MB):
        assert held.bytes == 7 * MB
    hold.close()
    hold.close()
    assert held.bytes == 0


def test_all_together_have_no_more_than_the_bound():
    refused: list[str] = []
    held = ResponseBuffers(10 * MB, lambda: refused.append("full"))
    holds = [held.hold(1, 4 * MB), held.hold(2, 3 * MB)]
    with pytest.raises(ResponseBuffersFull) as caught:
        held.hold(3, 3 * MB)
    assert (caught.value.code, caught.value.retry_after > 0, refused) == ("answers_full", True, ["full"])
    holds.pop().close()
    held.hold(3, 3 * MB).close()


def test_one_asker_leaves_half_to_the_others():
    held = ResponseBuffers(10 * MB)
    holds = [held.hold("198.51.100.7", 2 * MB) for _ in range(2)]
    with pytest.raises(ResponseBuffersFull):
        held.hold("198.51.100.7", 2 * MB)
    holds.append(held.hold(1, 3 * MB))
    assert held.bytes == 7 * MB


def test_many_who_hold_all_they_can_leave_room_for_one_more():
    held = ResponseBuffers(512 * MB)
    holds = []
    for asker in range(8):
        with contextlib.suppress(ResponseBuffersFull):
            while True:
                holds.append(held.hold(asker, MB))
    held.hold("one more", 256 * 1024).close()
    assert held.bytes < 512 * MB


def test_the_largest_answer_can_be_had_once_nothing_else_waits():
    held = ResponseBuffers(10 * MB)
    with held.hold(1, 200 * MB), pytest.raises(ResponseBuffersFull):
        held.hold(2, 1)


def test_visitors_are_known_by_their_network():
    assert client_key(7, "2001:db8::1") == 7
    assert client_key(None, "198.51.100.7") == "198.51.100.7"
    assert client_key(None, "2001:db8::1") == client_key(None, "2001:db8::2") != client_key(None, "2001:db8:0:1::2")


def test_room_of_what_is_forgotten_is_given_back():
    held = ResponseBuffers(10 * MB)
    held.hold(1, MB)
    assert held.bytes == 0


def test_a_file_gives_its_room_back_when_it_is_closed():
    held = ResponseBuffers(10 * MB)
    file = BufferedFile(io.BytesIO(b"x" * MB), held.hold(1, MB))
    assert b"".join(file.pieces()) == b"x" * MB
    assert held.bytes == file.size == MB
    file.close()
    assert held.bytes == 0
