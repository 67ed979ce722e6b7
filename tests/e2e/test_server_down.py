"""A link that is followed while the server is down says so, until there is a page again."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.crash.served import ServerProcess
from tests.e2e.browsing import base_of, person
from tests.e2e.projects import log_in
from tests.ports import free_port

DOWN = "The server does not answer. Try again in a moment."


def test_a_link_says_that_the_server_does_not_answer_until_it_does(browser, tmp_path):
    port = free_port()
    served = ServerProcess(tmp_path, port).ready()
    try:
        login = log_in(base_of(served))
        with person(browser, base_of(served), storage_state=login, expected=("ERR_", "Failed to fetch")) as one:
            with one.page.expect_response(lambda answer: answer.url.endswith("/tray.js")):  # the last script that loads
                page = one.go("/")
            served.kill()
            served.wait()
            projects = page.get_by_role("navigation", name="Main").get_by_role("link", name="Projects")
            projects.click()
            page.locator("#main").get_by_text(DOWN).wait_for()
            expect(page.locator("#polite")).to_have_text(DOWN)
            assert page.get_by_role("heading", name="Overview").is_visible()
            assert one.findings() == []
            projects.click()
            page.locator("#unanswered").wait_for()
            assert page.locator("#unanswered").count() == 1
            served = ServerProcess(tmp_path, port).ready()
            projects.click()
            page.get_by_role("heading", name="Projects", level=1).wait_for()
            assert page.get_by_text(DOWN).count() == 0
    finally:
        served.kill()
        served.wait()
