"""Thumbnails made by a worker with nothing else to do: found by the first visit, whole, gone with their session."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture

from scandock.catalog.records import SessionRecord
from scandock.services.cleaning.registry import tidy_pictures
from scandock.services.context import ServiceContext
from scandock.services.decoding import Pictures
from scandock.services.thumbnail_making import COMPLETE, make_thumbnails
from scandock.store.errors import StoreFailed
from scandock.store.local import LocalStore
from scandock.store.paths import TreePath
from scandock.store.snapshots import LocalSnapshot
from scandock.viewing.decoder_messages import DecoderRequest, Message
from scandock.viewing.decoder_pool import DecoderPool
from scandock.workers import thumbnail_maker
from scandock.workers.thumbnail_maker import BUSY_SECONDS, EVERY_SECONDS, NICENESS, ThumbnailMaker
from tests.builders import DataFolder, uploader_layout, verify_some
from tests.integration.test_pictures import image, report
from tests.integration.web import Web, serve_in_process

pytestmark = pytest.mark.processes

SCANS = ("4", "5", "6")


def session(label: str) -> dict[str, bytes]:
    """Three scans with a picture, and one that has none."""
    files = uploader_layout(label, "9", [report()], resource="secondary")
    for scan_id in SCANS:
        uids = {"SeriesInstanceUID": f"1.2.3.{scan_id}", "SeriesNumber": int(scan_id)}
        files |= uploader_layout(
            label, scan_id, [image(n, **uids, SOPInstanceUID=f"1.2.3.{scan_id}.{n}") for n in range(2)]
        )
    return files


@pytest.fixture
def web(site: DataFolder) -> Iterator[Web]:
    with serve_in_process(site.data) as running:
        yield running


@pytest.fixture
def maker(web: Web) -> Iterator[Callable[..., ThumbnailMaker]]:
    makers: list[ThumbnailMaker] = []

    def make(is_idle: Callable[[], bool] = lambda: True, **settings: Any) -> ThumbnailMaker:
        made = ThumbnailMaker(
            web.site.catalog, LocalStore(web.site.data), web.site.settings.model_copy(update=settings), is_idle
        )
        makers.append(made)
        return made

    yield make
    for each in makers:
        each.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What decoders are asked, of whichever process: each maker here is within this one."""
    verbs: list[str] = []
    ask = DecoderPool.ask

    def noted(self: DecoderPool, request: DecoderRequest, *more: Any, **named: Any) -> Message:
        verbs.append(request["verb"])
        return ask(self, request, *more, **named)

    monkeypatch.setattr(DecoderPool, "ask", noted)
    return verbs


@pytest.fixture
def priorities(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Those of all decoders whenever one of them has answered."""
    seen: list[tuple[int, ...]] = []
    ask = DecoderPool.ask

    def noted(self: DecoderPool, *more: Any, **named: Any) -> Message:
        answer = ask(self, *more, **named)
        seen.append(tuple(os.getpriority(os.PRIO_PROCESS, pid) for pid in self.pids))
        return answer

    monkeypatch.setattr(DecoderPool, "ask", noted)
    return seen


def never() -> bool:
    return False


def kept(web: Web) -> dict[str, list[str]]:
    return {
        folder.name: sorted(path.name for path in folder.iterdir())
        for folder in (Path(web.site.data) / "cache").glob("*")
    }


def look(web: Web, label: str) -> list[tuple[str, bytes]]:
    """What a browser gets for the thumbnails of a session, with the type of each."""
    with web.client() as client:
        uuid = next(one["id"] for one in client.get("/api/v1/sessions").json()["items"] if one["label"] == label)
        answers = [client.get(f"/api/v1/sessions/{uuid}/scans/{scan}/thumbnail") for scan in SCANS]
    return [(answer.headers["content-type"], answer.content) for answer in answers]


def test_the_first_visit_finds_them_until_a_file_is_in_doubt(
    web: Web,
    site: DataFolder,
    maker: Callable[..., ThumbnailMaker],
    asked: list[str],
    priorities: list[tuple[int, ...]],
) -> None:
    site.bring(session("S1"), session="S1")
    first = maker()
    assert first.turn(never) == EVERY_SECONDS
    (names,) = kept(web).values()
    assert names == sorted(
        [COMPLETE, *(f"2-stack-{n}.json.gz" for n in range(4)), *(f"2-thumbnail-{n}.webp" for n in range(3))]
    )
    assert set(priorities) == {(NICENESS,)}  # one decoder, behind all else
    asked.clear()
    assert first.turn(never) == maker().turn(never) == EVERY_SECONDS  # nor does another worker make them again

    pictures = look(web, "S1")
    assert [kind for kind, _ in pictures] == ["image/webp"] * 3
    assert {Picture.open(BytesIO(body)).format for _, body in pictures} == {"WEBP"}
    verify_some(web.site.catalog, web.site.store, 60)  # what is new is read once, right after it was placed
    assert look(web, "S1") == pictures
    assert tidy_pictures(web.site.pictures, web.site.catalog) == 0
    assert asked == []
    assert len(web.site.pictures.decoders.pids) == 1  # it is there for the image that they open next
    with web.client() as client:
        trail = client.get("/api/v1/audit", params={"action": "view"}).json()["items"]
    assert [line["actor"] for line in trail] == ["admin"]  # who looked, and no worker

    site.checked = False
    with web.client() as client:
        (found,) = client.get("/api/v1/sessions").json()["items"]
        assert client.post(f"/api/v1/sessions/{found['id']}/verify").status_code == 204
    verify_some(web.site.catalog, web.site.store, 60)
    assert look(web, "S1") == pictures
    assert asked.count("thumbnail") == len(SCANS)  # those from before may be of bytes that had rotted


def test_a_worker_with_imports_is_left_alone(
    web: Web, site: DataFolder, maker: Callable[..., ThumbnailMaker], asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    site.bring(session("S1"), session="S1")
    with monkeypatch.context() as patch:
        patch.setattr(web.site.catalog, "read", None)  # it is not even asked what there is
        assert maker(never).turn(never) == BUSY_SECONDS
    is_idle = True
    busy = maker(lambda: is_idle)
    ask = DecoderPool.ask

    def begin_import(self: DecoderPool, request: DecoderRequest, *more: Any, **named: Any) -> Message:
        nonlocal is_idle
        is_idle = request["verb"] != "thumbnail"
        return ask(self, request, *more, **named)

    with monkeypatch.context() as patch:
        patch.setattr(DecoderPool, "ask", begin_import)
        assert busy.turn(never) == BUSY_SECONDS
    assert asked == ["places", "thumbnail"]  # it ends within one picture
    is_idle = True
    assert busy.turn(lambda: True) == BUSY_SECONDS
    assert len(asked) == 2
    assert busy.turn(never) == EVERY_SECONDS
    assert asked.count("thumbnail") == len(SCANS)


def test_what_is_kept_has_its_bounds_and_goes_with_its_session(
    web: Web, site: DataFolder, maker: Callable[..., ThumbnailMaker], asked: list[str]
) -> None:
    site.bring(session("S1"), session="S1")
    assert maker(cache_bytes=0).turn(never) == EVERY_SECONDS
    assert asked == []
    maker(min_free_bytes=2**62).turn(never)
    assert kept(web) == {}  # what the disk has no room for is made for who asks
    one = maker()
    one.turn(never)
    site.bring(uploader_layout("S1", "4", [image(7)]), session="S1", overwrite="append")  # another tree
    one.turn(never)
    assert len(kept(web)) == 2
    assert tidy_pictures(web.site.pictures, web.site.catalog) == 1
    with web.client() as client:
        (found,) = client.get("/api/v1/sessions").json()["items"]
        assert client.delete(f"/api/v1/sessions/{found['id']}").status_code < 300
    assert tidy_pictures(web.site.pictures, web.site.catalog) == 1
    assert kept(web) == {}
    assert one.turn(never) == EVERY_SECONDS
    assert kept(web) == {}


def test_what_is_away_is_made_once_it_is_back_and_nobody_waits_for_what_fails(
    web: Web, site: DataFolder, maker: Callable[..., ThumbnailMaker], monkeypatch: pytest.MonkeyPatch
) -> None:
    for label in ("S1", "S2", "S3"):
        site.bring(session(label), session=label)
    asked_for: list[str] = []

    def failing(context: ServiceContext, pictures: Pictures, record: SessionRecord, stop: Callable[[], bool]) -> bool:
        asked_for.append(record.label)
        if record.label == "S3":
            raise AssertionError("a mistake of ours")
        return make_thumbnails(context, pictures, record, stop)

    def away(self: LocalStore, name: TreePath) -> LocalSnapshot:
        if name.endswith("S2"):
            raise StoreFailed("The object store failed.", "")
        return snapshot(self, name)

    snapshot = LocalStore.snapshot
    monkeypatch.setattr(thumbnail_maker, "make_thumbnails", failing)
    one = maker()
    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "snapshot", away)
        assert one.turn(never) == EVERY_SECONDS
    assert asked_for == ["S3", "S2", "S1"]  # the newest first
    assert len(kept(web)) == 1
    assert one.turn(never) == one.turn(never) == EVERY_SECONDS
    assert asked_for == ["S3", "S2", "S1", "S2"]
    assert [COMPLETE in names for names in kept(web).values()] == [True, True]


KILLED = """
import os, signal, sys
from scandock.services.data_catalog import open_data_catalog
from scandock.services.settings import load_settings
from scandock.store.local import LocalStore
from scandock.viewing import cache
from scandock.workers.thumbnail_maker import ThumbnailMaker

renames = [0]
rename = os.rename
def die(*names):
    renames[0] += 1
    if renames[0] == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    rename(*names)
cache.os.rename = die
settings = load_settings()
maker = ThumbnailMaker(open_data_catalog(sys.argv[1], settings), LocalStore(sys.argv[1]), settings, lambda: True)
maker.turn(lambda: False)
"""


def test_a_worker_that_is_killed_leaves_nothing_half(
    web: Web, site: DataFolder, maker: Callable[..., ThumbnailMaker], asked: list[str]
) -> None:
    site.bring(session("S1"), session="S1")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(site.data)], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (names,) = kept(web).values()
    assert sorted(name for name in names if not name.startswith(".")) == [
        "2-stack-0.json.gz", "2-stack-1.json.gz", "2-thumbnail-0.webp",
    ]  # fmt: skip
    (left,) = [name for name in names if name.startswith(".")]
    maker().turn(never)
    assert asked.count("thumbnail") == len(SCANS) - 1  # it goes on where the other was killed
    assert [kind for kind, _ in look(web, "S1")] == ["image/webp"] * 3
    (folder,) = (Path(web.site.data) / "cache").iterdir()
    os.utime(folder / left, (0, 0))
    tidy_pictures(web.site.pictures, web.site.catalog)
    (names,) = kept(web).values()
    assert (len(names), [name for name in names if name.startswith(".")]) == (8, [])
