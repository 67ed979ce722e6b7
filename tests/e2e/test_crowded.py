"""Every page with much on it, at both widths and in both themes: axe finds nothing, nothing is too wide."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.e2e.browsing import base_of, person
from tests.e2e.crowded import LONG, MANY_SCANS, crowded
from tests.e2e.projects import log_in


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    with crowded(tmp_path_factory.mktemp("crowded")) as (served, ids):
        yield served, ids, log_in(base_of(served))


def pages(ids: dict[str, str], waiting: str, subject: str) -> list[str]:
    session = f"/projects/P/sessions/{LONG}"
    return [
        "/", "/projects", "/projects/P", "/projects/P?q=Many&sort=-files", f"/projects/P/subjects/{subject}", session,
        f"{session}/scans/1", f"{session}/scans/2", "/upload", "/upload?project=P", "/activity",
        "/activity?state=refused", f"/imports/{ids['scans']}/receipt", f"/imports/{ids['many']}/receipt?verdict=stored",
        f"/imports/{ids['refused']}/receipt", f"/imports/{ids['many']}", f"/imports/{ids['refused']}",
        "/prearchive", f"{session}?q=1", f"/prearchive/{waiting}",
        f"/prearchive/{waiting}/scans/1", "/projects/P/settings", "/projects/P/filter",
        "/projects/P/trash", "/projects/P/audit", "/account",
        "/admin", "/admin/accounts", "/admin/settings", "/admin/rules", "/admin/filter", "/admin/trash", "/admin/audit",
        "/admin/receivers", "/admin/receivers/new", "/admin/peers", "/projects/P/receivers",
        "/no/such/page",  # the last
    ]  # fmt: skip


def test_themes_differ_in_colors_alone(project_root):
    """So that axe's rules about colors are all that has to be asked again in the dark theme."""
    sheets = list((project_root / "src" / "scandock" / "web" / "pages").rglob("*.css"))
    assert sheets
    told = {sheet.name: re.findall(r"[^;{}]*prefers-color-scheme[^;{}]*", sheet.read_text()) for sheet in sheets}
    assert {name: found for name, found in told.items() if found} == {}
    asking = [path.name for path in pages_own_scripts(project_root) if "prefers-color-scheme" in path.read_text()]
    assert asking == []


def pages_own_scripts(project_root: Path) -> list[Path]:
    return list((project_root / "src" / "scandock" / "web" / "pages" / "static" / "js").rglob("*.js"))


def test_no_script_asks_for_the_width(project_root):
    """So that a page that is resized is the page that is loaded at that width."""
    widths = re.compile(r"innerWidth|matchMedia\((?!\"\(pointer:)|screen\.width|[\"']resize[\"']")
    assert [path.name for path in pages_own_scripts(project_root) if widths.search(path.read_text())] == []


def test_axe_finds_nothing_and_nothing_is_too_wide(browser, crowd, subtests):
    served, ids, login = crowd
    waiting = served.ask("GET", "/api/v1/prearchive?project=P")[1]["items"][0]["id"]
    subject = served.ask("GET", f"/api/v1/sessions?project=P&search={LONG}")[1]["items"][0]["subject"]
    with person(browser, base_of(served), storage_state=login) as one:
        for path in pages(ids, waiting, quote(subject)):
            with subtests.test(path=path):
                one.go(path)
                assert one.faults() == []
        assert one.said.pop().startswith("error: Failed to load resource: the server responded with a status of 404")


HIDDEN = """() => [...document.querySelectorAll(":is(.as-cards, .card-rows) :is(td, tbody th)")].filter((cell) => {
  const box = cell.getBoundingClientRect();
  return box.right > document.documentElement.clientWidth || (cell.hasChildNodes() && !box.width);
}).length"""
"""How many filled cells of tables are beside the screen or not there."""
LABELS = """() => [...document.querySelectorAll(".chart text")].map((one) => one.getBoundingClientRect())
  .filter((box) => box.width).map(({ left, right, height }) => [left, right, height])"""


def test_on_a_phone_rows_are_cards_and_charts_are_readable(browser, crowd, subtests):
    served, ids, login = crowd
    with person(browser, base_of(served), width="narrow", storage_state=login) as one:
        for path in (
            f"/imports/{ids['scans']}/receipt", "/admin/accounts", "/admin/settings", "/admin/trash", "/admin/audit",
            "/admin/receivers", "/admin/peers", "/projects", "/admin",
        ):  # fmt: skip
            with subtests.test(path=path):
                page = one.go(path)
                assert page.locator(":is(.as-cards, .card-rows) tbody tr").count() > 0
                assert page.evaluate(HIDDEN) == 0
        labels = page.evaluate(LABELS)
        assert len(labels) >= 6  # the scale and a month of each chart
        assert min(height for _, _, height in labels) >= 11
        assert all(left >= 0 and right <= 390 for left, right, _ in labels)


def test_names_from_headers_and_entries_do_no_harm(browser, crowd):
    served, ids, login = crowd
    with person(browser, base_of(served), storage_state=login) as one:
        page = one.page
        asked = one.answering(accept=False)
        for path in (
            f"/projects/P/sessions/{LONG}", f"/projects/P/sessions/{LONG}/scans/2", "/activity", "/prearchive",
            f"/imports/{ids['scans']}/receipt", f"/imports/{ids['refused']}/receipt", "/", "/projects/P",
        ):  # fmt: skip
            one.go(path)
            page.wait_for_load_state("load")
            assert page.locator("main script, main img[src=x]").count() == 0, path
        assert asked == []


def test_sixty_scans_have_their_thumbnails_and_300_sessions_their_links(browser, crowd):
    served, ids, login = crowd
    with person(browser, base_of(served), storage_state=login) as one:
        links = one.go(f"/imports/{ids['many']}").locator("a[href^='/projects/P/sessions/Many_']").all_text_contents()
        assert links == [f"Many_{n:04}" for n in range(299)]
        page = one.page
        one.go(f"/projects/P/sessions/{LONG}")
        pictures = page.locator("main img")
        assert pictures.count() == MANY_SCANS
        for n in (0, MANY_SCANS - 1):
            pictures.nth(n).scroll_into_view_if_needed()
            page.wait_for_function(
                "(one) => one.complete && one.naturalWidth > 0", arg=pictures.nth(n).element_handle()
            )
