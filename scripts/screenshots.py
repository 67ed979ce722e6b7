"""Takes the pictures of docs/pictures/ from the real pages: `make pictures`.

A server of an empty folder gets the demo's real sessions, some to wait, one that clashes, and something that is no
archive; Chromium then visits the pages at 1280 pixels, in the light theme, and at 390 in the dark one.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

from demo import DICOM, SESSIONS, documented, zipped
from tests.crash.served import FINAL_STATES, ServerProcess, free_port
from tests.e2e.browsing import base_of, chromium, person

PICTURES = Path(__file__).resolve().parent.parent / "docs" / "pictures"
QUALITY = 82
PROJECT = "Ageing_2026"
PAINTED = "() => [...document.querySelectorAll('main img')].every((one) => one.complete || one.loading === 'lazy')"
SHOWN = "lesion_mr"
CORPUS = Path(__file__).resolve().parent.parent.parent / "shared" / "corpus"
SEVERAL = ("fmri_qa", [CORPUS / "neurolabusc__dcm_qa_nih" / "In" / "20180918GE"])
"""A session with several scans, of the real files that the tests read too."""


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="scandock-pictures-") as folder, site(Path(folder)) as served:
        take(served, Path(folder))


def take(served: ServerProcess, folder: Path) -> None:
    """All of them."""
    with chromium() as browser:
        with person(browser, base_of(served)) as one:
            one.log_in()
            upload(one.go("/upload"), folder)
            for name, path in pages().items():
                page = one.go(path)
                if name == "viewer":
                    page.locator(".viewer[data-shown]").wait_for()
                    page.locator("[data-part=header-rows] tr").first.wait_for()
                if name == "prearchive":
                    page.locator("summary", has_text="Decide").first.click()
                keep(page, name)
        with person(browser, base_of(served), width="narrow", dark=True) as one:
            one.log_in()
            keep(one.go(f"/projects/{PROJECT}/sessions/{SEVERAL[0]}"), "session-phone")
            keep(one.go("/activity"), "activity-phone")


def pages() -> dict[str, str]:
    session = f"/projects/{PROJECT}/sessions/{SHOWN}"
    return {
        "overview": "/",
        "activity": "/activity",
        "prearchive": "/prearchive",
        "session": f"/projects/{PROJECT}/sessions/{SEVERAL[0]}",
        "viewer": f"{session}/scans/18",
        "administration": "/admin",
    }


def upload(page: Page, folder: Path) -> None:
    """The upload page, with an archive chosen and looked into."""
    name, sources = "doe_archibald_ct", SESSIONS["doe_archibald_ct"]
    archive = folder / f"{name}.zip"
    archive.write_bytes(zipped(documented(name, [*sources, DICOM / "dicomdirtests" / "77654033" / "CR1"])))
    page.locator("#settings").evaluate("(one) => { one.open = true }")
    page.get_by_label("Project", exact=True).fill(PROJECT)
    page.locator("#settings").evaluate("(one) => { one.open = false }")
    page.locator("#files").set_input_files(archive)
    page.locator("#picks[data-preview=complete]").wait_for()
    page.locator("#picks").scroll_into_view_if_needed()
    keep(page, "upload")


def keep(page: Page, name: str) -> None:
    """Take a page's picture once all of its own stand."""
    page.wait_for_load_state("load")
    page.wait_for_function(PAINTED)
    page.evaluate("() => document.activeElement?.blur()")
    taken = Image.open(io.BytesIO(page.screenshot()))
    taken.save(PICTURES / f"{name}.webp", quality=QUALITY, method=6)


@contextmanager
def site(folder: Path) -> Iterator[ServerProcess]:
    """A server with what the pictures show."""
    served = ServerProcess(folder, free_port()).ready()
    try:
        made = served.ask(
            "POST", "/api/v1/projects", b'{"id": "%s", "name": "Ageing and cognition"}' % PROJECT.encode()
        )
        assert made[0] == 201, made
        for name, sources in (*SESSIONS.items(), SEVERAL):
            more = "&destination=prearchive" if name == "liver_ct" else f"&session={name}"
            send(served, f"{name}.zip", zipped(documented(name, sources)), more)
        send(
            served,
            "again.zip",
            zipped(documented("again", SESSIONS[SHOWN][:1])),
            f"&session={SHOWN}&overwrite=none",
        )
        send(served, "minutes-of-the-meeting.pdf", b"%PDF-1.7 no archive")
        yield served
    finally:
        served.end()


def send(served: ServerProcess, name: str, body: bytes, more: str = "") -> None:
    status, made = served.ask("POST", f"/api/v1/imports?project={PROJECT}&filename={name}{more}", body)
    assert status == 202, made
    while served.ask("GET", f"/api/v1/imports/{made['id']}")[1]["state"] not in FINAL_STATES:
        time.sleep(0.1)


if __name__ == "__main__":
    main()
