"""A backup beside an earlier one, or going on with one that was interrupted: nothing that is not as it was is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scandock.model.errors import Fault
from scandock.services import backup
from scandock.services.backup import back_up
from scandock.services.backup_folders import PARTIAL, BackupResult
from scandock.services.backup_restore import restore_backup
from scandock.store import backups
from tests.builders import DataFolder, Image, images, sha256, uploader_layout


def made(site: DataFolder) -> BackupResult:
    return back_up(str(site.data), site.settings, str(site.root / "backups"))


def whole(site: DataFolder, backup: str) -> None:
    """What it holds is what DATA holds, and `check` finds nothing in it."""
    new = site.root / "restored"
    assert restore_backup(backup, str(new), site.settings) == []
    for under in ("archive", "receipts"):
        there, here = (
            {path.relative_to(top): path.read_bytes() for path in (top / under).rglob("*") if path.is_file()}
            for top in (new, site.data)
        )
        assert there == here


@pytest.mark.parametrize("harm", ["gone", "shorter", "more"])
def test_a_tree_that_is_not_whole_in_the_last_backup_is_copied_from_the_data_folder(
    site: DataFolder, harm: str
) -> None:
    site.bring(uploader_layout("S1", "1", images(2)), session="S1")
    first = made(site)
    victim = min((Path(first.path) / "archive").rglob("*.dcm"))
    if harm == "more":
        (victim.parent / "x.dcm").write_bytes(b"nobody's")
    else:
        victim.unlink()
        if harm == "shorter":
            victim.write_bytes(b"cut")
    second = made(site)
    assert (second.copied, second.damaged) == (1, [])
    whole(site, second.path)


def test_a_receipt_that_was_written_anew_is_not_shared_with_the_last_backup(site: DataFolder) -> None:
    """As where an import whose staging was lost has been given one from the catalog; here of the very same size."""
    site.bring(uploader_layout("S1", "1", images(1)), session="S1")
    made(site)
    (receipt,) = (site.data / "receipts").iterdir()
    before = receipt.stat()
    text = receipt.read_bytes()
    receipt.unlink()
    receipt.write_bytes(bytes([*text[:4], text[4] ^ 1, *text[5:]]))  # a second of its time
    os.utime(receipt, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000_000))
    whole(site, made(site).path)


def test_a_session_that_was_replaced_since_it_was_copied_is_copied_anew(
    site: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.bring(uploader_layout("S1", "1", images(1)), session="S1")
    rename = os.rename

    def full(source: str, target: str, **more: int) -> None:
        if source.endswith(PARTIAL):
            raise Fault("disk_full", "No space left.", "")
        rename(source, target, **more)

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", full)
        with pytest.raises(Fault, match="No space left"):
            made(site)
    other = Image(case="again", number=1, also={0x00204000: (b"LT", b"other")}).file()
    site.bring(uploader_layout("S1", "1", [other]), session="S1", overwrite="delete")
    done = made(site)
    assert done.copied == 1
    assert [sha256(path.read_bytes()) for path in (Path(done.path) / "archive").rglob("*.dcm")] == [sha256(other)]
    whole(site, done.path)


def test_what_is_not_durable_yet_is_not_noted_as_copied(site: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a power cut would leave a tree half, and the next call would take it for whole."""
    site.bring(uploader_layout("S1", "1", images(1)), session="S1")
    monkeypatch.setattr(backups, "sync_all", lambda _: (_ for _ in ()).throw(Fault("sync_failed", "No.", "")))
    with pytest.raises(Fault, match="No"):
        made(site)
    assert not (site.root / "backups" / PARTIAL / backup.TREES).exists()
