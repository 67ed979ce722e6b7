"""What a failed system call means: which code an import and its retries are given for it."""

from __future__ import annotations

import errno
import os

import pytest

from scandock.store.durability import disk_fault


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "disk_full"),
        (errno.EDQUOT, "disk_full"),
        (errno.EXDEV, "store_other_filesystem"),
        (errno.EROFS, "store_read_only"),
        (errno.EACCES, "store_read_only"),
        (errno.EPERM, "store_read_only"),
        (errno.EIO, "store_failed"),
    ],
)
def test_an_error_of_the_system_is_told_by_what_has_to_be_done(number, code):
    told = disk_fault(OSError(number, os.strerror(number)), "writing work/1")
    assert told.code == code
    assert "work/1" in told.message
    assert told.is_outage
    assert "try again" not in str(told)  # imports wait for it and go on by themselves
