"""Imports as they are watched: live, in many tabs, across a killed server, and what can be done to them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Page, expect

from scandock.model.import_report import ImportReport
from scandock.model.import_types import Progress
from scandock.model.verdicts import ImportState
from scandock.queue.claim import SlotUsage, claim
from scandock.queue.leases import finish
from scandock.queue.owner import this_owner
from scandock.services.progress import ProgressRecorder
from tests.builders import Image, uploader_layout, zip_entries
from tests.crash.processes import until
from tests.crash.served import ServerProcess
from tests.e2e.browsing import Person, base_of, person
from tests.e2e.projects import log_in, owner, stopping
from tests.integration.web import PASSWORD, Web, serve_by_socket
from tests.ports import free_port

BROKEN = ("ERR_CONNECTION_REFUSED", "ERR_EMPTY_RESPONSE", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET")
"""What the browser says of a server that was killed."""


def archive(case: str, session: str = "One") -> bytes:
    return zip_entries(uploader_layout(session, "1", [Image(case=case, number=n).file() for n in range(3)]))


def badge(page: Page, words: str, name: str = "one.zip") -> None:
    """Wait until an import bears these words."""
    item = page.locator("li.import", has=page.get_by_role("heading", name=name, exact=True))
    expect(item.locator(".state").first).to_have_text(words)


def test_an_import_is_watched_from_the_empty_page_to_its_session(browser, project):
    with (
        stopping(project.served) as following,
        owner(browser, project) as one,
        owner(browser, project, width="narrow", dark=True) as other,
    ):
        page, elsewhere = one.go("/activity"), other.go("/")
        page.get_by_role("heading", name="Nothing has been imported yet").wait_for()
        assert page.get_by_role("link", name="Upload an archive").is_visible()
        project.send(archive("watched"))
        following.stopped()
        badge(page, "importing")
        assert page.locator("#imports").get_by_role("progressbar").is_visible()
        expect(elsewhere.locator("#tray summary")).to_have_text("1 import under way")
        elsewhere.locator("#tray summary").focus()
        elsewhere.keyboard.press("Enter")
        assert elsewhere.get_by_role("progressbar", name="one.zip").is_visible()
        for person_ in (one, other):
            assert person_.findings() == []
            assert person_.overflow() == 0
        page.reload()
        badge(page, "importing")
        kept = page.get_by_role("link", name=project.id, exact=True)
        kept.focus()
        following.go_on()
        badge(page, "imported")
        assert kept.evaluate("(link) => link === document.activeElement"), "the focus was lost"
        expect(page.locator("#polite")).to_have_text("one.zip is imported.")
        expect(elsewhere.locator("#polite")).to_have_text("one.zip is imported.")
        assert page.get_by_text("3 entries: 3 stored").is_visible()
        page.get_by_role("link", name="One", exact=True).click()
        page.get_by_role("heading", name="One").wait_for()


def test_cancelling_takes_no_reload_and_keeps_the_place(browser, project):
    with stopping(project.served) as following, owner(browser, project) as one:
        page = one.go("/activity")
        project.send(archive("cancelled"))
        following.stopped()
        badge(page, "importing")
        page.evaluate("() => { window.kept = 'as it was' }")
        page.locator("summary", has_text="Cancel").press("Enter")
        assert page.get_by_text("the uploaded archive is deleted").is_visible()
        page.get_by_role("button", name="Cancel the import").press("Enter")
        badge(page, "cancelled")
        assert page.evaluate("() => window.kept") == "as it was"
        page.get_by_role("link", name="Forget").press("Enter")
        page.get_by_role("heading", name="Forget the import of one.zip?").wait_for()
        assert one.findings() == []
        page.get_by_role("button", name="Forget it").press("Enter")
        page.get_by_text("The import is forgotten.").wait_for()
        page.get_by_role("heading", name="Nothing has been imported yet").wait_for()


def test_cancelling_works_without_scripts(browser, project):
    with stopping(project.served) as following, owner(browser, project, java_script_enabled=False) as one:
        uuid = project.send(archive("plain"))
        following.stopped()
        page = one.go("/activity")
        badge(page, "importing")
        page.locator("summary", has_text="Cancel").click()
        page.get_by_role("button", name="Cancel the import").click()
        page.get_by_text("The import is being cancelled.").wait_for()
        project.ended(uuid)
        page.reload()
        badge(page, "cancelled")


def watching(browser: Browser, web: Web) -> AbstractContextManager[Person]:
    """The administrator of a server within this process, which has no worker: the test does what one would do."""
    return person(browser, web.base, storage_state=log_in(web.base, "admin", PASSWORD))


def test_a_failure_says_what_to_do_and_is_tried_again_in_its_place(browser, tmp_path):
    """Outcomes are written as workers write them: three lost attempts would take a minute."""
    with serve_by_socket(tmp_path / "data") as web, watching(browser, web) as one:
        with web.client() as client:
            answer = client.post("/api/v1/imports?filename=one.zip", content=b"never read")
        assert answer.status_code == 202
        page = one.go("/activity")
        badge(page, "waiting")
        claimed = claim(web.site.catalog, this_owner(), SlotUsage(4))
        assert claimed is not None
        badge(page, "importing")
        said = "The import was begun three times, and each time it was lost."
        report = ImportReport(
            upload=claimed.lease.uuid,
            archive="one.zip",
            state=ImportState.FAILED,
            code="attempts_exhausted",
            message=said,
        )
        with web.site.catalog.write() as connection:
            finish(web.site.catalog, connection, claimed.lease, report)
        badge(page, "failed")
        kept = "Its bytes are kept, so it can be tried again without another upload."
        assert page.get_by_text(f"{said} {kept}").is_visible()
        assert one.findings() == []
        expect(page.locator("#polite")).to_have_text("one.zip failed.")
        live = page.get_by_text("Live: this page keeps itself up to date.")
        live.wait_for()
        page.get_by_role("link", name="one.zip").press("Enter")
        page.get_by_role("heading", name="Import of one.zip").wait_for()
        assert not live.is_visible()  # it has ended
        page.get_by_role("button", name="Try again").press("Enter")
        badge(page, "waiting")
        live.wait_for()
        assert claim(web.site.catalog, this_owner(), SlotUsage(4)) is not None
        badge(page, "importing")


def test_numbers_move_in_place_and_are_not_said_aloud(browser, tmp_path):
    with serve_by_socket(tmp_path / "data") as web, watching(browser, web) as one:
        with web.client() as client:
            client.post("/api/v1/imports?filename=one.zip", content=b"never read")
        claimed = claim(web.site.catalog, this_owner(), SlotUsage(4))
        assert claimed is not None
        page = one.page
        page.clock.install()
        with page.expect_response(lambda answer: answer.request.resource_type == "fetch" and "/activity" in answer.url):
            one.go("/activity")  # which reads its list once more as soon as it hears what happens
        badge(page, "importing")
        begun = Progress(stage="reading", entries_done=1, entries_total=4_000, bytes_done=2_000, bytes_total=8_000_000)
        with ProgressRecorder(web.site.catalog, claimed.lease) as record:
            with page.expect_response(lambda answer: "/activity/" in answer.url):  # a new stage is read whole
                record(begun)
            expect(page.locator("[data-far]")).to_have_text("2.0 kB of 8.0 MB · 1 of 4,000 entries")
            asked = read_to_the_end(page)
            spoken = page.locator("#polite").inner_text()
            record(replace(begun, entries_done=3_000, bytes_done=6_000_000))
            expect(page.locator("[data-far]")).to_have_text("6.0 MB of 8.0 MB · 3,000 of 4,000 entries")
            bar = page.locator("#imports").get_by_role("progressbar", name="Reading its files")
            assert bar.evaluate("(bar) => bar.value / bar.max") == 0.75
            assert asked == [], "numbers need no request"
            assert page.locator("#polite").inner_text() == spoken


def read_to_the_end(page: Page) -> list[str]:
    """Let the page read anew what it has heard of, until it reads nothing more; the list grows by what it asks then.

    What it reads comes a quarter of a second after what it read before, by its own clock.
    """
    asked: list[str] = []
    answered: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("requestfinished", lambda request: answered.append(request.url))
    while True:
        page.clock.run_for(1_000)
        page.evaluate("() => new Promise((resolve) => requestAnimationFrame(resolve))")
        if not asked:
            return asked
        while len(answered) < len(asked):
            page.wait_for_event("requestfinished")
        asked.clear()
        answered.clear()


def test_the_tray_shows_the_uploads_of_its_tab(browser, plain_project):
    """Topic "transfers" of bus.js, as the upload page publishes it."""
    with owner(browser, plain_project, width="narrow") as one:
        page = one.go("/")
        publish = """async (list) => {
          const statics = document.querySelector("meta[name=scandock]").dataset.static;
          (await import(`${statics}/js/bus.js`)).publish("transfers", list);
        }"""
        name = "<img src=x onerror=alert(1)>.zip"
        page.evaluate(publish, [{"id": "1", "name": name, "sent": 3_000_000, "total": 12_000_000, "state": "running"}])
        summary = page.locator("#tray summary")
        expect(summary).to_have_text("1 upload")
        summary.press("Enter")
        bar = page.locator("#tray").get_by_role("progressbar", name=name)
        assert bar.evaluate("(bar) => bar.value / bar.max") == 0.25
        assert page.locator("#tray").get_by_text("uploading, 3.0 MB of 12.0 MB").is_visible()
        assert one.findings() == []
        assert one.overflow() == 0
        tray, main = page.locator("#tray").bounding_box(), page.locator("#main").bounding_box()
        assert tray is not None
        assert main is not None
        assert tray["y"] + tray["height"] <= main["y"], "the tray covers the page"
        page.get_by_role("navigation", name="Main").get_by_role("link", name="Projects").click()
        page.get_by_role("heading", name="Projects", level=1).wait_for()
        assert bar.is_visible(), "moving about closed it"
        page.evaluate(publish, [])
        expect(page.locator("#tray")).to_be_hidden()


def test_the_page_goes_on_by_itself_after_the_server_was_killed(browser, tmp_path):
    port, mark = free_port(), tmp_path / "stopped"
    stopping_once = {"AT": "read", "BY": "SIGSTOP", "ONCE": str(mark)}
    served = ServerProcess(tmp_path, port, **{f"SCANDOCK_CRASH_{name}": value for name, value in stopping_once.items()})
    try:
        served.ready().project()
        with person(browser, base_of(served), storage_state=log_in(base_of(served)), expected=BROKEN) as one:
            page = one.go("/activity")
            served.send(archive("killed"))
            until(mark.exists, "the import never came to its point")
            badge(page, "importing")
            served.kill()
            served.wait()
            page.get_by_text("The server does not answer.").wait_for()
            served = ServerProcess(tmp_path, port).ready()
            badge(page, "imported")
            page.get_by_text("Live: this page keeps itself up to date.").wait_for()
    finally:
        served.kill()
        served.wait()


HIDING = """
delete window.SharedWorker;
let hidden = false;
Object.defineProperty(Document.prototype, "hidden", { get: () => hidden });
addEventListener("hide", (event) => {
  hidden = event.detail;
  document.dispatchEvent(new Event("visibilitychange"));
});
"""
"""Tabs that can be hidden: of Playwright's all are seen. Without SharedWorker a hidden one has to let its stream go."""


def see(tab: Page, *, shared: bool, seen: bool = True) -> None:
    tab.bring_to_front()
    if not shared:
        tab.evaluate("(hidden) => { dispatchEvent(new CustomEvent('hide', { detail: hidden })) }", not seen)


@pytest.mark.parametrize("shared", [True, False], ids=["by the worker", "without SharedWorker"])
def test_twelve_tabs_stay_usable(browser, project, shared):
    with stopping(project.served) as following, owner(browser, project) as one:
        if not shared:
            one.page.context.add_init_script(HIDING)
        one.go("/activity")
        tabs = [one.page]
        for _ in range(11):
            see(tabs[-1], shared=shared, seen=False)
            tabs.append(one.page.context.new_page())
            tabs[-1].goto(f"{one.base}/activity")
        project.send(archive("twelve"))
        following.stopped()
        for tab in tabs:
            see(tabs[tabs.index(tab) - 1], shared=shared, seen=False)
            see(tab, shared=shared)
            badge(tab, "importing")
        following.go_on()
        for tab in reversed(tabs):
            see(tab, shared=shared)
            badge(tab, "imported")
            see(tab, shared=shared, seen=False)
        see(tabs[6], shared=shared)
        tabs[6].get_by_role("navigation", name="Main").get_by_role("link", name="Projects").click()
        tabs[6].get_by_role("heading", name="Projects", level=1).wait_for()


def test_logging_out_ends_the_stream(browser, project):
    with owner(browser, project) as one:
        page = one.go("/")
        other = page.context.new_page()
        other.goto(f"{one.base}/activity")
        other.get_by_text("Live: this page keeps itself up to date.").wait_for()
        page.get_by_role("button", name="Log out").click()
        page.get_by_text("You are logged out.").wait_for()
        other.get_by_text("You are logged out: what is shown stays as it was.").wait_for()
