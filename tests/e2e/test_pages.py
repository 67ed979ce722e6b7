"""The way in, and the pages of an empty and of a small site, as a person meets them."""

from __future__ import annotations

from tests.builders import Image, uploader_layout, zip_entries
from tests.e2e.browsing import base_of, person
from tests.e2e.projects import OWNERS_PASSWORD, owner


def test_an_empty_site_shows_what_to_do_next(browser, served):
    with person(browser, base_of(served), expected=("404",)) as one:  # of the page that is not there
        page = one.go("/")
        assert one.faults() == []
        one.log_in()
        assert page.get_by_role("heading", name="No project yet").is_visible()
        assert one.faults() == []
        one.go("/upload")
        page.get_by_role("link", name="create one").click()
        page.get_by_role("heading", name="Projects", level=1).wait_for()
        assert one.faults() == []
        one.go("/")
        page.get_by_label("Project id").fill("Study_1")
        page.get_by_role("button", name="Make the project").click()
        page.get_by_role("heading", name="Study_1").wait_for()
        assert page.get_by_text("The project is made.").is_visible()
        for path in ("/", "/projects", "/projects/Study_1", "/activity", "/prearchive", "/projects/Nowhere"):
            one.go(path)
            assert one.faults() == [], path


def test_moving_about_keeps_the_document(browser, project):
    with owner(browser, project) as one:
        page = one.go("/")
        page.evaluate("() => { window.kept = 'as it was' }")
        for name in ("Projects", "Activity", "Prearchive"):
            page.get_by_role("navigation", name="Main").get_by_role("link", name=name, exact=True).click()
            page.get_by_role("heading", name=name, level=1).wait_for()
            page.wait_for_function("(name) => document.title.startsWith(name)", arg=name)
        assert page.evaluate("() => window.kept") == "as it was"
        page.go_back()
        page.get_by_role("heading", name="Activity", level=1).wait_for()
        assert page.evaluate("() => window.kept") == "as it was"


def test_a_wrong_password_is_told_and_the_right_one_leads_on(browser, project):
    with person(browser, project.base, expected=("401",)) as one:
        page = one.go("/prearchive")
        page.get_by_label("Name").fill(project.owner)
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("alert").wait_for()
        assert page.get_by_label("Name").input_value() == project.owner
        page.get_by_label("Password").fill(OWNERS_PASSWORD)
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Prearchive").wait_for()


def test_an_import_is_seen_from_activity_to_session(browser, project):
    images = [Image(case="seen", number=n).file() for n in range(3)]
    project.placed(project.send(zip_entries(uploader_layout("One", "1", images))))
    with owner(browser, project, timezone_id="Australia/Eucla") as one:  # 8:45 before UTC: no other zone's minutes
        page = one.go("/")
        first = page.locator("time").first
        page.get_by_text("Times are in Australia/Eucla").wait_for()
        shown, exact = first.inner_text(), first.get_attribute("title") or ""  # written by the page, on a first visit
        assert exact.startswith(shown)
        assert exact.endswith(" UTC+08:45")
        one.go("/")
        assert page.locator("#page").get_attribute("data-zone") == "Australia/Eucla"  # the server knows it from now on
        assert (first.inner_text(), first.get_attribute("title")) == (shown, exact)
        page.get_by_role("link", name="one.zip").click()
        page.get_by_role("heading", name="Import of one.zip").wait_for()
        page.get_by_role("link", name="Receipt").click()
        page.get_by_role("heading", name="Receipt of one.zip").wait_for()
        assert page.get_by_role("row").count() == 4
        assert one.findings() == []
