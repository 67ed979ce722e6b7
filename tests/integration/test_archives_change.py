"""Archives that another program cuts or removes while they are read, and mistakes of ours there: one sentence each."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from scandock.pipeline.entry_reader import EntryReader
from scandock.workers.pool import ReaderFailure
from tests.builders import DataFolder, images, make_data_folder, zip_entries

COUNT = 200


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> DataFolder:
    return make_data_folder(tmp_path, monkeypatch, sqlite_url)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "exam.zip"
    path.write_bytes(zip_entries({f"a/{n}.dcm": data for n, data in enumerate(images(COUNT))}))
    return path


@pytest.fixture
def at_the_first_entry(monkeypatch):
    """Do something when the first entry is read."""

    def arrange(act):
        take = EntryReader.take
        done: list[bool] = []

        def taking(self, *args, **named):
            if not done:
                done.append(True)
                act()
            return take(self, *args, **named)

        monkeypatch.setattr(EntryReader, "take", taking)

    return arrange


def failed(told):
    assert (told.state, told.report["code"]) == ("failed", "read_failed")
    message = told.report["message"]
    assert "Traceback" not in message
    assert "\n" not in message
    assert "exam.zip" in message
    assert message.endswith("Import it again once it is complete.")


def test_an_archive_that_is_cut_while_it_is_read(site, archive, at_the_first_entry):
    at_the_first_entry(lambda: os.truncate(archive, 3000))
    failed(site.bring(archive))


def test_an_archive_that_vanishes_while_it_is_read(site, archive, at_the_first_entry):
    at_the_first_entry(archive.unlink)
    failed(site.bring(archive))


def test_an_archive_that_is_replaced_by_a_shorter_one(site, archive, at_the_first_entry):
    def replace():
        archive.unlink()
        archive.write_bytes(b"PK\3\4")

    at_the_first_entry(replace)
    failed(site.bring(archive))


def test_a_tar_that_is_cut_while_it_is_read(site, tmp_path, at_the_first_entry):
    path = tmp_path / "exam.zip.tar"
    (tmp_path / "1.dcm").write_bytes(images(1)[0])
    (tmp_path / "raw").write_bytes(bytes(20_000_000))
    with tarfile.open(path, "w") as packed:
        packed.add(tmp_path / "1.dcm", "a/1.dcm")
        packed.add(tmp_path / "raw", "a/raw")
    at_the_first_entry(lambda: os.truncate(path, 10_000_000))
    failed(site.bring(path))


def test_a_mistake_of_ours_in_a_reader_is_no_traceback_in_the_report(site, archive, at_the_first_entry):
    def mistake():
        raise ZeroDivisionError("by nought")

    at_the_first_entry(mistake)
    with pytest.raises(ReaderFailure) as caught:
        site.bring(archive)
    assert str(caught.value) == "ZeroDivisionError: by nought"
    assert "Traceback" in str(caught.value.__cause__)
    assert site.files() == {}
    site.check()
