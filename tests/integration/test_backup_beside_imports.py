"""A backup that is made while imports stand at every moment of their lives, and go on beneath it.

Whatever was acknowledged before it began is in what is restored: as a session, or as an upload that waits with its
bytes and ends there as it would have here.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from scandock.model.crash_points import POINTS
from scandock.model.import_types import Progress
from scandock.services import backup
from scandock.services.backup import back_up
from scandock.services.backup_restore import restore_backup
from scandock.services.catalog_copies import copy_catalog
from scandock.services.settings import load_settings
from scandock.store import backups
from scandock.testing.worker import InProcessWorker
from tests.crash.archives import Study, zip_bytes
from tests.crash.case_share import choose_cases
from tests.crash.checker import examine_data
from tests.crash.processes import until
from tests.integration.forked_workers import ForkedAttempt, StartedAttempts, in_process_worker
from tests.integration.upload_server import UploadServer

pytestmark = [pytest.mark.crash, pytest.mark.processes]

PASSED = POINTS[POINTS.index("began") : POINTS.index("finished") + 1]
"""The points that an attempt of a server passes."""
SHARE = choose_cases(PASSED[3::4], PASSED)
"""Of the points, in `make test`; `make crash` goes over all of them."""


class Stand:
    """A site on which an import has ended, one stands at each point, and one waits for its turn."""

    def __init__(self, folder: Path, server: UploadServer, attempts: StartedAttempts) -> None:
        self.server = server
        self.attempts = attempts
        self.studies = [Study(63, number, series=1, count=3, side=8) for number in range(1, len(SHARE) + 3)]
        self.moments = 0
        """Times that the backup was at a moment at which an import may go on."""
        self.after = 0
        """Moments at which none does before the first."""
        ended = self._send(0)
        assert server.ended(ended) == "placed"
        self.held = [self._hold(number, point, folder) for number, point in enumerate(SHARE, 1)]
        attempts.changes.clear()
        self.waits = self._send(len(SHARE) + 1)

    def _send(self, number: int) -> str:
        return self.server.send(zip_bytes(self.studies[number].entries("S")), by=f"sender{number}")

    def _hold(self, number: int, point: str, folder: Path) -> tuple[str, ForkedAttempt]:
        once = str(folder / f"once{number}")
        stop = {"SCANDOCK_CRASH_AT": point, "SCANDOCK_CRASH_BY": "SIGSTOP", "SCANDOCK_CRASH_ONCE": once}
        self.attempts.changes.update(stop)
        uuid = self._send(number)
        return uuid, self.attempts.stopped(uuid)

    def moment(self, *_: object) -> None:
        """Let the next one go on, to its end."""
        self.moments += 1
        if self.held and self.moments > self.after:
            uuid, attempt = self.held.pop(0)
            os.kill(attempt.pid, signal.SIGCONT)
            assert self.server.ended(uuid) == "placed", self.server.row(uuid)
            until(lambda: not attempt.runs, "it did not end")


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    server = UploadServer(tmp_path / "data")
    with in_process_worker(server, len(SHARE)) as attempts:
        yield Stand(tmp_path, server, attempts)
    server.close()


def is_whole(stand: Stand, backup: str, new: Path) -> None:
    """What is restored has all that was promised, once what waits there has been imported."""
    assert restore_backup(backup, str(new), load_settings()) == []
    with closing(sqlite3.connect(new / "scandock.db", timeout=20)) as database:

        def ended() -> bool:
            (count,) = database.execute("SELECT count(*) FROM upload WHERE finished IS NULL").fetchone()
            return count == 0 and not any(os.listdir(new / folder) for folder in ("work", "incoming"))

        with InProcessWorker(new):
            until(ended, "what waited in the backup did not end")
        states = database.execute("SELECT DISTINCT state FROM upload").fetchall()
    held, wrong = examine_data(new)
    assert not wrong, "\n".join(wrong)
    assert held == {study.uid: study.held() for study in stand.studies}
    assert states == [("placed",)]


def test_a_backup_while_imports_stand_at_every_point_has_them_all(stand, tmp_path):
    made = back_up(str(stand.server.data), load_settings(), str(tmp_path / "backups"))
    assert stand.server.state(stand.waits) == "received"
    assert {stand.server.state(uuid) for uuid, _ in stand.held} <= {"running", "placed"}
    is_whole(stand, made.path, tmp_path / "new")


@pytest.mark.parametrize("after", choose_cases([0], range(8)))
def test_a_backup_beneath_which_imports_go_on_has_them_all(stand, tmp_path, monkeypatch, after):
    """One at a time, between the copy of the catalog and that of a tree, before a tree and within one."""
    stand.after = after
    copy_folder = backups.copy_folder

    @contextmanager
    def then_go_on(*where: Any) -> Iterator[Any]:
        with copy_catalog(*where) as connection:
            stand.moment()
            yield connection

    def go_on_before(*words: Any) -> Any:
        stand.moment()
        return copy_folder(*words)

    def within(_progress: Progress) -> None:
        stand.moment()

    monkeypatch.setattr(backup, "copy_catalog", then_go_on)
    monkeypatch.setattr(backups, "copy_folder", go_on_before)
    made = back_up(str(stand.server.data), load_settings(), str(tmp_path / "backups"), within)
    assert not stand.held, "the backup was over before all had gone on"
    shutil.rmtree(stand.server.data / "archive")  # whose files it must not need
    is_whole(stand, made.path, tmp_path / "new")
