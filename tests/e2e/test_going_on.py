"""An upload that is cut: paused, a killed server, a reload, moving about; it goes on, and arrives as it was."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.crash.processes import until
from tests.crash.served import ServerProcess
from tests.e2e.projects import owner, project_of
from tests.e2e.uploading import (
    BROKEN,
    RAW,
    archive,
    arrived,
    begin,
    choose_again,
    drop,
    hearing_choosers,
    image,
    imported,
    looked_into,
    opened,
    outcome,
    released,
    sending,
    sent,
    slowed,
    start,
    state,
    stored,
    under_way,
    unfolded,
)
from tests.ports import free_port


def left(project):
    """How many uploads the server has in part."""
    return len(project.ask("GET", "/api/v1/uploads")[1]["items"])


def receiving(project):
    """Whether the server gets bytes of the upload now."""
    return [one for one in project.ask("GET", "/api/v1/uploads")[1]["items"] if one["receiving"]]


def test_pause_and_go_on(browser, project, large):
    path, whole = large
    with owner(browser, project) as one:
        page = sending(one, project, path)
        page.get_by_role("button", name="Pause: big.zip").click()
        state(page, "paused")
        page.wait_for_function("() => document.activeElement.textContent === 'Go on'")
        assert one.findings() == []
        released(page)
        page.get_by_role("button", name="Go on: big.zip").click()
        sent(page)
    assert arrived(project, whole)["state"] == "placed"


def test_a_killed_server_and_a_reload_lose_nothing(browser, tmp_path, large):
    path, whole = large
    served = ServerProcess(tmp_path, free_port()).ready()
    project = project_of(served)
    again = None
    try:
        with owner(browser, project, expected=(*BROKEN, "Failed to load")) as one:
            page = sending(one, project, path)
            served.kill()
            state(page, "retrying")
            words = page.locator(".up-archive .up-why").inner_text()
            assert re.fullmatch(r"Can't reach the server\. Retrying in \d+ s…", words)
            gone = page.locator(".up-archive progress").evaluate("(one) => one.value")
            again = ServerProcess(tmp_path, served.port).ready()
            under_way(page, gone + 30_000)
            asked = one.answering(accept=True)
            page.reload()
            assert asked == ["beforeunload"]
            page.get_by_role("heading", name="Not finished").wait_for()
            [cut] = project.ask("GET", "/api/v1/uploads")[1]["items"]
            assert 0 < cut["offset"] < cut["size"] == path.stat().st_size
            released(page)
            choose_again(page, path)
            sent(page)
            outcome(page, f"1 session archived in {project.id}.")
            row = page.locator("tr.up-study").inner_text()  # as before it was cut
            assert "Doe Jane" in row
            assert "2020-01-31" in row
            asked.clear()
            page.reload()
            assert asked == []
            assert page.get_by_role("heading", name="Not finished").count() == 0
        [told] = imported(project)
        assert (told["id"], told["state"]) == (cut["id"], "placed")
        assert stored(project, told["sessions"][0]) == whole
    finally:
        for server in (served, again):
            if server is not None:
                server.kill()
                server.wait()


def test_a_folder_goes_on_and_another_file_does_not(browser, project, tmp_path, large):
    path, whole = large
    folder = tmp_path / "visit"
    folder.mkdir()
    for n in (1, 2):
        (folder / f"{n}.dcm").write_bytes(image(n))
    (folder / "raw.bin").write_bytes(RAW)
    with owner(browser, project, expected=BROKEN) as one:
        page = opened(one, project.id)
        slowed(page)
        begin(page, folder)
        under_way(page)
        page.on("dialog", lambda dialog: dialog.accept())
        through_proxy = {"on": True}  # which has more bytes of it than the server

        def listed(route):
            if route.request.method != "GET" or not through_proxy["on"]:
                return route.fallback()
            [cut] = route.fetch().json()["items"]
            return route.fulfill(json={"items": [{**cut, "receiving": True}]})

        page.route("**/api/v1/uploads", listed)
        page.reload()
        page.get_by_role("heading", name="Not finished").wait_for()
        page.get_by_text("what this page sent before is still arriving").wait_for()
        through_proxy["on"] = False
        page.get_by_text("what this page sent before is still arriving").wait_for(state="hidden")
        through_proxy["on"] = True  # now it can't be this page's
        page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
        page.get_by_text("is being uploaded from another tab or browser").wait_for()
        through_proxy["on"] = False
        page.get_by_role("heading", name="Not finished").wait_for()
        drop(page, path)
        looked_into(page)
        page.get_by_role("button", name="Remove: big.zip").click()
        page.locator("#settings > summary").click()
        page.locator("input[name=where][value=headers]").check()
        drop(page, folder)
        begun = f"It goes on as it was begun: into {project.id}."
        page.get_by_text(f"{begun} The settings say projects named by the headers. Go on here?").first.wait_for()
        assert page.locator(".up-archive").count() == 0
        page.get_by_role("button", name="Go on here: visit.tar").click()
        page.locator(".up-archive").get_by_text(begun).wait_for()
        released(page)
        sent(page)
    [told] = imported(project)
    assert (told["archive"], told["state"]) == ("visit.tar", "placed")
    assert stored(project, told["sessions"][0]) == whole


def test_another_tab_asks_before_it_goes_on_with_what_is_sent_here(browser, project, large):
    path, whole = large
    with owner(browser, project, expected=BROKEN) as one:
        page = sending(one, project, path)
        tab = page.context.new_page()
        hearing_choosers(tab)
        tab.goto(f"{one.base}/upload")
        tab.get_by_role("heading", name="Uploading elsewhere").wait_for()
        unfinished = tab.locator("#unfinished")
        tab.wait_for_function("() => document.querySelector('#unfinished progress').value > 0")
        assert "is being uploaded from another tab or browser" in unfinished.inner_text()
        assert unfinished.get_by_role("button").count() == 0
        slowed(tab)
        drop(tab, path)
        unfinished.get_by_text("This archive is uploading in another tab. Go on here?").wait_for()
        expect(tab.locator(".up-archive")).to_have_count(0)
        one.page = tab
        assert one.findings() == []

        tab.get_by_role("button", name="Go on here: big.zip").click()
        state(page, "elsewhere")
        under_way(tab)
        one.page = page
        assert one.findings() == []
        page.get_by_role("button", name="Go on here: big.zip").click()
        state(tab, "elsewhere")
        state(page, "uploading")

        page.on("dialog", lambda dialog: dialog.accept())
        page.goto("about:blank")  # not closed: that would end the slowness first, and all bytes would go at once
        state(tab, "paused")
        released(tab)
        tab.get_by_role("button", name="Go on: big.zip").click()
        sent(tab)
    [told] = imported(project)
    assert stored(project, told["sessions"][0]) == whole
    assert told["sessions"][0]["project"] == project.id


def test_what_goes_on_in_another_tab_is_not_discarded(browser, project, large):
    path, whole = large
    with owner(browser, project, expected=BROKEN) as one:
        page = sending(one, project, path)
        page.get_by_role("button", name="Pause: big.zip").click()
        state(page, "paused")
        assert page.locator("#h-transfers").inner_text() == "Paused 1 archive"
        tab = page.context.new_page()
        tab.goto(f"{one.base}/upload")
        tab.locator("#unfinished").get_by_text("paused in another tab").wait_for()
        tab.get_by_role("button", name="Discard: big.zip").click()
        page.get_by_role("button", name="Go on: big.zip").click()
        until(lambda: receiving(project), "it never went on")
        tab.get_by_role("button", name="Discard it: big.zip").click()
        tab.get_by_text("is being uploaded from another tab or browser").first.wait_for()
        released(page)
        sent(page)
        outcome(page, f"1 session archived in {project.id}.")
        expect(tab.locator("#h-unfinished")).to_be_hidden()
        drop(tab, path)
        looked_into(tab)
        unfolded(tab)
        tab.get_by_label("Project", exact=True).fill(project.id)
        tab.locator("#settings > summary").click()
        tab.get_by_role("button", name="Upload", exact=True).click()
        tab.get_by_text("big.zip was uploaded from another tab already.").wait_for()
        assert tab.locator(".up-archive progress:not([hidden])").count() == 0
        one.page = tab
        assert one.findings() == []
        tab.get_by_role("button", name="Remove: what another tab has uploaded").click()
        expect(tab.locator(".up-archive")).to_have_count(0)
    arrived(project, whole)


def test_another_file_that_is_chosen_for_a_cut_one_is_told_and_not_taken(browser, project, large, tmp_path):
    path, whole = large
    other = archive(tmp_path / "other.zip", {"1.dcm": image(3, study=3)})
    with owner(browser, project, expected=BROKEN) as one:
        page = sending(one, project, path)
        page.on("dialog", lambda dialog: dialog.accept())
        page.reload()
        choose_again(page, other)
        words = (
            "other.zip is not big.zip: it was not taken. To upload it as a new one, drop it on this page or choose it."
        )
        page.locator("#unfinished").get_by_text(words).wait_for()
        page.wait_for_function("(words) => document.getElementById('polite').textContent === words", arg=words)
        assert page.locator(".up-archive").count() == 0
        assert one.findings() == []
        drop(page, other)
        page.get_by_role("button", name="Remove: other.zip").click()
        tab = page.context.new_page()
        tab.goto(f"{one.base}/upload")
        tab.get_by_role("heading", name="Not finished").wait_for()
        released(page)
        choose_again(page, path)
        sent(page)
        expect(tab.locator("#h-unfinished")).to_be_hidden()  # what is finished here is not offered there
    arrived(project, whole)


def test_moving_about_cuts_nothing(browser, project, large):
    """Nor puts a style into the next page, which that refuses on the console: htmx does, where it lets pages settle."""
    path, whole = large
    with owner(browser, project) as one:
        page = sending(one, project, path)
        page.evaluate("() => { window.kept = 1; document.getElementById('main').style.color = 'inherit' }")
        for name in ("Projects", "Prearchive", "Activity"):
            page.get_by_role("navigation", name="Main").get_by_role("link", name=name, exact=True).click()
            page.get_by_role("heading", name=name, level=1).wait_for()
        assert page.locator("#tray").get_by_text("1 upload").count() == 1
        page.get_by_role("navigation", name="Main").get_by_role("link", name="Upload", exact=True).click()
        page.get_by_role("heading", name="Upload", level=1, exact=True).wait_for()
        assert page.locator("#settings-into").inner_text() == f"Into {project.id}"
        assert page.locator(".up-study").get_by_text("Doe Jane").is_visible()
        assert page.get_by_label("Project", exact=True).input_value() == project.id
        released(page)
        sent(page)
        assert page.evaluate("() => window.kept") == 1
    arrived(project, whole)


def test_an_upload_can_be_given_up_running_or_not_finished(browser, project, large):
    path, _ = large
    with owner(browser, project, expected=BROKEN) as one:
        page = sending(one, project, path)
        page.get_by_role("button", name="Cancel: big.zip").click()
        row = page.locator(".up-archive")
        row.get_by_text("What the server has of it is deleted.").wait_for()
        assert one.findings() == []
        page.get_by_role("button", name="Keep uploading: big.zip").click()
        assert page.evaluate("() => document.activeElement.textContent") == "Cancel"
        under_way(page)
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        state(page, "cancelled")
        assert row.get_by_text("What the server has of it is deleted.").is_hidden()
        assert outcome(page, "1 archive cancelled.")
        until(lambda: left(project) == 0, "the server has other uploads")
        begin(page, path)
        page.wait_for_function("() => document.querySelectorAll('.up-archive progress').length === 2")
        until(lambda: left(project) == 1, "the server has other uploads")
        page.on("dialog", lambda dialog: dialog.accept())
        page.reload()
        page.get_by_role("button", name="Discard: big.zip").click()
        page.get_by_role("button", name="Discard it: big.zip").click()
        until(lambda: left(project) == 0, "the server has other uploads")
        expect(page.get_by_role("heading", name="Not finished")).to_have_count(0)


def test_what_is_cancelled_elsewhere_is_told_here(browser, project, large):
    """While it is sent and while it is paused; by the API, by another tab, by the page of its import."""
    path, _ = large
    with owner(browser, project, expected=(*BROKEN, "410", "404")) as one:
        page = opened(one, project.id)
        slowed(page)
        begin(page, path)
        under_way(page)
        for paused in (False, True):
            [cut] = project.ask("GET", "/api/v1/uploads")[1]["items"]
            if paused:
                page.get_by_role("button", name="Pause: big.zip").click()
                state(page, "paused")
            assert project.ask("POST", f"/api/v1/imports/{cut['id']}/cancel")[0] == 202
            state(page, "cancelled")
            page.get_by_role("button", name="Start again: big.zip").click()
            under_way(page)
        page.get_by_role("button", name="Pause: big.zip").click()
        state(page, "paused")
        tab = page.context.new_page()
        tab.goto(f"{one.base}/upload")
        tab.get_by_role("button", name="Discard: big.zip").click()
        tab.get_by_role("button", name="Discard it: big.zip").click()
        state(page, "cancelled")
        page.get_by_role("button", name="Start again: big.zip").click()
        under_way(page)
        [cut] = project.ask("GET", "/api/v1/uploads")[1]["items"]
        tab.goto(f"{one.base}/imports/{cut['id']}")
        tab.get_by_text("Cancel…").click()
        tab.get_by_role("button", name="Cancel the import").click()
        state(page, "cancelled")
        assert one.findings() == []
    assert left(project) == 0


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (
            429,
            {"code": "busy", "detail": "Too many requests.", "remedy": ""},
            "Too many requests. Retrying in",
        ),
        (
            507,
            {"code": "disk_full", "detail": "3 GB are needed.", "remedy": ""},
            "The server has no space left for it.",
        ),
        (401, {"code": "login_needed", "detail": "Log in.", "remedy": ""}, "You are logged out."),
        (413, {"code": "upload_too_large", "detail": "It is too large.", "remedy": ""}, "It is too large."),
    ],
)
def test_what_the_server_refuses_is_said_and_gone_on_with(browser, project, tmp_path, status, body, words):
    path = archive(tmp_path / "small.zip", {"1.dcm": image(1), "2.dcm": image(2)})
    refusing = {"PATCH"}

    def answer(route):
        if route.request.method not in refusing:
            return route.fallback()
        headers = {"Retry-After": "2"} if status == 429 else {}
        return route.fulfill(status=status, json=body, headers=headers)

    with owner(browser, project, expected=(str(status),)) as one:
        page = opened(one, project.id)
        page.route(re.compile("/api/v1/uploads"), answer)
        begin(page, path)
        state(page, "stopped" if status == 413 else "retrying")
        assert words in page.locator(".up-archive .up-why").inner_text()
        assert one.findings() == []
        if status == 401:
            assert page.get_by_role("link", name="Log in").get_attribute("href") == "/login"
        refusing.clear()
        if status == 413:  # the others go on by themselves, after a while or the time that the server said
            anew = page.get_by_role("button", name="Start again: small.zip")
            anew.click()
            until(lambda: left(project) == 0, "what the server had of it stays")
            page.get_by_label("Session label").fill("anew")
            page.keyboard.press("Enter")
            refusing.add("POST")  # nothing of it begins
            start(page)
            state(page, "stopped")
            anew.click()
            assert page.get_by_label("Session label").input_value() == "anew"
            start(page)
            state(page, "stopped")
            refusing.clear()
            page.get_by_role("button", name="Retry: small.zip").click()
        sent(page)
    [told] = imported(project)
    assert (told["state"], told["sessions"][0]["label"]) == ("placed", "anew" if status == 413 else "P1")


def test_a_file_that_changes_on_the_way_is_told_and_chosen_again(browser, project, large, tmp_path):
    path, whole = large
    with owner(browser, project, expected=BROKEN) as one:
        page = sending(one, project, path)
        page.get_by_role("button", name="Pause: big.zip").click()
        state(page, "paused")
        aside = path.rename(tmp_path / "aside.zip")
        page.get_by_role("button", name="Go on: big.zip").click()
        state(page, "stopped")
        assert page.locator("#h-transfers").inner_text() == "Stopped 1 archive"
        assert "can't be read any more" in page.locator(".up-archive .up-why").inner_text()
        released(page)
        aside.rename(path)
        choose_again(page, path)
        sent(page)
    arrived(project, whole)
