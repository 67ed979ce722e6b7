from __future__ import annotations

import threading

from scandock.queue.wake import Bell, ring


def test_a_ring_wakes_whoever_listens_for_that_folder(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    with Bell(str(tmp_path)) as bell:
        assert bell.bound
        assert not ring(str(other))
        assert not bell.wait(0)
        assert ring(str(tmp_path))
        assert ring(str(tmp_path))
        assert bell.wait(5)
        assert not bell.wait(0)


def test_nobody_is_woken_where_nobody_listens(tmp_path):
    assert not ring(str(tmp_path))
    assert not ring(str(tmp_path / "missing"))


def test_more_rings_than_the_kernel_keeps_block_nobody(tmp_path):
    with Bell(str(tmp_path)) as bell:
        assert all(ring(str(tmp_path)) for _ in range(2000))
        assert bell.wait(5)
        assert not bell.wait(0)


def test_a_second_listener_of_a_folder_is_told_that_it_hears_nothing(tmp_path):
    with Bell(str(tmp_path)) as first, Bell(str(tmp_path)) as second:
        assert (first.bound, second.bound) == (True, False)
        assert not second.wait(0)


def test_the_end_is_heard_from_another_thread(tmp_path):
    with Bell(str(tmp_path)) as bell:
        thread = threading.Thread(target=bell.end)
        thread.start()
        assert bell.wait(30)
        thread.join()


def test_nothing_is_left_in_the_folder(tmp_path):
    with Bell(str(tmp_path)):
        assert list(tmp_path.iterdir()) == []
