"""Settings, accounts, tokens, trash and trail, as owners and administrators meet them."""

from __future__ import annotations

import pytest

from tests.builders import Image, documented, zipped
from tests.e2e.browsing import base_of, person


def archive(label: str, study: int) -> bytes:
    return zipped(documented(label, "1", [Image(case=label, study=study, number=n).file() for n in range(2)]))


def delete(served) -> None:
    listed = served.ask("GET", "/api/v1/sessions?project=P")[1]["items"]
    assert served.ask("DELETE", f"/api/v1/sessions/{listed[0]['id']}")[0] == 200


def test_an_administrator_makes_an_account_and_an_owner_of_it(browser, served):
    served.project()
    with person(browser, base_of(served)) as one:
        page = one.log_in()
        page.get_by_role("link", name="Admin", exact=True).click()
        page.get_by_role("link", name="Accounts").click()
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password", exact=True).fill("analytical engine")
        page.get_by_role("button", name="Make the account").click()
        page.get_by_text("The account is made.").wait_for()
        page.get_by_label("Name").fill("ada")
        page.get_by_role("button", name="Make the account").click()
        assert "ada" in page.get_by_role("alert").inner_text()
        one.go("/projects/P/settings")
        page.get_by_label("Account", exact=True).fill("ada")
        page.get_by_label("Role", exact=True).select_option("owner")
        page.get_by_role("button", name="Add").click()
        page.get_by_text("The members are changed.").wait_for()
        page.get_by_label("Public").check()
        page.get_by_label("Wait in the prearchive").check()
        page.get_by_role("button", name="Save the settings").click()
        page.get_by_text("The project's settings are changed").wait_for()
        one.said[:] = [said for said in one.said if "409" not in said]  # of the account that was there
    told = served.ask("GET", "/api/v1/projects/P")[1]
    assert (told["accessibility"], told["prearchive_code"]) == ("public", 0)
    with person(browser, base_of(served)) as ada:
        page = ada.log_in("ada", "analytical engine")
        page.get_by_role("link", name="Projects").click()
        page.get_by_role("link", name="P", exact=True).click()
        page.get_by_role("link", name="Settings and members").click()
        page.get_by_role("heading", name="Members", exact=True).wait_for()
        assert page.get_by_role("link", name="Admin", exact=True).count() == 0


def test_a_token_is_shown_once_and_serves_until_it_is_revoked(browser, served):
    served.project()
    with person(browser, base_of(served)) as one:
        page = one.log_in()
        page.get_by_role("link", name="admin", exact=True).click()
        page.get_by_label("What it is for").fill("nightly script")
        page.get_by_role("button", name="Make a token").click()
        page.get_by_role("heading", name="Your new token").wait_for()
        bearer = page.locator("#h-issued ~ dl dd").nth(2).inner_text()
        ask = page.request
        headers = {"Authorization": f"Bearer {bearer}"}
        assert ask.get(one.base + "/api/v1/tokens", headers=headers).status == 200
        one.go("/account")
        assert bearer not in page.content()
        page.get_by_role("button", name="Revoke nightly script").click()
        page.get_by_text("The token is revoked.").wait_for()
        assert ask.get(one.base + "/api/v1/tokens", headers=headers).status == 401


def test_a_deleted_session_comes_back_and_the_trail_tells_of_it(browser, served):
    served.placed(served.send(archive("Kept", 1)))
    delete(served)
    with person(browser, base_of(served)) as one:
        page = one.log_in()
        one.go("/projects/P/trash")
        page.get_by_role("button", name="Bring back").click()
        page.get_by_text("The session is back where it stood.").wait_for()
        one.go("/projects/P/audit?action=restore")
        assert page.get_by_role("row").count() == 2
    assert len(served.ask("GET", "/api/v1/sessions?project=P")[1]["items"]) == 1


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", ["wide", "narrow"])
def test_nothing_is_found_on_the_pages_of_owners_and_administrators(browser, served, width, dark):
    for n in range(3):
        served.placed(served.send(archive(f"Session_{n}", n)))
    delete(served)
    with person(browser, base_of(served), width=width, dark=dark) as one:
        one.log_in()
        for path in (
            "/admin", "/admin/accounts", "/admin/settings", "/admin/rules", "/admin/trash", "/admin/audit",
            "/projects/P", "/projects/P/settings", "/projects/P/trash", "/projects/P/audit", "/account",
        ):  # fmt: skip
            one.go(path)
            assert one.findings() == [], path
            assert one.overflow() == 0, path
