from __future__ import annotations

import threading

from scandock.queue.notify import NotifyListener, notify


def test_a_ring_wakes_whoever_listens_for_that_folder(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    with NotifyListener(str(tmp_path)) as listener:
        assert listener.bound
        assert not notify(str(other))
        assert not listener.wait(0)
        assert notify(str(tmp_path))
        assert notify(str(tmp_path))
        assert listener.wait(5)
        assert not listener.wait(0)


def test_nobody_is_woken_where_nobody_listens(tmp_path):
    assert not notify(str(tmp_path))
    assert not notify(str(tmp_path / "missing"))


def test_more_rings_than_the_kernel_keeps_block_nobody(tmp_path):
    with NotifyListener(str(tmp_path)) as listener:
        assert all(notify(str(tmp_path)) for _ in range(2000))
        assert listener.wait(5)
        assert not listener.wait(0)


def test_a_second_listener_of_a_folder_is_told_that_it_hears_nothing(tmp_path):
    with NotifyListener(str(tmp_path)) as first, NotifyListener(str(tmp_path)) as second:
        assert (first.bound, second.bound) == (True, False)
        assert not second.wait(0)


def test_the_end_is_heard_from_another_thread(tmp_path):
    with NotifyListener(str(tmp_path)) as listener:
        thread = threading.Thread(target=listener.end)
        thread.start()
        assert listener.wait(30)
        thread.join()


def test_nothing_is_left_in_the_folder(tmp_path):
    with NotifyListener(str(tmp_path)):
        assert list(tmp_path.iterdir()) == []
