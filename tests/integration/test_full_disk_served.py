"""A served DATA whose disk fills beneath it, at one level after another: whoever uploads is told so (507), and what
to do; what was taken waits; and once there is room, all of it ends as it would have.

`test_outages.py` has each point of an import; here it is the server that is asked, by its doors.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.crash.archives import Study
from tests.crash.case_share import choose_cases
from tests.crash.checker import check_acknowledged, examine_data
from tests.crash.processes import check, until
from tests.crash.rounds import assert_clean
from tests.crash.served import ServerProcess
from tests.crash.server_rounds import wait_until_clear
from tests.crash.uploaders import Archive, Log, Uploader
from tests.integration.small_disks import Mount, fill
from tests.ports import free_port

pytestmark = [pytest.mark.crash, pytest.mark.processes]

EVERY = [kb * 1024 for kb in (0, 4, 12, 24, 48, 80, 112, 144, 192, 256, 384, 512, 1024)]
"""Bytes that are left: none, then more and more, at last what all of it takes."""
SHARE = choose_cases(EVERY[0:10:9], EVERY)
"""Of the levels, in `make test`; `make crash` goes over all of them."""
DOORS = ("raw", "tus", "xnat")
REMEDY = re.compile(r"have space freed|has freed space|Free (some )?space|give one up")
"""The last where there is space, but an account's open uploads would take more than their share of it together."""


@dataclass
class Client:
    """Sends one archive until it is taken; where there is no space it waits until there is."""

    uploader: Uploader
    archive: Archive
    room: threading.Event
    refusals: list[str] = field(default_factory=list)
    upload: str = ""

    def __post_init__(self) -> None:
        self.uploader.refused = self._refused
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        self.upload = self.uploader.send(self.archive)

    def _refused(self, text: bytes) -> None:
        self.refusals.append(text.decode())
        self.room.wait(60)

    def taken(self) -> str:
        self.thread.join(60)
        assert self.upload, f"{self.uploader.door} was never taken: {self.refusals}"
        return self.upload


class Site:
    """A server on a small disk of its own."""

    def __init__(self, data: Path, folder: Path) -> None:
        self.data = data
        self.log = Log(folder / "promised.jsonl")
        self.folder = folder
        self.served = self.start()
        self.served.project()

    def start(self) -> ServerProcess:
        return ServerProcess(self.folder, free_port(), "--workers", "2", SCANDOCK_MIN_FREE_BYTES="0").ready()

    def says_that_it_is_full(self) -> bool:
        status, told = self.served.ask("GET", "/readyz")
        return status == 503 and told["checks"]["store"] == "disk_full"

    def client(self, door: str, level: int, room: threading.Event) -> Client:
        study = Study(62, EVERY.index(level) * len(DOORS) + DOORS.index(door), series=1, count=8)
        archive = Archive(f"{door}{level}", study, note=door != "xnat")
        return Client(Uploader(self.served.port, door, self.log), archive, room)

    def imports(self) -> list[dict[str, Any]]:
        status, told = self.served.ask("GET", "/api/v1/imports?limit=200")
        assert status == 200, told
        items: list[dict[str, Any]] = told["items"]
        return items

    def waiting(self) -> list[dict[str, Any]]:
        """Imports that wait for their next attempt."""
        return [one for one in self.imports() if one["waiting"] is not None]

    def stands(self, client: Client) -> bool:
        """Whether nothing more comes of what a client sends before there is room."""
        name = f"{client.archive.key}.zip"
        mine = [one for one in self.imports() if one["archive"] == name]
        return (
            bool(client.refusals)
            or any(one["waiting"] or one["finished"] for one in mine)
            or (bool(mine) and self.says_that_it_is_full())  # nobody can claim it, or write that it waits
        )

    def hurried(self) -> bool:
        """Have what waits tried now; whether nothing waits or runs any more."""
        for one in self.waiting():
            self.served.ask("POST", f"/api/v1/imports/{one['id']}/retry", b"")
        return all(one["finished"] or one["state"] == "receiving" for one in self.imports())

    def end(self) -> None:
        """Stop it, once all is cleared up; what broke where not even that could be written the next start clears."""
        wait_until_clear(self.served)
        left = any(one["state"] == "receiving" for one in self.imports())
        self.served.end()
        if left:
            self.served = self.start()
            until(lambda: all(one["finished"] for one in self.imports()), "a broken upload was left")
            self.served.end()


@pytest.fixture
def begin(tmp_path: Path, disk: Mount) -> Iterator[Callable[[], Site]]:
    begun: list[Site] = []

    def start() -> Site:
        begun.append(Site(disk("32m"), tmp_path))
        return begun[-1]

    yield start
    for site in begun:
        site.served.kill()
        site.served.wait()


def test_uploads_are_refused_or_wait_while_the_disk_is_full_and_all_goes_on_with_room(begin):
    site = begin()
    refused: dict[str, list[str]] = {door: [] for door in DOORS}
    waited: list[dict[str, Any]] = []
    played = 0
    for level in dict.fromkeys([*SHARE, *EVERY]):
        if level not in SHARE and waited:  # where an import comes to wait depends on how long the catalog's log is then
            break
        played += 1
        ballast, room = fill(site.data, level), threading.Event()
        try:
            if level == 0:
                until(site.says_that_it_is_full, "it says that it is ready")
            clients = []
            for door in DOORS:  # one after another, so that each finds what the level leaves
                clients.append(site.client(door, level, room))
                until(partial(site.stands, clients[-1]), f"{door} neither refused nor waits, {level} bytes left")
            waited += site.waiting()
        finally:
            ballast.unlink()
            room.set()
        until(site.hurried, f"imports did not go on, {level} bytes left before")
        for client in clients:
            client.taken()
            refused[client.uploader.door] += client.refusals
        until(site.hurried, "what was sent again did not end")

    for door, texts in refused.items():
        assert texts, f"nobody was refused by {door}"
        for text in texts:
            assert REMEDY.search(text), f"{door} says nothing of what to do: {text}"
            assert ("disk_full" in text) is (door != "xnat")
    assert waited, "no import waited"
    assert {one["waiting"]["code"] for one in waited} == {"disk_full"}
    assert {(one["state"], one["attempt"]) for one in site.imports() if one["accepted"]} == {("placed", 1)}
    site.served.ready()
    site.end()
    held, wrong = examine_data(site.data)
    wrong += check_acknowledged(site.data, site.log.path)
    assert not wrong, "\n".join(wrong)
    assert len(held) == played * len(DOORS)
    assert_clean(check(site.data, SCANDOCK_MIN_FREE_BYTES="0"))
