"""What the tests of the upload page share: archives to send, drops, and the server's answers."""

from __future__ import annotations

import hashlib
import random
import zipfile
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from playwright.sync_api import CDPSession, Page

from tests.builders import Image
from tests.e2e.browsing import Person
from tests.e2e.projects import Project

BROKEN = ("ERR_", "423", "409")
"""What the console says of a transfer that was broken off: that, and once more where the page goes on before the server
has noticed. The upload is then still held for who sent before (423), or grew by what was left of that request after
the page had asked how far it is (409)."""


def image(n: int, study: int = 1, patient: bytes = b"P1", name: bytes = b"Doe^Jane") -> bytes:
    """One DICOM object."""
    return Image(case="upload", number=n, study=study, series=study, patient_id=patient, patient_name=name).file()


def archive(path: Path, entries: dict[str, bytes]) -> Path:
    """A zip with these entries, stored, so that it has the size of what is in it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as made:
        for name, data in entries.items():
            made.writestr(name, data)
    return path


def opened(one: Person, project: str) -> Page:
    """The upload page of who is logged in, with a project named."""
    hearing_choosers(one.page)
    page: Page = one.go("/upload")
    page.locator("#picks[data-preview]").wait_for(state="attached")
    unfolded(page)
    page.get_by_label("Project", exact=True).fill(project)
    page.locator("#settings > summary").click()
    return page


def unfolded(page: Page) -> None:
    """Open the settings, which are folded to one line once a project is named."""
    page.locator("#settings").evaluate("(one) => { one.open = true }")


def hearing_choosers(page: Page) -> None:
    """Let choosers of files be told from now on: switched on by the one that is waited for, it may come too late."""
    page.on("filechooser", lambda chooser: None)


def drop(page: Page, *paths: Path) -> None:
    """Drop files and folders onto the page, as from a file manager."""
    page.locator("#drop").scroll_into_view_if_needed()
    box = page.locator("#drop").bounding_box()
    assert box is not None
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + 20}
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    devtools = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})
    devtools.detach()


RAW = random.Random("raw").randbytes(4_000_000)
SLOW = 20_000
"""Bytes a second at which an archive with RAW in it takes more than three minutes: it is under way until it is
`released`, however long a test takes for what it does meanwhile."""

LOOK = 100
"""Milliseconds between two looks at a page that sends: to look at every frame that is painted costs as much again."""

_slowed: WeakKeyDictionary[Page, CDPSession] = WeakKeyDictionary()


def slowed(page: Page, bytes_a_second: int = SLOW, *, offline: bool = False) -> None:
    """Let the page's uploads go no faster. `offline`: not at all."""
    if page not in _slowed:  # the first session that slows a page is the only one that is listened to
        _slowed[page] = page.context.new_cdp_session(page)
        _slowed[page].send("Network.enable")
    _slowed[page].send(
        "Network.emulateNetworkConditions",
        {"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_a_second},
    )


def released(page: Page) -> None:
    """Let the page's uploads go as fast as they can."""
    slowed(page, -1)


def _until(page: Page, holds: str, arg: str | int) -> None:
    """Wait until a page that sends says so."""
    page.wait_for_function(holds, arg=arg, polling=LOOK, timeout=60_000)


def state(page: Page, words: str) -> None:
    """Wait until the first archive is in this state."""
    _until(page, "(words) => document.querySelector('.up-archive-is > .state')?.textContent === words", words)


def under_way(page: Page, least: int = 1) -> None:
    """Wait until more than so many bytes of the first upload have gone."""
    _until(page, "(least) => (document.querySelector('.up-archive-is progress')?.value ?? 0) > least", least)


def sent(page: Page, count: int = 1) -> None:
    """Wait until so many archives of the list are on the server: what stands at each is of its import."""
    _until(page, "(count) => document.querySelectorAll('.up-archive[data-uploaded]').length >= count", count)


def looked_into(page: Page) -> None:
    """Wait until all that is on the list was looked into, and the server has said what is there."""
    page.locator("#picks[data-preview=complete]").wait_for()


def start(page: Page) -> None:
    """Begin the upload of what is on the list."""
    page.get_by_role("button", name="Upload", exact=True).click()


def begin(page: Page, *paths: Path) -> None:
    """Drop archives, and begin their upload once they were looked into."""
    drop(page, *paths)
    looked_into(page)
    start(page)


def sending(one: Person, project: Project, path: Path) -> Page:
    """The upload page, slowed, with an archive with RAW in it on its way."""
    page = opened(one, project.id)
    slowed(page)
    begin(page, path)
    under_way(page)
    return page


def choose_again(page: Page, path: Path, name: str = "big.zip") -> None:
    """Choose a file for the upload of this name that was cut."""
    with page.expect_file_chooser() as choosing:
        page.get_by_role("button", name=f"Choose it again: {name}").click()
    choosing.value.set_files(path)


def outcome(page: Page, words: str = "") -> str:
    """What the page says at the end of all, once that has these words."""
    page.locator(".up-done").get_by_text(words).wait_for(timeout=60_000)
    return page.locator(".up-done").inner_text()


def imported(project: Project, count: int = 1) -> list[dict[str, Any]]:
    """The imports that the owner of a project may see, once they have ended, the first one first."""
    items: list[dict[str, Any]] = project.ask("GET", "/api/v1/imports")[1]["items"]
    assert len(items) == count
    return [project.ended(one["id"]) for one in items[::-1]]


def stored(project: Project, session: dict[str, Any]) -> set[str]:
    """The sha256 of every file of a session, from the disk."""
    folder = project.data / session["path"]
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def arrived(project: Project, whole: set[str]) -> dict[str, Any]:
    """The only import, once it has ended: its session has just these files."""
    [told] = imported(project)
    assert stored(project, told["sessions"][0]) == whole
    return told


def sums(*contents: bytes) -> set[str]:
    return {hashlib.sha256(one).hexdigest() for one in contents}
