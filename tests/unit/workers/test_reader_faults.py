"""What a reader tells its import of an error that is none of the archive's."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from scandock.workers import reader_process
from tests.builders import DataFolder, images, make_data_folder, uploader_layout


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "disk_full"),
        (errno.EDQUOT, "disk_full"),
        (errno.EFBIG, "disk_full"),
        (errno.EIO, "read_failed"),
    ],
)
def test_an_error_of_the_disk_fails_the_import_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: str
) -> None:
    def failing(*_words: object) -> None:
        raise OSError(number, os.strerror(number))

    site: DataFolder = make_data_folder(tmp_path, monkeypatch)
    monkeypatch.setattr(reader_process, "open_container", failing)
    told = site.bring(uploader_layout("S1", "1", images(1)))
    assert (told.state, told.report["code"]) == ("failed", code)
