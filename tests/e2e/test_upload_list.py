"""The one list of the upload page: from ten archives that are dropped to what came of each, and what goes wrong."""

from __future__ import annotations

import base64
import shutil
from dataclasses import replace

from playwright.sync_api import expect
from sqlalchemy import update

from scandock.catalog.server_tables import reception
from scandock.model.import_report import ImportReport
from scandock.model.verdicts import ImportState
from scandock.queue.claim import SlotUsage, claim
from scandock.queue.leases import finish
from scandock.queue.owner import this_owner
from tests.e2e.browsing import person
from tests.e2e.projects import OWNERS_PASSWORD, log_in, owner
from tests.e2e.uploading import (
    BROKEN,
    RAW,
    archive,
    begin,
    drop,
    image,
    imported,
    looked_into,
    opened,
    outcome,
    released,
    sending,
    sent,
    start,
    state,
    unfolded,
)
from tests.integration.web import PASSWORD, serve_by_socket

SPOKEN = """() => {
  window.spoken = [];
  const line = document.getElementById("polite");
  const hear = () => line.textContent && window.spoken.push(line.textContent);
  new MutationObserver(hear).observe(line, { childList: true });
}"""
"""Keeps what is said aloud from here on."""

PASTE = """([name, base64]) => {
  const data = new DataTransfer();
  data.items.add(new File([Uint8Array.from(atob(base64), (one) => one.charCodeAt(0))], name, { lastModified: 1 }));
  document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
}"""


def test_ten_archives_from_drop_to_done(browser, project, tmp_path):
    """In four clicks or fewer: they are dropped, Upload is pressed, and what came of each stands in its row."""
    paths = [
        archive(tmp_path / f"visit{n}.zip", {"1.dcm": image(1, study=n, patient=b"P%d" % n, name=b"Doe^%d" % n)})
        for n in range(1, 11)
    ]
    pasted = archive(tmp_path / "pasted.zip", {"1.dcm": image(1, study=20, patient=b"P20", name=b"Roe^Ann")})
    with owner(browser, project) as one:
        page = opened(one, project.id)
        drop(page, *paths)
        looked_into(page)
        assert (
            page.locator("#picks > .bar").get_by_text(f"10 archives · 10 sessions · 8.0 kB → {project.id}").is_visible()
        )
        drop(page, paths[3])
        page.get_by_role("alert").get_by_text("visit4.zip It is on the list already.").wait_for()
        copy = tmp_path / "copy.zip"
        shutil.copy(paths[3], copy)
        drop(page, copy)
        looked_into(page)
        page.get_by_text("2 studies with images that other archives have too: identical ones are stored").wait_for()
        page.get_by_role("button", name="Remove: copy.zip").click()
        page.evaluate(SPOKEN)
        holding = {"on": True}
        page.route(
            "**/api/v1/uploads/*",
            lambda route: None if route.request.method == "PATCH" and holding["on"] else route.fallback(),
        )
        start(page)
        page.get_by_role("button", name="Pause all").click()
        page.get_by_text("Paused 10 archives").wait_for()
        assert page.evaluate("() => document.activeElement.id") == "h-transfers"
        page.evaluate(PASTE, ["pasted.zip", base64.b64encode(pasted.read_bytes()).decode()])
        looked_into(page)
        start(page)
        page.get_by_role("button", name="Cancel all").click()
        page.get_by_role("button", name="Keep uploading").click()
        assert one.findings() == []
        page.get_by_role("button", name="Cancel: pasted.zip").click()
        holding["on"] = False
        page.get_by_role("button", name="Go on with all").click()
        words = outcome(page, f"10 sessions archived in {project.id}.")
        assert words == f"10 sessions archived in {project.id}. 1 archive cancelled."
        assert page.get_by_role("link", name="Open: P").count() == 10
        assert page.locator(".up-links a").get_attribute("href") == f"/projects/{project.id}"
        said = [text for text in page.evaluate("() => window.spoken") if "uploaded" in text or "imported" in text]
        assert len(said) <= 3, said
        assert one.faults() == []
        one.resize("wide")
        page.get_by_role("button", name="Copy").click()
        page.wait_for_function("(words) => getSelection().toString().trim() === words", arg=words)
        page.get_by_role("button", name="Start again: pasted.zip").click()
        outcome(page, f"11 sessions archived in {project.id}.")
        odd = {"1.dcm": image(1, study=99, patient=b"P99", name=b"Doe^99"), "2.dcm": b"no image"}
        drop(page, archive(tmp_path / "odd.zip", odd))
        looked_into(page)
        page.get_by_role("button", name="Upload", exact=True).click()
        page.get_by_role("link", name="Details: odd.zip").wait_for()
        page.locator(".up-archive .up-why").get_by_text("1 file could not be read.").wait_for()
        outcome(page, "1 file could not be read.")
        drop(page, archive(tmp_path / "empty.zip", {"a.txt": b"no image"}))
        page.locator(".up-archive .up-why").get_by_text("There is no image in it.").wait_for()
        outcome(page, "1 file could not be read. 1 archive was not uploaded.")
        page.get_by_role("button", name="Upload more").click()  # what can't be uploaded goes, too
        assert page.locator(".up-archive").count() == 0
        assert page.evaluate("() => document.activeElement.textContent") == "Choose archives or images"
        assert page.locator("#settings-into").inner_text() == f"Into {project.id}"
    assert {told["state"] for told in imported(project, 12)} == {"placed"}


def test_one_archive_of_several_studies_shares_its_progress_and_its_rows_part(browser, project, tmp_path):
    project.store({"1.dcm": image(1, study=1, patient=b"P1", name=b"Doe^1")})
    entries = {f"{n}/1.dcm": image(1, study=n, patient=b"P%d" % n, name=b"Doe^%d" % n) for n in (1, 2, 3)}
    entries["2/1.dcm"] = image(1, study=2, patient=b"P2", name=b"Doe^2")
    path = archive(tmp_path / "three.zip", {**entries, "3/2.dcm": image(2, study=3, patient=b"P9", name=b"Doe^3")})
    with owner(browser, project) as one:
        page = opened(one, project.id)
        drop(page, path)
        looked_into(page)
        head = page.get_by_role("rowheader", name="three.zip")
        assert head.count() == 1
        page.get_by_text("1 session with images of several patient IDs will be held for review.").wait_for()
        held = page.locator(".up-study").filter(has_text="Doe 3")
        assert held.get_by_text(f"Will be held for review in {project.id}").is_visible()
        same = "P1 is archived already: its 1 image is archived."
        known = f"{same} Identical files change nothing; files with other content are held for review."
        page.get_by_text(known).wait_for()
        unfolded(page)
        page.get_by_label("Overwrite").check()
        replaced = "P1 is archived already: 1 file replaces the archived one, unless both are identical."
        page.get_by_text(replaced).wait_for()
        page.get_by_label("Add new files").check()
        page.get_by_role("row").filter(has_text="Doe 2").get_by_role("checkbox").uncheck()
        start(page)
        sent(page)
        outcome(page, "1 session already stored")
        told = {
            row.locator("th").inner_text().split("\n")[0]: row.locator(".up-happens > .state").inner_text()
            for row in page.locator(".up-study").all()
        }
        assert told == {"Doe 1": "already stored", "Doe 2": "left out", "Doe 3": "held for review"}
        assert page.get_by_role("button", name="Pause: three.zip").count() == 0
        assert one.findings() == []
        held.get_by_role("link", name="Decide").click()
        page.get_by_text("patient").first.wait_for()
        page.get_by_role("navigation", name="Main").get_by_role("link", name="Upload", exact=True).click()
        page.get_by_role("link", name="Details: three.zip").click()
        page.get_by_role("heading", name="Import of three.zip").wait_for()


def test_who_loses_the_role_in_mid_upload_is_told_in_the_row_and_goes_on_with_it_again(browser, project, tmp_path):
    member = project.account("max", "member")
    path = archive(tmp_path / "big.zip", {"s/1.dcm": image(1), "s/raw.bin": RAW})
    login = log_in(project.base, member, OWNERS_PASSWORD)
    with person(browser, project.base, storage_state=login, expected=("403", "404", *BROKEN)) as one:
        page = sending(one, project, path)
        assert project.served.ask("DELETE", f"/api/v1/projects/{project.id}/members/{member}")[0] == 204
        page.get_by_role("button", name="Pause: big.zip").click()
        released(page)
        page.get_by_role("button", name="Go on: big.zip").click()
        state(page, "stopped")
        words = page.locator(".up-archive .up-why").inner_text()
        assert words.startswith("You don't have access to this upload any more, or it was deleted.")
        assert one.findings() == []
        project.member(member, "member")
        page.get_by_role("button", name="Retry all failed").click()
        sent(page)
        page.get_by_role("link", name="Open").wait_for()
        drop(page, archive(tmp_path / "next.zip", {"s/2.dcm": image(2, study=2, patient=b"P2")}))
        page.get_by_text(f"Will be archived in {project.id} as").wait_for()
        assert project.served.ask("DELETE", f"/api/v1/projects/{project.id}/members/{member}")[0] == 204
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        page.locator(".up-study .state").get_by_text("not visible to you").wait_for()
        assert page.get_by_role("button", name="Upload", exact=True).is_disabled()
        reason = f"No project “{project.id}”, or you can't upload to it."
        assert page.locator("#up-reason").inner_text() == reason
        assert page.locator(".up-plan").get_by_text(reason).is_visible()
    assert imported(project)[0]["state"] == "placed"


def test_an_import_that_failed_is_retried_and_one_that_was_cancelled_starts_again(browser, tmp_path):
    """Outcomes are written as workers write them, on a server within this process that has none."""
    paths = [archive(tmp_path / f"{name}.zip", {"1.dcm": image(1, study=n)}) for n, name in ((1, "one"), (2, "two"))]
    with serve_by_socket(tmp_path / "data") as web:
        login = log_in(web.base, "admin", PASSWORD)
        with person(browser, web.base, storage_state=login) as one:
            page = one.go("/upload")
            page.locator("#picks[data-preview]").wait_for(state="attached")
            begin(page, *paths)
            sent(page, 2)
            page.get_by_role("button", name="Cancel: two.zip").click()
            page.get_by_role("button", name="Cancel the import: two.zip").click()
            page.get_by_role("button", name="Start again: two.zip").wait_for()
            claimed = claim(web.site.catalog, this_owner(), SlotUsage(4))
            assert claimed is not None
            failed = ImportReport(
                upload=claimed.lease.uuid,
                archive="one.zip",
                state=ImportState.FAILED,
                code="attempts_exhausted",
                message="The import was begun three times, and each time it was lost.",
            )
            with web.site.catalog.write() as connection:
                finish(web.site.catalog, connection, claimed.lease, failed)
            state(page, "failed")
            assert outcome(page) == "1 archive failed. 1 archive cancelled."
            assert page.locator(".up-archive .up-why").first.inner_text() == failed.message
            assert page.get_by_role("link", name="Details: one.zip").is_visible()
            assert one.findings() == []
            page.get_by_role("button", name="Retry: one.zip").click()
            state(page, "uploaded")
            again = claim(web.site.catalog, this_owner(), SlotUsage(4))
            assert again is not None
            partly = replace(failed, state=ImportState.PARTLY, code="", message="2 files can't be read.")
            with web.site.catalog.write() as connection:
                finish(web.site.catalog, connection, again.lease, partly)
            state(page, "imported in part")
            assert page.locator(".up-archive .up-why").first.inner_text() == partly.message
            assert page.get_by_role("link", name="Details: one.zip").is_visible()
            page.get_by_role("button", name="Start again: two.zip").click()
            page.locator("[data-uploaded] progress:visible").wait_for()


def test_one_that_is_paused_here_says_so_and_one_that_was_interrupted_leads_to_where_it_goes_on(browser, tmp_path):
    path = archive(tmp_path / "one.zip", {"1.dcm": image(1)})
    with (
        serve_by_socket(tmp_path / "data") as web,
        person(browser, web.base, storage_state=log_in(web.base, "admin", PASSWORD)) as one,
    ):
        page = one.go("/upload")
        page.locator("#picks[data-preview]").wait_for(state="attached")
        held = "**/api/v1/uploads/*"
        page.route(held, lambda route: None if route.request.method == "PATCH" else route.fallback())
        drop(page, path)
        looked_into(page)
        with page.expect_request(lambda request: request.method == "PATCH"):
            start(page)
        page.get_by_role("button", name="Pause: one.zip").click()
        state(page, "paused")
        with web.site.catalog.write() as connection:
            connection.execute(update(reception).values(heard=reception.c.heard - 120_000))
        page.get_by_role("navigation", name="Main").get_by_role("link", name="Activity", exact=True).click()
        page.get_by_role("link", name="one.zip").first.click()
        page.get_by_text("Paused in this tab.").wait_for()
        assert page.locator("#imports .state").inner_text() == "paused"
        tab = page.context.new_page()
        tab.goto(f"{web.base}/activity")
        expect(tab.locator("#imports .state")).to_have_text("paused")
        expect(tab.locator("#tray li .far")).to_contain_text("paused")
        tab.goto(f"{web.base}/")
        expect(tab.locator(".decisions .state")).to_have_text("paused")
        tab.close()
        page.reload()
        page.get_by_text("Interrupted: nothing of it has arrived for two minutes.").wait_for()
        assert page.locator("#imports .state").inner_text() == "interrupted"
        expect(page.locator("#tray li .far")).to_contain_text("interrupted")
        assert one.findings() == []
        assert page.locator("a[href^='/upload?upload=']").inner_text() == "Go on"
        page.get_by_role("link", name="Scandock").click()
        expect(page.locator(".decisions .state")).to_have_text("interrupted")
        page.get_by_role("link", name="Go on: one.zip").click()
        page.wait_for_function("() => document.activeElement.ariaLabel === 'Go on: one.zip'")
