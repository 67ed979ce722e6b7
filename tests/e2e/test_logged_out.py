"""A login that ends elsewhere while an upload runs: it is said, goes on by itself, and nothing that came is lost."""

from __future__ import annotations

import pytest

from tests.crash.processes import until
from tests.e2e.projects import OWNERS_PASSWORD, owner
from tests.e2e.uploading import BROKEN, RAW, archive, image, imported, released, sending, sent, stored, sums

WORDS = "You are logged out. Log in again, in this tab or another: it goes on by itself."
LIVE = "Live: this page keeps itself up to date."


def logged_out(tab):
    tab.get_by_role("button", name="Log out").click()
    tab.get_by_role("button", name="Log in").wait_for()


def logged_in(tab, name):
    tab.get_by_label("Name").fill(name)
    tab.get_by_label("Password").fill(OWNERS_PASSWORD)
    tab.get_by_role("button", name="Log in").click()
    tab.get_by_role("button", name="Log out").wait_for()


def refusals(page):
    """The headers of the answers that say 401, filled as they come. One with WWW-Authenticate lets a browser with a
    window ask for a password by itself, and nothing of the page goes on meanwhile.
    """
    told = []
    page.on("response", lambda answer: told.append(answer.headers) if answer.status == 401 else None)
    return told


def second_tab(one):
    tab = one.page.context.new_page()
    tab.goto(f"{one.base}/projects")
    return tab


def held_up(page, words=WORDS):
    page.locator(".up-archive .up-why").get_by_text(words).wait_for(timeout=60_000)
    assert page.locator(".up-archive-is > .state").inner_text() == "retrying"
    assert page.get_by_role("link", name="Log in").get_attribute("href") == "/login"


def whole_on_the_server(project):
    """The one upload that has all its bytes and is not accepted: its owner sees it in the list of imports."""
    [told] = project.ask("GET", "/api/v1/imports")[1]["items"]
    return told["state"] == "receiving"


@pytest.mark.parametrize("meanwhile", ["uploading", "paused"])
def test_it_is_held_up_and_goes_on_by_itself_after_the_next_login(browser, project, tmp_path, meanwhile):
    path = archive(tmp_path / "big.zip", {"s/1.dcm": image(1), "s/raw.bin": RAW})
    with owner(browser, project, expected=("401",)) as one:
        page = sending(one, project, path)
        if meanwhile == "paused":
            page.get_by_role("button", name="Pause: big.zip").click()
        refused = refusals(page)
        activity = second_tab(one)
        activity.goto(f"{one.base}/activity")
        activity.get_by_text(LIVE).wait_for()
        tab = second_tab(one)
        logged_out(tab)
        activity.get_by_text("You are logged out: what is shown stays as it was.").wait_for()
        released(page)
        if meanwhile == "paused":
            page.get_by_role("button", name="Go on: big.zip").click()
        held_up(page)
        assert refused
        assert not [headers for headers in refused if "www-authenticate" in headers]
        assert one.findings() == []
        logged_in(tab, project.owner)
        activity.get_by_text(LIVE).wait_for()
        sent(page)
        assert page.get_by_role("link", name="Log in").count() == 0
        tab.goto(f"{one.base}/activity")
        for live in (activity, tab):
            live.get_by_text(LIVE).wait_for()
            live.locator(".imports .state.placed").wait_for()
        logged_out(page)  # its forms bear the new login's token, too
    [told] = imported(project)
    assert told["state"] == "placed"
    assert stored(project, told["sessions"][0]) == sums(image(1), RAW)


def test_somebody_else_who_logs_in_does_not_take_it_over(browser, project, tmp_path):
    ann = project.account("ann")
    path = archive(tmp_path / "big.zip", {"s/1.dcm": image(1), "s/raw.bin": RAW})
    with owner(browser, project, expected=("401", "403", "404")) as one:
        page = sending(one, project, path)
        page.get_by_role("button", name="Pause: big.zip").click()
        tab = second_tab(one)
        logged_out(tab)
        logged_in(tab, ann)
        released(page)
        page.get_by_role("button", name="Go on: big.zip").click()
        held_up(page, f"Somebody else is logged in now: {ann}. Log in as {project.owner} again: it goes on by itself.")
        logged_out(tab)
        logged_in(tab, project.owner)
        sent(page)
    assert imported(project)[0]["state"] == "placed"


def test_what_was_whole_when_the_login_ended_is_imported_by_the_page_without_its_file(browser, project, tmp_path):
    path = archive(tmp_path / "big.zip", {"s/1.dcm": image(1), "s/raw.bin": RAW})
    with owner(browser, project, expected=("401", *BROKEN)) as one:
        page = sending(one, project, path)
        tab = second_tab(one)
        logged_out(tab)
        released(page)
        held_up(page)  # all its bytes have come, and their request was refused at its end
        until(lambda: whole_on_the_server(project), "the upload is no more")
        page.on("dialog", lambda dialog: dialog.accept())
        page.close()
        logged_in(tab, project.owner)
        tab.goto(f"{one.base}/upload")
        tab.get_by_role("heading", name="Finished now").wait_for()
        assert tab.get_by_text("All of it was on the server already: its import goes on by itself.").is_visible()
        assert tab.get_by_role("button", name="Choose it again").count() == 0
        one.page = tab
        assert one.findings() == []
    [told] = imported(project)
    assert told["state"] == "placed"
    assert stored(project, told["sessions"][0]) == sums(image(1), RAW)
