"""Nothing of a login is seen once it has ended: not by the browser's Back, not by the back/forward cache."""

from __future__ import annotations

import shutil

import pytest
from playwright.sync_api import Page

from tests.builders import Image, uploader_layout
from tests.e2e.browsing import QUIET
from tests.e2e.projects import Project, owner


def leave(page: Page) -> None:
    page.get_by_role("button", name="Log out").click()
    page.get_by_text("You are logged out.").wait_for()


def asked_to_log_in(page: Page) -> None:
    page.get_by_label("Password").wait_for()
    assert page.get_by_text("Kept_secret").count() == 0


@pytest.fixture
def kept(project: Project) -> Project:
    project.store(uploader_layout("Kept_secret", "1", [Image(case="out").file()]))
    return project


@pytest.mark.parametrize("boosted", [False, True], ids=["loaded", "moved about"])
def test_back_after_logging_out_asks_for_the_login(browser, kept, boosted):
    with owner(browser, kept) as one:
        address = f"/projects/{kept.id}"
        page = one.go(address if boosted else f"{address}/sessions/Kept_secret")
        if boosted:
            page.get_by_role("link", name="Kept_secret").click()
        page.get_by_role("heading", name="Kept_secret", level=1).wait_for()
        leave(page)
        page.go_back()
        asked_to_log_in(page)


def test_the_back_forward_cache_keeps_no_page_of_a_login(browser, kept):
    kind = browser.browser_type
    found = shutil.which("chromium")
    keeping = kind.launch(
        executable_path=found, args=[*QUIET], ignore_default_args=["--disable-back-forward-cache"]
    )  # fmt: skip
    try:
        with owner(keeping, kept) as one:
            page = one.go(f"/projects/{kept.id}/sessions/Kept_secret")
            page.get_by_role("heading", name="Kept_secret", level=1).wait_for()
            leave(page)
            page.evaluate("() => history.back()")
            page.wait_for_url("**/login?then=**")
            asked_to_log_in(page)
    finally:
        keeping.close()
