"""Every page with much on it, at both widths and in both themes: axe finds nothing, nothing is too wide."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.e2e.browsing import base_of, person
from tests.e2e.crowded import LONG, MANY_SCANS, crowded


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with crowded(tmp_path_factory.mktemp("crowded")) as made:
        yield made


def pages(ids: dict[str, str], waiting: str, subject: str) -> list[str]:
    session = f"/projects/P/sessions/{LONG}"
    return [
        "/", "/projects", "/projects/P", "/projects/P?q=Many&sort=-files", f"/projects/P/subjects/{subject}", session,
        f"{session}/scans/1", f"{session}/scans/2", "/upload", "/upload?project=P", "/activity",
        "/activity?state=refused", f"/imports/{ids['scans']}/receipt", f"/imports/{ids['many']}/receipt?verdict=stored",
        f"/imports/{ids['refused']}/receipt", "/prearchive", "/prearchive?project=P", f"/prearchive/{waiting}",
        f"/prearchive/{waiting}/scans/1", "/projects/P/settings", "/projects/P/trash", "/projects/P/audit", "/account",
        "/admin", "/admin/accounts", "/admin/settings", "/admin/rules", "/admin/trash", "/admin/audit",
        "/no/such/page",  # the last
    ]  # fmt: skip


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_axe_finds_nothing_and_nothing_is_too_wide(browser, site, width, dark):
    served, ids = site
    waiting = served.ask("GET", "/api/v1/prearchive?project=P")[1]["items"][0]["id"]
    subject = served.ask("GET", f"/api/v1/sessions?project=P&search={LONG}")[1]["items"][0]["subject"]
    with person(browser, base_of(served), width=width, dark=dark) as one:
        one.log_in()
        off = {}
        for path in pages(ids, waiting, quote(subject)):
            one.go(path)
            found = one.findings() + ([f"{one.overflow()} px too wide"] if one.overflow() else [])
            if found:
                off[path] = found
        assert off == {}
        assert one.said.pop().startswith("error: Failed to load resource: the server responded with a status of 404")


def test_names_from_headers_and_entries_do_no_harm(browser, site):
    served, ids = site
    with person(browser, base_of(served)) as one:
        page = one.log_in()
        asked = one.answering(accept=False)
        for path in (
            f"/projects/P/sessions/{LONG}", f"/projects/P/sessions/{LONG}/scans/2", "/activity", "/prearchive",
            f"/imports/{ids['scans']}/receipt", f"/imports/{ids['refused']}/receipt", "/", "/projects/P",
        ):  # fmt: skip
            one.go(path)
            page.wait_for_load_state("load")
            assert page.locator("main script, main img[src=x]").count() == 0, path
        assert asked == []


def test_sixty_scans_have_their_thumbnails(browser, site):
    served, _ = site
    with person(browser, base_of(served)) as one:
        page = one.log_in()
        one.go(f"/projects/P/sessions/{LONG}")
        pictures = page.locator("main img")
        assert pictures.count() == MANY_SCANS
        for n in (0, MANY_SCANS - 1):
            pictures.nth(n).scroll_into_view_if_needed()
            page.wait_for_function(
                "(one) => one.complete && one.naturalWidth > 0", arg=pictures.nth(n).element_handle()
            )
