"""What the tests of the upload page share: archives to send, drops, and the server's answers."""

from __future__ import annotations

import hashlib
import shutil
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from tests.builders import Image
from tests.crash.served import Served
from tests.e2e.browsing import QUIET


@contextmanager
def another(browser: Browser, *flags: str) -> Iterator[Browser]:
    """A browser of its own, with further flags."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    made = browser.browser_type.launch(executable_path=found, args=[*QUIET, *flags])
    try:
        yield made
    finally:
        made.close()


def image(n: int, study: int = 1, patient: bytes = b"P1", name: bytes = b"Doe^Jane") -> bytes:
    """One DICOM object."""
    return Image(case="upload", number=n, study=study, series=study, patient_id=patient, patient_name=name).file()


def archive(path: Path, entries: dict[str, bytes]) -> Path:
    """A zip with these entries, stored, so that it has the size of what is in it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as made:
        for name, data in entries.items():
            made.writestr(name, data)
    return path


def opened(one: Any, project: str = "P") -> Page:
    """The upload page of who is logged in, with a project named."""
    hearing_choosers(one.page)
    page: Page = one.go("/upload")
    page.get_by_label("Project", exact=True).fill(project)
    page.locator("#files").wait_for(state="attached")
    return page


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


def slowed(page: Page, bytes_a_second: int, *, offline: bool = False) -> None:
    """Let the page's uploads go no faster; -1: as they can. `offline`: not at all."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("Network.enable")
    devtools.send(
        "Network.emulateNetworkConditions",
        {"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_a_second},
    )


def sent(page: Page, count: int = 1) -> None:
    """Wait until so many uploads are on the server."""
    page.wait_for_function(
        "(count) => [...document.querySelectorAll('.up-transfer .state')].filter("
        "(one) => one.textContent === 'on the server').length >= count",
        arg=count,
        timeout=60_000,
    )


def imported(served: Served, count: int = 1) -> list[dict[str, Any]]:
    """The imports once so many have ended, the first one first."""
    ends = ("placed", "held", "partly", "refused", "failed", "cancelled")
    until = time.monotonic() + 60
    while True:
        items: list[dict[str, Any]] = served.ask("GET", "/api/v1/imports")[1]["items"]
        done = [one for one in items if one["state"] in ends]
        if len(done) >= count:
            return done[::-1]
        assert time.monotonic() < until, items
        time.sleep(0.05)


def stored(served: Served, session: dict[str, Any]) -> set[str]:
    """The sha256 of every file of a session, from the disk."""
    folder = served.data / session["path"]
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def sums(*contents: bytes) -> set[str]:
    return {hashlib.sha256(one).hexdigest() for one in contents}
