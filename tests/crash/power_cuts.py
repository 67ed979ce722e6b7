"""One round of a server on a disk of its own whose power is cut: what was acknowledged must be there afterwards.

The disk is ext4 or XFS (`disks.py`), with the catalog in SQLite on it, or in PostgreSQL whose data is on it as well.
All processes stop in one moment, the file system takes nothing more, then they are killed, and the disk is mounted
again. The judge is that of every server's round. A control is a round in which some kind of sync says yes and does
nothing (`dropped_syncs.py`): it must lose something, else a round without a loss would say nothing. Where PostgreSQL
has the catalog, it is PostgreSQL that drops them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import psycopg

from tests.crash.checker import check_acknowledged, check_postgresql
from tests.crash.disks import KINDS, Disk, NoDiskError
from tests.crash.dropped_syncs import EVERY, drop_syncs
from tests.crash.processes import check, until
from tests.crash.rounds import assert_clean
from tests.crash.served import ServerProcess
from tests.crash.server_rounds import RECEIVING, WITHIN, ServerRound, ServerTest, judge, last_lines, run_server_test
from tests.crash.uploaders import DOORS, Log
from tests.postgres import DurableCluster

DISKS = (*KINDS, "ext4+postgresql", "xfs+postgresql")
EACH = 2
"""Archives of each of the four clients."""
CONTROLS = (
    ("acknowledged", EVERY),
    ("acknowledged", "fsync"),
    ("acknowledged", "fdatasync"),
    ("finished", "syncfs"),
)
"""The moment of a cut at which each kind of sync is missed: spools, catalog, trees."""
POSTGRESQL_CONTROLS = (("acknowledged", EVERY), ("acknowledged", "fdatasync"))
"""`fdatasync` is what PostgreSQL makes a commit durable by (its `wal_sync_method` on Linux)."""
CONTROL_TRIES = 3
LOSSES = (
    "is not known", "bytes_missing", "stands there 0 times", "is not what the catalog says", "is not there",
    "malformed", "is damaged", "not a database", "project_unknown",
    # of PostgreSQL's own files
    "could not locate a valid checkpoint record", "incorrect checksum in control file",
)  # fmt: skip
"""What a control's failure speaks of: a round that fails for another reason is no control."""


@dataclass(frozen=True, kw_only=True)
class PowerCut(ServerRound):
    """`at` is `acknowledged` (the moment that a client hears so), `halfway` in an upload, `random` or a named point."""

    victim: str = "group"
    disk: str
    dropped: str = ""
    """System calls that say yes and do nothing."""

    def __str__(self) -> str:
        return "/".join(part for part in ("power", self.disk, self.at, str(self.seed), self.dropped) if part)

    @classmethod
    def parse(cls, word: str) -> PowerCut:
        """A round from what it was told by."""
        _, disk, at, seed, *dropped = word.split("/")
        return cls(disk=disk, at=at, seed=int(seed), dropped="".join(dropped))


def power_cuts(count: int, seed: int) -> Iterator[PowerCut]:
    """So many rounds: every moment in turn on every disk in turn."""
    moments = ("acknowledged", "random", "halfway", "acknowledged", *RECEIVING, "random", *WITHIN)
    for number in range(count):
        at = moments[number // len(DISKS) % len(moments)]
        yield PowerCut(disk=DISKS[number % len(DISKS)], at=at, seed=seed + number)


def controls(seed: int) -> Iterator[PowerCut]:
    for disk in KINDS:
        for at, dropped in CONTROLS:
            yield PowerCut(disk=disk, at=at, seed=seed, dropped=dropped)
        for at, dropped in POSTGRESQL_CONTROLS:
            yield PowerCut(disk=f"{disk}+postgresql", at=at, seed=seed, dropped=dropped)


class DiskServerTest(ServerTest):
    """A server on a disk, its clients, and the cut. NoDiskError."""

    doors = (*DOORS, "xnat")

    def __init__(self, folder: Path, cut: PowerCut, each: int = EACH) -> None:
        kind, _, catalog = cut.disk.partition("+")
        # Not below the rounds' own folder, which only its owner may enter: PostgreSQL runs as another user.
        self._room = Path(tempfile.mkdtemp(prefix="scandock-disk-"))
        self._room.chmod(0o755)
        self._closing = contextlib.ExitStack()
        self._closing.callback(shutil.rmtree, self._room, ignore_errors=True)
        try:
            self.disk = Disk(self._room / "disk", kind)
            self._closing.callback(self.disk.close)
            self.postgres = DurableCluster(self._room / "postgres", self.disk.path / "postgres") if catalog else None
            if self.postgres is not None:
                self._closing.callback(self.postgres.kill)
                self.postgres.start()
                self.postgres.make_database("catalog")
                if cut.dropped:  # from here on: a cluster whose beginnings are gone would be no loss of ours
                    self.postgres.stop()
                    self.postgres.start(partial(drop_syncs, cut.dropped))
            self._cut = threading.Event()
            self._drops_syncs = bool(cut.dropped)
            self._dropped = "" if self.postgres is not None else cut.dropped
            super().__init__(folder, cut, each)
        except BaseException:
            self._closing.close()
            raise
        self.log = Log(self.log.path, self._heard)
        self.after = self.chance.randint(1, len(self.doors))
        """Acknowledgements after which the power is cut, where it is cut at one."""

    def start(self, **changes: str) -> ServerProcess:
        if self.postgres is not None:
            changes["SCANDOCK_DATABASE_URL"] = self.postgres.url("catalog")
        words = ("--workers", "2")
        data = str(self.disk.path / "data")
        return ServerProcess(
            self.folder, self.port, *words, data=data, dropped=self._dropped, SCANDOCK_WORKERS="1", **changes
        )

    def _named(self) -> dict[str, str]:
        return {} if self.one.at == "acknowledged" else super()._named()

    def _heard(self, count: int) -> None:
        if self.one.at == "acknowledged" and count == self.after:
            self._cut_power()

    def strike(self) -> None:
        if self.one.at == "acknowledged":
            until(self._cut.is_set, "nothing was acknowledged")
            self._end_and_begin()
            return
        super().strike()

    def _kill(self) -> None:
        self._cut_power()
        self._end_and_begin()

    def _cut_power(self) -> None:
        """In one moment for all, as near as can be: who is stopped neither answers a client nor sees an error."""
        os.killpg(self.server.group, signal.SIGSTOP)
        self.disk.cut()
        self._cut.set()

    def _end_and_begin(self) -> None:
        self.server.kill()
        self.server.wait()
        if self.postgres is not None:
            self.postgres.kill()
        self.disk.unmount()
        self.disk.mount()
        self._dropped = ""  # a control's loss is done: what comes after is to be judged
        if self.postgres is not None:
            self._start_postgres(self.postgres)
        self.server = self.start().ready()

    def _start_postgres(self, cluster: DurableCluster) -> None:
        if not self._drops_syncs:
            cluster.start()
            return
        (cluster.data / "postmaster.pid").unlink(missing_ok=True)  # emptied by the cut, it is all that would be missed
        try:
            cluster.start()
        except RuntimeError as error:  # its own files may be what was lost
            raise AssertionError(str(error)) from error

    def judge(self) -> None:
        if self.postgres is None:
            judge(self.server.data, self.log)
            assert_clean(check(self.server.data))
            return
        wrong = check_acknowledged(self.server.data, self.log.path)
        with psycopg.connect(self.postgres.conninfo("catalog")) as connection:
            wrong += check_postgresql(self.server.data, connection)
        assert not wrong, "\n".join(wrong)
        assert_clean(check(self.server.data, SCANDOCK_DATABASE_URL=self.postgres.url("catalog")))

    def close(self) -> None:
        super().close()
        self._closing.close()


def run_cut(folder: Path, cut: PowerCut, each: int = EACH) -> None:
    """Play a round; AssertionError says what was lost. NoDiskError.

    A control must lose something, and AssertionError says where it did not. What it has not synced may have reached the
    disk by then all the same: it is played up to `CONTROL_TRIES` times.
    """
    if not cut.dropped:
        run_server_test(DiskServerTest(folder, cut, each))
        return
    for again in range(CONTROL_TRIES):
        try:
            run_server_test(DiskServerTest(folder, replace(cut, seed=cut.seed + again), each))
        except AssertionError as error:
            message = str(error)
            assert any(loss in message for loss in LOSSES), f"it failed, but not for a loss: {message}"
            return
        shutil.rmtree(folder)
    raise AssertionError(f"syncs were dropped, and nothing noticed in {CONTROL_TRIES} rounds")


def run_cuts(folder: Path, cuts: Iterable[PowerCut], on_round: Callable[[str, str], object]) -> list[str]:
    """Play rounds, one after another: a server has the machine to itself until its moment. What could not be played."""
    left_out: dict[str, str] = {}
    for cut in cuts:
        if cut.disk in left_out:
            continue
        place = folder / str(cut).replace("/", "-")
        try:
            run_cut(place, cut)
        except NoDiskError as error:
            left_out[cut.disk] = f"no power is cut on {cut.disk}: {error}"
            continue
        except Exception:  # noqa: BLE001  the other rounds are played all the same
            on_round(str(cut), traceback.format_exc() + last_lines(place / "err"))
        else:
            on_round(str(cut), "")
        finally:
            shutil.rmtree(place, ignore_errors=True)
    return list(left_out.values())
