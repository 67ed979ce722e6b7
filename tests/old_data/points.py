"""Imports and changes by old code that are killed at each named point, all of them in one DATA.

Each dies as it does under the crash suite. Its lease then says that somebody holds it on another machine, so that the
old code which comes next goes on beside it and clears nothing away; when all are dead, the leases are over and the
owners are who they were.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
from sqlalchemy import Engine, create_engine, text

from tests.crash.archives import Study, zip_bytes
from tests.crash.processes import is_stopped, members, until
from tests.old_data.make import PASSWORD, Old, _good, _is_ready, _placed, _send
from tests.ports import free_port

ELSEWHERE = '{"host": "another"}'
NEVER = 10**15
SHOWN = ("intent", "switched_one", "switched", "receipt", "published", "retired", "finished", "swept")
"""What dies at one of these has happened, once the next command has looked at DATA; at an earlier one it has not."""
IMPORTS = ("recorded", "read", "reserved", "arranged", "rows", "sealed", *SHOWN, "began")
CHANGES = {
    "edit": ("arranged", "sealed", "rows", *SHOWN[:-1]),
    "delete": ("intent", "switched", "published", "retired"),
    "restore": ("intent", "switched", "published"),
    "move": ("intent", "switched_one", "published"),
    "archive": ("intent", "published"),
    "merge": ("rows", "intent", "switched", "published"),
    "make": ("intent", "switched", "published"),
    "own": ("intent",),
}
CLEARED = ("finished", "swept", "began")
"""At these nobody holds a lease, and whoever came next would clear up: they stay stopped to the end, and come last."""
WAITS = ("move", "archive", "merge")
NOTE = b"Put there by hand.\n"
MADE = "xnat:mrSessionData"

SCRIPT = """
import sys
from sqlalchemy import select
from scandock.access.principal import SYSTEM
from scandock.catalog.shelves import shelf_of_project
from scandock.catalog.tables import project
from scandock.services import archiving, moving, trash
from scandock.services.moving import Desk
from scandock.services.opening import opened
from scandock.services.settings import load_settings
from scandock.services.xnat.hand_changes import make_changes
from scandock.services.xnat.hand_files import Wanted, change_of, incoming
from scandock.services.xnat.making import NewSession, make_session
from scandock.services.xnat.next_tree import Place
from scandock.services.xnat.shelves import make_shelf

data, kind, what = sys.argv[1:]
settings = load_settings()
with opened(data, settings) as (catalog, store):
    desk = Desk(catalog, store, settings, SYSTEM)
    if kind == "edit":
        came = incoming(store)
        came.keep("note.txt", [b"Put there by hand.\\n"], lambda _: None)
        change = change_of(desk, Wanted(what, Place(None, "R"), overwrite=True), came)
        assert make_changes(what, [change]) == [None]
    elif kind == "delete":
        trash.delete_session(desk, what)
    elif kind == "restore":
        trash.restore(desk, what)
    elif kind == "move":
        moving.move(desk, what, label="MOVED_" + what[-12:])
    elif kind == "archive":
        archiving.archive(desk, what)
    elif kind == "merge":
        archiving.archive(desk, what, overwrite="append", decided=True)
    elif kind == "make":
        person, kind = "S_" + what, "xnat:mrSessionData"
        make_session(desk, NewSession(project="P", subject=person, label=what, xsi_type=kind, attributes={}))
    elif kind == "own":
        with catalog.read() as connection:
            number = connection.execute(select(project.c.id).where(project.c.name == "P")).scalar_one()
            wanted = shelf_of_project(connection, number, "P")
        make_shelf(desk, wanted)
"""


class Dying:
    """Old code that dies at named points of one DATA."""

    def __init__(self, old: Old, source: str, engine: Engine) -> None:
        self.old = old
        self.source = source
        self.engine = engine
        self.owners: dict[str, str] = {}
        self.stopped: list[subprocess.Popen[bytes]] = []

    def die(self, point: str, process: subprocess.Popen[bytes]) -> None:
        """Wait until a process is stopped at its point, then kill it, as if another machine had begun it."""
        until(lambda: process.poll() is not None or is_stopped(process.pid), f"not stopped at {point}")
        assert process.poll() is None, (point, process.args, process.returncode)
        with self.engine.begin() as connection:
            rows = connection.execute(text("SELECT uuid, owner FROM upload WHERE state = 'running'")).all()
            self.owners = {row.uuid: row.owner for row in rows if row.owner != ELSEWHERE} | self.owners
            connection.execute(
                text("UPDATE upload SET owner = :owner, lease_until = :never WHERE state = 'running'"),
                {"owner": ELSEWHERE, "never": NEVER},
            )
        self.stopped.append(process)
        if point not in CLEARED:
            self.kill()

    def kill(self) -> None:
        while self.stopped:
            process = self.stopped.pop()
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            until(partial(_is_gone, process.pid), "processes were left")

    def leave(self) -> None:
        """Kill who is still stopped; the leases are over, as a while later."""
        self.kill()
        with self.engine.begin() as connection:
            for uuid, owner in self.owners.items():
                connection.execute(
                    text("UPDATE upload SET owner = :owner, lease_until = 1 WHERE uuid = :uuid"),
                    {"owner": owner, "uuid": uuid},
                )
            left = connection.execute(text("SELECT count(*) FROM upload WHERE owner = :o"), {"o": ELSEWHERE})
            assert left.scalar_one() == 0

    def begin_import(self, number: int, point: str) -> None:
        words = ["--data", str(self.old.data), "--project", "P"]
        self.die(point, self.old.start("import", str(self.old.archive(number)), *words, **stop_at(point)))

    def begin_change(self, kind: str, what: str, point: str) -> None:
        command = [sys.executable, "-c", SCRIPT, str(self.old.data), kind, what]
        env = self.old.env | stop_at(point)
        self.die(point, subprocess.Popen(command, env=env, cwd=self.old.folder, start_new_session=True))

    def change(self, kind: str, what: str) -> None:
        command = [sys.executable, "-c", SCRIPT, str(self.old.data), kind, what]
        subprocess.run(command, env=self.old.env, cwd=self.old.folder, check=True)

    def uuid_of(self, uid: str, place: str) -> str:
        query = text("SELECT uuid FROM session WHERE study_uid = :uid AND place = :place")
        with self.engine.connect() as connection:
            return str(connection.execute(query, {"uid": uid, "place": place}).scalar_one())


def _is_gone(group: int) -> bool:
    return not members(group)


def stop_at(point: str) -> dict[str, str]:
    return {"SCANDOCK_CRASH_AT": point, "SCANDOCK_CRASH_BY": "SIGSTOP"}


def kill_everywhere(old: Old, url: str | None) -> dict[str, Any]:
    """Imports and changes that die at each point, beside what came by a server before; what is to be there then."""
    expected = _by_server(old)
    engine = create_engine(url or f"sqlite:///{old.data / 'scandock.db'}")
    numbers = iter(range(100, 1000))
    sessions: dict[str, dict[str, list[str]]] = {"archived": expected.pop("archived"), "waiting": {}, "trashed": {}}
    targets = {(kind, point): next(numbers) for kind, points in CHANGES.items() for point in points}
    dying = Dying(old, "", engine)
    _bring(old, [number for (kind, _), number in targets.items() if kind not in (*WAITS, "make", "own")], [])
    waits = [number for (kind, _), number in targets.items() if kind in ("move", "archive")]
    for number in waits:  # each by an import of its own: those of one share a timestamp, which a change reserves
        _bring(old, [number], ["--destination", "prearchive"])
    merges = [number for (kind, _), number in targets.items() if kind == "merge"]
    _bring(old, merges, [], part=(0, 0.5))
    for number in merges:
        _bring(old, [number], ["--destination", "prearchive"], part=(0.5, 1))
    made, moved, own = [], {}, 0
    for (kind, _), number in targets.items():
        if kind == "restore":
            dying.change("delete", dying.uuid_of(old.study(number).uid, "archive"))
    every = sorted(targets.items(), key=lambda one: one[0][1] in CLEARED)
    for (kind, point), number in every:
        shown, study = point in SHOWN, old.study(number)
        uid, files = study.uid, old.files(number)[study.uid]
        if kind in ("make", "own"):
            dying.begin_change(kind, f"MADE_{number}", point)
            made += [f"MADE_{number}"] if kind == "make" else []
            own += kind == "own"
            continue
        uuid = _in_trash(engine, uid) if kind == "restore" else dying.uuid_of(uid, _place(kind))
        if kind == "edit":
            note = [hashlib.sha256(NOTE).hexdigest()] if shown else []
            sessions["archived"][uid] = sorted(files + note)
        elif kind == "delete":
            sessions["trashed"][uid] = files
        elif kind == "move":
            sessions["waiting"][uid] = files
            moved[uid] = f"MOVED_{uuid[-12:]}"
        elif kind == "merge" and not shown:
            sessions["archived"][uid] = _part(study, 0, 0.5)
            sessions["waiting"][uid] = _part(study, 0.5, 1)
        else:
            sessions["archived"][uid] = _part(study, 0, 1) if kind == "merge" else files
        dying.begin_change(kind, uuid, point)
    for point in IMPORTS:
        number = next(numbers)
        if point in SHOWN:
            sessions["archived"] |= old.files(number)
        dying.begin_import(number, point)
    dying.leave()
    engine.dispose()
    return expected | sessions | {"made": made, "moved": moved, "own": own}


def _place(kind: str) -> str:
    return "prearchive" if kind in WAITS else "archive"


def _part(study: Study, start: float, end: float) -> list[str]:
    part = study.part(start, end)
    return sorted(part.held(note=False).files)


def _in_trash(engine: Engine, uid: str) -> str:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT uuid, session FROM trashed")).all()
    (uuid,) = [row.uuid for row in rows if f'"{uid}"' in row.session]
    return str(uuid)


def _bring(old: Old, numbers: list[int], words: list[str], part: tuple[float, float] = (0, 1)) -> None:
    """Import studies in one archive, without their notes where it is a part of each."""
    entries: dict[str, bytes] = {}
    for number in numbers:
        study = old.study(number)
        one = study if part == (0, 1) else study.part(*part)
        entries |= one.entries(f"S{number}", note=part == (0, 1))
    path = old.folder / "many.zip"
    path.write_bytes(zip_bytes(entries))
    process = old.start("import", str(path), "--data", str(old.data), "--project", "P", *words)
    assert process.wait(120) == 0, words


@contextlib.contextmanager
def _served(old: Old) -> Iterator[httpx.Client]:
    port = free_port()
    server = old.start("serve", "--data", str(old.data), "--port", str(port), "--workers", "1")
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", auth=("admin", PASSWORD), timeout=60) as client:
            until(lambda: _is_ready(client), "it was never ready")
            yield client
    finally:
        server.terminate()
        server.wait(60)
        until(lambda: not members(server.pid), "processes were left")


def _by_server(old: Old) -> dict[str, Any]:
    """An import that was deleted, whose session stands; a file in a user's cache; an import that was taken from it."""
    cache = "/data/user/cache/resources/R/files"
    with _served(old) as client:
        _good(client.post("/api/v1/projects", json={"id": "P"}))
        deleted, kept = (_send(client, old.archive(number)) for number in (1, 2))
        for upload in (deleted, kept):
            _placed(client, upload)
        _good(client.delete(f"/api/v1/imports/{deleted}"))
        for number in (3, 4):
            _good(client.put(f"{cache}/{number}.zip?inbody=true", content=old.archive(number).read_bytes()))
        query = "src=/user/cache/resources/R/files/4.zip&import-handler=DICOM-zip&project=P&dest=/archive"
        _good(client.post(f"/data/services/import?{query}"))
    body = old.archive(3).read_bytes()
    by_dialect = {
        study.uid: _part(study, 0, 1) for study in map(old.study, (3, 4))
    }  # which leaves out what is no image
    return {
        "archived": old.files(1, 2) | {old.study(4).uid: by_dialect.pop(old.study(4).uid)},
        "deleted": deleted,
        "imported": kept,
        "cached": {"3.zip": hashlib.sha256(body).hexdigest()},
        "brings": by_dialect,
    }
